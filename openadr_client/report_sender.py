"""Send reports that are kept in a store: in order, each exactly once, whatever breaks in between.

The store is the sender's own (a file, a database, memory); `PendingReports` says what it does. A row is kept before
its report is sent, marked before a report is created, and marked again when the VTN has it, so that after a crash at
any point the next run finds the report at the VTN by its name instead of making a second one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import structlog

from openadr_client.client import VtnClient
from openadr_client.errors import Conflict, NotFound, Refused
from openadr_profiles.v31 import ReportRequest

_log = structlog.get_logger(__name__)

Row = TypeVar("Row")


@dataclass(frozen=True)
class KeptReport(Generic[Row]):
    """A report to be sent; its name is unique among those of its event and client.

    ``vtn_id`` is the id under which the VTN has it. ``may_exist`` says that the VTN may have it although no id is
    known, because an attempt to create it was begun. ``row`` is what the store needs to find it again.
    """

    request: ReportRequest
    vtn_id: str | None
    may_exist: bool
    row: Row


class PendingReports(Protocol[Row]):
    """A store of reports."""

    async def unsent(self) -> Sequence[KeptReport[Row]]:
        """Return the reports that the VTN does not have for certain, in the order to send them."""

    async def creating(self, report: KeptReport[Row]) -> None:
        """Remember that the report is about to be created, and that an id known before is void."""

    async def sent(self, report: KeptReport[Row], vtn_id: str) -> None:
        """Remember that the VTN has this content under this id."""

    async def refused(self, report: KeptReport[Row], problem: str) -> None:
        """Remember that the report is not to be sent again: the VTN refused it for good."""


async def send_reports(vtn: VtnClient, store: PendingReports[Row]) -> int:
    """Send every unsent report and return how many were dealt with; one that the VTN refuses is logged and given up.

    Raises:
        VtnError: the VTN could not be reached or cannot answer now; what is left is to be tried again.
    """
    waiting = await store.unsent()
    for report in waiting:
        try:
            vtn_id = await _send(vtn, store, report)
        except Refused as error:
            _log.error("report refused", **_names(report.request), problem=str(error))
            await store.refused(report, str(error))
        else:
            await store.sent(report, vtn_id)
    return len(waiting)


async def _send(vtn: VtnClient, store: PendingReports[Row], report: KeptReport[Row]) -> str:
    request = report.request
    vtn_id = report.vtn_id or (await _find(vtn, request) if report.may_exist else None)
    if vtn_id is not None:
        try:
            await vtn.reports.replace(vtn_id, request)
        except NotFound:
            _log.warning("the VTN has lost a report", **_names(request))
        else:
            return vtn_id
    await store.creating(report)
    try:
        return (await vtn.reports.create(request)).id
    except Conflict:
        vtn_id = await _find(vtn, request)
        if vtn_id is None:
            raise
        await vtn.reports.replace(vtn_id, request)
        return vtn_id


async def _find(vtn: VtnClient, request: ReportRequest) -> str | None:
    """Return the id of our own report of this name, if an earlier attempt has created it."""
    found = await vtn.reports.search(event_id=request.event_id, client_name=request.client_name)
    return next((each.id for each in found if each.report_name == request.report_name), None)


def _names(request: ReportRequest) -> dict[str, str | None]:
    return {"event_id": request.event_id, "report": request.report_name}
