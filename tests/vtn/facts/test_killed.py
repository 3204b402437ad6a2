"""Kill a server while it reads reports: nothing is lost, and nothing counts twice."""

from __future__ import annotations

import asyncio
import os
import signal
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import func, select

from tests.support.waiting import wait_until
from tests.vtn.facts.fleet import Fleet, metered
from tests.vtn.test_webhook_faults import RealTime, process, serving
from vtn.facts import LEASE_S
from vtn.store.facts.tables import meters, read_reports, readings, report_queue
from vtn.store.stamps import Stamps

REPORTS = 60
VALUES = 250
CORRECTED = 10


class Later(RealTime):
    """The time at which the lease of a process that was killed now has ended."""

    def __call__(self) -> datetime:
        """Return it."""
        return super().__call__() + timedelta(seconds=LEASE_S + 1)


async def test_a_server_that_is_killed_while_it_reads_loses_and_doubles_nothing(
    migrated_url: str, tmp_path: Path
) -> None:
    """kill -9 of `oadr vtn run` while reports wait: every one is read once, and the last word of a time counts."""
    async with serving(migrated_url, dispatch=False) as vtn:
        fleet = Fleet(vtn)
        event = await fleet.event(await fleet.program())
        start = fleet.now.replace(microsecond=0) - timedelta(days=30)
        for kwh, count in ((1, REPORTS), (2, CORRECTED)):
            for number in range(count):
                await fleet.report(f"c{number}", metered(event, start, [kwh] * VALUES))

        async def begun() -> bool:
            return await fleet.count(read_reports) > 0

        with process(migrated_url, tmp_path) as server:
            await asyncio.to_thread(server.start)
            assert server.pid is not None
            await wait_until(begun, timeout_s=60)
            os.kill(server.pid, signal.SIGKILL)
            await asyncio.to_thread(server.stop)
        unread = await fleet.count(report_queue)
        assert 0 < unread < REPORTS + CORRECTED
        assert await fleet.count(read_reports) == REPORTS + CORRECTED - unread

        other = fleet.elsewhere(fleet.database, Stamps(Later()))
        await other.read()
        assert await fleet.count(report_queue) == 0
        assert await fleet.count(read_reports) == REPORTS + CORRECTED
        assert await fleet.count(meters) == REPORTS
        assert await fleet.count(readings) == REPORTS * VALUES
        [row] = await fleet.database.rows(select(func.sum(readings.c.kwh).label("kwh")))
        assert row["kwh"] == (REPORTS + CORRECTED) * VALUES
