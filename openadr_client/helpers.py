"""Flat helpers for scripts: events of one payload type, attributes, reports of readings and readings of reports."""

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
