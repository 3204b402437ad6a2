"""Which panels' vens the VTN shows an event, when each panel is a ven of its own."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import delete, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from bridge_mqtt.store.schema import event_viewers
from bridge_mqtt.store.upsert import insert_or_skip

Sight = tuple[str, str]
"""An event's id and the id of a panel that sees it."""

_AT_ONCE = 400
"""Rows in one statement: databases limit the values of one."""


async def all_(connection: AsyncConnection) -> dict[str, set[str]]:
    """Return the panels that see each event."""
    found: dict[str, set[str]] = {}
    for row in await connection.execute(select(event_viewers.c.event_id, event_viewers.c.ven_id)):
        found.setdefault(row.event_id, set()).add(row.ven_id)
    return found


async def add(connection: AsyncConnection, new: Collection[Sight]) -> None:
    """Record that these panels see these events."""
    if new:
        rows = [{"event_id": event_id, "ven_id": ven_id} for event_id, ven_id in sorted(new)]
        await connection.execute(insert_or_skip(connection, event_viewers, ["event_id", "ven_id"]), rows)


async def remove(connection: AsyncConnection, gone: Collection[Sight]) -> None:
    """Record that these panels do not see these events any more."""
    key = tuple_(event_viewers.c.event_id, event_viewers.c.ven_id)
    left = sorted(gone)
    while left:
        now, left = left[:_AT_ONCE], left[_AT_ONCE:]
        await connection.execute(delete(event_viewers).where(key.in_(now)))
