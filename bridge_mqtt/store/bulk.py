"""Thousands of rows in one statement: arrays of columns in PostgreSQL, many sets of parameters in SQLite.

Columns of JSON are given as text that is JSON already, since encoding it again would cost more than storing it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import JSON, Table, Text, bindparam, text
from sqlalchemy.ext.asyncio import AsyncConnection


async def insert_many(
    connection: AsyncConnection, table: Table, keys: Sequence[str], rows: Sequence[dict[str, Any]]
) -> None:
    """Insert rows, all with the same members; a row whose keys are there already is skipped."""
    if not rows:
        return
    names = list(rows[0])
    columns = ", ".join(f'"{name}"' for name in names)
    clash = ", ".join(f'"{name}"' for name in keys)
    if connection.dialect.name == "postgresql":
        arrays = ", ".join(f"CAST(:p{place} AS {_type(table, name, connection)}[])" for place, name in enumerate(names))
        origin = f"SELECT * FROM unnest({arrays})"  # noqa: S608 - our own names
        values: Any = {f"p{place}": [row[name] for row in rows] for place, name in enumerate(names)}
        bound = []
    else:
        origin = f"VALUES ({', '.join(f':{name}' for name in names)})"
        values = list(rows)
        bound = [bindparam(name, type_=_as_given(table, name)) for name in names]
    statement = text(f'INSERT INTO "{table.name}" ({columns}) {origin} ON CONFLICT ({clash}) DO NOTHING')
    await connection.execute(statement.bindparams(*bound), values)


def _as_given(table: Table, name: str) -> Any:
    type_ = table.c[name].type
    return Text() if isinstance(type_, JSON) else type_


def _type(table: Table, name: str, connection: AsyncConnection) -> str:
    return table.c[name].type.compile(dialect=connection.dialect)
