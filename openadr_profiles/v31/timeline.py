"""Events in absolute time: the windows of their intervals, and the values in force (TIME-010 … TIME-037).

Pure arithmetic: "now" is the caller's ``anchor``, chance is the caller's ``offset``. The VTN asks for ``span_of`` (its
``active`` filter), a VEN for a ``Timeline`` and, over all its events, for ``in_force``.

Where the standard is silent: an open interval lasts until the next absolute start after its own, and an implicit
interval after an open one never begins; an event without intervals has one window without payloads, or, if it asks for
reports and its period has a start and a length, one such window after the other (RDESC-012).
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple, TypeAlias

from openadr_profiles.v31.common import Interval, IntervalPeriod, Value, ValuesMap
from openadr_profiles.v31.duration import Duration
from openadr_profiles.v31.event import Event, EventRequest
from openadr_profiles.v31.runs import Runs, RunsBuilder

MULTI_VALUED: Final = frozenset({"CURVE", "OLS", "DISPATCH_INSTRUCTION", "OPERATING_STATE", "LOCATION", "AREA"})
"""Payload types whose values belong together; the values of any other type follow each other (TIME-029, TIME-030)."""

Offset: TypeAlias = Callable[[int, timedelta], timedelta]
"""Returns the shift of an interval's start, given its index and the largest shift either way."""

_TICK: Final = timedelta(microseconds=1)
_NOTHING: Final = timedelta(0)
_NO_PERIOD: Final = IntervalPeriod()


def unshifted(index: int, largest: timedelta) -> timedelta:
    """Return no shift; the offset that the VTN uses (TIME-028)."""
    return _NOTHING


