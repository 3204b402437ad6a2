"""Messages that have come from a broker and are not taken yet, and how long more of them are waited for."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import TYPE_CHECKING, Final, cast

import structlog

if TYPE_CHECKING:
    import aiomqtt

_log = structlog.get_logger(__name__)

_GATHER_S: Final = 0.02
"""So long after a message others are waited for, which are handed over with it."""
_PATIENCE: Final = 12
"""So many times as long if all of them may wait."""
_MANY: Final = 250
_WINDOW: Final = 16
"""With so many unacknowledged messages a broker that sends nothing more may wait for us: the smallest window in use."""
_UNCONFIRMED_BYTES: Final = 32 * 1024 * 1024


class ArrivedMessages(asyncio.Queue["aiomqtt.Message"]):
    """A queue that notes when each message came, and refuses only messages that the broker does not repeat."""

    def __init__(
        self,
        now: Callable[[], datetime],
        *,
        unconfirmed: int,
        longest: int | None,
        may_wait: Callable[[aiomqtt.Message], bool],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        super().__init__()
        self._now = now
        self._sleep = sleep
        self._may_wait = may_wait
        self._urgent = 0
        self._unconfirmed = unconfirmed
        self._longest = longest
        self._times: deque[datetime] = deque()
        self._bytes = 0
        self.last_arrival = now()
        self.dropped = 0

    def put_nowait(self, item: aiomqtt.Message) -> None:
        """Keep a message; QoS 0 ones only up to the limits, and of a very long one only its beginning."""
        if self._longest is not None and len(item.payload) > self._longest:
            _log.warning("message is too long, only its beginning is kept", size=len(item.payload))
            item.payload = bytes_of(item.payload)[: self._longest]
        item.properties = None  # nobody reads them, and paho keeps 6 kB of tables in each
        is_full = self.qsize() >= self._unconfirmed or self._bytes + len(item.payload) > _UNCONFIRMED_BYTES
        if item.qos == 0 and is_full:
            self.dropped += 1
            raise asyncio.QueueFull
        super().put_nowait(item)

    async def gather(self, first: aiomqtt.Message) -> None:
        """Wait for more messages after the first: a batch costs much, a message more in it little.

        It ends soon when one comes that may not wait, when there are many, or when the broker seems to wait for us.
        """
        for _ in range(_PATIENCE if self._may_wait(first) else 1):
            before = self.qsize()
            await self._sleep(_GATHER_S)
            is_held = before == self.qsize() >= _WINDOW
            if self._urgent or is_held or self.qsize() >= _MANY:
                return

    def _put(self, item: aiomqtt.Message) -> None:
        self._times.append(self._now())
        self._bytes += len(item.payload)
        self._urgent += not self._may_wait(item)
        super()._put(item)

    def _get(self) -> aiomqtt.Message:
        self.last_arrival = self._times.popleft()
        item = super()._get()
        self._bytes -= len(item.payload)
        self._urgent -= not self._may_wait(item)
        return item


def bytes_of(payload: object) -> bytes:
    """Return a payload as bytes."""
    return payload if isinstance(payload, bytes) else bytes(cast(bytearray, payload))
