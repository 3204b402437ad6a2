"""(c): ``POST /reports`` of 96 intervals over a growing number of connections, each answered once it is on disk.

The references decode the same bodies and answer with them. One stores nothing; one stores each report in a transaction
of its own (begin, insert, commit), which the goal is about; one does so with a single statement, the least that can be
asked of the database for each report.
"""

from __future__ import annotations

from typing import Final

import msgspec

from bench.documents import as_bytes, report
from bench.errors import Unusable
from bench.measure import MeasuredSubject
from bench.results import Case, Goal
from bench.wire import Address, request
from bench.workloads.context import WorkloadContext, bearer, http_subject, in_turn
from bench.workloads.poll import ASK

CONNECTIONS: Final = (1, 16, 64)
_DIFFERENT: Final = 64
_STORED_EVENTS: Final = 1000
_OF_DECODING: Final = 0.4
_OF_INSERTING: Final = 2.5


async def by_ven(context: WorkloadContext) -> None:
    """(c)"""
    await context.vtn.hold_events(min(_STORED_EVENTS, max(context.events)))
    seen = msgspec.json.decode((await context.vtn.ven.read(ASK)).body)
    if not seen:
        raise Unusable("the VEN sees no event that it could report on")
    bodies = [as_bytes(report(seen[0]["id"], number)) for number in range(_DIFFERENT)]
    headers = {**bearer(context.vtn.ven), "Content-Type": "application/json"}

    def posts(address: Address, target: str) -> list[bytes]:
        return [request(address, "POST", target, headers=headers, body=body) for body in bodies]

    async with context.reference(database=True) as bare:
        for connections in CONNECTIONS:

            def bare_subject(name: str, target: str, at_once: int = connections) -> MeasuredSubject:
                requests = in_turn(posts(bare.address, target))
                return http_subject(name, bare.address, bare.meter, requests, connections=at_once, expect=201)

            decoding, inserting, at_once, series = await context.compare(
                bare_subject("decode only", "/decode/reports"),
                bare_subject("insert each", "/insert/reports"),
                bare_subject("one statement each", "/insert-at-once/reports"),
                http_subject(
                    "VTN",
                    context.vtn.address,
                    context.vtn.meter,
                    in_turn(posts(context.vtn.address, "/reports")),
                    connections=connections,
                    expect=201,
                ),
            )
            context.keep(
                "reports", "96 intervals", series, decoding, inserting, at_once, connections=connections, goals=_goals
            )


def _goals(case: Case) -> tuple[Goal, ...]:
    if case.connections != max(CONNECTIONS):
        return ()
    decoding, inserting, _ = case.ratios.values()
    return (
        Goal(f"{case.title}: part of the rate of decoding only", decoding, _OF_DECODING),
        Goal(f"{case.title}: times the rate of inserting each", inserting, _OF_INSERTING),
    )
