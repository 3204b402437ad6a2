"""Samples of panels, and the arithmetic over time that the database can do."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec
from sqlalchemy import RowMapping, delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bridge_mqtt.store.schema import telemetry
from bridge_mqtt.store.upsert import insert_or_skip
from openadr_profiles.panel import Load, Telemetry


@dataclass(frozen=True, kw_only=True)
class PanelSample:
    """The measurements of a panel at one moment of its own clock."""

    ven_id: str
    timestamp: datetime
    received_at: datetime
    event_id: str | None
    used_power_kw: float | None
    shed_power_kw: float | None
    loads: tuple[Load, ...]


async def add(connection: AsyncConnection, samples: Sequence[Telemetry]) -> None:
    """Store samples; one that is there already (another topic, a redelivery) is skipped."""
    if not samples:
        return
    rows = [
        {
            "ven_id": sample.ven_id,
            "timestamp": sample.timestamp,
            "message_num": 0 if sample.message_num is None else sample.message_num,
            "received_at": sample.received_at,
            "event_id": sample.event_id,
            "used_power_kw": sample.used_power_kw,
            "shed_power_kw": sample.shed_power_kw,
            "baseline_power_kw": sample.baseline_power_kw,
            "battery_soc": sample.battery_soc,
            "loads": msgspec.to_builtins(sample.loads),
        }
        for sample in samples
    ]
    await connection.execute(insert_or_skip(connection, telemetry, ["ven_id", "timestamp", "message_num"]), rows)


async def between(
    connection: AsyncConnection, ven_ids: Collection[str], start: datetime, end: datetime
) -> dict[str, list[PanelSample]]:
    """Return the samples of each panel that were received in [start, end), oldest first."""
    statement = (
        select(telemetry)
        .where(telemetry.c.ven_id.in_(list(ven_ids)), telemetry.c.received_at >= start, telemetry.c.received_at < end)
        .order_by(telemetry.c.received_at, telemetry.c.id)
    )
    found: dict[str, list[PanelSample]] = {}
    for row in (await connection.execute(statement)).mappings():
        found.setdefault(row["ven_id"], []).append(_sample(row))
    return found


async def forget(connection: AsyncConnection, before: datetime) -> None:
    """Delete samples older than the retention time."""
    await connection.execute(delete(telemetry).where(telemetry.c.received_at < before))


def _sample(row: RowMapping) -> PanelSample:
    return PanelSample(
        ven_id=row["ven_id"],
        timestamp=row["timestamp"],
        received_at=row["received_at"],
        event_id=row["event_id"],
        used_power_kw=row["used_power_kw"],
        shed_power_kw=row["shed_power_kw"],
        loads=msgspec.convert(row["loads"], tuple[Load, ...]),
    )
