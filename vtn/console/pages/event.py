"""One event: what was asked, how far it got and its curve, its participants and their circuits, files and paper."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from aiohttp import hdrs, web

from openadr_pages.filters import shown
from openadr_pages.headers import PRIVATE, SECURITY
from openadr_profiles.fleet.asking import MOST_INTERVALS, asked_intervals, outline
from openadr_profiles.fleet.precedence import overriding
from openadr_profiles.v31 import Event
from vtn.console.curves import chart, curve_csv, drawing
from vtn.console.event_words import (
    STATE_KINDS,
    STEP_WORDS,
    asked_in_short,
    circuit_state,
    due_s,
    participants_csv,
    spared,
    steps_of,
    why_not,
)
from vtn.console.pages.asked import chosen, id_of, text_of
from vtn.console.pages.event_acts import acts_of
from vtn.console.routes import ConsoleRoute
from vtn.console.visit import CSV, Visit
from vtn.store.console.event import ConsoleEvent
from vtn.store.console.events import EventPhase, ListedEvent
from vtn.store.facts.results import FactsPage, FunnelStep, ParticipantFacts, ParticipantOrder

_IN_FILE_AT_ONCE: Final = 1000
_ON_PAPER: Final = 1000
_PLACE: Final = re.compile(r"circuits-(\d{1,3})(?:-open)?")


async def show(visit: Visit) -> web.StreamResponse:
    """Show what was asked of whom, how far it got, and what took its place."""
    event = await event_asked(visit)
    facts = visit.console.stores.facts
    funnel = await facts.funnel(event.id, at=visit.now)
    above, below = await _precedence(visit, event)
    return visit.render(
        "event.html",
        **head_of(visit, event),
        funnel=funnel,
        steps=steps_of(funnel, lambda step: visit.url("event_participants", event_id=event.id, step=step)),
        above=above,
        below=below,
        due_s=due_s([event], visit.now),
        no_form_20b=await visit.console.store(ConsoleEvent).no_form_20b(event.id),
        acts=acts_of(visit, event.id) if event.state in {EventPhase.SCHEDULED, EventPhase.ACTIVE} else (),
    )


async def show_participants(visit: Visit) -> web.StreamResponse:
    """Show a part of the participants, or of those who took a step or did not."""
    event = await event_asked(visit)
    asked = visit.page_asked()
    step = chosen(visit, "step", FunnelStep) or FunnelStep.TARGETED
    order = chosen(visit, "order", ParticipantOrder) or ParticipantOrder.NAME
    search = text_of(visit, "search")
    found = await visit.console.stores.facts.participants(
        event.id, step=step, search=search or None, order=order, skip=asked.skip, limit=asked.size, at=visit.now
    )
    return visit.render(
        "event_participants.html",
        **head_of(visit, event),
        page=asked.of(_and_one(found)),
        step=step,
        order=order,
        search=search,
        steps=STEP_WORDS,
        orders=tuple(ParticipantOrder),
        why_not=why_not,
    )


async def show_circuits(visit: Visit) -> web.StreamResponse:
    """Show the circuits of one participant; a script gets the table alone, to put it below the participant's row."""
    event = await event_asked(visit)
    client_id, panel = text_of(visit, "client"), text_of(visit, "panel") or None
    circuits = await visit.console.stores.facts.circuits(event.id, client_id, panel, at=visit.now)
    critical = await visit.console.store(ConsoleEvent).critical_resources(
        client_id, [each.resource for each in circuits]
    )
    place = _PLACE.fullmatch(visit.request.headers.get("HX-Target", ""))
    alone = visit.request.headers.get("HX-Request") == "true" and place is not None
    return visit.render(
        "event_circuits_part.html" if alone else "event_circuits.html",
        **head_of(visit, event),
        circuits=circuits,
        critical=critical,
        client_id=client_id,
        panel=panel,
        ven_id=text_of(visit, "ven"),
        part_id=f"circuits-{place[1]}-open" if alone and place is not None else None,
        state_of=circuit_state,
        spared=spared,
    )


async def send_curve(visit: Visit) -> web.StreamResponse:
    """Send the curve as the chart reads it."""
    event = await event_asked(visit)
    points = await visit.console.stores.facts.curve(event.id)
    start, end = _planned(event, visit.now)
    name = event.name or "event"
    return _file(visit, chart(points, start=start, end=end, now=visit.now, zone=visit.zone, name=name))


async def send_curve_csv(visit: Visit) -> web.StreamResponse:
    """Send the curve as a file."""
    event = await event_asked(visit)
    points = await visit.console.stores.facts.curve(event.id)
    return _csv_file(f"curve-{event.id}.csv", curve_csv(points, visit.zone))


async def send_participants_csv(visit: Visit) -> web.StreamResponse:
    """Send all participants as a file, some at a time."""
    event = await event_asked(visit)
    facts = visit.console.stores.facts
    step = chosen(visit, "step", FunnelStep) or FunnelStep.TARGETED

    async def pieces() -> AsyncGenerator[bytes, None]:
        skip, found = 0, await facts.participants(event.id, step=step, limit=_IN_FILE_AT_ONCE, at=visit.now)
        yield participants_csv(found.items, visit.now).encode()
        while found.more:
            skip += _IN_FILE_AT_ONCE
            found = await facts.participants(event.id, step=step, skip=skip, limit=_IN_FILE_AT_ONCE, at=visit.now)
            yield participants_csv(found.items, visit.now, head=False).encode()

    return await visit.send_file(f"participants-{event.id}.csv", CSV, pieces())


