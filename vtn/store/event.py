"""Events in the database."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Final, cast

from msgspec.structs import replace
from sqlalchemy import ColumnElement, Integer, Select, bindparam, func, or_, select, true

from openadr_profiles.v31 import EventRequest, Invalid, ObjectType
from vtn.access import Caller, Entitlement, business_logic_only
from vtn.store.database import Database
from vtn.store.engine import AsyncConnection
from vtn.store.event_pages import newest_by_target
from vtn.store.event_times import searched
from vtn.store.failures import ConstraintViolated
from vtn.store.large import Large, Row
from vtn.store.objects import Limit, Objects, View, members_of
from vtn.store.outbox.notes import Notes
from vtn.store.prepared import Prepared
from vtn.store.query import EventQuery
from vtn.store.rows import ObjectRow, Precondition, RowPage, Validity
from vtn.store.stamps import NEVER, Stamps
from vtn.store.tables import constraint, events, reports, resources, vens
from vtn.store.typed_targets import Records, filter_form, filter_parameters, matching, stored_records
from vtn.store.types import overlaps, overlaps_here
from vtn.store.visibility import (
    Visibility,
    form_of,
    seen_by,
    share_a_target,
    shown_to,
    targets_searched,
    values,
    writable,
)

_NOT_SHOWN: Final = frozenset({"program_id", "name", "starts_at", "ends_at", "cancelled_at", "written_by"})
"""The columns that an event's text is not made of."""


