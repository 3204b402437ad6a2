"""``GET /reports`` with stores of growing size: every question is a new one, and comes from the database.

Pages skip up to 10,000 reports, or (``deep``) half of all, and begin nowhere that the asker has been; ``walked`` ones
are asked for one after the other from the middle on. The reference reads a page of texts as large from a small table of
a database of the same kind, without HTTP.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from itertools import count, cycle
from types import MappingProxyType
from typing import Final, TypeAlias
from urllib.parse import urlencode

import msgspec

from bench.api import ApiClient
from bench.load import Requests, Sample
from bench.measure import MeasuredSubject
from bench.seeding import CLIENTS, client_name
from bench.wire import request
from bench.workloads.context import Reference, WorkloadContext, bearer, http_subject
from bench.workloads.poll import bare_read

CONNECTIONS: Final = 1
_STORED_EVENTS: Final = 1000
_PAGE: Final = 50
_LIMITS: Final = 10
_NEAR: Final = 10_000
_NO_PAGE: Final = 7
"""Skipping this many more each time is no walk."""

Prepared: TypeAlias = dict[str, str | int]


async def of_reports(context: WorkloadContext) -> None:
    """Search by business logic and by a VEN, with every filter, near the beginning and deep."""
    await context.vtn.hold_events(min(_STORED_EVENTS, max(context.events)))
    for stored in context.reports:
        if not await context.vtn.hold_reports(stored):
            context.skip("search", "so many reports can only be written into our own database")
            return
        bl, ven, tenth, half = context.vtn.bl, context.vtn.ven, max(1, stored // 10), stored // 2
        newest = msgspec.json.decode((await bl.read("/reports")).body)
        event_of_a_tenth = msgspec.json.decode((await bl.read(f"/reports?skip={stored - 1}")).body)[0]["eventID"]
        program = {"programID": context.vtn.program_id}
        async with context.reference(page=[msgspec.json.encode(each).decode() for each in newest]) as bare:
            for name, reader, questions in (
                ("all, near", bl, _counted(0, min(_NEAR, stored))),
                ("all, deep", bl, _counted(half, stored - half)),
                ("all, deep, walked", bl, _walked(half, stored)),
                ("of an event, a tenth", bl, _counted(0, min(_NEAR, tenth), {"eventID": event_of_a_tenth})),
                ("of a program, all", bl, _counted(0, 1, program)),
                ("of a program, all, walked", bl, _walked(half, stored, program)),
                ("of a client name, few", bl, _named()),
                ("own, a tenth, near", ven, _counted(0, min(_NEAR, tenth))),
                ("own, a tenth, deep, walked", ven, _walked(tenth // 2, tenth)),
            ):
                reference, series = await context.compare(
                    MeasuredSubject("bare read", partial(_read, bare), bare.meter),
                    http_subject(
                        "VTN",
                        context.vtn.address,
                        context.vtn.meter,
                        _requests(context, reader, questions),
                        connections=CONNECTIONS,
                        expect=200,
                    ),
                )
                context.keep("search", name, series, reference, connections=CONNECTIONS, stored=(stored, "reports"))


async def _read(bare: Reference, seconds: float) -> Sample:
    return await bare_read(bare, seconds, CONNECTIONS)


def _requests(context: WorkloadContext, reader: ApiClient, questions: Iterator[Prepared]) -> Requests:
    headers = bearer(reader)
    return lambda: request(context.vtn.address, "GET", f"/reports?{urlencode(next(questions))}", headers=headers)


def _counted(first: int, room: int, filters: Mapping[str, str] = MappingProxyType({})) -> Iterator[Prepared]:
    """Yield skips among ``room`` numbers; none continues the one before, and none is repeated soon."""
    for number in count():
        limit = _PAGE - number // room % _LIMITS
        yield {**filters, "skip": first + number * _NO_PAGE % room, "limit": limit}


def _walked(first: int, end: int, filters: Mapping[str, str] = MappingProxyType({})) -> Iterator[Prepared]:
    """From page to page, and again from the first, which is moved a little each time."""
    starts = range(first, min(first + _PAGE, end))
    return ({**filters, "skip": skip} for start in cycle(starts) for skip in range(start, end, _PAGE))


def _named() -> Iterator[Prepared]:
    """One client after the other."""
    return ({"clientName": f"name-{client_name(number)}"} for number in cycle(range(1, CLIENTS, 2)) if number % 5)
