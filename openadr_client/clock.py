"""Time that can be passed in: everything that asks for the time or waits does so through a `Clock`.

The demo runs on an accelerated clock and tests on one that they move by hand; nothing else changes.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

_STEP_S: Final = 30.0
"""Longest real sleep in one piece, so that a system clock that is set forward is noticed."""
_SLEWED: Final = 0.001
_SLACK_S: Final = 0.001
"""A system clock that is only kept right runs slower by less than this part, and ends a wait by itself."""


class Clock(ABC):
    """The present, and waiting for the future. Instants are aware and in UTC; seconds are seconds of this clock."""

    is_real = False
    """True if it shows the real time, so that other clocks may be compared with it."""

    speed: float = 1.0
    """Seconds of this clock per real second."""

    @abstractmethod
    def now(self) -> datetime:
        """Return the present instant."""

    def monotonic_s(self) -> float:
        """Return seconds of this clock that only grow, also when it is set: for lengths of time, not for instants."""
        return (self.now() - datetime.min.replace(tzinfo=UTC)).total_seconds()

    @abstractmethod
    async def sleep_until(self, instant: datetime) -> None:
        """Return once `now()` has reached the instant; gives others a turn even when that is past.

        When the clock is set back meanwhile, it returns earlier: after the time that it was to the instant.
        """

    async def sleep(self, seconds: float) -> None:
        """Wait for a length of this clock's time."""
        await self.sleep_until(self.now() + timedelta(seconds=seconds))

    async def wait_for(self, event: asyncio.Event, *, until: datetime) -> bool:
        """Wait for the event or the instant, whatever comes first; True if the event is set."""
        if event.is_set():
            return True
        waiter = asyncio.ensure_future(event.wait())
        sleeper = asyncio.ensure_future(self.sleep_until(until))
        try:
            await asyncio.wait((waiter, sleeper), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (waiter, sleeper):
                task.cancel()
            await asyncio.gather(waiter, sleeper, return_exceptions=True)
        return event.is_set()


class SystemClock(Clock):
    """The time of this machine."""

    is_real = True

    def now(self) -> datetime:
        """Return the present instant."""
        return datetime.now(UTC)

    def monotonic_s(self) -> float:
        """Return the seconds of this machine's monotonic clock."""
        return time.monotonic()

    async def sleep_until(self, instant: datetime) -> None:
        """Wait for the instant; when the system clock is set meanwhile, no longer than it was to it, plus a little.

        Whoever wakes before its instant looks at the clock and waits again.
        """
        remaining_s = max((instant - self.now()).total_seconds(), 0.0)
        latest = self.monotonic_s() + remaining_s * (1 + _SLEWED) + _SLACK_S
        while True:
            await asyncio.sleep(min(max(remaining_s, 0.0), _STEP_S))
            remaining_s = min((instant - self.now()).total_seconds(), latest - self.monotonic_s())
            if remaining_s <= 0:
                return


class ScaledClock(Clock):
    """A clock that begins at `start` (default: the present) and runs `speed` times as fast as the machine's.

    Parts that shall agree on the time share one object. `monotonic` gives real seconds and is replaced in tests.
    """

    def __init__(
        self, speed: float, *, start: datetime | None = None, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        if not 0 < speed < float("inf"):
            raise ValueError(f"speed must be a positive number, not {speed}")
        self.speed = speed
        self._start = start or datetime.now(UTC)
        self._monotonic = monotonic
        self._began = monotonic()

    def now(self) -> datetime:
        """Return the present instant of this clock."""
        return self._start + timedelta(seconds=self.monotonic_s())

    def monotonic_s(self) -> float:
        """Return the seconds since this clock began."""
        return (self._monotonic() - self._began) * self.speed

    async def sleep_until(self, instant: datetime) -> None:
        """Wait until this clock shows the instant."""
        while True:
            remaining_s = (instant - self.now()).total_seconds() / self.speed
            await asyncio.sleep(max(remaining_s, 0.0))
            if self.now() >= instant:
                return


class ManualClock(Clock):
    """A clock that stands still until it is moved; for tests.

    `advance` wakes sleepers one after the other in the order of their instants, and each sees the clock at its own
    instant, so that a run gives the same result every time. A test that must know that all work is done waits for
    the number of sleepers it expects (`asleep`).
    """

    def __init__(self, start: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self._now = start
        self._order = itertools.count()
        self._sleepers: list[tuple[datetime, int, asyncio.Future[None]]] = []
        self._changed = asyncio.Event()

    def now(self) -> datetime:
        """Return the instant the clock was moved to."""
        return self._now

    async def sleep_until(self, instant: datetime) -> None:
        """Wait until the clock is moved to the instant or past it."""
        if instant <= self._now:
            await asyncio.sleep(0)
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (instant, next(self._order), future))
        self._changed.set()
        try:
            await future
        finally:
            self._sleepers = [entry for entry in self._sleepers if entry[2] is not future]
            heapq.heapify(self._sleepers)

    @property
    def sleepers(self) -> int:
        """Return the number of tasks that wait for this clock now."""
        return sum(not future.done() for _, _, future in self._sleepers)

    @property
    def next_wake(self) -> datetime | None:
        """Return the instant the first of them waits for."""
        return min((instant for instant, _, future in self._sleepers if not future.done()), default=None)

    async def asleep(self, count: int = 1) -> None:
        """Return once at least `count` tasks wait for this clock."""
        while self.sleepers < count:
            self._changed.clear()
            await self._changed.wait()

    async def advance(self, seconds: float, *, settle: int | None = None) -> None:
        """Move on by `seconds`, stopping at every instant somebody waits for.

        After each stop the woken tasks run until they can go no further without the outer world; with `settle`,
        until that many tasks wait for the clock again.
        """
        await self.advance_to(self._now + timedelta(seconds=seconds), settle=settle)

    async def advance_to(self, instant: datetime, *, settle: int | None = None) -> None:
        """Move on to the instant, as `advance` does."""
        while (due := self.next_wake) is not None and due <= instant:
            self._now = max(self._now, due)
            for wanted, _, future in sorted(self._sleepers, key=lambda entry: entry[:2]):
                if wanted <= self._now and not future.done():
                    future.set_result(None)
            await self._run_the_others(settle)
        self._now = max(self._now, instant)

    async def _run_the_others(self, settle: int | None) -> None:
        for _ in range(50):
            await asyncio.sleep(0)
        if settle is not None:
            await self.asleep(settle)
