"""Say which VENs of OpenADR 2.0b do not send the values that they agreed to (B-RPT-024)."""

from __future__ import annotations

import asyncio
from typing import Final

import structlog

from vtn.api.v20b.counts import Counts20b
from vtn.errors import Unavailable
from vtn.store.v20b.reports import ReportStore20b

_log = structlog.get_logger(__name__)

_AT_ONCE: Final = 100


class OverdueReports:
    """Looks for values that are missing for twice the interval of their reports; each is told once, until some come."""

    def __init__(self, reports: ReportStore20b, counts: Counts20b, *, every_s: float) -> None:
        self._reports = reports
        self._counts = counts
        self._every_s = every_s

    async def run(self) -> None:
        """Look from time to time, until cancelled; while the database does not answer nothing is told."""
        while True:
            await asyncio.sleep(self._every_s)
            try:
                await self.look()
            except Unavailable:
                _log.warning("the database does not answer; overdue reports of OpenADR 2.0b are looked for later")

    async def look(self) -> None:
        """Log and count what is overdue now."""
        while late := await self._reports.silent(limit=_AT_ONCE):
            self._counts.telemetry_missing(len(late))
            for ven, request_id, specifier_id in late:
                _log.warning(
                    "telemetry of a VEN of OpenADR 2.0b is missing",
                    ven=ven,
                    reportRequestID=request_id,
                    reportSpecifierID=specifier_id,
                )
