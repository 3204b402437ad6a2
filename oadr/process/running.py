"""Long-running commands: work until interrupted, then leave in order."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable, Collection
from typing import Any, Final, TypeVar

from oadr.process import lean, loop

T = TypeVar("T")

_PATIENCE_S: Final = 5.0


class Interrupted(Exception):
    """SIGINT or SIGTERM asked the work to end, and it has."""


def run_until_stopped(work: Callable[[], Awaitable[None]], *, fast: bool = False) -> None:
    """Run ``work`` until it ends, fails, or SIGINT or SIGTERM asks it to; asked to, it is cancelled and cleans up.

    What is to be ``fast`` runs on uvloop where that is installed, which takes a few MB.
    """
    try:
        run_interruptibly(work, fast=fast)
    except Interrupted:
        return


def run_interruptibly(work: Callable[[], Awaitable[T]], *, fast: bool = False) -> T:
    """Return the result of ``work``; raises Interrupted once it has ended because SIGINT or SIGTERM asked it to."""
    lean.resume_collecting()
    with asyncio.Runner(loop_factory=loop.fastest() if fast else None) as runner:
        return runner.run(_interruptibly(work))


async def cancel(tasks: Collection[asyncio.Task[Any]]) -> None:
    """Cancel tasks and wait for their end, asking again when one has lost the request on its way."""
    while pending := [task for task in tasks if not task.done()]:
        for task in pending:
            task.cancel()
        await asyncio.wait(pending, timeout=_PATIENCE_S)


async def _interruptibly(work: Callable[[], Awaitable[T]]) -> T:
    asked = asyncio.Event()
    running = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        running.add_signal_handler(number, asked.set)

    async def done() -> T:
        return await work()

    task, waiter = asyncio.create_task(done()), asyncio.create_task(asked.wait())
    try:
        await asyncio.wait((task, waiter), return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            await cancel([task])
        if task.cancelled():
            raise Interrupted
        return task.result()
    finally:
        waiter.cancel()
