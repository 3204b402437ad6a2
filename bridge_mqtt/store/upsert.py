"""INSERT … ON CONFLICT, which PostgreSQL and SQLite spell alike but SQLAlchemy keeps apart."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

from sqlalchemy import Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.dml import Insert


def insert_or_skip(connection: AsyncConnection, table: Table, keys: Iterable[str]) -> Insert:
    """Return an INSERT that does nothing for a row whose keys are there already."""
    return cast(Insert, _insert(connection, table).on_conflict_do_nothing(index_elements=list(keys)))


def insert_or_update(
    connection: AsyncConnection, table: Table, keys: Iterable[str], columns: Iterable[str], **expressions: Any
) -> Insert:
    """Return an INSERT that writes the columns anew, and the expressions as given, of a row whose keys are there."""
    statement = _insert(connection, table)
    values = {name: statement.excluded[name] for name in columns} | expressions
    return cast(Insert, statement.on_conflict_do_update(index_elements=list(keys), set_=values))


def _insert(connection: AsyncConnection, table: Table) -> Any:
    return (postgresql if connection.dialect.name == "postgresql" else sqlite).insert(table)
