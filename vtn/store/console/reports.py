"""Reports as people look for them: lists by event, VEN, type and time, single reports, and all of a selection."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from msgspec import Struct
from sqlalchemy import ColumnElement, FromClause, Select, and_, case, func, literal, or_, select

from openadr_profiles.v31 import Event, Invalid, Report, decode
from vtn.errors import NotFound
from vtn.settings import Privacy
from vtn.store.audience import sees_event
from vtn.store.database import Database
from vtn.store.facts.tables import read_reports
from vtn.store.large import Row
from vtn.store.page_cursors import newest_first
from vtn.store.query import Page
from vtn.store.stamps import Stamps, stamp
from vtn.store.tables import events, programs, reports, vens
from vtn.store.types import octets

SHOWN_BYTES: Final = 256 * 1024
"""Reports above this size are listed without what is in them; their page shows them up to ``WHOLE_BYTES``."""
WHOLE_BYTES: Final = 4 * 1024 * 1024
SEARCHED: Final = 5_000
"""Of the reports that an index finds, so many of the newest are searched for a type of payload."""
_AT_ONCE: Final = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportFilter:
    """The reports that are meant. ``since`` and ``until`` are instants of their arrival or last change."""

    event_id: str | None = None
    client_id: str | None = None
    payload_type: str | None = None
    since: datetime | None = None
    until: datetime | None = None


class FoundReport(Struct, frozen=True, gc=False):
    """A report in a list. ``report`` is None if it is larger than a list shows; ``trouble`` says what of it is unread.

    ``ven_name`` is None if no ven has its client's id any more. Sizes are in bytes, instants are stamps.
    """

    id: str
    created_at: str
    modified_at: str
    event_id: str
    event_name: str | None
    client_id: str
    ven_name: str | None
    size: int
    report: Report | None
    problem: str | None
    trouble: str | None
    left_out: int


class AskedVen(Struct, frozen=True, gc=False):
    """A VEN that sees an event, and since when it is known."""

    client_id: str
    name: str
    created_at: str


class ReportListing:
    """Reads reports for pages."""

    def __init__(self, database: Database, stamps: Stamps) -> None:
        self._database = database
        self._stamps = stamps

    async def search(self, asked: ReportFilter, page: Page) -> list[FoundReport]:
        """Return one page of reports, those that arrived last first."""
        ids = self._ids(asked, page).subquery()
        chosen = ids.join(reports, reports.c.id == ids.c.id)
        found = _found(chosen, SHOWN_BYTES).order_by(*newest_first(reports))
        async with self._database.large_reads:
            return [_listed(row) for row in await self._database.rows(found)]

    async def get(self, report_id: str) -> FoundReport:
        """Return one report; raises NotFound. It is without its content above ``WHOLE_BYTES``."""
        found = _found(reports, WHOLE_BYTES).where(reports.c.id == report_id)
        async with self._database.large_reads:
            row = await self._database.row(found)
        if row is None:
            raise NotFound("there is no such report; it may have been removed after its time")
        return _listed(row)

    async def walk(self, asked: ReportFilter) -> AsyncIterator[list[Report]]:
        """Yield all reports of a selection that can be read, newest first, few at a time; large ones one by one.

        Reports that arrive meanwhile are left out.
        """
        clauses = _clauses(asked)
        behind: tuple[str, str] | None = None
        while True:
            after = () if behind is None else (_is_older(behind),)
            size = octets(reports.c.members).label("size")
            found = (
                select(reports.c.id, reports.c.created_at, size)
                .where(*clauses, *after)
                .order_by(*newest_first(reports))
                .limit(_AT_ONCE)
            )
            rows = await self._database.rows(found)
            if not rows:
                return
            behind = rows[-1]["created_at"], rows[-1]["id"]
            for ids in _batches(rows):
                yield await self._whole(ids, asked.payload_type)

    async def event(self, event_id: str) -> Event:
        """Return an event; raises NotFound, also for one that is too large to be looked at here."""
        shown = case((octets(events.c.members) <= WHOLE_BYTES, events.c.members)).label("shown")
        row = await self._database.row(select(events, shown).where(events.c.id == event_id))
        if row is None or row["shown"] is None:
            raise NotFound("there is no such event")
        return decode(_document(row, "EVENT"), Event)

    async def asked_vens(self, event_id: str, privacy: Privacy, *, names: bool, page: Page) -> Sequence[AskedVen]:
        """Return one page of the VENs that see an event, by name; raises NotFound."""
        its = select(events.c.targets, programs.c.targets.label("program_targets")).join(
            programs, programs.c.id == events.c.program_id
        )
        row = await self._database.row(its.where(events.c.id == event_id))
        if row is None:
            raise NotFound("there is no such event")
        found = (
            select(vens.c.client_id, vens.c.name, vens.c.created_at)
            .where(sees_event(row["targets"], row["program_targets"], privacy, names=names))
            .order_by(vens.c.name)
            .limit(page.limit)
            .offset(page.skip)
        )
        return [AskedVen(**each) for each in await self._database.rows(found)]

    async def of_vens(self, event_id: str, client_ids: Collection[str], *, each: int) -> dict[str, list[Report]]:
        """Return the newest reports of each client on an event, at most ``each``; without those above a list's size."""
        place = func.row_number().over(partition_by=reports.c.client_id, order_by=newest_first(reports)).label("place")
        chosen = (
            select(reports.c.id, place)
            .where(
                reports.c.event_id == event_id,
                reports.c.client_id.in_(client_ids),
                octets(reports.c.members) <= SHOWN_BYTES,
            )
            .subquery()
        )
        found = select(reports).join(chosen, and_(chosen.c.id == reports.c.id, chosen.c.place <= each))
        by_client: dict[str, list[Report]] = {}
        async with self._database.large_reads:
            for row in await self._database.rows(found):
                report, _ = _read(row, row["members"])
                if report is not None:
                    by_client.setdefault(report.client_id, []).append(report)
        return by_client

    def _ids(self, asked: ReportFilter, page: Page) -> Select[Any]:
        """Return a statement for the ids on a page; a type of payload is looked for in the newest reports only."""
        clauses = _clauses(asked)
        newest = select(reports.c.id, reports.c.created_at).where(*clauses).order_by(*newest_first(reports))
        if asked.payload_type is None:
            return newest.limit(page.limit).offset(page.skip)
        near = newest.limit(SEARCHED).subquery()
        return (
            select(reports.c.id, reports.c.created_at)
            .join(near, near.c.id == reports.c.id)
            .where(_speaks_of(asked.payload_type))
            .order_by(*newest_first(reports))
            .limit(page.limit)
            .offset(page.skip)
        )

    async def _whole(self, ids: Sequence[str], payload_type: str | None) -> list[Report]:
        speaks = () if payload_type is None else (_speaks_of(payload_type),)
        found = select(reports).where(reports.c.id.in_(ids), *speaks).order_by(*newest_first(reports))
        async with self._database.large_reads:
            read = [_read(row, row["members"])[0] for row in await self._database.rows(found)]
        return [report for report in read if report is not None]


