"""Code shared by the stores of all objects: reading and composing JSON texts, and preconditions of changes.

A store speaks ``openadr_profiles.v31`` on the way in and JSON texts on the way out: an object is encoded once, when it
is written. Who is asking is an argument of every method, and every statement uses it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from sqlalchemy import ColumnElement, CompoundSelect, RowMapping, Select, Table, delete, insert, select, text, update

from openadr_profiles.v31 import encode
from vtn.access import Reader
from vtn.errors import NotFound
from vtn.store.database import Database
from vtn.store.engine import AsyncConnection
from vtn.store.ids import new_id
from vtn.store.query import Page
from vtn.store.stamps import Stamps
from vtn.store.tables import reports
from vtn.store.types import json_array
from vtn.store.walks import newest_first

_AT_ONCE: Final = 5000

Precondition = Callable[[str], None]
"""Looks at an object's present text before it is changed; raises to prevent it (If-Match)."""


@dataclass(frozen=True, slots=True)
class Created:
    """A new object."""

    id: str
    text: str


@dataclass(frozen=True, slots=True)
class Passing:
    """The period, as stamps, for which an answer is valid by the clock if nothing is written."""

    since: str
    until: str


AT_ONCE_OVER: Final = Passing("", "")
"""Validity of an answer that must not be given again."""


class Found(list[str]):
    """The texts of a search; ``passing`` tells how long they are the answer if not until the next write."""

    passing: Passing | None = None


