"""Turns at something costly: so many at once, the waiting ones in rotation by key, and a bounded number of them."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from typing import Final

from vtn.errors import TooManyRequests

_BUSY: Final = "too many secrets are being checked; try again later"


class FairQueue:
    """Give turns, ``at_once`` at the same time; ``most`` may wait.

    Each key in turn gets one, so many requests under one key wait behind each other only. When no more may wait,
    the newest request of the key with the most is refused.
    """

    def __init__(self, *, at_once: int, most: int) -> None:
        self._free = at_once
        self._most = most
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()
        self._count = 0

    async def take(self, key: str) -> None:
        """Wait for a turn, which has to be given back; raises TooManyRequests when there is no room to wait."""
        if self._free:
            self._free -= 1
            return
        if self._count >= self._most:
            self._refuse_one(key)
        turn = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(key, deque()).append(turn)
        self._count += 1
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                self._forget(key, turn)
            elif turn.exception() is None:  # it came in the same moment
                self.release()
            raise

    def release(self) -> None:
        """End a turn; the next is the longest waiting request of the key that has waited longest."""
        while self._waiting:
            key, turns = self._waiting.popitem(last=False)
            turn = turns.popleft()
            self._count -= 1
            if turns:
                self._waiting[key] = turns
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1

    def _refuse_one(self, newcomer: str) -> None:
        error = TooManyRequests(_BUSY, retry_after_s=1)
        key, turns = max(self._waiting.items(), key=lambda item: len(item[1]))
        if len(turns) <= len(self._waiting.get(newcomer, ())) + 1:
            raise error
        turn = turns.pop()
        self._count -= 1
        if not turns:
            del self._waiting[key]
        if not turn.done():
            turn.set_exception(error)

    def _forget(self, key: str, turn: asyncio.Future[None]) -> None:
        turns = self._waiting.get(key)
        if turns is None or turn not in turns:
            return
        turns.remove(turn)
        self._count -= 1
        if not turns:
            del self._waiting[key]
