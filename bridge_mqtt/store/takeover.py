"""Taking over ``ven_acks`` of the original system: its rows become rows of this version, with the same ids.

Steps, all in the transaction of the migrations: the table of the original is renamed, the migrations make the table of
this version, the rows are copied. The renamed table stays as the way back until somebody drops it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import ColumnElement, Connection, Integer, cast, column, inspect, select, table, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.types import String

from bridge_mqtt.store.circuits import circuits_for_json, circuits_from_json
from bridge_mqtt.store.schema import ven_acks
from openadr_profiles.panel import Ack, AckStatus, read_ack
from openadr_profiles.panel.reading import MOST_PANEL_KW, number_at, payload_hash
from openadr_profiles.panel.vocabulary import canonical_op

_log = structlog.get_logger(__name__)

_NAME = "ven_acks"
_KEPT_AS = "ven_acks_original"
_OWN_MARK = "payload_hash"  # a column that only this version has
_ROWS_AT_ONCE = 1_000
_PLAUSIBLE = timedelta(hours=24)
_TEXTS = ("ven_id", "event_id", "correlation_id", "op", "status", "timestamp", "created_at", "raw_payload")
_NUMBERS = ("requested_shed_kw", "actual_shed_kw")


def set_aside(connection: Connection) -> str | None:
    """Rename a ``ven_acks`` of the original system and return its new name; None if there is none."""
    found = inspect(connection)
    if not found.has_table(_NAME) or _OWN_MARK in {each["name"] for each in found.get_columns(_NAME)}:
        return None
    name, number = _KEPT_AS, 1
    while found.has_table(name):
        number += 1
        name = f"{_KEPT_AS}_{number}"
    if connection.dialect.name == "postgresql":
        _free_names_in_postgresql(connection, suffix=name.removeprefix(_NAME))
    else:
        for index in found.get_indexes(_NAME):
            connection.execute(text(f'DROP INDEX "{index["name"]}"'))
    connection.execute(text(f"ALTER TABLE {_NAME} RENAME TO {name}"))
    return name


def copy_rows(connection: Connection, source: str) -> int:
    """Copy every row of the renamed table into ``ven_acks``; return how many there were."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SET LOCAL datestyle = 'ISO'"))
    copied = 0
    for rows in _batches(connection, source):
        _insert(connection, [_converted(row) for row in rows])
        copied += len(rows)
    if connection.dialect.name == "postgresql" and copied:
        connection.execute(text(f"SELECT setval(pg_get_serial_sequence('{_NAME}', 'id'), max(id)) FROM {_NAME}"))  # noqa: S608 - our name
    _log.info("acknowledgments of the original system taken over", rows=copied, old_table=source)
    return copied


def _free_names_in_postgresql(connection: Connection, *, suffix: str) -> None:
    """Rename indexes and sequences of the table: their names must be unique in the schema."""
    names = connection.execute(
        text(
            "SELECT c.relname, c.relkind::text FROM pg_class c JOIN pg_depend d ON d.objid = c.oid "
            "WHERE d.refobjid = CAST(:name AS regclass) AND c.relkind = 'S' "
            "UNION SELECT c.relname, c.relkind::text FROM pg_class c JOIN pg_index i ON i.indexrelid = c.oid "
            "WHERE i.indrelid = CAST(:name AS regclass)"
        ),
        {"name": _NAME},
    ).all()
    quoted = connection.dialect.identifier_preparer.quote
    for name, kind in names:
        thing = "SEQUENCE" if kind == "S" else "INDEX"
        connection.execute(text(f"ALTER {thing} {quoted(name)} RENAME TO {quoted(name[:40] + suffix)}"))


def _batches(connection: Connection, source: str) -> Iterator[list[Mapping[str, Any]]]:
    """Yield the rows by id. Times come as text: the original wrote years that no program can hold (rule R9)."""
    names = {each["name"] for each in inspect(connection).get_columns(source)}
    wanted: list[ColumnElement[Any]] = [column("id", Integer)]
    wanted += [cast(column(name), String).label(name) for name in (*_TEXTS, "circuits_curtailed") if name in names]
    wanted += [column(name) for name in _NUMBERS if name in names]
    last = None
    while True:
        statement = select(*wanted).select_from(table(source)).order_by(column("id")).limit(_ROWS_AT_ONCE)
        if last is not None:
            statement = statement.where(column("id") > last)
        rows = list(connection.execute(statement).mappings())
        if not rows:
            return
        last = rows[-1]["id"]
        yield [dict(row) for row in rows]


def _insert(connection: Connection, rows: list[dict[str, Any]]) -> None:
    """Write rows; the original stored a message again that came again, and such a row gets a hash of its own."""
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    statement = dialect.insert(ven_acks).on_conflict_do_nothing(index_elements=["ven_id", _OWN_MARK])
    stored = set(connection.execute(statement.returning(ven_acks.c.id), rows).scalars())
    again = [row for row in rows if row["id"] not in stored]
    for row in again:
        row[_OWN_MARK] = _hash_of_row(row["id"])
        row["warnings"] = [*row["warnings"], "the same message was stored before"]
    if again:
        connection.execute(ven_acks.insert(), again)


def _hash_of_row(id_: int) -> str:
    return payload_hash(f"{_KEPT_AS} {id_}".encode())


def _converted(old: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row of this version. What the original read stays; the rest is read from the raw message."""
    raw = old.get("raw_payload")
    warnings: list[str] = []
    received_at = _instant(old.get("created_at")) or _instant(old.get("timestamp")) or datetime.fromtimestamp(0, UTC)
    read = read_ack(f"ven/ack/{old['ven_id']}", (raw or "").encode(), received_at, lambda _: None)
    ack = read if isinstance(read, Ack) else None
    timestamp = _instant(old.get("timestamp"))
    if timestamp is None or abs(timestamp - received_at) > _PLAUSIBLE:
        warnings.append(f"the original stored the time {old.get('timestamp')}")
        timestamp = ack.timestamp if ack is not None else received_at
    return {
        "id": old["id"],
        "ven_id": old["ven_id"],
        "event_id": old.get("event_id"),
        "correlation_id": old.get("correlation_id"),
        "op": canonical_op(old["op"] or "unknown"),
        "status": _status(old["status"], ack),
        "timestamp": timestamp,
        "panel_timestamp": None if ack is None else ack.panel_timestamp,
        "received_at": received_at,
        **{name: number_at(old, [name], warnings, most=MOST_PANEL_KW) for name in _NUMBERS},
        "circuits_curtailed": circuits_for_json(
            circuits_from_json(_document(old.get("circuits_curtailed"), warnings), warnings)
        ),
        "raw_payload": raw,
        "payload_hash": _hash_of_row(old["id"]) if raw is None else payload_hash(raw.encode()),
        "dialect": None if ack is None else ack.dialect,
        "error": None if ack is None else ack.error,
        "matched": False,
        "late": False,
        "duplicates": 0,
        "response_ms": None,
        "warnings": warnings,
        "created_at": received_at,
    }


def _status(word: str | None, ack: Ack | None) -> str:
    status = (word or "").strip().lower()
    if status in AckStatus.__members__.values():
        return status
    return (AckStatus.UNKNOWN if ack is None else ack.status).value


def _instant(value: str | None) -> datetime | None:
    """Read a time as the database prints it; without zone it is UTC, as the original meant it."""
    try:
        moment = datetime.fromisoformat(value or "")
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _document(value: str | None, warnings: list[str]) -> object:
    try:
        return None if value is None else json.loads(value)
    except (ValueError, RecursionError):
        warnings.append("circuits_curtailed: no JSON; dropped")
        return None
