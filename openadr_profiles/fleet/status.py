"""The status of an event: who was targeted, reached, in or out, and the kW requested and delivered, per circuit.

Joined purely from objects of the VTN (event, vens, resources, reports), so it is the same for homes and for panels
behind a bridge, and works for any VTN. Rules without I/O.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from openadr_profiles.contact import Contact
from openadr_profiles.fleet.cancellation import planned
from openadr_profiles.fleet.power import asked_by_ven_kw
from openadr_profiles.fleet.precedence import overriding
from openadr_profiles.fleet.recipients import is_unseen, last_contact, reached
from openadr_profiles.fleet.reports import (
    Opt,
    Shed,
    ShedInterval,
    is_opt_report,
    is_status_report,
    read_opts,
    read_status,
)
from openadr_profiles.v31 import AGGREGATED_REPORT, Event, Report, ReportResource, Resource, Ven
from openadr_profiles.v31.timeline import Timeline

_SECONDS_PER_HOUR = 3600
_OVER = ("completed", "cancelled")


@dataclass(frozen=True)
class CircuitStatus:
    """One circuit (or whatever a ven calls a resource) in the interval that is shown; kW, None is "not reported"."""

    name: str
    requested_kw: Decimal | None
    original_kw: Decimal | None
    curtailed_kw: Decimal | None
    delivered_kw: Decimal | None
    final_kw: Decimal | None
    state: str | None
    opted_out: str | None = None
    """Say why this circuit alone does not take part, as when its owner has switched it by hand; None if it does."""


@dataclass(frozen=True)
class Participant:
    """A ven, or one panel behind a bridge. ``reached`` means that it has answered about this event at all.

    ``requested_kw`` and ``delivered_kw`` are those of the interval that holds, and of the last one once the event is
    over; None while none holds, and for one that has opted out.
    """

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
    circuits: tuple[CircuitStatus, ...]
    reports: int
    planned_kwh: Decimal | None = None
    """Energy the event as issued asks of this ven until now; None for a panel and for events that do not ask in kW."""
    shortfall_kwh: Decimal | None = None
    """The part of it that was not delivered."""
    last_report: datetime | None = None
    last_contact: datetime | None = None
    """When the VTN last heard of its ven; None if it never did, or does not tell."""


@dataclass(frozen=True)
class Superseded:
    """Another event that took this one's place for some or all of its vens, from ``start`` to ``end``."""

    event_id: str
    event_name: str | None
    start: datetime
    end: datetime | None
    vens: int


@dataclass(frozen=True)
class Totals:
    """Sums over an event. ``targeted`` counts vens, the others participants (panels behind a bridge count each)."""

    targeted: int = 0
    participants: int = 0
    reached: int = 0
    unseen: int | None = None
    """The silent ones that were not heard of for more than a day, or never; None if the VTN does not tell."""
    opted_in: int = 0
    opted_out: int = 0
    delivering: int = 0
    requested_kw: Decimal = Decimal(0)
    delivered_kw: Decimal = Decimal(0)
    planned_kwh: Decimal | None = None
    requested_kwh: Decimal = Decimal(0)
    delivered_kwh: Decimal = Decimal(0)
    shortfall_kwh: Decimal | None = None


