"""The statement that inserts any number of rows into one table. SQLAlchemy writes its text, once for each table.

PostgreSQL gets one list per column, so that the statement is the same for one row and for hundreds; SQLite gets as many
rows of values as there are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Final, NamedTuple, TypeAlias

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    ColumnElement,
    Dialect,
    Table,
    Text,
    bindparam,
    func,
    insert,
    not_,
    select,
)
from sqlalchemy.dialects import sqlite

from vtn.store.types import Targets, json_array, targets_in

Rows: TypeAlias = Sequence[Mapping[str, Any]]

_SQLITE: Final = sqlite.dialect()
_VALUES: Final = " VALUES "
_COUNTED: Final = " RETURNING 1"


class Unless(NamedTuple):
    """A condition under which no row is inserted, made once for the process, and the values of its parameters."""

    clause: ColumnElement[bool]
    values: Mapping[str, Any]


def as_lists(
    table: Table, rows: Rows, dialect: Dialect, unless: Unless | None = None
) -> tuple[str, list[list[Any] | Any]]:
    """Return the statement for PostgreSQL, and the values of each column in their order."""
    sql, parameters = _with_lists(table, dialect, None if unless is None else unless.clause)
    listed = _targets(table)
    given = {} if unless is None else unless.values
    values: list[Any] = []
    for name, own in parameters:
        if name in table.c:
            values.append([json_array(row[name]) if name in listed else row[name] for row in rows])
        else:
            values.append(given.get(name, own))
    return sql, values


def as_rows(table: Table, rows: Rows, unless: Unless | None = None) -> tuple[str, list[Any]]:
    """Return the statement for SQLite, and the values of one row after the other. It gives a row for each row."""
    head, one, names = _with_a_row(table)
    listed = _targets(table)
    values = [json_array(row[name]) if name in listed else row[name] for row in rows for name in names]
    given = _VALUES + ", ".join([one] * len(rows))
    if unless is None:
        return head + given + _COUNTED, values
    clause, parameters = _condition(unless.clause)
    values += [unless.values.get(name, own) for name, own in parameters]
    return f"{head} SELECT * FROM ({given}) WHERE {clause}{_COUNTED}", values  # noqa: S608 (made of compiled SQL only)


@cache
def _targets(table: Table) -> frozenset[str]:
    """Return the columns whose values are lists of targets, which both statements get as the text of a JSON array."""
    return frozenset(column.name for column in table.columns if isinstance(column.type, Targets))


@cache
def _with_lists(
    table: Table, dialect: Dialect, unless: ColumnElement[bool] | None
) -> tuple[str, Sequence[tuple[str, Any]]]:
    """Return an INSERT from one list per column, and its parameters in their order with the values they have."""
    columns = list(table.columns)
    lists = [bindparam(column.name, type_=ARRAY(_plain(column.type))) for column in columns]
    given = func.unnest(*lists).table_valued(*(column.name for column in columns)).render_derived(name="given")
    values = [
        targets_in(given.c[column.name]) if isinstance(column.type, Targets) else given.c[column.name]
        for column in columns
    ]
    chosen = select(*values)
    if unless is not None:
        chosen = chosen.where(not_(unless))
    compiled = insert(table).from_select(columns, chosen).compile(dialect=dialect)
    own = compiled.params
    return str(compiled), [(name, own[name]) for name in compiled.positiontup or ()]


def _plain(type_: object) -> BigInteger | Boolean | Text:
    return type_ if isinstance(type_, BigInteger | Boolean) else Text()


@cache
def _with_a_row(table: Table) -> tuple[str, str, Sequence[str]]:
    """Return an INSERT of one row in two parts, up to its values and the values, and the names of its parameters."""
    compiled = insert(table).compile(dialect=_SQLITE)
    head, _, values = str(compiled).partition(_VALUES)
    return head, values, list(compiled.positiontup or ())


@cache
def _condition(unless: ColumnElement[bool]) -> tuple[str, Sequence[tuple[str, Any]]]:
    """Return the opposite of a condition, and its parameters in their order with the values they have."""
    compiled = not_(unless).compile(dialect=_SQLITE)
    own = compiled.params
    return str(compiled), [(name, own[name]) for name in compiled.positiontup or ()]
