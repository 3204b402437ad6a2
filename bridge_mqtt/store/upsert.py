"""Statements over many rows: INSERT … ON CONFLICT, and long lists in pieces that both databases take."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, cast

from sqlalchemy import Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.dml import Insert

_MOST_VALUES: Final = 5_000
"""Both databases take some ten thousands of values in one statement."""


def pieces(values: Sequence[str]) -> Iterator[Sequence[str]]:
    """Yield the values in pieces that fit into one IN (…)."""
    for first in range(0, len(values), _MOST_VALUES):
        yield values[first : first + _MOST_VALUES]


def insert_or_skip(connection: AsyncConnection, table: Table, keys: Iterable[str]) -> Insert:
    """Return an INSERT that does nothing for a row whose keys are there already."""
    return cast(Insert, _inserting(connection, table).on_conflict_do_nothing(index_elements=list(keys)))


def insert_or_update(
    connection: AsyncConnection, table: Table, keys: Iterable[str], columns: Iterable[str], **expressions: Any
) -> Insert:
    """Return an INSERT that writes the columns anew, and the expressions as given, of a row whose keys are there."""
    statement = _inserting(connection, table)
    values = {name: statement.excluded[name] for name in columns} | expressions
    return cast(Insert, statement.on_conflict_do_update(index_elements=list(keys), set_=values))


def _inserting(connection: AsyncConnection, table: Table) -> Any:
    """Return an INSERT of this database's own kind, to which ON CONFLICT can be added."""
    return (postgresql if connection.dialect.name == "postgresql" else sqlite).insert(table)
