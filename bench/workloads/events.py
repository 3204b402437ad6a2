"""(d): ``POST /events`` with a growing number of vens in the store, then over several connections.

The reference decodes, and inserts one row in a transaction of its own (begin, insert, commit).
"""

from __future__ import annotations

from statistics import median
from typing import Final

from bench.documents import WATCHED, as_bytes, event
from bench.measure import MeasuredSubject
from bench.results import Case, Goal
from bench.wire import Address, request
from bench.workloads.context import Reference, WorkloadContext, bearer, http_subject, in_turn

CONNECTIONS: Final = (1, 16)
_DIFFERENT: Final = 64
_STORED_EVENTS: Final = 1000
_P50_MS: Final = 20.0
_OF_INSERTING: Final = 0.9
_OF_INSERTING_ON_ONE: Final = 3.0
_P99_OF_P50: Final = 3.0


async def by_business_logic(context: WorkloadContext) -> None:
    """(d)"""
    await context.vtn.hold_events(min(_STORED_EVENTS, max(context.events)))
    async with context.reference(database=True) as bare:
        for stored in context.vens:
            await context.vtn.hold_vens(stored)
            last = stored == max(context.vens)
            for connections in CONNECTIONS if last else CONNECTIONS[:1]:
                *references, series = await context.compare(*_subjects(context, bare, connections))
                context.keep(
                    "events",
                    "24 intervals",
                    series,
                    *references,
                    connections=connections,
                    stored=(stored, "vens"),
                    goals=_goals if last else None,
                )


def _subjects(context: WorkloadContext, bare: Reference, connections: int) -> list[MeasuredSubject]:
    """Return the references, with as many connections and with one, and the VTN."""
    targets = (WATCHED, "feeder-1")
    bodies = [as_bytes(event(context.vtn.program_id, targets, number)) for number in range(_DIFFERENT)]
    headers = {**bearer(context.vtn.bl), "Content-Type": "application/json"}

    def posts(address: Address, target: str) -> list[bytes]:
        return [request(address, "POST", target, headers=headers, body=body) for body in bodies]

    def inserting(name: str, at_once: int) -> MeasuredSubject:
        requests = in_turn(posts(bare.address, "/insert/events"))
        return http_subject(name, bare.address, bare.meter, requests, connections=at_once, expect=201)

    requests = in_turn(posts(context.vtn.address, "/events"))
    vtn = http_subject("VTN", context.vtn.address, context.vtn.meter, requests, connections=connections, expect=201)
    each = inserting("insert each", connections)
    return [each, vtn] if connections == 1 else [each, inserting("insert each on 1", 1), vtn]


def _goals(case: Case) -> tuple[Goal, ...]:
    p50_ms, p99_ms = median(case.series.p50_ms), median(case.series.p99_ms)
    common = (
        Goal(f"{case.title}: p50 in ms", p50_ms, _P50_MS, at_most=True),
        Goal(f"{case.title}: p99 as a multiple of p50", p99_ms / p50_ms, _P99_OF_P50, at_most=True),
    )
    ratios = list(case.ratios.values())
    if case.connections == 1:
        return (Goal(f"{case.title}: part of the rate of inserting each", ratios[0], _OF_INSERTING), *common)
    wanted = Goal(f"{case.title}: times the rate of inserting each on 1 connection", ratios[1], _OF_INSERTING_ON_ONE)
    return (wanted, *common)
