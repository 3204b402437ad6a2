"""An event's status as tables for a terminal; shared by ``oadr event status`` and the demo."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from rich.console import RenderableType
from rich.text import Text

from oadr.terminal.tables import FittedTable
from oadr.terminal.text import visible
from openadr_profiles.fleet.recipients import is_unseen
from openadr_profiles.fleet.status import CircuitStatus, EventStatus, Participant, Superseded
from openadr_profiles.fleet.wording import ago, local_time

_WORTH_SHOWING_KW = Decimal("0.05")
_ENOUGH = Decimal("0.9")


_LISTED = 20


def status_tables(status: EventStatus, *, all_circuits: bool = True, everything: bool = True) -> list[RenderableType]:
    """Return the event, the funnel with totals, and tables of participants and circuits.

    Without ``all_circuits`` only those circuits are listed that something was taken from or asked of. Without
    ``everything`` only the exceptions among the participants are listed (not reached, out, or short), at most 20, and
    circuits only if there are no more than 20.
    """
    start, end = local_time(status.start), local_time(status.end) if status.end else "open"
    name = visible(status.event_name or status.event_id)
    parts: list[RenderableType] = [
        Text.assemble(("Event ", "bold"), name, "  ", _coloured(status.state), f"  {start} to {end}")
    ]
    if status.cancelled_at is not None:
        parts.append(Text(f"Cancelled {local_time(status.cancelled_at)}", "red"))
    parts += [_superseded(each) for each in status.superseded_by]
    parts.append(_funnel(status))
    if not status.participants:
        parts.append(Text("Nobody holds one of its targets: no VEN gets this event.", "yellow"))
        return parts
    people = status.participants if everything else _exceptions(status)
    if people:
        parts.append(_participants(people, status))
    if len(people) < len(status.participants):
        parts.append(
            Text(f"{len(status.participants) - len(people):,} more of {len(status.participants):,}; --all shows them")
        )
    circuits = [
        (one, circuit) for one in status.participants for circuit in one.circuits if all_circuits or _matters(circuit)
    ]
    if circuits and (everything or len(circuits) <= _LISTED):
        parts.append(_circuits(circuits))
    return parts


def _funnel(status: EventStatus) -> Text:
    totals = status.totals
    silent = totals.participants - totals.reached
    unseen = f" ({totals.unseen:,} unseen for more than a day)" if totals.unseen else ""
    people = (
        f"{totals.targeted:,} VEN{'' if totals.targeted == 1 else 's'} targeted, {totals.reached:,} reached, "
        f"{totals.opted_in:,} in, {totals.opted_out:,} out, {silent:,} silent{unseen}, {totals.delivering:,} delivering"
    )
    so_far = " so far" if status.state == "active" else ""
    power = (
        f"Asked {kw(totals.requested_kw)} kW, delivered {kw(totals.delivered_kw)} kW; "
        f"asked {kw(totals.requested_kwh)} kWh, delivered {kw(totals.delivered_kwh)} kWh{so_far}"
    )
    lines = [people, power]
    if totals.planned_kwh is not None:
        short = totals.shortfall_kwh or Decimal(0)
        until = " until now" if status.state == "active" else ""
        lines.append(f"As issued: {kw(totals.planned_kwh)} kWh{until}; shortfall {kw(short)} kWh")
    return Text("\n".join(lines))


def _superseded(by: Superseded) -> Text:
    name = f"{visible(by.event_name)} ({by.event_id})" if by.event_name else by.event_id
    until = f" to {local_time(by.end)}" if by.end else ""
    return Text(f"Superseded by {name} for {by.vens:,} VEN(s) from {local_time(by.start)}{until}", "yellow")


def _exceptions(status: EventStatus) -> tuple[Participant, ...]:
    """Return participants that opted out, that deliver too little, then those not reached, unseen first; all if few."""
    if len(status.participants) <= _LISTED:
        return status.participants

    def order(one: Participant) -> int | None:
        if one.opted_in is False:
            return 0
        if one.reached and one.requested_kw and (one.delivered_kw or 0) < one.requested_kw * _ENOUGH:
            return 1
        if one.reached:
            return None
        return 2 if status.totals.unseen is not None and is_unseen(one.last_contact, now=status.at) else 3

    found = [(place, one) for one in status.participants if (place := order(one)) is not None]
    return tuple(one for _, one in sorted(found, key=lambda each: each[0])[:_LISTED])


def kw(value: Decimal | None) -> str:
    """Return a power or energy for a table; a dash when it is not known."""
    return "-" if value is None else f"{value:.2f}"


def _participants(people: Iterable[Participant], status: EventStatus) -> FittedTable:
    numbers = ("Asked kW", "Delivered kW", "Asked kWh", "Delivered kWh", "Short kWh")
    rows = [
        (
            visible(one.name),
            Text("yes", "green") if one.reached else Text("no", "red"),
            _opt(one),
            visible(one.reason or _silence(one, status) or "-"),
            kw(one.requested_kw),
            kw(one.delivered_kw),
            kw(one.requested_kwh),
            kw(one.delivered_kwh),
            kw(one.shortfall_kwh),
            local_time(one.last_report) if one.last_report else "-",
        )
        for one in people
    ]
    headings = ("Participant", "Reached", "In/out", "Reason", *numbers, "Last report")
    return FittedTable(headings, rows, numbers=numbers, least_needed=("Last report", "Asked kWh", "Short kWh"))


def _silence(one: Participant, status: EventStatus) -> str | None:
    """Say when the VTN last heard of one that was not reached, if it tells of contacts."""
    if one.reached or status.totals.unseen is None:
        return None
    return "never seen" if one.last_contact is None else f"last contact {ago(one.last_contact, now=status.at)}"


def _matters(circuit: CircuitStatus) -> bool:
    moved = any((kw or 0) > _WORTH_SHOWING_KW for kw in (circuit.requested_kw, circuit.delivered_kw))
    return moved or circuit.opted_out is not None


def _circuits(circuits: Iterable[tuple[Participant, CircuitStatus]]) -> FittedTable:
    numbers = ("Asked kW", "Original kW", "Curtailed kW", "Delivered kW", "Final kW")
    rows = [
        (
            visible(one.name),
            visible(circuit.name),
            kw(circuit.requested_kw),
            kw(circuit.original_kw),
            kw(circuit.curtailed_kw),
            kw(circuit.delivered_kw),
            kw(circuit.final_kw),
            _state(circuit),
        )
        for one, circuit in circuits
    ]
    headings = ("Participant", "Circuit", *numbers, "State")
    return FittedTable(headings, rows, numbers=numbers, least_needed=("Final kW", "Original kW", "Curtailed kW"))


def _state(circuit: CircuitStatus) -> str:
    state = (circuit.state or "-").lower().replace("_", " ")
    return visible(state if circuit.opted_out is None else f"{state}: {circuit.opted_out}")


def _opt(one: Participant) -> Text:
    if one.opted_in is None:
        return Text("-")
    return Text("in", "green") if one.opted_in else Text("out", "yellow")


def _coloured(state: str) -> tuple[str, str]:
    return state, {"active": "bold green", "scheduled": "cyan", "cancelled": "red"}.get(state, "dim")
