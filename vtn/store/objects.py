"""Code shared by the stores of all objects: reading and composing JSON texts, and preconditions of changes.

A store speaks ``openadr_profiles.v31`` on the way in and JSON texts on the way out: an object is encoded once, when it
is written. Who is asking is an argument of every method, and every statement uses it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final, TypeAlias

from sqlalchemy import ColumnElement, CompoundSelect, RowMapping, Select, Table, delete, insert, select, text, update

from openadr_profiles.v31 import encode
from vtn.access import Caller
from vtn.errors import NotFound
from vtn.store.database import Database
from vtn.store.engine import AsyncConnection
from vtn.store.ids import new_id
from vtn.store.large import SIZE, WHOLE_BYTES, WITH_PAGE_BYTES, ChangedMeanwhile, Large, Row, shown_within
from vtn.store.page_cursors import newest_first
from vtn.store.query import Page
from vtn.store.stamps import Stamps
from vtn.store.tables import reports
from vtn.store.types import json_array

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


Seen: TypeAlias = Callable[[Iterable[Row]], list[str]]
"""Makes the texts of objects, as a reader sees them."""


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
        self._in_page = shown_within(self.table, WITH_PAGE_BYTES)

    async def standpoint(self, reader: Caller) -> Caller:
        """Return the reader an answer is cached for: all that it depends on. Equal standpoints share answers."""
        return Caller(reader.client_id, reader.role, frozenset())

    async def _page(self, page: Page, clauses: Iterable[ColumnElement[bool]]) -> list[RowMapping]:
        """Return a page, newest first (creation, then id: a total order), after every filter (PAGE-009, PAGE-010)."""
        return list(await self._database.rows(self._newest(page, clauses))) if page.limit else []

    def _newest(self, page: Page, clauses: Iterable[ColumnElement[bool]]) -> Select[Any] | CompoundSelect[Any]:
        """Return the statement for a page. Skipped rows are counted in an index where there is one, and not fetched."""
        table = self.table
        if not page.skip:
            return select(*self._in_page).where(*clauses).order_by(*newest_first(table)).limit(page.limit)
        counted = select(table.c.id).where(*clauses).order_by(*newest_first(table))
        return self._whole(counted.limit(page.limit).offset(page.skip))

    def _whole(self, ids: Select[Any]) -> Select[Any]:
        """Return a statement for the objects with these ids."""
        found = ids.subquery()
        joined = self.table.join(found, found.c.id == self.table.c.id)
        return select(*self._in_page).select_from(joined).order_by(*newest_first(self.table))

    async def _all_shown(self, rows: Sequence[Row], seen: Seen, *, seen_by: object) -> list[str] | Large:
        """Return the texts of a page, if they are small enough in all; raises ChangedMeanwhile (read the page again).

        ``seen`` makes the texts, which depend on nothing but the objects and ``seen_by``.
        """
        size = left_out = 0
        for row in rows:
            size += row[SIZE]
            left_out += row["members"] is None
        if size > WHOLE_BYTES:
            return self._large(rows, seen, seen_by, is_list=True)
        return seen(await self._completed(rows) if left_out else rows)

    async def _one_shown(
        self, object_id: str, clauses: Iterable[ColumnElement[bool]], seen: Seen, *, seen_by: object
    ) -> str | Large:
        """Return the text of an object, if it is small enough; raises NotFound."""
        columns = shown_within(self.table, WHOLE_BYTES)
        row = await self._database.row(select(*columns).where(self.table.c.id == object_id, *clauses))
        if row is None:
            raise NotFound
        return self._shown(row, seen, seen_by=seen_by)

    def _shown(self, row: Row, seen: Seen, *, seen_by: object) -> str | Large:
        return self._large((row,), seen, seen_by, is_list=False) if row["members"] is None else seen((row,))[0]

    async def _completed(self, rows: Sequence[Row]) -> Sequence[Row]:
        """Return the rows with the texts that were left out; raises ChangedMeanwhile."""
        ids = [row["id"] for row in rows if row["members"] is None]
        found = {
            row["id"]: row for row in await self._database.rows(select(self.table).where(self.table.c.id.in_(ids)))
        }
        return [row if row["members"] is not None else _same(row, found.get(row["id"])) for row in rows]

    def _large(self, rows: Sequence[Row], seen: Seen, seen_by: object, *, is_list: bool) -> Large:
        async def read(row: Row) -> str:
            async with self._database.large_reads:
                whole = await self._database.row(select(self.table).where(self.table.c.id == row["id"]))
                return seen((_same(row, whole),))[0]

        return Large(self._kind, rows, seen_by=seen_by, read=read, is_list=is_list)

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

    def _texts(self, rows: Iterable[Row]) -> list[str]:
        return [self._text(row) for row in rows]

    def _text(self, row: Mapping[Any, Any]) -> str:
        """Return the whole object, for readers who may see all of it."""
        return self._joined(row, row["members"], targets_ending(row.get("targets")))

    def _joined(self, row: Mapping[Any, Any], members: str, ending: str) -> str:
        return joined(self._kind, row["id"], row["created_at"], row["modified_at"], members, ending)


def _same(row: Row, now: Row | None) -> Row:
    """Return a row with its texts, as it is ``now``; raises ChangedMeanwhile if that is another version."""
    if now is None or now["modified_at"] != row["modified_at"]:
        raise ChangedMeanwhile
    return {**row, **now}


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
