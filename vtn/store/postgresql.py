"""Connections to PostgreSQL: for transactions, for single statements, and one to ask whether it answers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, cast

from sqlalchemy import Table, event
from sqlalchemy.engine import URL, ExceptionContext
from sqlalchemy.exc import DisconnectionError

from vtn.settings import DatabaseSettings as Settings
from vtn.store.appends import Replaced, Rows, Unless, as_lists
from vtn.store.engine import AsyncConnection, AsyncEngine, create_async_engine
from vtn.store.failures import CONNECTION_ERRORS, READ_ONLY
from vtn.store.prepared import Prepared, PreparedStatements
from vtn.store.probe import DatabaseProbe

_NOTHING_INSERTED: Final = "INSERT 0 0"


class PostgresConnections:
    """The connections of one process to a server: ``pool_size`` of them, a third for transactions."""

    is_sqlite = False

    def __init__(self, url: URL, settings: Settings) -> None:
        self._url = url
        self._settings = settings
        transactions = max(1, settings.pool_size // 3)
        self.errors: tuple[type[Exception], ...] = (*CONNECTION_ERRORS, *_driver_errors())
        self.writer = _engine(url, settings, pool_size=transactions, statement_s=settings.timeout_s)
        self.reader = self.writer.execution_options(isolation_level="AUTOCOMMIT")
        self.single = PreparedStatements(url, settings, connections=max(1, settings.pool_size - transactions))
        self._probe = DatabaseProbe(url)

    async def found(self, statement: Prepared, values: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
        """Return every row of a statement that is made once for the process."""
        return await self.single.rows(statement, values)

    async def tuples(self, statement: Prepared, values: Mapping[str, Any]) -> Sequence[Sequence[Any]]:
        """Return every row of such a statement as the driver gives it."""
        return cast(Sequence[Sequence[Any]], await self.single.rows(statement, values))

    async def append(self, table: Table, rows: Rows, unless: Unless | None, replaced: Replaced) -> bool:
        """Insert rows, or replace them, by one statement, which is its own transaction; return True if it did."""
        sql, lists = as_lists(table, rows, self.single.dialect, unless, replaced)
        return await self.single.execute(sql, *lists) != _NOTHING_INSERTED

    @asynccontextmanager
    async def altering(self) -> AsyncIterator[AsyncEngine]:
        """Yield an engine that may change tables, which takes as long as it takes."""
        engine = _engine(self._url, self._settings, pool_size=1, statement_s=None)
        try:
            yield engine
        finally:
            await engine.dispose()

    @asynccontextmanager
    async def snapshot(self, connection: AsyncConnection) -> AsyncIterator[None]:
        """Let a reading connection see one moment of the whole database, for the block."""
        await connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        async with connection.begin():
            yield

    async def is_read_only(self) -> bool:
        """Return True if no transaction can write; raises TimeoutError without an answer within a second."""
        return await self._probe.is_read_only()

    async def try_to_write(self) -> None:
        """Do nothing: ``is_read_only`` has asked, and for room on its disk nobody can ask a server."""

    async def empty_log(self) -> None:
        """Do nothing: its log is the server's own affair."""

    async def close(self) -> None:
        """Give up all connections."""
        await self._probe.close()
        await self.single.close()
        await self.writer.dispose()


def _driver_errors() -> tuple[type[Exception], ...]:
    """Return the errors that the driver raises itself when it is used without SQLAlchemy."""
    import asyncpg  # type: ignore[import-untyped,unused-ignore] # noqa: PLC0415 (untyped; an extra, installed where it is used)

    return asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError


def _engine(url: URL, settings: Settings, *, pool_size: int, statement_s: float | None) -> AsyncEngine:
    engine = create_async_engine(
        url,
        hide_parameters=True,
        pool_size=pool_size,
        pool_timeout=settings.timeout_s,
        connect_args={"timeout": settings.timeout_s, "command_timeout": statement_s},
    )

    @event.listens_for(engine.sync_engine, "handle_error")
    def look_elsewhere(context: ExceptionContext) -> None:
        # After a failover a connection may lead to the server that was: the next one finds the one that writes.
        if getattr(context.original_exception, "sqlstate", None) in READ_ONLY:
            context.is_disconnect = True

    @event.listens_for(engine.sync_engine, "checkout")
    def alive(connection: Any, _record: object, _proxy: object) -> None:
        # The driver notices when the server hangs up; a new connection is made without asking the old one first.
        if connection.driver_connection.is_closed():
            raise DisconnectionError

    return engine
