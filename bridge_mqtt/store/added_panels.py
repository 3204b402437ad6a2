"""Panels that were added through the HTTP interface."""

from __future__ import annotations

from typing import Any

from sqlalchemy import RowMapping, delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bridge_mqtt.model import AddedPanel
from bridge_mqtt.store.schema import added_panels, panels, shadows
from bridge_mqtt.store.upsert import insert_or_update

_CHANGEABLE = ["name", "registration_id", "latitude", "longitude", "groups", "enabled"]


async def every(connection: AsyncConnection) -> list[AddedPanel]:
    """Return all of them, those that were added first first."""
    statement = select(added_panels).order_by(added_panels.c.created_at, added_panels.c.ven_id)
    return [_panel(row) for row in (await connection.execute(statement)).mappings()]


async def one(connection: AsyncConnection, ven_id: str) -> AddedPanel | None:
    """Return one of them, None if it was not added."""
    statement = select(added_panels).where(added_panels.c.ven_id == ven_id)
    row = (await connection.execute(statement)).mappings().one_or_none()
    return None if row is None else _panel(row)


async def registered_as(connection: AsyncConnection, registration_id: str) -> str | None:
    """Return the panel that has this registration id, None if none has."""
    statement = select(added_panels.c.ven_id).where(added_panels.c.registration_id == registration_id)
    found: str | None = (await connection.execute(statement)).scalar_one_or_none()
    return found


async def save(connection: AsyncConnection, panel: AddedPanel) -> None:
    """Store a panel, or what was changed of it; the time at which it was added stays."""
    latitude, longitude = panel.location or (None, None)
    values: dict[str, Any] = {
        "ven_id": panel.ven_id,
        "name": panel.name,
        "registration_id": panel.registration_id,
        "latitude": latitude,
        "longitude": longitude,
        "groups": list(panel.groups),
        "enabled": panel.enabled,
        "created_at": panel.created_at,
    }
    await connection.execute(insert_or_update(connection, added_panels, ["ven_id"], _CHANGEABLE), [values])


async def remove(connection: AsyncConnection, ven_id: str) -> None:
    """Delete a panel with what was last heard of it; its samples and answers stay until they are old."""
    await connection.execute(delete(added_panels).where(added_panels.c.ven_id == ven_id))
    await connection.execute(delete(panels).where(panels.c.ven_id == ven_id))
    await connection.execute(delete(shadows).where(shadows.c.ven_id == ven_id))


def _panel(row: RowMapping) -> AddedPanel:
    known = row["latitude"] is not None and row["longitude"] is not None
    return AddedPanel(
        ven_id=row["ven_id"],
        name=row["name"],
        created_at=row["created_at"],
        location=(row["latitude"], row["longitude"]) if known else None,
        registration_id=row["registration_id"],
        groups=tuple(row["groups"]),
        enabled=row["enabled"],
    )
