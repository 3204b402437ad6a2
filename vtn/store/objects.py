"""Code shared by the stores of all objects: pages, large texts, preconditions, and the statements of changes.

A store speaks ``openadr_profiles.v31`` on the way in and rows (``vtn/store/rows.py``) on the way out. Who is asking is
an argument of every method, and every statement uses it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, Final, TypeAlias

from sqlalchemy import BindParameter, ColumnElement, RowMapping, Select, Table, bindparam, delete, or_, select, text

from openadr_profiles.v31 import encode
from vtn.access import Caller
from vtn.errors import ChangedMeanwhile, NotFound
from vtn.store.database import Database
from vtn.store.engine import AsyncConnection
from vtn.store.ids import new_id
from vtn.store.large import SIZE, WHOLE_BYTES, WITH_PAGE_BYTES, Large, Row, shown_within
from vtn.store.outbox.notes import ANYBODY, Notes
from vtn.store.page_cursors import newest_first
from vtn.store.query import Page
from vtn.store.rows import ObjectRow, Precondition, RowPage
from vtn.store.stamps import Stamps
from vtn.store.tables import events, reports
from vtn.store.writes import ObjectWrites

_AT_ONCE: Final = 5000

_EVENTS_AT_ONCE: Final = 100

_DELETE_REPORTS: Final = delete(reports).where(reports.c.id.in_(bindparam("ids", expanding=True)))
_DELETE_EVENTS: Final = delete(events).where(events.c.id.in_(bindparam("ids", expanding=True)))

Limit: TypeAlias = int | BindParameter[int]
"""The most rows of a page, or the parameter of a prepared statement for it."""

View: TypeAlias = Callable[[Iterable[Row]], Sequence[ObjectRow]]
"""Makes objects of rows of the table, as one caller sees them."""


class Objects:
    """The part of a store that does not depend on the object."""

    table: ClassVar[Table]
    kind: ClassVar[str]
    """The ``objectType`` of its objects."""
    max_waiting_bytes: ClassVar[int] = 16 * 1024 * 1024
    """The most that the texts of new objects may take while they wait for a commit."""

    def __init__(self, database: Database, stamps: Stamps, notes: Notes) -> None:
        self._database = database
        self._stamps = stamps
        self._notes = notes
        self._writes = ObjectWrites(database, self.table, notes, max_waiting_bytes=self.max_waiting_bytes)
        self.watch = database.watch(self.table)
        self.watch_with_grants = self.watch
        self._in_page = shown_within(self.table, WITH_PAGE_BYTES)

    async def audience(self, caller: Caller) -> Caller:
        """Return the caller reduced to all that an answer depends on. Callers of equal audiences share answers."""
        return Caller(caller.client_id, caller.role, frozenset())

    def was_read(self, object_id: str, *, by: Caller) -> None:
        """Note that a caller was answered with an object, for those who want to hear of it (SUBS-029)."""
        self._notes.reads.add(self.table, object_id, reader=by.client_id)

    async def _page(self, page: Page, clauses: Iterable[ColumnElement[bool]]) -> list[RowMapping]:
        """Return a page, newest first (creation, then id: a total order), after every filter (PAGE-009, PAGE-010)."""
        if not page.limit:
            return []
        return list(await self._database.rows(self._newest(clauses, page.limit, page.skip)))

    def _newest(self, clauses: Iterable[ColumnElement[bool]], limit: Limit, skip: int = 0) -> Select[Any]:
        """Return the statement for a page. Skipped rows are counted in an index where there is one, and not fetched."""
        table = self.table
        if not skip:
            return select(*self._in_page).where(*clauses).order_by(*newest_first(table)).limit(limit)
        counted = select(table.c.id).where(*clauses).order_by(*newest_first(table))
        return self._whole(counted.limit(limit).offset(skip))

    def _whole(self, ids: Select[Any]) -> Select[Any]:
        """Return a statement for the objects with these ids."""
        found = ids.subquery()
        joined = self.table.join(found, found.c.id == self.table.c.id)
        return select(*self._in_page).select_from(joined).order_by(*newest_first(self.table))

    async def _seen_page(self, rows: Sequence[Row], view: View, *, audience: object) -> RowPage | Large:
        """Return the objects of a page, if they are small enough in all; raises ChangedMeanwhile (read the page again).

        ``view`` makes the objects, which depend on nothing but the rows and ``audience``.
        """
        size = left_out = 0
        for row in rows:
            size += row[SIZE]
            left_out += row["members"] is None
        if size > WHOLE_BYTES:
            return self._large(rows, view, audience, is_list=True)
        return RowPage(view(await self._completed(rows) if left_out else rows))

    async def _seen_object(
        self,
        object_id: str,
        clauses: Iterable[ColumnElement[bool]],
        view: View,
        *,
        audience: object,
        also: Iterable[ColumnElement[Any]] = (),
    ) -> ObjectRow | Large:
        """Return an object, if it is small enough; raises NotFound. ``also`` are further columns for ``view``."""
        columns = (*shown_within(self.table, WHOLE_BYTES), *also)
        row = await self._database.row(select(*columns).where(self.table.c.id == object_id, *clauses))
        if row is None:
            raise NotFound
        return self._seen_row(row, view, audience=audience)

    def _seen_row(self, row: Row, view: View, *, audience: object) -> ObjectRow | Large:
        return self._large((row,), view, audience, is_list=False) if row["members"] is None else view((row,))[0]

    async def _completed(self, rows: Sequence[Row]) -> Sequence[Row]:
        """Return the rows with the texts that were left out; raises ChangedMeanwhile."""
        ids = [row["id"] for row in rows if row["members"] is None]
        found = {
            row["id"]: row for row in await self._database.rows(select(self.table).where(self.table.c.id.in_(ids)))
        }
        return [row if row["members"] is not None else _unchanged(row, found.get(row["id"])) for row in rows]

    def _large(self, rows: Sequence[Row], view: View, audience: object, *, is_list: bool) -> Large:
        async def read(row: Row) -> ObjectRow:
            async with self._database.large_reads:
                whole = await self._database.row(select(self.table).where(self.table.c.id == row["id"]))
                return view((_unchanged(row, whole),))[0]

        return Large(str(self.kind), rows, audience=audience, read=read, is_list=is_list)

    async def _locked(
        self, connection: AsyncConnection, statement: Select[Any], check: Precondition | None
    ) -> RowMapping:
        """Return the row about to change, locked until the transaction ends; raises NotFound."""
        row = await self._writes.locked(connection, statement)
        if row is None:
            raise NotFound
        if check is not None:
            check(self._whole_object(row))
        return row

    def _selected(self, object_id: str, clauses: Iterable[ColumnElement[bool]]) -> Select[Any]:
        return select(self.table).where(self.table.c.id == object_id, *clauses)

    async def _insert(self, row: Mapping[str, Any]) -> ObjectRow:
        """Insert a row made by ``_row``; returns once it is committed."""
        await self._writes.insert(row)
        return self._whole_object(row)

    def _row(self, columns: Mapping[str, Any], at: str | None = None) -> dict[str, Any]:
        """Return a new row, created ``at`` a stamp, else now."""
        at = at or self._stamps.next()
        return {"id": new_id(), "created_at": at, "modified_at": at, **columns}

    async def _update(
        self, connection: AsyncConnection, present: Mapping[Any, Any], columns: Mapping[str, Any], at: str | None = None
    ) -> ObjectRow:
        """Update columns of a row, modified ``at`` a stamp, else now; return what it is now."""
        changed = {"modified_at": at or self._stamps.next(after=present["modified_at"]), **columns}
        await self._writes.update(connection, present, changed)
        return self._whole_object({**present, **changed})

    async def _delete(
        self, object_id: str, clauses: Iterable[ColumnElement[bool]], check: Precondition | None
    ) -> RowMapping:
        """Remove an object with everything that belongs to it (foreign keys cascade); return what it was.

        Nobody can report on an event while it is being removed. If there are many reports, they are removed before it,
        some at a time, so that nobody has to wait for all of them; so are the events of a program, if a fleet has to
        hear of each.
        """
        clauses = tuple(clauses)
        its_reports, its_events = self._reports_of(object_id), self._events_of(object_id)
        guard = [] if its_reports is None else [~its_reports.limit(1).offset(_AT_ONCE).exists()]
        if its_events is not None:
            guard.append(or_(~ANYBODY, ~its_events.limit(1).offset(_EVENTS_AT_ONCE).exists()))
        were_many = False
        while True:
            async with self._database.write() as connection:
                if were_many and not self._database.is_sqlite:
                    # The statistics still speak of all these reports: the cascade would look for them in every row.
                    await connection.execute(text("SET LOCAL enable_seqscan TO off"))
                present = None
                if check is not None:
                    present = await self._locked(connection, self._selected(object_id, clauses), check)
                row = await self._writes.delete(connection, object_id, [*clauses, *guard], present=present)
            if row is not None:
                return row
            if its_reports is None:
                raise NotFound
            there = self._selected(object_id, clauses)
            await self._remove_most(its_reports, there)
            if its_events is not None:
                await self._remove_most_events(its_events, there)
            were_many = True

    def _reports_of(self, object_id: str) -> Select[Any] | None:
        """Return a statement for the ids of the reports deleted with an object; None if its kind has none."""
        return None

    async def _remove_most(self, its_reports: Select[Any], there: Select[Any]) -> None:
        """Remove an object's reports while it is there, until few are left; raises NotFound if it is not there."""
        if await self._database.row(there) is None:
            raise NotFound
        some = its_reports.where(there.exists()).limit(_AT_ONCE).with_for_update(of=reports)
        removed = _AT_ONCE
        while removed == _AT_ONCE:
            async with self._database.write() as connection:
                ids = (await connection.execute(some)).scalars().all()
                await self._notes.many_deleted(connection, reports, ids)
                await connection.execute(_DELETE_REPORTS, {"ids": ids})
                removed = len(ids)

    def _events_of(self, object_id: str) -> Select[Any] | None:
        """Return a statement for the ids of the events deleted with an object; None if its kind has none."""
        return None

    async def _remove_most_events(self, its_events: Select[Any], there: Select[Any]) -> None:
        """Remove a program's events, with what few reports are left, while it is there and somebody hears of it."""
        some = its_events.where(there.exists(), ANYBODY).limit(_EVENTS_AT_ONCE).with_for_update(of=events)
        removed = _EVENTS_AT_ONCE
        while removed == _EVENTS_AT_ONCE:
            async with self._database.write() as connection:
                ids = (await connection.execute(some, self._notes.moment())).scalars().all()
                for event_id in ids:
                    await self._notes.deleted(connection, events, event_id)
                await connection.execute(_DELETE_EVENTS, {"ids": ids})
                removed = len(ids)

    def _whole_objects(self, rows: Iterable[Row]) -> Sequence[ObjectRow]:
        """Return the objects of rows, for callers who may see all of them."""
        if "targets" not in self.table.c:
            return [ObjectRow(row["id"], row["created_at"], row["modified_at"], row["members"]) for row in rows]
        return [ObjectRow(*shared_columns(row), row["target_records"]) for row in rows]

    def _whole_object(self, row: Row) -> ObjectRow:
        return self._whole_objects((row,))[0]


def _unchanged(row: Row, now: Row | None) -> Row:
    """Return a row with its texts, as it is ``now``; raises ChangedMeanwhile if that is another version."""
    if now is None or now["modified_at"] != row["modified_at"]:
        raise ChangedMeanwhile
    return {**row, **now}


def shared_columns(row: Row) -> tuple[str, str, str, str, tuple[str, ...]]:
    """Return what every object with targets has: id, creation, last modification, members and targets."""
    return row["id"], row["created_at"], row["modified_at"], row["members"], tuple(row["targets"])


def members_of(value: object) -> str:
    """Return an object's JSON without its braces."""
    return str(memoryview(encode(value))[1:-1], "utf-8")  # it may be large: the slice is no copy
