"""All events: as a list that is searched, and as lanes of a day or a week for each program."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Final

from aiohttp import web

from vtn.console.event_words import STATE_KINDS, asked_in_short, per_ven_kw
from vtn.console.lanes import TimeWindow, lanes
from vtn.console.pages.asked import chosen, text_of
from vtn.console.routes import ConsoleRoute
from vtn.console.visit import Visit
from vtn.errors import Malformed
from vtn.store.console.events import ConsoleEvents, EventPhase, EventSearch, EventSort

_PROGRAMS: Final = 200
_IN_LANES: Final = 500
_FIRST_YEAR: Final = 1971
_LAST_YEAR: Final = 9000


async def show(visit: Visit) -> web.StreamResponse:
    """Show a part of all events, of those in a state, of a program, or with a text in their names."""
    events = visit.console.store(ConsoleEvents)
    search = EventSearch(
        text=text_of(visit, "search"),
        state=chosen(visit, "state", EventPhase),
        program_id=text_of(visit, "program") or None,
        sort=chosen(visit, "sort", EventSort) or EventSort.START,
    )
    asked = visit.page_asked()
    page = asked.of(await events.search(search, skip=asked.skip, limit=asked.limit))
    return visit.render(
        "events.html",
        page=page,
        search=search,
        states=tuple(EventPhase),
        sorts=tuple(EventSort),
        counts=await events.counts(),
        programs=await events.program_names(limit=_PROGRAMS),
        summaries=await visit.console.stores.facts.summaries([event.id for event in page.items]),
        kinds=STATE_KINDS,
        asked=asked_in_short,
        per_ven_kw=per_ven_kw,
    )


async def show_lanes(visit: Visit) -> web.StreamResponse:
    """Show the events of a day or a week, a lane for each program."""
    days = {"day": 1, "week": 7}.get(visit.query("span", "day"))
    if days is None:
        raise Malformed("span: expected day or week")
    today = visit.now.astimezone(visit.zone).date()
    first = _day(visit.query("day"), today)
    if days == 7:
        first -= timedelta(days=first.weekday())
    window = TimeWindow.day(first, visit.zone, days)
    events = visit.console.store(ConsoleEvents)
    program_id = text_of(visit, "program") or None
    found = await events.between(window.since, window.until, program_id=program_id, limit=_IN_LANES + 1)
    return visit.render(
        "event_lanes.html",
        window=window,
        lanes=lanes(found[:_IN_LANES], window),
        more=len(found) > _IN_LANES,
        limit=_IN_LANES,
        span="week" if days == 7 else "day",
        first=first,
        last=first + timedelta(days=days - 1),
        earlier=first - timedelta(days=days),
        later=first + timedelta(days=days),
        today=today,
        program=program_id,
        programs=await events.program_names(limit=_PROGRAMS),
        asked=asked_in_short,
    )


def _day(text: str, today: date) -> date:
    if not text:
        return today
    try:
        found = date.fromisoformat(text)
    except ValueError:
        raise Malformed("day: expected a date as 2026-01-31") from None
    if not _FIRST_YEAR <= found.year <= _LAST_YEAR:
        raise Malformed(f"day: expected a year from {_FIRST_YEAR} to {_LAST_YEAR}")
    return found


ROUTES = (
    ConsoleRoute("GET", "/events", show, name="events", nav="Events"),
    ConsoleRoute("GET", "/events/lanes", show_lanes, name="event_lanes", title="Events by program"),
)
