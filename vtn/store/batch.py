"""Rows that many callers add at once, committed together: whatever arrives during one commit is the next one.

There is no timer: a row that comes alone is written at once, and the more come the more share a commit. Nobody is told
that a row is stored before it is.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, NamedTuple

from vtn.errors import Overloaded
from vtn.store.appends import Rows
from vtn.store.failures import ConstraintViolated

_AT_ONCE: Final = 256


class Batch:
    """Appends rows to the table of this name. ``append`` commits some of them, all or none.

    ``max_bytes`` bounds what waits, by the size its callers state.
    """

    def __init__(self, name: str, append: Callable[[Rows], Awaitable[None]], *, max_bytes: int) -> None:
        self._name = name
        self._append = append
        self._max_bytes = max_bytes
        self._bytes = 0
        self._waiting: deque[_Waiting] = deque()
        self._writing: asyncio.Task[None] | None = None

    @property
    def waiting(self) -> int:
        """Return the number of rows that wait for the next commit."""
        return len(self._waiting)

    async def add(self, row: Mapping[str, Any], *, size: int) -> None:
        """Store one row; returns once it is committed. Raises Overloaded, or what the database has against this row."""
        if self._bytes and self._bytes + size > self._max_bytes:
            raise Overloaded("too much waits to be stored; try again later")
        stored: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(row, size, stored))
        self._bytes += size
        if self._writing is None:
            self._writing = asyncio.create_task(self._write(), name=f"batches of {self._name}")
        await stored

    async def _write(self) -> None:
        batch: list[_Waiting] = []
        try:
            while self._waiting:
                batch = [self._waiting.popleft() for _ in range(min(_AT_ONCE, len(self._waiting)))]
                await self._commit(batch)
                self._bytes -= sum(each.size for each in batch)
                batch = []
        finally:
            self._writing = None
            for each in (*batch, *self._waiting):  # only when this task was cancelled
                each.stored.cancel()
                self._bytes -= each.size
            self._waiting.clear()

    async def _commit(self, batch: list[_Waiting]) -> None:
        try:
            await self._append([each.row for each in batch])
        except ConstraintViolated as error:
            if len(batch) == 1:
                batch[0].fail(error)
                return
            half = len(batch) // 2  # the database refuses some of them: find out which, in their order
            await self._commit(batch[:half])
            await self._commit(batch[half:])
        except Exception as error:  # whatever happened, it is for those who wait; the next batch is tried again
            for each in batch:
                each.fail(error)
        else:
            for each in batch:
                if not each.stored.done():
                    each.stored.set_result(None)


class _Waiting(NamedTuple):
    """A row, and the future of the caller who waits for its commit."""

    row: Mapping[str, Any]
    size: int
    stored: asyncio.Future[None]

    def fail(self, error: Exception) -> None:
        if not self.stored.done():
            self.stored.set_exception(error)
