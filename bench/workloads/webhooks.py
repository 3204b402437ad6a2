"""10,000 webhooks to 100 HTTPS endpoints of which 10 are dead: 100 events for 100 subscriptions.

One reference is a bare client: a loop for each living endpoint that posts the same body as often, one after the other,
over connections that stay open. The other is the VTN without the dead ones. What is counted is what the living get,
from the first ``POST /events`` on; p50 and p99 are of the time since then. Of the dead, half refuse connections and
half accept them and say nothing.
"""

from __future__ import annotations

import json
import time
from array import array
from collections.abc import Sequence
from typing import Any, Final

import aiohttp

from bench.bare_notifiers import WebhookRun
from bench.documents import event
from bench.hooks import Receivers
from bench.load import Sample
from bench.measure import MeasuredSubject
from bench.results import Case, Goal
from bench.workloads.context import Reference, WorkloadContext

LIVING: Final = 90
DEAD: Final = 10
EVENTS: Final = 100
_OF_BARE: Final = 0.5
_BESIDE_THE_DEAD: Final = 0.9


async def to_endpoints(context: WorkloadContext) -> None:
    """Measure: at least half the rate of a bare client loop; the dead cost the living at most a tenth."""
    receivers = Receivers(context.folder / "receivers")
    vtn = context.vtn
    settings = {
        "OADR_VTN_WEBHOOK__ALLOW_PRIVATE_ADDRESSES": "true",
        "OADR_VTN_WEBHOOK__VERIFY_ECHO": "false",
        "OADR_VTN_WEBHOOK__CA_FILE": str(receivers.ca),
        "OADR_VTN_SUBSCRIPTIONS__MAX_PER_CLIENT": "1000",
    }
    if vtn.meter is None or not await vtn.use(settings):
        context.skip("webhooks", "it needs a VTN that may call this machine")
        return
    try:
        living, dead = await receivers.living(LIVING), receivers.dead(DEAD)
        await subscribe(context, living, "living")
        stalls = [0.0]

        async def run(dead_ones: Sequence[str]) -> Sample:
            made = await subscribe(context, dead_ones, "living")
            sample, stall = await context.watched(_post(context, receivers))
            await vtn.bl.delete_all(f"/subscriptions/{each}" for each in made)
            stalls.append(stall)
            return sample

        async with context.bare_notifiers() as bare, aiohttp.ClientSession() as http:
            loop, alone, series = await context.compare(
                _bare(bare, receivers, living, http),
                MeasuredSubject("living alone", lambda _: run(()), vtn.meter),
                MeasuredSubject("VTN", lambda _: run(dead), vtn.meter),
            )
        title = f"{LIVING} living, {DEAD} dead endpoints, {EVENTS} events; longest stall {1000 * max(stalls):.0f} ms"
        context.keep("webhooks", title, series, loop, alone, connections=LIVING + DEAD, goals=_goals)
    finally:
        await receivers.close()


async def subscribe(context: WorkloadContext, urls: Sequence[str], target: str) -> list[str]:
    """Make a subscription for each URL; return their ids."""
    wanted: list[dict[str, Any]] = [
        {
            "clientName": "bench",
            "targets": [target],
            "objectOperations": [{"objects": ["EVENT"], "operations": ["CREATE"], "callbackUrl": url}],
        }
        for url in urls
    ]
    return [made["id"] for made in await context.vtn.bl.create_all("/subscriptions", wanted)]


async def _post(context: WorkloadContext, receivers: Receivers) -> Sample:
    """Post the events, and wait until the living endpoints have all of them."""
    receivers.forget()
    started = time.perf_counter()
    events = (event(context.vtn.program_id, ("living",), number) for number in range(EVENTS))
    await context.vtn.bl.create_all("/events", events)
    await receivers.until(LIVING * EVENTS)
    return _sample(receivers, started)


def _bare(bare: Reference, receivers: Receivers, urls: Sequence[str], http: aiohttp.ClientSession) -> MeasuredSubject:
    notification = {"objectType": "EVENT", "operation": "CREATE", "object": event("0" * 36, ("living",))}
    asked = WebhookRun(urls, json.dumps(notification, separators=(",", ":")), EVENTS, str(receivers.ca))
    body = json.dumps({name: getattr(asked, name) for name in asked.__struct_fields__}).encode()

    async def run(_: float) -> Sample:
        receivers.forget()
        async with http.post(f"{bare.address.url}/webhooks", data=body) as answer:
            answer.raise_for_status()
            started = (await answer.json())["started"]
        await receivers.until(LIVING * EVENTS)
        return _sample(receivers, started)

    return MeasuredSubject("bare client loop", run, bare.meter)


def _sample(receivers: Receivers, started: float) -> Sample:
    times = array("d", (at - started for at in receivers.times))
    return Sample(max(times), times)


def _goals(case: Case) -> tuple[Goal, ...]:
    to_bare, to_alone = case.ratios.values()
    return (
        Goal("webhooks: part of the rate of a bare client loop", to_bare, _OF_BARE),
        Goal("webhooks: part of the rate without dead endpoints", to_alone, _BESIDE_THE_DEAD),
    )
