"""(a), (b): ``GET /events?targets=…`` by a VEN and by business logic, with stores of growing size.

``cached``: the same question again and again. ``packed``: the same, accepting gzip as most clients do. ``unchanged``:
naming the tag of what is known, 304. ``missed``: a question nobody asked before, whose answer is as large: it must come
from the database. The references give the same bytes without doing anything for them; for a miss, one reads a page of
texts from a database of the same kind, without HTTP.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping
from typing import Final
from urllib.parse import urlencode

import aiohttp
import msgspec

from bench.api import ApiClient
from bench.documents import WATCHED, questions
from bench.load import Sample
from bench.measure import MeasuredSubject, Series
from bench.references import ReadRun, ReadyAnswer
from bench.results import Case, Goal
from bench.wire import request
from bench.workloads.context import Reference, WorkloadContext, always, bearer, http_subject

CONNECTIONS: Final = 16
ASK: Final = f"/events?{urlencode({'targets': WATCHED})}"
UNIT: Final = "events"

_GZIP: Final = {"Accept-Encoding": "gzip"}
_OF_BARE: Final = 0.6
_OF_READ: Final = 0.4
_PATIENCE_S: Final = 60.0


async def as_ven(context: WorkloadContext) -> None:
    """(a)"""
    await _poll(context, context.vtn.ven, "poll-ven")


async def as_business_logic(context: WorkloadContext) -> None:
    """(b)"""
    await _poll(context, context.vtn.bl, "poll-bl")


async def _poll(context: WorkloadContext, reader: ApiClient, workload: str) -> None:
    asked = questions()
    for stored in context.events:
        await context.vtn.hold_events(stored)
        plain, packed = await reader.read(ASK), await reader.read(ASK, _GZIP)
        answers = [
            ReadyAnswer("/cached/events", 200, context.file(plain.body)),
            ReadyAnswer(
                "/packed/events",
                200,
                context.file(packed.body),
                content_encoding=packed.headers.get("Content-Encoding"),
            ),
            ReadyAnswer("/unchanged/events", 304),
        ]
        cases: list[tuple[str, Mapping[str, str], int]] = [("cached", {}, 200), ("packed", _GZIP, 200)]
        tag = {"If-None-Match": plain.headers.get("ETag", "")}
        if (await reader.get(ASK, tag)).status == 304:  # a server may go without tags
            cases.append(("unchanged", tag, 304))
        page = [bytes(event).decode() for event in msgspec.json.decode(plain.body, type=list[msgspec.Raw])]
        async with context.reference(answers=answers, page=page) as bare:
            for name, headers, expect in cases:
                case = await _ready(context, reader, bare, name, headers, expect)
                context.keep(workload, name, *case, connections=CONNECTIONS, stored=(stored, UNIT), goals=_of_bare)
            for name, headers, at_once in (
                ("missed", {}, 1),
                ("missed", {}, CONNECTIONS),
                ("missed, packed", _GZIP, 1),
            ):
                case = await _missed(context, reader, bare, asked, headers, at_once)
                context.keep(workload, name, *case, connections=at_once, stored=(stored, UNIT), goals=_of_read)


async def _ready(
    context: WorkloadContext, reader: ApiClient, bare: Reference, name: str, headers: Mapping[str, str], expect: int
) -> tuple[Series, Series]:
    """Measure polls that a cache can answer, beside a server that has nothing but the answer."""
    headers = {**bearer(reader), **headers}
    reference, series = await context.compare(
        http_subject(
            "bare aiohttp",
            bare.address,
            bare.meter,
            always(request(bare.address, "GET", f"/{name}{ASK}", headers=headers)),
            connections=CONNECTIONS,
            expect=expect,
        ),
        http_subject(
            "VTN",
            context.vtn.address,
            context.vtn.meter,
            always(request(context.vtn.address, "GET", ASK, headers=headers)),
            connections=CONNECTIONS,
            expect=expect,
        ),
    )
    return series, reference


async def _missed(
    context: WorkloadContext,
    reader: ApiClient,
    bare: Reference,
    asked: Iterator[tuple[str, ...]],
    headers: Mapping[str, str],
    at_once: int,
) -> tuple[Series, Series]:
    """Measure polls that the database must answer, beside a bare read of as much from a database."""
    headers = {**bearer(reader), **headers}

    def next_question() -> bytes:
        query = urlencode({"targets": next(asked)}, doseq=True)
        return request(context.vtn.address, "GET", f"/events?{query}", headers=headers)

    reference, series = await context.compare(
        MeasuredSubject("bare read", lambda seconds: bare_read(bare, seconds, at_once), bare.meter),
        http_subject("VTN", context.vtn.address, context.vtn.meter, next_question, connections=at_once, expect=200),
    )
    return series, reference


async def bare_read(bare: Reference, seconds: float, at_once: int) -> Sample:
    """Pages of a reference's own table, read in so many loops, without HTTP."""
    url = f"{bare.address.url}/read?seconds={seconds}&tasks={at_once}"
    timeout = aiohttp.ClientTimeout(total=seconds + _PATIENCE_S)
    async with aiohttp.ClientSession(timeout=timeout) as session, session.get(url) as answer:
        run = msgspec.json.decode(await answer.read(), type=ReadRun)
    return Sample(run.seconds, array("d", run.latencies_s))


def _of_bare(case: Case) -> tuple[Goal, ...]:
    part = next(iter(case.ratios.values()))
    return (Goal(f"{case.title}: part of a bare handler's rate", part, _OF_BARE),)


def _of_read(case: Case) -> tuple[Goal, ...]:
    if "SQLite" in case.database:  # the goal is about asyncpg
        return ()
    part = next(iter(case.ratios.values()))
    return (Goal(f"{case.title}: part of a bare read's rate", part, _OF_READ),)
