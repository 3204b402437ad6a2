"""Messages that are kept aside for inspection: of unknown panels (rule R17), and unreadable ones (rule R18)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bridge_mqtt.store.bulk import delete_some
from bridge_mqtt.store.schema import quarantine
from openadr_profiles.panel import Unreadable

_AN_HOUR = timedelta(hours=1)


async def add(connection: AsyncConnection, message: Unreadable, received_at: datetime, per_hour: int) -> bool:
    """Keep a message unless this hour's limit is reached; return True if it was kept."""
    return bool(await add_all(connection, [(message, received_at)], per_hour))


async def add_all(connection: AsyncConnection, messages: Sequence[tuple[Unreadable, datetime]], per_hour: int) -> int:
    """Keep messages up to this hour's limit; return how many were kept."""
    if not messages:
        return 0
    latest = max(received_at for _, received_at in messages)
    recent = select(func.count()).select_from(quarantine).where(quarantine.c.received_at > latest - _AN_HOUR)
    room = max(0, per_hour - int((await connection.execute(recent)).scalar_one()))
    kept = [
        {
            "received_at": received_at,
            "topic": message.topic.encode("utf-8", "replace").decode().replace("\x00", "\ufffd"),
            "ven_id": message.ven_id,
            "reason": message.reason,
            "size": message.size,
            "payload": message.head,
        }
        for message, received_at in messages[:room]
    ]
    if kept:
        await connection.execute(insert(quarantine), kept)
    return len(kept)


async def newest(connection: AsyncConnection, limit: int) -> list[dict[str, Any]]:
    """Return the messages last kept."""
    statement = select(quarantine).order_by(quarantine.c.id.desc()).limit(limit)
    return [dict(row) for row in (await connection.execute(statement)).mappings()]


async def forget(connection: AsyncConnection, before: datetime, *, at_most: int = 5_000) -> bool:
    """Delete what is older than the retention time, a piece of it; return True if there may be more."""
    return await delete_some(connection, quarantine.c.received_at, before, at_most)
