"""Memory for answers that are being sent, so that slow readers and many of them take no more than is meant for them."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final

from vtn.errors import Overloaded

COUNTED_FROM_BYTES: Final = 16 * 1024
"""Smaller answers are not counted: as many as there may be connections (16,000 by default) have 262 MB at most."""

_WAITING: Final = 512
_PATIENCE_S: Final = 10.0
_SHARES: Final = 4


class Reservation:
    """Bytes of a budget, until they are given back; the end of the block gives back, too."""

    __slots__ = ("_room", "count", "owner")

    def __init__(self, room: MemoryBudget, owner: str, count: int) -> None:
        self._room = room
        self.owner = owner
        self.count = count

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def is_enough_for(self, count: int) -> bool:
        """Return True if these are so many bytes, or as many as one owner can get."""
        return self.count >= self._room.at_most(count)

    def shrink(self, count: int) -> None:
        """Give back what is more than ``count`` bytes."""
        if count < self.count:
            self._room.restore(self.owner, self.count - count)
            self.count = count

    def release(self) -> None:
        """Give back everything; may be called again."""
        self.shrink(0)

    def __del__(self) -> None:
        self.release()  # of an answer that nobody came to send


@dataclass(eq=False, slots=True)
class _Waiter:
    owner: str
    count: int
    ready: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class MemoryBudget:
    """So many bytes, ``most`` in all. With ``shared``, one owner has a quarter of them, but ``at_least`` so many.

    Who asks for more than there can be gets all there can be. Who has to wait is served in turn; an owner who has its
    share is passed over until it gives some back. With ``shared`` one waits for a limited time, and not too many do.
    """

    def __init__(self, most: int, *, shared: bool, at_least: int = 0) -> None:
        self.held = 0
        self.refused = 0
        self._most = max(most, at_least)
        self._shared = shared
        self._share = max(self._most // _SHARES, at_least) if shared else self._most
        self._owners: dict[str, int] = {}
        self._line: deque[_Waiter] = deque()

    @property
    def is_waited_for(self) -> bool:
        """Return True if somebody waits."""
        return bool(self._line)

    def at_most(self, count: int) -> int:
        """Return how many bytes are given to who asks for so many."""
        return min(count, self._share)

    def take_now(self, owner: str, count: int) -> Reservation | None:
        """Return so many bytes, or None if one has to wait for them."""
        count = self.at_most(count)
        if not self._fits(owner, count) or any(not self._has_its_share(waiter) for waiter in self._line):
            return None
        self._count(owner, count)
        return Reservation(self, owner, count)

    async def take(self, owner: str, count: int) -> Reservation:
        """Return so many bytes, when it is this owner's turn; raises Overloaded if that takes too long."""
        found = self.take_now(owner, count)
        if found is not None:
            return found
        if self._shared and len(self._line) >= _WAITING:
            raise self._overloaded()
        waiter = _Waiter(owner, self.at_most(count))
        self._line.append(waiter)
        try:
            async with asyncio.timeout(_PATIENCE_S if self._shared else None):
                await waiter.ready
        except BaseException as error:
            if waiter.ready.done() and not waiter.ready.cancelled():
                self.restore(owner, waiter.count)
            elif waiter in self._line:
                self._line.remove(waiter)
                self._serve()
            if isinstance(error, TimeoutError):
                raise self._overloaded() from None
            raise
        return Reservation(self, owner, waiter.count)

    def restore(self, owner: str, count: int) -> None:
        """Take bytes back, and give them to those who wait."""
        self.held -= count
        left = self._owners[owner] - count
        if left:
            self._owners[owner] = left
        else:
            del self._owners[owner]
        self._serve()

    def _serve(self) -> None:
        """Let those in who fit, first come, first served; only who has its share is overtaken."""
        for waiter in [each for each in self._line if not each.ready.done()]:
            if self._fits(waiter.owner, waiter.count):
                self._line.remove(waiter)
                self._count(waiter.owner, waiter.count)
                waiter.ready.set_result(None)
            elif not self._has_its_share(waiter):
                break

    def _fits(self, owner: str, count: int) -> bool:
        return self.held + count <= self._most and self._owners.get(owner, 0) + count <= self._share

    def _has_its_share(self, waiter: _Waiter) -> bool:
        return self._owners.get(waiter.owner, 0) + waiter.count > self._share

    def _count(self, owner: str, count: int) -> None:
        self.held += count
        self._owners[owner] = self._owners.get(owner, 0) + count

    def _overloaded(self) -> Overloaded:
        self.refused += 1
        return Overloaded("the server is sending as many large answers as it can; try again later")


class SendBudget:
    """Hold the memory for large answers: ``most_bytes`` for those being sent, as much again for texts to be sent.

    ``largest`` is about how many bytes an object can have.
    """

    def __init__(self, most_bytes: int, *, largest: int) -> None:
        self.largest = largest
        self.flight = MemoryBudget(most_bytes, shared=True, at_least=largest)
        """For answers as wholes, and the buffers of those that are sent piece by piece."""
        self.texts = MemoryBudget(most_bytes, shared=False, at_least=largest)
        """For texts of objects, each until it is sent or its reader turns out to be slow."""
        self.cut = 0
        """Number of answers that could not be finished."""

    async def room(self, owner: str, count: int) -> Reservation | None:
        """Return the memory for an answer, None if it is small; raises Overloaded."""
        return None if count <= COUNTED_FROM_BYTES else await self.flight.take(owner, count)
