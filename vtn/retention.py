"""Old reports are removed after a time, if the operator wants that (REPORT-014)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

import structlog

from vtn.errors import Unavailable
from vtn.settings import Reports
from vtn.store.report import ReportStore
from vtn.store.stamps import stamp

_log = structlog.get_logger(__name__)

_AT_ONCE: Final = 1000


class Retention:
    """Removes reports older than ``retention_days``, a part at a time, so that others can write in between."""

    def __init__(self, settings: Reports, reports: ReportStore, now: Callable[[], datetime]) -> None:
        self._settings = settings
        self._reports = reports
        self._now = now

    async def run(self) -> None:
        """Remove what is due from time to time, until cancelled."""
        while True:
            try:
                await self.remove_due()
            except Unavailable:
                _log.warning("the database does not answer; old reports are removed later")
            await asyncio.sleep(self._settings.retention_poll_s)

    async def remove_due(self) -> int:
        """Remove what is too old now; gives the number of reports. They are simply gone: nobody is notified."""
        if self._settings.retention_days is None:
            return 0
        before = stamp(self._now() - timedelta(days=self._settings.retention_days))
        total = 0
        while removed := await self._reports.remove_before(before, most=_AT_ONCE):
            total += removed
            await asyncio.sleep(0)
        if total:
            _log.info("old reports removed", count=total, created_before=before)
        return total
