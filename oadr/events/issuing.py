"""Rules for issuing events safely: recipients, total kW, warnings, and reasons to refuse.

Pure functions over OpenADR objects, for every interface that issues events (the command line, a console). Nothing here
reads or writes anything.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_DOWN, Decimal
from typing import Final, Literal, TypeAlias

from msgspec.structs import asdict

from oadr.terminal.quantities import kw_text, local_time
from openadr_profiles.contact import Contact
from openadr_profiles.v31 import (
    NOW,
    ZERO,
    Attribute,
    Duration,
    Event,
    EventPayloadType,
    EventRequest,
    Interval,
    IntervalPeriod,
    Resource,
    Unit,
    ValuesMap,
    Ven,
)
from openadr_profiles.v31.timeline import Timeline
from ven.asks import KW_PER

Basis: TypeAlias = Literal["capacity", "equal"]
"""The way a total is shared out: by what each VEN can shed, or the same for each."""

PLANNED_PERIOD: Final = "PLANNED_PERIOD"
"""Private payload type in a cancelled event: start and length of the interval as it was issued (ISO 8601)."""

MOST_PARTS: Final = 100
"""The most events that one total is divided into."""

_WATT: Final = Decimal("0.001")
_NOTHING: Final = Decimal(0)
_UNSEEN: Final = timedelta(days=1)
_NAMED: Final = 5
_PAST: Final = timedelta(minutes=1)


@dataclass(frozen=True)
class Safety:
    """Limits an event must keep (kW, days), and above how many kW in total issuing must be confirmed."""

    confirm_above_kw: Decimal = Decimal(1_000)
    max_kw_per_ven: Decimal = Decimal(10_000)
    max_total_kw: Decimal = Decimal(1_000_000)
    max_days_ahead: int = 366


@dataclass(frozen=True)
class Recipient:
    """A VEN that an event reaches. ``capacity_kw`` is what it can shed by its own words, None if it has not said.

    ``last_contact`` is when the VTN last heard of it: None if it never did, or if the VTN does not say
    (``contact_known`` is False then).
    """

    ven_id: str
    name: str
    capacity_kw: Decimal | None
    last_contact: datetime | None = None
    contact_known: bool = False


@dataclass(frozen=True)
class Part:
    """One event of a division: the same kW, one for each interval, for every one of its recipients."""

    kw: tuple[Decimal, ...]
    recipients: tuple[Recipient, ...]


@dataclass(frozen=True)
class Division:
    """A total shared out over VENs. ``basis`` says how; ``left_kw`` is what rounding to whole watts leaves over."""

    parts: tuple[Part, ...]
    basis: Basis
    left_kw: Decimal


@dataclass(frozen=True)
class Preview:
    """The consequences of issuing. Each member holds sentences for people; ``confirm`` and ``refused`` are reasons.

    With a reason in ``refused`` nothing may be issued; with one in ``confirm`` a person must agree first.
    """

    summary: tuple[str, ...]
    warnings: tuple[str, ...]
    confirm: tuple[str, ...]
    refused: tuple[str, ...]
    total_kw: Decimal | None
    recipients: int


def reached(targets: Collection[str] | None, vens: Iterable[Ven], resources: Iterable[Resource]) -> list[Ven]:
    """The vens an event is for: all of them if it has no targets, else those that hold one (PRIV-003, PRIV-006).

    A ven holds its own targets, those of its resources, and its id.
    """
    if not targets:
        return list(vens)
    held: dict[str, set[str]] = defaultdict(set)
    for resource in resources:
        held[resource.ven_id] |= set(resource.targets or ())
    wanted = set(targets)
    return [ven for ven in vens if wanted & (held[ven.id] | set(ven.targets or ()) | {ven.id})]


def recipients(
    targets: Collection[str] | None,
    vens: Iterable[Ven],
    resources: Sequence[Resource],
    *,
    contacts: Mapping[str, Contact] | None = None,
) -> list[Recipient]:
    """Return the vens reached and what each can shed. ``contacts`` is by client id, None if the VTN tells of none."""
    by_ven: dict[str, list[Resource]] = defaultdict(list)
    for resource in resources:
        by_ven[resource.ven_id].append(resource)
    return [
        Recipient(
            ven.id,
            ven.ven_name,
            capacity_kw(ven, by_ven[ven.id]),
            last_contact(contacts, ven.client_id),
            contact_known=contacts is not None,
        )
        for ven in reached(targets, vens, resources)
    ]


def last_contact(contacts: Mapping[str, Contact] | None, client_id: str) -> datetime | None:
    """Return when the VTN last heard of a client; None if it never did, or does not say."""
    found = None if contacts is None else contacts.get(client_id)
    return None if found is None else found.last_contact


def is_unseen(last_contact: datetime | None, *, now: datetime) -> bool:
    """Return True for a VEN that was not heard of for more than a day, or never: it may miss an event."""
    return last_contact is None or last_contact < now - _UNSEEN


def capacity_kw(ven: Ven, resources: Sequence[Resource]) -> Decimal | None:
    """Return what a ven can shed, in kW; None if unknown.

    The sum of its resources' rated kW times their shed share, without critical ones; else the ven's own kW.
    """
    parts = [_resource_kw(each.attributes) for each in resources]
    known = [kw for kw in parts if kw is not None]
    if known:
        return sum(known, _NOTHING)
    return _number(_attributes(ven.attributes).get(Attribute.MAX_POWER_CONSUMPTION))


def share_out(total_kw: Sequence[Decimal], to: Sequence[Recipient], *, basis: Basis = "capacity") -> Division:
    """Share a total, one for each interval, out over VENs.

    By capacity each VEN gets its part of the sum of all capacities; if one VEN has not said what it can shed, all get
    the same (``basis`` of the result says so). Parts are rounded down to whole watts. VENs of equal parts form one
    event; a VEN whose part is nothing gets none.

    Raises:
        ValueError: nobody to share among, nobody can shed anything, or more than MOST_PARTS different parts.
    """
    if not to:
        raise ValueError("nobody is reached, so there is nobody to share a total among")
    known = [recipient.capacity_kw for recipient in to if recipient.capacity_kw is not None]
    by_capacity = basis == "capacity" and len(known) == len(to)
    weights = known if by_capacity else [Decimal(1)] * len(to)
    whole = sum(weights, _NOTHING)
    if whole <= 0:
        raise ValueError("none of those who are reached can shed anything by their own words; try --share equal")
    groups: dict[tuple[Decimal, ...], list[Recipient]] = defaultdict(list)
    left = max(total_kw)
    for recipient, weight in zip(to, weights, strict=True):
        kw = tuple((each * weight / whole).quantize(_WATT, ROUND_DOWN) for each in total_kw)
        left -= max(kw)
        if any(kw) or not any(total_kw):
            groups[kw].append(recipient)
    if not groups:
        raise ValueError("the total comes to less than a watt for each")
    if len(groups) > MOST_PARTS:
        raise ValueError(
            f"VENs can shed so differently that this would be {len(groups)} events, more than {MOST_PARTS}; "
            "try --share equal"
        )
    parts = tuple(Part(kw, tuple(members)) for kw, members in sorted(groups.items(), reverse=True))
    return Division(parts, "capacity" if by_capacity else "equal", max(_NOTHING, left))


def asked_kw(request: EventRequest) -> Decimal | None:
    """The largest change of power that an event asks of each VEN, in kW without sign; None if it does not say in kW."""
    found = [_relative_kw(request, interval.payloads) for interval in request.intervals or ()]
    return max((abs(kw) for values in found for kw in values), default=None)


def asked_by_ven_kw(request: EventRequest, payloads: Iterable[ValuesMap]) -> Decimal | None:
    """The shed that the payloads of an interval ask of each VEN, in kW; None if they ask for none in kW.

    Several values share the interval's time equally (TIME-029), so their mean counts.
    """
    values = _relative_kw(request, payloads)
    return None if not values else -sum(values, _NOTHING) / len(values)


def _relative_kw(request: EventRequest, payloads: Iterable[ValuesMap]) -> list[Decimal]:
    factor = KW_PER.get((_units(request) or Unit.KW).upper())
    return [
        Decimal(str(value)) * factor
        for payload in payloads
        if payload.type == EventPayloadType.DISPATCH_SETPOINT_RELATIVE and factor is not None
        for value in payload.values
        if isinstance(value, int | float) and not isinstance(value, bool)
    ]


def _units(request: EventRequest) -> str | None:
    """Return the units of relative setpoints by the event's own descriptors; None if it leaves them to its program."""
    units = {each.payload_type: each.units for each in request.payload_descriptors or ()}
    return units.get(EventPayloadType.DISPATCH_SETPOINT_RELATIVE)


