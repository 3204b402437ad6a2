"""Follow the changes in the outbox in the order in which they appear, those that appear late included.

A number that is missing between two others belongs to a transaction that has not ended, or to none. It is looked for
until every transaction that could have had it is over.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Final

from msgspec import Struct

from vtn.store.outbox.changes import Horizon, NotedChanges
from vtn.store.outbox.rows import Notification

_LOOK_BACK: Final = 10_000
"""Numbers before the last one that transactions may still have when it is the first to be seen."""
_AT_ONCE: Final = 500
_BYTES_AT_ONCE: Final = 4 * 1024 * 1024
_BEGUN_AFTER_S: Final = 1.0
"""Time for which a transaction may have a number before it counts as one that writes."""
_LONGEST_S: Final = 120.0
"""Time after which a number is given up, whatever goes on in other databases of the same server."""


class Follower:
    """Reads what was noted since the last call. ``last`` is the highest number that was read."""

    def __init__(self, changes: NotedChanges, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._changes = changes
        self._clock = clock
        self._gaps: list[_Gap] = []
        self._orderly = True
        self.last = 0

    @property
    def settled(self) -> int:
        """Return the number up to which nothing can appear any more: the one to go on from later."""
        return self._gaps[0].first - 1 if self._gaps else self.last

    @property
    def waits(self) -> bool:
        """Return True while numbers are missing that may still appear."""
        return bool(self._gaps)

    async def start(self) -> None:
        """Go on from the newest change, with an eye on those before it that are not committed yet."""
        self._gaps = []
        horizon = await self._changes.horizon()
        self._orderly = horizon is None
        self.last = last = await self._changes.newest()
        if horizon is not None and last:
            before = max(last - _LOOK_BACK, 0)
            self._gaps = self._missing(before, await self._changes.numbers(after=before), last)

    async def read(self) -> list[Notification]:
        """Return what has appeared, by number; nothing is missed or returned twice. Raises Unavailable."""
        horizon = await self._changes.horizon() if self._gaps else None
        if horizon is not None:
            self._mark(horizon)
        gaps = [(gap.first, gap.last) for gap in self._gaps]
        found, are_all = await self._changes.read(after=self.last, gaps=gaps, limit=_AT_ONCE, max_bytes=_BYTES_AT_ONCE)
        numbers = [one.seq for one in found]
        looked_until = self.last if are_all or not numbers else min(self.last, numbers[-1])
        still = [gap for gap in self._gaps if not self._is_over(gap, horizon) or gap.last > looked_until]
        self._gaps = [rest for gap in still for rest in gap.without(numbers)]
        if numbers and numbers[-1] > self.last:
            new = [number for number in numbers if number > self.last]
            if not self._orderly:
                self._gaps += self._missing(self.last, new, new[-1])
            self.last = new[-1]
        return found

    def _missing(self, after: int, numbers: Sequence[int], last: int) -> list[_Gap]:
        since = self._clock()
        gaps, expected = [], after + 1
        for number in (*numbers, last + 1):
            if number > expected:
                gaps.append(_Gap(expected, number - 1, since))
            expected = number + 1
        return gaps

    def _mark(self, horizon: Horizon) -> None:
        """Note for each new gap which transactions could fill it: those that have begun by now."""
        begun = self._clock() - _BEGUN_AFTER_S
        self._gaps = [
            _Gap(gap.first, gap.last, gap.since, horizon.next) if gap.fillers is None and gap.since <= begun else gap
            for gap in self._gaps
        ]

    def _is_over(self, gap: _Gap, horizon: Horizon | None) -> bool:
        """Return True if a gap that was empty in a look after ``horizon`` stays empty."""
        if horizon is not None and gap.fillers is not None and horizon.over >= gap.fillers:
            return True
        return self._clock() - gap.since > _LONGEST_S


class _Gap(Struct, frozen=True, gc=False):
    """Numbers that are missing since a time of the clock; transactions below ``fillers`` may have them."""

    first: int
    last: int
    since: float
    fillers: int | None = None

    def without(self, numbers: Sequence[int]) -> list[_Gap]:
        """Return what is left of it when some numbers have appeared."""
        inside = [number for number in numbers if self.first <= number <= self.last]
        rest, expected = [], self.first
        for number in (*inside, self.last + 1):
            if number > expected:
                rest.append(_Gap(expected, number - 1, self.since, self.fillers))
            expected = number + 1
        return rest
