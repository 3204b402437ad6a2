"""Pages of the console, one after the other, with 10,000 VENs and 1,000 events: p95 of the time until one is there.

Each is asked for by one person who has signed in; what a browser keeps (scripts, styles) is left out.
"""

from __future__ import annotations

import json
import time
from array import array
from collections.abc import Callable
from typing import Final, TypeAlias

from bench.api import session
from bench.errors import WrongAnswer
from bench.load import Sample
from bench.measure import Series, percentile
from bench.results import Case, Goal
from bench.workloads.context import WorkloadContext

_Goals: TypeAlias = Callable[[Case], tuple[Goal, ...]]

_VENS: Final = 10_000
_EVENTS: Final = 1_000
_VISITS: Final = 20
_MS: Final = 300.0
_KB: Final = 100.0
_PAGES: Final = {
    "Now": "",
    "Events": "/events",
    "Events by day": "/events/lanes",
    "Event": "/events/{event}",
    "Participants": "/events/{event}/participants",
    "New event": "/events/new",
    "Fleet": "/fleet",
    "Fleet, last page": "/fleet?page=200",
    "Programs": "/programs",
    "Reports": "/reports",
    "Deliveries": "/deliveries",
    "Alarms": "/alarms",
    "Settings": "/settings",
    "Audit": "/audit",
}


async def of_every_page(context: WorkloadContext) -> None:
    """Answer each page within 300 ms, with at most 100 kB packed."""
    vtn = context.vtn
    vens, events = min(_VENS, max(context.vens)), min(_EVENTS, max(context.events))
    await vtn.hold_events(events)
    await vtn.hold_vens(vens)
    cookie = await vtn.console_session()
    if cookie is None or vtn.meter is None:
        context.skip("console", "it makes a user in our own database")
        return
    event = json.loads((await vtn.bl.read("/events?limit=1")).body)[0]["id"]
    root = f"http://{vtn.address.host}:{vtn.address.port}/console"
    async with session() as http:
        for name, path in _PAGES.items():
            series, slowest, body = Series("VTN"), [], b""
            for _ in range(context.rounds):
                cpu, began, latencies = vtn.meter.cpu_s(), time.perf_counter(), array("d")
                for _ in range(_VISITS):
                    at = time.perf_counter()
                    async with http.get(root + path.format(event=event), headers={"Cookie": cookie}) as answer:
                        body = await answer.read()
                    latencies.append(time.perf_counter() - at)
                    if answer.status != 200 or answer.url.path.endswith("/login"):
                        raise WrongAnswer(f"{path} answered {answer.status}")
                series.add(
                    Sample(time.perf_counter() - began, latencies),
                    cpu_s=vtn.meter.cpu_s() - cpu,
                    rss_mb=vtn.meter.rss_mb(),
                )
                slowest.append(percentile(latencies, 95) * 1000)
            size_kb = len(body) / 1000  # as it came, packed
            context.keep(
                "console",
                f"{name}, {vens:,} VENs, {events:,} events ({size_kb:.0f} kB packed)",
                series,
                connections=1,
                goals=_goals(min(slowest), size_kb),
            )


def _goals(p95_ms: float, size_kb: float) -> _Goals:
    def goals(case: Case) -> tuple[Goal, ...]:
        return (
            Goal(f"{case.title}: p95 in ms", p95_ms, _MS, at_most=True),
            Goal(f"{case.title}: kB packed", size_kb, _KB, at_most=True),
        )

    return goals
