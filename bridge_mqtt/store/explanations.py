"""Why events were split as they were: a row for each decision about a window, and for each part that it changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bridge_mqtt.store.schema import explanations

_ROWS: Final = 500


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """One decision: about a window as a whole, or, with ``ven_id``, about a panel's part. Powers in kW.

    ``before_kw`` is what was asked until then; None at first.
    """

    event_id: str
    window_start: datetime
    at: datetime
    asked_kw: float
    reason: str
    ven_id: str | None = None
    before_kw: float | None = None


async def add(connection: AsyncConnection, rows: Sequence[Explanation]) -> None:
    """Store decisions in their order."""
    for first in range(0, len(rows), _ROWS):
        some = rows[first : first + _ROWS]
        await connection.execute(
            insert(explanations),
            [
                {
                    "event_id": row.event_id,
                    "window_start": row.window_start,
                    "ven_id": row.ven_id,
                    "at": row.at,
                    "before_kw": row.before_kw,
                    "asked_kw": row.asked_kw,
                    "reason": row.reason,
                }
                for row in some
            ],
        )


async def of_event(connection: AsyncConnection, event_id: str, limit: int) -> list[Explanation]:
    """Return the newest decisions about an event, oldest first."""
    statement = select(explanations).where(explanations.c.event_id == event_id)
    newest = statement.order_by(explanations.c.id.desc()).limit(limit)
    rows = (await connection.execute(newest)).mappings().all()
    return [
        Explanation(
            event_id=row["event_id"],
            window_start=row["window_start"],
            ven_id=row["ven_id"],
            at=row["at"],
            before_kw=row["before_kw"],
            asked_kw=row["asked_kw"],
            reason=row["reason"],
        )
        for row in reversed(rows)
    ]
