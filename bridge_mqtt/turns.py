"""Turns: every change of what is remembered is one transaction, one at a time, and waits while the database is away.

Taking in messages, deciding and claiming what is sent are turns; publishing, polling and reporting are not, so nothing
slow holds up a decision.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from bridge_mqtt.book import Book, PanelChanges
from bridge_mqtt.errors import StoreUnavailable
from bridge_mqtt.health import Health
from bridge_mqtt.store import Store
from openadr_client import Backoff

_log = structlog.get_logger(__name__)

_RETRY_S = (0.1, 5.0)


@dataclass(frozen=True)
class BookTurn:
    """A transaction in which panels' holdings and commands change: put into ``changes``, written at its end."""

    connection: AsyncConnection
    changes: PanelChanges


class Turns:
    """The one way to change the store and the book; ``health.store`` says whether that works.

    ``guard`` is asked at the beginning of every turn, with its transaction, and raises if this bridge may not.
    """

    def __init__(
        self,
        store: Store,
        health: Health,
        *,
        sleep: Callable[[float], Awaitable[None]],
        guard: Callable[[AsyncConnection], Awaitable[None]] | None = None,
    ) -> None:
        self._store = store
        self._health = health
        self._sleep = sleep
        self._guard = guard
        self.book = Book()
        self.released: set[str] = set()
        """Events that the last panel has given back, until somebody takes note of it."""

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[AsyncConnection]:
        """Open a transaction that is kept if the block ends well; raises StoreUnavailable, or what the guard raises."""
        async with self._store.transaction() as connection:
            await self._ask(connection)
            yield connection
        self._health.store = None

    @asynccontextmanager
    async def change(self) -> AsyncIterator[BookTurn]:
        """Open a transaction that may change the book too; raises StoreUnavailable, or what the guard raises."""
        changes = PanelChanges()
        is_writing = False

        def enter() -> None:
            self.released |= self.book.apply(changes)

        try:
            async with self._store.transaction(then=enter) as connection:
                await self._ask(connection)
                if self.book.is_stale:
                    await self.book.read(connection)
                yield BookTurn(connection, changes)
                is_writing = True
                await changes.write(connection)
        except BaseException:
            # The commit may have arrived though its answer has not. What fails before has changed nothing.
            self.book.is_stale = self.book.is_stale or is_writing
            raise
        self._health.store = None

    async def _ask(self, connection: AsyncConnection) -> None:
        if self._guard is not None:
            await self._guard(connection)

    async def persist(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do something with the database, again and again until it is there."""
        first_s, longest_s = _RETRY_S
        backoff: Backoff | None = None  # made when there is need: this runs for each batch of messages
        while True:
            try:
                await work()
            except StoreUnavailable as error:
                self._health.store = str(error)
                backoff = backoff or Backoff(first_s=first_s, longest_s=longest_s)
                delay_s = backoff.failed()
                _log.error("database not available", problem=str(error), retry_in_s=round(delay_s, 2))
                await self._sleep(delay_s)
            else:
                return
