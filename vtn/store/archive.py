"""Everything in the database as lines of JSON, and back: the same file for both kinds of databases.

The first line says what it is, then comes one row per line, parents before children, and the last line counts them: a
file that was cut off is not restored.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

import msgspec
from sqlalchemy import Table, insert, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from vtn.errors import ArchiveUnusable, DatabaseNotEmpty
from vtn.store.database import Database
from vtn.store.tables import metadata

FORMAT: Final = "openadr-fleet-vtn-backup"
_VERSION: Final = 1
_AT_ONCE: Final = 500
_TABLES: Final[dict[str, Table]] = {table.name: table for table in metadata.sorted_tables}


async def write_archive(database: Database, write: Callable[[bytes], object]) -> int:
    """Give every row to ``write``, line by line, as of one moment; gives the number of rows."""
    count = 0
    async with database.snapshot() as connection:
        revision = (await connection.execute(text("SELECT version_num FROM alembic_version"))).scalar_one()
        write(_line({"format": FORMAT, "version": _VERSION, "revision": revision}))
        for name, table in _TABLES.items():
            async with connection.stream(select(table).order_by(*table.primary_key)) as rows:
                async for row in rows.mappings():
                    write(_line({"table": name, "row": dict(row)}))
                    count += 1
        write(_line({"end": True, "rows": count}))
    return count


async def read_archive(database: Database, lines: Iterable[bytes]) -> int:
    """Put the rows into an empty database, all or none; gives their number.

    Raises ArchiveUnusable for a file that is none, is not whole or comes from a newer version, DatabaseNotEmpty.
    """
    entries = _entries(lines)
    head = next(entries, {})
    if head.get("format") != FORMAT or head.get("version") != _VERSION:
        raise ArchiveUnusable("this is not a backup of a VTN, or one of a newer version")
    async with database.write() as connection:
        await _check_empty(connection)
        present = (await connection.execute(text("SELECT version_num FROM alembic_version"))).scalar_one()
        if str(head.get("revision")) > present:
            raise ArchiveUnusable(f"the backup was written by a newer version (revision {head.get('revision')})")
        batch, of = list[dict[str, Any]](), ""
        for count, entry in enumerate(entries):
            if entry.get("end"):
                await _insert(connection, of, batch)
                if entry.get("rows") != count or next(entries, None) is not None:
                    raise ArchiveUnusable("the backup is not whole: its rows are not as many as it says")
                return count
            if entry.get("table") != of or len(batch) >= _AT_ONCE:
                await _insert(connection, of, batch)
                batch, of = [], str(entry.get("table"))
            batch.append(_row(entry, count))
        raise ArchiveUnusable("the backup is not whole: its end is missing")


def _entries(lines: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(lines, 1):
        try:
            yield msgspec.json.decode(line, type=dict[str, Any])
        except (msgspec.DecodeError, UnicodeError) as error:
            raise ArchiveUnusable(f"line {number} of the backup cannot be read") from error


def _row(entry: dict[str, Any], count: int) -> dict[str, Any]:
    table, row = _TABLES.get(str(entry.get("table"))), entry.get("row")
    if table is None or not isinstance(row, dict) or not row.keys() <= set(table.columns.keys()):
        raise ArchiveUnusable(f"line {count + 2} of the backup is not a row of a table of this version")
    return row


async def _insert(connection: AsyncConnection, name: str, rows: list[dict[str, Any]]) -> None:
    if rows:
        await connection.execute(insert(_TABLES[name]), rows)


async def _check_empty(connection: AsyncConnection) -> None:
    for name, table in _TABLES.items():
        if (await connection.execute(select(*table.primary_key).limit(1))).first() is not None:
            raise DatabaseNotEmpty(f"the database is not empty: there are {name} in it; restore into a new one")


def _line(entry: dict[str, Any]) -> bytes:
    # The names of tables and columns are texts of a kind that only the standard library writes.
    return json.dumps(entry, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
