"""Everything in the database as lines of JSON, and back: the same file for both kinds of databases.

The first line says what it is, then comes one row per line, parents before children, and the last line counts them.
Each line ends with a checksum over itself and all lines before it: a changed, lost or moved line is found and named.
The checksum is against accidents: who can write the file can make a right one. Secrets stay sealed (``vault``).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from math import isfinite
from typing import Any, Final, Protocol

import msgspec
from sqlalchemy import Boolean, Connection, Float, Integer, RowMapping, Table, insert, inspect, select, text, tuple_

from vtn.errors import ArchiveUnusable, DatabaseNotEmpty
from vtn.store.all_tables import metadata
from vtn.store.database import Database
from vtn.store.engine import AsyncConnection
from vtn.store.event_times import fill_in
from vtn.store.failures import ConstraintViolated
from vtn.store.migrate import revisions
from vtn.store.outbox.rows import Push
from vtn.store.outbox.subscribers import add_missing_endpoints
from vtn.store.sealing import seal_plain
from vtn.store.sheddable import fill_sheddable
from vtn.store.tables import endpoints
from vtn.store.types import Targets
from vtn.store.v20b.restored import raise_numbers
from vtn.store.vault import Vault, is_sealed, key_id_of

FORMAT: Final = "openadr-fleet-vtn-backup"
_WITHOUT_SUMS: Final = 1
_VERSION: Final = 2
_AT_ONCE: Final = 500
_SIZE_AT_ONCE: Final = 8 * 1024 * 1024
_LARGE: Final = 64 * 1024
_LARGE_AT_ONCE: Final = 8
_LONGEST_LINE_BYTES: Final = 256 * 1024 * 1024
_PASSING: Final = frozenset(
    {
        *("notifications", "deliveries", "delivery_totals", "broker_accounts", "broker_logins", "leases"),
        *("oadr20b_nonces", "report_queue", "read_reports", "report_corrections", "meters", "readings"),
        *("event_opts", "event_sheds", "console_sessions", "issued_forms", "alarms"),
        "alarm_messages",
    }
)
"""Tables that are not in a backup: undelivered notifications are old news when it is restored, accounts at the MQTT
broker are made anew, nonces are good for a minute, people sign in again, and what reports say is read from them again.
Curves of events are in it: they were noted as they happened; alarms that hold are raised again."""
_TABLES: Final[dict[str, Table]] = {table.name: table for table in metadata.sorted_tables if table.name not in _PASSING}
_SUM: Final = re.compile(rb',"sum":"([0-9a-f]{16})"\}\n')
_SUM_BYTES: Final = 27
_STAMPS: Final = frozenset(
    {
        *("created_at", "modified_at", "ends_at", "removed_at", "tokens_valid_from", "heard_at", "refused_at"),
        *("event_modified_at", "program_modified_at", "anchor", "changed_at", "starts_at", "over_at", "rolls_at"),
        *("made_at", "cancelled_at", "sent_at", "answered_at", "received_at"),
        *("wanted_until", "broken_at", "due_at", "leased_until", "last_success_at", "last_failure_at"),
        *("registered_at", "cancel_refused_at", "added_at", "offered_at", "updated_at", "silent_at", "replaced_at"),
        *("signed_in_at", "done_at"),
        *("next_at", "noted_at", "touched_at", "frozen_at"),
    }
)


class Lines(Protocol):
    """A backup that is open for reading."""

    def readline(self, limit: int, /) -> bytes:
        """Return the next line, at most so many bytes of it; empty at the end."""


@dataclass(slots=True)
class BackupContent:
    """Contents of a backup."""

    revision: str = ""
    has_sums: bool = True
    rows: int = 0
    keys: set[str] = field(default_factory=set)
    """The ids of the keys that its secrets were sealed with."""
    plain_secrets: bool = False
    """An earlier version wrote it, with secrets that are not sealed."""


async def write_archive(database: Database, write: Callable[[bytes], object]) -> int:
    """Give every row to ``write``, line by line, as of one moment; gives the number of rows.

    Raises ArchiveUnusable unless the tables are those of this version: nothing is migrated for a backup.
    """
    count = 0
    sums = _Sums()
    async with database.snapshot() as connection:
        revision = await connection.run_sync(_revision_of)
        if revision != revisions()[-1]:
            raise ArchiveUnusable(
                f"{database.name} has the tables of another version ({revision or 'none'}), and a backup changes "
                "nothing: take it with that version, or run `oadr vtn migrate` first"
            )
        write(sums.line({"format": FORMAT, "version": _VERSION, "revision": revision}))
        for name, table in _TABLES.items():
            async for row in _rows_of(connection, table):
                write(sums.line({"table": name, "row": dict(row)}))
                count += 1
        write(sums.line({"end": True, "rows": count}))
    return count


def check_archive(lines: Lines) -> BackupContent:
    """Read a backup to its end and look at every row; changes nothing.

    Raises ArchiveUnusable, naming the line, for a file that is no backup, was damaged or cut off, holds what could not
    be stored, or comes from a newer version.
    """
    reader = _Reader(lines)
    for name, row in reader.rows():
        sealed = row.get("secret" if name == "signing_keys" else "tokens")
        if isinstance(sealed, str) and is_sealed(sealed):
            reader.content.keys.add(key_id_of(sealed))
        elif sealed is not None or row.get("has_tokens"):
            reader.content.plain_secrets = True
    return reader.content


async def read_archive(database: Database, lines: Lines, vault: Vault, *, drop_secrets: bool = False) -> int:
    """Put the rows into an empty database, all or none; gives their number.

    ``drop_secrets`` leaves out signing keys and tokens of callbacks, for a backup whose key is lost. Raises
    ArchiveUnusable as ``check_archive`` does, DatabaseNotEmpty.
    """
    reader = _Reader(lines)
    count = 0
    async with database.write() as connection:
        await _check_empty(connection)
        batch, of, size = list[dict[str, Any]](), "", 0
        for name, row in reader.rows():
            if drop_secrets and not _without_secrets(name, row):
                continue
            if name != of or len(batch) >= _AT_ONCE or size > _SIZE_AT_ONCE:
                await _insert(connection, of, batch)
                batch, of, size = [], name, 0
            batch.append(row)
            size += _size(row)
            count += 1
        await _insert(connection, of, batch)
        await seal_plain(connection, vault)
        await add_missing_endpoints(connection)
        await raise_numbers(connection)
        await connection.run_sync(fill_in)
        await connection.run_sync(fill_sheddable)
    return count


class _Sums:
    """The chain of checksums while a backup is written."""

    def __init__(self) -> None:
        self._chain = b""

    def line(self, entry: dict[str, Any]) -> bytes:
        # The names of tables and columns are texts of a kind that only the standard library writes.
        content = json.dumps(entry, ensure_ascii=False, separators=(",", ":")).encode()
        return content[:-1] + b',"sum":"%b"}\n' % self.next(content).encode()

    def next(self, content: bytes) -> str:
        """Return the sum of the next line."""
        self._chain = hashlib.sha256(self._chain + content).digest()
        return self._chain[:8].hex()


class _Reader:
    """Reads a backup line by line, and finds everything that is wrong with it."""

    def __init__(self, lines: Lines) -> None:
        self._lines = lines
        self._number = 0
        self._sums = _Sums()
        self.content = BackupContent()

    def rows(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield every row with the name of its table."""
        content = self.content
        self._read_head()
        while (entry := self._entry()) is not None:
            if entry.get("end"):
                if entry.get("rows") != content.rows or self._entry() is not None:
                    raise ArchiveUnusable("the backup is not whole: its rows are not as many as it says")
                return
            yield self._row(entry)
            content.rows += 1
        raise ArchiveUnusable("the backup is not whole: its end is missing")

    def _read_head(self) -> None:
        line = self._line()
        try:
            head = msgspec.json.decode(line, type=dict[str, Any])
        except (msgspec.DecodeError, UnicodeError):
            head = {}
        version = head.get("version")
        if head.get("format") != FORMAT or version not in {_WITHOUT_SUMS, _VERSION}:
            raise ArchiveUnusable("this is not a backup of a VTN, or one of a newer version")
        self.content.has_sums = version == _VERSION
        if self.content.has_sums:
            self._check_sum(line)
        self.content.revision = str(head.get("revision"))
        if self.content.revision > revisions()[-1]:
            raise ArchiveUnusable(f"the backup was written by a newer version (revision {self.content.revision})")

    def _entry(self) -> dict[str, Any] | None:
        line = self._line()
        if not line:
            return None
        if self.content.has_sums:
            self._check_sum(line)
        try:
            return msgspec.json.decode(line, type=dict[str, Any])
        except (msgspec.DecodeError, UnicodeError) as error:
            raise ArchiveUnusable(f"line {self._number} of the backup cannot be read") from error

    def _line(self) -> bytes:
        line = self._lines.readline(_LONGEST_LINE_BYTES)
        if len(line) == _LONGEST_LINE_BYTES:
            raise ArchiveUnusable(f"line {self._number + 1} of the backup is longer than any that was written")
        self._number += 1
        return line

    def _check_sum(self, line: bytes) -> None:
        found = _SUM.fullmatch(line[-_SUM_BYTES:])
        if found is None or found[1].decode() != self._sums.next(line[:-_SUM_BYTES] + b"}"):
            raise ArchiveUnusable(f"line {self._number} of the backup is not as it was written: its checksum differs")

    def _row(self, entry: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        name, row = str(entry.get("table")), entry.get("row")
        table = _TABLES.get(name)
        if table is None or not isinstance(row, dict) or not row.keys() <= set(table.columns.keys()):
            raise ArchiveUnusable(f"line {self._number} of the backup is not a row of a table of this version")
        for column in table.columns:
            value = row.get(column.name)
            if value is None and not column.nullable:
                raise self._wrong(name, row, column.name, "is missing")
            if value is not None and not _is_of(column.type, value):
                raise self._wrong(name, row, column.name, "is of another type")
            if value is not None and column.name in _STAMPS and not _is_stamp(value):
                raise self._wrong(name, row, column.name, "is not an instant")
        if name == "resource_group_children" and (row.get("resource_id") is None) == (
            row.get("child_group_id") is None
        ):
            raise self._wrong(name, {"id": row["group_id"]}, "child", "is not a resource or a group")
        if row.get("members") is not None:
            try:
                msgspec.json.decode(f"{{{row['members']}}}", type=dict[str, Any])
            except (msgspec.DecodeError, UnicodeError):
                raise self._wrong(name, row, "members", "is not JSON") from None
        return name, row

    def _wrong(self, name: str, row: dict[str, Any], column: str, what: str) -> ArchiveUnusable:
        which = row.get("id") or row.get("client_id") or row.get("kid")
        return ArchiveUnusable(f"line {self._number} of the backup, {name} {which}: {column} {what}")


def _is_of(kind: object, value: object) -> bool:
    if isinstance(kind, Targets):
        return isinstance(value, list) and all(isinstance(one, str) for one in value)
    if isinstance(kind, Boolean):
        return isinstance(value, bool)
    if isinstance(kind, Integer):
        return isinstance(value, int) and not isinstance(value, bool)
    if isinstance(kind, Float):
        return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
    return isinstance(value, str) and "\0" not in value


def _is_stamp(value: str) -> bool:
    try:
        return datetime.fromisoformat(value).tzinfo is not None
    except ValueError:
        return False


def _without_secrets(name: str, row: dict[str, Any]) -> bool:
    """Take tokens out of a row; False for one that is a secret itself."""
    if name == "subscriptions" and row.get("has_tokens"):
        members = msgspec.json.decode(f"{{{row['members']}}}", type=dict[str, Any])
        for entry in members.get("objectOperations") or []:
            entry.pop("bearerToken", None)
        row |= {"has_tokens": False, "tokens": None, "members": msgspec.json.encode(members)[1:-1].decode()}
    return name != "signing_keys"


def _revision_of(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return found


async def _rows_of(connection: AsyncConnection, table: Table) -> AsyncIterator[RowMapping]:
    """Yield all rows in the order of their keys; few are read at once while rows are large."""
    key = tuple(table.primary_key)
    statement = select(table).order_by(*key)
    if table is endpoints:  # the others are made by a server, as its settings say
        statement = statement.where(endpoints.c.push == str(Push.WEBHOOK))
    at_once = _LARGE_AT_ONCE
    rows: Sequence[RowMapping] = (await connection.execute(statement.limit(at_once))).mappings().all()
    while rows:
        last = tuple(rows[-1][column.name] for column in key)
        is_large = any(_size(row) > _LARGE for row in rows)
        at_once = _LARGE_AT_ONCE if is_large else min(at_once * 2, _AT_ONCE)
        for row in rows:
            yield row
        rows = ()  # before there are others
        behind = tuple_(*key) > tuple_(*last)
        rows = (await connection.execute(statement.where(behind).limit(at_once))).mappings().all()


def _size(row: Mapping[Any, Any]) -> int:
    """Return the number of characters in the texts of a row."""
    return sum(len(value) for value in row.values() if isinstance(value, str))


async def _insert(connection: AsyncConnection, name: str, rows: list[dict[str, Any]]) -> None:
    if not rows:
        return
    try:
        await connection.execute(insert(_TABLES[name]), rows)
    except ConstraintViolated as error:
        raise ArchiveUnusable(f"the backup cannot be stored: {name} in it contradict each other") from error


async def _check_empty(connection: AsyncConnection) -> None:
    for name, table in _TABLES.items():
        if table is endpoints:  # of a broker and of websockets, which a server has made
            continue
        if (await connection.execute(select(*table.primary_key).limit(1))).first() is not None:
            raise DatabaseNotEmpty(f"the database is not empty: there are {name} in it; restore into a new one")
