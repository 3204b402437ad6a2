"""Due times of reports and the intervals they cover (RDESC-001 … RDESC-022).

Pure arithmetic over a Timeline: it gives the reports that an event asks for; storing, sending and retrying them is up
to the VEN. A changed event gives a new schedule: who sends reports leaves out those that were sent before, by their
``coverage`` or ``intended`` times (RDESC-021).
"""

from __future__ import annotations

import heapq
from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import groupby
from typing import Final, Protocol, TypeAlias

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


class Windows(Protocol):
    """Numbered windows: a timeline's, or those that a VEN has chosen."""

    def window(self, number: int) -> Window | None:
        """Return the window of a number; None if there is none."""
        ...


@dataclass(frozen=True, slots=True)
class OwnWindows:
    """Windows of equal length that a VEN chooses itself: from an event's start on, to its end (RDESC-010)."""

    start: datetime
    end: datetime | None
    length: timedelta

    def window(self, number: int) -> Window | None:
        """Return the window of a number from 0 on; None if it would begin at the event's end or later."""
        try:
            start = self.start + number * self.length
            end = start + self.length
        except OverflowError:
            return None
        if number < 0 or (self.end is not None and start >= self.end):
            return None
        end = end if self.end is None else min(end, self.end)
        return Window(start, end, number, None, 0, number, (), end)

    def edges(self, since: datetime, until: datetime) -> Iterator[datetime]:
        """Yield the first start after an instant and the last one up to another; the end too if it lies between."""
        for number in ((since - self.start) // self.length + 1, (until - self.start) // self.length):
            if (window := self.window(number)) is not None:
                yield window.start
        if self.end is not None and since < self.end <= until:
            yield self.end


@dataclass(frozen=True, slots=True)
class DueReport:
    """One report of a schedule: the ``number``-th (from 0), to be sent at ``due`` about the windows ``numbers``.

    ``due`` is never before the VEN joined; ``intended`` is when it should have been sent. Windows are made when they
    are asked for: there may be thousands.
    """

    descriptor: ReportDescriptor
    number: int
    due: datetime
    intended: datetime
    numbers: range
    of: Windows = field(compare=False, repr=False)

    @property
    def windows(self) -> tuple[Window, ...]:
        """Return the windows that the report covers, without those that do not exist."""
        return tuple(window for window in map(self.of.window, self.numbers) if window is not None)

    @property
    def begins(self) -> datetime | None:
        """Return the start of the first window; None if there is none."""
        first = next((window for window in map(self.of.window, self.numbers) if window is not None), None)
        return None if first is None else first.start

    def at_most(self, count: int) -> DueReport:
        """Return the report with so many windows at most: the latest, or the first ones of a forecast."""
        if len(self.numbers) <= count:
            return self
        numbers = self.numbers[:count] if self.descriptor.historical is False else self.numbers[-count:]
        return replace(self, numbers=numbers)

    @property
    def interval_ids(self) -> tuple[int, ...]:
        """Return the ids of the report's intervals: the event's own, or 0, 1, 2 … where it has none (RDESC-012)."""
        return _ids(self.windows)

    @property
    def coverage(self) -> Coverage:
        """Return id, start and end of each interval, to compare with reports sent before (RDESC-021)."""
        return coverage_of(self.windows)


def coverage_of(windows: tuple[Window, ...]) -> Coverage:
    """Return id, start and end of each interval of a report that covers these windows."""
    return tuple((id_, window.start, window.end) for id_, window in zip(_ids(windows), windows, strict=True))


def due_reports(
    timeline: Timeline, descriptor: ReportDescriptor, *, joined_at: datetime, first: int = 0
) -> Iterator[DueReport]:
    """Yield the reports a descriptor asks for, in order; lazy, maybe without end, empty if the VEN chooses the time.

    A historical report is due when its last interval ends, a forecast when its first one begins (RDESC-004, RDESC-005).
    Of those that were due before the VEN joined only the latest is given, due at once (RDESC-014). Random shifts are in
    the timeline already (RDESC-015). Reports with numbers below ``first`` are left out.
    """
    plan = ReportPlan.of(timeline, descriptor)
    if plan.timing is Timing.SCHEDULED:
        yield from _due(timeline, plan, joined_at, max(first, _first_that_matters(timeline, plan, joined_at)))


def chosen_reports(
    timeline: Timeline, descriptor: ReportDescriptor, *, joined_at: datetime, length: timedelta, first: int = 0
) -> Iterator[DueReport]:
    """Yield the reports of a descriptor whose time is the VEN's to choose, as ours does; empty for any other.

    Ad hoc reports (RDESC-008) come interval by interval of the event, each about one interval unless more are asked
    for. Where the event has no intervals (RDESC-010), or its only one does not end, the VEN takes windows of its own,
    ``length`` long. Late joiners and ``first`` are treated as in ``due_reports``.
    """
    plan = ReportPlan.of(timeline, descriptor)
    if plan.timing is Timing.SCHEDULED:
        return
    of, plan = _chosen(timeline, plan, length)
    yield from _due(of, plan, joined_at, max(first, _passed(of, timeline, plan, joined_at)))


def number_at(timeline: Timeline, descriptor: ReportDescriptor, at: datetime, *, length: timedelta) -> int:
    """Return the number of a report due at a moment or shortly before it, found without a look at earlier ones.

    It is that of ``due_reports``, or of ``chosen_reports`` where the VEN chooses the time.
    """
    plan = ReportPlan.of(timeline, descriptor)
    if plan.timing is Timing.SCHEDULED:
        return _first_that_matters(timeline, plan, at)
    of, plan = _chosen(timeline, plan, length)
    return _passed(of, timeline, plan, at)


def _chosen(timeline: Timeline, plan: ReportPlan, length: timedelta) -> tuple[Windows, ReportPlan]:
    start, number = (plan.descriptor.start_interval or 0, plan.descriptor.num_intervals or 0)
    plan = replace(plan, start_interval=max(0, start), num_intervals=max(1, number), frequency=1)
    first = timeline.window(0)
    if plan.timing is Timing.AD_HOC and first is not None and first.end is not None:
        return timeline, plan
    return OwnWindows(timeline.start, timeline.end, length), plan


def _passed(of: Windows, timeline: Timeline, plan: ReportPlan, at: datetime) -> int:
    if isinstance(of, OwnWindows):
        return _within((at - timeline.start) // of.length - plan.start_interval - 2, plan)
    return _first_that_matters(timeline, plan, at)


def _due(of: Windows, plan: ReportPlan, joined_at: datetime, first: int) -> Iterator[DueReport]:
    def report(number: int, intended: datetime) -> DueReport:
        numbers = _covered(of, plan, plan.start_interval + number * plan.frequency)
        return DueReport(plan.descriptor, number, max(intended, joined_at), intended, numbers, of)

    missed: tuple[int, datetime] | None = None
    for number, intended in _moments(of, plan, first):
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
    yield from _grouped(heapq.merge(*schedules, key=_sort_key))


def grouped(reports: Iterable[DueReport]) -> Iterator[tuple[DueReport, ...]]:
    """Group reports of one event, given in any order, as ``due_together`` does."""
    return _grouped(sorted(reports, key=_sort_key))


def _grouped(in_order: Iterable[DueReport]) -> Iterator[tuple[DueReport, ...]]:
    for _, reports in groupby(in_order, key=_sort_key):
        groups: dict[tuple[object, ...], list[DueReport]] = {}
        for report in reports:
            asked = report.descriptor
            key = (asked.aggregate is True, asked.targets, asked.report_intervals, type(report.of))
            groups.setdefault(key, []).append(report)
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


def _moments(of: Windows, plan: ReportPlan, first: int) -> Iterator[tuple[int, datetime]]:
    """Yield number and intended time of each report, from a number on."""
    number = first
    while plan.repeat is None or number < plan.repeat:
        window = of.window(plan.start_interval + number * plan.frequency)
        intended = None if window is None else window.end if plan.historical else window.start
        if intended is None:
            return
        yield number, intended
        number += 1


def _first_that_matters(timeline: Timeline, plan: ReportPlan, joined_at: datetime) -> int:
    """A report that was due before the VEN joined, found without a look at those before it.

    Of a looping event it is at least one cycle before the latest such report. Intervals that are not in order of time
    are looked at one by one.
    """
    if joined_at <= timeline.start:
        return 0
    if timeline.cycle is None:
        return _latest_missed(timeline, plan, joined_at) if timeline.in_order else 0
    until = joined_at if timeline.end is None else min(joined_at, timeline.end)
    cycle = (until - timeline.start) // timeline.cycle - 2
    return _within((cycle * timeline.count - plan.start_interval) // plan.frequency, plan)


def _latest_missed(timeline: Timeline, plan: ReportPlan, joined_at: datetime) -> int:
    numbers = range(max(0, (timeline.count - 1 - plan.start_interval) // plan.frequency + 1))

    def comes_later(number: int) -> bool:
        window = timeline.window(plan.start_interval + number * plan.frequency)
        intended = None if window is None else window.end if plan.historical else window.start
        return intended is None or intended > joined_at

    return _within(bisect_left(numbers, True, key=comes_later) - 1, plan)


def _within(number: int, plan: ReportPlan) -> int:
    return max(0, number if plan.repeat is None else min(number, plan.repeat - 1))


def _covered(of: Windows, plan: ReportPlan, index: int) -> range:
    """Return the numbers of the windows of one report, clipped to those that exist (RDESC-004 … RDESC-006)."""
    length = min(plan.num_intervals, LONGEST)
    if plan.historical:
        return range(max(0, index - length + 1), index + 1)
    numbers = range(index, index + length)
    return numbers[: bisect_left(numbers, True, key=lambda number: of.window(number) is None)]


def _ids(windows: tuple[Window, ...]) -> tuple[int, ...]:
    return tuple(place if window.interval_id is None else window.interval_id for place, window in enumerate(windows))


def _sort_key(report: DueReport) -> tuple[datetime, int, int]:
    return report.due, report.numbers.start, report.numbers.stop


def _period(window: Window) -> IntervalPeriod:
    length = FOREVER if window.end is None else Duration.of(window.end - window.start)
    return IntervalPeriod(start=Start.of(window.start), duration=length)
