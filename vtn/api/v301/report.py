"""Reports: /reports. They name the program of their event, which is not stored (V301-023)."""

from __future__ import annotations

from openadr_profiles.v31 import ObjectType
from openadr_profiles.v301 import ReportRequest
from vtn.access import READ_OWNED, WRITE_REPORTS, Caller
from vtn.api.collection import CollectionHandlers, Route
from vtn.api.payload_values import PayloadValues
from vtn.api.v31.report import deletion, report_query
from vtn.api.v301.face import Face, Rules, read_body
from vtn.api.v301.render import Renderer
from vtn.cache.responses import ResponseCache
from vtn.settings import Reports
from vtn.store.large import Large
from vtn.store.query import ReportQuery
from vtn.store.report import ReportStore
from vtn.store.rows import ObjectRow, Precondition, ReportRow, RowPage


class _Reports(Face[ReportQuery]):
    """Reports as this version writes and reads them."""

    def __init__(self, reports: ReportStore, rules: Rules) -> None:
        super().__init__(reports, rules)
        self._reports = reports
        self.was_read = reports.was_read

    async def search(self, query: ReportQuery, *, visible_to: Caller) -> RowPage | Large:
        return await self._reports.search(query, visible_to=self.rules.reader(visible_to), with_program=True)

    async def get(self, object_id: str, *, visible_to: Caller) -> ObjectRow | Large:
        return await self._reports.get(object_id, visible_to=self.rules.reader(visible_to), with_program=True)

    async def create(self, report: ReportRequest, *, by: Caller) -> ObjectRow:
        program_id = report.program_id
        creating = self._reports.create(report.core(), by=self.rules.reader(by), program_id=program_id)
        del report  # it is large, and waits for a commit
        return _of_program(await creating, program_id)

    async def replace(
        self, object_id: str, report: ReportRequest, *, by: Caller, check: Precondition | None = None
    ) -> ObjectRow:
        before = await self._reports.program_of(object_id, visible_to=by)  # it is the caller's own, whoever reads
        row = await self._reports.replace(
            object_id,
            report.core(),
            by=self.rules.reader(by),
            check=_checked(check, before),
            program_id=report.program_id,
        )
        return _of_program(row, report.program_id)

    async def delete(self, object_id: str, *, by: Caller, check: Precondition | None = None) -> ObjectRow:
        program_id = await self._reports.program_of(object_id, visible_to=by)
        row = await self._reports.delete(object_id, by=by, check=_checked(check, program_id))
        return _of_program(row, program_id)


def routes(
    store: ReportStore, cache: ResponseCache, rules: Rules, settings: Reports, values: PayloadValues
) -> tuple[Route, ...]:
    """Return the routes of reports."""

    def body(raw: bytes, caller: Caller) -> ReportRequest:
        report = read_body(raw, ReportRequest)
        values.check(report.core(), caller)
        return report

    renderer = Renderer(ObjectType.REPORT, rules.untyped)
    reports = CollectionHandlers("reports", _Reports(store, rules), renderer, cache, query=report_query, body=body)
    return reports.routes(
        read=READ_OWNED,
        create=WRITE_REPORTS,
        replace=WRITE_REPORTS,
        delete=deletion(settings),
    )


def _of_program(row: ObjectRow, program_id: str) -> ReportRow:
    return ReportRow(row.id, row.created_at, row.modified_at, row.members, program_id=program_id)


def _checked(check: Precondition | None, program_id: str) -> Precondition | None:
    """Return a check that is given the report as it is read."""
    return None if check is None else lambda row: check(_of_program(row, program_id))
