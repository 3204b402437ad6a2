"""One module per workload; ``WORKLOADS`` names them as they are called on the command line."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from bench.workloads import events, fleet, large, memory, poll, reports, search, start, token, tokens
from bench.workloads.context import WorkloadContext

WORKLOADS: Final[Mapping[str, Callable[[WorkloadContext], Awaitable[None]]]] = {
    "poll-ven": poll.as_ven,
    "poll-bl": poll.as_business_logic,
    "reports": reports.by_ven,
    "search": search.of_reports,
    "events": events.by_business_logic,
    "token": token.for_clients,
    "tokens": tokens.of_a_fleet,
    "memory": memory.of_a_worker,
    "fleet": fleet.that_reports,
    "start": start.of_programs,
    "large": large.of_reports,
}
