"""Due times: who is to be looked at when. Each name has one moment; setting another replaces it."""

from __future__ import annotations

import heapq
from datetime import datetime


class DueTimes:
    """Moments by name, of which the first is always at hand."""

    def __init__(self) -> None:
        self._at: dict[str, datetime] = {}
        self._heap: list[tuple[datetime, str]] = []

    def __len__(self) -> int:
        return len(self._at)

    def put(self, name: str, at: datetime | None) -> None:
        """Set when the name is due; None takes it off."""
        if at is None:
            self._at.pop(name, None)
        elif self._at.get(name) != at:
            self._at[name] = at
            heapq.heappush(self._heap, (at, name))

    @property
    def first(self) -> datetime | None:
        """Return the first moment, None if there is none."""
        while self._heap and self._at.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)  # taken off or replaced
        return self._heap[0][0] if self._heap else None

    def take_due(self, now: datetime, *, most: int | None = None) -> set[str]:
        """Return the names whose moment has come, ``most`` so many of them, and take them off."""
        due: set[str] = set()
        while (first := self.first) is not None and first <= now and (most is None or len(due) < most):
            _, name = heapq.heappop(self._heap)
            del self._at[name]
            due.add(name)
        return due