class EventStore(Objects):
    """Events: seen through their targets and their program, written by business logic (EVT-001 … EVT-020)."""

    table = events
    kind = ObjectType.EVENT

    def __init__(self, database: Database, stamps: Stamps, notes: Notes, visibility: Visibility) -> None:
        super().__init__(database, stamps, notes)
        self._visibility = visibility
        self._first_pages: dict[tuple[object, ...], Prepared] = {}
        self._in_text = [column for column in self._in_page if column.key not in _NOT_SHOWN]
        self.watch_with_grants = database.watch(self.table, vens, resources)

    async def audience(self, caller: Caller) -> Caller:
        """Return all that an answer depends on of its caller: the targets held, not the client."""
        return await self._visibility.audience(caller)

    async def search(self, query: EventQuery, *, visible_to: Caller) -> RowPage | Large:
        """Return one page of the events the caller may see, with the targets it may see."""
        entitlement = await self._visibility.entitlement(visible_to, query.targets)
        if not query.page.limit:
            return RowPage()
        if query.active:
            return await self._active(query, entitlement)
        if query.page.skip:
            page = query.page
            rows: Sequence[Row] = await self._database.rows(self._statement(query, entitlement, page.limit, page.skip))
        else:
            rows = await self._database.found(self._first_page(query, entitlement), _values(query, entitlement))
        return await self._seen_page(rows, self._view(entitlement), audience=shown_to(entitlement))

    def _clauses(
        self, query: EventQuery, entitlement: Entitlement | None, shares: type[overlaps] = overlaps
    ) -> list[ColumnElement[bool]]:
        clauses = self._visibility.event(entitlement, shares=shares)
        if entitlement is None and query.targets is not None:
            clauses.append(share_a_target(events.c.targets, query.targets, shares=shares))
        if query.typed is not None:
            clauses.append(matching(events, query.typed, _held(entitlement)))
        if query.program_id is not None:
            clauses.append(events.c.program_id == bindparam("program_id", query.program_id))
        return clauses

    def _first_page(self, query: EventQuery, entitlement: Entitlement | None) -> Prepared:
        """Return the statement for the first page, which all VENs poll; each form is built once, without targets."""
        public = None if entitlement is None else entitlement.public
        filtered = filter_form(query.typed, _held(entitlement))
        form = entitlement is None, public, query.targets is None, query.program_id is None, filtered
        statement: Prepared | None = self._first_pages.get(form)
        if statement is None:
            limit = bindparam("limit", type_=Integer)
            statement = self._statement(query, form_of(entitlement), limit)
            if isinstance(statement, Select):  # not the one of SQLite, which has two ways
                statement = cast(Prepared, statement.with_only_columns(*self._in_text))
            self._first_pages[form] = statement
        return statement

    def _statement(
        self,
        query: EventQuery,
        entitlement: Entitlement | None,
        limit: Limit,
        skip: int = 0,
        *also: ColumnElement[bool],
    ) -> Prepared:
        """Return the statement for a page of the visible events that meet a query, and ``also`` these clauses."""
        clauses = [*self._clauses(query, entitlement), *also]
        targets = targets_searched(entitlement, query.targets) if self._database.is_sqlite else None
        if targets is None:
            return self._newest(clauses, limit, skip)
        tested = [*self._clauses(query, entitlement, overlaps_here), *also]
        both_ways = newest_by_target(targets, looked_up=clauses, tested=tested, columns=self._in_page)
        return both_ways.limit(limit).offset(skip)

    async def _active(self, query: EventQuery, entitlement: Entitlement | None) -> RowPage | Large:
        """Return the events that are not over, and when the next event ends, by one statement."""
        now = self._stamps.now
        ongoing = events.c.ends_at > now
        next_end = select(func.min(events.c.ends_at).label("next_end")).where(ongoing).subquery()
        not_over = or_(events.c.ends_at.is_(None), ongoing)
        found = self._statement(query, entitlement, query.page.limit, query.page.skip, not_over).subquery()
        statement = (
            select(next_end, found)
            .select_from(next_end.outerjoin(found, true()))
            .order_by(found.c.created_at.desc(), found.c.id.desc())
        )
        rows = await self._database.rows(statement)
        shown = [row for row in rows if row["id"] is not None]
        page = await self._seen_page(shown, self._view(entitlement), audience=shown_to(entitlement))
        if isinstance(page, RowPage):
            page.validity = Validity(now, rows[0]["next_end"] or NEVER)
        return page

    async def get(self, object_id: str, *, visible_to: Caller) -> ObjectRow | Large:
        """Return one event; raises NotFound also when it is hidden (PRIV-010)."""
        entitlement = await self._visibility.entitlement(visible_to)
        clauses = self._visibility.event(entitlement)
        return await self._seen_object(object_id, clauses, self._view(entitlement), audience=shown_to(entitlement))

    async def create(self, event: EventRequest, *, by: Caller, records: Records | None = None) -> ObjectRow:
        """Store a new event; raises Invalid if its program does not exist (EVT-003), Forbidden for a VEN."""
        business_logic_only(by)
        at = self._stamps.next()
        row = self._row(_columns(event, at, records) | {"written_by": by.client_id}, at)
        del event  # only its text is needed from here on
        try:
            return await self._insert(row)
        except ConstraintViolated as error:
            raise _dangling(error) from error

    async def create_in(self, connection: AsyncConnection, event: EventRequest, *, by: Caller) -> str:
        """Store a new event in a transaction that has more to do; return its id. Raises ConstraintViolated."""
        business_logic_only(by)
        at = self._stamps.next()
        row = self._row(_columns(event, at, None) | {"written_by": by.client_id}, at)
        await self._writes.insert_in(connection, row)
        return str(row["id"])

    async def tell_again(self, connection: AsyncConnection, event_id: str, *, check: Precondition) -> None:
        """Record an event as changed for those who want to hear of it, although it is not; raises NotFound."""
        present = await self._locked(connection, self._selected(event_id, ()), check)
        await self._notes.updated(connection, self.table, present)

    @staticmethod
    def refusal(error: ConstraintViolated) -> Exception:
        """Return what a violated constraint means for who writes an event."""
        return _dangling(error)

    async def replace(
        self,
        object_id: str,
        event: EventRequest,
        *,
        by: Caller,
        check: Precondition | None = None,
        records: Records | None = None,
    ) -> ObjectRow:
        """Put an event in the place of another; raises NotFound, Invalid (EVT-010).

        A trigger of the database keeps what it was (``event_versions``).
        """
        try:
            async with self._database.write() as connection:
                present = await self._locked(connection, self._selected(object_id, writable(by)), check)
                at = self._stamps.next(after=present["modified_at"])
                columns = _columns(event, at, records, present) | {"written_by": by.client_id}
                return await self._update(connection, present, columns, at)
        except ConstraintViolated as error:
            raise _dangling(error) from error

    async def delete(self, object_id: str, *, by: Caller, check: Precondition | None = None) -> ObjectRow:
        """Remove an event with its reports (EVT-012); returns what it was."""
        return self._whole_object(await self._delete(object_id, writable(by), check))

    def _reports_of(self, object_id: str) -> Select[Any]:
        return select(reports.c.id).where(reports.c.event_id == object_id)

    def _view(self, entitlement: Entitlement | None) -> View:
        return self._whole_objects if entitlement is None else partial(seen_by, entitlement)


def _values(query: EventQuery, entitlement: Entitlement | None) -> dict[str, Any]:
    """Return the values for the parameters in a query's clauses, and the limit of the page."""
    asked = {"targets": query.targets, "program_id": query.program_id, "limit": query.page.limit}
    return {**asked, **values(entitlement), **filter_parameters(query.typed, _held(entitlement))}


def _held(entitlement: Entitlement | None) -> frozenset[str] | None:
    return None if entitlement is None else entitlement.granted


def _columns(event: EventRequest, at: str, records: Records | None, before: Row | None = None) -> dict[str, Any]:
    # An event always has intervals on the way out: several clients cannot read one without (COMPAT-045).
    stored = replace(event, targets=None, intervals=event.intervals or ())
    targets = event.targets or ()
    inside = [descriptor.targets for descriptor in event.report_descriptors or () if descriptor.targets]
    return {
        "program_id": event.program_id,
        "targets": targets,
        "target_records": stored_records(records, before["target_records"] if before else None, targets, inside),
        "targets_inside": bool(inside),
        **searched(event, at, before["created_at"] if before else at),
        "members": members_of(stored),
    }


def _dangling(error: ConstraintViolated) -> Exception:
    if error.is_of(constraint(events, "program_id")):
        return Invalid("programID", "there is no such program")
    return error
