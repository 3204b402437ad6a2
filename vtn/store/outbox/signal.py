"""Tell who waits for changes that some were recorded: by this process, by another one of this host, by another host.

This process says it itself. For others PostgreSQL's notification is heard (``vtn/store/listener.py``); processes that
share a file of SQLite count what they record in shared memory, which is looked at ten times a second by who waits: by
a timer, since to begin and cancel a wait each time took most of what an idle server did.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Final

_LOOK_EVERY_S: Final = 0.1


class RecordedChanges:
    """Hold all waiters of a process. ``count`` gives a value that changes when other processes record, or None."""

    def __init__(self, count: Callable[[], bytes | None]) -> None:
        self._count = count
        self._waiters: list[ChangeWaiter] = []

    def waiter(self) -> ChangeWaiter:
        """Return a waiter for one piece of background work; it is told of what is recorded from now on."""
        waiter = ChangeWaiter(self._count)
        self._waiters.append(waiter)
        return waiter

    def tell(self) -> None:
        """Say that changes were recorded; called after the commit, from any thread."""
        for waiter in list(self._waiters):
            waiter.tell()


class ChangeWaiter:
    """Wait for recorded changes; what was recorded between two waits ends the second one at once."""

    def __init__(self, count: Callable[[], bytes | None]) -> None:
        self._count = count
        self._counted = count()
        self._told = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    def tell(self) -> None:
        """Say that changes were recorded, from any thread."""
        if self._loop is None:
            self._told.set()
        else:
            with suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(self._told.set)

    async def wait(self, timeout_s: float) -> bool:
        """Wait until changes were recorded, for so long at most; return True if there may be some."""
        loop = self._loop = asyncio.get_running_loop()
        look: asyncio.TimerHandle | None = None

        def look_again() -> None:
            nonlocal look
            if self._counted != self._count():
                self._told.set()
            elif self._counted is not None:
                look = loop.call_later(_LOOK_EVERY_S, look_again)

        look_again()
        try:
            async with asyncio.timeout(timeout_s):
                await self._told.wait()
        except TimeoutError:
            if self._counted == self._count():
                return False
        finally:
            if look is not None:
                look.cancel()
        self._told.clear()
        self._counted = self._count()
        return True
