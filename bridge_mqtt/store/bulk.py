"""Thousands of rows in one statement: arrays of columns in PostgreSQL, many sets of parameters in SQLite.

Columns of JSON are given as text that is JSON already, since encoding it again would cost more than storing it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import JSON, Column, ColumnElement, Dialect, Table, Text, TextClause, bindparam, delete, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from bridge_mqtt.store.schema import AnyText, storable

ROWS_AT_ONCE: Final = 200
"""So many rows, if they are long, are written with one statement: to pack more of them holds up everything else."""


async def insert_many(
    connection: AsyncConnection,
    table: Table,
    keys: Sequence[str],
    rows: Sequence[dict[str, Any]],
    *,
    update: Sequence[str] = (),
) -> None:
    """Insert rows, all with the same members; of a row whose keys are there already, ``update`` is written anew.

    Without ``update`` such a row is skipped; without keys the database decides, and refuses what is not unique.
    """
    if not rows:
        return
    names = list(rows[0])
    if _takes_arrays(connection):
        origin = f"SELECT * FROM {unnested(connection, table, names)}"  # noqa: S608 - our own names
    else:
        origin = f"VALUES ({', '.join(f':{name}' for name in names)})"
    statement = f'INSERT INTO "{table.name}" ({_listed(names)}) {origin}'
    if keys:
        anew = ", ".join(f'"{name}" = excluded."{name}"' for name in update)
        statement += f" ON CONFLICT ({_listed(keys)}) DO {f'UPDATE SET {anew}' if update else 'NOTHING'}"
    await _execute(connection, table, statement, rows)


async def update_many(connection: AsyncConnection, table: Table, key: str, rows: Sequence[dict[str, Any]]) -> None:
    """Write all members of the rows but the key to the rows that have the key."""
    if not rows:
        return
    names = list(rows[0])
    written = [name for name in names if name != key]
    if _takes_arrays(connection):
        values = ", ".join(f'"{name}" = new."{name}"' for name in written)
        origin = f"FROM {unnested(connection, table, names)} AS new ({_listed(names)})"
        where = f'"{table.name}"."{key}" = new."{key}"'
    else:
        values = ", ".join(f'"{name}" = :{name}' for name in written)
        origin, where = "", f'"{key}" = :{key}'
    await _execute(connection, table, f'UPDATE "{table.name}" SET {values} {origin} WHERE {where}', rows)  # noqa: S608


async def delete_some(
    connection: AsyncConnection, column: Column[datetime], before: datetime, at_most: int, *which: ColumnElement[bool]
) -> bool:
    """Delete the oldest of the rows, ``at_most`` so many, that are older than this; return True if there may be more.

    The table has an ``id``, and should have an index that begins with the column of the age.
    """
    table = column.table
    oldest = select(table.c.id).where(column < before, *which).order_by(column).limit(at_most)
    done = await connection.execute(delete(table).where(table.c.id.in_(oldest)))
    return done.rowcount >= at_most


def unnested(connection: AsyncConnection, table: Table, names: Sequence[str]) -> str:
    """Return PostgreSQL's words for the rows of ``columns_of`` as a table."""
    return _unnested(table, tuple(names), connection.dialect)


@lru_cache(maxsize=256)
def _unnested(table: Table, names: tuple[str, ...], dialect: Dialect) -> str:
    types = [table.c[name].type.compile(dialect=dialect) for name in names]
    return f"unnest({', '.join(f'CAST(:p{place} AS {type_}[])' for place, type_ in enumerate(types))})"


def columns_of(table: Table, rows: Sequence[dict[str, Any]]) -> dict[str, list[Any]]:
    """Return the members of the rows as an array each, as ``unnested`` takes them."""
    return {f"p{place}": _column(table, name, rows) for place, name in enumerate(rows[0])}


def _column(table: Table, name: str, rows: Sequence[dict[str, Any]]) -> list[Any]:
    if isinstance(table.c[name].type, AnyText):  # an array has no type that would do it
        return [storable(row[name]) for row in rows]
    return [row[name] for row in rows]


async def _execute(connection: AsyncConnection, table: Table, statement: str, rows: Sequence[dict[str, Any]]) -> None:
    if _takes_arrays(connection):
        await connection.execute(_text(statement), columns_of(table, rows))
    else:
        bound = [bindparam(name, type_=_as_given(table, name)) for name in rows[0]]
        await connection.execute(text(statement).bindparams(*bound), list(rows))


@lru_cache(maxsize=256)
def _text(statement: str) -> TextClause:
    """Return a statement, which SQLAlchemy would read and compile anew each time; there are few of them."""
    return text(statement)


def _takes_arrays(connection: AsyncConnection) -> bool:
    return connection.dialect.name == "postgresql"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def _as_given(table: Table, name: str) -> Any:
    type_ = table.c[name].type
    return Text() if isinstance(type_, JSON) else type_
