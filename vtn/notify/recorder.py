"""Record how deliveries ended, for all endpoints together: whatever ends during one commit is in the next one."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

import structlog

from vtn.errors import Unavailable
from vtn.store.outbox.queue import Ended, Outbox, TurnEnd

_log = structlog.get_logger(__name__)

_GATHER_S: Final = 0.03
"""Time for which what has ended waits for more, before a commit: a transaction costs as much as several deliveries."""
_AGAIN_S: Final = 0.5


class DeliveryRecorder:
    """Record ended deliveries and ended turns of the dispatcher ``by``; what the database does not take is kept."""

    def __init__(self, outbox: Outbox, *, by: str) -> None:
        self._outbox = outbox
        self._by = by
        self._ended: list[Ended] = []
        self._left: list[tuple[TurnEnd, asyncio.Future[None]]] = []
        self._writing: asyncio.Task[None] | None = None

    def end(self, ended: Ended) -> None:
        """Record a delivery that is over, soon."""
        self._ended.append(ended)
        self._begin()

    def leave(self, turn: TurnEnd) -> asyncio.Future[None]:
        """Record how an endpoint is left, after all of its deliveries that are over; done once it is committed."""
        left: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._left.append((turn, left))
        self._begin()
        return left

    async def close(self, *, within_s: float) -> None:
        """Record what there is, and give up after a while: those deliveries are made again."""
        if self._writing is not None:
            await asyncio.wait({self._writing}, timeout=within_s)
        if self._writing is not None:
            self._writing.cancel()
            await asyncio.wait({self._writing})
            _log.warning("the database does not answer; some notifications will be delivered again")

    def _begin(self) -> None:
        if self._writing is None:
            self._writing = asyncio.create_task(self._write(), name="recorder of deliveries")

    async def _write(self) -> None:
        try:
            while self._ended or self._left:
                await asyncio.sleep(_GATHER_S)
                await self._commit()
        finally:
            self._writing = None

    async def _commit(self) -> None:
        ended, left = self._ended, self._left
        self._ended, self._left = [], []
        is_told = False
        while True:
            try:
                await self._outbox.record(ended, [turn for turn, _ in left], by=self._by)
                break
            except Unavailable as error:
                if not is_told:
                    _log.warning("deliveries are recorded later", reason=str(error))
            except Exception:  # whatever it is: what was delivered must not be forgotten, and the others are recorded
                _log.exception("deliveries cannot be recorded together; each is recorded by itself")
                await self._record_each(ended, [turn for turn, _ in left])
                break
            is_told = True
            await asyncio.sleep(_AGAIN_S)
        for _, future in left:
            if not future.done():
                future.set_result(None)

    async def _record_each(self, ended: Sequence[Ended], left: Sequence[TurnEnd]) -> None:
        """Record one after the other, passing over what the database refuses: that is delivered again."""
        for each in (*(([one], []) for one in ended), *(([], [turn]) for turn in left)):
            with suppress(Unavailable):  # its lease ends, and it is delivered again
                try:
                    await self._outbox.record(*each, by=self._by)
                except Unavailable:
                    raise
                except Exception:  # whatever it is, it is this one's
                    _log.exception("a delivery cannot be recorded")
