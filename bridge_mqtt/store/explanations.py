"""Why events were split as they were: a row for each decision about a window, and for each part that it changed."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bridge_mqtt.model import Allocation
from bridge_mqtt.store.allocations import part_of
from bridge_mqtt.store.bulk import delete_some, insert_many
from bridge_mqtt.store.schema import allocations, commands, explanations

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
        members = [
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
        ]
        await insert_many(connection, explanations, (), members)


async def of_event(
    connection: AsyncConnection, event_id: str, limit: int, *, ven_id: str | None = None
) -> list[Explanation]:
    """Return the newest decisions about an event, or about it as a whole and one panel, oldest first."""
    statement = select(explanations).where(explanations.c.event_id == event_id)
    if ven_id is not None:
        statement = statement.where(or_(explanations.c.ven_id == ven_id, explanations.c.ven_id.is_(None)))
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


async def forget(connection: AsyncConnection, before: datetime, *, at_most: int = 5_000) -> bool:
    """Delete decisions older than the retention time, a piece of it; return True if there may be more."""
    return await delete_some(connection, explanations.c.at, before, at_most)


@dataclass(frozen=True, kw_only=True)
class Share:
    """Hold how many panels have the same kind of part in a window, and what is asked of them together in kW."""

    excluded: str | None
    panels: int
    asked_kw: float


async def shares_of(connection: AsyncConnection, event_id: str) -> dict[datetime, list[Share]]:
    """Return the parts of every window of an event, counted by why panels are left out; None: they take part."""
    number, asked = func.count(), func.sum(allocations.c.requested_kw)
    key = (allocations.c.window_start, allocations.c.excluded)
    statement = select(*key, number.label("panels"), asked.label("asked_kw")).where(allocations.c.event_id == event_id)
    found: dict[datetime, list[Share]] = {}
    for row in await connection.execute(statement.group_by(*key).order_by(*key)):
        found.setdefault(row.window_start, []).append(
            Share(excluded=row.excluded, panels=row.panels, asked_kw=row.asked_kw)
        )
    return found


async def parts_of(
    connection: AsyncConnection, event_id: str, window_start: datetime, *, limit: int, ven_id: str | None
) -> list[Allocation]:
    """Return parts of a window, or that of one panel; first those that are not as they should be, then the largest."""
    statement = select(allocations).where(
        allocations.c.event_id == event_id, allocations.c.window_start == window_start
    )
    if ven_id is not None:
        statement = statement.where(allocations.c.ven_id == ven_id)
    odd = or_(
        allocations.c.excluded.is_not(None),
        allocations.c.delivered_kw.is_not(None),
        allocations.c.given_back_at.is_not(None),
    )
    in_order = statement.order_by(odd.desc(), allocations.c.requested_kw.desc(), allocations.c.ven_id).limit(limit)
    return [part_of(row) for row in (await connection.execute(in_order)).mappings()]


async def commands_to(
    connection: AsyncConnection, event_id: str, ven_ids: Collection[str]
) -> dict[str, list[dict[str, Any]]]:
    """Return what panels were told for an event and what they answered, oldest first, with the names of the API."""
    found: dict[str, list[dict[str, Any]]] = {}
    statement = select(commands).where(commands.c.event_id == event_id, commands.c.ven_id.in_(list(ven_ids)))
    for row in (await connection.execute(statement.order_by(commands.c.id))).mappings():
        found.setdefault(row["ven_id"], []).append(
            {
                "op": row["op"],
                "reason": row["reason"],
                "state": row["state"],
                "requestedShedKw": row["amount_kw"],
                "actualShedKw": row["actual_kw"],
                "at": row["sent_at"] or row["queued_at"],
                "error": row["error"],
            }
        )
    return found
