"""Intervals of the demo's settings, computed from its speed: all are chosen in real seconds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Pace:
    """``speed`` seconds of the demo's clock pass in one real second."""

    speed: float

    def seconds(self, real_s: float, *, least: float = 0.05) -> float:
        """Return a real time as the demo's clock counts it."""
        return max(least, real_s * self.speed)

    def whole_seconds(self, real_s: float, *, least: int, most: int) -> int:
        """Return the same in whole seconds, within limits."""
        return min(max(least, round(real_s * self.speed)), most)
