"""Note the curves of active events, and remove readings that are too old, in the background."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

import structlog

from vtn.errors import Unavailable
from vtn.settings import FactSettings
from vtn.store.database import Database
from vtn.store.facts.curves import EventCurves
from vtn.store.facts.partitions import remove_readings
from vtn.store.lease import Lease

_log = structlog.get_logger(__name__)

CURVE_LEASE: Final = "facts_curve"
READINGS_LEASE: Final = "facts_readings"
REMOVE_EVERY_S: Final = 6 * 3600.0
"""Interval of removing old readings, and the length of the lease of who does it."""


class CurveRecorder:
    """Note the sums of active events again and again; one process does it for all of them.

    ``lease`` ends after a few intervals, so that another process goes on where one was killed.
    """

    def __init__(self, settings: FactSettings, curves: EventCurves, lease: Lease, now: Callable[[], datetime]) -> None:
        self._every_s = settings.curve_every_s
        self._curves = curves
        self._lease = lease
        self._now = now
        self._away = False

    async def run(self) -> None:
        """Note what is due from time to time, until cancelled."""
        while True:
            try:
                await self.note()
            except Unavailable:
                if not self._away:
                    _log.warning("the database does not answer; the curves of events have a gap")
                self._away = True
            else:
                self._away = False
            await asyncio.sleep(self._every_s)

    async def note(self) -> bool:
        """Note the sums at this moment; return True if an event is active and it is this process that notes."""
        at = self._now()
        if not await self._curves.any_active(at) or not await self._lease.take():
            return False
        await self._curves.note(at, every_s=self._every_s)
        return True


class ReadingsRetention:
    """Remove readings older than ``readings_days``; one process does it for all of them."""

    def __init__(self, days: float, database: Database, lease: Lease, now: Callable[[], datetime]) -> None:
        self._length = timedelta(days=days)
        self._database = database
        self._lease = lease
        self._now = now

    async def run(self) -> None:
        """Remove what is too old from time to time, until cancelled."""
        while True:
            try:
                await self.remove_due()
            except Unavailable:
                _log.warning("the database does not answer; old readings are removed later")
            await asyncio.sleep(REMOVE_EVERY_S)

    async def remove_due(self) -> None:
        """Remove what is too old now, unless another process does it."""
        if await self._lease.take():
            await remove_readings(self._database, self._now() - self._length)
