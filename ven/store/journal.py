"""Write to the state file what memory already holds: nobody depends on the disk, and no error of it spreads.

While the process runs, memory is the truth. Whoever changes it puts what the file should say of it into the journal,
which keeps the newest of each key until it is on disk. `flush` writes, for a bounded time: everything in one
transaction, and if that fails each entry for itself. What cannot be written is tried again at the next flush.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import structlog

from ven.store.sqlite_file import SqliteFile

_log = structlog.get_logger(__name__)

MOST_PENDING: Final = 10_000
"""So many entries wait for a disk that fails; beyond that the oldest that gives way is given up, else the oldest."""

FLUSH_WITHIN_S: Final = 2.0
"""Real seconds that a step waits for the disk."""

_GIVEN_UP_AFTER: Final = 8
"""So many entries that the disk refuses one after the other are enough to know; the rest waits for the next flush."""

_NEVER: Final = (
    sqlite3.IntegrityError,
    sqlite3.DataError,
    sqlite3.InterfaceError,
    sqlite3.ProgrammingError,
    UnicodeError,
    OverflowError,
)
"""Errors of an entry itself, which no later try can mend."""

Key: TypeAlias = tuple[str, ...]
"""Names an entry. The first part says what it is about, such as an event's id: such entries are written in order."""


@dataclass(frozen=True, slots=True)
class Statement:
    """Hold a statement and the rows of values to send it with, once for each. It must be right to send it twice."""

    text: str
    rows: Sequence[Sequence[object]] = ((),)


@dataclass(frozen=True, slots=True)
class _Entry:
    """Hold what is to be written under one key."""

    statements: tuple[Statement, ...]
    gives_way: bool


class Journal:
    """Hold what is yet to be written to one file. `put` never fails and never waits."""

    def __init__(self, file: SqliteFile, *, most: int = MOST_PENDING) -> None:
        self._file = file
        self._most = most
        self._pending: dict[Key, _Entry] = {}
        self._writer: asyncio.Task[None] | None = None
        self._late: asyncio.Task[None] | None = None
        self.problem: str | None = None
        """Say why the last try left something unwritten; None if it did not."""
        self.written_late: Callable[[], None] = lambda: None
        """Called when the disk has answered after a flush gave up waiting for it."""

    @property
    def pending(self) -> tuple[Key, ...]:
        """Return the keys of what is yet to be written, in the order in which it will be."""
        return tuple(self._pending)

    def put(self, key: Key, *statements: Statement, gives_way: bool = False) -> None:
        """Have this written; it takes the place of what was put under that key before and is not written yet.

        What ``gives_way`` is given up before anything else if too much waits: of such things there are more every hour.
        """
        self._pending.pop(key, None)
        self._pending[key] = _Entry(statements, gives_way)
        if len(self._pending) > self._most:
            given_up = next((key for key, each in self._pending.items() if each.gives_way), next(iter(self._pending)))
            del self._pending[given_up]
            _log.error("too much waits to be written: something is given up", entry=":".join(given_up))

    def drop(self, about: str) -> None:
        """Have nothing more written about this."""
        for key in [key for key in self._pending if key[0] == about]:
            del self._pending[key]

    async def flush(self, *, within_s: float | None = None) -> bool:
        """Write what is pending, for so many real seconds at most (None: 2); True if nothing is left. Never raises.

        Writing goes on behind when the time is over or the caller is cancelled: the disk may hang.
        """
        within_s = FLUSH_WITHIN_S if within_s is None else within_s
        deadline = asyncio.get_running_loop().time() + within_s
        while self._pending or self._writer is not None:
            writer = self._writer  # somebody else may flush at the same time
            if writer is None:
                writer = self._writer = asyncio.create_task(self._write(), name="journal")
            await asyncio.wait({writer}, timeout=max(deadline - asyncio.get_running_loop().time(), 0))
            if not writer.done():
                self._failed(f"the disk has not answered for {within_s:g} s")
                if writer is not self._late:
                    self._late = writer
                    writer.add_done_callback(lambda _: self.written_late())
                return False
            if self._writer is writer:
                self._writer = None
            if self.problem is not None:
                return False
        return True

    async def close(self) -> None:
        """Write what is pending, and leave a disk that hangs."""
        await self.flush()
        if self._writer is not None:
            self._writer.cancel()
            await asyncio.wait({self._writer}, timeout=FLUSH_WITHIN_S)

    async def _write(self) -> None:
        batch = dict(self._pending)
        if (error := await self._try(batch)) is not None and (len(batch) > 1 or isinstance(error, _NEVER)):
            error = await self._each_alone(batch)
        if error is not None:
            self._failed(f"{type(error).__name__}: {error}", error)
        elif self.problem is not None:
            self.problem = None
            _log.info("state file is written again", file=str(self._file.path))

    async def _each_alone(self, batch: dict[Key, _Entry]) -> Exception | None:
        """Write entries one by one; one that fails holds back only those after it about the same thing."""
        failed: Exception | None = None
        held_back: set[str] = set()
        refused = 0
        for key, entry in batch.items():
            if key[0] in held_back:
                continue
            error = await self._try({key: entry})
            if isinstance(error, _NEVER):
                self._done({key: entry})
                _log.error(
                    "something can never be written and is given up",
                    entry=":".join(key),
                    problem=str(error),
                    exc_info=error,
                )
            elif error is not None:
                failed = error
                held_back.add(key[0])
                refused += 1
                if refused >= _GIVEN_UP_AFTER:
                    break
            else:
                refused = 0
        return failed

    async def _try(self, batch: dict[Key, _Entry]) -> Exception | None:
        try:
            async with self._file.transaction() as connection:
                for entry in batch.values():
                    for statement in entry.statements:
                        await connection.executemany(statement.text, statement.rows)
        except Exception as error:  # whatever it is: the caller's work does not depend on the disk
            return error
        self._done(batch)
        return None

    def _done(self, batch: dict[Key, _Entry]) -> None:
        for key, entry in batch.items():
            if self._pending.get(key) is entry:
                del self._pending[key]

    def _failed(self, problem: str, error: Exception | None = None) -> None:
        if self.problem is None:
            _log.error(
                "state file cannot be written: what is known is kept in memory and tried again",
                file=str(self._file.path),
                problem=problem,
                pending=len(self._pending),
                exc_info=None if isinstance(error, (sqlite3.Error, OSError)) else error,  # else it is not the disk
            )
        self.problem = problem
