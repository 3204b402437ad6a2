"""Due times of reports and the intervals they cover (RDESC-001 … RDESC-022).

Pure arithmetic over a Timeline: it gives the reports that an event asks for; storing, sending and retrying them is up
to the VEN. A changed event gives a new schedule: a report whose ``coverage`` was sent before is not sent again
(RDESC-021).
"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import groupby
from typing import Final, TypeAlias

from openadr_profiles.v31.common import IntervalPeriod, ValuesMap
from openadr_profiles.v31.descriptors import ReportDescriptor, ReportPayloadDescriptor
from openadr_profiles.v31.duration import FOREVER, Duration
from openadr_profiles.v31.instant import Start
from openadr_profiles.v31.timeline import Timeline, Window
from openadr_profiles.v31.vocabulary import ReadingType, ReportPayloadType

Coverage: TypeAlias = tuple[tuple[int, datetime, datetime | None], ...]
"""The intervals that a report covers: id, start and end (None: open) of each."""

LONGEST: Final = 50_000
"""No report covers more intervals, whatever is asked for: a looping event has no last one."""


class Timing(StrEnum):
    """The party that decides when a report is sent."""

    SCHEDULED = "SCHEDULED"
    """The event: ``due_reports`` lists the moments."""
    AD_HOC = "AD_HOC"
    """The VEN, at any time while the event is active (RDESC-008)."""
    FREE = "FREE"
    """The VEN, which also chooses the intervals and their ids (RDESC-010)."""


@dataclass(frozen=True, slots=True)
class ReportPlan:
    """A report descriptor with every default and every "-1" replaced by what it means for one event (RDESC-002).

    ``repeat`` is the greatest number of reports, None for no limit. ``start_interval``, ``num_intervals`` and
    ``frequency`` count intervals; a ``frequency`` of 0 only occurs with AD_HOC.
    """

    descriptor: ReportDescriptor
    timing: Timing
    historical: bool
    start_interval: int
    num_intervals: int
    frequency: int
    repeat: int | None

    @staticmethod
    def of(timeline: Timeline, descriptor: ReportDescriptor) -> ReportPlan:
        """Read a descriptor of the timeline's event. Numbers below -1, and no intervals at all, count as -1."""
        start, number, frequency = (
            -1 if count is None else count
            for count in (descriptor.start_interval, descriptor.num_intervals, descriptor.frequency)
        )
        repeat = 1 if descriptor.repeat is None else descriptor.repeat
        historical = descriptor.historical is not False
        count = timeline.count if timeline.event.intervals else max(timeline.count, number, start + 1)
        if start < 0:
            start = count - 1 if historical else 0
        if number <= 0:
            number = start + 1 if historical else max(1, count - start)
        timing = _timing(timeline, descriptor)
        if timing is not Timing.SCHEDULED and repeat == 1:
            repeat = -1  # the default bounds a schedule; without one it would forbid the second word (RDESC-008)
        return ReportPlan(
            descriptor=descriptor,
            timing=timing,
            historical=historical,
            start_interval=start,
            num_intervals=number,
            frequency=number if frequency < 0 else frequency,
            repeat=None if repeat < 0 else repeat,
        )


@dataclass(frozen=True, slots=True)
class DueReport:
    """One report of a schedule: the ``number``-th (from 0), to be sent at ``due`` about ``windows``.

    ``due`` is never before the VEN joined; ``intended`` is when it should have been sent.
    """

    descriptor: ReportDescriptor
    number: int
    due: datetime
    intended: datetime
    windows: tuple[Window, ...]

    @property
    def interval_ids(self) -> tuple[int, ...]:
        """Return the ids of the report's intervals: the event's own, or 0, 1, 2 … where it has none (RDESC-012)."""
        return tuple(
            place if window.interval_id is None else window.interval_id for place, window in enumerate(self.windows)
        )

    @property
    def coverage(self) -> Coverage:
        """Return id, start and end of each interval, to compare with reports sent before (RDESC-021)."""
        spans = ((window.start, window.end) for window in self.windows)
        return tuple(
            (interval_id, start, end) for interval_id, (start, end) in zip(self.interval_ids, spans, strict=True)
        )


def due_reports(timeline: Timeline, descriptor: ReportDescriptor, *, joined_at: datetime) -> Iterator[DueReport]:
    """Yield the reports a descriptor asks for, in order; lazy, maybe without end, empty if the VEN chooses the time.

    A historical report is due when its last interval ends, a forecast when its first one begins (RDESC-004, RDESC-005).
    Of those that were due before the VEN joined only the latest is given, due at once (RDESC-014). Random shifts are in
    the timeline already (RDESC-015).
    """
    plan = ReportPlan.of(timeline, descriptor)
    if plan.timing is not Timing.SCHEDULED:
        return

    def report(number: int, intended: datetime) -> DueReport:
        windows = _covered(timeline, plan, plan.start_interval + number * plan.frequency)
        return DueReport(descriptor, number, max(intended, joined_at), intended, windows)

    missed: tuple[int, datetime] | None = None
    for number, intended in _moments(timeline, plan, joined_at):
        if intended <= joined_at:
            missed = number, intended
            continue
        if missed is not None:
            yield report(*missed)
            missed = None
        yield report(number, intended)
    if missed is not None:
        yield report(*missed)


