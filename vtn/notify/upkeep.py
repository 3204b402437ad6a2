"""The outbox is kept small: what waited too long is given up, and what ended is removed after a time."""

from __future__ import annotations

import asyncio
import random
from datetime import timedelta
from typing import Final

import structlog

from vtn.errors import Unavailable
from vtn.notification_settings import Notify
from vtn.store.outbox.queue import Outbox, Outcome
from vtn.store.outbox.rows import Push

_log = structlog.get_logger(__name__)

_EVERY_S: Final = 60.0


class OutboxUpkeep:
    """Give up and remove what the settings say, from time to time. Several at once do no harm."""

    def __init__(self, outbox: Outbox, settings: Notify) -> None:
        self._outbox = outbox
        self._settings = settings

    async def run(self) -> None:
        """Look after the outbox until cancelled."""
        while True:
            try:
                await self.tidy()
            except Unavailable:
                _log.warning("the database does not answer; the outbox is tidied later")
            await asyncio.sleep(_EVERY_S * random.uniform(0.5, 1.0))  # noqa: S311 (no secret)

    async def tidy(self) -> None:
        """Give up deliveries that waited too long, and remove what was kept long enough."""
        settings = self._settings
        late = await self._outbox.expire(
            Push.WEBHOOK, age=timedelta(hours=settings.pending_hours), outcome=Outcome.DEAD
        )
        if late:
            _log.warning("notifications waited too long for their receivers and are given up", count=late)
        horizon = timedelta(hours=settings.broker_pending_hours)
        dropped = await self._outbox.expire(Push.MQTT, age=horizon, outcome=Outcome.DROPPED)
        if dropped:
            _log.warning("notifications waited too long for the MQTT broker and are dropped", count=dropped)
        await self._outbox.prune(
            delivered_age=timedelta(hours=settings.keep_delivered_hours),
            dead_age=timedelta(days=settings.keep_dead_days),
            noted_age=timedelta(hours=settings.keep_changes_hours),
        )
