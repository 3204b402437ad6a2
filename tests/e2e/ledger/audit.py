"""Note what was committed, in the database itself: triggers beside the tables, which the VTN knows nothing of.

Each change is noted in its own transaction, so it is in the ledger if and only if it was committed.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from bench.support.postgres import PostgresServer

_TYPES: Final = {
    "programs": "PROGRAM",
    "events": "EVENT",
    "reports": "REPORT",
    "subscriptions": "SUBSCRIPTION",
    "vens": "VEN",
    "resources": "RESOURCE",
}
_OPERATIONS: Final = {"INSERT": "CREATE", "UPDATE": "UPDATE", "DELETE": "DELETE"}


@dataclass(frozen=True, slots=True)
class Change:
    """One row that a transaction changed. ``began`` and ``committed`` are of that transaction, in the order of commits.

    They are seconds since 1970, or numbers where only one transaction can write at a time.
    """

    transaction: str
    began: float
    committed: float
    object_type: str
    operation: str
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None

    @property
    def row(self) -> Mapping[str, Any]:
        """Return the row after the change, or before its removal."""
        row = self.before if self.after is None else self.after
        assert row is not None
        return row

    @property
    def object_id(self) -> str:
        """Return the id of the object."""
        found: str = self.row["id"]
        return found


class Audit(Protocol):
    """The ledger in one database."""

    def install(self) -> None:
        """Note from now on what is committed to the tables of objects."""

    def changes(self) -> Sequence[Change]:
        """Return every change that was committed, in the order of the commits; a row that stayed the same is none."""

    def pending(self) -> int:
        """Return how many deliveries the outbox says are still to be made."""

    def newest(self) -> int:
        """Return the highest number that the outbox gave to a change."""


class PostgresAudit:
    """Says when each transaction was committed, in the order of the commits (``track_commit_timestamp``)."""

    def __init__(self, server: PostgresServer, database: str) -> None:
        self._server = server
        self._database = database

    def install(self) -> None:
        self._ask(_POSTGRES + "".join(map(_POSTGRES_TRIGGER.format, _TYPES)))

    def changes(self) -> Sequence[Change]:
        text = self._ask(_POSTGRES_READ)
        rows = json.loads(text) if text else ()
        return _changed(
            Change(
                transaction=row["xid"],
                began=row["began"],
                committed=row["committed"],
                object_type=_TYPES[row["kind"]],
                operation=_OPERATIONS[row["operation"]],
                before=row["before"],
                after=row["after"],
            )
            for row in rows
        )

    def pending(self) -> int:
        return int(self._ask(_PENDING))

    def newest(self) -> int:
        return int(self._ask(_NEWEST))

    def _ask(self, sql: str) -> str:
        return self._server.query(sql, database=self._database)


class SqliteAudit:
    """One transaction writes at a time, so the order of the rows is that of the commits."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def install(self) -> None:
        with closing(self._connect()) as connection, connection:
            connection.execute(
                "CREATE TABLE ledger (n INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT, operation TEXT, before, after)"
            )
            for kind in _TYPES:
                names = [row[1] for row in connection.execute(f"PRAGMA table_info({kind})")]
                for operation in _OPERATIONS:
                    before = "NULL" if operation == "INSERT" else _as_json("OLD", names)
                    after = "NULL" if operation == "DELETE" else _as_json("NEW", names)
                    noted = f"VALUES ('{kind}', '{operation}', {before}, {after})"
                    connection.execute(
                        f"CREATE TRIGGER ledger_{kind}_{operation} AFTER {operation} ON {kind} "
                        f"BEGIN INSERT INTO ledger (kind, operation, before, after) {noted}; END"
                    )

    def changes(self) -> Sequence[Change]:
        with closing(self._connect()) as connection:
            rows = connection.execute("SELECT n, kind, operation, before, after FROM ledger ORDER BY n").fetchall()
        return _changed(
            Change(str(n), n, n, _TYPES[kind], _OPERATIONS[operation], _row(before), _row(after))
            for n, kind, operation, before, after in rows
        )

    def pending(self) -> int:
        return self._number(_PENDING)

    def newest(self) -> int:
        return self._number(_NEWEST)

    def _number(self, sql: str) -> int:
        with closing(self._connect()) as connection:
            found: int = connection.execute(sql).fetchone()[0]
            return found

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(self._file, timeout=30)


def _changed(changes: Iterable[Change]) -> list[Change]:
    """Return the changes without rows that the store wrote again for itself: those are no newer versions."""
    return [
        change
        for change in changes
        if change.before is None or change.after is None or change.before["modified_at"] != change.after["modified_at"]
    ]


def _as_json(row: str, names: Iterable[str]) -> str:
    pairs = ", ".join(f"'{name}', {row}.{name}" for name in names)
    return f"json_object({pairs})"


def _row(text: str | None) -> dict[str, Any] | None:
    if text is None:
        return None
    row: dict[str, Any] = json.loads(text)
    return row | {name: json.loads(row[name]) for name in ("targets", "objects") if name in row}


_PENDING: Final = "SELECT count(*) FROM deliveries WHERE ended_at IS NULL"
_NEWEST: Final = "SELECT coalesce(max(seq), 0) FROM notifications"
_POSTGRES: Final = """
CREATE TABLE ledger (
    n bigserial PRIMARY KEY, xid xid8 NOT NULL DEFAULT pg_current_xact_id(), began timestamptz NOT NULL DEFAULT now(),
    kind text NOT NULL, operation text NOT NULL, before jsonb, after jsonb
);
CREATE FUNCTION note_in_ledger() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO ledger (kind, operation, before, after) VALUES (
        TG_TABLE_NAME, TG_OP,
        CASE WHEN TG_OP = 'INSERT' THEN NULL ELSE to_jsonb(OLD) END,
        CASE WHEN TG_OP = 'DELETE' THEN NULL ELSE to_jsonb(NEW) END
    );
    RETURN NULL;
END $$;
"""
_POSTGRES_TRIGGER: Final = (
    "CREATE TRIGGER ledger AFTER INSERT OR UPDATE OR DELETE ON {0} FOR EACH ROW EXECUTE FUNCTION note_in_ledger();"
)
_POSTGRES_READ: Final = """
SELECT json_agg(found ORDER BY found.committed, found.n) FROM (
    SELECT n, xid::text AS xid, extract(epoch FROM began)::float AS began, kind, operation, before, after,
        extract(epoch FROM pg_xact_commit_timestamp(xid::xid))::float AS committed
    FROM ledger
) AS found
"""
