"""A database as the original system left it: its tables, and the rows it kept of the recorded acknowledgments."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from tests.support import panel_captures

_TABLES = (
    """CREATE TABLE vens (
        ven_id varchar(255) PRIMARY KEY, registration_id varchar(255) UNIQUE, name varchar(255), status varchar(50),
        latitude double precision, longitude double precision, created_at timestamp without time zone)""",
    """CREATE TABLE events (
        event_id varchar(255) PRIMARY KEY, ven_id varchar(255), status varchar(50) NOT NULL,
        start_time timestamp without time zone, end_time timestamp with time zone,
        requested_reduction_kw double precision, created_at timestamp without time zone)""",
    """CREATE TABLE ven_acks (
        id serial PRIMARY KEY, ven_id varchar(255) NOT NULL, event_id varchar(255) NOT NULL,
        correlation_id varchar(255), op varchar(50) NOT NULL, status varchar(50) NOT NULL,
        timestamp timestamp without time zone NOT NULL, requested_shed_kw double precision,
        actual_shed_kw double precision, circuits_curtailed json, raw_payload text,
        created_at timestamp without time zone DEFAULT now())""",
    "CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY)",
)
_INDEXES = ("ven_id", "event_id", "correlation_id", "timestamp")
_INSERT = (
    "INSERT INTO ven_acks (ven_id, event_id, correlation_id, op, status, timestamp, requested_shed_kw, actual_shed_kw,"
    " circuits_curtailed, raw_payload, created_at) VALUES (:ven_id, :event_id, :correlation_id, :op, :status,"
    " {timestamp}, :requested_shed_kw, :actual_shed_kw, :circuits_curtailed, :raw_payload, {created_at})"
)


@dataclass(frozen=True, kw_only=True)
class OriginalAck:
    """One row; times are text without zone, as the original wrote them."""

    ven_id: str
    event_id: str
    correlation_id: str | None
    op: str
    status: str
    timestamp: str
    requested_shed_kw: float | None
    actual_shed_kw: float | None
    circuits_curtailed: str | None
    raw_payload: str | None
    created_at: str


async def create(connection: AsyncConnection, rows: list[OriginalAck], *, index_prefix: str = "ix") -> None:
    """Make the tables and write the rows; some installations named their indexes with the prefix ``idx``."""
    sqlite = connection.dialect.name == "sqlite"
    for statement in _TABLES:
        if sqlite:
            statement = statement.replace("serial PRIMARY KEY", "integer PRIMARY KEY AUTOINCREMENT")  # noqa: PLW2901
            statement = statement.replace("now()", "CURRENT_TIMESTAMP")  # noqa: PLW2901
        await connection.execute(text(statement))
    for name in _INDEXES:
        await connection.execute(text(f"CREATE INDEX {index_prefix}_ven_acks_{name} ON ven_acks ({name})"))
    await connection.execute(text("INSERT INTO alembic_version VALUES ('202510210001')"))
    await connection.execute(text("INSERT INTO vens (ven_id, status) VALUES ('ven-legacy-1', 'online')"))
    for row in rows:
        await connection.execute(text(_statement(row, sqlite=sqlite)), _bound(row))


def recorded_rows() -> list[OriginalAck]:
    """Return what the original kept of the recordings: acks with a status and an event id (section 4.2)."""
    rows = []
    for name in panel_captures.FILES:
        for message in panel_captures.acks(name):
            try:
                payload = json.loads(message.payload)
            except ValueError:
                continue
            row = _kept(message.topic.rsplit("/", 1)[1], payload, message.at)
            if row is not None:
                rows.append(row)
    return rows


def _kept(ven_id: str, payload: Any, at: datetime) -> OriginalAck | None:
    status, event_id, op = payload.get("status"), payload.get("event_id"), payload.get("op")
    stamp = payload.get("ts", payload.get("timestamp"))
    if not (isinstance(status, str) and isinstance(event_id, str) and isinstance(op, str)):
        return None
    if not isinstance(stamp, int | float) or stamp > 1e11:
        return None
    circuits = payload.get("circuits_curtailed")
    return OriginalAck(
        ven_id=ven_id,
        event_id=event_id,
        correlation_id=payload.get("correlationId") if isinstance(payload.get("correlationId"), str) else None,
        op=op,
        status=status,
        timestamp=naive(datetime.fromtimestamp(stamp, UTC)),
        requested_shed_kw=payload.get("requested_shed_kw"),
        actual_shed_kw=payload.get("actual_shed_kw"),
        circuits_curtailed=None if circuits is None else json.dumps(circuits),
        raw_payload=json.dumps(payload),
        created_at=naive(at + timedelta(milliseconds=5)),
    )


def naive(moment: datetime) -> str:
    """Return the instant as the original stored it: in UTC, and without saying so."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(sep=" ", timespec="microseconds")


def _statement(row: OriginalAck, *, sqlite: bool) -> str:
    """Write times into the text: drivers refuse the years that the database itself takes."""
    assert "'" not in row.timestamp + row.created_at
    statement = _INSERT.format(timestamp=f"'{row.timestamp}'", created_at=f"'{row.created_at}'")
    return statement if sqlite else statement.replace(":circuits_curtailed", "CAST(:circuits_curtailed AS json)")


def _bound(row: OriginalAck) -> dict[str, Any]:
    return {name: value for name, value in asdict(row).items() if name not in {"timestamp", "created_at"}}
