"""Panels as they were last heard of."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import RowMapping, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bridge_mqtt.model import PanelRecord
from bridge_mqtt.pauses import in_pieces, with_pauses
from bridge_mqtt.store.bulk import ROWS_AT_ONCE, insert_many, update_many
from bridge_mqtt.store.schema import panels
from bridge_mqtt.store.upsert import insert_or_skip
from openadr_profiles.panel import Load, dialect_named
from openadr_profiles.panel.reading import MOST_CIRCUIT_KW, MOST_PANEL_KW

_POWERS = {"used_power_kw", "shed_power_kw", "baseline_power_kw"}
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
    return {row["ven_id"]: _panel(row) async for row in with_pauses(rows)}


async def count(connection: AsyncConnection) -> int:
    """Return how many panels have a row."""
    return int((await connection.execute(select(func.count()).select_from(panels))).scalar_one())


async def save_samples(connection: AsyncConnection, samples: Sequence[PanelRecord]) -> None:
    """Store the latest sample of each panel."""
    columns = [*_SAMPLE, "dialect", "restarted_at", "free_since"]
    for some in in_pieces(samples, size=ROWS_AT_ONCE):
        rows = []
        async for sample in with_pauses(some):
            row: dict[str, Any] = {"ven_id": sample.ven_id} | {name: getattr(sample, name) for name in columns}
            rows.append(row | {"loads": msgspec.json.encode(sample.loads).decode(), "dialect": _name(sample)})
        await insert_many(connection, panels, ["ven_id"], rows, update=columns)


async def save_answers(connection: AsyncConnection, answered: Sequence[PanelRecord]) -> None:
    """Store the time of each panel's last answer, by both clocks, and the dialect of it."""
    if answered:
        rows = [
            {
                "ven_id": panel.ven_id,
                "last_seen_at": panel.last_seen_at,
                "answered_at": panel.answered_at,
                "dialect": _name(panel),
            }
            for panel in answered
        ]
        await update_many(connection, panels, "ven_id", rows)


def _panel(row: RowMapping) -> PanelRecord:
    sample: dict[str, Any] = {name: row[name] for name in _SAMPLE if name != "loads"}
    sample |= {name: _within(row[name]) for name in _POWERS}
    return PanelRecord(
        ven_id=row["ven_id"],
        dialect=dialect_named(row["dialect"]),
        loads=tuple(_bounded(load) for load in msgspec.convert(row["loads"] or (), tuple[Load, ...])),
        answered_at=_moment(row["answered_at"]),
        restarted_at=_moment(row["restarted_at"]),
        free_since=_moment(row["free_since"]),
        **sample,
    )


def _bounded(load: Load) -> Load:
    """Return the load without powers that no circuit has: earlier versions stored what panels sent (B3)."""
    values = (load.capacity_kw, load.current_power_kw, load.shed_capability_kw)
    if all(value is None or abs(value) <= MOST_CIRCUIT_KW for value in values):
        return load
    capacity_kw, current_kw, shed_kw = (_within(value, MOST_CIRCUIT_KW) for value in values)
    return msgspec.structs.replace(
        load, capacity_kw=capacity_kw, current_power_kw=current_kw, shed_capability_kw=shed_kw
    )


def _within(value: float | None, most: float = MOST_PANEL_KW) -> float | None:
    return value if value is not None and abs(value) <= most else None


def _name(panel: PanelRecord) -> str | None:
    return None if panel.dialect is None else panel.dialect.name


def _moment(value: Any) -> datetime | None:
    return value if isinstance(value, datetime) else None
