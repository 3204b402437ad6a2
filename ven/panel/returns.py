"""Spread the return of circuits over time, so that they do not all draw again in the same second. No I/O, no clock."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta


class Returns:
    """Give each circuit that returns its turn: the most important first, the last one before `spread` is over.

    `priorities` are those of the circuits, 1 the most important.
    """

    def __init__(self, priorities: Mapping[str, int], *, spread: timedelta) -> None:
        self._priorities = priorities
        self._spread = spread
        self._at: dict[str, datetime] = {}

    def due(self, over: Iterable[str], now: datetime) -> tuple[list[str], dict[str, datetime]]:
        """Return the circuits that return now, of those whose limits are over, and when each of the others does.

        No turn is later than `spread` from now, also when the clock was set back meanwhile.
        """
        ids = sorted(over, key=lambda id_: (self._priorities.get(id_, 0), id_))
        self._at = {id_: min(at, now + self._spread) for id_, at in self._at.items() if id_ in ids}
        new = [id_ for id_ in ids if id_ not in self._at]
        for place, id_ in enumerate(new):
            self._at[id_] = now + self._spread * place / len(new)
        return [id_ for id_ in ids if self._at[id_] <= now], {id_: at for id_, at in self._at.items() if at > now}

    def returned(self, circuit_id: str) -> None:
        """Forget the turn of a circuit that is back."""
        self._at.pop(circuit_id, None)

    def has_turn(self, circuit_id: str, now: datetime) -> bool:
        """Return True if a circuit waits for a turn that is still to come."""
        at = self._at.get(circuit_id)
        return at is not None and at > now

    def next_after(self, now: datetime) -> datetime | None:
        """Return the next turn; None if no circuit waits."""
        return min((at for at in self._at.values() if at > now), default=None)
