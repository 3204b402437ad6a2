"""How many answers to commands of somebody else are stored: a panel can send any number of different ones (R16)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from openadr_profiles.panel import Ack, Unreadable

_AN_HOUR = timedelta(hours=1)
_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


class UnmatchedLimit:
    """Lets ``per_hour`` unmatched acknowledgments of each panel through in each hour by the bridge's clock."""

    def __init__(self, per_hour: int) -> None:
        self._per_hour = per_hour
        self._hour = -1
        self._stored: Counter[str] = Counter()

    def kept(self, read: Iterable[Ack | Unreadable]) -> list[Ack]:
        """Return the acknowledgments to store: all that answer commands of ours, and the others up to the limit."""
        kept: list[Ack] = []
        more: Counter[str] = Counter()
        for ack in read:
            if isinstance(ack, Unreadable):
                continue
            if not ack.matched:
                self._begin_hour(ack.received_at)
                if self._stored[ack.ven_id] + more[ack.ven_id] >= self._per_hour:
                    continue
                more[ack.ven_id] += 1
            kept.append(ack)
        return kept

    def note(self, fresh: Iterable[Ack]) -> None:
        """Note what was stored; repetitions of it, which are no rows of their own, do not count."""
        self._stored.update(ack.ven_id for ack in fresh if not ack.matched)

    def _begin_hour(self, now: datetime) -> None:
        hour = (now - _BEGINNING) // _AN_HOUR
        if hour > self._hour:
            self._hour = hour
            self._stored.clear()
