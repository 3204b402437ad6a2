"""The database as the stores know it: reads, transactions and appended rows; failures are told in their words.

Connections are the affair of ``sqlite`` and ``postgresql``, the meaning of errors that of ``failures``. Reads are
single statements outside a transaction.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Delete, Executable, Insert, RowMapping, Table, Update, event
from sqlalchemy.engine import URL, make_url

from vtn.counters.revisions import Changes, Revisions, Watch
from vtn.errors import DatabaseMissing, Unavailable
from vtn.settings import DatabaseSettings
from vtn.store.appends import Replaced, Rows, Unless
from vtn.store.engine import AsyncConnection, AsyncEngine
from vtn.store.failures import NO_ANSWER, NO_ROOM, NO_WRITES, reason, violated
from vtn.store.outbox.signal import RecordedChanges
from vtn.store.postgresql import PostgresConnections
from vtn.store.prepared import Prepared
from vtn.store.sqlite import SqliteConnections
from vtn.store.tables import NEVER_CACHED, deliveries, reached_from, reports
from vtn.store.withhold import withhold_values

_LARGE_READS: Final = 2
_CHANGES: Final = "openadr changes"
_WITH_REPORTS: Final = reached_from(reports)
"""Tables of which a deletion may take reports with it."""


class Database:
    """Connections to the database. Every failure to reach it is ``Unavailable``; it recovers by itself."""

    def __init__(self, settings: DatabaseSettings, revisions: Revisions | None = None) -> None:
        self.revisions = Revisions() if revisions is None else revisions
        self.url: URL = make_url(settings.url.get_secret_value())
        self._settings = settings
        self._connections: SqliteConnections | PostgresConnections = (
            SqliteConnections(self.url, settings)
            if self.url.get_backend_name() == "sqlite"
            else PostgresConnections(self.url, settings)
        )
        self.is_sqlite = self._connections.is_sqlite
        self._hangs: Callable[[], bool] = _never
        self.recorded: Final = RecordedChanges(self._count_recorded)
        """Tells who waits that changes were recorded in the outbox."""
        self.reported: Final = RecordedChanges(_unknown)
        """Tells who waits that this process has stored or removed reports."""
        self.large_reads = asyncio.Semaphore(_LARGE_READS)
        """Taken by who reads a text of any size, so that few are made at the same time."""
        self._trouble: str | None = None
        """Reason why the last write failed, if the disk was full or writing was not permitted."""
        _note_changes(self._connections.writer)

    @property
    def name(self) -> str:
        """Return the URL of the database for messages, without its password."""
        return self.url.render_as_string(hide_password=True)

    @property
    def file(self) -> Path | None:
        """Return the path of the SQLite file."""
        return self._settings.file

    def check_exists(self) -> None:
        """Raise DatabaseMissing for a file of SQLite that is not there: to read from it would make an empty one."""
        if self.file is not None and not (self.file.is_file() and self.file.stat().st_size):
            raise DatabaseMissing(
                f"there is no database {self.name}; `oadr vtn client add` and `oadr vtn run` make it, and another one "
                "is named with --database"
            )

    def fail_fast_while(self, hangs: Callable[[], bool]) -> None:
        """Refuse statements at once while ``hangs`` says that the database takes connections and answers nothing."""
        self._hangs = hangs

    async def check_ready(self) -> None:
        """Raise Unavailable unless the database can be read and written now; takes a second at most (GEN-022)."""
        with self._reachable():
            if await self._connections.is_read_only():
                raise Unavailable(NO_WRITES)
        if self._trouble is None:
            return
        if self.is_sqlite:
            with self._reachable():
                await self._connections.try_to_write()  # or raises what is the matter
            self._trouble = None
        else:
            trouble, self._trouble = self._trouble, None  # said once more; the next write that fails says it again
            raise Unavailable(trouble)

    def watch(self, *tables: Table) -> Watch | None:
        """Return a watch on what is read from these tables; None if nothing may be cached."""
        return self.revisions.watch(reached_from(*tables))

    async def rows(self, statement: Executable) -> Sequence[RowMapping]:
        """Return every row of one reading statement."""
        with self._reachable():
            async with self._connections.reader.connect() as connection:
                return (await connection.execute(statement)).mappings().all()

    async def row(self, statement: Executable) -> RowMapping | None:
        """Return the first row of one reading statement, if there is one."""
        rows = await self.rows(statement)
        return rows[0] if rows else None

    async def found(self, statement: Prepared, values: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
        """Return every row of a reading statement that is made once for the process and asked again and again."""
        with self._reachable():
            return await self._connections.found(statement, values)

    async def tuples(self, statement: Prepared, values: Mapping[str, Any]) -> Sequence[Sequence[Any]]:
        """Return every row of such a statement as the driver gives it: for hundreds of thousands of rows."""
        with self._reachable():
            return await self._connections.tuples(statement, values)

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """Yield a transaction that is committed at the end of the block, and undone when the block raises."""
        async with self._transaction(self._connections.writer) as connection:
            yield connection

    @asynccontextmanager
    async def alter(self) -> AsyncIterator[AsyncConnection]:
        """Yield a transaction that changes the tables themselves, and takes as long as it takes."""
        async with self._connections.altering() as engine:
            if engine is not self._connections.writer:
                _note_changes(engine)
            async with self._transaction(engine) as connection:
                yield connection

    async def append(self, table: Table, rows: Rows, *, unless: Unless | None = None, replaced: Replaced = ()) -> bool:
        """Insert rows, committed together by one statement in a transaction of its own; return True if it did.

        It did not if ``unless`` was true. Of rows that are there the columns ``replaced`` get new values; a primary key
        may be among the rows once.

        It goes to the driver itself, at a tenth of what an engine adds. Raises ConstraintViolated if the database
        refuses any of the rows; then none is stored.
        """
        with self._reachable(), self.revisions.writing() as changes:
            changes.touch(table.name)
            inserted = await self._connections.append(table, rows, unless, replaced)
        self._trouble = None
        if table is reports:
            self.reported.tell()
        return inserted

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[AsyncConnection]:
        """Yield a connection that sees one moment of the whole database, while others go on writing."""
        with self._reachable():
            async with self._connections.reader.connect() as connection, self._connections.snapshot(connection):
                yield connection

    async def empty_log(self) -> None:
        """Put what is in SQLite's log into its file and leave nothing of it, if nobody reads at the moment."""
        with self._reachable():
            await self._connections.empty_log()

    async def close(self) -> None:
        """Give up all connections."""
        await self._connections.close()

    @asynccontextmanager
    async def _transaction(self, engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
        with self._reachable(), self.revisions.writing() as changes:
            async with engine.begin() as connection:
                connection.info[_CHANGES] = changes
                yield connection
        self._trouble = None
        if changes.has_touched(deliveries.name):
            self.recorded.tell()
        if any(map(changes.has_touched, _WITH_REPORTS)):
            self.reported.tell()

    def _count_recorded(self) -> bytes | None:
        """Return the count of recorded changes of all processes with this file; of PostgreSQL the listener tells."""
        return self.revisions.count(deliveries.name) if self.is_sqlite else None

    @contextmanager
    def _reachable(self) -> Iterator[None]:
        """Turn errors of the driver into ConstraintViolated or Unavailable; those that are our fault stay."""
        if self._hangs():
            raise Unavailable(NO_ANSWER)
        try:
            yield
        except self._connections.errors as error:
            withhold_values(error)
            if (refused := violated(error)) is not None:
                raise refused from error
            why = reason(error)
            if why is None:
                raise
            if why == NO_ROOM or (why == NO_WRITES and self.is_sqlite):
                self._trouble = why
            raise Unavailable(why) from error


def touch(connection: AsyncConnection, table: Table) -> None:
    """Note that a transaction changes a table whose statements are not counted by themselves (``NEVER_CACHED``)."""
    changes: Changes = connection.info[_CHANGES]
    changes.touch(table.name)


def _never() -> bool:
    return False


def _unknown() -> None:
    """Return that nothing is known of what other processes do."""


def _note_changes(engine: AsyncEngine) -> None:
    """Record the table of every changing statement before it is sent, so that no writer can forget to."""

    @event.listens_for(engine.sync_engine, "before_execute")
    def note(connection: Connection, statement: Any, *_: object) -> None:
        if isinstance(statement, Insert | Update | Delete):
            name = statement.entity_description["name"]
            if name not in NEVER_CACHED:
                changes: Changes = connection.info[_CHANGES]
                changes.touch(name)
