"""Send the reports that are kept in the store; `openadr_client.report_sender` sees to it that each is sent once."""

from __future__ import annotations

import structlog

from openadr_client import Clock, KeptReport, VtnClient, send_reports
from openadr_profiles.v31 import ReportRequest, decode
from ven.records import Outgoing
from ven.store import StateFile

_log = structlog.get_logger(__name__)


class ReportSender:
    """Send what the store holds, except for what is too old to be of use."""

    def __init__(self, *, store: StateFile, client: VtnClient, clock: Clock) -> None:
        self._store = store
        self._client = client
        self._clock = clock

    async def send_all(self) -> None:
        """Send every unsent report; one that the VTN refuses for good is given up and logged.

        Raises:
            VtnError: the VTN could not be reached or cannot answer now; what is left is to be tried again.
        """
        await send_reports(self._client, self)

    async def unsent(self) -> list[KeptReport[Outgoing]]:
        """Return the reports to send, in their order; those that are too old are given up."""
        fresh: list[KeptReport[Outgoing]] = []
        for each in await self._store.reports.unsent():
            if each.expires_at is not None and self._clock.now() >= each.expires_at:
                _log.warning("report is too old to be sent", event_id=each.event_id, report=each.name)
                await self._store.reports.give_up(each.name)
            else:
                fresh.append(KeptReport(decode(each.body, ReportRequest), each.vtn_id, each.tried, each))
        return fresh

    async def creating(self, report: KeptReport[Outgoing]) -> None:
        """Remember that the report is about to be created."""
        if report.vtn_id is not None:
            await self._store.reports.mark_lost(report.row.name)
        await self._store.reports.mark_tried(report.row.name)

    async def sent(self, report: KeptReport[Outgoing], vtn_id: str) -> None:
        """Remember that the VTN has this revision of the report."""
        await self._store.reports.mark_sent(report.row, vtn_id)

    async def refused(self, report: KeptReport[Outgoing], problem: str) -> None:
        """Remember that the report is not to be sent."""
        await self._store.reports.give_up(report.row.name)
