"""Polls of OpenADR 2.0b by a fleet that is registered, beside openleadr's own server and a bare handler.

``first``: each VEN's first poll after a start, which is told of ten events of 24 intervals. ``empty``: nothing waits.
``changed``: one of the ten has changed, so that all are distributed. openleadr has its VENs and events in memory; the
bare handler parses a poll, checks it against the schema, and answers with bytes that are ready.

All of them speak plain TCP: ours stands behind a proxy that hands on the certificate of each VEN, so that the VENs of a
fleet can share 16 connections.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Final, TypeAlias

import aiohttp

from bench.documents import levels, wire_id
from bench.errors import WrongAnswer
from bench.load import Sample, load
from bench.measure import MeasuredSubject, Series
from bench.messages_20b import EVENTS
from bench.results import Case, Goal
from bench.support.net import free_port
from bench.wire import Address, request
from bench.workloads.context import Reference, WorkloadContext, http_subject, in_turn
from bench.workloads.poll import CONNECTIONS
from openadr_profiles.v20b.messages import Poll
from openadr_profiles.v20b.writing import write

VENS: Final = (1_000, 10_000)
_POLL: Final = "/OpenADR2/Simple/2.0b/OadrPoll"
_XML: Final = {"Content-Type": "application/xml"}
_HEADER: Final = "X-Client-Cert"
_SMALLEST: Final = 20_000
"""Bytes that ten events have at least."""
_OF_OPENLEADR: Final = 1.5
_OF_BARE: Final = 0.6
_UNIT: Final = "VENs"
_OPENLEADR: Final = "openleadr"
_BARE: Final = "bare lxml"
_PATIENCE_S: Final = 300.0


Change: TypeAlias = Callable[[], Awaitable[None]]


async def of_a_fleet(context: WorkloadContext) -> None:
    """Measure: at least 1.5 times the rate of openleadr, and 0.6 of the bare handler's."""
    vtn = context.vtn
    door = replace(vtn.address, port=free_port(), path="")
    if not await vtn.use(_settings(door.port)):
        context.skip("v20b-poll", "it gives the VTN settings of its own, and writes into its database")
        return
    made = await vtn.bl.create_all("/events", (levels(vtn.program_id, number) for number in range(EVENTS)))
    numbers = itertools.count(1)

    async def change() -> None:
        number = next(numbers)
        its = made[number % EVENTS]["id"]
        await vtn.bl.replace(f"/events/{its}", levels(vtn.program_id, number % EVENTS, 1 + number // EVENTS))

    for number in VENS:
        certificates = await vtn.hold_vens_20b(number)
        assert certificates is not None
        fleet = [_poll(door, place, each) for place, each in enumerate(certificates)]
        told, empty = [context.file(await _answer(door, 0, certificates[0])) for _ in range(2)]
        await _first(context, door, fleet)
        await load(door, iter(fleet).__next__, connections=CONNECTIONS, seconds=_PATIENCE_S, expect=200)
        async with (
            context.polls_20b("openleadr", str(number)) as openleadr,
            context.polls_20b("bare", empty, told) as bare,
        ):
            await _empty(context, door, fleet, openleadr, bare)
            await _changed(context, door, fleet, openleadr, bare, change)


def _settings(port: int) -> dict[str, str]:
    """Return settings under which no VEN is told to slow down, and no event is offered again before it changes."""
    values = {"PORT": port, "TRUSTED_PROXIES": ["127.0.0.1"], "BURST": 10_000, "POLLS_ALLOWED": 1000, "POLL_S": 3600}
    return {
        f"OADR_VTN_V20B__{name}": json.dumps(value) if isinstance(value, list) else str(value)
        for name, value in values.items()
    }


def _body(place: int) -> bytes:
    return write(Poll(ven_id=wire_id(place)))


def _poll(door: Address, place: int, certificate: str) -> bytes:
    return request(door, "POST", _POLL, headers={**_XML, _HEADER: certificate}, body=_body(place))


async def _answer(door: Address, place: int, certificate: str) -> bytes:
    """Return the answer to one poll."""
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{door.url}{_POLL}", data=_body(place), headers={**_XML, _HEADER: certificate}) as answer,
    ):
        body = await answer.read()
        if answer.status != 200:
            raise WrongAnswer(f"a poll is answered {answer.status}: {body[:300]!r}")
        return body


async def _first(context: WorkloadContext, door: Address, fleet: Sequence[bytes]) -> None:
    """Have every VEN but the first one poll once after a start; measure how long the loop was busy at most."""
    series, meter = Series("VTN"), context.vtn.meter
    before = 0.0 if meter is None else meter.cpu_s()
    polls = load(door, iter(fleet[1:]).__next__, connections=CONNECTIONS, seconds=_PATIENCE_S, expect=200)
    sample, longest_s = await context.watched(polls)
    cpu_s = None if meter is None else meter.cpu_s() - before
    series.add(_all_told(sample), cpu_s=cpu_s, rss_mb=None if meter is None else meter.rss_mb())
    name = f"first after a start; longest wait {1000 * longest_s:.0f} ms"
    context.keep("v20b-poll", name, series, connections=CONNECTIONS, stored=(len(fleet), _UNIT))


async def _empty(
    context: WorkloadContext, door: Address, fleet: Sequence[bytes], openleadr: Reference, bare: Reference
) -> None:
    bodies = range(len(fleet))
    theirs = [request(openleadr.address, "POST", _POLL, headers=_XML, body=_body(place)) for place in bodies]
    plain = [request(bare.address, "POST", "/empty", headers=_XML, body=_body(place)) for place in bodies]
    series, *references = await context.compare(
        *(
            http_subject(name, address, meter, in_turn(polls), connections=CONNECTIONS, expect=200)
            for name, address, meter, polls in (
                ("VTN", door, context.vtn.meter, fleet),
                (_OPENLEADR, openleadr.address, openleadr.meter, theirs),
                (_BARE, bare.address, bare.meter, plain),
            )
        )
    )
    context.keep(
        "v20b-poll",
        "empty",
        series,
        *references,
        connections=CONNECTIONS,
        stored=(len(fleet), _UNIT),
        goals=_goals,
    )


async def _changed(
    context: WorkloadContext,
    door: Address,
    fleet: Sequence[bytes],
    openleadr: Reference,
    bare: Reference,
    change: Change,
) -> None:
    """Measure polls of VENs that poll once each after a change, in turn."""
    waits_s: list[float] = []
    places = range(len(fleet))
    theirs = [request(openleadr.address, "POST", _POLL, headers=_XML, body=_body(place)) for place in places]
    plain = [request(bare.address, "POST", "/changed", headers=_XML, body=_body(place)) for place in places]

    async def change_theirs() -> None:
        async with aiohttp.ClientSession() as session, session.post(f"{openleadr.address.url}/change") as answer:
            answer.raise_for_status()

    async def ours(seconds: float) -> Sample:
        await change()
        sample, wait_s = await context.watched(_once_each(door, fleet, seconds))
        waits_s.append(wait_s)
        return sample

    async def of_openleadr(seconds: float) -> Sample:
        await change_theirs()
        return await _once_each(openleadr.address, theirs, seconds)

    series, *references = await context.compare(
        MeasuredSubject("VTN", ours, context.vtn.meter),
        MeasuredSubject(_OPENLEADR, of_openleadr, openleadr.meter),
        MeasuredSubject(_BARE, lambda seconds: _once_each(bare.address, plain, seconds), bare.meter),
    )
    context.keep(
        "v20b-poll",
        f"changed; longest wait {1000 * max(waits_s):.0f} ms",
        series,
        *references,
        connections=CONNECTIONS,
        stored=(len(fleet), _UNIT),
        goals=_goals,
    )


async def _once_each(address: Address, polls: Sequence[bytes], seconds: float) -> Sample:
    """Send each poll once at most; every answer has the events in it."""
    sent = load(address, iter(polls).__next__, connections=CONNECTIONS, seconds=seconds, expect=200)
    return _all_told(await sent)


def _all_told(sample: Sample) -> Sample:
    """Return a sample of answers that have events in them; raises WrongAnswer if they are too small for that."""
    answers = len(sample.latencies_s)
    if sample.bytes_received < answers * _SMALLEST:
        raise WrongAnswer(f"{answers} answers with {sample.bytes_received} bytes do not all tell of {EVENTS} events")
    return sample


def _goals(case: Case) -> tuple[Goal, ...]:
    return (
        Goal(f"{case.title}: rate beside openleadr's", case.ratios[_OPENLEADR], _OF_OPENLEADR),
        Goal(f"{case.title}: part of the rate of a bare handler", case.ratios[_BARE], _OF_BARE),
    )