def random_offset(event: Event, ven_identity: str) -> Offset:
    """Return a VEN's random shifts of an event: uniform over [-largest, largest].

    A shift belongs to the event's id and the VEN, whatever else of the event is modified; only another
    ``randomizeStart`` draws anew (TIME-027 as amended by ruling 16 of R-43). A draw of a later interval belongs to that
    interval's id, so that it stays when intervals are put in before it.
    """
    intervals = event.intervals or _NO_INTERVALS
    default = event.interval_period or _NO_PERIOD

    def draw(index: int, largest: timedelta) -> timedelta:
        interval = intervals[index] if index < len(intervals) else intervals[0]
        period = interval.interval_period or _NO_PERIOD
        range_ = period.randomize_start or (default.randomize_start if index == 0 else None)
        seed = (event.id, ven_identity, interval.id if index else "first", range_.magnitude().meaning if range_ else "")
        digest = hashlib.sha256("\n".join(map(str, seed)).encode()).digest()
        steps = 2 * (largest // _TICK) + 1
        return (int.from_bytes(digest[:16]) * steps >> 128) * _TICK - largest

    return draw


@dataclass(frozen=True, slots=True)
class Held:
    """The value of one payload from ``start`` to ``end`` (None: open).

    ``unplaced`` counts values that have no time of their own because their window is open: worth a warning (TIME-032).
    """

    payload_type: str
    values: tuple[Value, ...]
    start: datetime
    end: datetime | None
    window: Window
    unplaced: int = 0


@dataclass(frozen=True, slots=True)
class Window:
    """One run of one interval, from ``start`` to ``end`` (excluded; None: open). A zero-length one is an instant.

    ``interval_index`` is the place in the event's list, ``interval_id`` its id (None if the event has no intervals) and
    ``cycle`` counts the repetitions of a looping event. ``number`` counts the intervals on through the cycles
    (RDESC-009). ``full_end`` is the end that ``event.duration`` may have cut.
    """

    start: datetime
    end: datetime | None
    interval_index: int
    interval_id: int | None
    cycle: int
    number: int
    payloads: tuple[ValuesMap, ...]
    full_end: datetime | None

    def covers(self, at: datetime) -> bool:
        """Return True if ``at`` lies in the window."""
        return self.start <= at and (self.end is None or at < self.end)

    def held_at(self, at: datetime) -> Iterator[Held]:
        """Yield the value of each payload at a moment of the window; nothing outside it."""
        if self.covers(at):
            for payload in self.payloads:
                yield self._held(payload, self._part_at(payload, at))

    def held(self) -> Iterator[Held]:
        """Yield all values, payload by payload, in sub-windows of equal length (TIME-029, TIME-031)."""
        for payload in self.payloads:
            for part in range(self._parts(payload)):
                held = self._held(payload, part)
                if part == 0 or self.end is None or held.start < self.end:
                    yield held

    def _parts(self, payload: ValuesMap) -> int:
        return 1 if payload.type in MULTI_VALUED or self.full_end is None else max(1, len(payload.values))

    def _part_at(self, payload: ValuesMap, at: datetime) -> int:
        parts = self._parts(payload)
        if parts == 1 or self.full_end is None:
            return 0
        ticks, length = (at - self.start) // _TICK, (self.full_end - self.start) // _TICK
        return min(parts - 1, ((ticks + 1) * parts - 1) // length)

    def _held(self, payload: ValuesMap, part: int) -> Held:
        values, parts = payload.values, self._parts(payload)
        if parts > 1 and self.full_end is not None:
            length = (self.full_end - self.start) // _TICK  # from the start each time, so nothing drifts (TIME-033)
            start, end = (self.start + length * edge // parts * _TICK for edge in (part, part + 1))
            return Held(payload.type, values[part : part + 1], start, _earlier(end, self.end), self)
        unplaced = 0 if payload.type in MULTI_VALUED else max(0, len(values) - 1)
        return Held(payload.type, values[:1] if unplaced else values, self.start, self.end, self, unplaced)


@dataclass(frozen=True, slots=True)
class Timeline:
    """An event in absolute time, from ``start`` to ``end`` (excluded; None: open until it is changed or deleted).

    ``cycle`` is the length after which the intervals repeat, None if they do not (TIME-023). ``cancelled`` says that
    the event was called off by giving it no length at the beginning of time (EVT-019, PAGE-030). Repetitions are found
    by division, not by unrolling (TIME-024); arithmetic ends openly at year 9999 instead of failing (TIME-008).
    """

    event: Event
    start: datetime
    end: datetime | None
    cycle: timedelta | None
    cancelled: bool
    _runs: Runs

    @staticmethod
    def of(event: Event, *, anchor: datetime, offset: Offset = unshifted) -> Timeline:
        """Place an event. ``anchor`` is what "now" means for a start at the beginning of time (TIME-016).

        The VTN anchors at ``modification_date_time``; a VEN at the moment it first received this version, and passes
        ``random_offset(event, ven_identity)``.
        """
        return _resolve(event, anchor.astimezone(UTC), offset)

    @property
    def count(self) -> int:
        """Return the number of intervals that run in one cycle; 1 if the event has none of its own."""
        return self._runs.count

    @property
    def in_order(self) -> bool:
        """Return True if no interval begins or ends before one that is listed earlier, and none is open."""
        return self._runs.in_order

    def windows(self, from_: datetime | None = None, until: datetime | None = None) -> Iterator[Window]:
        """Yield the windows that touch [from_, until), by start, then by place in the event; lazy, maybe endless."""
        since, runs = from_ or self.start, self._runs
        present = (since - self.start) // self.cycle if self.cycle else 0
        for cycle in itertools.count(max(0, present - 1)):  # the end of a cycle is the start of the next
            over = runs.first_not_over(since, cycle * (self.cycle or _NOTHING)) if cycle <= present else 0
            for position in range(over, runs.count):
                window = self._window(runs.in_time[position], cycle)
                if window is None or (until is not None and window.start >= until):
                    return
                if window.end is None or window.end > since or window.start == window.end == since:
                    yield window
            if self.cycle is None:
                return

    def window(self, number: int) -> Window | None:
        """Return the window of a running interval number (RDESC-009); None if it never begins."""
        cycle, place = divmod(number, self.count)
        if cycle < 0 or (cycle > 0 and self.cycle is None):
            return None
        return self._window(place, cycle)

    def current(self, at: datetime) -> Window | None:
        """Return the window that holds, the last listed of several (TIME-020); None before, after and in gaps."""
        return max(self._covering(at), key=lambda window: window.interval_index, default=None)

    def values_at(self, at: datetime) -> dict[str, Held]:
        """Return the value in force by payload type; of overlapping intervals the one listed last wins (TIME-020)."""
        if at < self.start:
            return {}
        holding = sorted(self._covering(at), key=lambda window: window.interval_index)
        return {held.payload_type: held for window in holding for held in window.held_at(at)}

    def next_change(self, after: datetime) -> datetime | None:
        """Return the first moment after ``after`` at which a value of this event may change; None if there is none."""
        if after < self.start:
            return self.start
        best = min((edge for edge in (self.start, self.end) if edge is not None and edge > after), default=None)
        for window in self.windows(after):
            if best is not None and window.start >= best:
                break
            edges = (window.start, window.end, best, *(held.end for held in window.held_at(after)))
            best = min((edge for edge in edges if edge is not None and edge > after), default=None)
        return best

    def transpired(self, at: datetime) -> bool:
        """Return True if the event has ended by that moment; an open one never has."""
        return self.end is not None and self.end <= at

    def _covering(self, at: datetime) -> list[Window]:
        return [window for window in self.windows(at, _plus(at, _TICK)) if window.covers(at)]

    def _window(self, place: int, cycle: int) -> Window | None:
        runs = self._runs
        begins, full_end = runs.start(place), runs.end(place)
        start: datetime | None = begins
        if self.cycle and cycle:
            start, full_end = _shifted(begins, full_end, cycle, self.cycle)
        if start is None or (self.cycle and self.end is not None and start >= self.end):
            return None
        index = runs.index[place]
        interval = (self.event.intervals or _NO_INTERVALS)[index]
        return Window(
            start=start,
            end=_earlier(full_end, self.end),
            interval_index=index,
            interval_id=interval.id if self.event.intervals else None,
            cycle=cycle,
            number=cycle * runs.count + place,
            payloads=interval.payloads,
            full_end=full_end or self.end,
        )


class Lifespan(NamedTuple):
    """The start of an event, and the moment from which it has transpired for every VEN (None: never)."""

    start: datetime
    end: datetime | None


def lifespan(event: Event) -> Lifespan:
    """Return an event's start and end for the VTN's ``active`` filter (PAGE-027 … PAGE-030, EVT-018).

    ``end`` includes the largest random shift, since a VEN may still be acting on the event until then; a cancelled
    event has none to wait for. "Now" is the moment of the last write (TIME-016).
    """
    timeline = Timeline.of(event, anchor=event.modification_date_time)
    return Lifespan(timeline.start, _last_end(event, timeline))


class SearchSpan(NamedTuple):
    """The time of an event as the VTN searches it: ``end`` is that of its lifespan (None: never)."""

    start: datetime
    end: datetime | None
    cancelled: bool


def span_of(event: EventRequest, *, written_at: datetime, created_at: datetime | None = None) -> SearchSpan:
    """Return the span of an event that is written now; events of the usual form are not placed for it.

    Those have a start, and intervals of one exact length without periods of their own. ``created_at`` is that of an
    event which was there before.
    """
    period, intervals = event.interval_period, event.intervals
    if (
        period is not None
        and period.start is not None
        and period.start.at is not None
        and period.duration is not None
        and period.duration.is_exact
        and event.duration is None
        and intervals
        and all(interval.interval_period is None for interval in intervals)
    ):
        end = _shifted_end(event, _after_all(len(intervals), period.duration, period.start.at))
        return SearchSpan(period.start.at, end, cancelled=False)
    members = {name: getattr(event, name) for name in EventRequest.__struct_fields__}
    created_at = created_at or written_at
    placed = Event(**members, id="new", created_date_time=created_at, modification_date_time=written_at)
    timeline = Timeline.of(placed, anchor=written_at)
    return SearchSpan(timeline.start, _last_end(placed, timeline), timeline.cancelled)


def _last_end(event: EventRequest, timeline: Timeline) -> datetime | None:
    return timeline.end if timeline.cancelled else _shifted_end(event, timeline.end)


def _after_all(count: int, duration: Duration, start: datetime) -> datetime | None:
    """Return the end of so many intervals of an exact length; None if it lies past year 9999 (TIME-008)."""
    try:
        return start + count * duration.time
    except OverflowError:
        return None


def _shifted_end(event: EventRequest, end: datetime | None) -> datetime | None:
    """Return the latest end of an event that chance may shift."""
    if end is None:
        return None
    periods = [event.interval_period, *(interval.interval_period for interval in event.intervals or ())]
    randomised = {period.randomize_start for period in periods if period and period.randomize_start}
    ends = [length.magnitude().after(end) for length in randomised]
    return None if None in ends else max(each for each in (end, *ends) if each)


class InForce(NamedTuple):
    """The value in force for one payload type, and the event it comes from."""

    event: Event
    held: Held


def in_force(timelines: Iterable[Timeline], at: datetime) -> dict[str, InForce]:
    """Return the value in force at a moment for each payload type, over all events (TIME-036, TIME-037).

    The lowest ``priority`` number wins and an absent one loses; among equals the event modified last wins.
    """
    chosen: dict[str, InForce] = {}
    for timeline in sorted(timelines, key=lambda timeline: rank(timeline.event)):
        chosen.update((name, InForce(timeline.event, held)) for name, held in timeline.values_at(at).items())
    return chosen


def rank(event: Event) -> tuple[bool, int, datetime, str]:
    """Return a sort key that puts events of lower precedence first."""
    return event.priority is not None, -(event.priority or 0), event.modification_date_time, event.id


def _resolve(event: Event, anchor: datetime, offset: Offset) -> Timeline:
    now = anchor if _says_when(event) else event.created_date_time.astimezone(UTC)
    runs = _place(event, now, offset)
    start, end = runs.span()
    at_once = _starts_now(event) and start == end
    if at_once:  # whoever cancels does not mean "in five minutes": chance is left out
        runs = _place(event, now, unshifted)
        start, end = runs.span()
    cancelled = at_once and not event.report_descriptors
    cycle = None
    limited = _is_limited(event)
    limit = event.duration.after(start) if event.duration and limited else None
    if not event.intervals and _implies_intervals(event, start, end):
        cycle, end = (end or start) - start, limit
    elif at_once and event.report_descriptors:
        end = limit
    elif limited and not cancelled:
        if end is not None and start < end and (limit is None or end < limit):
            cycle = end - start
        elif limit is not None and (end is None or limit < end):
            runs = runs.before(limit)
        end = limit
    return Timeline(event, start, end, cycle, cancelled, runs)


def _place(event: Event, now: datetime, offset: Offset) -> Runs:
    """Place the intervals of the first cycle, in the event's order, without those that never begin."""
    default = event.interval_period or _NO_PERIOD
    intervals = event.intervals or _NO_INTERVALS
    building = RunsBuilder(len(intervals))
    shift = _NOTHING
    previous_end: int | None = None
    for index, interval in enumerate(intervals):
        period = interval.interval_period
        if period is None and index > 0:
            if previous_end is not None:
                previous_end = building.add(index, previous_end, default.duration, is_absolute=False)
            continue
        period = period or _NO_PERIOD
        own = period.start.at if period.start else None
        start: datetime | int | None
        if index == 0:
            stated = own or (default.start.at if default.start else None) or now
            shift = _draw(offset, 0, period.randomize_start or default.randomize_start, stated)
            start = _plus(stated, shift) or stated
        elif own is not None:
            if period.randomize_start is not None:
                shift = _draw(offset, index, period.randomize_start, own)
            start = _plus(own, shift) or own
        else:
            start = previous_end
        if start is not None:
            is_absolute = index == 0 or own is not None
            previous_end = building.add(index, start, period.duration or default.duration, is_absolute=is_absolute)
    return building.built()


def _says_when(event: Event) -> bool:
    """Return True if the event states any start or length; if it states none, it holds from its creation (TIME-035)."""
    periods = [event.interval_period, *(interval.interval_period for interval in event.intervals or ())]
    return _is_limited(event) or any(period and (period.start or period.duration) for period in periods)


def _is_limited(event: Event) -> bool:
    """Return True if ``event.duration`` limits the event: it must be longer than zero (TIME-019, TIME-021)."""
    return event.duration is not None and not event.duration.is_zero and not event.duration.negative


def _starts_now(event: Event) -> bool:
    periods = [(event.intervals or _NO_INTERVALS)[0].interval_period, event.interval_period]
    return all(not period or not period.start or period.start.is_now for period in periods)


def _implies_intervals(event: Event, start: datetime, end: datetime | None) -> bool:
    """Return True if the event's own period stands for the intervals to report on (RDESC-012)."""
    period = event.interval_period
    return bool(event.report_descriptors and period and period.start) and end is not None and start < end


def _draw(offset: Offset, index: int, randomize_start: Duration | None, start: datetime) -> timedelta:
    if randomize_start is None or randomize_start.is_zero:
        return _NOTHING
    latest = randomize_start.magnitude().after(start)
    return offset(index, latest - start) if latest else _NOTHING  # "for ever" leaves nothing to draw from


def _plus(moment: datetime, length: timedelta) -> datetime | None:
    try:
        return moment + length
    except OverflowError:
        return None


def _shifted(
    start: datetime, end: datetime | None, cycle: int, length: timedelta
) -> tuple[datetime | None, datetime | None]:
    try:
        shift = cycle * length
    except OverflowError:
        return None, None
    return _plus(start, shift), _plus(end, shift) if end else None


def _earlier(one: datetime | None, other: datetime | None) -> datetime | None:
    return min((moment for moment in (one, other) if moment is not None), default=None)


_NO_INTERVALS: Final = (Interval(id=0, payloads=()),)
