"""Read reports into the tables of facts, behind the requests that bring them.

Every process reads as soon as it has stored a report itself, and looks from time to time for what others left unread.
One process at a time reads for all of them: it holds a lease until nothing waits. Reports are decoded in a thread, so
that requests go on; while reports wait to be stored, reading takes its turns seldom. A report that cannot be read or
stored is noted with its trouble and stops nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

import structlog

from vtn.errors import Unavailable
from vtn.metrics import (
    REPORTS_READ,
    REPORTS_UNREAD,
    REPORTS_UNREADABLE,
    VALUES_ASSUMED,
    VALUES_LEFT_OUT,
    Metrics,
)
from vtn.settings import FactSettings
from vtn.store.facts.said import Queued, ReportText, Said
from vtn.store.facts.writer import FactWriter, TakenByAnother
from vtn.store.lease import Lease
from vtn.store.outbox.signal import ChangeWaiter

_log = structlog.get_logger(__name__)

LEASE_S: Final = 15.0
"""Time after which another process goes on where one was killed."""
_TAKEN_WAIT_S: Final = 1.0
_BUSY_SHARE: Final = 0.05
"""Part of the time that reading takes while reports wait to be stored."""
_MOST_TOLD: Final = 1000
_FIRST: Final = datetime(2000, 1, 1, tzinfo=UTC)
_AHEAD: Final = timedelta(days=400)
"""Readings of later times, as baselines that are forecast, are not taken."""


class FactReader:
    """Empty the queue of reports. ``is_busy`` says whether requests wait for the database to store reports."""

    def __init__(
        self,
        settings: FactSettings,
        writer: FactWriter,
        lease: Lease,
        arrived: ChangeWaiter,
        *,
        now: Callable[[], datetime],
        is_busy: Callable[[], bool],
    ) -> None:
        self._settings = settings
        self._writer = writer
        self._lease = lease
        self._arrived = arrived
        self._now = now
        self._is_busy = is_busy
        self._away = False
        self._told: set[str] = set()
        """Clients whose reports were complained of in the log."""
        self.read = 0
        self.unreadable = 0
        self.left_out = 0
        self.assumed = 0
        self.waiting = 0

    def show_in(self, metrics: Metrics) -> None:
        """Let metrics tell how many reports were read, could not be read, and wait."""
        for number, name in (
            (REPORTS_READ, "read"),
            (REPORTS_UNREADABLE, "unreadable"),
            (VALUES_LEFT_OUT, "left_out"),
            (VALUES_ASSUMED, "assumed"),
            (REPORTS_UNREAD, "waiting"),
        ):
            metrics.sample(number, partial(getattr, self, name))

    async def run(self) -> None:
        """Read what comes, until cancelled."""
        while True:
            pause_s = self._settings.poll_s
            try:
                if not await self.read_all():
                    pause_s = min(pause_s, _TAKEN_WAIT_S)
            except Unavailable:
                if not self._away:
                    _log.warning("the database does not answer; reports are read later")
                self._away = True
            else:
                self._away = False
            await self._arrived.wait(pause_s)

    async def read_all(self) -> bool:
        """Read until no report waits; return False if another process is at it. Raises Unavailable."""
        queued = await self._writer.queued()
        if queued is None:
            self.waiting = 0
            return True
        if not await self._lease.take():
            return False
        try:
            taken_at = time.monotonic()
            while queued is not None:
                begun_at = time.monotonic()
                if begun_at - taken_at > LEASE_S / 3:
                    if not await self._lease.take():
                        return False
                    taken_at = begun_at
                    self.waiting = await self._writer.waiting()
                await self._read(queued)
                await self._give_way(time.monotonic() - begun_at)
                queued = await self._writer.queued()
            self.waiting = 0
        except TakenByAnother:
            return False
        finally:
            await self._lease.release()
        return True

    async def _read(self, queued: Queued) -> None:
        said = await asyncio.to_thread(self._said, queued.reports)
        try:
            await self._writer.write(queued, said)
        except (Unavailable, TakenByAnother):
            raise
        except Exception as error:  # whatever it is, it stops no other report; it is kept with this one, and counted
            if len(queued.entries) > 1:  # which of them it is, is found one by one
                await self._read_one_by_one(len(queued.entries))
                return
            _log.exception("what a report says could not be stored", reports=[one.report.id for one in said])
            said = [Said(one.report, trouble=f"it cannot be stored: {type(error).__name__}") for one in said]
            await self._writer.write(queued, said)
        self._count(said)

    async def _read_one_by_one(self, count: int) -> None:
        for _ in range(count):
            queued = await self._writer.queued(most=1)
            if queued is None:
                return
            await self._read(queued)

    def _said(self, reports: Sequence[ReportText]) -> list[Said]:
        now = self._now()
        kept = self._settings.readings_days
        since = _FIRST if kept is None else max(_FIRST, now - timedelta(days=kept))
        return [_said_by(report, since, now + _AHEAD) for report in reports]

    def _count(self, said: Sequence[Said]) -> None:
        self.read += len(said)
        for one in said:
            self.left_out += one.left_out
            self.assumed += one.assumed
            if one.trouble is None:
                continue
            if not one.taken:
                self.unreadable += 1
            if one.report.client_id not in self._told and len(self._told) < _MOST_TOLD:
                self._told.add(one.report.client_id)
                _log.warning(
                    "a report could not be read as a whole; more of this client are counted only",
                    report=one.report.id,
                    client=one.report.client_id,
                    trouble=one.trouble,
                )

    async def _give_way(self, worked_s: float) -> None:
        """Let requests go on: as long as it has worked, or many times that while they wait for the database."""
        await asyncio.sleep(worked_s * (1 / _BUSY_SHARE - 1) if self._is_busy() else 0)


def _said_by(report: ReportText, since: datetime, until: datetime) -> Said:
    from vtn.report_facts import read_report  # noqa: PLC0415 (loaded in a thread, with the first report)

    try:
        return read_report(report, since=since, until=until)
    except Exception as error:  # whatever is in it, it stops no other report
        _log.exception("a report could not be read", report=report.id)
        return Said(report, trouble=f"it cannot be read: {type(error).__name__}")
