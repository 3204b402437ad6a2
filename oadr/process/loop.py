"""The event loop of a server: uvloop where it is installed, asyncio's own otherwise."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar

T = TypeVar("T")


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run to the end, like `asyncio.run`, on the faster loop if there is one."""
    try:
        import uvloop
    except ModuleNotFoundError:
        return asyncio.run(work)
    return uvloop.run(work)


def fastest() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return what makes the faster loop, None if it is not installed."""
    try:
        import uvloop
    except ModuleNotFoundError:
        return None
    return uvloop.new_event_loop


def run_until_asked(work: Coroutine[Any, Any, None]) -> None:
    """Run work that cleans up when it is cancelled, to its end or until SIGINT or SIGTERM asks for it."""

    async def asked() -> None:
        task = asyncio.current_task()
        if task is not None:
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        with suppress(asyncio.CancelledError):
            await work

    with suppress(KeyboardInterrupt):
        run(asked())
