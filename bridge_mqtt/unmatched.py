"""How many answers to commands of somebody else are stored: a panel can send any number of different ones (R16)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from openadr_profiles.panel import Ack, Unreadable

_AN_HOUR = timedelta(hours=1)
_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


class UnmatchedLimit:
    """Lets ``per_hour`` unmatched acknowledgments of each panel through in each hour by the bridge's clock.

    Repetitions are no rows of their own and do not count, whether they come later or in the same batch.
    """

    def __init__(self, per_hour: int) -> None:
        self._per_hour = per_hour
        self._hour = -1
        self._stored: defaultdict[str, set[int]] = defaultdict(set)
        """Hashes of what was stored of each panel, ``per_hour`` at most."""

    def kept(self, read: Iterable[Ack | Unreadable]) -> list[Ack]:
        """Return the acknowledgments to store: all that answer commands of ours, and the others up to the limit."""
        kept: list[Ack] = []
        news: defaultdict[str, set[int]] = defaultdict(set)
        for ack in read:
            if isinstance(ack, Unreadable):
                continue
            if not ack.matched:
                self._begin_hour(ack.received_at)
                stored, more, key = self._stored[ack.ven_id], news[ack.ven_id], hash(ack.payload_hash)
                if key not in stored and key not in more:
                    if len(stored) + len(more) >= self._per_hour:
                        continue
                    more.add(key)
            kept.append(ack)
        return kept

    def note(self, fresh: Iterable[Ack]) -> None:
        """Note what was stored."""
        for ack in fresh:
            if not ack.matched:
                self._stored[ack.ven_id].add(hash(ack.payload_hash))

    def _begin_hour(self, now: datetime) -> None:
        hour = (now - _BEGINNING) // _AN_HOUR
        if hour > self._hour:
            self._hour = hour
            self._stored.clear()
