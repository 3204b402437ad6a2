"""``POST /events`` for 10,000 vens with a broker: each ven's topics get a copy, made for what that ven may see.

The reference publishes as many messages of the same size to the same topics of the same broker: ready packets of QoS 1
over one connection, with 1,000 of them on their way; nothing is asked, rendered or recorded. A message is one of a
ven's two topics, or of business logic's.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import time
from array import array
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import dataclass, field
from http import HTTPStatus
from multiprocessing import get_context
from statistics import median
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp

from bench import mqtt
from bench.documents import WATCHED, event
from bench.errors import NotReady
from bench.load import Sample
from bench.measure import MeasuredSubject
from bench.mqtt import RawListener
from bench.results import Case, Goal
from bench.workloads.context import Reference, WorkloadContext

VENS: Final = 10_000
_STORED_EVENTS: Final = 50
_INFLIGHT: Final = 1000
_P50_MS: Final = 100.0
_FIRST_MS: Final = 100.0
_LAST_MS: Final = 2000.0
_OF_RAW: Final = 0.5


@dataclass(slots=True)
class FanOut:
    """Hold the times of each event, in seconds: until the answer, the first copy after it, the last after the request.

    ``last`` is the last of the 10,000 copies on ``vens/{id}/events/create``.
    """

    posted: list[float] = field(default_factory=list)
    first: list[float] = field(default_factory=list)
    last: list[float] = field(default_factory=list)
    stall: float = 0.0


async def to_a_fleet(context: WorkloadContext) -> None:
    """POST p50 and first copy at most 100 ms, last copy at most 2 s, 0.5 of the broker's raw rate."""
    spawned = ProcessPoolExecutor(1, mp_context=get_context("spawn"))
    with mqtt.broker(context.folder, context.cores.others) as broker, spawned as poster:
        if context.vtn.meter is None or not await context.vtn.use({"OADR_VTN_MQTT__URL": broker.url}):
            context.skip("mqtt", "it needs a broker that the VTN knows")
            return
        await context.vtn.hold_events(_STORED_EVENTS)
        await context.vtn.hold_vens(VENS)
        listener = await mqtt.listen(broker.port, "openadr3/#", _is_copy)
        async with context.bare_notifiers() as bare, aiohttp.ClientSession() as session:
            found = FanOut()
            listener.kept = []
            await _post(context, listener, found, poster)
            copies, listener.kept = listener.kept, None
            raw = _raw(bare, broker.port, listener, session, copies)
            found = FanOut()

            async def run(_: float) -> Sample:
                sample, stall = await context.watched(_post(context, listener, found, poster))
                found.stall = max(found.stall, stall)
                return sample

            reference, series = await context.compare(raw, MeasuredSubject("VTN", run, context.vtn.meter))
        listener.close()
        title = (
            f"{VENS:,} vens; POST {1000 * median(found.posted):.0f} ms, first {1000 * median(found.first):.0f} ms, "
            f"last {1000 * median(found.last):.0f} ms; longest stall {1000 * found.stall:.0f} ms"
        )
        context.keep("mqtt", title, series, reference, connections=1, goals=lambda case: _goals(case, found))


async def _post(context: WorkloadContext, listener: RawListener, found: FanOut, poster: Executor) -> Sample:
    """Post an event for all, and wait for every message.

    Who posts is a process of its own: this one reads 20,000 messages meanwhile, and a thread of it would see the answer
    late, when it is given the interpreter. All processes of a machine have the same ``perf_counter``.
    """
    listener.forget()
    document = json.dumps(event(context.vtn.program_id, (WATCHED,))).encode()
    url = f"{context.vtn.address.url}/events"
    posting = asyncio.get_running_loop().run_in_executor(poster, _posted, url, context.vtn.bl.token, document)
    started, answered = await posting
    await listener.until(2 * (VENS + 1) + 2)  # each ven's two topics, the measured VEN's among them, and the two of all
    found.posted.append(answered - started)
    found.first.append(listener.first_at - answered)
    found.last.append(listener.last_at - started)
    return _sample(listener, started)


def _posted(url: str, token: str, document: bytes) -> tuple[float, float]:
    """Return when a POST was sent and when it was answered."""
    at = urlsplit(url)
    connection = http.client.HTTPConnection(at.hostname or "", at.port)
    try:
        connection.connect()
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        started = time.perf_counter()
        connection.request("POST", at.path, document, headers)
        answer = connection.getresponse()
        answered = time.perf_counter()
        if answer.status != HTTPStatus.CREATED:
            raise NotReady(f"POST {url} is answered with {answer.status}: {answer.read(500)!r}")
        return started, answered
    finally:
        connection.close()


def _raw(
    bare: Reference, port: int, listener: RawListener, session: aiohttp.ClientSession, copies: list[tuple[bytes, bytes]]
) -> MeasuredSubject:
    asked: dict[str, Any] = {
        "port": port,
        "topics": [topic.decode() for topic, _ in copies],
        "payload": copies[0][1].decode(),
        "inflight": _INFLIGHT,
    }
    body = json.dumps(asked).encode()

    async def run(_: float) -> Sample:
        listener.forget()
        async with session.post(f"{bare.address.url}/mqtt", data=body) as answer:
            answer.raise_for_status()
            started = (await answer.json())["started"]
        await listener.until(len(copies))
        return _sample(listener, started)

    return MeasuredSubject("raw QoS 1", run, bare.meter)


def _sample(listener: RawListener, started: float) -> Sample:
    times = array("d", (at - started for at in listener.times))
    return Sample(max(times), times)


def _is_copy(topic: bytes) -> bool:
    return topic.startswith(b"openadr3/vens/") and topic.endswith(b"/events/create") and topic.count(b"/") == 4


def _goals(case: Case, found: FanOut) -> tuple[Goal, ...]:
    return (
        Goal("mqtt: POST /events p50 in ms", 1000 * median(found.posted), _P50_MS, at_most=True),
        Goal("mqtt: first ven topic after the answer in ms", 1000 * median(found.first), _FIRST_MS, at_most=True),
        Goal("mqtt: last of 10,000 copies in ms", 1000 * median(found.last), _LAST_MS, at_most=True),
        Goal("mqtt: part of the raw rate of the broker", next(iter(case.ratios.values())), _OF_RAW),
    )
