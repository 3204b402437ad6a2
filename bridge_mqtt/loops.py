"""The loops of the bridge, supervised: one that ends is logged, shown in /ready and started again.

What a loop was about is in the database or comes again from the broker, so that it can begin anew at any time, just as
after a restart of the process. The other loops go on meanwhile: what panels hold must be ended in time.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import structlog

from bridge_mqtt.errors import NotLeading
from bridge_mqtt.health import Health
from openadr_client import Backoff

_log = structlog.get_logger(__name__)

_RESTART_S: Final = (0.1, 60.0)
_HEALTHY_AFTER_S: Final = 60.0

Work = Callable[[], Awaitable[None]]


class LoopSupervisor:
    """Keeps loops running until cancelled."""

    def __init__(
        self,
        loops: Mapping[str, Work],
        health: Health,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._loops = loops
        self._health = health
        self._sleep = sleep
        self.tasks: dict[str, asyncio.Task[None]] = {}
        """The task of each loop that runs now, by name."""

    async def run(self) -> None:
        """Run all loops until cancelled."""
        keepers = [
            asyncio.create_task(self._keep(name, work), name=f"keep {name}") for name, work in self._loops.items()
        ]
        try:
            ended, _ = await asyncio.wait(keepers, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (*keepers, *self.tasks.values()):
                task.cancel()
            await asyncio.gather(*keepers, *self.tasks.values(), return_exceptions=True)
        for keeper in ended:
            keeper.result()

    async def _keep(self, name: str, work: Work) -> None:
        """Run a loop; whenever it ends, start it again, with back-off if it does not last."""
        first_s, longest_s = _RESTART_S
        backoff = Backoff(first_s=first_s, longest_s=longest_s)
        while True:
            self._health.loops.pop(name, None)
            began = time.monotonic()
            task = self.tasks[name] = asyncio.create_task(_run(work), name=name)
            await asyncio.wait([task])
            if time.monotonic() - began > _HEALTHY_AFTER_S:
                backoff.succeeded()
            delay_s = backoff.failed()
            self._tell(name, task, delay_s)
            await self._sleep(delay_s)

    def _tell(self, name: str, task: asyncio.Task[None], delay_s: float) -> None:
        error = None if task.cancelled() else task.exception()
        problem = "cancelled" if task.cancelled() else "ended" if error is None else f"{type(error).__name__}: {error}"
        self._health.loops[name] = problem
        if isinstance(error, NotLeading):  # whoever runs the loops ends them
            _log.info("a loop has ended", loop=name, problem=problem)
            return
        _log.error("a loop has ended", loop=name, problem=problem, restart_in_s=round(delay_s, 2), exc_info=error)


async def _run(work: Work) -> None:
    await work()
