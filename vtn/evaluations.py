"""Take orders for evaluations of events, and carry them out in the background, one after the other in each server.

Whoever removes a result ends its evaluation, from any server; so does the end of this server. What evaluates is loaded
with the first order.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Final

from vtn.errors import Overloaded
from vtn.store.stores import Stores

if TYPE_CHECKING:
    from openadr_profiles.performance import EvaluationRequest
    from vtn.evaluated_parts import AskedEvaluation
    from vtn.evaluator import Evaluator

_MOST_WAITING: Final = 8


class Evaluations:
    """Takes orders for evaluations and carries them out, one at a time in each server."""

    def __init__(self, stores: Stores, now: Callable[[], datetime]) -> None:
        self._stores = stores
        self._now = now
        self._waiting: asyncio.Queue[tuple[str, AskedEvaluation, str]] = asyncio.Queue(_MOST_WAITING)
        self._loaded: Evaluator | None = None

    async def ask(self, request: EvaluationRequest, *, by: str) -> str:
        """Have an event evaluated, and return the id of its result.

        Raises Invalid, naming the member, for an event that is not over or a question that makes no sense, and
        Overloaded while as many wait as may.
        """
        evaluator = await self._evaluator()
        asked = await evaluator.checked(request)
        if self._waiting.full():
            raise _too_many()
        id_ = await evaluator.begin(asked, by=by)
        try:
            self._waiting.put_nowait((id_, asked, by))
        except asyncio.QueueFull:
            await evaluator.forget(id_)
            raise _too_many() from None
        return id_

    async def run(self) -> None:
        """Evaluate what was asked for, until cancelled."""
        while True:
            id_, asked, by = await self._waiting.get()
            await (await self._evaluator()).evaluate(id_, asked, by)

    async def _evaluator(self) -> Evaluator:
        if self._loaded is None:
            self._loaded = await asyncio.to_thread(self._load)
        return self._loaded

    def _load(self) -> Evaluator:
        from vtn.evaluator import Evaluator  # noqa: PLC0415 (few events are evaluated)

        return Evaluator(self._stores.performance_inputs, self._stores.performance, self._now)


def _too_many() -> Overloaded:
    return Overloaded(f"{_MOST_WAITING} evaluations wait already: ask again later")
