"""Rows that many callers add at once, committed together: whatever arrives during one commit is the next one.

There is no timer: a row that comes alone is written at once, and the more come the more share a commit. Nobody is told
that a row is stored before it is.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import Table
from sqlalchemy.exc import IntegrityError

from vtn.errors import Overloaded
from vtn.store.database import Database

_AT_ONCE: Final = 256


class Batch:
    """Appends rows to one table. ``max_bytes`` bounds what waits, by the size its callers state."""

    def __init__(self, database: Database, table: Table, *, max_bytes: int) -> None:
        self._database = database
        self._table = table
        self._max_bytes = max_bytes
        self._bytes = 0
        self._waiting: deque[tuple[Mapping[str, Any], asyncio.Future[None]]] = deque()
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
        self._waiting.append((row, stored))
        self._bytes += size
        if self._writing is None:
            self._writing = asyncio.create_task(self._write(), name=f"batches of {self._table.name}")
        try:
            await stored
        finally:
            self._bytes -= size

    async def _write(self) -> None:
        try:
            while self._waiting:
                await self._commit([self._waiting.popleft() for _ in range(min(_AT_ONCE, len(self._waiting)))])
        finally:
            self._writing = None
            for _, stored in self._waiting:  # only when this task was cancelled
                stored.cancel()
            self._waiting.clear()

    async def _commit(self, batch: list[tuple[Mapping[str, Any], asyncio.Future[None]]]) -> None:
        try:
            await self._database.append(self._table, [row for row, _ in batch])
        except IntegrityError as error:
            if len(batch) == 1:
                _tell(batch[0][1], error)
                return
            for one in batch:  # the database refuses some of them: each stands for itself
                await self._commit([one])
        except asyncio.CancelledError:
            for _, stored in batch:
                stored.cancel()
            raise
        except Exception as error:  # whatever happened, it is for those who wait; the next batch is tried again
            for _, stored in batch:
                _tell(stored, error)
        else:
            for _, stored in batch:
                if not stored.done():
                    stored.set_result(None)


def _tell(stored: asyncio.Future[None], error: Exception) -> None:
    if not stored.done():
        stored.set_exception(error)
