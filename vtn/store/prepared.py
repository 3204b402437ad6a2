"""Statements that are asked again and again on PostgreSQL, by its driver alone.

SQLAlchemy writes each of them once; after that a read costs what the driver costs, a tenth of what an engine adds.
Nothing that is done here leaves anything behind in a connection, so none is reset when it goes back to the pool.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias

from sqlalchemy import CompoundSelect, Dialect, Select
from sqlalchemy.engine import URL

from vtn.settings import DatabaseSettings as Settings

Prepared: TypeAlias = Select[Any] | CompoundSelect[Any]
"""A reading statement that is made once for the process; its values have names."""

_CLOSE_S: Final = 5.0
_READ_ONLY: Final = "25006"


def connect_arguments(url: URL) -> dict[str, Any]:
    """Return the driver's arguments for connecting to a database, including the options of its URL (``?ssl=…``)."""
    return dict(_dialect().create_connect_args(url)[1])


def _dialect() -> Dialect:
    from sqlalchemy.dialects.postgresql import asyncpg  # noqa: PLC0415 (a server on SQLite does not pay for it)

    dialect: Dialect = asyncpg.dialect()  # type: ignore[no-untyped-call] # the library's own
    return dialect


class PreparedStatements:
    """A pool of connections outside of transactions."""

    def __init__(self, url: URL, settings: Settings, *, connections: int) -> None:
        self._arguments = connect_arguments(url)
        self._settings = settings
        self._connections = connections
        self.dialect: Final = _dialect()
        """Writes SQL for this driver."""
        self._written: dict[Prepared, tuple[str, Sequence[tuple[str, Any]]]] = {}
        self._pool: Any = None
        self._turns = asyncio.Semaphore(connections)  # the driver's own queue is not served in order

    async def rows(self, statement: Prepared, values: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
        """Return the rows of a statement with these values; statements are few and live as long as the process."""
        sql, defaults = self._sql(statement)
        given = [values.get(name, default) for name, default in defaults]
        rows: Sequence[Mapping[str, Any]] = await self._send("fetch", sql, *given)
        return rows

    async def execute(self, sql: str, *values: object) -> str:
        """Execute one statement, in a transaction of its own; return what PostgreSQL says of it, as "INSERT 0 1"."""
        said: str = await self._send("execute", sql, *values)
        return said

    async def close(self) -> None:
        """Give up all connections."""
        pool, self._pool = self._pool, None
        if pool is not None:
            try:
                async with asyncio.timeout(_CLOSE_S):
                    await pool.close()
            except (OSError, TimeoutError):
                pool.terminate()

    async def _send(self, how: str, sql: str, *values: object) -> Any:
        """Send one statement; every statement is sent by this method."""
        async with asyncio.timeout(self._settings.timeout_s):  # a database that hangs must not gather those who wait
            await self._turns.acquire()
        try:
            pool = self._pool or await self._open()
            async with asyncio.timeout(self._settings.timeout_s):
                connection = await pool.acquire()
            try:
                return await getattr(connection, how)(sql, *values)
            except Exception as error:
                if getattr(error, "sqlstate", None) == _READ_ONLY:
                    await pool.expire_connections()  # after a failover they may lead to the server that was
                raise
            finally:
                await pool.release(connection)
        finally:
            self._turns.release()

    async def _open(self) -> Any:
        """Return the pool, which connects when there is something to send, so that this does not wait."""
        import asyncpg  # type: ignore[import-untyped,unused-ignore] # noqa: PLC0415 (untyped; an extra, installed where it is used)

        pool = asyncpg.create_pool(
            min_size=0,
            max_size=self._connections,
            max_inactive_connection_lifetime=0,  # a timer for every statement
            reset=_nothing,
            timeout=self._settings.timeout_s,
            command_timeout=self._settings.timeout_s,
            **self._arguments,
        )
        self._pool = await pool
        return self._pool

    def _sql(self, statement: Prepared) -> tuple[str, Sequence[tuple[str, Any]]]:
        """Return the SQL, and the names of its parameters in their order, with the values the statement has itself."""
        written = self._written.get(statement)
        if written is None:
            compiled = statement.compile(dialect=self.dialect)
            own = compiled.params
            written = str(compiled), [(name, own[name]) for name in compiled.positiontup or ()]
            self._written[statement] = written
        return written


async def _nothing(_: object) -> None:
    """Reset a connection: nothing is to be done."""
