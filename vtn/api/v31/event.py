"""Events: /events (M06 … M10)."""

from openadr_profiles.v31 import EventRequest, ObjectType
from vtn.access import READ_TARGETED, WRITE_EVENTS
from vtn.api.collection import CollectionHandlers, Route, body_of
from vtn.api.payload_values import PayloadValues
from vtn.api.query import Query
from vtn.api.v31.render import Renderer
from vtn.cache.responses import ResponseCache
from vtn.store.event import EventStore
from vtn.store.query import EventQuery


def routes(store: EventStore, cache: ResponseCache, values: PayloadValues) -> tuple[Route, ...]:
    """Return the routes of events."""
    events = CollectionHandlers(
        "events", store, Renderer(ObjectType.EVENT), cache, query=_query, body=values.checked(body_of(EventRequest))
    )
    return events.routes(read=READ_TARGETED, create=WRITE_EVENTS, replace=WRITE_EVENTS, delete=WRITE_EVENTS)


def _query(query: Query) -> EventQuery:
    return EventQuery(
        page=query.page(),
        targets=query.texts("targets"),
        program_id=query.object_id("programID"),
        active=query.flag("active"),
    )