def due_together(
    timeline: Timeline, descriptors: Iterable[ReportDescriptor], *, joined_at: datetime
) -> Iterator[tuple[DueReport, ...]]:
    """Give the reports of several descriptors, those due together about the same intervals in one group (RDESC-018).

    Reports of different aggregation or for different targets list different resources and stay apart.
    """
    schedules = (due_reports(timeline, descriptor, joined_at=joined_at) for descriptor in descriptors)
    for _, reports in groupby(heapq.merge(*schedules, key=_sort_key), key=_sort_key):
        groups: dict[tuple[object, ...], list[DueReport]] = {}
        for report in reports:
            asked = report.descriptor
            groups.setdefault((asked.aggregate is True, asked.targets, asked.report_intervals), []).append(report)
        yield from map(tuple, groups.values())


def asks_about(descriptor: ReportDescriptor, resource_targets: Collection[str]) -> bool:
    """Return True if a resource with these targets is to be reported on (RDESC-017)."""
    return not descriptor.targets or not set(descriptor.targets).isdisjoint(resource_targets)


def payload_descriptor(descriptor: ReportDescriptor) -> ReportPayloadDescriptor:
    """Return the payload descriptor of a report for the values that a report descriptor asks for (RDESC-019)."""
    return ReportPayloadDescriptor(
        object_type="REPORT_PAYLOAD_DESCRIPTOR",
        payload_type=descriptor.payload_type,
        reading_type=descriptor.reading_type or ReadingType.DIRECT_READ,
        units=descriptor.units,
    )


def interval_periods(windows: Iterable[Window]) -> tuple[IntervalPeriod | None, tuple[IntervalPeriod | None, ...]]:
    """Return the interval period of the report's resource, and those of its intervals (RDESC-019).

    Intervals of equal length, each after the other, need only the first; otherwise each gets its own. Lengths are
    written in hours, minutes and seconds (COMPAT-054), that of an open window as P9999Y.
    """
    listed = tuple(windows)
    own = tuple(_period(window) for window in listed)
    even = all(
        one.end == other.start and own[0].duration == period.duration
        for one, other, period in zip(listed, listed[1:], own[1:], strict=False)
    )
    return (own[0], (None,) * len(own)) if own and even else (None, own)


def with_quality(payload: ValuesMap, quality: str) -> tuple[ValuesMap, ValuesMap]:
    """Return a payload and its DATA_QUALITY payload; an interval may hold no others beside them (RDESC-020)."""
    return payload, ValuesMap(type=ReportPayloadType.DATA_QUALITY, values=(quality,))


def _timing(timeline: Timeline, descriptor: ReportDescriptor) -> Timing:
    if not timeline.event.intervals and (timeline.cycle is None or descriptor.report_intervals == "OPEN_INTERVALS"):
        return Timing.FREE
    return Timing.AD_HOC if descriptor.frequency == 0 else Timing.SCHEDULED


def _moments(timeline: Timeline, plan: ReportPlan, joined_at: datetime) -> Iterator[tuple[int, datetime]]:
    """Yield number and intended time of each report, beginning before the VEN joined if one was due then."""
    number = _first_that_matters(timeline, plan, joined_at)
    while plan.repeat is None or number < plan.repeat:
        window = timeline.window(plan.start_interval + number * plan.frequency)
        intended = None if window is None else window.end if plan.historical else window.start
        if intended is None:
            return
        yield number, intended
        number += 1


def _first_that_matters(timeline: Timeline, plan: ReportPlan, joined_at: datetime) -> int:
    """A report that was due before the VEN joined, found by division: at least one cycle before the latest such one."""
    if timeline.cycle is None or joined_at <= timeline.start:
        return 0
    until = joined_at if timeline.end is None else min(joined_at, timeline.end)
    cycle = (until - timeline.start) // timeline.cycle - 2
    number = (cycle * timeline.count - plan.start_interval) // plan.frequency
    return max(0, number if plan.repeat is None else min(number, plan.repeat - 1))


def _covered(timeline: Timeline, plan: ReportPlan, index: int) -> tuple[Window, ...]:
    """The windows of one report, clipped to those that exist (RDESC-004 … RDESC-006)."""
    length = min(plan.num_intervals, LONGEST)
    numbers = range(max(0, index - length + 1), index + 1) if plan.historical else range(index, index + length)
    return tuple(window for window in map(timeline.window, numbers) if window is not None)


def _sort_key(report: DueReport) -> tuple[datetime, tuple[int, ...]]:
    return report.due, tuple(window.number for window in report.windows)


def _period(window: Window) -> IntervalPeriod:
    length = FOREVER if window.end is None else Duration.of(window.end - window.start)
    return IntervalPeriod(start=Start.of(window.start), duration=length)
