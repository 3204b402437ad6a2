"""Supervise the loops of an agent: one list in one task group, so that none dies or hangs unseen.

A loop that raises, returns or is cancelled by somebody else is logged with its name and begun again after a pause that
grows; the others go on. `within` makes of a round that hangs one that raises. The pauses run on the agent's clock, the
limit of a round on real time. The VTN supervises its services much alike; the two programs share no room for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import structlog

from openadr_client import Clock

_log = structlog.get_logger(__name__)

FIRST_PAUSE_S: Final = 1.0
LONGEST_PAUSE_S: Final = 60.0
_GRACE_S: Final = 5.0
"""Real seconds that a loop has to end when it is cancelled."""


@dataclass(frozen=True)
class Loop:
    """Hold one loop. ``run`` works until it is cancelled and may be called again after it has died.

    An error of the classes ``ends_with`` is raised on purpose: it ends all loops.
    """

    name: str
    run: Callable[[], Awaitable[None]]
    ends_with: tuple[type[Exception], ...] = ()


async def keep_running(loops: Sequence[Loop], clock: Clock) -> None:
    """Run loops until cancelled, or until one raises an error that it ends with, which is raised.

    Raises:
        Exception: of a class in ``ends_with`` of one of the loops; the first if there are several.
    """
    try:
        async with asyncio.TaskGroup() as group:
            for loop in loops:
                group.create_task(_keep_running(loop, clock), name=f"supervisor of {loop.name}")
    except BaseExceptionGroup as errors:
        # Not `except*`: Python 3.11 before 3.11.4 wraps in a group again what is raised in there.
        raise errors.exceptions[0] from None


@asynccontextmanager
async def within(limit_s: float, what: str) -> AsyncIterator[None]:
    """Cancel what is done in this block if it takes longer than so many real seconds; raises TimeoutError then."""
    try:
        async with asyncio.timeout(limit_s) as limit:
            yield
    except TimeoutError as error:
        if not limit.expired():
            raise
        raise TimeoutError(f"{what} hangs: it took longer than {limit_s:g} s") from error


async def _keep_running(loop: Loop, clock: Clock) -> None:
    failures = 0
    while True:
        began = clock.now()
        error = await _run_once(loop)
        if isinstance(error, loop.ends_with):
            raise error
        lasted_s = (clock.now() - began).total_seconds()
        failures = 1 if lasted_s > LONGEST_PAUSE_S else failures + 1
        pause_s = min(FIRST_PAUSE_S * 2.0 ** min(failures - 1, 16), LONGEST_PAUSE_S)
        _log.error(
            "a loop died and is begun again",
            loop=loop.name,
            error="it returned" if error is None else f"{type(error).__name__}: {error}".rstrip(": "),
            failures=failures,
            again_in_s=pause_s,
            exc_info=error if isinstance(error, Exception) else None,
        )
        await clock.sleep(pause_s)


async def _run_once(loop: Loop) -> BaseException | None:
    """Run a loop in a task of its own until it dies, and return its error; None if it returned."""
    task = asyncio.ensure_future(loop.run())
    if isinstance(task, asyncio.Task):
        task.set_name(loop.name)
    try:
        await asyncio.wait({task})
    finally:
        if not task.done():
            await _end(loop.name, task)
    return asyncio.CancelledError("somebody cancelled it") if task.cancelled() else task.exception()


async def _end(name: str, task: asyncio.Future[None]) -> None:
    task.cancel()
    await asyncio.wait({task}, timeout=_GRACE_S)
    if not task.done():
        _log.error("a loop does not end and is left behind", loop=name, waited_s=_GRACE_S)
    elif not task.cancelled() and (error := task.exception()) is not None:
        _log.error("a loop failed while it ended", loop=name, exc_info=error)
