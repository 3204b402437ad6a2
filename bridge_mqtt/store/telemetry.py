"""Samples of panels, and the arithmetic over time that the database can do."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec
from sqlalchemy import RowMapping, delete, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bridge_mqtt.metering.meter import MeterReading
from bridge_mqtt.pauses import in_pieces, with_pauses
from bridge_mqtt.store.bulk import ROWS_AT_ONCE, insert_many
from bridge_mqtt.store.readings import as_reading, reading_text
from bridge_mqtt.store.schema import panels, telemetry
from openadr_profiles.panel import Load, Telemetry

_SAME_S = 1e-5


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


@dataclass(frozen=True)
class LastCount:
    """The last sample of a panel that was counted: what the meter showed then, the panel's own time, and its number.

    ``offset_s`` is how far our clock is ahead of the panel's; None if it tells no time, so that both times are alike.
    """

    reading: MeterReading
    timestamp: datetime
    message_num: int | None
    offset_s: float | None


async def add(
    connection: AsyncConnection, samples: Sequence[Telemetry], meters: Mapping[str, MeterReading] | None = None
) -> None:
    """Store samples; one that is there already (another topic, a redelivery) is skipped.

    ``meters`` are readings of the panels' meters after the batch, stored with the last sample of each.
    """
    last = {sample.ven_id: sample for sample in samples}
    for some in in_pieces(samples, size=ROWS_AT_ONCE):
        rows = []
        async for sample in with_pauses(some):
            reading = (meters or {}).get(sample.ven_id) if last[sample.ven_id] is sample else None
            rows.append(
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
                    "loads": _json(sample.loads),
                    "meter": None if reading is None else reading_text(reading),
                }
            )
        await insert_many(connection, telemetry, ["ven_id", "timestamp", "message_num"], rows)


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


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


async def last_counts(connection: AsyncConnection) -> dict[str, LastCount]:
    """Return the last sample of each panel that was counted."""
    newest = (
        select(func.max(telemetry.c.received_at))
        .where(telemetry.c.ven_id == panels.c.ven_id, telemetry.c.meter.is_not(None))
        .correlate(panels)
        .scalar_subquery()
    )
    statement = (
        select(
            telemetry.c.ven_id,
            telemetry.c.timestamp,
            telemetry.c.message_num,
            telemetry.c.meter,
            panels.c.sample_at,
            panels.c.sample_received_at,
        )
        .join(panels, panels.c.ven_id == telemetry.c.ven_id)
        .where(telemetry.c.received_at == newest, telemetry.c.meter.is_not(None))
        .order_by(telemetry.c.id)
    )
    rows = (await connection.execute(statement)).mappings()
    return {row["ven_id"]: _last_count(row) async for row in with_pauses(rows)}


def _last_count(row: RowMapping) -> LastCount:
    """Believe the smaller of two differences: the other sample was held up or came late."""
    reading = as_reading(row["meter"])
    offsets_s = [reading.at_s - row["timestamp"].timestamp()]
    if row["sample_at"] is not None and row["sample_received_at"] is not None:
        offsets_s.append((row["sample_received_at"] - row["sample_at"]).total_seconds())
    offsets_s = [offset_s for offset_s in offsets_s if abs(offset_s) > _SAME_S]
    return LastCount(reading, row["timestamp"], row["message_num"] or None, min(offsets_s, default=None))


async def forget(connection: AsyncConnection, before: datetime, *, at_most: int = 5_000) -> bool:
    """Delete samples older than the retention time, a piece of them; return True if there may be more."""
    oldest = select(telemetry.c.id).where(telemetry.c.received_at < before).order_by(telemetry.c.received_at)
    done = await connection.execute(delete(telemetry).where(telemetry.c.id.in_(oldest.limit(at_most))))
    return done.rowcount >= at_most


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
