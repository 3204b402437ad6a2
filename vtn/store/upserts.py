"""The INSERT of a database that may find a row there: both know ON CONFLICT, each by a class of its own."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Table


def insert_into(table: Table, *, sqlite: bool) -> Any:
    """Return an INSERT with ``on_conflict_do_update`` and ``on_conflict_do_nothing``.

    A server on SQLite does not load what belongs to PostgreSQL, nor the other way round.
    """
    if sqlite:
        from sqlalchemy.dialects.sqlite import insert as insert_sqlite  # noqa: PLC0415

        return insert_sqlite(table)
    from sqlalchemy.dialects.postgresql import insert as insert_postgresql  # noqa: PLC0415

    return insert_postgresql(table)
