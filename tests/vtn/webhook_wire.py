"""A channel of webhooks without a network, and a dispatcher that sends by it."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from tests.vtn.outbox_rows import OutboxRows
from vtn.notification_settings import Notify
from vtn.notify.channel import Channel, NotDelivered
from vtn.notify.dispatcher import NotificationDispatcher
from vtn.store.outbox.rows import Delivery, Endpoint, Push

LARGE = 512 * 1024
"""Characters of an object that is read by itself."""


class Wire:
    """A channel of webhooks without a network: says what was sent, and fails where it is told to."""

    push = Push.WEBHOOK

    def __init__(self) -> None:
        self.sent: dict[str, list[int]] = defaultdict(list)
        self.attempts: list[tuple[str, int]] = []
        self.began: list[tuple[str, str]] = []
        """Endpoints to which something was about to be sent, with the last change of the subscription."""
        self.failing: dict[str, Callable[[Delivery], NotDelivered | None]] = {}
        self.open = asyncio.Event()
        self.open.set()
        self.closed: set[str] = set()
        self.at_once = self.most_at_once = 0
        self.large_at_once = self.most_large_at_once = 0
        self.large_may_go = asyncio.Event()
        self.large_may_go.set()

    async def send(self, endpoint: Endpoint, batch: Sequence[Delivery], done: Callable[[Delivery], None]) -> None:
        """Accept deliveries one by one."""
        self.began.append((endpoint.id, endpoint.as_of))
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        large = sum(len(delivery.notification.now.members) > LARGE for delivery in batch)
        self.large_at_once += large
        self.most_large_at_once = max(self.most_large_at_once, self.large_at_once)
        try:
            if large:
                await self.large_may_go.wait()
            for delivery in batch:
                self.attempts.append((endpoint.id, delivery.id))
                if endpoint.id in self.closed:
                    await self.open.wait()
                await asyncio.sleep(0)
                fails = self.failing.get(endpoint.id)
                if fails is not None and (failure := fails(delivery)) is not None:
                    raise failure
                self.sent[endpoint.id].append(delivery.id)
                done(delivery)
        finally:
            self.at_once -= 1
            self.large_at_once -= large

    async def close(self) -> None:
        """There is nothing to close."""


@asynccontextmanager
async def dispatching(rows: OutboxRows, *channels: Channel, **settings: Any) -> AsyncIterator[NotificationDispatcher]:
    """A dispatcher that runs."""
    dispatcher = NotificationDispatcher(rows.outbox, channels, Notify(**settings))
    task = asyncio.create_task(dispatcher.run())
    try:
        yield dispatcher
    finally:
        task.cancel()
        await asyncio.wait({task})
        assert task.cancelled(), task.exception()
        await dispatcher.close()
