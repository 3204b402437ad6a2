"""(d): ``POST /events`` with a growing number of vens in the store. The reference decodes, and inserts one row."""

from __future__ import annotations

from statistics import median
from typing import Final

from bench.documents import WATCHED, as_bytes, event
from bench.results import Case, Goal
from bench.wire import Address, request
from bench.workloads.context import WorkloadContext, bearer, http_subject, in_turn

CONNECTIONS: Final = 1
_DIFFERENT: Final = 64
_STORED_EVENTS: Final = 1000
_P50_MS: Final = 20.0


async def by_business_logic(context: WorkloadContext) -> None:
    """(d)"""
    await context.vtn.hold_events(min(_STORED_EVENTS, max(context.events)))
    targets = (WATCHED, "feeder-1")
    bodies = [as_bytes(event(context.vtn.program_id, targets, number)) for number in range(_DIFFERENT)]
    headers = {**bearer(context.vtn.bl), "Content-Type": "application/json"}

    def posts(address: Address, target: str) -> list[bytes]:
        return [request(address, "POST", target, headers=headers, body=body) for body in bodies]

    async with context.reference(database=True) as bare:
        for stored in context.vens:
            await context.vtn.hold_vens(stored)
            reference, series = await context.compare(
                http_subject(
                    "insert each",
                    bare.address,
                    bare.meter,
                    in_turn(posts(bare.address, "/insert/events")),
                    connections=CONNECTIONS,
                    expect=201,
                ),
                http_subject(
                    "VTN",
                    context.vtn.address,
                    context.vtn.meter,
                    in_turn(posts(context.vtn.address, "/events")),
                    connections=CONNECTIONS,
                    expect=201,
                ),
            )
            goals = _goals if stored == max(context.vens) else None
            context.keep(
                "events",
                "24 intervals",
                series,
                reference,
                connections=CONNECTIONS,
                stored=(stored, "vens"),
                goals=goals,
            )


def _goals(case: Case) -> tuple[Goal, ...]:
    return (Goal(f"{case.title}: p50 in ms", median(case.series.p50_ms), _P50_MS, at_most=True),)
