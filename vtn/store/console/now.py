"""Read what the first page shows beside events: the alarms that hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from vtn.store.alarm_tables import alarms
from vtn.store.database import Database
from vtn.store.stamps import Stamps


@dataclass(frozen=True, slots=True)
class HoldingAlarm:
    """An alarm that holds; ``acknowledged_by`` is None while nobody looks after it."""

    kind: str
    text: str
    raised_at: datetime
    acknowledged_by: str | None


class ConsoleNow:
    """Reads what holds at the moment."""

    def __init__(self, database: Database, _: Stamps) -> None:
        self._database = database

    async def alarms(self, *, limit: int) -> Sequence[HoldingAlarm]:
        """Return the first alarms that hold: those that nobody looks after, the newest first."""
        its = alarms.c
        found = (
            select(its.kind, its.text, its.raised_at, its.acknowledged_by)
            .where(its.cleared_at.is_(None))
            .order_by(its.acknowledged_at.is_not(None), its.raised_at.desc(), its.id.desc())
            .limit(limit)
        )
        return [
            HoldingAlarm(row["kind"], row["text"], datetime.fromisoformat(row["raised_at"]), row["acknowledged_by"])
            for row in await self._database.rows(found)
        ]
