"""5,000 idle websockets, each with a token of its own: what each takes, and when the last of them hears of an event.

The reference is aiohttp: a handler that waits for what its client says, and sends one ready text to all.
"""

from __future__ import annotations

import json
import time
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Final

import aiohttp

from bench.documents import WATCHED, event
from bench.load import Sample
from bench.measure import MeasuredSubject
from bench.processes import Meter
from bench.results import Goal
from bench.websockets import Crowd
from bench.wire import Address
from bench.workloads.context import WorkloadContext

CLIENTS: Final = 5_000
_STORED_EVENTS: Final = 50
_KB: Final = 10.0
_LAST_MS: Final = 1000.0


@dataclass(slots=True)
class _Found:
    last: list[float] = field(default_factory=list)
    stall: float = 0.0


async def that_wait(context: WorkloadContext) -> None:
    """Measure: at most 10 KB for each client beyond aiohttp's own, the last delivery within a second."""
    vtn, fleet = context.vtn, context.vtn.fleet(CLIENTS)
    if vtn.meter is None or fleet is None:
        context.skip("websockets", "it takes tokens for a whole fleet, and the server's process")
        return
    await vtn.hold_events(_STORED_EVENTS)
    await vtn.hold_vens(CLIENTS)
    tokens = [{"Authorization": f"Bearer {token}"} for token in fleet]
    crowd, bare_crowd = Crowd(vtn.address, "/notifiers/ws"), None
    try:
        async with context.bare_notifiers() as bare, aiohttp.ClientSession() as http:
            bare_crowd = Crowd(bare.address, "/websocket")
            bare_kb = await _kb_each(bare_crowd, bare.meter, [{}] * CLIENTS)
            own_kb = await _kb_each(crowd, vtn.meter, tokens)
            found = _Found()

            async def run(_: float) -> Sample:
                sample, stall = await context.watched(_post(context, crowd))
                found.last.append(sample.seconds)
                found.stall = max(found.stall, stall)
                return sample

            reference, series = await context.compare(
                MeasuredSubject("bare aiohttp", lambda _: _send(bare.address, bare_crowd, http), bare.meter),
                MeasuredSubject("VTN", run, vtn.meter),
            )
    finally:
        crowd.close()
        if bare_crowd is not None:
            bare_crowd.close()
    beyond_kb = own_kb - bare_kb
    title = (
        f"{CLIENTS:,} clients, {own_kb:.1f} KB each (aiohttp {bare_kb:.1f}); last {1000 * median(found.last):.0f} ms; "
        f"longest stall {1000 * found.stall:.0f} ms"
    )
    goals = (
        Goal("websockets: KB for each client beyond aiohttp's own", beyond_kb, _KB, at_most=True),
        Goal("websockets: last delivery in ms", 1000 * median(found.last), _LAST_MS, at_most=True),
    )
    context.keep("websockets", title, series, reference, connections=CLIENTS, goals=lambda _: goals)


async def _kb_each(crowd: Crowd, meter: Meter, headers: Sequence[Mapping[str, str]]) -> float:
    """Connect all; return how much the process grew for each of them, in 1,000 bytes."""
    before = meter.rss_mb()
    await crowd.join(headers)
    return 1000 * (meter.rss_mb() - before) / len(headers)


async def _post(context: WorkloadContext, crowd: Crowd) -> Sample:
    crowd.forget()
    started = time.perf_counter()
    await context.vtn.bl.create("/events", event(context.vtn.program_id, (WATCHED,)))
    await crowd.until(CLIENTS)
    return _sample(crowd, started)


async def _send(address: Address, crowd: Crowd, http: aiohttp.ClientSession) -> Sample:
    crowd.forget()
    text = json.dumps({"objectType": "EVENT", "operation": "CREATE", "object": event("0" * 36, (WATCHED,))})
    async with http.post(f"{address.url}/websockets", data=text) as answer:
        answer.raise_for_status()
        started = (await answer.json())["started"]
    await crowd.until(CLIENTS)
    return _sample(crowd, started)


def _sample(crowd: Crowd, started: float) -> Sample:
    times = array("d", (at - started for at in crowd.times))
    return Sample(max(times), times)
