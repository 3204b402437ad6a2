"""Shadow documents of panels: what each has reported of itself, as far as its messages say."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from bridge_mqtt.store.bulk import insert_many
from bridge_mqtt.store.schema import shadows
from bridge_mqtt.store.upsert import pieces


@dataclass(frozen=True)
class Shadow:
    """Hold what a panel has reported, and when its last report came."""

    reported: Mapping[str, Any]
    received_at: datetime


async def of(connection: AsyncConnection, ven_ids: Collection[str]) -> dict[str, Shadow]:
    """Return the documents of these panels; those that never reported one are missing."""
    found: dict[str, Shadow] = {}
    for some in pieces(sorted(ven_ids)):
        rows = await connection.execute(select(shadows).where(shadows.c.ven_id.in_(some)))
        found |= {row.ven_id: Shadow(row.reported, row.received_at) for row in rows}
    return found


async def save(connection: AsyncConnection, documents: Mapping[str, Shadow]) -> None:
    """Store the documents of panels in the place of those before."""
    rows = [
        {
            "ven_id": ven_id,
            "received_at": document.received_at,
            "reported": msgspec.json.encode(document.reported).decode(),
        }
        for ven_id, document in sorted(documents.items())
    ]
    await insert_many(connection, shadows, ["ven_id"], rows, update=("received_at", "reported"))