def _clauses(asked: ReportFilter) -> list[ColumnElement[bool]]:
    clauses: list[ColumnElement[bool]] = []
    if asked.event_id is not None:
        clauses.append(reports.c.event_id == asked.event_id)
    if asked.client_id is not None:
        clauses.append(reports.c.client_id == asked.client_id)
    if asked.since is not None:
        clauses.append(reports.c.created_at >= stamp(asked.since))
    if asked.until is not None:
        clauses.append(reports.c.created_at < stamp(asked.until))
    return clauses


def _speaks_of(payload_type: str) -> ColumnElement[bool]:
    """Return a clause: a payload is of this type. A quote inside a text of JSON is written otherwise."""
    return reports.c.members.contains(f'"type":"{payload_type}"', autoescape=True)


def _is_older(than: tuple[str, str]) -> ColumnElement[bool]:
    created_at, id_ = than
    return or_(reports.c.created_at < created_at, and_(reports.c.created_at == literal(created_at), reports.c.id < id_))


def _batches(rows: Sequence[Row]) -> list[list[str]]:
    """Return the ids in batches of less than ``WHOLE_BYTES``, in order; one that is larger is alone."""
    batches: list[list[str]] = []
    left = 0
    for row in rows:
        if not batches or row["size"] > left:
            batches.append([])
            left = WHOLE_BYTES
        batches[-1].append(row["id"])
        left -= row["size"]
    return batches


def _found(chosen: FromClause, most_bytes: int) -> Select[Any]:
    """Select reports with the names of their events and vens; the content of those that have at most so many bytes."""
    size = octets(reports.c.members)
    return select(
        *(column for column in reports.c if column is not reports.c.members),
        case((size <= most_bytes, reports.c.members)).label("shown"),
        size.label("size"),
        events.c.name.label("event_name"),
        vens.c.name.label("ven_name"),
        read_reports.c.trouble,
        func.coalesce(read_reports.c.left_out, 0).label("left_out"),
    ).select_from(
        chosen.join(events, events.c.id == reports.c.event_id)
        .outerjoin(vens, vens.c.client_id == reports.c.client_id)
        .outerjoin(read_reports, read_reports.c.report_id == reports.c.id)
    )


def _listed(row: Row) -> FoundReport:
    report, problem = (None, None) if row["shown"] is None else _read(row, row["shown"])
    return FoundReport(
        id=row["id"],
        created_at=row["created_at"],
        modified_at=row["modified_at"],
        event_id=row["event_id"],
        event_name=row["event_name"],
        client_id=row["client_id"],
        ven_name=row["ven_name"],
        size=row["size"],
        report=report,
        problem=problem,
        trouble=row["trouble"],
        left_out=row["left_out"],
    )


def _read(row: Row, members: str) -> tuple[Report | None, str | None]:
    """Return a report, or the problem with what an earlier version has stored."""
    try:
        return decode(_document({**row, "shown": members}, "REPORT"), Report), None
    except Invalid as error:
        return None, str(error)


def _document(row: Row, kind: str) -> str:
    head = f'"id":"{row["id"]}","createdDateTime":"{row["created_at"]}","modificationDateTime":"{row["modified_at"]}"'
    return f'{{{head},"objectType":"{kind}",{row["shown"]}}}'
