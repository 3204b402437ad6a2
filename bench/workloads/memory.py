"""Memory of a worker with a full store, after every VEN of the fleet has polled twice with a token of its own."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlencode

from bench.documents import feeder
from bench.load import load
from bench.measure import Series
from bench.results import Case, Goal
from bench.wire import request
from bench.workloads.context import WorkloadContext

CONNECTIONS: Final = 16
_POLLS_EACH: Final = 2
_LONGEST_S: Final = 300.0
_RSS_MB: Final = 150.0


async def of_a_worker(context: WorkloadContext) -> None:
    """RSS below 150 MB with 100,000 events and 10,000 vens."""
    events, vens = max(context.events), max(context.vens)
    fleet = context.vtn.fleet(vens)
    if context.vtn.meter is None or fleet is None:
        context.skip("memory", "it takes tokens for a whole fleet, and the server's process")
        return
    await context.vtn.hold_events(events)
    await context.vtn.hold_vens(vens)
    meter, address = context.vtn.meter, context.vtn.address
    idle = meter.rss_mb()
    polls = (
        request(
            address,
            "GET",
            f"/events?{urlencode({'targets': feeder(place, events)})}",
            headers={"Authorization": f"Bearer {token}", "Accept-Encoding": "gzip"},
        )
        for _ in range(_POLLS_EACH)
        for place, token in enumerate(fleet)
    )
    cpu = meter.cpu_s()
    sample = await load(address, polls.__next__, connections=CONNECTIONS, seconds=_LONGEST_S, expect=200)
    series = Series("VTN")
    series.add(sample, cpu_s=meter.cpu_s() - cpu, rss_mb=meter.rss_mb())
    context.keep(
        "memory",
        f"{events:,} events, {vens:,} VENs polled ({idle:.0f} MB before)",
        series,
        connections=CONNECTIONS,
        goals=_goals,
    )


def _goals(case: Case) -> tuple[Goal, ...]:
    rss_mb = case.series.rss_mb or 0.0
    return (Goal(f"{case.title}: RSS in MB", rss_mb, _RSS_MB, at_most=True),)
