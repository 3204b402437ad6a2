"""The first page: which events hold and come next, how far they got, and how the fleet is."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from aiohttp import web

from vtn.console.event_words import STATE_KINDS, asked_in_short, due_s
from vtn.console.lanes import TimeWindow, strip
from vtn.console.routes import ConsoleRoute
from vtn.console.visit import Visit
from vtn.store.console.events import ConsoleEvents
from vtn.store.console.now import ConsoleNow
from vtn.store.facts.fleet import ONLINE, RECENT

_BEFORE: Final = timedelta(hours=6)
_AFTER: Final = timedelta(hours=18)
_LISTED: Final = 10
_IN_STRIP: Final = 200
_ALARMS: Final = 5


async def show(visit: Visit) -> web.StreamResponse:
    """Show what happens at the moment."""
    events, facts = visit.console.store(ConsoleEvents), visit.console.stores.facts
    active, following = await events.active_and_next(limit=_LISTED + 1)
    summaries = await facts.summaries([event.id for event in (*active[:_LISTED], *following[:_LISTED])])
    window = TimeWindow(visit.now - _BEFORE, visit.now + _AFTER, visit.zone)
    around = await events.between(window.since, window.until, limit=_IN_STRIP)
    return visit.render(
        "now.html",
        active=active[:_LISTED],
        following=following[:_LISTED],
        more_active=len(active) > _LISTED,
        more_following=len(following) > _LISTED,
        summaries=summaries,
        counts=await events.counts(),
        fleet=await facts.fleet_now(),
        alarms=await visit.console.store(ConsoleNow).alarms(limit=_ALARMS + 1),
        alarms_shown=_ALARMS,
        online_within=ONLINE,
        read_within=RECENT,
        window=window,
        due_s=due_s((*active, *following), visit.now),
        lane=strip(around, window),
        kinds=STATE_KINDS,
        asked=asked_in_short,
    )


ROUTES = (ConsoleRoute("GET", "/", show, name="now", nav="Now"),)
