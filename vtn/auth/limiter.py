"""How many requests somebody may make at once, and how fast room comes back (AUTH-035)."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime

from vtn.errors import TooManyRequests

_REMEMBERED = 50_000


class Limiter:
    """A bucket per key. Only so many keys are remembered; the longest unused is forgotten first, as if it were full."""

    def __init__(self, *, burst: int, per_s: float, now: Callable[[], datetime]) -> None:
        self._burst = burst
        self._per_s = per_s
        self._now = now
        self._buckets: OrderedDict[str, tuple[float, datetime]] = OrderedDict()

    def take(self, key: str) -> None:
        """Count one request; raises TooManyRequests when the bucket is empty."""
        now = self._now()
        room, since = self._buckets.get(key, (float(self._burst), now))
        room = min(float(self._burst), room + max(0.0, (now - since).total_seconds()) * self._per_s)
        if room < 1:
            raise TooManyRequests(
                "too many requests; slow down", retry_after_s=max(1, math.ceil((1 - room) / self._per_s))
            )
        self._buckets[key] = (room - 1, now)
        self._buckets.move_to_end(key)
        while len(self._buckets) > _REMEMBERED:
            self._buckets.popitem(last=False)