def examine(
    requests: Sequence[tuple[EventRequest, Sequence[Recipient]]],
    others: Iterable[Event],
    vens: Sequence[Ven],
    resources: Sequence[Resource],
    *,
    now: datetime,
    safety: Safety,
) -> Preview:
    """Judge events before they are issued, each with its recipients, against the limits and the ``others`` there are.

    ``others`` are events of the VTN that are not over; those being replaced must not be among them.
    """
    preview = _Draft([], [], [], [])
    total: Decimal | None = None
    for request, to in requests:
        timeline = Timeline.of(_imagined(request, now), anchor=now)
        _examine_time(preview, timeline, now, safety)
        kw, when = asked_kw(request), _when(timeline)
        if kw is not None:
            total = (total or _NOTHING) + kw * len(to)
        _examine_units(preview, request)
        _examine_power(preview, kw, len(to), when, safety)
        if not request.targets:
            preview.confirm.append("it goes to everybody")
    everybody = [recipient for _, to in requests for recipient in to]
    if total is not None:
        _examine_total(preview, total, safety)
        if len(requests) > 1:
            preview.summary.append(f"{len(requests)} events, {_vens(len(everybody))}, {kw_text(total)} in total")
    if not everybody:
        preview.warnings.append("nobody is reached: no VEN holds one of these targets")
    preview.warnings.extend(_unseen(everybody, now))
    preview.warnings.extend(_overlaps(requests, others, vens, resources, now))
    return Preview(
        summary=tuple(dict.fromkeys(preview.summary)),
        warnings=tuple(dict.fromkeys(preview.warnings)),
        confirm=tuple(dict.fromkeys(preview.confirm)),
        refused=tuple(dict.fromkeys(preview.refused)),
        total_kw=total,
        recipients=len(everybody),
    )


