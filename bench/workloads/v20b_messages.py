"""Messages of OpenADR 2.0b, read and written, beside openleadr's own functions and a bare lxml parser with the schema.

Everything runs in this process, so a rate is that of one core. openleadr reads in two steps, as its server does:
against the schema, then into a dictionary.
"""

from __future__ import annotations

import os
import time
from array import array
from collections.abc import Callable
from functools import partial
from typing import Final

from lxml import etree
from openleadr import messaging

from bench.load import Sample
from bench.measure import MeasuredSubject
from bench.messages_20b import EVENTS, INTERVALS, distribution, events_of_openleadr
from bench.processes import Meter
from bench.results import Case, Goal
from bench.workloads.context import WorkloadContext
from openadr_profiles.v20b import messages as m
from openadr_profiles.v20b.reading import read
from openadr_profiles.v20b.schemas import schema
from openadr_profiles.v20b.writing import KeptIntervals, write

_FASTER: Final = 1.5
_OPENLEADR: Final = "openleadr"
_BARE: Final = "bare lxml"
_PARSER: Final = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)


async def read_and_written(context: WorkloadContext) -> None:
    """Measure: reading and writing take at most two thirds of the time that openleadr takes."""
    for name, message in (("poll", m.Poll(ven_id="VEN-1")), (f"{EVENTS} events of {INTERVALS}", distribution())):
        body = write(message)
        await _keep(
            context,
            f"read {name}",
            partial(read, body),
            {_OPENLEADR: partial(_read_by_openleadr, body), _BARE: partial(_read_bare, body)},
        )
    answer = m.Response(response=m.EiResponse(code="200", description="OK"), ven_id="VEN-1")
    content = {"response_code": 200, "response_description": "OK", "request_id": ""}
    await _keep(
        context,
        "write answer",
        lambda: write(answer),
        {_OPENLEADR: lambda: messaging.create_message("oadrResponse", response=content, ven_id="VEN-1")},
    )
    fresh, told = distribution(), distribution(KeptIntervals)
    their_events = events_of_openleadr()

    def make() -> None:
        messaging.create_message("oadrDistributeEvent", request_id="r", vtn_id="VTN", events=their_events)

    size = f"{EVENTS} events of {INTERVALS}"
    await _keep(context, f"write {size}", lambda: write(fresh), {_OPENLEADR: make})
    await _keep(context, f"write {size}, to a further VEN", lambda: write(told), {_OPENLEADR: make})


def _read_bare(body: bytes) -> None:
    schema().assertValid(etree.fromstring(body, _PARSER))


def _read_by_openleadr(body: bytes) -> None:
    messaging.validate_xml_schema(body)
    messaging.parse_message(body)


async def _keep(
    context: WorkloadContext, name: str, ours: Callable[[], object], others: dict[str, Callable[[], object]]
) -> None:
    subjects = [_subject("ours", ours), *(_subject(other, call) for other, call in others.items())]
    series, *references = await context.compare(*subjects)

    def goals(case: Case) -> tuple[Goal, ...]:
        return (Goal(f"{case.title}: rate beside openleadr's", case.ratios[_OPENLEADR], _FASTER),)

    context.keep("v20b-messages", name, series, *references, connections=1, goals=goals)


def _subject(name: str, call: Callable[[], object]) -> MeasuredSubject:
    async def run(seconds: float) -> Sample:
        taken_s, began = array("d"), time.perf_counter()
        before = began
        while before - began < seconds:
            call()
            after = time.perf_counter()
            taken_s.append(after - before)
            before = after
        return Sample(before - began, taken_s)

    return MeasuredSubject(name, run, Meter(os.getpid()))
