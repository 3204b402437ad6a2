"""Connections to a file of SQLite: one that writes, whose queue is the queue of writers, and several that read.

Readers never wait for the writer (WAL), and every commit is on disk (``synchronous=FULL``).
"""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final, cast

from sqlalchemy import Executable, Table, event
from sqlalchemy.engine import URL

from vtn.files import make_empty, make_private
from vtn.paths import data_folder
from vtn.settings import DatabaseSettings as Settings
from vtn.store.appends import Replaced, Rows, Unless, as_rows
from vtn.store.engine import AsyncConnection, AsyncEngine, create_async_engine
from vtn.store.failures import CONNECTION_ERRORS
from vtn.store.prepared import Prepared

_ROOM: Final = (
    "CREATE TABLE openadr_room (content BLOB)",
    "INSERT INTO openadr_room VALUES (zeroblob(65536))",
    "DROP TABLE openadr_room",
)


class SqliteConnections:
    """The connections of one process to a file."""

    is_sqlite = True
    errors: tuple[type[Exception], ...] = (*CONNECTION_ERRORS, sqlite3.Error)

    def __init__(self, url: URL, settings: Settings) -> None:
        self.writer = _engine(url, settings, pool_size=1)
        self.reader = _engine(url, settings, pool_size=settings.pool_size, read_only=True)

    async def found(self, statement: Executable, values: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
        """Return every row of a statement that is made once for the process."""
        async with self.reader.connect() as connection:
            return cast(Sequence[Mapping[str, Any]], (await connection.execute(statement, values)).mappings().all())

    async def tuples(self, statement: Prepared, values: Mapping[str, Any]) -> Sequence[Sequence[Any]]:
        """Return every row of such a statement as the driver gives it: a boolean is 0 or 1."""
        compiled = statement.compile(dialect=self.reader.sync_engine.dialect)
        given = [values.get(name, compiled.params[name]) for name in compiled.positiontup or ()]
        async with self.reader.driver() as driver:
            return cast(Sequence[Sequence[Any]], await driver.execute_fetchall(str(compiled), given))

    async def append(self, table: Table, rows: Rows, unless: Unless | None, replaced: Replaced) -> bool:
        """Insert rows, or replace them, by one statement, which is its own transaction; return True if it did."""
        return bool(await self._send("execute_fetchall", *as_rows(table, rows, unless, replaced)))

    @asynccontextmanager
    async def altering(self) -> AsyncIterator[AsyncEngine]:
        """Yield the engine that may change tables: there is one writer."""
        yield self.writer

    @asynccontextmanager
    async def snapshot(self, connection: AsyncConnection) -> AsyncIterator[None]:
        """Let a reading connection see one moment of the whole database, for the block."""
        await connection.exec_driver_sql("BEGIN")  # the driver is told to leave transactions to us
        try:
            yield
        finally:
            await connection.exec_driver_sql("ROLLBACK")

    async def is_read_only(self) -> bool:
        """Return False: whether a file can be written, only a write can tell."""
        return False

    async def try_to_write(self) -> None:
        """Write something and take it away again; raises what is the matter."""
        async with self.writer.begin() as connection:
            for statement in _ROOM:
                await connection.exec_driver_sql(statement)

    async def empty_log(self) -> None:
        """Put what is in the log into the file and leave nothing of it, if nobody reads at the moment."""
        for pragma in ("secure_delete = OFF", "wal_checkpoint(TRUNCATE)"):
            await self._send("execute_fetchall", f"PRAGMA {pragma}")

    async def close(self) -> None:
        """Give up all connections."""
        await self.reader.dispose()
        await self.writer.dispose()

    async def _send(self, how: str, sql: str, *values: object) -> Any:
        """Send one statement to the driver of the writer; every statement without an engine is sent by this method."""
        async with self.writer.driver() as driver:
            return await getattr(driver, how)(sql, *values)


def _engine(url: URL, settings: Settings, *, pool_size: int, read_only: bool = False) -> AsyncEngine:
    engine = create_async_engine(
        url,
        hide_parameters=True,  # values of rows do not belong into a log
        pool_size=pool_size,
        pool_timeout=settings.timeout_s,
        pool_reset_on_return=None,
        undisturbed=True,
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

    @event.listens_for(engine.sync_engine, "reset")
    def undo(connection: Any, *_: object) -> None:
        # To ask the driver costs nothing; a rollback is a call of its thread, even where there is nothing to undo.
        if connection.driver_connection.in_transaction:
            connection.rollback()

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
