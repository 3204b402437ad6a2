"""The reports in the bridge's database, as the client sends them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bridge_mqtt.store import Store, reports
from bridge_mqtt.store.reports import ReportState, StoredReport
from openadr_client import Clock, KeptReport


class ReportRows:
    """The reports in the bridge's database, as the client sends them.

    No row says that an attempt was begun, so a report without an id is always looked for first.
    """

    def __init__(self, store: Store, clock: Clock, *, at_most: int = 1_000) -> None:
        self._store = store
        self._clock = clock
        self._at_most = at_most
        self.left_alone: Callable[[], list[StoredReport]] = list
        """Gives the reports that have to wait after a failure, so that they keep no other from its turn."""

    async def unsent(self) -> list[KeptReport[StoredReport]]:
        async with self._store.reading() as connection:
            left = [(each.event_id, each.name) for each in self.left_alone()]
            waiting = await reports.unsent(connection, without=left, limit=self._at_most)
        return [KeptReport(each.report, each.report_id, may_exist=True, row=each) for each in waiting]

    async def creating(self, report: KeptReport[StoredReport]) -> None:
        """Do nothing: see above."""

    async def sent(self, report: KeptReport[StoredReport], vtn_id: str) -> None:
        await self._mark(report.row, ReportState.SENT, report_id=vtn_id, sent_at=self._clock.now())

    async def refused(self, report: KeptReport[StoredReport], problem: str) -> None:
        await self._mark(report.row, ReportState.REFUSED, problem=problem)

    async def _mark(self, stored: StoredReport, state: ReportState, **values: Any) -> None:
        async with self._store.transaction() as connection:
            await reports.mark(connection, stored, state, **values)