class Objects:
    """The part of a store that does not depend on the object."""

    table: ClassVar[Table]
    kind: ClassVar[str]
    """The ``objectType`` of its objects."""

    def __init__(self, database: Database, stamps: Stamps) -> None:
        self._database = database
        self._stamps = stamps
        self._kind = str(self.kind)  # an enumeration is slow to write
        self.watch = database.revisions.watch(self.table)
        self.watch_with_grants = self.watch

    async def standpoint(self, reader: Reader) -> Reader:
        """Return the reader an answer is cached for: all that it depends on. Equal standpoints share answers."""
        return Reader(reader.client_id, reader.role, frozenset())

    async def _page(self, page: Page, clauses: Iterable[ColumnElement[bool]]) -> list[RowMapping]:
        """Return a page, newest first (creation, then id: a total order), after every filter (PAGE-009, PAGE-010)."""
        return list(await self._database.rows(self._newest(page, clauses))) if page.limit else []

    def _newest(self, page: Page, clauses: Iterable[ColumnElement[bool]]) -> Select[Any] | CompoundSelect[Any]:
        """Return the statement for a page. Skipped rows are counted in an index where there is one, and not fetched."""
        table = self.table
        if not page.skip:
            return select(table).where(*clauses).order_by(*newest_first(table)).limit(page.limit)
        counted = select(table.c.id).where(*clauses).order_by(*newest_first(table))
        return self._whole(counted.limit(page.limit).offset(page.skip))

    def _whole(self, ids: Select[Any]) -> Select[Any]:
        """Return a statement for the objects with these ids."""
        found = ids.subquery()
        return select(self.table).join(found, found.c.id == self.table.c.id).order_by(*newest_first(self.table))

    async def _one(self, object_id: str, clauses: Iterable[ColumnElement[bool]]) -> RowMapping:
        row = await self._database.row(select(self.table).where(self.table.c.id == object_id, *clauses))
        if row is None:
            raise NotFound
        return row

    async def _locked(
        self, connection: AsyncConnection, statement: Select[Any], check: Precondition | None
    ) -> RowMapping:
        """Return the row about to change, locked until the transaction ends; raises NotFound."""
        row: RowMapping | None = (await connection.execute(statement.with_for_update(of=self.table))).mappings().first()
        if row is None:
            raise NotFound
        if check is not None:
            check(self._text(row))
        return row

    def _selected(self, object_id: str, clauses: Iterable[ColumnElement[bool]]) -> Select[Any]:
        return select(self.table).where(self.table.c.id == object_id, *clauses)

    async def _insert(self, connection: AsyncConnection, columns: Mapping[str, Any], at: str | None = None) -> Created:
        """Insert a row, created ``at`` a stamp, else now."""
        row = self._row(columns, at)
        await connection.execute(insert(self.table).values(row))
        return Created(row["id"], self._text(row))

    def _row(self, columns: Mapping[str, Any], at: str | None = None) -> dict[str, Any]:
        at = at or self._stamps.next()
        return {"id": new_id(), "created_at": at, "modified_at": at, **columns}

    async def _update(
        self, connection: AsyncConnection, present: Mapping[Any, Any], columns: Mapping[str, Any], at: str | None = None
    ) -> str:
        """Update columns of a row, modified ``at`` a stamp, else now; return the new text."""
        changed = {"modified_at": at or self._stamps.next(after=present["modified_at"]), **columns}
        await connection.execute(update(self.table).where(self.table.c.id == present["id"]).values(changed))
        return self._text({**present, **changed})

    async def _delete(
        self, object_id: str, clauses: Iterable[ColumnElement[bool]], check: Precondition | None
    ) -> RowMapping:
        """Remove an object with everything that belongs to it (foreign keys cascade); give what it was.

        Nobody can report on an event while it is being removed. If there are many reports, they are removed before it,
        some at a time, so that nobody has to wait for all of them.
        """
        clauses = tuple(clauses)
        its_reports = self._reports_of(object_id)
        guard = [] if its_reports is None else [~its_reports.limit(1).offset(_AT_ONCE).exists()]
        were_many = False
        while True:
            async with self._database.write() as connection:
                if were_many and not self._database.is_sqlite:
                    # The statistics still speak of all these reports: the cascade would look for them in every row.
                    await connection.execute(text("SET LOCAL enable_seqscan TO off"))
                if check is not None:
                    await self._locked(connection, self._selected(object_id, clauses), check)
                removed = delete(self.table).where(self.table.c.id == object_id, *clauses, *guard)
                row = (await connection.execute(removed.returning(*self.table.c))).mappings().first()
            if row is not None:
                return row
            if its_reports is None:
                raise NotFound
            await self._remove_most(its_reports, self._selected(object_id, clauses))
            were_many = True

    def _reports_of(self, object_id: str) -> Select[Any] | None:
        """Return a statement for the ids of the reports deleted with an object; None if its kind has none."""
        return None

    async def _remove_most(self, its_reports: Select[Any], there: Select[Any]) -> None:
        """Remove an object's reports while it is there, until few are left; raises NotFound if it is not there."""
        if await self._database.row(there) is None:
            raise NotFound
        some = delete(reports).where(reports.c.id.in_(its_reports.limit(_AT_ONCE)), there.exists())
        removed = _AT_ONCE
        while removed == _AT_ONCE:
            async with self._database.write() as connection:
                removed = (await connection.execute(some)).rowcount

    def _text(self, row: Mapping[Any, Any]) -> str:
        """Return the whole object, for readers who may see all of it."""
        return self._joined(row, row["members"], targets_ending(row.get("targets")))

    def _joined(self, row: Mapping[Any, Any], members: str, ending: str) -> str:
        return joined(self._kind, row["id"], row["created_at"], row["modified_at"], members, ending)


def joined(kind: str, object_id: str, created_at: str, modified_at: str, members: str, ending: str) -> str:
    """Return an object's JSON text: its metadata, its members, and its targets."""
    return (
        f'{{"id":"{object_id}","createdDateTime":"{created_at}","modificationDateTime":"{modified_at}"'
        f',"objectType":"{kind}",{members}{ending}}}'
    )


def targets_ending(targets: Iterable[str] | None) -> str:
    """Return the end of an object's JSON text: its targets, unless its kind has none."""
    return "" if targets is None else f',"targets":{json_array(targets)}'


def members_of(value: object) -> str:
    """Return an object's JSON without its braces."""
    return str(memoryview(encode(value))[1:-1], "utf-8")  # it may be large: the slice is no copy
