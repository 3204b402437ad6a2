"""A place in memory for the files of a run: databases that wait for a disk at every commit take most of its time."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

_MEMORY: Final = Path("/dev/shm")
_MEMINFO: Final = Path("/proc/meminfo")
_ROOM: Final = 6 * 1024**3
"""Bytes that must be free; a whole run needs less than a third of it."""


def folder_in_memory(folder: Path = _MEMORY, meminfo: Path = _MEMINFO) -> Path | None:
    """Return the folder if it can hold the files of a run, None if it is too small, or programs cannot run from it."""
    try:
        system = os.statvfs(folder)
    except OSError:
        return None
    if system.f_flag & os.ST_NOEXEC or not os.access(folder, os.W_OK | os.X_OK):
        return None
    free = min(system.f_bavail * system.f_frsize, available_bytes(meminfo))
    return folder if free >= _ROOM else None


def available_bytes(meminfo: Path = _MEMINFO) -> int:
    """Return how many bytes of memory programs can still be given; 0 where the kernel does not say."""
    try:
        available = re.search(r"^MemAvailable: +(\d+) kB$", meminfo.read_text(encoding="ascii"), re.MULTILINE)
    except OSError:
        return 0
    return 0 if available is None else int(available[1]) * 1024
