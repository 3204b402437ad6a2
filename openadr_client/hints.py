"""When to read again after a hint: soon, not all of a fleet at once, and ever more seldom if it brings nothing."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from random import Random
from typing import Final

from openadr_client.clock import Clock
from openadr_client.notifications import Told

_FIRST_PAUSE_S: Final = 1.0
_LONGEST_PAUSE_S: Final = 60.0
_FREE: Final = 2
"""Reads in vain that cost no pause: one notification may come twice, and connecting is a hint too."""


class Hints:
    """Decides when a program that polls reads earlier, because somebody told of something.

    Whatever is told, true or not, once or a thousand times, is at most one more read: hints that come before it begins
    are covered by it. It begins after a random part of ``spread_s``. When reads for hints bring nothing new again and
    again, the pause after each doubles from 1 to 60 s, until one does or an hour has passed without. All are seconds of
    the clock.
    """

    def __init__(self, clock: Clock, *, spread_s: float, chance: Random) -> None:
        self._clock = clock
        self._spread_s = spread_s
        self._chance = chance
        self._hinted = asyncio.Event()
        self._in_vain = 0
        self._read_for_hint = False
        self._next_at = self._last_in_vain = clock.now()

    def tell(self, _: Told) -> None:
        """Take a hint; its content does not matter."""
        self.read_soon()

    def read_soon(self) -> None:
        """Take it as a hint that something was written here which is to be read."""
        self._hinted.set()

    async def wait(self, until: datetime) -> None:
        """Return when it is time to read: at the instant, or earlier after a hint."""
        self._read_for_hint = False
        if await self._clock.wait_for(self._hinted, until=until):
            spread = timedelta(seconds=self._spread_s * self._chance.random())
            await self._clock.sleep_until(min(max(self._clock.now() + spread, self._next_at), until))
            self._read_for_hint = True
        self._hinted.clear()

    def done(self, *, changed: bool) -> None:
        """Say after a read whether it brought anything new."""
        now = self._clock.now()
        if changed or now - self._last_in_vain > timedelta(hours=1):
            self._in_vain = 0
        if changed or not self._read_for_hint:
            return
        self._last_in_vain = now
        self._in_vain = min(self._in_vain + 1, 16)
        if self._in_vain > _FREE:
            pause_s = min(_FIRST_PAUSE_S * 2.0 ** (self._in_vain - _FREE - 1), _LONGEST_PAUSE_S)
            self._next_at = now + timedelta(seconds=pause_s)
