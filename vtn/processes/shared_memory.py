"""Memory that the workers of one VTN have in common: each writes its own seat only, and all of them read every seat.

It has no name in a file system. The supervisor makes it and hands it on; it outlives each worker, so that whoever takes
the seat of one that died goes on where that one was, and it is gone with the last process that has it.
"""

from __future__ import annotations

import mmap
import os
from typing import Final

_PARTS: Final = {
    "metrics": 4096 * 384,
    "requests per client": 16384 * 32,
    "anonymous requests per address": 16384 * 32,
    "tokens per client": 16384 * 32,
    "wrong secrets per client": 16384 * 32,
    "wrong secrets per address": 16384 * 32,
}
"""The parts of a seat and how large they are, in bytes; what is never written takes no memory."""
_SEAT_BYTES: Final = sum(_PARTS.values())


class SharedMemory:
    """All seats, seen from one of them. Without a descriptor there is only this process."""

    def __init__(self, *, seats: int = 1, seat: int = 0, fd: int = -1) -> None:
        self.seat = seat
        self._view = memoryview(mmap.mmap(fd, seats * _SEAT_BYTES))
        self._seats = seats

    def part(self, name: str) -> tuple[memoryview, ...]:
        """Return one part of every seat."""
        start = sum(size for other, size in list(_PARTS.items())[: list(_PARTS).index(name)])
        places = range(start, start + self._seats * _SEAT_BYTES, _SEAT_BYTES)
        return tuple(self._view[place : place + _PARTS[name]] for place in places)


def made(seats: int) -> int:
    """Return the descriptor of new memory, all zeros, for so many seats."""
    fd = os.memfd_create("openadr-fleet", os.MFD_CLOEXEC)
    os.ftruncate(fd, seats * _SEAT_BYTES)
    return fd
