"""One module per workload; ``WORKLOADS`` names them as they are called on the command line."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from bench.workloads import (
    bridge,
    console,
    events,
    fleet,
    large,
    memory,
    messages,
    mqtt,
    performance,
    poll,
    poll_301,
    reports,
    search,
    start,
    token,
    tokens,
    v20b_messages,
    v20b_poll,
    ven,
    ven_lives,
    ven_plan,
    webhooks,
    websockets,
)
from bench.workloads.context import WorkloadContext

WORKLOADS: Final[Mapping[str, Callable[[WorkloadContext], Awaitable[None]]]] = {
    "poll-ven": poll.as_ven,
    "poll-bl": poll.as_business_logic,
    "poll-301": poll_301.as_ven,
    "reports": reports.by_ven,
    "search": search.of_reports,
    "console": console.of_every_page,
    "performance": performance.of_an_event,
    "events": events.by_business_logic,
    "token": token.for_clients,
    "tokens": tokens.of_a_fleet,
    "memory": memory.of_a_worker,
    "fleet": fleet.that_reports,
    "start": start.of_programs,
    "large": large.of_reports,
    "mqtt": mqtt.to_a_fleet,
    "webhooks": webhooks.to_endpoints,
    "websockets": websockets.that_wait,
    "messages": messages.for_hours,
    "v20b-messages": v20b_messages.read_and_written,
    "v20b-poll": v20b_poll.of_a_fleet,
    "ven-idle": ven.that_is_idle,
    "ven-large": ven.with_a_large_event,
    "ven-page": ven.that_is_looked_at,
    "ven-start": ven.at_a_start,
    "ven-push": ven.that_is_told,
    "ven-plan": ven_plan.of_a_panel,
    "ven-month": ven_lives.for_a_month,
    "ven-year": ven_lives.for_a_year,
    "bridge-dispatch": bridge.that_dispatches,
    "bridge-many-events": bridge.with_many_events,
    "bridge-metering": bridge.that_meters,
}
