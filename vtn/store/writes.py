"""Insert, update and delete rows of objects. Every change of an object that a client asks for passes here.

What else has to commit with a change belongs into this module, beside the statement that makes it: each of them runs in
one transaction, which is committed before its caller is answered. Reports that go in bulk, because they are old or
before their event goes, are deleted where that is decided (``ReportStore.remove_before``, ``Objects._remove_most``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import ColumnElement, RowMapping, Table, bindparam, delete, insert, literal, select, update

from vtn.store.batch import Batch
from vtn.store.database import Database
from vtn.store.engine import AsyncConnection


class ObjectWrites:
    """Write the rows of one table. ``max_waiting_bytes`` bounds the texts of new rows that wait for a commit."""

    def __init__(self, database: Database, table: Table, *, max_waiting_bytes: int) -> None:
        self._table = table
        self._batch = Batch(database, table, max_bytes=max_waiting_bytes)
        self._update = update(table).where(table.c.id == bindparam("changed_id"))
        self._insert = insert(table)

    @property
    def waiting(self) -> int:
        """Return the number of new rows that wait for the next commit."""
        return self._batch.waiting

    async def insert(self, row: Mapping[str, Any]) -> None:
        """Store a new row, committed together with others that come at the same time; returns after the commit.

        Raises ConstraintViolated for this row alone, and Overloaded if too much waits already.
        """
        await self._batch.add(row, size=len(row["members"]))

    async def insert_in(self, connection: AsyncConnection, row: Mapping[str, Any]) -> None:
        """Store a new row in a transaction that has more to do."""
        await connection.execute(self._insert, row)

    async def insert_if(
        self, connection: AsyncConnection, row: Mapping[str, Any], clauses: Iterable[ColumnElement[bool]]
    ) -> bool:
        """Store a new row if the clauses are true, in one statement; return True if it did."""
        values = [literal(value, self._table.c[name].type) for name, value in row.items()]
        statement = insert(self._table).from_select(list(row), select(*values).where(*clauses))
        return (await connection.execute(statement.returning(self._table.c.id))).first() is not None

    async def update_if(
        self,
        connection: AsyncConnection,
        object_id: str,
        changed: Mapping[str, Any],
        clauses: Iterable[ColumnElement[bool]],
    ) -> bool:
        """Change some columns of a row if the clauses are true, in one statement; return True if it did."""
        statement = update(self._table).where(self._table.c.id == object_id, *clauses).values(changed)
        return (await connection.execute(statement.returning(self._table.c.id))).first() is not None

    async def update(self, connection: AsyncConnection, object_id: str, changed: Mapping[str, Any]) -> None:
        """Change some columns of a row, in the transaction that has locked it."""
        await connection.execute(self._update, {"changed_id": object_id, **changed})

    async def delete(
        self, connection: AsyncConnection, object_id: str, clauses: Iterable[ColumnElement[bool]] = ()
    ) -> RowMapping | None:
        """Delete a row with everything that refers to it, if the clauses are true for it; return what it was."""
        removed = delete(self._table).where(self._table.c.id == object_id, *clauses)
        return (await connection.execute(removed.returning(*self._table.c))).mappings().first()
