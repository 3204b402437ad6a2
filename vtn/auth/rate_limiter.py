"""Rate limits as token buckets: the burst a client may send, and the rate of refill (GEN-008, AUTH-035)."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime
from typing import Final

from vtn.errors import TooManyRequests
from vtn.lru import LruCache
from vtn.processes.timestamps import SharedTimestamps

_REMEMBERED: Final = 50_000
_ROUNDING_S: Final = 1e-5


class RateLimiter:
    """A bucket per key, of which is known when it will be full again. ``timestamps`` tell it to the other workers.

    Only so many keys are remembered; the longest unused is forgotten first, as if its bucket were full. Of two requests
    that reach two workers in the same instant one may go uncounted; nobody is refused for what somebody else did.
    """

    def __init__(
        self, *, burst: int, per_s: float, now: Callable[[], datetime], timestamps: SharedTimestamps | None = None
    ) -> None:
        self._whole_s = burst / per_s
        self._one_s = 1 / per_s
        self._now = now
        self._timestamps = timestamps
        self._full_at: LruCache[str, float] = LruCache(_REMEMBERED)

    def check(self, key: str) -> None:
        """Raise TooManyRequests when the bucket is empty; nothing is counted."""
        self._counted(key)

    def take(self, key: str) -> None:
        """Count one request; raises TooManyRequests when the bucket is empty."""
        full_at, now, until = self._counted(key)
        if self._timestamps is not None:
            self._timestamps.note(key, full_at, now=now, until=until)
        self._full_at.put(key, full_at)

    def _counted(self, key: str) -> tuple[float, float, float]:
        """Return when the bucket would be full again after one more request, the time now, and the latest allowed."""
        now = self._now().timestamp()
        until = now + self._whole_s + _ROUNDING_S  # no bucket needs longer, unless the clock was set back
        full_at = self._full_at.get(key) or 0.0
        if not now < full_at <= until:
            full_at = now
        if self._timestamps is not None:
            full_at = max(full_at, self._timestamps.newest(key, until=until))
        full_at += self._one_s
        if full_at > until:
            wait_s = round(full_at - until, 3)
            raise TooManyRequests("too many requests; slow down", retry_after_s=max(1, math.ceil(wait_s)))
        return full_at, now, until
