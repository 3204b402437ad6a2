"""Connections to SQLite or PostgreSQL, and what their failures mean.

SQLite has one writer connection, whose queue is the queue of writers, and several readers, which never wait for it.
PostgreSQL has a pool for transactions and one for single statements. Reads are single statements outside a transaction.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any, Final, cast

from sqlalchemy import (
    Connection,
    Delete,
    Executable,
    ForeignKeyConstraint,
    Insert,
    RowMapping,
    Table,
    UniqueConstraint,
    Update,
    event,
)
from sqlalchemy.engine import URL, ExceptionContext, make_url
from sqlalchemy.exc import (
    DBAPIError,
    DisconnectionError,
    IntegrityError,
    InterfaceError,
    OperationalError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeout

from vtn.counters.revisions import Changes, Revisions, Watch
from vtn.errors import DatabaseMissing, Unavailable
from vtn.files import make_empty, make_private
from vtn.paths import data_folder
from vtn.settings import DatabaseSettings
from vtn.store.engine import AsyncConnection, AsyncEngine, create_async_engine
from vtn.store.prepared import Prepared, PreparedStatements
from vtn.store.probe import DatabaseProbe
from vtn.store.tables import reached_from
from vtn.store.withhold import withhold_values

_LARGE_READS: Final = 2
_CHANGES: Final = "openadr changes"

# Classes of SQLSTATE that say "not now": connection, transaction rollback, resources, object state, operator, system.
_NOT_NOW: Final = frozenset({"08", "40", "53", "55", "57", "58"})
# And those that refuse a connection: authorization, no such database.
_NO_WAY_IN: Final = frozenset({"28", "3D"})
_READ_ONLY: Final = frozenset({"25006", "SQLITE_READONLY"})
_DISK_FULL: Final = frozenset({"53100", "SQLITE_FULL"})

_NO_ANSWER: Final = "the database does not answer; try again later"
_NO_WRITES: Final = "the database accepts no writes at present; try again later"
_NO_ROOM: Final = "the disk of the database is full: nothing was stored; try again later"


class Database:
    """Connections to the database. Every failure to reach it is ``Unavailable``; it recovers by itself."""

    def __init__(self, settings: DatabaseSettings, revisions: Revisions | None = None) -> None:
        self.revisions = Revisions() if revisions is None else revisions
        self.url: URL = make_url(settings.url.get_secret_value())
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self._settings = settings
        self._failures: tuple[type[Exception], ...] = (DBAPIError, *_connection_errors(sqlite=self.is_sqlite))
        self._reads: PreparedStatements | None = None
        self._probe: DatabaseProbe | None = None
        self._hangs: Callable[[], bool] = _never
        self.large_reads = asyncio.Semaphore(_LARGE_READS)
        """Taken by who reads a text of any size, so that few are made at the same time."""
        self._trouble: str | None = None
        """Reason why the last write failed, if the disk was full or writing was not permitted."""
        if self.is_sqlite:
            self._writer = _sqlite(self.url, settings, pool_size=1)
            self._reader = _sqlite(self.url, settings, pool_size=settings.pool_size, read_only=True)
        else:
            transactions = max(1, settings.pool_size // 3)
            self._writer = _postgresql(self.url, settings, pool_size=transactions, statement_s=settings.timeout_s)
            self._reader = self._writer.execution_options(isolation_level="AUTOCOMMIT")
            self._reads = PreparedStatements(self.url, settings, connections=max(1, settings.pool_size - transactions))
            self._probe = DatabaseProbe(self.url)
        _note_changes(self._writer)

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

    def watch(self, *tables: Table) -> Watch | None:
        """Return a watch on what is read from these tables; None if nothing may be cached."""
        return self.revisions.watch(reached_from(*tables))

    async def check_ready(self) -> None:
        """Raise Unavailable unless the database can be read and written now; takes a second at most (GEN-022)."""
        if self._probe is not None:
            with self._reachable():
                if await self._probe.is_read_only():
                    raise Unavailable(_NO_WRITES)
        if self._trouble is not None and self.is_sqlite:
            async with self.write() as connection:  # or raises what is the matter
                await connection.exec_driver_sql("CREATE TABLE openadr_room (content BLOB)")
                await connection.exec_driver_sql("INSERT INTO openadr_room VALUES (zeroblob(65536))")
                await connection.exec_driver_sql("DROP TABLE openadr_room")
        elif self._trouble is not None:
            trouble, self._trouble = self._trouble, None  # said once more; the next write that fails says it again
            raise Unavailable(trouble)

    async def rows(self, statement: Executable) -> Sequence[RowMapping]:
        """Return every row of one reading statement."""
        with self._reachable():
            async with self._reader.connect() as connection:
                return (await connection.execute(statement)).mappings().all()

    async def row(self, statement: Executable) -> RowMapping | None:
        """Return the first row of one reading statement, if there is one."""
        rows = await self.rows(statement)
        return rows[0] if rows else None

    async def found(self, statement: Prepared, values: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
        """Return every row of a reading statement that is made once for the process and asked again and again."""
        if self._reads is not None:
            with self._reachable():
                return await self._reads.rows(statement, values)
        with self._reachable():
            async with self._reader.connect() as connection:
                return cast(Sequence[Mapping[str, Any]], (await connection.execute(statement, values)).mappings().all())

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """Yield a transaction that is committed at the end of the block, and undone when the block raises."""
        with self._reachable(), self.revisions.writing() as changes:
            async with self._writer.begin() as connection:
                connection.info[_CHANGES] = changes
                yield connection
        self._trouble = None

    @asynccontextmanager
    async def alter(self) -> AsyncIterator[AsyncConnection]:
        """Yield a transaction that changes the tables themselves, and takes as long as it takes."""
        if self.is_sqlite:
            async with self.write() as connection:
                yield connection
            return
        engine = _postgresql(self.url, self._settings, pool_size=1, statement_s=None)
        _note_changes(engine)
        try:
            with self._reachable(), self.revisions.writing() as changes:
                async with engine.begin() as connection:
                    connection.info[_CHANGES] = changes
                    yield connection
        finally:
            await engine.dispose()

    async def append(self, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
        """Add rows to a table of texts, committed together by one statement in a transaction of its own.

        It goes to the driver itself, at a tenth of what an engine adds.
        """
        with self._reachable(), self.revisions.writing() as changes:
            changes.touch(table.name)
            try:
                if self._reads is None:
                    await self._append_to_file(table, rows)
                else:
                    lists = [[row[column.name] for row in rows] for column in table.columns]
                    await self._reads.execute(_appending(table), *lists)
            except _integrity_errors(sqlite=self.is_sqlite) as error:
                raise IntegrityError(None, None, error) from error
            except sqlite3.Error as error:
                raise OperationalError(None, None, error) from error
        self._trouble = None

    async def _append_to_file(self, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
        names = [column.name for column in table.columns]
        values = [row[name] for row in rows for name in names]
        async with self._writer.connect() as connection:
            driver: Any = (await connection.get_raw_connection()).driver_connection
            await driver.execute_insert(_appending_to_file(table, len(rows)), values)

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[AsyncConnection]:
        """Yield a connection that sees one moment of the whole database, while others go on writing."""
        with self._reachable():
            async with self._reader.connect() as connection:
                if self.is_sqlite:
                    await connection.exec_driver_sql("BEGIN")  # the driver is told to leave transactions to us
                    try:
                        yield connection
                    finally:
                        await connection.exec_driver_sql("ROLLBACK")
                else:
                    await connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
                    async with connection.begin():
                        yield connection

    async def empty_log(self) -> None:
        """Put what is in SQLite's log into its file and leave nothing of it, if nobody reads at the moment."""
        with self._reachable():
            async with self._writer.connect() as connection:
                driver: Any = (await connection.get_raw_connection()).driver_connection
                for pragma in ("secure_delete = OFF", "wal_checkpoint(TRUNCATE)"):
                    await driver.execute_fetchall(f"PRAGMA {pragma}")

    async def close(self) -> None:
        """Give up all connections."""
        if self._probe is not None:
            await self._probe.close()
        if self._reads is not None:
            await self._reads.close()
        await self._reader.dispose()
        await self._writer.dispose()

    @contextmanager
    def _reachable(self) -> Iterator[None]:
        if self._hangs():
            raise Unavailable(_NO_ANSWER)
        try:
            yield
        except self._failures as error:
            withhold_values(error)
            reason = _reason(error)
            if reason is None:
                raise
            if reason == _NO_ROOM or (reason == _NO_WRITES and self.is_sqlite):
                self._trouble = reason
            raise Unavailable(reason) from error


