"""The statement that inserts or replaces any number of rows of a table. SQLAlchemy writes its text once.

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
    Integer,
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
from vtn.store.upserts import insert_into

Rows: TypeAlias = Sequence[Mapping[str, Any]]
Replaced: TypeAlias = tuple[str, ...]
"""Columns that take their new values where a row of the same primary key is there; empty: none may be there."""

_SQLITE: Final = sqlite.dialect()
_VALUES: Final = " VALUES "
_CONFLICT: Final = " ON CONFLICT "
_COUNTED: Final = " RETURNING 1"


class Unless(NamedTuple):
    """A condition under which no row is inserted, made once for the process, and the values of its parameters."""

    clause: ColumnElement[bool]
    values: Mapping[str, Any]


def as_lists(
    table: Table, rows: Rows, dialect: Dialect, unless: Unless | None = None, replaced: Replaced = ()
) -> tuple[str, list[list[Any] | Any]]:
    """Return the statement for PostgreSQL, and the values of each column in their order."""
    sql, parameters = _with_lists(table, dialect, None if unless is None else unless.clause, replaced)
    listed = _targets(table)
    given = {} if unless is None else unless.values
    values: list[Any] = []
    for name, own in parameters:
        if name in table.c:
            values.append([json_array(row[name]) if name in listed else row[name] for row in rows])
        else:
            values.append(given.get(name, own))
    return sql, values


def as_rows(table: Table, rows: Rows, unless: Unless | None = None, replaced: Replaced = ()) -> tuple[str, list[Any]]:
    """Return the statement for SQLite, and the values of one row after the other. It gives a row for each row."""
    head, one, conflict, names = _with_a_row(table, replaced)
    listed = _targets(table)
    values = [json_array(row[name]) if name in listed else row[name] for row in rows for name in names]
    given = _VALUES + ", ".join([one] * len(rows))
    if unless is None:
        return head + given + conflict + _COUNTED, values
    clause, parameters = _condition(unless.clause)
    values += [unless.values.get(name, own) for name, own in parameters]
    return f"{head} SELECT * FROM ({given}) WHERE {clause}{_COUNTED}", values  # noqa: S608 (made of compiled SQL only)


@cache
def _targets(table: Table) -> frozenset[str]:
    """Return the columns whose values are lists of targets, which both statements get as the text of a JSON array."""
    return frozenset(column.name for column in table.columns if isinstance(column.type, Targets))


@cache
def _with_lists(
    table: Table, dialect: Dialect, unless: ColumnElement[bool] | None, replaced: Replaced
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
    compiled = _inserting(table, replaced, sqlite=False).from_select(columns, chosen).compile(dialect=dialect)
    own = compiled.params
    return str(compiled), [(name, own[name]) for name in compiled.positiontup or ()]


def _plain(type_: object) -> BigInteger | Boolean | Text:
    if isinstance(type_, Integer):
        return BigInteger()
    return type_ if isinstance(type_, Boolean) else Text()


@cache
def _with_a_row(table: Table, replaced: Replaced) -> tuple[str, str, str, Sequence[str]]:
    """Return an INSERT of one row, and the names of its parameters.

    It is in three parts: up to its values, these, and what becomes of a row that is there.
    """
    compiled = _inserting(table, replaced, sqlite=True).compile(dialect=_SQLITE)
    head, _, rest = str(compiled).partition(_VALUES)
    values, conflict, setting = rest.partition(_CONFLICT)
    return head, values, conflict + setting, list(compiled.positiontup or ())


def _inserting(table: Table, replaced: Replaced, *, sqlite: bool) -> Any:
    """Return an INSERT, which replaces columns of the row that has this primary key, if it is to."""
    if not replaced:
        return insert(table)
    new = insert_into(table, sqlite=sqlite)
    set_ = {name: new.excluded[name] for name in replaced}
    return new.on_conflict_do_update(index_elements=list(table.primary_key.columns), set_=set_)


@cache
def _condition(unless: ColumnElement[bool]) -> tuple[str, Sequence[tuple[str, Any]]]:
    """Return the opposite of a condition, and its parameters in their order with the values they have."""
    compiled = not_(unless).compile(dialect=_SQLITE)
    own = compiled.params
    return str(compiled), [(name, own[name]) for name in compiled.positiontup or ()]
