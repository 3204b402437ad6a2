"""When to read again after a hint: soon, not all of a fleet at once, and ever more seldom if it brings nothing."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Final

from openadr_client.clock import Clock
from openadr_client.notifications import ReceivedNotification, Told
from openadr_client.topic_choice import OBJECT_KINDS

_FIRST_PAUSE_S: Final = 1.0
_LONGEST_PAUSE_S: Final = 60.0
_FREE: Final = 2
"""Reads in vain that cost no pause: one notification may come twice, and connecting is a hint too."""


@dataclass
class _Vain:
    """Count the reads for hints of one kind that brought nothing, and say when the next may be."""

    last: datetime
    next_at: datetime
    reads: int = 0


class Hints:
    """Decides when a program that polls reads earlier, because somebody told of something.

    Whatever is told, true or not, once or a thousand times, is at most one more read: hints that come before it begins
    are covered by it. It begins after a random part of ``spread_s``. When reads for hints bring nothing new again and
    again, the pause after each doubles from 1 to 60 s, until one does or an hour has passed without. Hints of one kind
    of object keep those of another waiting for nothing: a client that writes thousands of resources is told of each,
    and of an event in between. All are seconds of the clock.
    """

    def __init__(self, clock: Clock, *, spread_s: float, chance: Random) -> None:
        self._clock = clock
        self._spread_s = spread_s
        self._chance = chance
        self._hinted = asyncio.Event()
        self._told: dict[str, datetime] = {}
        """From when on a hint may be read for, by kind."""
        self._read_for: tuple[str, ...] = ()
        self._vain: dict[str, _Vain] = {}

    def tell(self, told: Told) -> None:
        """Take a hint; nothing but the kind of its object matters."""
        self._hint(told.object_type if isinstance(told, ReceivedNotification) else "")

    def read_soon(self) -> None:
        """Take it as a hint that something was written here which is to be read."""
        self._hint("")

    def _hint(self, kind: str) -> None:
        kind = kind if kind in OBJECT_KINDS else ""
        if kind not in self._told:
            self._told[kind] = self._clock.now() + timedelta(seconds=self._spread_s * self._chance.random())
            self._hinted.set()

    async def wait(self, until: datetime) -> None:
        """Return when it is time to read: at the instant, or earlier after a hint."""
        self._read_for = ()
        at = until
        while await self._clock.wait_for(self._hinted, until=at):
            self._hinted.clear()
            at = min([until, *(self._moment(kind) for kind in self._told)])
            if at <= self._clock.now():
                break
        self._read_for, self._told = tuple(self._told), {}
        self._hinted.clear()

    def _moment(self, kind: str) -> datetime:
        """Return when to read for what was told of a kind."""
        vain = self._vain.get(kind)
        return self._told[kind] if vain is None else max(self._told[kind], vain.next_at)

    def done(self, *, changed: bool) -> None:
        """Say after a read whether it brought anything new."""
        now = self._clock.now()
        if changed:
            self._vain.clear()
            return
        for kind in self._read_for:
            vain = self._vain.get(kind)
            if vain is None or now - vain.last > timedelta(hours=1):
                vain = self._vain[kind] = _Vain(now, now)
            vain.last = now
            vain.reads = min(vain.reads + 1, 16)
            if vain.reads > _FREE:
                pause_s = min(_FIRST_PAUSE_S * 2.0 ** (vain.reads - _FREE - 1), _LONGEST_PAUSE_S)
                vain.next_at = now + timedelta(seconds=pause_s)