def _never() -> bool:
    return False


def _note_changes(engine: AsyncEngine) -> None:
    """Record the table of every changing statement before it is sent, so that no writer can forget to."""

    @event.listens_for(engine.sync_engine, "before_execute")
    def note(connection: Connection, statement: Any, *_: object) -> None:
        if isinstance(statement, Insert | Update | Delete):
            changes: Changes = connection.info[_CHANGES]
            changes.touch(statement.entity_description["name"])


@cache
def _appending(table: Table) -> str:
    """Return a statement that inserts rows of texts from one list per column, for PostgreSQL."""
    names = ", ".join(column.name for column in table.columns)
    lists = ", ".join(f"${place}::text[]" for place, _ in enumerate(table.columns, 1))
    return f"INSERT INTO {table.name} ({names}) SELECT * FROM unnest({lists})"  # noqa: S608 (names only)


@cache
def _appending_to_file(table: Table, count: int) -> str:
    """Return a statement that inserts ``count`` rows, for SQLite."""
    names = ", ".join(column.name for column in table.columns)
    row = f"({', '.join('?' for _ in table.columns)})"
    return f"INSERT INTO {table.name} ({names}) VALUES {', '.join([row] * count)}"  # noqa: S608 (names only)


@cache
def _integrity_errors(*, sqlite: bool) -> type[Exception]:
    """Return the exception that the driver raises when a constraint is violated."""
    if sqlite:
        return sqlite3.IntegrityError
    from asyncpg import IntegrityConstraintViolationError  # noqa: PLC0415 (an extra, installed where it is used)

    refused: type[Exception] = IntegrityConstraintViolationError
    return refused


