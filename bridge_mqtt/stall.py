"""Tell how long the event loop was held up: the longest time that nobody else could do anything, as a metric.

A tick is due many times a second; how much later it comes is what others had to wait as well.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

_TICK_S: Final = 0.01
_KEPT_S: Final = 60.0


class StallMeter:
    """Measures while ``run`` is awaited, in real seconds of the loop's own clock."""

    def __init__(self) -> None:
        self._recent: deque[tuple[float, float]] = deque()
        self.longest_s = 0.0
        """The longest stall since the start, in seconds."""

    async def run(self) -> None:
        """Measure until cancelled."""
        clock = asyncio.get_running_loop().time
        before = clock()
        while True:
            await asyncio.sleep(_TICK_S)
            now = clock()
            self.note(now, max(0.0, now - before - _TICK_S))
            before = now

    def note(self, at: float, stall_s: float) -> None:
        """Take note of a stall that ended at a moment of the loop's clock; moments do not go back."""
        self.longest_s = max(self.longest_s, stall_s)
        while self._recent and self._recent[-1][1] <= stall_s:
            self._recent.pop()  # shorter and earlier ones will never be the longest again
        self._recent.append((at, stall_s))
        while self._recent[0][0] < at - _KEPT_S:
            self._recent.popleft()

    @property
    def recent_s(self) -> float:
        """Return the longest stall of the last minute, in seconds."""
        return self._recent[0][1] if self._recent else 0.0
