"""Messages of panels that a bridge has taken from the broker which does not lead; the leader takes them from here."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bridge_mqtt.store.schema import inbox
from openadr_client import Received


async def put(connection: AsyncConnection, messages: Sequence[Received]) -> None:
    """Keep messages in their order."""
    if messages:
        rows = [
            {"topic": each.topic, "payload": each.payload, "received_at": each.received_at, "retained": each.retained}
            for each in messages
        ]
        await connection.execute(insert(inbox), rows)


async def oldest(connection: AsyncConnection, limit: int) -> list[tuple[int, Received]]:
    """Return messages with their row ids, oldest first."""
    rows = await connection.execute(select(inbox).order_by(inbox.c.id).limit(limit))
    return [(row.id, Received(row.topic, bytes(row.payload), row.received_at, row.retained)) for row in rows]


async def remove(connection: AsyncConnection, ids: Sequence[int]) -> None:
    """Remove messages that have been taken."""
    await connection.execute(delete(inbox).where(inbox.c.id.in_(ids)))