async def show_on_paper(visit: Visit) -> web.StreamResponse:
    """Show all of an event on one page for paper, without scripts."""
    event = await event_asked(visit)
    facts = visit.console.stores.facts
    found = await facts.participants(event.id, limit=_ON_PAPER, at=visit.now)
    start, end = _planned(event, visit.now)
    funnel = await facts.funnel(event.id, at=visit.now)
    return visit.render(
        "event_print.html",
        **head_of(visit, event),
        funnel=funnel,
        steps=steps_of(funnel, lambda step: visit.url("event_participants", event_id=event.id, step=step)),
        people=found.items,
        more=found.more,
        limit=_ON_PAPER,
        curve=drawing(await facts.curve(event.id), start=start, end=end),
        why_not=why_not,
    )


async def event_asked(visit: Visit) -> ListedEvent:
    """Return the event that the path names; raises NotFound."""
    return await visit.console.store(ConsoleEvent).get(id_of(visit, "event_id"))


def head_of(visit: Visit, event: ListedEvent) -> dict[str, Any]:
    """Return what the top of every page of an event needs."""
    found = None if event.event is None else outline(event.event, visit.now, program=event.program)
    runs = () if event.event is None else asked_intervals(event.event, program=event.program)
    start, end = _planned(event, visit.now)
    return {
        "title": shown(event.name or f"Event {event.id[:8]}"),
        "event": event,
        "outline": found,
        "runs": runs,
        "most_runs": MOST_INTERVALS,
        "planned_start": start,
        "planned_end": end,
        "kinds": STATE_KINDS,
        "asked": asked_in_short,
    }


def _planned(event: ListedEvent, now: datetime) -> tuple[datetime | None, datetime | None]:
    """Return start and end as issued, also of a cancelled event that keeps its plan."""
    if event.event is None:
        return event.starts_at, event.ends_at
    found = outline(event.event, now)
    return found.start, found.end


@dataclass(frozen=True, slots=True)
class Overlap:
    """Another event that holds at the same time for the same thing, from when to when, and the vens that see both."""

    event: ListedEvent
    start: datetime
    end: datetime | None
    vens: int


async def _precedence(visit: Visit, event: ListedEvent) -> tuple[Sequence[Overlap], Sequence[Overlap]]:
    """Return the events that take this one's place for a while, and those whose place it takes (TIME-036)."""
    if event.event is None:
        return (), ()
    store, settings = visit.console.store(ConsoleEvent), visit.console.settings
    known = {each.id: each for each in await store.others(event)}
    candidates = [each.event for each in known.values() if each.event is not None]
    above = overriding(event.event, candidates)
    below = [(each, *found[0][1:]) for each in candidates if (found := overriding(each, [event.event]))]
    shared = await store.shared_vens(
        event,
        [known[other.id] for other, *_ in (*above, *below)],
        settings.privacy,
        names=settings.v301.name_targets,
    )

    def overlaps(found: Iterable[tuple[Event, datetime, datetime | None]]) -> list[Overlap]:
        return [
            Overlap(known[other.id], start, end, count)
            for other, start, end in found
            if (count := shared.get(other.id, 0))
        ]

    return overlaps(above), overlaps(below)


def _and_one(found: FactsPage[ParticipantFacts]) -> Sequence[ParticipantFacts]:
    """Return the items as a page reads them: one more than fits if there are others behind them."""
    return [*found.items, found.items[-1]] if found.more else found.items


def _file(visit: Visit, content: dict[str, Any]) -> web.Response:
    return web.json_response(content, headers=SECURITY | PRIVATE)


def _csv_file(name: str, text: str) -> web.Response:
    return web.Response(body=text.encode(), headers=_csv_headers(name))


def _csv_headers(name: str) -> dict[str, str]:
    return {
        **SECURITY,
        **PRIVATE,
        hdrs.CONTENT_TYPE: CSV,
        hdrs.CONTENT_DISPOSITION: f'attachment; filename="{name}"',
    }


ROUTES = (
    ConsoleRoute("GET", "/events/{event_id}", show, name="event", title="Event"),
    ConsoleRoute(
        "GET", "/events/{event_id}/participants", show_participants, name="event_participants", title="Participants"
    ),
    ConsoleRoute("GET", "/events/{event_id}/participants.csv", send_participants_csv, name="event_participants_csv"),
    ConsoleRoute("GET", "/events/{event_id}/circuits", show_circuits, name="event_circuits", title="Circuits"),
    ConsoleRoute("GET", "/events/{event_id}/curve", send_curve, name="event_curve"),
    ConsoleRoute("GET", "/events/{event_id}/curve.csv", send_curve_csv, name="event_curve_csv"),
    ConsoleRoute("GET", "/events/{event_id}/print", show_on_paper, name="event_print", title="Event"),
)
