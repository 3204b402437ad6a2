"""SQLAlchemy's engine for asyncio, as far as the store needs it, without its object-relational mapper.

``sqlalchemy.ext.asyncio`` does the same and imports the whole mapper for its sessions: a tenth of a start and 6 MB. The
bridge between the two worlds, ``greenlet_spawn``, is the library's own: an asynchronous driver that SQLAlchemy calls
from one of its ordinary methods waits in the event loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Concatenate, Final, ParamSpec, TypeVar

import structlog
from sqlalchemy import (
    AsyncAdaptedQueuePool,
    Connection,
    CursorResult,
    Engine,
    Executable,
    create_engine,
)
from sqlalchemy.engine import URL
from sqlalchemy.exc import IntegrityError
from sqlalchemy.util import greenlet_spawn

from vtn.store.failures import violated
from vtn.store.withhold import withhold_values

_log = structlog.get_logger(__name__)

_RETURNED_WITHIN_S: Final = 5.0
"""Time that connections in use have to come back before the pool is closed."""

P = ParamSpec("P")
T = TypeVar("T")


class AsyncConnection:
    """A connection that somebody has taken from the pool.

    ``undisturbed`` is for a driver that cannot give up a statement: who is cancelled waits for its end first. Else the
    statement would go on in the driver's thread, while its connection is taken for free or thrown away with its locks.
    """

    def __init__(self, connection: Connection, *, undisturbed: bool) -> None:
        self._connection = connection
        self._spawn: Final = _undisturbed if undisturbed else greenlet_spawn

    @property
    def info(self) -> dict[Any, Any]:
        """Return notes about the connection to the database, which stay with it in the pool."""
        return self._connection.info

    async def execute(
        self,
        statement: Executable,
        values: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
    ) -> CursorResult[*tuple[Any, ...]]:
        """Execute a statement, once or once for each of several values; all rows of the result are here.

        Raises ConstraintViolated for what the database refuses because of a unique constraint or a foreign key.
        """
        try:
            return await self._spawn(self._connection.execute, statement, values)
        except IntegrityError as error:
            withhold_values(error)
            if (refused := violated(error)) is not None:
                raise refused from error
            raise

    async def exec_driver_sql(self, sql: str, values: tuple[Any, ...] | None = None) -> CursorResult[*tuple[Any, ...]]:
        """Execute a statement that needs no compiling, with the driver's own marks for values."""
        return await self._spawn(self._connection.exec_driver_sql, sql, values)

    async def run_sync(self, work: Callable[Concatenate[Connection, P], T], *args: P.args, **named: P.kwargs) -> T:
        """Run a function on the ordinary connection behind this one."""
        return await self._spawn(lambda: work(self._connection, *args, **named))

    async def execution_options(self, **options: Any) -> None:
        """Set options of this connection until it goes back to the pool, such as ``isolation_level``."""
        await self._spawn(self._connection.execution_options, **options)

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[None]:
        """Hold a transaction for the block: committed at its end, rolled back when it raises."""
        transaction = await self._spawn(self._connection.begin)
        try:
            yield
        except BaseException as error:
            await self._spawn(transaction.__exit__, type(error), error, error.__traceback__)
            raise
        await self._spawn(transaction.__exit__, None, None, None)


class AsyncEngine:
    """A pool of connections, which those who wait for one get in the order in which they asked.

    SQLAlchemy's own queue gives a connection that comes back to the next caller, before those who were woken for it:
    under load some would wait twenty times as long as others.
    """

    def __init__(
        self, engine: Engine, turns: asyncio.Semaphore, *, size: int, timeout_s: float, undisturbed: bool
    ) -> None:
        self.sync_engine: Final = engine
        """The ordinary engine, which takes listeners for events."""
        self._turns = turns
        self._size = size
        self._timeout_s = timeout_s
        self._undisturbed = undisturbed

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[AsyncConnection]:
        """Take a connection from the pool for the block; raises TimeoutError if none becomes free in time."""
        async with self._turn():
            connection = await greenlet_spawn(self.sync_engine.connect)
            try:
                yield AsyncConnection(connection, undisturbed=self._undisturbed)
            finally:
                await _to_the_end(greenlet_spawn(connection.close))

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[AsyncConnection]:
        """Take a connection from the pool, with a transaction, for the block."""
        async with self.connect() as connection, connection.begin():
            yield connection

    @asynccontextmanager
    async def driver(self) -> AsyncIterator[Any]:
        """Take a connection of the asynchronous driver from the pool, for statements that leave nothing behind."""
        async with self._turn():
            connection = await greenlet_spawn(self.sync_engine.raw_connection)
            try:
                yield connection.driver_connection
            finally:
                await _to_the_end(greenlet_spawn(connection.close))

    def execution_options(self, **options: Any) -> AsyncEngine:
        """Return an engine with other options on the same pool."""
        return AsyncEngine(
            self.sync_engine.execution_options(**options),
            self._turns,
            size=self._size,
            timeout_s=self._timeout_s,
            undisturbed=self._undisturbed,
        )

    async def dispose(self) -> None:
        """Close all connections that nobody uses.

        If the driver cannot give up a statement, whoever still has a connection is waited for, for a few seconds: what
        comes back afterwards stays open.
        """
        held = await self._taken_turns() if self._undisturbed else 0
        try:
            await greenlet_spawn(self.sync_engine.dispose)
        finally:
            for _ in range(held):
                self._turns.release()

    async def _taken_turns(self) -> int:
        """Take every turn, so that no connection is in use, and return how many were to be had in time."""
        taken = 0
        try:
            async with asyncio.timeout(_RETURNED_WITHIN_S):
                while taken < self._size:
                    await self._turns.acquire()
                    taken += 1
        except TimeoutError:
            _log.warning("a connection to the database is still in use and is left open")
        return taken

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        async with asyncio.timeout(self._timeout_s):
            await self._turns.acquire()
        try:
            yield
        finally:
            self._turns.release()


def create_async_engine(
    url: URL, *, pool_size: int, pool_timeout: float, undisturbed: bool = False, **options: Any
) -> AsyncEngine:
    """Return an engine for an asynchronous driver; ``options`` are those of ``sqlalchemy.create_engine``.

    With ``undisturbed`` no cancellation reaches a statement that has begun (``AsyncConnection``).
    """
    # The pool is named because older versions (2.0.36) have none for files of SQLite. The connection that came back
    # last is taken first: it has its statements and pages at hand, where one that rested prepares them anew.
    pool: dict[str, Any] = {"poolclass": AsyncAdaptedQueuePool, "pool_size": pool_size, "pool_use_lifo": True}
    engine = create_engine(url, max_overflow=0, **pool, **options)
    turns = asyncio.Semaphore(pool_size)
    return AsyncEngine(engine, turns, size=pool_size, timeout_s=pool_timeout, undisturbed=undisturbed)


async def _undisturbed(work: Callable[P, T], *args: P.args, **named: P.kwargs) -> T:
    """Do what ``greenlet_spawn`` does, to its end."""
    return await _to_the_end(greenlet_spawn(partial(work, *args, **named)))


async def _to_the_end(work: Coroutine[Any, Any, T]) -> T:
    """Do something that must not be left half done, also when the caller is cancelled meanwhile."""
    task = asyncio.create_task(work)
    cancelled: asyncio.CancelledError | None = None
    while True:
        try:
            done = await asyncio.shield(task)
            break
        except asyncio.CancelledError as error:
            if task.done():
                raise
            cancelled = error
    if cancelled is not None:
        raise cancelled
    return done
