"""The garbage collector: it looks at everything only when nothing has to happen soon, since all else stands still then.

As Python does it by itself, pages of reports and batches of measurements make it walk through all panels and all
libraries again and again, and through 400,000 young objects at a time: 180 ms with 10,000 panels. What is not part of a
cycle goes away without it.
"""

from __future__ import annotations

import gc
from collections.abc import Awaitable, Callable
from typing import Final

_YOUNG: Final = 5_000
_OLDER: Final = 2
_NEVER: Final = 1_000_000
_EVERY_S: Final = 6 * 3600.0
_LOOK_EVERY_S: Final = 30.0
_LOOKS: Final = 720
"""If it is never quiet, it is done after so many looks all the same: six hours."""


def spare_the_collector() -> None:
    """Keep it away from what is there at the start, and have it look by itself only at what is new."""
    gc.freeze()
    gc.set_threshold(_YOUNG, _OLDER, _NEVER)


async def collect_when_quiet(is_quiet: Callable[[], bool], sleep: Callable[[float], Awaitable[None]]) -> None:
    """Collect all garbage every six hours, at a moment when nothing has to happen soon, until cancelled."""
    while True:
        await sleep(_EVERY_S)
        for _ in range(_LOOKS):
            if is_quiet():
                break
            await sleep(_LOOK_EVERY_S)
        gc.collect()
