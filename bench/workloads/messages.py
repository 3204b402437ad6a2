"""Memory of a VTN that goes on telling: an hour's messages of a fleet, as fast as they are delivered.

100 vens whose broker gets 204 messages of an event, and ten webhooks: at one event every twenty seconds an hour has 180
events. Ten hours of them are told; the first hour is where memory may still grow.
"""

from __future__ import annotations

import time
from array import array
from typing import Final

from bench import mqtt
from bench.documents import WATCHED, event
from bench.hooks import Receivers
from bench.load import Sample
from bench.measure import Series
from bench.results import Goal
from bench.workloads.context import WorkloadContext
from bench.workloads.webhooks import subscribe

VENS: Final = 100
HOOKS: Final = 10
HOUR: Final = 180
HOURS: Final = 10
_AT_ONCE: Final = 20
_GROWTH_MB: Final = 5.0


async def for_hours(context: WorkloadContext) -> None:
    """RSS grows by less than 5 MB in the nine hours after the first."""
    vtn, receivers = context.vtn, Receivers(context.folder / "hour")
    with mqtt.broker(context.folder, context.cores.others) as broker:
        settings = {
            "OADR_VTN_MQTT__URL": broker.url,
            "OADR_VTN_WEBHOOK__ALLOW_PRIVATE_ADDRESSES": "true",
            "OADR_VTN_WEBHOOK__VERIFY_ECHO": "false",
            "OADR_VTN_WEBHOOK__CA_FILE": str(receivers.ca),
        }
        if vtn.meter is None or not await vtn.use(settings):
            context.skip("messages", "it watches the server's process, and needs a broker that the VTN knows")
            return
        await vtn.hold_events(50)
        await vtn.hold_vens(VENS)
        listener = await mqtt.listen(broker.port, "openadr3/#", lambda _: False)
        try:
            await subscribe(context, await receivers.living(HOOKS), WATCHED)
            meter, series, resident = vtn.meter, Series("VTN"), []
            for _ in range(HOURS):
                cpu = meter.cpu_s()
                sample = await _hour(context, listener, receivers)
                resident.append(meter.rss_mb())
                series.add(sample, cpu_s=meter.cpu_s() - cpu, rss_mb=resident[-1])
        finally:
            listener.close()
            await receivers.close()
    growth = resident[-1] - resident[0]
    told = HOURS * HOUR * (_messages() + HOOKS)
    title = f"{told:,} messages of {HOURS} hours; RSS {resident[0]:.0f} MB after the first, {growth:+.1f} MB since"
    goal = Goal("messages: growth of RSS after the first hour in MB", growth, _GROWTH_MB, at_most=True)
    context.keep("messages", title, series, connections=1, goals=lambda _: (goal,))


async def _hour(context: WorkloadContext, listener: mqtt.RawListener, receivers: Receivers) -> Sample:
    """Post an hour's events, some at a time; return when each message came."""
    started, times = time.perf_counter(), array("d")
    for first in range(0, HOUR, _AT_ONCE):
        listener.forget()
        receivers.forget()
        events = (event(context.vtn.program_id, (WATCHED,), number) for number in range(first, first + _AT_ONCE))
        await context.vtn.bl.create_all("/events", events)
        await listener.until(_AT_ONCE * _messages())
        await receivers.until(_AT_ONCE * HOOKS)
        times.extend(at - started for at in (*listener.times, *receivers.times))
    return Sample(time.perf_counter() - started, times)


def _messages() -> int:
    """Return how many an event has: each ven's two topics, the measured VEN's among them, and the two of all."""
    return 2 * (VENS + 1) + 2
