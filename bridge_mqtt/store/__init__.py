"""The bridge's memory: one database, one module of statements per thing that is kept.

Every statement is a function that takes a connection of ``Store.transaction()``, so that what belongs together is
stored together. Statements are SQLAlchemy Core on SQLAlchemy's own asyncio engine, for SQLite and PostgreSQL alike: the
bridge runs tens of statements a second, where the VTN runs thousands and has an engine of its own. That costs a tenth
of the processor time of a start. The library for migrations is imported only when there is one to run.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from bridge_mqtt.store.engine import Migration, all_returned, driver_errors, migrate, open_engine, transaction


class Store:
    """An open database with the schema of this version."""

    def __init__(self, engine: AsyncEngine, for_showing: AsyncEngine) -> None:
        self._engine = engine
        self._for_showing = for_showing
        self._snapshots, self._shown = _snapshots(engine), _snapshots(for_showing)
        self._writing = asyncio.Lock()

    @staticmethod
    async def open(url: str) -> Store:
        """Connect and migrate; raises StoreUnavailable or StoreTooNew."""
        engine = open_engine(url)
        try:
            await migrate(engine)
        except BaseException:
            await engine.dispose()
            raise
        return Store(engine, open_engine(url, showing=True))

    @staticmethod
    async def migrate(url: str) -> Migration:
        """Migrate and close again; raises StoreUnavailable or StoreTooNew."""
        engine = open_engine(url)
        try:
            return await migrate(engine)
        finally:
            await engine.dispose()

    async def close(self) -> None:
        """Close all connections; those of cancelled users are on their way back, and are waited for."""
        for engine in (self._engine, self._for_showing):
            await all_returned(engine)
            await engine.dispose()

    @asynccontextmanager
    async def transaction(self, then: Callable[[], None] | None = None) -> AsyncIterator[AsyncConnection]:
        """Open a transaction, one after the other; raises StoreUnavailable if the database cannot do it.

        ``then`` is called once it is committed, before the next one begins.
        """
        async with self._writing:
            async with transaction(self._engine) as connection:
                yield connection
            if then is not None:
                then()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """Yield a connection that only reads, all of it as at one moment; raises StoreUnavailable."""
        with driver_errors(self._engine):
            async with self._snapshots.connect() as connection:
                yield connection

    @asynccontextmanager
    async def showing(self) -> AsyncIterator[AsyncConnection]:
        """Yield the same for what people ask, of a few connections that nothing else needs; raises StoreUnavailable.

        However many slow questions there are, the bridge's own work does not wait for them. If all these connections
        are in use for some seconds, StoreBusy is raised.
        """
        with driver_errors(self._for_showing):
            async with self._shown.connect() as connection:
                yield connection


def _snapshots(engine: AsyncEngine) -> AsyncEngine:
    """Return the engine with transactions that see one moment, which every transaction of SQLite does."""
    return (
        engine.execution_options(isolation_level="REPEATABLE READ") if engine.dialect.name == "postgresql" else engine
    )
