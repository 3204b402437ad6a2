"""(e): ``POST /auth/token``, and what it does to those who poll meanwhile.

A fleet of 10,000 VENs whose tokens hold an hour asks 2.8 times a second: that is the load the goal is about. How much
a client that asks without pause takes from the others is shown beside it.
"""

from __future__ import annotations

import asyncio
from typing import Final
from urllib.parse import urlencode

from bench.load import Sample, load
from bench.measure import MeasuredSubject
from bench.results import Case, Goal
from bench.vtn import BenchCredentials
from bench.wire import request
from bench.workloads.context import WorkloadContext, always, bearer, http_subject
from bench.workloads.poll import ASK, CONNECTIONS

_AT_ONCE: Final = (1, 4)
_STORED_EVENTS: Final = 1000
_FLEET: Final = 10_000
_LIFETIME_S: Final = 3600
_LEFT: Final = 0.9


async def for_clients(context: WorkloadContext) -> None:
    """(e)"""
    credentials = context.vtn.credentials
    if credentials is None:
        context.skip("token", "no client secret was given")
        return
    await context.vtn.hold_events(min(_STORED_EVENTS, max(context.events)))
    ask = _ask(context, credentials)
    for connections in _AT_ONCE:
        (series,) = await context.compare(
            http_subject(
                "VTN", context.vtn.address, context.vtn.meter, always(ask), connections=connections, expect=200
            )
        )
        context.keep("token", "issued", series, connections=connections)
    poll = always(request(context.vtn.address, "GET", ASK, headers=bearer(context.vtn.ven)))
    alone = http_subject(
        "polls alone", context.vtn.address, context.vtn.meter, poll, connections=CONNECTIONS, expect=200
    )
    rate = _FLEET / _LIFETIME_S

    def besides(name: str, per_second: float | None) -> MeasuredSubject:
        async def run(seconds: float) -> Sample:
            tokens = load(
                context.vtn.address, always(ask), connections=1, seconds=seconds, expect=200, per_second=per_second
            )
            polled, _ = await asyncio.gather(alone.run(seconds), tokens)
            return polled

        return MeasuredSubject(name, run, context.vtn.meter)

    reference, paced, flooded = await context.compare(alone, besides("VTN", rate), besides("VTN", None))
    context.keep("token", f"polls beside {rate:.1f} tokens/s", paced, reference, connections=CONNECTIONS, goals=_goals)
    context.keep("token", "polls beside tokens without pause", flooded, reference, connections=CONNECTIONS)


def _ask(context: WorkloadContext, credentials: BenchCredentials) -> bytes:
    form = {
        "grant_type": "client_credentials",
        "client_id": credentials.client_id,
        "client_secret": credentials.secret,
    }
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    return request(context.vtn.address, "POST", "/auth/token", headers=headers, body=urlencode(form).encode())


def _goals(case: Case) -> tuple[Goal, ...]:
    return (Goal(f"{case.title}: part of the rate without", next(iter(case.ratios.values())), _LEFT),)
