"""``GET /events?targets=…`` by a fleet: 10,000 VENs, each with a token, a ven and targets of its own, ask in turn.

The reference is one of them that asks as often, on as many connections: what is left is the cost of many callers (a
token and the targets held by each, an entry of the cache for each). Meanwhile another connection asks for ``/health``
all the time: the longest that it waits is the longest that the VTN was busy with something else.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Final
from urllib.parse import urlencode

from bench.documents import feeder
from bench.load import Sample, load
from bench.measure import MeasuredSubject
from bench.results import Case, Goal
from bench.wire import request
from bench.workloads.context import WorkloadContext, always, http_subject, in_turn

CONNECTIONS: Final = 16
FLEET: Final = 10_000
_STORED_EVENTS: Final = 1000
_WARM_UP_S: Final = 600.0
_PROBES_PER_S: Final = 100.0
_OF_ONE: Final = 0.7


async def of_a_fleet(context: WorkloadContext) -> None:
    """Measure: at least 0.7 of the rate of one token."""
    events = min(_STORED_EVENTS, max(context.events))
    fleet = context.vtn.fleet(FLEET)
    if context.vtn.meter is None or fleet is None:
        context.skip("tokens", "it takes tokens for a whole fleet, and the server's process")
        return
    await context.vtn.hold_events(events)
    await context.vtn.hold_vens(FLEET)
    meter, address = context.vtn.meter, context.vtn.address
    polls = [
        request(
            address,
            "GET",
            f"/events?{urlencode({'targets': feeder(place, events)})}",
            headers={"Authorization": f"Bearer {token}", "Accept-Encoding": "gzip"},
        )
        for place, token in enumerate(fleet)
    ]
    idle = meter.rss_mb()
    await load(address, iter(polls).__next__, connections=CONNECTIONS, seconds=_WARM_UP_S, expect=200)
    grown = meter.rss_mb() - idle
    one, many = (
        http_subject(name, address, meter, requests, connections=CONNECTIONS, expect=200)
        for name, requests in (("one token", always(polls[0])), ("VTN", in_turn(polls)))
    )
    stalls: dict[str, float] = {}
    reference, series = await context.compare(_watched(context, one, stalls), _watched(context, many, stalls))
    context.keep(
        "tokens",
        f"{FLEET:,} VENs, {events:,} events; {grown:.0f} MB more; longest stall {1000 * stalls[many.name]:.0f} ms "
        f"(one token: {1000 * stalls[one.name]:.0f} ms)",
        series,
        reference,
        connections=CONNECTIONS,
        goals=_goals,
    )


def _watched(context: WorkloadContext, subject: MeasuredSubject, stalls: dict[str, float]) -> MeasuredSubject:
    """Return the subject with a probe beside it, whose longest wait in seconds is kept in ``stalls``."""
    root = replace(context.vtn.address, path="")
    probe = always(request(root, "GET", "/health"))

    async def run(seconds: float) -> Sample:
        probing = load(root, probe, connections=1, seconds=seconds, expect=200, per_second=_PROBES_PER_S)
        sample, probed = await asyncio.gather(subject.run(seconds), probing)
        stalls[subject.name] = max(stalls.get(subject.name, 0.0), *probed.latencies_s)
        return sample

    return MeasuredSubject(subject.name, run, subject.meter)


def _goals(case: Case) -> tuple[Goal, ...]:
    return (Goal(f"{case.title}: part of the rate of one token", next(iter(case.ratios.values())), _OF_ONE),)
