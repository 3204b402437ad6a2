"""Compare the reports that came with those that an event asks for: which came in time, late, or not at all.

Pure arithmetic over ``report_schedule``. A report that is due is met by the first report that has a value of the type
asked for in each of its intervals: at the same time, or, where the report says no time, with the same interval id.
Reports whose time the VEN chooses (RDESC-008, RDESC-010) are never late.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import accumulate, islice
from typing import Final

from openadr_profiles.fleet.report_values import placed
from openadr_profiles.v31 import EventRequest, ReportDescriptor, ReportRequest
from openadr_profiles.v31.report_schedule import DueReport, ReportPlan, Timing, due_reports
from openadr_profiles.v31.timeline import Timeline, Window

_SLACK: Final = timedelta(seconds=1)
_NEVER: Final = datetime.max.replace(tzinfo=UTC)
LOOKED_AT: Final = 100
"""The latest reports of one descriptor that are looked at: a looping event may ask for many thousands."""
_WALKED: Final = 20_000
_SOME_DAY: Final = datetime(2000, 1, 1, tzinfo=UTC)


class ReportArrival(StrEnum):
    """Name what became of a report that was asked for."""

    IN_TIME = "IN_TIME"
    LATE = "LATE"
    MISSING = "MISSING"
    AWAITED = "AWAITED"


class Spans:
    """Spans of time, searched for one that contains another."""

    def __init__(self, spans: Iterable[tuple[datetime, datetime | None]]) -> None:
        in_order = sorted((begins, ends or _NEVER) for begins, ends in spans)
        self._begins = [begins for begins, _ in in_order]
        self._latest_ends = list(accumulate((ends for _, ends in in_order), max))

    def contain(self, start: datetime, end: datetime | None) -> bool:
        """Return True if one of them begins by ``start`` and lasts until ``end`` (None: for ever), a second aside."""
        count = bisect_right(self._begins, start + _SLACK)
        return count > 0 and self._latest_ends[count - 1] >= (_NEVER if end is None else end - _SLACK)


@dataclass(frozen=True, slots=True)
class ReceivedReport:
    """Hold what a report covers: for each payload type its spans of time, and the ids of intervals without one."""

    report_id: str
    at: datetime
    spans: Mapping[str, Spans]
    ids: frozenset[tuple[str, int]]

    @staticmethod
    def of(report_id: str, at: datetime, report: ReportRequest) -> ReceivedReport:
        """Read what a report covers. ``at`` is when it came."""
        spans: dict[str, list[tuple[datetime, datetime | None]]] = defaultdict(list)
        ids = set()
        for resource in report.resources:
            for start, duration, interval in placed(resource):
                for payload in interval.payloads:
                    if start is None:
                        ids.add((payload.type, interval.id))
                    else:
                        spans[payload.type].append((start, None if duration is None else duration.after(start)))
        return ReceivedReport(report_id, at, {kind: Spans(each) for kind, each in spans.items()}, frozenset(ids))

    def speaks_of(self, payload_type: str) -> bool:
        """Return True if it has a value of this type."""
        return payload_type in self.spans or any(kind == payload_type for kind, _ in self.ids)

    def covers(self, payload_type: str, windows: Sequence[tuple[int, Window]]) -> bool:
        """Return True if it has a value of this type in each of these windows, which come with their ids."""
        spans = self.spans.get(payload_type)
        return bool(windows) and all(
            (payload_type, id_) in self.ids or (spans is not None and spans.contain(window.start, window.end))
            for id_, window in windows
        )


@dataclass(frozen=True, slots=True)
class ReportCheck:
    """A report that is due, and the one that met it; ``late_s`` is how long after its time and the grace it came, in
    seconds."""

    due: DueReport
    state: ReportArrival
    report_id: str | None = None
    received_at: datetime | None = None
    late_s: float | None = None


@dataclass(frozen=True, slots=True)
class DescriptorChecks:
    """The reports that one descriptor asks of one VEN. ``is_free`` says that the VEN chooses the time.

    ``count`` is the number of reports with what is asked for, ``next_due`` when the next one is due.
    """

    descriptor: ReportDescriptor
    is_free: bool
    checks: Sequence[ReportCheck]
    count: int
    next_due: datetime | None

    def of(self, state: ReportArrival) -> int:
        """Return how many reports are in a state."""
        return sum(1 for check in self.checks if check.state is state)


def check_reports(
    timeline: Timeline,
    descriptors: Iterable[ReportDescriptor],
    received: Sequence[ReceivedReport],
    *,
    joined_at: datetime,
    now: datetime,
    grace: timedelta,
) -> tuple[DescriptorChecks, ...]:
    """Compare what came from one VEN with what each descriptor asks for.

    Reports that were due before the VEN joined are not asked for (RDESC-014). Of each descriptor the latest hundred
    that are due by now are looked at. A report within ``grace`` after its time is in time.
    """
    in_order = sorted(received, key=lambda one: one.at)
    found = []
    for descriptor in descriptors:
        kind = descriptor.payload_type
        count = sum(1 for one in in_order if one.speaks_of(kind))
        if ReportPlan.of(timeline, descriptor).timing is not Timing.SCHEDULED:
            found.append(DescriptorChecks(descriptor, True, (), count, None))
            continue
        due, upcoming = _due_by(timeline, descriptor, joined_at, now)
        checks = tuple(_check(each, in_order, now, grace) for each in due)
        found.append(DescriptorChecks(descriptor, False, checks, count, upcoming))
    return tuple(found)


def largest_shift(event: EventRequest) -> timedelta:
    """Return the longest time by which chance may put off a start of an event; a VTN does not know its VENs' chance."""
    periods = [event.interval_period, *(interval.interval_period for interval in event.intervals or ())]
    lengths = {period.randomize_start for period in periods if period is not None and period.randomize_start}
    ends = [length.magnitude().after(_SOME_DAY) for length in lengths]
    return max((end - _SOME_DAY for end in ends if end is not None), default=timedelta())


def _due_by(
    timeline: Timeline, descriptor: ReportDescriptor, joined_at: datetime, now: datetime
) -> tuple[Iterable[DueReport], datetime | None]:
    """Return the latest reports that are due by now, and when the next one is."""
    latest: deque[DueReport] = deque(maxlen=LOOKED_AT)
    for each in _after_joining(timeline, descriptor, joined_at):
        if each.intended > now:
            return latest, each.intended
        latest.append(each)
    return latest, None


def _after_joining(timeline: Timeline, descriptor: ReportDescriptor, joined_at: datetime) -> Iterator[DueReport]:
    reports = due_reports(timeline, descriptor, joined_at=joined_at)
    return (each for each in islice(reports, _WALKED) if each.intended > joined_at)


def _check(due: DueReport, in_order: Sequence[ReceivedReport], now: datetime, grace: timedelta) -> ReportCheck:
    kind, windows = due.descriptor.payload_type, list(zip(due.interval_ids, due.windows, strict=True))
    met = next((one for one in in_order if one.covers(kind, windows)), None)
    until = due.intended + grace
    if met is None:
        return ReportCheck(due, ReportArrival.AWAITED if now <= until else ReportArrival.MISSING)
    late_s = (met.at - until).total_seconds()
    state = ReportArrival.LATE if late_s > 0 else ReportArrival.IN_TIME
    return ReportCheck(due, state, met.report_id, met.at, late_s if late_s > 0 else None)
