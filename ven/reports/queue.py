"""Order the reports that events ask for by their due times. Schedules are lazy and may be without end. No I/O.

What a descriptor asks for has a cursor: the time of its latest report that is kept already. What came before is never
made again, so nothing has to be remembered of reports that were sent. With it goes which intervals that report was
about: if a later version of the event has moved or resized one of them, the latest report that should have been made by
then is made once more (RDESC-021; of those before it none, as RDESC-014 has it). What a later version of an event asks
for the first time begins with that version, as for a VEN that joins late (RDESC-014): nothing was measured before.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from itertools import islice
from typing import Final

import structlog

from openadr_profiles.v31 import (
    DueReport,
    Event,
    ReportDescriptor,
    ReportPlan,
    Timeline,
    chosen_reports,
    due_reports,
    grouped,
)
from openadr_profiles.v31.report_schedule import OwnWindows, Timing, coverage_of, number_at
from ven.reports.values import can_report

_log = structlog.get_logger(__name__)

_COMPARED: Final = 500
"""Of the intervals of a report the latest so many are compared with those of a later version."""


@dataclass
class _Asked:
    """Hold what one descriptor is still to be given: the next report, and the start of what that covers.

    ``made_from`` is the start of what the latest report covered.
    """

    key: str
    descriptor: ReportDescriptor
    reports_from: Callable[[int], Iterator[DueReport]]
    reports: Iterator[DueReport]
    next: DueReport | None = None
    begins: datetime | None = None
    made_from: datetime | None = None

    def skip_to(self, number: int) -> None:
        """Leave out the reports before a number."""
        if self.next is not None and self.next.number < number:
            self.reports = self.reports_from(number)
            self.advance()

    def advance(self) -> None:
        self.next = next(self.reports, None)
        measured = self.next is not None and self.next.descriptor.historical is not False
        self.begins = self.next.begins if self.next is not None and measured else None


@dataclass
class _Pending:
    event: Event
    timeline: Timeline
    asked: list[_Asked]


@dataclass(frozen=True)
class Due:
    """Hold descriptors' reports of one event that are due together, with the cursors to keep once they are made.

    ``covered`` goes with the cursors: which intervals the reports are about.
    """

    event_id: str
    group: tuple[DueReport, ...]
    cursors: Mapping[str, datetime]
    covered: Mapping[str, str] = field(default_factory=dict)


class ReportQueue:
    """Hold for every event the reports that are yet to be built.

    Where the VEN chooses the windows itself they are ``own`` long. ``cursors`` are those of an earlier process, by
    event id and key of the descriptor, and ``covered`` what they were about. Of what is due of a descriptor about the
    ``most`` latest are given.
    """

    def __init__(
        self,
        *,
        own: timedelta,
        cursors: Mapping[str, Mapping[str, datetime]] | None = None,
        covered: Mapping[str, Mapping[str, str]] | None = None,
        most: int = 2_000,
    ) -> None:
        self._own = own
        self._most = most
        self._cursors: dict[str, dict[str, datetime]] = {id_: dict(each) for id_, each in (cursors or {}).items()}
        self._covered: dict[str, dict[str, str]] = {id_: dict(each) for id_, each in (covered or {}).items()}
        self._pending: dict[str, _Pending] = {}

    def keep_only(self, timelines: Mapping[str, Timeline]) -> None:
        """Forget all other events (RDESC-022)."""
        for event_id in (self._pending.keys() | self._cursors.keys()) - timelines.keys():
            self._pending.pop(event_id, None)
            self._cursors.pop(event_id, None)
            self._covered.pop(event_id, None)

    def set(
        self, event_id: str, timeline: Timeline, first_received: datetime, version_received: datetime | None = None
    ) -> None:
        """Follow an event; if it was modified its schedule begins anew after its cursors (RDESC-021).

        If intervals were changed that the latest report was about, it begins with the one before that.
        ``version_received`` is when this version was received, None: when the event was.
        """
        known = self._pending.get(event_id)
        if known is not None and known.timeline is timeline:
            return
        made_from = {asked.key: asked.made_from for asked in known.asked} if known is not None else {}
        pending = _Pending(timeline.event, timeline, [])
        self._pending[event_id] = pending
        for descriptor, key in _with_keys(timeline.event.report_descriptors or ()):
            if can_report(descriptor):
                cursor = self._cursors.get(event_id, {}).get(key)
                joined_at = max(first_received, cursor or version_received or first_received)
                covered = self._covered.get(event_id, {}).get(key)
                again, begun = _compared(covered, timeline) if covered else (None, None)
                reports_from = partial(self._reports, timeline, descriptor, joined_at, cursor, again)
                asked = _Asked(key, descriptor, reports_from, reports_from(0), made_from=made_from.get(key, begun))
                asked.advance()
                pending.asked.append(asked)
        if known is None or known.event is not timeline.event:
            _warn(event_id, timeline)

    def take(self, event_id: str, now: datetime, *, but: Collection[str] = ()) -> Iterator[Due]:
        """Give what is due of an event; each is removed when the next one is asked for.

        So what could not be made stays due: for the caller that stops there, or has put one of its keys into ``but``,
        which are left out.
        """
        pending = self._pending.get(event_id)
        if pending is None:
            return
        for asked in pending.asked:
            if asked.next is not None and asked.next.due <= now:
                latest = number_at(pending.timeline, asked.descriptor, now, length=self._own)
                asked.skip_to(latest - self._most + 1)
        while batch := _earliest(pending.asked, now, but):
            who = {id(asked.next): asked for asked in batch}
            for group in grouped([asked.next for asked in batch if asked.next]):
                asking = [who[id(report)] for report in group]
                cursors = {asked.key: report.intended for asked, report in zip(asking, group, strict=True)}
                covered = {asked.key: _covered(report) for asked, report in zip(asking, group, strict=True)}
                yield Due(event_id, group, cursors, covered)
                if not cursors.keys().isdisjoint(but):
                    continue
                self._keep(event_id, cursors, covered)
                for asked in asking:
                    asked.made_from = asked.begins
                    asked.advance()

    def next_due(self, after: datetime | None = None) -> datetime | None:
        """Return when the next report is due, or None; with ``after`` of those that are due later than that."""
        due = (asked.next.due for asked in self._all if asked.next)
        return min((each for each in due if after is None or each > after), default=None)

    def is_done(self, event_id: str) -> bool:
        """Return True if an event asks for no more reports."""
        pending = self._pending.get(event_id)
        return pending is None or all(asked.next is None for asked in pending.asked)

    @property
    def needed_from(self) -> datetime | None:
        """Return the start of the earliest window that is to be measured for a coming report; None if there is none."""
        return min((asked.begins for asked in self._all if asked.begins), default=None)

    @property
    def kept_from(self) -> datetime | None:
        """Return from when measurements are kept for the latest reports made, whose intervals may be changed yet.

        After the last report of a descriptor nothing is kept for it.
        """
        return min((asked.made_from for asked in self._all if asked.next and asked.made_from), default=None)

    def groups(self) -> Iterator[ReportDescriptor]:
        """Yield the descriptors of the coming reports."""
        return (asked.next.descriptor for asked in self._all if asked.next)

    def edges(self, since: datetime, until: datetime) -> list[datetime]:
        """Return the starts and ends of the windows that are to be measured, within (since, until], in order.

        Of a time longer than a few readings only the first and the last are given: nothing was measured between them.
        """
        found: set[datetime] = set()
        for pending in self._pending.values():
            sources = {id(each.next.of): each.next.of for each in pending.asked if each.next and each.begins}
            for source in sources.values():
                if isinstance(source, OwnWindows):
                    found.update(source.edges(since, until))
                elif isinstance(source, Timeline):
                    found.update(_edges(source, since, until))
        return sorted(edge for edge in found if since < edge <= until)

    @property
    def _all(self) -> Iterator[_Asked]:
        return (asked for pending in self._pending.values() for asked in pending.asked)

    def _keep(self, event_id: str, cursors: Mapping[str, datetime], covered: Mapping[str, str]) -> None:
        known = self._cursors.setdefault(event_id, {})
        known.update({key: max(until, known.get(key, until)) for key, until in cursors.items()})
        self._covered.setdefault(event_id, {}).update(covered)

    def _reports(
        self,
        timeline: Timeline,
        descriptor: ReportDescriptor,
        joined_at: datetime,
        cursor: datetime | None,
        again: range | None,
        first: int,
    ) -> Iterator[DueReport]:
        def is_to_be_made(report: DueReport) -> bool:
            if cursor is None or report.intended > cursor:
                return True
            return again is not None and report.of is timeline and report.numbers.stop > again.start

        for schedule in (
            due_reports(timeline, descriptor, joined_at=joined_at, first=first),
            chosen_reports(timeline, descriptor, joined_at=joined_at, length=self._own, first=first),
        ):
            yield from (report for report in schedule if is_to_be_made(report))


def _covered(report: DueReport) -> str:
    """Return which intervals a report is about, to be compared later; nothing if the VEN has chosen them itself."""
    if not isinstance(report.of, Timeline) or not report.numbers:
        return ""
    return f"{report.numbers.start}:{report.numbers.stop}:{_digest(report.of, report.numbers)}"


def _compared(covered: str, timeline: Timeline) -> tuple[range | None, datetime | None]:
    """Return the numbers of the intervals of the latest report if they are not what they were, and their start now."""
    start, stop, digest = covered.split(":")
    numbers = range(int(start), int(stop))
    first = timeline.window(numbers.start)
    changed = None if _digest(timeline, numbers) == digest else numbers
    return changed, None if first is None else first.start


def _digest(timeline: Timeline, numbers: range) -> str:
    windows = (timeline.window(number) for number in numbers[-_COMPARED:])
    coverage = coverage_of(tuple(window for window in windows if window is not None))
    return hashlib.sha256(repr(coverage).encode()).hexdigest()[:16]


def _earliest(each: Sequence[_Asked], now: datetime, but: Collection[str]) -> list[_Asked]:
    """Return the descriptors whose next reports are due, together and before all others."""
    due = [(asked.next.due, asked) for asked in each if asked.next and asked.next.due <= now and asked.key not in but]
    earliest = min((at for at, _ in due), default=None)
    return [asked for at, asked in due if at == earliest]


def _edges(timeline: Timeline, since: datetime, until: datetime) -> Iterator[datetime]:
    most = 64
    windows = list(islice(timeline.windows(since, until), most))
    if len(windows) == most:
        windows += timeline.windows(until - timedelta.resolution, until)
    for window in windows:
        yield window.start
        if window.end is not None:
            yield window.end
    if (last := timeline.current(until)) is not None:
        yield last.start


def _with_keys(descriptors: Sequence[ReportDescriptor]) -> Iterator[tuple[ReportDescriptor, str]]:
    """Yield each descriptor with a key that is the same after a restart, and while the same is asked for.

    It is made of what the name of a report is made of: asked for less often or longer, it is still the same. Equal ones
    count as two.
    """
    seen: dict[str, int] = {}
    for descriptor in descriptors:
        text = asked_text(descriptor)
        seen[text] = seen.get(text, 0) + 1
        yield descriptor, hashlib.sha256(f"{text}{seen[text]}".encode()).hexdigest()[:16]


def asked_text(d: ReportDescriptor) -> str:
    """Return as text what a descriptor asks for, whenever and about whichever intervals."""
    return f"{d.payload_type}/{d.reading_type}/{d.units}/{d.aggregate}/{d.targets}/{d.historical is not False}"


def _warn(event_id: str, timeline: Timeline) -> None:
    """Say in the log what is asked for and will not be reported, and why (RDESC-007)."""
    for asked in timeline.event.report_descriptors or ():
        problem = None
        plan = ReportPlan.of(timeline, asked)
        first = timeline.window(plan.start_interval)
        if not can_report(asked):
            problem = "this VEN cannot make it"
        elif plan.timing is not Timing.SCHEDULED:
            continue
        elif first is None:
            problem = f"the event has no interval {plan.start_interval}"
        elif plan.historical and first.end is None:
            problem = f"interval {plan.start_interval} does not end"
        if problem is not None:
            _log.warning(
                "event asks for a report that will not be made",
                event_id=event_id,
                payload_type=asked.payload_type,
                units=asked.units,
                problem=problem,
            )
