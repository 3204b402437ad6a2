"""Panels as they were last heard of."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import RowMapping, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bridge_mqtt.model import PanelRecord
from bridge_mqtt.store.schema import panels
from bridge_mqtt.store.upsert import insert_or_skip, insert_or_update
from openadr_profiles.panel import Load, dialect_named

_SAMPLE = (
    "last_seen_at",
    "sample_at",
    "sample_received_at",
    "message_num",
    "used_power_kw",
    "shed_power_kw",
    "baseline_power_kw",
    "event_id",
    "tells_event",
    "loads",
    "error",
)


async def ensure(connection: AsyncConnection, ven_ids: Sequence[str]) -> None:
    """Add a row for each panel that has none."""
    if ven_ids:
        statement = insert_or_skip(connection, panels, ["ven_id"])
        await connection.execute(statement, [{"ven_id": ven_id, "tells_event": False} for ven_id in ven_ids])


async def heard(connection: AsyncConnection) -> dict[str, PanelRecord]:
    """Return all panels that have a row, without what only the settings know."""
    rows = (await connection.execute(select(panels))).mappings()
    return {row["ven_id"]: _panel(row) for row in rows}


async def save_samples(connection: AsyncConnection, samples: Sequence[PanelRecord]) -> None:
    """Store the latest sample of each panel."""
    if samples:
        columns = [*_SAMPLE, "dialect", "restarted_at"]
        statement = insert_or_update(connection, panels, ["ven_id"], columns)
        await connection.execute(
            statement,
            [
                {"ven_id": sample.ven_id}
                | {name: getattr(sample, name) for name in columns}
                | {"loads": msgspec.to_builtins(sample.loads), "dialect": _name(sample)}
                for sample in samples
            ],
        )


async def save_answer(connection: AsyncConnection, panel: PanelRecord) -> None:
    """Store the time of the panel's last answer, by both clocks, and the dialect of it."""
    values = {"last_seen_at": panel.last_seen_at, "answered_at": panel.answered_at, "dialect": _name(panel)}
    await connection.execute(update(panels).where(panels.c.ven_id == panel.ven_id).values(**values))


def _panel(row: RowMapping) -> PanelRecord:
    return PanelRecord(
        ven_id=row["ven_id"],
        dialect=dialect_named(row["dialect"]),
        loads=msgspec.convert(row["loads"] or (), tuple[Load, ...]),
        answered_at=_moment(row["answered_at"]),
        restarted_at=_moment(row["restarted_at"]),
        **{name: row[name] for name in _SAMPLE if name != "loads"},
    )


def _name(panel: PanelRecord) -> str | None:
    return None if panel.dialect is None else panel.dialect.name


def _moment(value: Any) -> datetime | None:
    return value if isinstance(value, datetime) else None
