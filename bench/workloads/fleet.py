"""Memory of a worker while a fleet reports: 5,000 VENs, each with a token of its own, as fast as they are answered.

A VEN that reports every 30 s sends 120 reports in an hour. The workload sends those of all VENs, or as many as are
answered within 60 times ``--seconds``; the title says how many that were.
"""

from __future__ import annotations

from itertools import count
from typing import Final

from bench.documents import as_bytes, report
from bench.load import load
from bench.measure import Series
from bench.results import Case, Goal
from bench.wire import request
from bench.workloads.context import WorkloadContext

VENS: Final = 5_000
CONNECTIONS: Final = 16
_REPORTS_EACH: Final = 120
_TIMES_SECONDS: Final = 60
_READINGS: Final = 4
_RSS_MB: Final = 200.0


async def that_reports(context: WorkloadContext) -> None:
    """RSS below 200 MB while 5,000 VENs report."""
    fleet = context.vtn.fleet(VENS)
    if context.vtn.meter is None or fleet is None:
        context.skip("fleet", "it takes tokens for a whole fleet, and the server's process")
        return
    await context.vtn.hold_events(min(1000, max(context.events)))
    await context.vtn.hold_vens(VENS)
    open_to_all = await context.vtn.bl.create("/events", {"programID": context.vtn.program_id, "eventName": "fleet"})
    body = as_bytes(report(open_to_all["id"], readings=_READINGS))
    meter, address = context.vtn.meter, context.vtn.address
    idle = meter.rss_mb()
    sent = count()
    posts = (
        request(
            address,
            "POST",
            "/reports",
            headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
            body=body,
        )
        for _ in range(_REPORTS_EACH)
        for token in fleet
        if next(sent) >= 0
    )
    cpu = meter.cpu_s()
    sample = await load(
        address, posts.__next__, connections=CONNECTIONS, seconds=_TIMES_SECONDS * context.seconds, expect=201
    )
    series = Series("VTN")
    series.add(sample, cpu_s=meter.cpu_s() - cpu, rss_mb=meter.rss_mb())
    title = f"{VENS:,} VENs, {next(sent):,} reports ({idle:.0f} MB before)"
    context.keep("fleet", title, series, connections=CONNECTIONS, goals=_goals)


def _goals(case: Case) -> tuple[Goal, ...]:
    rss_mb = case.series.rss_mb or 0.0
    return (Goal(f"{case.title}: RSS in MB", rss_mb, _RSS_MB, at_most=True),)
