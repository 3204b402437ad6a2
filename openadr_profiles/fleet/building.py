"""Build the event that somebody asks for in kW or levels, and change one that exists. Rules without I/O."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

import msgspec

from openadr_profiles.fleet.division import Division
from openadr_profiles.fleet.recipients import Recipient
from openadr_profiles.v31 import (
    Duration,
    Event,
    EventPayloadDescriptor,
    EventPayloadType,
    EventRequest,
    Interval,
    IntervalPeriod,
    ReadingType,
    ReportDescriptor,
    ReportPayloadType,
    Start,
    Unit,
    Value,
    ValuesMap,
)
from openadr_profiles.v31.timeline import Timeline

REPORTS: Final = (
    ReportDescriptor(payload_type=ReportPayloadType.USAGE, reading_type=ReadingType.SUMMED, units=Unit.KWH),
    ReportDescriptor(payload_type=ReportPayloadType.DEMAND, reading_type=ReadingType.MEAN, units=Unit.KW),
    ReportDescriptor(payload_type=ReportPayloadType.BASELINE, reading_type=ReadingType.ESTIMATED, units=Unit.KW),
)
"""Hold what VENs are asked to report at the end: energy, power and baseline."""


class EventNotChangeable(ValueError):
    """An event cannot be changed by saying what differs. ``instead`` is what has to be given in its place."""

    def __init__(self, problem: str, *, instead: str) -> None:
        super().__init__(problem)
        self.instead = instead


def reduction_event(
    program_id: str,
    payload_type: EventPayloadType,
    values: Sequence[Value],
    *,
    start: datetime,
    length: timedelta,
    targets: Sequence[str] = (),
    name: str | None = None,
    priority: int | None = None,
    report: bool = True,
) -> EventRequest:
    """Return an event of consecutive intervals of equal length, one per value.

    A shed is a negative DISPATCH_SETPOINT_RELATIVE in kW. With ``report``, every VEN is asked for USAGE, DEMAND and
    BASELINE per circuit at the end.
    """
    each = Duration.of(length / len(values))
    in_kw = payload_type is not EventPayloadType.SIMPLE
    return EventRequest(
        program_id=program_id,
        event_name=name,
        priority=priority,
        targets=tuple(targets) or None,
        interval_period=IntervalPeriod(start=Start.of(start), duration=each),
        payload_descriptors=(EventPayloadDescriptor(payload_type=payload_type, units=Unit.KW),) if in_kw else None,
        report_descriptors=REPORTS if report else None,
        intervals=tuple(
            Interval(id=index, payloads=(ValuesMap(type=payload_type, values=(value,)),))
            for index, value in enumerate(values)
        ),
    )


def changed(
    event: Event,
    asked: tuple[EventPayloadType, list[Value]] | None,
    start: datetime | None,
    length: timedelta | None,
) -> EventRequest:
    """Return the event with other values, another start or another length; None keeps what it has.

    A new length is shared out equally over the intervals. Raises EventNotChangeable if the event repeats or has no end,
    since then nothing says what its length is.
    """
    request = EventRequest(**{name: getattr(event, name) for name in EventRequest.__struct_fields__})
    if asked is None and start is None and length is None:
        return request
    timeline = Timeline.of(event, anchor=event.modification_date_time)
    if timeline.cancelled or timeline.cycle is not None or timeline.end is None:
        kind = "is cancelled" if timeline.cancelled else "has no end" if timeline.end is None else "repeats"
        raise EventNotChangeable(f"event {event.id} {kind}", instead="the whole event")
    begin, whole = start or timeline.start, length or timeline.end - timeline.start
    if asked is not None:
        type_, values = asked
        new = reduction_event(event.program_id, type_, values, start=begin, length=whole)
        return msgspec.structs.replace(
            request,
            duration=None,
            interval_period=new.interval_period,
            payload_descriptors=new.payload_descriptors,
            intervals=new.intervals,
        )
    intervals = event.intervals or ()
    if length is not None:
        each = Duration.of(whole / max(1, len(intervals)))
        plain_intervals = tuple(Interval(id=one.id, payloads=one.payloads) for one in intervals)
        period = IntervalPeriod(start=Start.of(begin), duration=each)
        return msgspec.structs.replace(
            request, duration=None, interval_period=period, intervals=plain_intervals or None
        )
    if any(one.interval_period and one.interval_period.start for one in intervals):
        raise EventNotChangeable(f"event {event.id} has intervals with starts of their own", instead="it")
    period = msgspec.structs.replace(event.interval_period or IntervalPeriod(), start=Start.of(begin))
    return msgspec.structs.replace(request, interval_period=period)


def shed_setpoint_kw(kw: Decimal) -> float:
    """Return a shed as the change of power that the event carries; zero without a sign."""
    return -float(kw) if kw else 0.0


def asked_payload(
    shed: Sequence[Decimal], limit: Sequence[Decimal], level: Sequence[int]
) -> tuple[EventPayloadType, list[Value]]:
    """Return the payload type and the values, one for each interval, of the option that was given."""
    if shed:
        return EventPayloadType.DISPATCH_SETPOINT_RELATIVE, [shed_setpoint_kw(kw) for kw in shed]
    if limit:
        return EventPayloadType.IMPORT_CAPACITY_LIMIT, [float(kw) for kw in limit]
    return EventPayloadType.SIMPLE, list(level)


def divided_events(
    division: Division,
    targets: Sequence[str],
    recipients: int,
    request: Callable[[Sequence[Value], EventPayloadType, Sequence[str]], EventRequest],
) -> list[tuple[EventRequest, Sequence[Recipient]]]:
    """Return one event for each part of a total, targeted at the ids of its VENs.

    A single part that goes to all ``recipients`` (a number) keeps the ``targets``. ``request`` makes an event of
    values, a payload type and targets.
    """
    whole = len(division.parts) == 1 and len(division.parts[0].recipients) == recipients
    return [
        (
            request(
                [shed_setpoint_kw(kw) for kw in part.kw],
                EventPayloadType.DISPATCH_SETPOINT_RELATIVE,
                targets if whole else [each.ven_id for each in part.recipients],
            ),
            part.recipients,
        )
        for part in division.parts
    ]
