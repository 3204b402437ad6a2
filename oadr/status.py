"""What became of an event: who was targeted, reached, in or out, and how much was asked and delivered, per circuit.

Joined purely from objects of the VTN (event, vens, resources, reports), so it is the same for homes and for panels
behind a bridge, and works for any VTN. Rules without I/O.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from openadr_profiles.v31 import AGGREGATED_REPORT, Event, Report, Resource, Ven
from openadr_profiles.v31.timeline import Timeline
from ven.report_shapes import Opt, Shed, ShedInterval, opt_report_name, read_opts, read_status, status_report_name

_SECONDS_PER_HOUR = 3600


@dataclass(frozen=True)
class Circuit:
    """One circuit (or whatever a ven calls a resource) in the interval that is shown; kW, None is "not reported"."""

    name: str
    requested_kw: Decimal | None
    original_kw: Decimal | None
    curtailed_kw: Decimal | None
    delivered_kw: Decimal | None
    final_kw: Decimal | None
    state: str | None


@dataclass(frozen=True)
class Participant:
    """A ven, or one panel behind a bridge. ``reached`` means that it has answered about this event at all."""

    name: str
    ven_name: str
    client_id: str
    reached: bool
    opted_in: bool | None
    reason: str | None
    requested_kw: Decimal | None
    delivered_kw: Decimal | None
    requested_kwh: Decimal
    delivered_kwh: Decimal
    circuits: tuple[Circuit, ...]
    reports: int


@dataclass(frozen=True)
class EventStatus:
    """An event and its participants at a moment. ``state`` is scheduled, active, completed or cancelled."""

    event_id: str
    event_name: str | None
    state: str
    start: datetime
    end: datetime | None
    participants: tuple[Participant, ...]

    def as_json(self) -> dict[str, Any]:
        """The same as plain values; powers and energies as numbers."""
        plain: dict[str, Any] = _plain(asdict(self))
        return plain


def event_status(
    event: Event, vens: Sequence[Ven], resources: Sequence[Resource], reports: Sequence[Report], *, at: datetime
) -> EventStatus:
    """Join the objects. ``reports`` may hold reports of other events; they are left out."""
    timeline = Timeline.of(event, anchor=event.modification_date_time)
    by_client: dict[str, list[Report]] = defaultdict(list)
    for report in reports:
        if report.event_id == event.id:
            by_client[report.client_id].append(report)
    participants = [
        participant
        for ven in sorted(targeted(event, vens, resources), key=lambda ven: ven.ven_name)
        for participant in _participants(ven, event.id, by_client[ven.client_id], at)
    ]
    return EventStatus(
        event_id=event.id,
        event_name=event.event_name,
        state=state_of(timeline, at),
        start=timeline.start,
        end=timeline.end,
        participants=tuple(participants),
    )


def targeted(event: Event, vens: Iterable[Ven], resources: Iterable[Resource]) -> list[Ven]:
    """The vens an event is for: all of them if it has no targets, else those that hold one (PRIV-003, PRIV-006)."""
    if not event.targets:
        return list(vens)
    held: dict[str, set[str]] = defaultdict(set)
    for resource in resources:
        held[resource.ven_id] |= set(resource.targets or ())
    wanted = set(event.targets)
    return [ven for ven in vens if wanted & (held[ven.id] | set(ven.targets or ()) | {ven.id})]


def state_of(timeline: Timeline, at: datetime) -> str:
    """scheduled, active, completed or cancelled."""
    if timeline.cancelled:
        return "cancelled"
    if timeline.transpired(at):
        return "completed"
    return "active" if timeline.start <= at else "scheduled"


def _participants(ven: Ven, event_id: str, reports: Sequence[Report], at: datetime) -> list[Participant]:
    opts: dict[str, Opt] = {}
    intervals: tuple[ShedInterval, ...] = ()
    for report in reports:
        if report.report_name == opt_report_name(event_id):
            opts = {opt.resource_name: opt for opt in read_opts(report.resources)}
        elif report.report_name == status_report_name(event_id):
            intervals = read_status(report.resources)
    panels = sorted(name for name in opts if name != AGGREGATED_REPORT)
    if not panels:
        return [_participant(ven.ven_name, None, ven, opts.get(AGGREGATED_REPORT), intervals, len(reports), at)]
    return [_participant(panel, panel, ven, opts[panel], intervals, len(reports), at) for panel in panels]


def _participant(
    name: str,
    panel: str | None,
    ven: Ven,
    opt: Opt | None,
    intervals: Sequence[ShedInterval],
    reports: int,
    at: datetime,
) -> Participant:
    total = panel or AGGREGATED_REPORT
    prefix = f"{panel}/" if panel else ""
    shown = _shown(intervals, at)
    sheds = {shed.resource_name: shed for shed in (shown.sheds if shown else ())}
    circuits = tuple(
        _circuit(shed, prefix)
        for shed in sheds.values()
        if shed.resource_name not in {total, AGGREGATED_REPORT} and shed.resource_name.startswith(prefix)
    )
    whole = sheds.get(total)
    return Participant(
        name=name,
        ven_name=ven.ven_name,
        client_id=ven.client_id,
        reached=opt is not None,
        opted_in=opt.opted_in if opt else None,
        reason=opt.reason if opt else None,
        requested_kw=whole.requested_kw if whole else None,
        delivered_kw=whole.delivered_kw if whole else None,
        requested_kwh=_energy_kwh(intervals, total, "requested_kw", at),
        delivered_kwh=_energy_kwh(intervals, total, "delivered_kw", at),
        circuits=circuits,
        reports=reports,
    )


def _shown(intervals: Sequence[ShedInterval], at: datetime) -> ShedInterval | None:
    """The interval that holds, else the last one that has begun."""
    begun = [interval for interval in intervals if interval.start <= at]
    return begun[-1] if begun else None


def _circuit(shed: Shed, prefix: str) -> Circuit:
    return Circuit(
        name=shed.resource_name.removeprefix(prefix),
        requested_kw=shed.requested_kw,
        original_kw=shed.original_kw,
        curtailed_kw=shed.curtailed_kw,
        delivered_kw=shed.delivered_kw,
        final_kw=shed.final_kw,
        state=shed.state.value if shed.state else None,
    )


def _energy_kwh(intervals: Iterable[ShedInterval], resource_name: str, quantity: str, at: datetime) -> Decimal:
    """Power times the time that has passed, in Decimal so that parts add up."""
    total = Decimal(0)
    for interval in intervals:
        end = at if interval.end is None else min(interval.end, at)
        hours = Decimal(max(0.0, (end - interval.start).total_seconds())) / _SECONDS_PER_HOUR
        for shed in interval.sheds:
            kw: Decimal | None = getattr(shed, quantity)
            if shed.resource_name == resource_name and kw is not None:
                total += kw * hours
    return total.quantize(Decimal("0.001"))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    return value
