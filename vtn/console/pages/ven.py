"""The page of one VEN, or of a panel behind a bridge: what it is, what it draws, what it answered, and acts on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from aiohttp import web
from msgspec import field

from openadr_profiles.v31 import IntervalPeriod, decode
from openadr_profiles.v31.common import Wire
from vtn.access import DEFAULT_SCOPES, Caller
from vtn.access import Role as ClientRole
from vtn.auth.clients import Client
from vtn.console.pages.fleet import rules
from vtn.console.routes import ConsoleRoute
from vtn.console.visit import Visit
from vtn.errors import NotFound
from vtn.store.console.fleet import FleetStore
from vtn.store.console.fleet_rows import FleetQuery, FleetRow
from vtn.store.console.ven import AnswerOfVen, VenFactStore
from vtn.store.large import Large
from vtn.store.query import EventQuery, Page
from vtn.store.rows import ObjectRow

_EVENTS: Final = (20, 5, 1)
"""So many events are shown, or fewer where they are very large."""
_MOST_PANELS: Final = 200


class _EventWords(Wire, frozen=True, kw_only=True):
    event_name: str | None = field(name="eventName", default=None)
    interval_period: IntervalPeriod | None = field(name="intervalPeriod", default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class EventSeen:
    """An event that a VEN sees, and what it answered."""

    id: str
    name: str | None
    starts_at: datetime | None
    created_at: datetime
    answer: AnswerOfVen | None


async def show(visit: Visit) -> web.StreamResponse:
    """Show one VEN or, with the query ``panel``, a panel behind it; raises NotFound."""
    await visit.console.contacts.store()  # what this process has heard and not stored yet
    row, panels = await found(visit)
    panel = visit.query("panel")[:128] or None
    if panel is not None:
        row = next((each for each in panels if each.panel == panel), None) or _no_panel(panel)
    facts, asked = visit.console.store(VenFactStore), visit.page_asked(default_size=100)
    resources = await facts.resources(row.ven_id, panel=panel, skip=asked.skip, limit=asked.limit)
    client = await visit.console.clients.get(row.client_id)
    of_20b = await visit.console.stores.v20b.listing.of(row.ven_id)
    return visit.render(
        "ven.html",
        row=row,
        panels=[] if panel else panels,
        problems=row.problems(visit.now),
        resources=asked.of(resources),
        events=[] if panel else await events_of(visit, row),
        reports=[] if panel else await facts.reports(row.client_id),
        webhooks=[] if panel else await facts.webhooks(row.client_id),
        client=client,
        client_version=version_of(client),
        of_20b=of_20b[0] if of_20b and not panel else None,
        has_come=await has_come(visit, row),
        gives_tokens=visit.console.settings.auth.gives_tokens,
        known_groups=(await visit.console.store(FleetStore).groups())[:200],
        title=row.name,
    )


async def found(visit: Visit) -> tuple[FleetRow, Sequence[FleetRow]]:
    """Return the VEN that the path names, and the panels behind it; raises NotFound."""
    query = FleetQuery(ven_ids=(visit.path("ven_id").replace("\0", ""),), limit=_MOST_PANELS, **rules(visit))
    page = await visit.console.store(FleetStore).page(query)
    row = next((each for each in page.rows if each.panel is None), None)
    if row is None:
        raise NotFound("there is no such VEN; it may have been removed")
    return row, [each for each in page.rows if each.panel is not None]


async def has_come(visit: Visit, row: FleetRow) -> bool:
    """Return True once a VEN was heard of: here, or by another process as soon as it has stored something."""
    if row.heard_at is not None or visit.console.contacts.has_heard(row.client_id):
        return True
    return await visit.console.store(VenFactStore).has_come(row.ven_id)


async def events_of(visit: Visit, row: FleetRow) -> list[EventSeen]:
    """Return the newest events that a VEN sees, with what it answered."""
    caller = Caller(row.client_id, ClientRole.VEN, DEFAULT_SCOPES[ClientRole.VEN])
    events: Sequence[ObjectRow] = ()
    for limit in _EVENTS:
        read = await visit.console.stores.events.search(EventQuery(page=Page(limit=limit)), visible_to=caller)
        if not isinstance(read, Large):
            events = read
            break
    answers = await visit.console.store(VenFactStore).answers(row.client_id, [event.id for event in events])
    return [_seen(event, answers.get(event.id)) for event in events]


def version_of(client: Client | None) -> str:
    """Return what tells whether the secret of a client has been changed since a page was shown."""
    if client is None:
        return ""
    at: datetime = client.tokens_valid_from or client.created_at
    return at.isoformat()


def _seen(event: ObjectRow, answer: AnswerOfVen | None) -> EventSeen:
    words = decode(f"{{{event.members}}}", _EventWords)
    start = None if words.interval_period is None else words.interval_period.start
    return EventSeen(
        id=event.id,
        name=words.event_name,
        starts_at=None if start is None else start.at,
        created_at=datetime.fromisoformat(event.created_at),
        answer=answer,
    )


def _no_panel(panel: str) -> FleetRow:
    raise NotFound(f"there is no panel {panel} behind this VEN")


ROUTES = (ConsoleRoute("GET", "/fleet/vens/{ven_id}", show, name="ven", title="VEN"),)
