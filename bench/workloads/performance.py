"""``POST /performance/results``: what an event of four hours delivered, by 10-of-10, for 10,000 VENs.

Each has read its meter every quarter of an hour on the event's day and ten working days before: 10.6 million readings.
A rate here is how many such evaluations there are in a second. Meanwhile the server is asked for its health.
"""

from __future__ import annotations

import asyncio
import json
import time
from array import array
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from bench.errors import WrongAnswer
from bench.load import Sample
from bench.measure import Series
from bench.results import Case, Goal
from bench.workloads.context import WorkloadContext

VENS: Final = 10_000
_WORKING_DAYS: Final = 10
_FRIDAY: Final = 4
_SATURDAY: Final = 5
_EVERY_S: Final = 0.1
_LONGEST_S: Final = 600.0
_SECONDS: Final = 60.0
_RSS_MB: Final = 500.0


async def of_an_event(context: WorkloadContext) -> None:
    """Evaluate at most within 60 s, with at most 500 MB."""
    vtn, number = context.vtn, min(VENS, max(context.vens))
    if vtn.meter is None:
        context.skip("performance", "it writes into our own database, and watches the server's process")
        return
    await vtn.hold_vens(number)
    midnight = _last_friday()
    start = midnight + timedelta(hours=16)
    event = await vtn.bl.create(
        "/events",
        {
            "programID": vtn.program_id,
            "eventName": "evaluated",
            "intervalPeriod": {"start": start.isoformat(), "duration": "PT4H"},
            "intervals": [{"id": 0, "payloads": [{"type": "DISPATCH_SETPOINT_RELATIVE", "values": [-1]}]}],
        },
    )
    midnights = [midnight, *_working_days_before(midnight)]
    await vtn.hold_readings(event["id"], number, midnights, start)
    meter = vtn.meter  # of the process that runs now
    assert meter is not None
    series, longest_s = Series("VTN"), 0.0
    found: dict[str, Any] = {}
    for _ in range(context.rounds):
        cpu, began = meter.cpu_s(), time.perf_counter()
        (found, rss_mb), health_s = await context.watched(_evaluated(context, event["id"]))
        seconds = time.perf_counter() - began
        longest_s = max(longest_s, health_s)
        series.add(Sample(seconds, array("d", [seconds])), cpu_s=meter.cpu_s() - cpu, rss_mb=rss_mb)
    if found["state"] != "EVALUATED" or found["sums"]["participantsKnown"] < number:
        raise WrongAnswer(f"the event was not evaluated: {found['state']}, {found['trouble']}")
    values = number * len(midnights) * 96
    title = f"10-of-10 of {number:,} VENs, {values:,} readings (GET /health at most {1000 * longest_s:,.0f} ms)"
    context.keep("performance", title, series, connections=1, goals=_goals)


async def _evaluated(context: WorkloadContext, event_id: str) -> tuple[dict[str, Any], float]:
    """Return the result of an event, and the most memory that the server had until it was there, in MB."""
    meter, bl = context.vtn.meter, context.vtn.bl
    assert meter is not None
    path = f"/performance/results/{(await bl.create('/performance/results', {'eventID': event_id}))['id']}"
    rss_mb = 0.0
    async with asyncio.timeout(_LONGEST_S):
        while True:
            rss_mb = max(rss_mb, meter.rss_mb())
            found: dict[str, Any] = json.loads((await bl.read(path)).body)
            if found["state"] not in {"WAITING", "EVALUATING"}:
                return found, rss_mb
            await asyncio.sleep(_EVERY_S)


def _last_friday() -> datetime:
    """Return the midnight of the last Friday that is over, in UTC."""
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    back = (today.weekday() - _FRIDAY) % 7 or 7
    return today - timedelta(days=back)


def _working_days_before(midnight: datetime) -> list[datetime]:
    days = (midnight - timedelta(days=back) for back in range(1, 2 * _WORKING_DAYS))
    return [day for day in days if day.weekday() < _SATURDAY][:_WORKING_DAYS]


def _goals(case: Case) -> tuple[Goal, ...]:
    return (
        Goal(f"{case.title}: seconds", case.series.p50_ms[-1] / 1000, _SECONDS, at_most=True),
        Goal(f"{case.title}: RSS in MB", case.series.rss_mb or 0.0, _RSS_MB, at_most=True),
    )
