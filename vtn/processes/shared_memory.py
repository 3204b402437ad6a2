"""Memory that the workers of one VTN have in common: each writes its own slot only, and all of them read every slot.

It has no name in a file system. The supervisor makes it and hands it on. It outlives each worker, so one that takes
the slot of one that died goes on where that one was; it is gone with the last process that has it.
"""

from __future__ import annotations

import mmap
import os
from typing import Final

_PARTS: Final = {
    "metrics": 4096 * 768,
    "requests per client": 16384 * 32,
    "anonymous requests per address": 16384 * 32,
    "tokens per client": 16384 * 32,
    "wrong secrets per client": 16384 * 32,
    "wrong secrets per address": 16384 * 32,
    "wrong passwords per user": 16384 * 32,
    "wrong passwords per address": 16384 * 32,
}
"""The parts of a slot and how large they are, in bytes; what is never written takes no memory."""
_SLOT_BYTES: Final = sum(_PARTS.values())


class SharedMemory:
    """All slots, seen from one of them. Without a descriptor there is only this process."""

    def __init__(self, *, slots: int = 1, slot: int = 0, fd: int = -1) -> None:
        self.slot = slot
        self._view = memoryview(mmap.mmap(fd, slots * _SLOT_BYTES))
        self._slots = slots

    def part(self, name: str) -> tuple[memoryview, ...]:
        """Return one part of every slot."""
        start = sum(size for other, size in list(_PARTS.items())[: list(_PARTS).index(name)])
        places = range(start, start + self._slots * _SLOT_BYTES, _SLOT_BYTES)
        return tuple(self._view[place : place + _PARTS[name]] for place in places)


def made(slots: int) -> int:
    """Return the descriptor of new memory, all zeros, for so many slots."""
    fd = os.memfd_create("openadr-fleet", os.MFD_CLOEXEC)
    os.ftruncate(fd, slots * _SLOT_BYTES)
    return fd
