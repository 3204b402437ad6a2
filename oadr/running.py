"""Long-running commands: work until interrupted, then leave in order."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable


def run_until_stopped(work: Callable[[], Awaitable[None]]) -> None:
    """Run ``work`` until it ends, fails, or SIGINT or SIGTERM asks it to; asked to, it is cancelled and cleans up."""
    asyncio.run(_until_stopped(work))


async def _until_stopped(work: Callable[[], Awaitable[None]]) -> None:
    task = asyncio.ensure_future(work())
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()

    def ask() -> None:
        asked.set()
        task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ask)
    try:
        await task
    except asyncio.CancelledError:
        if not asked.is_set():
            raise
