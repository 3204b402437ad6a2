"""The leader's hand in the inbox: what other bridges have taken from the broker is taken in like its own messages."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from bridge_mqtt.store import inbox
from bridge_mqtt.turns import Turns
from openadr_client import Received

_AT_ONCE: Final = 500
_EVERY_S: Final = 0.2
_ALONE_EVERY_S: Final = 2.0


class InboxReader:
    """Hands messages over in their order and forgets them once they are stored.

    After a crash in between they come again, as QoS 1 has it: they are told by their content (R13).
    """

    def __init__(
        self,
        turns: Turns,
        *,
        take: Callable[[Sequence[Received]], Awaitable[None]],
        is_alone: Callable[[], bool],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._turns = turns
        self._take = take
        self._is_alone = is_alone
        self._sleep = sleep

    async def run(self) -> None:
        """Look for messages until cancelled; errors of the database pass to the caller of ``take_some``."""
        while True:
            found = True
            while found:
                found = await self.take_some()
            await self._sleep(_ALONE_EVERY_S if self._is_alone() else _EVERY_S)

    async def take_some(self) -> bool:
        """Take in the oldest messages; return False if there were none. A database that is away is waited for."""
        rows: list[tuple[int, Received]] = []

        async def read() -> None:
            nonlocal rows
            async with self._turns.turn() as connection:
                rows = await inbox.oldest(connection, _AT_ONCE)

        async def forget() -> None:
            async with self._turns.turn() as connection:
                await inbox.remove(connection, [number for number, _ in rows])

        await self._turns.persist(read)
        if not rows:
            return False
        await self._take([message for _, message in rows])
        await self._turns.persist(forget)
        return True