@dataclass(frozen=True)
class EventStatus:
    """An event and its participants at a moment. ``state`` is scheduled, active, completed or cancelled."""

    event_id: str
    event_name: str | None
    state: str
    start: datetime
    end: datetime | None
    participants: tuple[Participant, ...]
    at: datetime
    """The moment for which all this holds."""
    totals: Totals = Totals()
    superseded_by: tuple[Superseded, ...] = ()
    cancelled_at: datetime | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the same as plain values; powers and energies as numbers."""
        plain: dict[str, Any] = _plain(asdict(self))
        return plain


def event_status(
    event: Event,
    vens: Sequence[Ven],
    resources: Sequence[Resource],
    reports: Sequence[Report],
    *,
    at: datetime,
    others: Iterable[Event] = (),
    contacts: Mapping[str, Contact] | None = None,
) -> EventStatus:
    """Join the objects. ``reports`` may hold reports of other events; they are left out.

    ``others`` are the VTN's other events: those that took this one's place are named. start and end are the event's as
    issued, also when it was cancelled. ``contacts`` is by client id, None if the VTN tells of none.
    """
    timeline = Timeline.of(event, anchor=event.modification_date_time)
    by_client: dict[str, list[Report]] = defaultdict(list)
    for report in sorted(reports, key=lambda one: one.modification_date_time):  # of two words the later one counts
        if report.event_id == event.id:
            by_client[report.client_id].append(report)
    to = sorted(targeted(event, vens, resources), key=lambda ven: ven.ven_name)
    ended = event.modification_date_time if timeline.cancelled else at
    is_over = state_of(timeline, at) in _OVER
    participants = [
        replace(participant, last_contact=last_contact(contacts, ven.client_id))
        for ven in to
        for participant in _participants(ven, event, by_client[ven.client_id], at, min(at, ended), is_over=is_over)
    ]
    start, end = planned(event) or (timeline.start, timeline.end)
    return EventStatus(
        event_id=event.id,
        event_name=event.event_name,
        state=state_of(timeline, at),
        start=start,
        end=end,
        participants=tuple(participants),
        at=at,
        totals=replace(
            _totals(event, timeline, participants, len(to), at),
            unseen=None
            if contacts is None
            else sum(not each.reached and is_unseen(each.last_contact, now=at) for each in participants),
        ),
        superseded_by=_superseded(event, others, to, vens, resources),
        cancelled_at=event.modification_date_time if timeline.cancelled else None,
    )


def _superseded(
    event: Event, others: Iterable[Event], to: Sequence[Ven], vens: Sequence[Ven], resources: Sequence[Resource]
) -> tuple[Superseded, ...]:
    mine = {ven.id for ven in to}
    found = []
    for other, start, end in overriding(event, others):
        count = len(mine & {ven.id for ven in reached(other.targets, vens, resources)})
        if count:
            found.append(Superseded(other.id, other.event_name, start, end, count))
    return tuple(found)


def _totals(
    event: Event, timeline: Timeline, participants: Sequence[Participant], targeted_count: int, at: datetime
) -> Totals:
    def total(quantity: str) -> Decimal:
        known = (getattr(each, quantity) for each in participants)
        return sum((value for value in known if value is not None), Decimal(0))

    each_kwh = planned_kwh(event, timeline, at)
    whole_kwh = None if each_kwh is None else each_kwh * targeted_count
    delivered_kwh = total("delivered_kwh")
    return Totals(
        targeted=targeted_count,
        participants=len(participants),
        reached=sum(each.reached for each in participants),
        opted_in=sum(each.opted_in is True for each in participants),
        opted_out=sum(each.opted_in is False for each in participants),
        delivering=sum((each.delivered_kw or 0) > 0 for each in participants),
        requested_kw=total("requested_kw"),
        delivered_kw=total("delivered_kw"),
        planned_kwh=whole_kwh,
        requested_kwh=total("requested_kwh"),
        delivered_kwh=delivered_kwh,
        shortfall_kwh=None if whole_kwh is None else max(Decimal(0), whole_kwh - delivered_kwh),
    )


def planned_kwh(event: Event, timeline: Timeline, at: datetime) -> Decimal | None:
    """Return the kWh that the event as issued asks of each ven up to a moment; None if it does not ask in kW.

    A cancelled event asks for nothing from the moment of its cancellation; what was planned before is not counted.
    """
    if timeline.cancelled:
        return None
    total, found = Decimal(0), False
    for window in timeline.windows(until=at):
        kw = asked_by_ven_kw(event, window.payloads)
        if kw is None:
            continue
        found = True
        end = at if window.end is None else min(window.end, at)
        total += kw * Decimal(max(0.0, (end - window.start).total_seconds())) / _SECONDS_PER_HOUR
    if not found and all(asked_by_ven_kw(event, each.payloads) is None for each in event.intervals or ()):
        return None
    return total.quantize(Decimal("0.001"))


def targeted(event: Event, vens: Iterable[Ven], resources: Iterable[Resource]) -> list[Ven]:
    """Return the vens an event is for (``recipients.reached``)."""
    return reached(event.targets, vens, resources)


def state_of(timeline: Timeline, at: datetime) -> str:
    """Return ``scheduled``, ``active``, ``completed`` or ``cancelled``."""
    if timeline.cancelled:
        return "cancelled"
    if timeline.transpired(at):
        return "completed"
    return "active" if timeline.start <= at else "scheduled"


def _participants(
    ven: Ven, event: Event, reports: Sequence[Report], at: datetime, until: datetime, *, is_over: bool
) -> list[Participant]:
    event_id = event.id
    opts: dict[str, Opt] = {}
    done: list[ReportResource] = []
    for report in reports:
        if is_opt_report(report.report_name, event_id):
            opts |= {opt.resource_name: opt for opt in read_opts(report.resources)}
        elif is_status_report(report.report_name, event_id):
            done += report.resources
    intervals = read_status(done)
    last = max((report.modification_date_time for report in reports), default=None)
    panels = [] if AGGREGATED_REPORT in opts else sorted(opts)  # a ven that speaks for itself has circuits, no panels
    if panels:
        found = [
            _participant(panel, panel, ven, opts[panel], intervals, len(reports), at, until, is_over=is_over)
            for panel in panels
        ]
        return [replace(each, last_report=last) for each in found]
    its_opt = opts.get(AGGREGATED_REPORT)
    one = _participant(ven.ven_name, None, ven, its_opt, intervals, len(reports), at, until, is_over=is_over)
    asked_kwh = planned_kwh(event, Timeline.of(event, anchor=event.modification_date_time), at)
    short_kwh = None if asked_kwh is None else max(Decimal(0), asked_kwh - one.delivered_kwh)
    circuits = tuple(_with_opt(circuit, opts.get(circuit.name)) for circuit in one.circuits)
    one = replace(one, circuits=circuits)
    return [replace(one, planned_kwh=asked_kwh, shortfall_kwh=short_kwh, last_report=last)]


def _participant(
    name: str,
    panel: str | None,
    ven: Ven,
    opt: Opt | None,
    intervals: Sequence[ShedInterval],
    reports: int,
    at: datetime,
    until: datetime,
    *,
    is_over: bool,
) -> Participant:
    total = panel or AGGREGATED_REPORT
    prefix = f"{panel}/" if panel else ""
    its = [_only(interval, total, prefix) for interval in intervals]
    sheds = _shown(its, total, at)
    whole = sheds.pop(total, None)
    if not (opt is None or opt.opted_in) or not (is_over or _holds(its, total, at)):
        whole = None
    circuits = tuple(_circuit(shed, prefix) for shed in sheds.values())
    out_at = opt.decided_at if opt is not None and not opt.opted_in and opt.decided_at is not None else until
    return Participant(
        name=name,
        ven_name=ven.ven_name,
        client_id=ven.client_id,
        reached=opt is not None,
        opted_in=opt.opted_in if opt else None,
        reason=opt.reason if opt else None,
        requested_kw=whole.requested_kw if whole else None,
        delivered_kw=whole.delivered_kw if whole else None,
        requested_kwh=_energy_kwh(intervals, total, "requested_kw", until, out_at),
        delivered_kwh=_energy_kwh(intervals, total, "delivered_kw", until, out_at),
        circuits=circuits,
        reports=reports,
    )


def _only(interval: ShedInterval, total: str, prefix: str) -> ShedInterval:
    """Return what an interval says of one participant and its circuits: a panel has intervals of its own."""
    return replace(
        interval,
        sheds=tuple(
            shed
            for shed in interval.sheds
            if shed.resource_name == total
            or (shed.resource_name != AGGREGATED_REPORT and shed.resource_name.startswith(prefix))
        ),
    )


def _shown(intervals: Sequence[ShedInterval], total: str, at: datetime) -> dict[str, Shed]:
    """Return by resource what holds, or what held last: the interval is that of the participant as a whole, if any."""
    begun = [interval for interval in intervals if interval.start <= at and interval.sheds]
    of_total = [one for one in begun if any(shed.resource_name == total for shed in one.sheds)]
    if not begun:
        return {}
    start = (of_total or begun)[-1].start
    return {shed.resource_name: shed for one in begun if one.start == start for shed in one.sheds}


def _holds(intervals: Sequence[ShedInterval], total: str, at: datetime) -> bool:
    """Return True if the last interval of a participant that has begun is not over."""
    begun = [one for one in intervals if one.start <= at and any(each.resource_name == total for each in one.sheds)]
    return bool(begun) and (begun[-1].end is None or begun[-1].end > at)


def _circuit(shed: Shed, prefix: str) -> CircuitStatus:
    return CircuitStatus(
        name=shed.resource_name.removeprefix(prefix),
        requested_kw=shed.requested_kw,
        original_kw=shed.original_kw,
        curtailed_kw=shed.curtailed_kw,
        delivered_kw=shed.delivered_kw,
        final_kw=shed.final_kw,
        state=shed.state.value if shed.state else None,
    )


def _with_opt(circuit: CircuitStatus, opt: Opt | None) -> CircuitStatus:
    if opt is None or opt.opted_in:
        return circuit
    return replace(circuit, opted_out=opt.reason or "", state=opt.state.value)


def _energy_kwh(
    intervals: Iterable[ShedInterval], resource_name: str, quantity: str, at: datetime, out_at: datetime
) -> Decimal:
    """Power times the time that has passed, in Decimal so that parts add up.

    An interval without an end ends when its participant opted out, if it did.
    """
    total = Decimal(0)
    for interval in intervals:
        end = min(out_at if interval.end is None else interval.end, at)
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