def overriding(event: Event, others: Iterable[Event]) -> list[tuple[Event, datetime, datetime | None]]:
    """The events that take an event's place for a while, and from when to when (TIME-036, TIME-037).

    They ask for the same payload type at the same time, and have a higher priority or, with the same one, were modified
    later. The caller has to check whether they are for the same VENs.
    """
    mine, asked = Timeline.of(event, anchor=event.modification_date_time), _payload_types(event)
    found = []
    for other in others:
        if other.id == event.id or _rank(other) < _rank(event) or not asked & _payload_types(other):
            continue
        theirs = Timeline.of(other, anchor=other.modification_date_time)
        start = max(mine.start, theirs.start)
        end = min((end for end in (mine.end, theirs.end) if end is not None), default=None)
        if not theirs.cancelled and (end is None or start < end):
            found.append((other, start, end))
    return sorted(found, key=lambda each: each[1])


def cancelled(event: Event) -> EventRequest:
    """The event called off as the standard does it: no length, at the beginning of time (EVT-019, PAGE-030).

    When each interval was planned stays in it as a payload PLANNED_PERIOD, so that the plan as issued can be read.
    """
    timeline = Timeline.of(event, anchor=event.modification_date_time)
    placed = map(timeline.window, range(timeline.count if event.intervals else 0))
    windows = {window.interval_index: window for window in placed if window is not None}
    intervals = []
    for index, interval in enumerate(event.intervals or ()):
        payloads = interval.payloads
        window = windows.get(index)
        if window is not None and not any(payload.type == PLANNED_PERIOD for payload in payloads):
            end = window.full_end
            length = "P9999Y" if end is None else Duration.of(end - window.start).text
            start = window.start.isoformat().replace("+00:00", "Z")
            payloads = (*payloads, ValuesMap(type=PLANNED_PERIOD, values=(start, length)))
        intervals.append(Interval(id=interval.id, payloads=payloads))
    return EventRequest(
        program_id=event.program_id,
        event_name=event.event_name,
        priority=event.priority,
        targets=event.targets,
        payload_descriptors=event.payload_descriptors,
        interval_period=IntervalPeriod(start=NOW, duration=ZERO),
        intervals=tuple(intervals),
    )


def planned(event: Event) -> tuple[datetime, datetime | None] | None:
    """Start and end of a cancelled event as it was issued; None if it does not say (another client cancelled it)."""
    edges: list[tuple[datetime, datetime | None]] = []
    for interval in event.intervals or ():
        for payload in interval.payloads:
            if payload.type == PLANNED_PERIOD and len(payload.values) == 2:
                try:
                    start = datetime.fromisoformat(str(payload.values[0]))
                    end = Duration.parse(str(payload.values[1])).after(start)
                except ValueError:
                    continue
                if start.tzinfo is not None:
                    edges.append((start, end))
    if not edges:
        return None
    ends = [end for _, end in edges]
    return min(start for start, _ in edges), None if None in ends else max(end for end in ends if end is not None)


@dataclass(frozen=True)
class _Draft:
    """A preview while it is being written."""

    summary: list[str]
    warnings: list[str]
    confirm: list[str]
    refused: list[str]


def _examine_time(preview: _Draft, timeline: Timeline, now: datetime, safety: Safety) -> None:
    if (timeline.end or timeline.start) > now + timedelta(days=safety.max_days_ahead):
        preview.refused.append(f"it ends more than {safety.max_days_ahead} days ahead (max_days_ahead)")
    if timeline.cancelled:
        return
    if timeline.transpired(now):
        preview.warnings.append(f"it is over already: it ended {local_time(timeline.end or now)}")
        preview.confirm.append("it is over already")
    elif timeline.start < now - _PAST:
        preview.warnings.append(f"its start is in the past, {local_time(timeline.start)}: what is left holds at once")


