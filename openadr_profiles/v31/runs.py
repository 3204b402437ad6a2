"""Keep when the intervals of an event run in columns of numbers: 24 bytes each, so that 100,000 fit anywhere.

Instants are kept as microseconds since the year 1 in UTC. A place counts the intervals that run, in the event's order.
"""

from __future__ import annotations

import itertools
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from openadr_profiles.v31.duration import Duration
from openadr_profiles.v31.instant import LATEST

_TICK: Final = timedelta(microseconds=1)
_FIRST: Final = datetime.min.replace(tzinfo=UTC)
_LATEST: Final = (LATEST - _FIRST) // _TICK
_OPEN: Final = _LATEST + 1
"""Stands for no end; later than every end."""


@dataclass(frozen=True, slots=True)
class Runs:
    """Hold the intervals of the first cycle that run.

    ``index`` gives the index in the event of each place, ``in_time`` the places by start, then by place. ``starts`` and
    ``ends`` are by place; ``reach`` is the latest end of all runs up to each position of ``in_time``.
    """

    index: Sequence[int]
    in_time: Sequence[int]
    starts: array[int]
    ends: array[int]
    reach: array[int]

    @property
    def count(self) -> int:
        """Return the number of intervals that run."""
        return len(self.starts)

    def start(self, place: int) -> datetime:
        """Return the start of a run."""
        return _FIRST + timedelta(microseconds=self.starts[place])

    def end(self, place: int) -> datetime | None:
        """Return the end of a run; None is open."""
        us = self.ends[place]
        return None if us == _OPEN else _FIRST + timedelta(microseconds=us)

    def span(self) -> tuple[datetime, datetime | None]:
        """Return the first start and the last end; None if one is open."""
        last = max(self.ends)
        return _FIRST + timedelta(microseconds=min(self.starts)), (
            None if last == _OPEN else _FIRST + timedelta(microseconds=last)
        )

    def first_not_over(self, at: datetime, shift: timedelta) -> int:
        """Return the position in time before which all runs, put off by ``shift``, have ended by a moment."""
        return bisect_left(self.reach, (at - _FIRST - shift) // _TICK)

    @property
    def in_order(self) -> bool:
        """Return True if no run begins or ends before one that is listed earlier."""
        return isinstance(self.in_time, range) and self.reach == self.ends

    def before(self, limit: datetime) -> Runs:
        """Return the runs that begin before a moment."""
        last = (limit - _FIRST) // _TICK
        places = [place for place, start in enumerate(self.starts) if start < last]
        if len(places) == self.count:
            return self
        index, starts, ends = ([column[place] for place in places] for column in (self.index, self.starts, self.ends))
        return _runs(array("l", index), array("q", starts), array("q", ends))


class RunsBuilder:
    """Collect runs in the event's order."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._index = array("l")
        self._starts = array("q")
        self._ends = array("q")
        self._absolute = array("q")

    def add(self, index: int, start: datetime | int, duration: Duration | None, *, is_absolute: bool) -> int | None:
        """Add the interval with this index; return its end in microseconds if it has a length and ends.

        ``start`` may be such an end. A run without length ends at the next absolute start.
        """
        start_us = start if isinstance(start, int) else (start - _FIRST) // _TICK
        end_us = None if duration is None else _end_us(start_us, duration)
        self._index.append(index)
        self._starts.append(start_us)
        self._ends.append(_OPEN if end_us is None else end_us)
        if is_absolute:
            self._absolute.append(start_us)
        return end_us

    def built(self) -> Runs:
        """Return the runs."""
        absolute = sorted(self._absolute)
        ends = self._ends
        for place, end_us in enumerate(ends):
            if end_us == _OPEN:
                following = bisect_right(absolute, self._starts[place])
                ends[place] = absolute[following] if following < len(absolute) else _OPEN
        complete = len(self._index) == self._most
        return _runs(range(self._most) if complete else self._index, self._starts, ends)


def _end_us(start_us: int, duration: Duration) -> int | None:
    if duration.is_exact:
        end_us = start_us + duration.time // _TICK
        return None if end_us > _LATEST else end_us
    end = duration.after(_FIRST + timedelta(microseconds=start_us))
    return None if end is None else (end - _FIRST) // _TICK


def _runs(index: Sequence[int], starts: array[int], ends: array[int]) -> Runs:
    places = range(len(starts))
    ordered = all(map(int.__le__, starts, itertools.islice(starts, 1, None)))
    in_time = places if ordered else array("l", sorted(places, key=starts.__getitem__))
    reach = array("q", itertools.accumulate((min(ends[place], _LATEST) for place in in_time), max))
    return Runs(index, in_time, starts, ends, reach)
