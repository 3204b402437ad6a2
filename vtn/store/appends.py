"""The statement that inserts any number of rows into one table. SQLAlchemy writes its text, once for each table.

PostgreSQL gets one list per column, so that the statement is the same for one row and for hundreds; SQLite gets as many
rows of values as there are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Final, TypeAlias

from sqlalchemy import ARRAY, Boolean, Dialect, Table, Text, bindparam, func, insert, select
from sqlalchemy.dialects import sqlite

from vtn.store.types import Targets, json_array, targets_in

Rows: TypeAlias = Sequence[Mapping[str, Any]]

_SQLITE: Final = sqlite.dialect()
_VALUES: Final = " VALUES "


def as_lists(table: Table, rows: Rows, dialect: Dialect) -> tuple[str, list[list[Any]]]:
    """Return the statement for PostgreSQL, and the values of each column in their order."""
    sql, names = _with_lists(table, dialect)
    listed = _targets(table)
    return sql, [
        [json_array(row[name]) for row in rows] if name in listed else [row[name] for row in rows] for name in names
    ]


def as_rows(table: Table, rows: Rows) -> tuple[str, list[Any]]:
    """Return the statement for SQLite, and the values of one row after the other."""
    head, one, names = _with_a_row(table)
    listed = _targets(table)
    values = [json_array(row[name]) if name in listed else row[name] for row in rows for name in names]
    return head + ", ".join([one] * len(rows)), values


@cache
def _targets(table: Table) -> frozenset[str]:
    """Return the columns whose values are lists of targets, which both statements get as the text of a JSON array."""
    return frozenset(column.name for column in table.columns if isinstance(column.type, Targets))


@cache
def _with_lists(table: Table, dialect: Dialect) -> tuple[str, Sequence[str]]:
    """Return an INSERT from one list per column, and the names of its parameters in their order."""
    columns = list(table.columns)
    lists = [bindparam(column.name, type_=ARRAY(_plain(column.type))) for column in columns]
    given = func.unnest(*lists).table_valued(*(column.name for column in columns)).render_derived(name="given")
    values = [
        targets_in(given.c[column.name]) if isinstance(column.type, Targets) else given.c[column.name]
        for column in columns
    ]
    compiled = insert(table).from_select(columns, select(*values)).compile(dialect=dialect)
    return str(compiled), list(compiled.positiontup or ())


def _plain(type_: object) -> Boolean | Text:
    return Boolean() if isinstance(type_, Boolean) else Text()


@cache
def _with_a_row(table: Table) -> tuple[str, str, Sequence[str]]:
    """Return an INSERT of one row in two parts, up to its values and the values, and the names of its parameters."""
    compiled = insert(table).compile(dialect=_SQLITE)
    head, _, values = str(compiled).partition(_VALUES)
    return head + _VALUES, values, list(compiled.positiontup or ())