def _examine_units(preview: _Draft, request: EventRequest) -> None:
    """Refuse power whose units are left to the program, and ask about units that VENs do not read as power."""
    if EventPayloadType.DISPATCH_SETPOINT_RELATIVE not in _payload_types(request):
        return
    units = _units(request)
    if units is None:
        preview.refused.append(
            "it does not say the units of its power: add a descriptor of DISPATCH_SETPOINT_RELATIVE with units KW, W "
            "or MW to payloadDescriptors"
        )
    elif units.upper() not in KW_PER:
        preview.confirm.append(f"its power is in {units}, so no limit in kW can be checked; expected KW, W or MW")


def _examine_power(preview: _Draft, kw: Decimal | None, count: int, when: str, safety: Safety) -> None:
    if kw is None:
        preview.summary.append(f"{_vens(count)}, {when}")
        return
    preview.summary.append(f"{_vens(count)} x {kw_text(kw)} = {kw_text(kw * count)}, {when}")
    if kw > safety.max_kw_per_ven:
        most = kw_text(safety.max_kw_per_ven)
        preview.refused.append(f"{kw_text(kw)} for each VEN is above {most} (max_kw_per_ven)")


def _examine_total(preview: _Draft, total: Decimal, safety: Safety) -> None:
    if total > safety.max_total_kw:
        preview.refused.append(f"{kw_text(total)} in total is above {kw_text(safety.max_total_kw)} (max_total_kw)")
    if total > safety.confirm_above_kw:
        most = kw_text(safety.confirm_above_kw)
        preview.confirm.append(f"it asks for {kw_text(total)} in total, more than {most} (confirm_above_kw)")


def _unseen(recipients: Sequence[Recipient], now: datetime) -> list[str]:
    """Name those who may not hear of an event, because they were not heard of for more than a day."""
    known = [each for each in recipients if each.contact_known]
    never = [each.name for each in known if each.last_contact is None]
    long = [each.name for each in known if each.last_contact is not None and is_unseen(each.last_contact, now=now)]
    found = []
    for names, what in ((long, "unseen for more than a day"), (never, "never seen")):
        if names:
            few = ", ".join(names[:_NAMED]) + (", ..." if len(names) > _NAMED else "")
            found.append(f"{len(names):,} of {_vens(len(recipients))} {what}: {few}")
    return found


def _overlaps(
    requests: Sequence[tuple[EventRequest, Sequence[Recipient]]],
    others: Iterable[Event],
    vens: Sequence[Ven],
    resources: Sequence[Resource],
    now: datetime,
) -> list[str]:
    audiences = [(other, {ven.id for ven in reached(other.targets, vens, resources)}) for other in others]
    found = []
    for request, to in requests:
        new, ids = _imagined(request, now), {recipient.ven_id for recipient in to}
        shared = [(other, len(ids & theirs)) for other, theirs in audiences if ids & theirs]
        for other, count in shared:
            if overriding(other, [new]):
                found.append(f"it takes the place of event {_named(other)} for {_vens(count)}")
            elif overriding(new, [other]):
                found.append(f"event {_named(other)} has priority over it for {_vens(count)}: it may change nothing")
    return found


def _imagined(request: EventRequest, now: datetime) -> Event:
    return Event(id="new", created_date_time=now, modification_date_time=now, **asdict(request))


def _resource_kw(attributes: Iterable[ValuesMap] | None) -> Decimal | None:
    said = _attributes(attributes)
    rated = _number(said.get(Attribute.MAX_POWER_CONSUMPTION))
    if said.get("CRITICAL") is True:
        return _NOTHING
    share = _number(said.get("SHED_SHARE"))
    return rated if rated is None or share is None else rated * min(share, Decimal(1))


def _attributes(attributes: Iterable[ValuesMap] | None) -> dict[str, object]:
    return {each.type: each.values[0] for each in attributes or () if each.values}


def _number(value: object) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 10**9:
        return None
    return Decimal(str(value))


def _payload_types(event: EventRequest) -> set[str]:
    return {payload.type for interval in event.intervals or () for payload in interval.payloads}


def _rank(event: Event) -> tuple[bool, int, datetime, str]:
    return event.priority is not None, -(event.priority or 0), event.modification_date_time, event.id


def _when(timeline: Timeline) -> str:
    start = local_time(timeline.start)
    if timeline.end is None:
        return f"from {start} without end"
    end = timeline.end.astimezone()
    same_day = end.date() == timeline.start.astimezone().date()
    return f"{start} to {end:%H:%M:%S}" if same_day else f"{start} to {local_time(timeline.end)}"


def _vens(count: int) -> str:
    return f"{count:,} VEN" + ("" if count == 1 else "s")


def _named(event: Event) -> str:
    return f"{event.event_name} ({event.id[:8]})" if event.event_name else event.id[:8]
