"""Vens, events and reports of a VTN in a test, written by its stores, and the tables that are made of the reports."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from copy import copy
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, TypeVar
from uuid import uuid4

from sqlalchemy import Table, delete, func, select, text

from openadr_profiles.fleet.reports import Opt, Shed, ShedInterval, opt_report, status_report
from openadr_profiles.v31 import (
    BlVenRequest,
    Event,
    EventRequest,
    OperatingState,
    ProgramRequest,
    Report,
    ReportRequest,
    Resource,
    Ven,
    decode,
    encode,
)
from tests.vtn.harness import VtnUnderTest, unique
from vtn.access import Caller, Role
from vtn.facts import LEASE_S, FactReader
from vtn.settings import FactSettings
from vtn.store.database import Database
from vtn.store.facts import tables
from vtn.store.facts.event_facts import EventFacts
from vtn.store.facts.writer import FACTS_LEASE, FactWriter
from vtn.store.lease import Lease
from vtn.store.rows import ObjectRow
from vtn.store.stamps import Stamps
from vtn.store.stores import Stores

BL = Caller("bl", Role.BL, frozenset())
T = TypeVar("T")


class Fleet:
    """The vens of a VTN."""

    def __init__(self, vtn: VtnUnderTest, **settings: Any) -> None:
        self.vtn = vtn
        assert vtn.server.stores is not None
        self.stores: Stores = vtn.server.stores
        self.facts: EventFacts = self.stores.facts
        self.database = vtn.server._database
        self._stamps = vtn.server._stamps
        self.reader = self.new_reader(**settings)

    @property
    def now(self) -> datetime:
        """The present time."""
        return self.vtn.now()

    def elsewhere(self, database: Database, stamps: Stamps) -> Fleet:
        """Return the same fleet as it is in another database."""
        other = copy(self)
        other.database, other._stamps = database, stamps
        other.reader = other.new_reader()
        return other

    def new_reader(self, *, busy: bool = False, **settings: Any) -> FactReader:
        """Return a reader like that of a server of its own."""
        by, stamps = uuid4().hex, self._stamps
        return FactReader(
            FactSettings.model_validate(settings),
            FactWriter(self.database, stamps, by=by),
            Lease(self.database, stamps, name=FACTS_LEASE, by=by, lease_s=LEASE_S),
            self.database.reported.waiter(),
            now=self.vtn.now,
            is_busy=lambda: busy,
        )

    async def read(self) -> None:
        """Read all reports that wait."""
        assert await self.reader.read_all()

    async def forget(self) -> None:
        """Empty the tables that are made of reports, and take away the room that other tests made for any reading."""
        if not self.database.is_sqlite:
            async with self.database.alter() as connection:
                await connection.execute(text("DROP TABLE IF EXISTS readings_of_tests"))
        async with self.database.write() as connection:
            for table in (
                tables.report_queue,
                tables.report_corrections,
                tables.read_reports,
                tables.readings,
                tables.meters,
                tables.event_opts,
                tables.event_sheds,
                tables.event_curve,
            ):
                await connection.execute(delete(table))

    async def rows(self, table: Table, *columns: Any) -> list[Any]:
        """Return all rows of a table, sorted; of some columns or of all."""
        found = await self.database.rows(select(*columns) if columns else select(table))
        return sorted(tuple(row.values()) for row in found)

    async def count(self, table: Table) -> int:
        """Return the number of rows of a table."""
        return int((await self.database.rows(select(func.count()).select_from(table)))[0]["count_1"])

    async def program(self, targets: Sequence[str] = ()) -> str:
        """Return the id of a new program."""
        request = ProgramRequest(program_name=unique("program"), targets=tuple(targets) or None)
        return (await self.stores.programs.create(request, by=BL)).id

    async def event(self, program_id: str, **members: Any) -> Event:
        """Return a new event; members are those of its JSON."""
        request = decode(encode({"programID": program_id} | members), EventRequest)
        return read_as(await self.stores.events.create(request, by=BL), Event)

    async def ven(self, name: str, targets: Sequence[str] = ()) -> Ven:
        """Return a new ven, whose client is called like it."""
        request = BlVenRequest(client_id=f"client of {name}", ven_name=name, targets=tuple(targets) or None)
        return read_as(await self.stores.vens.create(request, by=BL), Ven)

    async def resource(self, ven: Ven, name: str, targets: Sequence[str] = ()) -> Resource:
        """Return a new resource of a ven's client."""
        row = await self.vtn.bl.post(
            "/resources",
            {
                "objectType": "BL_RESOURCE_REQUEST",
                "clientID": ven.client_id,
                "venID": ven.id,
                "resourceName": name,
                "targets": list(targets),
            },
        )
        return decode(encode(row.ok(201)), Resource)

    async def report(self, client_id: str, request: ReportRequest) -> Report:
        """Return a new report of a client."""
        by = Caller(client_id, Role.BL, frozenset())
        return read_as(await self.stores.reports.create(request, by=by), Report)

    async def change(self, report: Report, request: ReportRequest) -> Report:
        """Return a report after another was put in its place."""
        return read_as(await self.stores.reports.replace(report.id, request, by=BL), Report)

    async def remove(self, report: Report) -> None:
        """Remove a report."""
        await self.stores.reports.delete(report.id, by=BL)


