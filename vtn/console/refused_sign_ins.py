"""Note refused sign-ins in the audit trail: the first of an address one by one, of a series some of them, counted."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from vtn.lru import LruCache

_EACH: Final = 5
_SERIES: Final = timedelta(hours=1)
_REMEMBERED: Final = 10_000


@dataclass(slots=True)
class _Series:
    count: int
    last_at: datetime


class RefusedSignIns:
    """Counts what is refused by address: a guesser who goes on for days leaves a few lines, not thousands."""

    def __init__(self) -> None:
        self._series: LruCache[str, _Series] = LruCache(_REMEMBERED)

    def counted(self, address: str, now: datetime) -> int | None:
        """Count one; return its number in the series if it is to be noted, which ends an hour after its last one.

        The first five are noted, and the 10th, the 100th, the 1,000th and so on.
        """
        series = self._series.get(address)
        if series is None or now - series.last_at > _SERIES:
            series = _Series(0, now)
            self._series.put(address, series)
        series.count += 1
        series.last_at = now
        is_round = str(series.count).rstrip("0") == "1"
        return series.count if series.count <= _EACH or is_round else None
