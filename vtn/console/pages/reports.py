"""Reports: a list by event, VEN, type and time with a chart of the values; single reports; files of a selection."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Iterable
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Final

from aiohttp import web

from openadr_pages.headers import PRIVATE, SECURITY
from openadr_profiles.fleet.report_values import as_number, report_values
from openadr_profiles.v31 import DataQuality, Report, ReportPayloadType
from vtn.console.report_charts import chart_of
from vtn.console.routes import ConsoleRoute
from vtn.console.visit import CSV, Visit
from vtn.errors import Malformed
from vtn.report_files import NEEDS_PYARROW, CsvRows
from vtn.store.console.report_lookup import ReportLookup
from vtn.store.console.reports import SEARCHED, FoundReport, ReportFilter, ReportListing
from vtn.store.query import Page

_CHARTED: Final = 100
_VALUES_SHOWN: Final = 1000
_LONGEST_TYPE: Final = 128


async def show(visit: Visit) -> web.StreamResponse:
    """Show a page of reports, and a chart of one type of their values."""
    typed = {name: visit.query(name) for name in ("event", "ven", "type", "since", "until")}
    asked_page = visit.page_asked()
    try:
        asked, unknown = await _asked(visit)
    except Malformed as error:
        nothing: dict[str, Any] = {"found": None, "unknown": None, "rows": [], "charted": None, "searched": SEARCHED}
        return visit.refuse(f"{error}.", "reports.html", asked=typed, **nothing)
    listing = visit.console.store(ReportListing)
    found = [] if unknown else await listing.search(asked, Page(asked_page.skip, asked_page.limit))
    shown = asked_page.of(found)
    rows = [(each, _summary(each)) for each in shown.items]
    charted = asked.payload_type or _usual_type(summary for _, summary in rows)
    return visit.render(
        "reports.html", found=shown, asked=typed, unknown=unknown, rows=rows, charted=charted, searched=SEARCHED
    )


async def chart(visit: Visit) -> web.StreamResponse:
    """Return the values of one type in the newest reports of a selection, by time, as charts take them."""
    asked, unknown = await _asked(visit)
    if asked.payload_type is None:
        raise Malformed("type: expected a type of values, as USAGE")
    found = [] if unknown else await visit.console.store(ReportListing).search(asked, Page(0, _CHARTED))
    reports = [each.report for each in found if each.report is not None]
    return _json(visit, await asyncio.to_thread(chart_of, reports, asked.payload_type))


async def show_one(visit: Visit) -> web.StreamResponse:
    """Show one report as a table, with a chart of its values."""
    found = await visit.console.store(ReportListing).get(visit.path("report_id"))
    summary = _summary(found)
    shown = [] if found.report is None else list(islice(report_values(found.report), _VALUES_SHOWN))
    return visit.render("report.html", found=found, shown_values=shown, summary=summary)


async def chart_one(visit: Visit) -> web.StreamResponse:
    """Return the values of one type in a report, as charts take them."""
    found = await visit.console.store(ReportListing).get(visit.path("report_id"))
    reports = [] if found.report is None else [found.report]
    return _json(visit, await asyncio.to_thread(chart_of, reports, visit.query("type") or "USAGE"))


async def export(visit: Visit) -> web.StreamResponse:
    """Send all values of a selection as CSV while they are read."""
    asked, unknown = await _asked(visit)

    async def pieces() -> AsyncGenerator[bytes, None]:
        rows = CsvRows()
        yield rows.head().encode()
        if not unknown:
            async for reports in visit.console.store(ReportListing).walk(asked):
                yield rows.of(reports).encode()

    return await visit.send_file("reports.csv", CSV, pieces())


async def export_one(visit: Visit) -> web.StreamResponse:
    """Send one report as CSV; one that is too large for its page is read here."""
    report_id = visit.path("report_id")
    found = await visit.console.store(ReportListing).get(report_id)

    async def pieces() -> AsyncGenerator[bytes, None]:
        rows = CsvRows()
        yield (rows.head() + ("" if found.report is None else rows.of([found.report]))).encode()

    return await visit.send_file(f"report-{report_id}.csv", CSV, pieces())


async def export_parquet(visit: Visit) -> web.StreamResponse:
    """Send all values of a selection as Parquet, if its library is installed."""
    try:
        from vtn.console.parquet_file import written  # noqa: PLC0415 (an extra, imported where it is used)
    except ModuleNotFoundError:
        return visit.refuse(f"{NEEDS_PYARROW}; CSV needs nothing.")
    asked, unknown = await _asked(visit)
    chosen = ReportFilter(event_id="", client_id="") if unknown else asked

    async def pieces() -> AsyncGenerator[bytes, None]:
        async with written(visit.console.store(ReportListing).walk(chosen)) as chunks:
            async for chunk in chunks:
                yield chunk

    return await visit.send_file("reports.parquet", "application/vnd.apache.parquet", pieces())


async def _asked(visit: Visit) -> tuple[ReportFilter, str | None]:
    """Return the selection that is asked for, and what of it is not known; raises Malformed for a time that is none."""
    lookup = visit.console.store(ReportLookup)
    event, ven, kind = visit.query("event"), visit.query("ven"), visit.query("type")
    if len(kind) > _LONGEST_TYPE:
        raise Malformed(f"type: expected at most {_LONGEST_TYPE} characters")
    event_id = await lookup.event_called(event) if event else None
    client_id = await lookup.client_called(ven) if ven else None
    unknown = f"event {event}" if event and event_id is None else f"VEN {ven}" if ven and client_id is None else None
    asked = ReportFilter(
        event_id=event_id,
        client_id=client_id,
        payload_type=kind or None,
        since=_instant(visit, "since"),
        until=_instant(visit, "until"),
    )
    if asked.since and asked.until and asked.since >= asked.until:
        raise Malformed("until: expected a time after that of since")
    return asked, unknown


def _instant(visit: Visit, name: str) -> datetime | None:
    """Return a time that was typed, in the zone of the console unless it says another, as UTC; raises Malformed."""
    text = visit.query(name)
    if not text:
        return None
    try:
        at = datetime.fromisoformat(text)
        return (at if at.tzinfo else at.replace(tzinfo=visit.zone)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise Malformed(f"{name}: expected a time such as 2026-06-01T12:00, not {text[:40]!r}") from None


def _summary(found: FoundReport) -> dict[str, Any]:
    """Return what a list says of a report: how many resources and values, their types and quality flags."""
    if found.report is None:
        return {"resources": None, "values": None, "types": [], "flags": [], "is_good": False, "numeric": []}
    return {"resources": len(found.report.resources), **_counted(found.report)}


def _counted(report: Report) -> dict[str, Any]:
    """Count values by type and by quality, without a look at each: a page has tens of thousands of them."""
    types: Counter[str] = Counter()
    flags: Counter[str] = Counter()
    numeric: dict[str, None] = {}
    for resource in report.resources:
        for interval in resource.intervals:
            quality = ""
            beside = 0
            for payload in interval.payloads:
                types[payload.type] += len(payload.values)
                if payload.type == ReportPayloadType.DATA_QUALITY:
                    quality = ", ".join(map(str, payload.values))
                else:
                    beside += len(payload.values)
                    if payload.values and as_number(payload.values[0]) is not None:
                        numeric[payload.type] = None
            if quality and beside:
                flags[quality] += beside
    is_good = bool(flags.pop(DataQuality.OK, 0))
    return {
        "values": types.total(),
        "types": list(types),
        "flags": sorted(flags.items()),
        "is_good": is_good,
        "numeric": list(numeric),
    }


def _usual_type(summaries: Iterable[dict[str, Any]]) -> str | None:
    """Return the type of numbers that most reports of a page have; None if there are no numbers."""
    counted: Counter[str] = Counter()
    for summary in summaries:
        counted.update(summary["numeric"])
    return min(counted, key=lambda kind: (-counted[kind], kind), default=None)


def _json(visit: Visit, content: dict[str, Any]) -> web.Response:
    return web.json_response(content | {"zone": visit.console.settings.console.zone}, headers={**SECURITY, **PRIVATE})


ROUTES = (
    ConsoleRoute("GET", "/reports", show, name="reports", nav="Reports"),
    ConsoleRoute("GET", "/reports.csv", export, name="reports_csv"),
    ConsoleRoute("GET", "/reports.parquet", export_parquet, name="reports_parquet"),
    ConsoleRoute("GET", "/reports/chart", chart, name="reports_chart"),
    ConsoleRoute("GET", "/reports/{report_id}", show_one, name="report", title="Report"),
    ConsoleRoute("GET", "/reports/{report_id}/chart", chart_one, name="report_chart"),
    ConsoleRoute("GET", "/reports/{report_id}/csv", export_one, name="report_csv"),
)
