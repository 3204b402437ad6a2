"""``oadr ven simulate``: what an event would do here, without a VTN and without switching anything."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from oadr.commands.ven.options import ConfigOption, load_settings
from oadr.errors import Exit, Failure, reporting
from oadr.terminal.output import JsonOption, show_json, show_rows, wants_json

if TYPE_CHECKING:
    from ven.settings import VenSettings
    from ven.simulation import Simulation

_COLUMNS = {
    "start": "From",
    "end": "Until",
    "payload": "Asked by",
    "circuit": "Circuit",
    "from_kw": "kW before",
    "shed_kw": "kW less",
    "limit_kw": "kW at most",
}


def simulate(
    file: Annotated[
        Path, typer.Argument(metavar="FILE|-", help="An event in JSON, YAML or CSV, as for oadr event create -f.")
    ],
    *,
    drawn: Annotated[
        list[str] | None,
        typer.Option(metavar="CIRCUIT=POWER", help="What a circuit draws, as ev=3kW; repeatable. Default: its rating."),
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what an event would do here: in or out and why, which circuits, when, how many kW. Nothing is switched."""
    with reporting():
        from oadr.events.files import read_event
        from openadr_profiles.v31 import Event, Invalid
        from ven.simulation import simulate as find_out

        settings = load_settings(config)
        now = datetime.now(UTC)
        request = read_event(file, now=now, program_id=lambda: "simulated")
        event = Event(
            **{name: getattr(request, name) for name in request.__struct_fields__},
            id="simulated",
            created_date_time=now,
            modification_date_time=now,
        )
        drawn_kw = _drawn(settings, drawn or [])
        try:
            simulation = asyncio.run(find_out(event, settings, drawn_kw, now=now))
        except (Invalid, ValueError, OverflowError) as error:
            raise Failure(f"{file}: the event cannot be placed in time: {error}", Exit.USAGE) from None
        _show(simulation, as_json=as_json)


def _drawn(settings: VenSettings, given: list[str]) -> dict[str, Decimal]:
    """Return the power of each circuit in kW: as given, else its rating."""
    from openadr_profiles.fleet.quantities import power_kw

    found = {circuit.id: circuit.rated_kw for circuit in settings.circuits}
    for each in given:
        name, equals, power = each.rpartition("=")
        if not equals or name not in found:
            known = ", ".join(found)
            raise Failure(f"--drawn {each}: expected CIRCUIT=POWER as ev=3kW, with one of {known}", Exit.USAGE)
        try:
            found[name] = power_kw(power)
        except ValueError as error:
            raise Failure(f"--drawn {each}: {error}", Exit.USAGE) from None
    return found


def _show(simulation: Simulation, *, as_json: bool) -> None:
    rows = [
        {
            "start": _instant(value.start),
            "end": _instant(value.end),
            "payload": value.payload_type,
            "circuit": circuit.circuit_id,
            "from_kw": float(circuit.original_kw),
            "shed_kw": float(circuit.shed_kw),
            "limit_kw": float(circuit.limit_kw),
        }
        for value in simulation.values
        for circuit in value.plan.circuits
        if circuit.shed_kw > 0
    ]
    unmet = [
        {
            "start": _instant(value.start),
            "requested_kw": float(value.plan.requested_kw),
            "unmet_kw": float(value.plan.unmet_kw),
        }
        for value in simulation.values
        if value.plan.unmet_kw > 0
    ]
    decision = simulation.decision
    if wants_json(as_json):
        show_json(
            {
                "opted_in": decision.opted_in,
                "reason": decision.reason,
                "start": _instant(simulation.start),
                "end": _instant(simulation.end),
                "circuits": rows,
                "unmet": unmet,
                "problems": list(simulation.problems),
                "is_whole": simulation.is_whole,
            }
        )
        return
    typer.echo(f"opt {'in' if decision.opted_in else 'out'}{f': {decision.reason}' if decision.reason else ''}")
    show_rows(rows, _COLUMNS, as_json=False, title="What it would do", empty="no circuit would be limited")
    for each in unmet:
        typer.echo(f"{each['unmet_kw']:g} of {each['requested_kw']:g} kW cannot be given at {each['start']}")
    for problem in simulation.problems:
        typer.echo(f"warning: {problem}", err=True)
    if not simulation.is_whole:
        typer.echo("the event has more values than are shown", err=True)


def _instant(at: datetime | None) -> Any:
    return None if at is None else at.isoformat().replace("+00:00", "Z")
