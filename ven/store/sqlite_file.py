"""Open one SQLite file, for this process alone, and run transactions in it that are on disk when they return."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Final

import aiosqlite

from ven.errors import BadStore

_PRAGMAS: Final = (
    "pragma locking_mode=exclusive",
    "pragma journal_mode=wal",
    "pragma synchronous=full",
)
_WAIT_S: Final = 5.0
"""Real seconds for which SQLite tries again while the file is locked: whoever only looks at it is done sooner."""


class SqliteFile:
    """Hold the connection to the file. Between `open` and `close` no other process can use the file.

    With ``read_only`` nothing is written; for a look at a file that no VEN has open. From the first read until `close`
    others can look as well, but a VEN that starts waits, for a few seconds: read what is needed, and close.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self.path = path
        self.read_only = read_only
        self._connection: aiosqlite.Connection | None = None
        self._lock = asyncio.Lock()

    async def open(self) -> None:
        """Open the file, making it if need be; wait a few seconds for another process that has it.

        Raises:
            BadStore: it cannot be read or written, is no SQLite file, or is in use by another process.
        """
        if self.read_only:
            with self.errors():
                uri = f"{self.path.absolute().as_uri()}?mode=ro"
                self._connection = await aiosqlite.connect(uri, uri=True, isolation_level=None, timeout=1.0)
            return
        try:
            self.path.open("ab").close()  # a file that cannot be used is found out here, before there is a thread
        except OSError as error:
            raise BadStore(f"{self.path} cannot be used: {error.strerror}") from error
        with self.errors():
            self._connection = await aiosqlite.connect(self.path, isolation_level=None, timeout=_WAIT_S)
            for pragma in _PRAGMAS:
                await self.rows(pragma)

    async def close(self) -> None:
        """Close the file; may be called again."""
        if self._connection is not None:
            connection, self._connection = self._connection, None
            await connection.close()

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Raise BadStore with the file's name instead of the library's errors."""
        try:
            yield
        except sqlite3.OperationalError as error:
            hint = " by another process" if "locked" in str(error) else ""
            raise BadStore(f"{self.path} cannot be used{hint}: {error}") from error
        except sqlite3.DatabaseError as error:
            raise BadStore(f"{self.path} is not a database of a VEN: {error}") from error

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[aiosqlite.Connection]:
        """Give the connection with a transaction begun; commit it at the end, or undo it whatever is raised.

        Begin and commit are inside the `try`: the library's thread may carry them out although we were cancelled while
        we waited for it, and the rollback that follows leaves no transaction open in either case.
        """
        async with self._lock:
            connection = self._opened
            try:
                await connection.execute("begin immediate")
                yield connection
                await connection.commit()
            except BaseException:
                with suppress(sqlite3.Error):  # the first error tells more; a transaction cannot be left open by it
                    await connection.rollback()
                raise

    async def rows(self, statement: str, values: Sequence[object] = ()) -> list[sqlite3.Row]:
        """Return all rows that a statement gives."""
        return list(await self._opened.execute_fetchall(statement, values))

    async def number(self, statement: str) -> int:
        """Return the one number that a statement gives; raises BadStore if there is none."""
        rows = await self.rows(statement)
        if not rows:
            raise BadStore(f"{self.path} is damaged: nothing is found by {statement!r}")
        return int(rows[0][0])

    @property
    def _opened(self) -> aiosqlite.Connection:
        if self._connection is None:
            raise RuntimeError("the state file is not open: use it as `async with`")
        return self._connection