def read_as(row: ObjectRow | Any, type_: type[T]) -> T:
    """Return the object of a row."""
    head = {
        "id": row.id,
        "createdDateTime": row.created_at,
        "modificationDateTime": row.modified_at,
        "targets": list(row.targets or ()) or None,
    }
    return decode(encode(head)[:-1] + b"," + row.members.encode() + b"}", type_)


def opts_of(event: Event, at: datetime, opts: Iterable[Opt], page: str | None = None) -> ReportRequest:
    """Return an opt report."""
    return opt_report(event_id=event.id, client_name="c", decided_at=at, opts=tuple(opts), page=page)


def opt_in(name: str = "AGGREGATED_REPORT", reason: str | None = None) -> Opt:
    """Return the word of a resource that takes part."""
    return Opt(name, opted_in=True, reason=reason, state=OperatingState.NORMAL)


def opt_out(name: str, reason: str) -> Opt:
    """Return the word of a resource that does not take part."""
    return Opt(name, opted_in=False, reason=reason, state=OperatingState.NORMAL)


def shed(name: str, kw: float) -> Shed:
    """Return the shed of a resource that was asked for 1 kW less than it draws and delivers so many kW."""
    return Shed(name, Decimal(1), Decimal(5), 5 - Decimal(str(kw)), Decimal(str(kw)))


def status_of(
    event: Event, start: datetime, sheds: Iterable[Shed], *, length: timedelta | None = None, page: str | None = None
) -> ReportRequest:
    """Return a status report with one interval; without a length it is open."""
    interval = ShedInterval(0, start, None if length is None else start + length, tuple(sheds))
    return status_report(event_id=event.id, client_name="c", intervals=[interval], page=page)


def metered(event: Event, start: datetime, values: Sequence[object], **more: Any) -> ReportRequest:
    """Return a report of energy in steps of 15 minutes, of the whole ven unless another resource is named."""
    descriptors = [{"payloadType": more.get("type", "USAGE")} | ({"units": more["units"]} if "units" in more else {})]
    document = {
        "eventID": event.id,
        "clientName": "c",
        "reportName": "meter",
        "payloadDescriptors": descriptors,
        "resources": [
            {
                "resourceName": more.get("resource", "AGGREGATED_REPORT"),
                "intervalPeriod": {"start": start.isoformat(), "duration": "PT15M"},
                "intervals": [
                    {"id": number, "payloads": [{"type": more.get("type", "USAGE"), "values": [value]}]}
                    for number, value in enumerate(values)
                ],
            }
        ],
    }
    return decode(encode(document), ReportRequest)