def violates(error: IntegrityError, constraint: UniqueConstraint | ForeignKeyConstraint) -> bool:
    """Return True if a refused write violated this constraint."""
    driver_error = getattr(error.orig, "__cause__", None) or error.orig
    named = getattr(driver_error, "constraint_name", None)
    if named is not None:
        return bool(named == constraint.name)
    if isinstance(constraint, ForeignKeyConstraint):
        return str(error.orig) == "FOREIGN KEY constraint failed"
    columns = ", ".join(f"{column.table.name}.{column.name}" for column in constraint.columns)
    return str(error.orig) == f"UNIQUE constraint failed: {columns}"


def _reason(error: Exception) -> str | None:
    """Return the message for the caller if the database is temporarily unavailable; None for any other error."""
    origin = error.orig if isinstance(error, DBAPIError) else error
    state = str(getattr(origin, "sqlstate", None) or getattr(origin, "sqlite_errorname", None) or "")
    if state.startswith("SQLITE_READONLY"):  # there are several kinds of it
        state = "SQLITE_READONLY"
    if state in _READ_ONLY:
        return _NO_WRITES
    if state in _DISK_FULL:
        return _NO_ROOM
    if isinstance(error, DBAPIError):
        not_now = not isinstance(error, IntegrityError) and (
            isinstance(error, OperationalError | InterfaceError)
            or error.connection_invalidated
            or state[:2] in _NOT_NOW | _NO_WAY_IN
            or type(origin) is sqlite3.DatabaseError  # a file that is no database, or a broken one
        )
    else:
        not_now = not state or state[:2] in _NOT_NOW | _NO_WAY_IN
    return _NO_ANSWER if not_now else None


def _connection_errors(*, sqlite: bool) -> tuple[type[Exception], ...]:
    """Return the exceptions, besides the database's own, that the driver raises when it cannot connect."""
    if sqlite:
        return (OSError, PoolTimeout, DisconnectionError)
    import asyncpg  # type: ignore[import-untyped,unused-ignore] # noqa: PLC0415 (untyped; an extra, installed where it is used)

    return (
        OSError,
        PoolTimeout,
        DisconnectionError,
        asyncpg.PostgresError,
        asyncpg.InterfaceError,
        asyncpg.InternalClientError,
    )


def _sqlite(url: URL, settings: DatabaseSettings, *, pool_size: int, read_only: bool = False) -> AsyncEngine:
    engine = create_async_engine(
        url,
        hide_parameters=True,  # values of rows do not belong into a log
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=settings.timeout_s,
        connect_args={"timeout": settings.timeout_s},
        **({"isolation_level": "AUTOCOMMIT"} if read_only else {}),
    )

    @event.listens_for(engine.sync_engine, "do_connect")
    def keep_private(*_: object) -> None:
        if settings.file is not None:
            _keep_private(settings.file)

    @event.listens_for(engine.sync_engine, "connect")
    def prepare(connection: Any, _record: object) -> None:
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", f"query_only={int(read_only)}"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    if not read_only:

        @event.listens_for(engine.sync_engine, "begin")
        def begin(connection: Any) -> None:
            connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def _keep_private(file: Path) -> None:
    """Make a SQLite file readable by its owner only; SQLite gives the files beside it the same mode."""
    if file.parent == data_folder():
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with suppress(OSError):  # SQLite says what is the matter with the name
        make_empty(file)
    if make_private(file, "the database, which holds secrets,"):
        for ending in ("-wal", "-shm", "-journal"):
            make_private(file.with_name(file.name + ending), "a file of the database")


def _postgresql(url: URL, settings: DatabaseSettings, *, pool_size: int, statement_s: float | None) -> AsyncEngine:
    engine = create_async_engine(
        url,
        hide_parameters=True,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=settings.timeout_s,
        connect_args={"timeout": settings.timeout_s, "command_timeout": statement_s},
    )

    @event.listens_for(engine.sync_engine, "handle_error")
    def look_elsewhere(context: ExceptionContext) -> None:
        # After a failover a connection may lead to the server that was: the next one finds the one that writes.
        if getattr(context.original_exception, "sqlstate", None) in _READ_ONLY:
            context.is_disconnect = True

    @event.listens_for(engine.sync_engine, "checkout")
    def alive(connection: Any, _record: object, _proxy: object) -> None:
        # The driver notices when the server hangs up; a new connection is made without asking the old one first.
        if connection.driver_connection.is_closed():
            raise DisconnectionError

    return engine
