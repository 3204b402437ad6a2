"""Reports: /reports (M11 … M15)."""

from openadr_profiles.v31 import ObjectType, ReportRequest
from vtn.access import DELETE_REPORTS_AS_BL_TOO, READ_OWNED, WRITE_REPORTS, Permission
from vtn.api.collection import CollectionHandlers, Route, body_of
from vtn.api.payload_values import PayloadValues
from vtn.api.query import Query
from vtn.api.v31.render import Renderer
from vtn.cache.responses import ResponseCache
from vtn.settings import Reports
from vtn.store.query import ReportQuery
from vtn.store.report import ReportStore


def routes(store: ReportStore, cache: ResponseCache, settings: Reports, values: PayloadValues) -> tuple[Route, ...]:
    """Return the routes of reports."""
    body = values.checked(body_of(ReportRequest))
    renderer = Renderer(ObjectType.REPORT)
    reports = CollectionHandlers("reports", store, renderer, cache, query=report_query, body=body)
    return reports.routes(
        read=READ_OWNED,
        create=WRITE_REPORTS,
        replace=WRITE_REPORTS,
        delete=deletion(settings),
    )


def report_query(query: Query) -> ReportQuery:
    """Return what a search for reports asks for, in every version."""
    return ReportQuery(
        page=query.page(),
        program_id=query.object_id("programID"),
        event_id=query.object_id("eventID"),
        client_name=query.text("clientName"),
    )


def deletion(settings: Reports) -> Permission:
    """Return who may delete reports: their VEN, and business logic where the settings say so."""
    return DELETE_REPORTS_AS_BL_TOO if settings.bl_may_delete else WRITE_REPORTS
