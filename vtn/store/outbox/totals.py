"""Count what became of deliveries where they are recorded: the same numbers for whoever asks, and none are lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, func, select, text

from vtn.store.engine import AsyncConnection
from vtn.store.tables import deliveries, endpoints


class OutcomeTotals:
    """Attempts, delivered and dead of one transaction, by the way to tell clients."""

    def __init__(self) -> None:
        self._attempts: Counter[str] = Counter()
        self._delivered: Counter[str] = Counter()
        self._dead: Counter[str] = Counter()

    async def count_ended(
        self, connection: AsyncConnection, these: Sequence[ColumnElement[bool]], *, delivered: bool, dead: bool
    ) -> None:
        """Count the last attempts at deliveries, before they are recorded. Of what was dropped there was none."""
        if not (delivered or dead):
            return
        found = select(endpoints.c.push, func.count().label("number")).select_from(deliveries.join(endpoints))
        for row in (await connection.execute(found.where(*these).group_by(endpoints.c.push))).all():
            self._attempts[row.push] += row.number
            (self._delivered if delivered else self._dead)[row.push] += row.number

    async def count_failure(self, connection: AsyncConnection, endpoint_id: str) -> None:
        """Count an attempt that failed, and after which there will be others."""
        found = await connection.execute(select(endpoints.c.push).where(endpoints.c.id == endpoint_id))
        for push in found.scalars():
            self._attempts[push] += 1

    def count_expired(self, push: str, count: int) -> None:
        """Count deliveries that waited too long and are given up without an attempt."""
        self._attempts[push] += 0
        self._dead[push] += count

    async def add_to(self, connection: AsyncConnection) -> None:
        """Add to what was counted before. It is the last thing of a transaction: all others wait for these rows."""
        for push in sorted(self._attempts):
            values: dict[str, Any] = {
                "push": push,
                "attempts": self._attempts[push],
                "delivered": self._delivered[push],
                "dead": self._dead[push],
            }
            await connection.execute(_ADD, values)


# Nothing that is cached is made of this table, so no revision is noted for this statement, which is a plain text.
_ADD: Final = text("""
INSERT INTO delivery_totals AS known (push, attempts, delivered, dead) VALUES (:push, :attempts, :delivered, :dead)
ON CONFLICT (push) DO UPDATE SET
    attempts = known.attempts + excluded.attempts,
    delivered = known.delivered + excluded.delivered,
    dead = known.dead + excluded.dead
""")
