"""SQLAlchemy's engine for asyncio, as far as the store needs it, without its object-relational mapper.

``sqlalchemy.ext.asyncio`` does the same and imports the whole mapper for its sessions: a tenth of a start and 6 MB. The
bridge between the two worlds, ``greenlet_spawn``, is the library's own: an asynchronous driver that SQLAlchemy calls
from one of its ordinary methods waits in the event loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Concatenate, Final, ParamSpec, TypeVar

from sqlalchemy import (
    AsyncAdaptedQueuePool,
    Connection,
    CursorResult,
    Engine,
    Executable,
    PoolProxiedConnection,
    create_engine,
)
from sqlalchemy.engine import URL
from sqlalchemy.util import greenlet_spawn

P = ParamSpec("P")
T = TypeVar("T")


class AsyncConnection:
    """A connection that somebody has taken from the pool."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @property
    def info(self) -> dict[Any, Any]:
        """Return notes about the connection to the database, which stay with it in the pool."""
        return self._connection.info

    async def execute(
        self,
        statement: Executable,
        values: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
    ) -> CursorResult[*tuple[Any, ...]]:
        """Execute a statement, once or once for each of several values; all rows of the result are here."""
        return await greenlet_spawn(self._connection.execute, statement, values)

    async def exec_driver_sql(self, sql: str, values: tuple[Any, ...] | None = None) -> CursorResult[*tuple[Any, ...]]:
        """Execute a statement that needs no compiling, with the driver's own marks for values."""
        return await greenlet_spawn(self._connection.exec_driver_sql, sql, values)

    async def run_sync(self, work: Callable[Concatenate[Connection, P], T], *args: P.args, **named: P.kwargs) -> T:
        """Run a function on the ordinary connection behind this one."""
        return await greenlet_spawn(lambda: work(self._connection, *args, **named))

    async def execution_options(self, **options: Any) -> None:
        """Set options of this connection until it goes back to the pool, such as ``isolation_level``."""
        await greenlet_spawn(self._connection.execution_options, **options)

    async def get_raw_connection(self) -> PoolProxiedConnection:
        """Return the pool's connection; its ``driver_connection`` is that of the asynchronous driver."""
        return await greenlet_spawn(getattr, self._connection, "connection")

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[None]:
        """Hold a transaction for the block: committed at its end, rolled back when it raises."""
        transaction = await greenlet_spawn(self._connection.begin)
        try:
            yield
        except BaseException as error:
            await greenlet_spawn(transaction.__exit__, type(error), error, error.__traceback__)
            raise
        await greenlet_spawn(transaction.__exit__, None, None, None)


class AsyncEngine:
    """A pool of connections."""

    def __init__(self, engine: Engine) -> None:
        self.sync_engine: Final = engine
        """The ordinary engine, which takes listeners for events."""

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[AsyncConnection]:
        """Take a connection from the pool for the block."""
        connection = await greenlet_spawn(self.sync_engine.connect)
        try:
            yield AsyncConnection(connection)
        finally:
            await _to_the_end(greenlet_spawn(connection.close))

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[AsyncConnection]:
        """Take a connection from the pool, with a transaction, for the block."""
        async with self.connect() as connection, connection.begin():
            yield connection

    def execution_options(self, **options: Any) -> AsyncEngine:
        """Return an engine with other options on the same pool."""
        return AsyncEngine(self.sync_engine.execution_options(**options))

    async def dispose(self) -> None:
        """Close all connections that nobody uses."""
        await greenlet_spawn(self.sync_engine.dispose)


def create_async_engine(url: URL, **options: Any) -> AsyncEngine:
    """Return an engine for an asynchronous driver; ``options`` are those of ``sqlalchemy.create_engine``."""
    # The pool is named because older versions (2.0.36) have none for files of SQLite.
    return AsyncEngine(create_engine(url, poolclass=AsyncAdaptedQueuePool, **options))


async def _to_the_end(work: Coroutine[Any, Any, None]) -> None:
    """Do something that must not be left half done, also when the caller is cancelled meanwhile."""
    task = asyncio.create_task(work)
    cancelled: asyncio.CancelledError | None = None
    while True:
        try:
            await asyncio.shield(task)
            break
        except asyncio.CancelledError as error:
            if task.done():
                raise
            cancelled = error
    if cancelled is not None:
        raise cancelled
