"""A clock that jumps from one instant that somebody waits for to the next: a year passes as fast as it is lived."""

from __future__ import annotations

import asyncio
import heapq
import mmap
import struct
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Final

from openadr_client.clock import Clock

_FORMAT: Final = "<d"
SIZE: Final = struct.calcsize(_FORMAT)


def shown_in(file: Path) -> Callable[[], datetime]:
    """Return what tells the time of a `JumpingClock` in another process; the file must be `SIZE` bytes long."""
    with file.open("r+b") as opened:
        shared = mmap.mmap(opened.fileno(), SIZE)
    return lambda: datetime.fromtimestamp(struct.unpack(_FORMAT, shared[:SIZE])[0], UTC)


class JumpingClock(Clock):
    """Stand still until ``run_to``; then jump whenever ``loops`` tasks wait for it, because nobody else has work.

    It shows the time in a file (`shown_in`), so that a VTN in another process has the same.
    """

    def __init__(self, file: Path, *, loops: int) -> None:
        self._now = shown_in(file)()
        with file.open("r+b") as opened:
            self._shared = mmap.mmap(opened.fileno(), SIZE)
        self._loops = loops
        self._until = self._now
        self._order = count()
        self._waiting: list[tuple[datetime, int, asyncio.Future[None]]] = []
        self._arrived = asyncio.Event()

    def now(self) -> datetime:
        """Return the present instant of this clock."""
        return self._now

    async def run_to(self, instant: datetime) -> None:
        """Return once the clock has come to an instant."""
        self._until = instant
        self._arrived.clear()
        self._jump_soon()
        await self._arrived.wait()

    async def sleep_until(self, instant: datetime) -> None:
        """Wait for an instant."""
        if instant <= self._now:
            await asyncio.sleep(0)
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (instant, next(self._order), future))
        self._jump_soon()
        await future

    def _jump_soon(self) -> None:
        asyncio.get_running_loop().call_soon(self._jump)

    def _jump(self) -> None:
        """Go on to the next instant if everybody waits, and let whoever waits for it go on."""
        live = sum(not future.done() for _, _, future in self._waiting)
        if live < self._loops or self._now >= self._until:
            return
        while self._waiting[0][2].done():
            heapq.heappop(self._waiting)
        self._now = min(self._waiting[0][0], self._until)
        struct.pack_into(_FORMAT, self._shared, 0, self._now.timestamp())
        if self._now >= self._until:
            self._arrived.set()
        while self._waiting and self._waiting[0][0] <= self._now:
            _, _, future = heapq.heappop(self._waiting)
            if not future.done():
                future.set_result(None)
