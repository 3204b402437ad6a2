"""Send the reports that are kept in the store; `openadr_client.report_sender` sees to it that each is sent once."""

from __future__ import annotations

from datetime import datetime

import structlog

from openadr_client import Clock, KeptReport, ReportOutbox, VtnClient
from openadr_profiles.v31 import ReportRequest, decode
from ven.records import Outgoing
from ven.store import StateFile

_log = structlog.get_logger(__name__)


class ReportSender:
    """Send what the store holds, except for what is too old to be of use."""

    def __init__(self, *, store: StateFile, client: VtnClient, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._outbox = ReportOutbox(client, self, clock=clock)

    async def send_all(self) -> None:
        """Send every unsent report whose time has come; one that the VTN refuses for good is given up and logged.

        Raises:
            VtnError: the VTN could not be reached or cannot answer now; what is left is to be tried again.
            BadStore: what is to be sent cannot be read.
        """
        while await self._outbox.send():
            pass  # writing down what became of one report writes others that were waiting for the disk

    @property
    def again_at(self) -> datetime | None:
        """Return when a report that failed may be sent again; None if none has."""
        return self._outbox.again_at

    async def unsent(self) -> list[KeptReport[Outgoing]]:
        """Return the reports to send, in their order; those that are too old are given up.

        Those that have not failed come first, and those that are to be left alone not at all: they may be many.
        """
        fresh: list[KeptReport[Outgoing]] = []
        found = await self._store.reports.unsent(but=self._outbox.left_alone())
        if self._outbox.left_alone():
            again = await self._store.reports.unsent(but=self._outbox.left_alone(self._clock.now()))
            found += [each for each in again if each not in found]
        for each in found:
            if each.expires_at is not None and self._clock.now() >= each.expires_at:
                _log.warning("report is too old to be sent", event_id=each.event_id, report=each.name)
                await self._store.reports.give_up(each)
            else:
                fresh.append(KeptReport(decode(each.body, ReportRequest), each.vtn_id, each.tried, each))
        return fresh

    async def creating(self, report: KeptReport[Outgoing]) -> None:
        """Remember that the report is about to be created."""
        await self._store.reports.mark_tried(report.row)

    async def sent(self, report: KeptReport[Outgoing], vtn_id: str) -> None:
        """Remember that the VTN has this revision of the report."""
        await self._store.reports.mark_sent(report.row, vtn_id)

    async def refused(self, report: KeptReport[Outgoing], problem: str) -> None:
        """Remember that the report is not to be sent."""
        await self._store.reports.give_up(report.row)
