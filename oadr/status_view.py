"""An event's status as tables for a terminal; shared by ``oadr event status`` and the demo."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from rich.box import SIMPLE_HEAD
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from oadr.status import Circuit, EventStatus, Participant

_WORTH_SHOWING_KW = Decimal("0.05")


def status_tables(status: EventStatus, *, all_circuits: bool = True) -> list[RenderableType]:
    """A line about the event, a table of participants and one of circuits.

    Without ``all_circuits`` only those are listed that something was taken from or asked of.
    """
    end = status.end.isoformat(timespec="seconds").replace("+00:00", "Z") if status.end else "open"
    start = status.start.isoformat(timespec="seconds").replace("+00:00", "Z")
    title = Text.assemble(
        ("Event ", "bold"), status.event_name or status.event_id, "  ", _coloured(status.state), f"  {start} to {end}"
    )
    circuits = [
        (one, circuit) for one in status.participants for circuit in one.circuits if all_circuits or _matters(circuit)
    ]
    return [title, _participants(status), *([_circuits(circuits)] if circuits else [])]


def kw(value: Decimal | None) -> str:
    """A power or energy for a table; a dash when it is not known."""
    return "-" if value is None else f"{value:.2f}"


def _participants(status: EventStatus) -> Table:
    table = Table(header_style="bold", pad_edge=False, box=SIMPLE_HEAD)
    for heading in ("Participant", "Reached", "In/out", "Reason"):
        table.add_column(heading, overflow="fold")
    for heading in ("Asked kW", "Delivered kW", "Asked kWh", "Delivered kWh", "Reports"):
        table.add_column(heading, justify="right")
    for one in status.participants:
        cells: list[RenderableType] = [
            one.name,
            Text("yes", "green") if one.reached else Text("no", "red"),
            _opt(one),
            one.reason or "-",
            kw(one.requested_kw),
            kw(one.delivered_kw),
            kw(one.requested_kwh),
            kw(one.delivered_kwh),
            str(one.reports),
        ]
        table.add_row(*cells)
    return table


def _matters(circuit: Circuit) -> bool:
    return any((kw or 0) > _WORTH_SHOWING_KW for kw in (circuit.requested_kw, circuit.delivered_kw))


def _circuits(circuits: Iterable[tuple[Participant, Circuit]]) -> Table:
    table = Table(header_style="bold", pad_edge=False, box=SIMPLE_HEAD)
    for heading in ("Participant", "Circuit"):
        table.add_column(heading, overflow="fold")
    for heading in ("Asked kW", "Original kW", "Curtailed kW", "Delivered kW", "Final kW"):
        table.add_column(heading, justify="right")
    table.add_column("State", overflow="fold")
    for one, circuit in circuits:
        table.add_row(
            one.name,
            circuit.name,
            kw(circuit.requested_kw),
            kw(circuit.original_kw),
            kw(circuit.curtailed_kw),
            kw(circuit.delivered_kw),
            kw(circuit.final_kw),
            (circuit.state or "-").lower().replace("_", " "),
        )
    return table


def _opt(one: Participant) -> Text:
    if one.opted_in is None:
        return Text("-")
    return Text("in", "green") if one.opted_in else Text("out", "yellow")


def _coloured(state: str) -> tuple[str, str]:
    return state, {"active": "bold green", "scheduled": "cyan", "cancelled": "red"}.get(state, "dim")
