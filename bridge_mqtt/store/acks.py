"""Acknowledgments as they came, one row per message that is different from all others of its panel (rule R13)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import RowMapping, select, text
from sqlalchemy.dialects import sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from bridge_mqtt.pauses import with_pauses
from bridge_mqtt.store.bulk import columns_of, delete_some, unnested
from bridge_mqtt.store.circuits import circuits_for_json, circuits_from_json
from bridge_mqtt.store.schema import ven_acks
from openadr_profiles.panel import Ack, CircuitCurtailment

_MOST_IDS = 500


@dataclass(frozen=True, kw_only=True)
class StoredAck:
    """An acknowledgment and what only the store knows of it."""

    id: int
    duplicates: int
    ack: Ack


@dataclass(frozen=True, kw_only=True)
class AckQuery:
    """Filters of a search for acknowledgments; newest first."""

    ven_id: str | None = None
    event_id: str | None = None
    op: str | None = None
    status: str | None = None
    correlation_id: str | None = None
    start: datetime | None = None
    end: datetime | None = None
    before_id: int | None = None
    with_event: bool = False
    limit: int = 100


async def add_all(connection: AsyncConnection, new: Sequence[Ack]) -> list[Ack]:
    """Store acknowledgments and return those that were not there yet; the others count as duplicates (rule R13)."""
    different: dict[tuple[str, str], Ack] = {}
    again: Counter[tuple[str, str]] = Counter()
    for ack in new:
        key = (ack.ven_id, ack.payload_hash)
        again[key] += key in different
        different.setdefault(key, ack)
    if not different:
        return []
    rows = []
    async for key, ack in with_pauses(different.items()):
        rows.append(_row(ack) | {"duplicates": again[key]})
    counted = await _insert_or_count(connection, rows)
    return [ack for key, ack in different.items() if counted[key] == again[key]]


async def _insert_or_count(connection: AsyncConnection, rows: list[dict[str, Any]]) -> dict[tuple[str, str], int]:
    """Insert rows, or count up the duplicates of those that are there; return how many duplicates each has now."""
    if connection.dialect.name == "postgresql":
        for row in rows:
            row |= {name: msgspec.json.encode(row[name]).decode() for name in ("circuits_curtailed", "warnings")}
        names = list(rows[0])
        statement = text(
            f"INSERT INTO ven_acks ({', '.join(names)}) SELECT * FROM {unnested(connection, ven_acks, names)} "  # noqa: S608
            "ON CONFLICT (ven_id, payload_hash) "
            "DO UPDATE SET duplicates = ven_acks.duplicates + excluded.duplicates + 1 "
            "RETURNING ven_id, payload_hash, duplicates"
        )
        kept = await connection.execute(statement, columns_of(ven_acks, rows))
    else:
        insert = sqlite.insert(ven_acks)
        more = ven_acks.c.duplicates + insert.excluded.duplicates + 1
        counting = insert.on_conflict_do_update(index_elements=["ven_id", "payload_hash"], set_={"duplicates": more})
        kept = await connection.execute(
            counting.returning(ven_acks.c.ven_id, ven_acks.c.payload_hash, ven_acks.c.duplicates), rows
        )
    return {(row.ven_id, row.payload_hash): row.duplicates for row in kept}


def _row(ack: Ack) -> dict[str, Any]:
    return {
        "ven_id": ack.ven_id,
        "event_id": ack.event_id,
        "correlation_id": ack.correlation_id,
        "op": ack.op,
        "status": ack.status,
        "timestamp": ack.timestamp,
        "panel_timestamp": ack.panel_timestamp,
        "received_at": ack.received_at,
        "requested_shed_kw": ack.requested_shed_kw,
        "actual_shed_kw": ack.actual_shed_kw,
        "circuits_curtailed": circuits_for_json(ack.circuits_curtailed),
        "raw_payload": ack.raw_payload,
        "payload_hash": ack.payload_hash,
        "dialect": ack.dialect,
        "error": ack.error,
        "matched": ack.matched,
        "late": ack.late,
        "response_ms": ack.response_ms,
        "warnings": list(ack.warnings),
        "created_at": ack.received_at,
    }


async def search(connection: AsyncConnection, query: AckQuery) -> list[StoredAck]:
    """Return one page of acknowledgments, newest first; the next page begins before the id of the last."""
    statement = select(ven_acks).order_by(ven_acks.c.id.desc()).limit(query.limit)
    for name in ("ven_id", "event_id", "op", "status", "correlation_id"):
        value = getattr(query, name)
        if value is not None:
            statement = statement.where(ven_acks.c[name] == value)
    if query.start is not None:
        statement = statement.where(ven_acks.c.timestamp >= query.start)
    if query.end is not None:
        statement = statement.where(ven_acks.c.timestamp < query.end)
    if query.before_id is not None:
        statement = statement.where(ven_acks.c.id < query.before_id)
    if query.with_event:
        statement = statement.where(ven_acks.c.event_id.is_not(None))
    return [_stored(row) for row in (await connection.execute(statement)).mappings()]


async def circuits_of(
    connection: AsyncConnection, correlation_ids: Collection[str]
) -> dict[str, tuple[CircuitCurtailment, ...]]:
    """Return by correlation id the circuits that the last answer to a shed of ours lists."""
    if not correlation_ids:
        return {}
    statement = (
        select(ven_acks.c.correlation_id, ven_acks.c.circuits_curtailed)
        .where(
            ven_acks.c.correlation_id.in_(list(correlation_ids)),
            ven_acks.c.matched.is_(True),
            ven_acks.c.circuits_curtailed.is_not(None),
        )
        .order_by(ven_acks.c.id)
    )
    return {
        correlation_id: circuits_from_json(circuits, []) or ()
        for correlation_id, circuits in await connection.execute(statement)
    }


async def answers(connection: AsyncConnection, correlation_id: str) -> int:
    """Return the number of different answers to one command."""
    statement = select(ven_acks.c.id).where(ven_acks.c.correlation_id == correlation_id, ven_acks.c.matched.is_(True))
    return len((await connection.execute(statement)).all())


async def answers_to(connection: AsyncConnection, correlation_ids: Sequence[str]) -> dict[str, Ack]:
    """Return the last answer to each of these commands that a panel obeyed."""
    found = {}
    for first in range(0, len(correlation_ids), _MOST_IDS):
        some = list(correlation_ids[first : first + _MOST_IDS])
        statement = select(ven_acks).where(ven_acks.c.correlation_id.in_(some), ven_acks.c.matched.is_(True))
        for row in (await connection.execute(statement.order_by(ven_acks.c.id))).mappings():
            found[row["correlation_id"]] = _stored(row).ack
    return found


async def forget(connection: AsyncConnection, before: datetime, *, at_most: int = 5_000) -> bool:
    """Delete acknowledgments older than the retention time, a piece of them; return True if there may be more."""
    return await delete_some(connection, ven_acks.c.received_at, before, at_most)


def _stored(row: RowMapping) -> StoredAck:
    values = {name: row[name] for name in row if name not in {"id", "duplicates", "created_at", "timestamp"}}
    values |= {
        "circuits_curtailed": circuits_from_json(row["circuits_curtailed"], []),
        "warnings": tuple(row["warnings"]),
    }
    return StoredAck(id=row["id"], duplicates=row["duplicates"], ack=Ack(**values))
