"""Insert, update and delete rows of objects. Every change of an object that a client asks for passes here.

What else has to commit with a change belongs into this module, beside the statement that makes it: each of them runs in
one transaction, which is committed before its caller is answered. Who has to hear of a change is recorded so
(``outbox/notes.py``). Reports that go in bulk before their event goes are recorded where they are deleted
(``Objects._remove_most``); what retention removes is no news (``ReportStore.remove_before``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, RowMapping, Select, Table, bindparam, delete, insert, literal, select, update

from vtn.store.appends import Rows
from vtn.store.batch import Batch
from vtn.store.database import Database
from vtn.store.engine import AsyncConnection
from vtn.store.outbox.notes import ANYBODY, Notes

_LISTENS: Final = "somebody_listens"


class ObjectWrites:
    """Write the rows of one table. ``max_waiting_bytes`` bounds the texts of new rows that wait for a commit."""

    def __init__(self, database: Database, table: Table, notes: Notes, *, max_waiting_bytes: int) -> None:
        self._database = database
        self._table = table
        self._notes = notes
        self._batch = Batch(table.name, self._append, max_bytes=max_waiting_bytes)
        self._update = update(table).where(table.c.id == bindparam("changed_id"))
        self._insert = insert(table)
        self._are_heard_of = False
        """True if somebody wanted to hear of the last new rows: the next ones are first tried in that way."""

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
        await self._notes.created(connection, self._table, [row["id"]])

    async def insert_all_in(self, connection: AsyncConnection, rows: Rows) -> None:
        """Store new rows in a transaction that has more to do."""
        await connection.execute(self._insert, list(rows))
        await self._notes.created(connection, self._table, [row["id"] for row in rows])

    async def insert_if(
        self, connection: AsyncConnection, row: Mapping[str, Any], clauses: Iterable[ColumnElement[bool]]
    ) -> bool:
        """Store a new row if the clauses are true, in one statement; return True if it did."""
        values = [literal(value, self._table.c[name].type) for name, value in row.items()]
        statement = insert(self._table).from_select(list(row), select(*values).where(*clauses))
        if (await connection.execute(statement.returning(self._table.c.id))).first() is None:
            return False
        await self._notes.created(connection, self._table, [row["id"]])
        return True

    async def update_if(
        self,
        connection: AsyncConnection,
        present: Mapping[Any, Any],
        changed: Mapping[str, Any],
        clauses: Iterable[ColumnElement[bool]],
    ) -> bool:
        """Change some columns of a row if the clauses are true, in one statement; return True if it did."""
        statement = update(self._table).where(self._table.c.id == present["id"], *clauses).values(changed)
        if (await connection.execute(statement.returning(self._table.c.id))).first() is None:
            return False
        await self._notes.updated(connection, self._table, present)
        return True

    async def locked(self, connection: AsyncConnection, statement: Select[Any]) -> RowMapping | None:
        """Return the row of a statement, locked until the transaction ends, for ``update`` and ``delete``."""
        asked = statement.add_columns(ANYBODY.label(_LISTENS)).with_for_update(of=self._table)
        row: RowMapping | None = (await connection.execute(asked, self._notes.moment())).mappings().first()
        return row

    async def all_locked(self, connection: AsyncConnection, statement: Select[Any]) -> Sequence[RowMapping]:
        """Return all rows of a statement as ``locked`` does one."""
        asked = statement.add_columns(ANYBODY.label(_LISTENS)).with_for_update(of=self._table)
        return (await connection.execute(asked, self._notes.moment())).mappings().all()

    async def update(self, connection: AsyncConnection, present: Mapping[Any, Any], changed: Mapping[str, Any]) -> None:
        """Change some columns of a row, in the transaction that has locked it; ``present`` is the row before."""
        await connection.execute(self._update, {"changed_id": present["id"], **changed})
        if present[_LISTENS]:
            await self._notes.updated(connection, self._table, present)

    async def delete(
        self,
        connection: AsyncConnection,
        object_id: str,
        clauses: Iterable[ColumnElement[bool]] = (),
        *,
        present: RowMapping | None = None,
    ) -> RowMapping | None:
        """Delete a row with everything that refers to it, if the clauses are true for it; return what it was.

        ``present`` is the row, if this transaction has locked it. Else it is deleted at once if nobody listens. The
        clauses may have ``ANYBODY`` in them.
        """
        chosen, moment = (self._table.c.id == object_id, *clauses), self._notes.moment()
        removed = delete(self._table).where(*chosen).returning(*self._table.c)
        if not self._notes.covers(self._table) or (present is not None and not present[_LISTENS]):
            return (await connection.execute(removed, moment)).mappings().first()
        if present is None:
            unheard = await connection.execute(removed.where(~ANYBODY), moment)
            if (row := unheard.mappings().first()) is not None:
                return row
        locked = select(self._table.c.id).where(*chosen).with_for_update(of=self._table)
        if (await connection.execute(locked, moment)).first() is None:
            return None
        await self._notes.deleted(connection, self._table, object_id)
        return (await connection.execute(removed, moment)).mappings().first()

    async def _append(self, rows: Rows) -> None:
        """Store new rows, all or none: by one statement if nobody wants to hear of them."""
        unless = self._notes.wants_new(self._table)
        if unless is None:
            await self._database.append(self._table, rows)
        elif self._are_heard_of or not await self._database.append(self._table, rows, unless=unless):
            async with self._database.write() as connection:
                await connection.execute(self._insert, list(rows))
                self._are_heard_of = await self._notes.created(connection, self._table, [row["id"] for row in rows])
