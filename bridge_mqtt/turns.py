"""Turns: every change of what is remembered is one transaction, one at a time, and waits while the database is away.

Taking in messages, deciding and claiming what is sent are turns; publishing, polling and reporting are not, so nothing
slow holds up a decision.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from bridge_mqtt.errors import StoreUnavailable
from bridge_mqtt.health import Health
from bridge_mqtt.store import Store
from openadr_client import Backoff

_log = structlog.get_logger(__name__)

_RETRY_S = (0.1, 5.0)


class Turns:
    """The one way to change the store; ``health.store`` says whether that works."""

    def __init__(self, store: Store, health: Health, *, sleep: Callable[[float], Awaitable[None]]) -> None:
        self._store = store
        self._health = health
        self._sleep = sleep

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[AsyncConnection]:
        """Open a transaction that is kept if the block ends well; raises StoreUnavailable."""
        async with self._store.transaction() as connection:
            yield connection
        self._health.store = None

    async def persist(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do something with the database, again and again until it is there."""
        first_s, longest_s = _RETRY_S
        backoff = Backoff(first_s=first_s, longest_s=longest_s)
        while True:
            try:
                await work()
            except StoreUnavailable as error:
                self._health.store = str(error)
                delay_s = backoff.failed()
                _log.error("database not available", problem=str(error), retry_in_s=round(delay_s, 2))
                await self._sleep(delay_s)
            else:
                return
