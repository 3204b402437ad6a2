"""Work out what a large message means in a thread, so that a VEN with much to tell holds up nobody else."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, TypeVar

T = TypeVar("T")

_LARGE: Final = 200
"""Intervals from which on the work takes longer than handing it to a thread: some 10 ms."""


async def worked_out(work: Callable[[], T], *, size: int) -> T:
    """Return what ``work`` returns, which reads and changes nothing that others have; ``size`` is in intervals."""
    return await asyncio.to_thread(work) if size >= _LARGE else work()
