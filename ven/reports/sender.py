"""Sending the reports that are kept in the store: in order, each exactly once, whatever breaks in between."""

from __future__ import annotations

import structlog

from openadr_client.client import VtnClient
from openadr_client.clock import Clock
from openadr_client.errors import NotFound, Refused
from openadr_profiles.v31 import ReportRequest, decode
from ven.records import Outgoing
from ven.store import StateFile

_log = structlog.get_logger(__name__)


class ReportSender:
    """Sends what the store holds. A report that was begun before is looked for at the VTN before it is made again."""

    def __init__(self, *, store: StateFile, client: VtnClient, clock: Clock) -> None:
        self._store = store
        self._client = client
        self._clock = clock

    async def send_all(self) -> None:
        """Send every unsent report; one that the VTN refuses for good is given up and logged.

        Raises:
            VtnError: the VTN could not be reached or cannot answer now; what is left is to be tried again.
        """
        for report in await self._store.reports.unsent():
            if report.expires_at is not None and self._clock.now() >= report.expires_at:
                _log.warning("report is too old to be sent", event_id=report.event_id, report=report.name)
                await self._store.reports.give_up(report.name)
                continue
            try:
                await self._send(report)
            except Refused as error:
                _log.error("report refused", event_id=report.event_id, report=report.name, problem=str(error))
                await self._store.reports.give_up(report.name)

    async def _send(self, report: Outgoing) -> None:
        request = decode(report.body, ReportRequest)
        vtn_id = report.vtn_id or (await self._find(report, request) if report.tried else None)
        if vtn_id is not None:
            try:
                await self._client.reports.replace(vtn_id, request)
            except NotFound:
                _log.warning("the VTN has lost a report", event_id=report.event_id, report=report.name)
                await self._store.reports.mark_lost(report.name)
                vtn_id = None
        if vtn_id is None:
            await self._store.reports.mark_tried(report.name)
            vtn_id = (await self._client.reports.create(request)).id
        await self._store.reports.mark_sent(report, vtn_id)

    async def _find(self, report: Outgoing, request: ReportRequest) -> str | None:
        """The id of our own report of this name, if an earlier attempt has created it."""
        for found in await self._client.reports.search(event_id=report.event_id, client_name=request.client_name):
            if found.report_name == report.name:
                return found.id
        return None
