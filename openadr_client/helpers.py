"""Flat helpers for scripts: events and their values, attributes, reports of readings and readings of reports."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from openadr_client.client import VtnClient
from openadr_client.errors import Conflict
from openadr_client.objects import NOT_MODIFIED, Found
from openadr_profiles.v31 import (
    Duration,
    Event,
    EventPayloadDescriptor,
    EventRequest,
    Interval,
    IntervalPeriod,
    Program,
    ProgramRequest,
    Report,
    ReportDescriptor,
    ReportPayloadDescriptor,
    ReportRequest,
    ReportResource,
    Start,
    Timeline,
    Value,
    ValuesMap,
)


@dataclass(frozen=True, slots=True)
class Reading:
    """One value of a report: what was said of a resource from ``start`` to ``end`` (None: not said, or open)."""

    event_id: str
    client_name: str
    report_name: str | None
    resource_name: str
    start: datetime | None
    end: datetime | None
    payload_type: str
    value: Value
    units: str | None


@dataclass(frozen=True, slots=True)
class EventValue:
    """One value of an event, which holds from ``start`` to ``end`` (excluded; None: until the event is changed).

    ``units`` and ``currency`` are what the event itself says of this payload type; None: its program may say it.
    """

    event_id: str
    interval_id: int | None
    start: datetime
    end: datetime | None
    payload_type: str
    values: tuple[Value, ...]
    units: str | None
    currency: str | None

    @property
    def value(self) -> Value | None:
        """Return the first of the values, which for most payload types is the only one; None if there is none."""
        return self.values[0] if self.values else None


def attributes(values: Mapping[str, Value]) -> tuple[ValuesMap, ...]:
    """Return attributes of a ven or resource, such as ``attributes({"MAX_POWER_CONSUMPTION": 2.0})`` (kW)."""
    return tuple(ValuesMap(type=type_, values=(value,)) for type_, value in values.items())


def event_request(
    program_id: str,
    payload_type: str,
    values: Sequence[Value],
    *,
    start: datetime,
    duration: timedelta,
    units: str | None = None,
    targets: Sequence[str] = (),
    name: str | None = None,
    priority: int | None = None,
    reports: Sequence[str] = (),
) -> EventRequest:
    """Return an event with one interval for each value, each of this duration, one after the other from ``start``.

    ``payload_type`` and ``units`` are words of the standard (SIMPLE, PRICE, IMPORT_CAPACITY_LIMIT; KW). ``reports`` are
    the payload types to report on, once after the event. Without ``targets`` every VEN is asked.

    Raises:
        ValueError: there is no value, the start has no time zone, or the duration is not positive.
    """
    if not values:
        raise ValueError("values: expected at least one value")
    if start.tzinfo is None:
        raise ValueError("start: expected an instant with a time zone, such as datetime.now(UTC)")
    if duration <= timedelta(0):
        raise ValueError(f"duration: expected a positive length of time, not {duration}")
    return EventRequest(
        program_id=program_id,
        event_name=name,
        priority=priority,
        targets=tuple(targets) or None,
        payload_descriptors=(EventPayloadDescriptor(payload_type=payload_type, units=units),),
        report_descriptors=tuple(ReportDescriptor(payload_type=each) for each in reports) or None,
        interval_period=IntervalPeriod(start=Start.of(start), duration=Duration.of(duration)),
        intervals=tuple(
            Interval(id=number, payloads=(ValuesMap(type=payload_type, values=(value,)),))
            for number, value in enumerate(values)
        ),
    )


def event_values(
    event: Event | Timeline,
    payload_type: str | None = None,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
) -> Iterator[EventValue]:
    """Yield the values of an event with their times, interval by interval, for a loop or a table.

    ``payload_type`` (such as SIMPLE or PRICE) leaves out the others, and ``since`` and ``until`` what does not touch
    [since, until). An event that repeats itself without end yields values without end: give ``until``.

    An event is placed as the VTN places it. A VEN has a shift of its own where `randomizeStart` is given, and "now" is
    when it received the event: it passes its `HandlerVen.timeline` (TIME-016, TIME-026).

    Raises:
        ValueError: ``since`` or ``until`` has no time zone.
    """
    for name, at in (("since", since), ("until", until)):
        if at is not None and at.tzinfo is None:
            raise ValueError(f"{name}: expected an instant with a time zone, such as datetime.now(UTC)")
    timeline = event if isinstance(event, Timeline) else Timeline.of(event, anchor=event.modification_date_time)
    return _event_values(timeline, payload_type, since, until)


def _event_values(
    timeline: Timeline, payload_type: str | None, since: datetime | None, until: datetime | None
) -> Iterator[EventValue]:
    described = {each.payload_type: each for each in timeline.event.payload_descriptors or ()}
    for window in timeline.windows(since, until):
        for held in window.held():
            is_over = since is not None and held.end is not None and held.end <= since
            comes_later = until is not None and held.start >= until
            if payload_type not in {None, held.payload_type} or is_over or comes_later:
                continue
            descriptor = described.get(held.payload_type)
            yield EventValue(
                timeline.event.id,
                window.interval_id,
                held.start,
                held.end,
                held.payload_type,
                held.values,
                descriptor.units if descriptor else None,
                descriptor.currency if descriptor else None,
            )


def report_request(
    event: Event,
    client_name: str,
    payload_type: str,
    values: Mapping[str, Sequence[Value]],
    *,
    start: datetime,
    duration: timedelta,
    units: str | None = None,
    reading_type: str | None = None,
    name: str | None = None,
) -> ReportRequest:
    """Return a report on an event: by resource name, one interval for each value, each of this duration from ``start``.

    ``name`` is the report's name among those of this event, by default the payload type.

    Raises:
        ValueError: there is no value, the start has no time zone, or the duration is not positive.
    """
    if not values or not all(values.values()):
        raise ValueError("values: expected at least one value for each resource")
    if start.tzinfo is None:
        raise ValueError("start: expected an instant with a time zone, such as datetime.now(UTC)")
    if duration <= timedelta(0):
        raise ValueError(f"duration: expected a positive length of time, not {duration}")
    return ReportRequest(
        event_id=event.id,
        client_name=client_name,
        report_name=name or payload_type,
        payload_descriptors=(
            ReportPayloadDescriptor(payload_type=payload_type, units=units, reading_type=reading_type),
        ),
        resources=tuple(
            ReportResource(
                resource_name=resource_name,
                interval_period=IntervalPeriod(start=Start.of(start), duration=Duration.of(duration)),
                intervals=tuple(
                    Interval(id=number, payloads=(ValuesMap(type=payload_type, values=(value,)),))
                    for number, value in enumerate(listed)
                ),
            )
            for resource_name, listed in values.items()
        ),
    )


def readings(reports: Iterable[ReportRequest | Report]) -> Iterator[Reading]:
    """Yield every value of these reports with its time, for a table or a CSV file."""
    for report in reports:
        units = {each.payload_type: each.units for each in report.payload_descriptors or ()}
        for resource in report.resources:
            for interval, start, end in _timed(resource):
                for payload in interval.payloads:
                    for value in payload.values:
                        yield Reading(
                            report.event_id,
                            report.client_name,
                            report.report_name,
                            resource.resource_name,
                            start,
                            end,
                            payload.type,
                            value,
                            units.get(payload.type),
                        )


async def find_or_create_program(vtn: VtnClient, name: str) -> Program:
    """Return the program of this name, made if there is none."""
    found = await vtn.programs.search(program_name=name)
    if found:
        return found[0]
    try:
        return await vtn.programs.create(ProgramRequest(program_name=name))
    except Conflict:
        found = await vtn.programs.search(program_name=name)
        if not found:
            raise
        return found[0]


async def put_report(vtn: VtnClient, request: ReportRequest) -> Report:
    """Create a report, or replace our own of this name on this event."""
    mine = await vtn.reports.search(event_id=request.event_id, client_name=request.client_name)
    for report in mine:
        if report.report_name == request.report_name:
            return await vtn.reports.replace(report.id, request)
    return await vtn.reports.create(request)


async def wait_for_reports(
    vtn: VtnClient, event_id: str, *, at_least: int = 1, within_s: float, poll_s: float = 10.0
) -> Found[Report]:
    """Return the reports on an event as soon as there are so many, or those that have come ``within_s`` seconds."""
    until = vtn.clock.now() + timedelta(seconds=within_s)
    found: Found[Report] = Found(())
    while True:
        polled = await vtn.reports.poll(event_id=event_id)
        found = found if polled is NOT_MODIFIED else polled
        left_s = (until - vtn.clock.now()).total_seconds()
        if len(found) >= at_least or left_s <= 0:
            return found
        await vtn.clock.sleep(min(poll_s, left_s))


def _timed(resource: ReportResource) -> Iterator[tuple[Interval, datetime | None, datetime | None]]:
    """Give each interval its times: its own, or else following the one before by the resource's duration."""
    period = resource.interval_period or IntervalPeriod()
    cursor = period.start.at if period.start is not None else None
    for interval in resource.intervals:
        own = interval.interval_period or IntervalPeriod()
        start = own.start.at if own.start is not None else cursor
        duration = own.duration or period.duration
        end = None if start is None or duration is None else duration.after(start)
        yield interval, start, end
        cursor = end
