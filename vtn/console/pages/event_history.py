"""Tell what was written about an event: its versions, who was told of them, and the reports on it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from aiohttp import web

from openadr_profiles.fleet.asking import outline
from openadr_profiles.fleet.differences import Difference, differences
from openadr_profiles.v31 import Event, Program
from vtn.console.pages.event import event_asked, head_of
from vtn.console.routes import ConsoleRoute
from vtn.console.visit import Visit
from vtn.store.console.event import ConsoleEvent
from vtn.store.console.events import ConsoleEvents, ListedEvent
from vtn.store.event_versions import EventVersion, EventVersionStore

_VENS_20B: Final = 100


async def show_versions(visit: Visit) -> web.StreamResponse:
    """Show the versions of the event, the present one first, and what each changed."""
    event = await event_asked(visit)
    versions = await visit.console.store(EventVersionStore).of(event.id)
    programs = await visit.console.store(ConsoleEvents).programs(
        {version.event.program_id for version in versions if version.event is not None}
    )
    return visit.render(
        "event_versions.html",
        **head_of(visit, event),
        versions=versions,
        told=list(zip(versions, _changes(visit, event, versions, programs), strict=True)),
        summaries={
            each.number: outline(_dated(each, event), visit.now, program=programs.get(each.event.program_id)).summary
            for each in versions
            if each.event is not None
        },
        is_cut=bool(versions) and versions[0].number > len(versions),
    )


def _changes(
    visit: Visit, event: ListedEvent, versions: Sequence[EventVersion], programs: dict[str, Program]
) -> list[Sequence[Difference] | None]:
    """Return what each version changed; None for the first, and where one of the two is not kept."""
    found: list[Sequence[Difference] | None] = []
    for later, earlier in pairwise(versions):
        is_known = later.event is not None and earlier.event is not None and later.number == earlier.number + 1
        before, after = (_dated(earlier, event), _dated(later, event)) if is_known else (None, None)
        found.append(
            None if before is None or after is None else differences(before, after, zone=visit.zone, programs=programs)
        )
    return [*found, None] if versions else []


def _dated(version: EventVersion, event: ListedEvent) -> Event:
    """Return a version as the event that it was; its text must be kept."""
    if version.event is None:
        raise ValueError("the text of this version is not kept")
    members = {name: getattr(version.event, name) for name in version.event.__struct_fields__}
    return Event(**members, id=event.id, created_date_time=event.created_at, modification_date_time=version.made_at)


async def show_told(visit: Visit) -> web.StreamResponse:
    """Show who was notified of the event, by which channel and when."""
    event = await event_asked(visit)
    asked, store = visit.page_asked(), visit.console.store(ConsoleEvent)
    told_20b = await store.told_20b(event.id, skip=0, limit=_VENS_20B + 1)
    return visit.render(
        "event_told.html",
        **head_of(visit, event),
        page=asked.of(await store.told(event.id, skip=asked.skip, limit=asked.limit)),
        told_20b=told_20b[:_VENS_20B],
        more_20b=len(told_20b) > _VENS_20B,
        no_form_20b=await store.no_form_20b(event.id),
    )


async def show_reports(visit: Visit) -> web.StreamResponse:
    """Show the reports on the event."""
    event = await event_asked(visit)
    asked, store = visit.page_asked(), visit.console.store(ConsoleEvent)
    page = asked.of(await store.reports(event.id, skip=asked.skip, limit=asked.limit))
    return visit.render("event_reports.html", **head_of(visit, event), page=page)


ROUTES = (
    ConsoleRoute("GET", "/events/{event_id}/versions", show_versions, name="event_versions", title="Versions"),
    ConsoleRoute("GET", "/events/{event_id}/told", show_told, name="event_told", title="Deliveries"),
    ConsoleRoute("GET", "/events/{event_id}/reports", show_reports, name="event_reports", title="Reports"),
)
