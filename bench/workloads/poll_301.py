"""``GET /events`` of OpenADR 3.0.1 beside the same of 3.1, from one server and one store.

Both faces are asked for the events of one target. ``cached``, ``packed`` and ``missed`` are those of ``poll``. The
reference is the 3.1 face: a poll on 3.0.1 may cost 1.1 times as much from the cache, 1.5 times without.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Final
from urllib.parse import urlencode

from bench.api import ApiClient
from bench.documents import WATCHED, questions
from bench.load import Requests
from bench.measure import Series
from bench.results import Case, Goal
from bench.wire import Address, request
from bench.workloads.context import WorkloadContext, always, bearer, http_subject
from bench.workloads.poll import ASK, CONNECTIONS, UNIT

_PREFIX: Final = "/openadr3/3.0.1"
_ASK: Final = f"/events?{urlencode({'targetValues': WATCHED})}"
_GZIP: Final = {"Accept-Encoding": "gzip"}
_CACHED: Final = 1 / 1.1
_MISSED: Final = 1 / 1.5


async def as_ven(context: WorkloadContext) -> None:
    """Measure the polls of a VEN."""
    reader = context.vtn.ven
    ours = replace(context.vtn.address, path=_PREFIX)
    asked = questions()
    for stored in context.events:
        await context.vtn.hold_events(stored)
        for name, headers in (("cached", {}), ("packed", _GZIP)):
            case = await _both(context, partial(_repeated, _sent(reader, headers)), ours, connections=CONNECTIONS)
            _keep(context, name, case, stored, CONNECTIONS, _CACHED)
        for at_once in (1, CONNECTIONS):
            case = await _both(context, partial(_misses, asked, _sent(reader, {})), ours, connections=at_once)
            _keep(context, "missed", case, stored, at_once, _MISSED)


def _sent(reader: ApiClient, headers: Mapping[str, str]) -> dict[str, str]:
    return {**bearer(reader), **headers}


def _repeated(headers: Mapping[str, str], address: Address, ask: str) -> Requests:
    """Return the same request again and again."""
    return always(request(address, "GET", ask, headers=headers))


def _misses(asked: Iterator[tuple[str, ...]], headers: Mapping[str, str], address: Address, ask: str) -> Requests:
    """Return requests that nobody made before, in the parameter that ``ask`` has."""
    parameter = ask.partition("?")[2].partition("=")[0]

    def next_question() -> bytes:
        return request(address, "GET", f"/events?{urlencode({parameter: next(asked)}, doseq=True)}", headers=headers)

    return next_question


async def _both(
    context: WorkloadContext, requests: Callable[[Address, str], Requests], ours: Address, *, connections: int
) -> tuple[Series, Series]:
    """Measure both faces in turn; returns 3.0.1 and 3.1."""
    reference, series = await context.compare(
        *(
            http_subject(name, address, context.vtn.meter, requests(address, ask), connections=connections, expect=200)
            for name, address, ask in (("3.1", context.vtn.address, ASK), ("3.0.1", ours, _ASK))
        )
    )
    return series, reference


def _keep(
    context: WorkloadContext,
    name: str,
    case: tuple[Series, Series],
    stored: int,
    connections: int,
    part: float,
) -> None:
    def goals(found: Case) -> tuple[Goal, ...]:
        return (Goal(f"{found.title}: part of the rate of 3.1", next(iter(found.ratios.values())), part),)

    context.keep("poll-301", name, *case, connections=connections, stored=(stored, UNIT), goals=goals)
