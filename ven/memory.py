"""Have the memory of large answers given back at once."""

from __future__ import annotations

import ctypes
from typing import Final

_M_MMAP_THRESHOLD: Final = -3
_LARGE: Final = 1 << 20


def give_back_large_blocks() -> None:
    """Have the C library return blocks of 1 MiB and more to the system when they are freed, where it can be told so.

    glibc learns from the first large block that it frees to keep later ones: after an event of 100,000 intervals a VEN
    held 55 MB of which 19 were in use, with this 29 (12 MB of JSON). Other C libraries have no such knob.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):
        return
    mallopt(_M_MMAP_THRESHOLD, _LARGE)
