"""Reports in the database."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from msgspec.structs import replace
from sqlalchemy import ColumnElement, RowMapping, Select, delete, select

from openadr_profiles.v31 import Invalid, ObjectType, ReportRequest, encode
from vtn.access import Caller
from vtn.errors import NotFound
from vtn.store.database import Database
from vtn.store.fact_cache import FactCache
from vtn.store.failures import ConstraintViolated
from vtn.store.large import Large, Row
from vtn.store.objects import Objects, members_of
from vtn.store.outbox.notes import Notes
from vtn.store.page_cursors import Key, PageCursors, is_behind
from vtn.store.query import Page, ReportQuery
from vtn.store.report_pages import merged
from vtn.store.rows import NOT_REUSABLE, ObjectRow, Precondition, ReportRow, RowPage
from vtn.store.stamps import Stamps
from vtn.store.tables import constraint, events, programs, reports
from vtn.store.visibility import Visibility, owned

_PROGRAM = (
    select(events.c.program_id)
    .where(events.c.id == reports.c.event_id)
    .correlate(reports)
    .scalar_subquery()
    .label("its_program_id")
)
_EVENT = events.join(programs, programs.c.id == events.c.program_id)
_EVENT_COLUMNS = (
    events.c.id.label("found_event_id"),
    events.c.program_id.label("found_program_id"),
    events.c.targets.label("event_targets"),
    programs.c.targets.label("program_targets"),
)


_REMEMBERED: Final = 10_000


@dataclass(frozen=True, slots=True)
class _Event:
    """The program of an event, and the targets that decide who may report on it."""

    program_id: str
    targets: tuple[str, ...]
    program_targets: tuple[str, ...]


class ReportStore(Objects):
    """Reports: a VEN's own, or all of them for business logic (REPORT-001 … REPORT-015)."""

    table = reports
    kind = ObjectType.REPORT
    max_waiting_bytes = 32 * 1024 * 1024

    def __init__(self, database: Database, stamps: Stamps, notes: Notes, visibility: Visibility) -> None:
        super().__init__(database, stamps, notes)
        self._visibility = visibility
        self._events: FactCache[_Event | None] = FactCache(database.watch(events), most=_REMEMBERED)
        self._walks = PageCursors(stamps, self.watch)

    @property
    def waiting(self) -> int:
        """Return the number of new reports that wait for the next commit."""
        return self._writes.waiting

    async def search(self, query: ReportQuery, *, visible_to: Caller, with_program: bool = False) -> RowPage | Large:
        """Return one page of reports: the next one of the caller's walk, or found by counting.

        ``with_program`` gives rows that know the program of their event.
        """
        page = query.page
        if not page.limit:
            return RowPage()
        step = self._walks.step((visible_to.client_id, visible_to.role, replace(query, page=Page())), page.skip)
        if step.behind is not None:
            page = Page(limit=page.limit)
        statement = self._asked_for(query, page, step.behind, visible_to)
        rows = await self._database.rows(statement.add_columns(_PROGRAM) if with_program else statement)
        step.read(rows)
        found = await self._seen_page(rows, _with_programs if with_program else self._whole_objects, audience=())
        if isinstance(found, RowPage) and not step.is_counted:
            found.validity = NOT_REUSABLE
        return found

    def _asked_for(self, query: ReportQuery, page: Page, behind: Key | None, caller: Caller) -> Select[Any]:
        clauses: list[ColumnElement[bool]] = owned(reports.c.client_id, caller)
        if query.event_id is not None:
            clauses.append(reports.c.event_id == query.event_id)
        if query.client_name is not None:
            clauses.append(reports.c.client_name == query.client_name)
        narrowed = bool(clauses)
        if behind is not None:
            clauses.append(is_behind(reports, behind))
        if query.program_id is None:
            return self._newest(clauses, page.limit, page.skip)
        its_events = select(events.c.id).where(events.c.program_id == query.program_id)
        if narrowed or self._database.is_sqlite:
            return self._newest([*clauses, reports.c.event_id.in_(its_events)], page.limit, page.skip)
        return self._whole(merged(page, its_events, clauses))

    async def get(self, object_id: str, *, visible_to: Caller, with_program: bool = False) -> ObjectRow | Large:
        """Return one report; raises NotFound also when it is another client's (REPORT-008)."""
        mine = owned(reports.c.client_id, visible_to)
        if not with_program:
            return await self._seen_object(object_id, mine, self._whole_objects, audience=())
        return await self._seen_object(object_id, mine, _with_programs, audience=(), also=(_PROGRAM,))

    async def program_of(self, object_id: str, *, visible_to: Caller) -> str:
        """Return the program of a report's event; raises NotFound as ``get`` does."""
        mine = owned(reports.c.client_id, visible_to)
        row = await self._database.row(select(_PROGRAM).where(reports.c.id == object_id, *mine))
        if row is None:
            raise NotFound
        program_id: str = row["its_program_id"]
        return program_id

    async def create(self, report: ReportRequest, *, by: Caller, program_id: str | None = None) -> ObjectRow:
        """Store a new report of the caller's; raises Invalid unless the caller sees its event (REPORT-005).

        The event is of the program ``program_id``, if that is said (V301-023).
        """
        await self._check_visible(report.event_id, by, program_id)
        row = self._row(_given_to(by.client_id, _columns(report)))
        del report  # only its text is needed from here on
        try:
            return await self._insert(row)
        except ConstraintViolated as error:
            raise _dangling(error) from error

    async def _check_visible(self, event_id: str, by: Caller, program_id: str | None) -> None:
        """Raise Invalid unless the caller sees the event of a program; asks the database once, or not at all."""
        row: RowMapping | None = None

        async def look_up() -> _Event | None:
            nonlocal row
            held, from_ = self._visibility.with_grants(_EVENT, by)
            statement = select(*_EVENT_COLUMNS, *held).select_from(from_).where(events.c.id == event_id)
            row = await self._database.row(statement)
            return (
                None if row is None else _Event(row["found_program_id"], row["event_targets"], row["program_targets"])
            )

        event = await self._events.get(event_id, look_up)
        if event is None:
            raise _no_event()
        entitlement = (
            self._visibility.entitlement_in(row, by) if row is not None else await self._visibility.entitlement(by)
        )
        if not self._visibility.admits_event(entitlement, event.targets, event.program_targets):
            raise _no_event()
        _check_program(event.program_id, program_id)

    async def replace(
        self,
        object_id: str,
        report: ReportRequest,
        *,
        by: Caller,
        check: Precondition | None = None,
        program_id: str | None = None,
    ) -> ObjectRow:
        """Put a report in the place of another; it stays its client's (REPORT-009, REPORT-013).

        The event is of the program ``program_id``, if that is said (V301-023).
        """
        columns = _columns(report)
        del report  # only its text is needed from here on
        held, from_ = self._visibility.with_grants(reports.outerjoin(_EVENT, events.c.id == columns["event_id"]), by)
        shown = reports.c if check is not None else [column for column in reports.c if column is not reports.c.members]
        statement = (
            select(*shown, *_EVENT_COLUMNS, *held)
            .select_from(from_)
            .where(reports.c.id == object_id, *owned(reports.c.client_id, by))
        )
        try:
            async with self._database.write() as connection:
                present = await self._locked(connection, statement, check)
                self._check_event(present, by)
                _check_program(present["found_program_id"], program_id)
                return await self._update(connection, present, _given_to(present["client_id"], columns))
        except ConstraintViolated as error:
            raise _dangling(error) from error

    async def delete(self, object_id: str, *, by: Caller, check: Precondition | None = None) -> ObjectRow:
        """Remove a report; returns what it was."""
        return self._whole_object(await self._delete(object_id, owned(reports.c.client_id, by), check))

    async def remove_before(self, created_before: str, *, most: int) -> int:
        """Remove the oldest reports that were created before a stamp, at most so many; returns how many there were.

        It waits for nobody who is removing the same ones, with their event or for the same reason: they are gone soon.
        """
        oldest = (
            select(reports.c.id)
            .where(reports.c.created_at < created_before)
            .order_by(reports.c.created_at, reports.c.id)
            .limit(most)
            .with_for_update(skip_locked=True)
        )
        async with self._database.write() as connection:
            removed = await connection.execute(delete(reports).where(reports.c.id.in_(oldest)).returning(reports.c.id))
            return len(removed.all())

    def _check_event(self, row: RowMapping, by: Caller) -> None:
        """Raise Invalid unless the event in this row, with the caller's grants beside it, is there and visible."""
        if row["found_event_id"] is None:
            raise _no_event()
        entitlement = self._visibility.entitlement_in(row, by)
        if not self._visibility.admits_event(entitlement, row["event_targets"], row["program_targets"]):
            raise _no_event()


def _check_program(found: str, said: str | None) -> None:
    if said is not None and said != found:
        raise Invalid("programID", "the event is not of this program")


def _no_event() -> Invalid:
    return Invalid("eventID", "there is no such event")


def _with_programs(rows: Iterable[Row]) -> list[ObjectRow]:
    return [
        ReportRow(row["id"], row["created_at"], row["modified_at"], row["members"], program_id=row["its_program_id"])
        for row in rows
    ]


def _columns(report: ReportRequest) -> dict[str, Any]:
    """Return the columns taken from a report itself; ``_given_to`` adds its client."""
    return {"event_id": report.event_id, "client_name": report.client_name, "members": members_of(report)}


def _given_to(client_id: str, columns: dict[str, Any]) -> dict[str, Any]:
    """Return the columns of a client's report, changed in place: its text is large, and one copy is enough."""
    columns["client_id"] = client_id
    columns["members"] = f'"clientID":{encode(client_id).decode()},{columns["members"]}'
    return columns


def _dangling(error: ConstraintViolated) -> Exception:
    return _no_event() if error.is_of(constraint(reports, "event_id")) else error
