"""One-time setup of a serving process."""

from __future__ import annotations

import gc
from typing import Final

_YOUNG: Final = 20_000
_OLDER: Final = 20


def spare_the_collector() -> None:
    """Keep the garbage collector away from all that lives as long as the process.

    Documents of many small objects make it run every few requests, and each full run walks through every library that
    is loaded: half of the time of a report. Called when the server has started. What is garbage by then stays: it is
    next to nothing, and looking for it takes a twentieth of the start.
    """
    gc.freeze()
    gc.set_threshold(_YOUNG, _OLDER, _OLDER)
