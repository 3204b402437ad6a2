"""A relay board that knows when each circuit was limited and released."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from openadr_client.clock import ManualClock
from tests.ven.home import Relay


class DatedRelay(Relay):
    """A relay board that knows when each circuit was limited and released."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__()
        self._clock = clock
        self.dates: list[tuple[datetime, str, Decimal | None]] = []
        self.against_owner: list[tuple[datetime, str]] = []
        """When a circuit was to be switched on that its owner had switched off."""
        self.latest_expiry: datetime | None = None
        """The latest moment at which a limit would have ended by itself."""

    async def limit(self, circuit_id: str, limit_kw: Decimal, *, expires_at: datetime) -> None:
        before = len(self.diary)
        await super().limit(circuit_id, limit_kw, expires_at=expires_at)
        self.latest_expiry = max(expires_at, self.latest_expiry or expires_at)
        self._date(before)

    async def release(self, circuit_id: str, *, switch_on: bool) -> None:
        if switch_on and circuit_id in self.off:
            self.against_owner.append((self._clock.now(), circuit_id))
        before = len(self.diary)
        await super().release(circuit_id, switch_on=switch_on)
        self._date(before)

    def _date(self, before: int) -> None:
        self.dates += [(self._clock.now(), *entry) for entry in self.diary[before:]]

    def limited(self, circuit_id: str) -> list[tuple[datetime, datetime | None]]:
        """Return from when and until when a circuit was limited, each time; None: it still is."""
        spans: list[tuple[datetime, datetime | None]] = []
        for at, id_, kw in self.dates:
            if id_ != circuit_id:
                continue
            if kw is None:
                spans[-1] = (spans[-1][0], at)
            elif not spans or spans[-1][1] is not None:
                spans.append((at, None))
        return spans
