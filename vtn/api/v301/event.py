"""Events: /events."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

from openadr_profiles import v31
from openadr_profiles.v31 import ObjectType
from openadr_profiles.v301 import EventRequest
from vtn.access import READ_TARGETED, WRITE_EVENTS, Caller
from vtn.api.collection import CollectionHandlers, Route
from vtn.api.payload_values import PayloadValues
from vtn.api.query import Query
from vtn.api.v301.face import Face, Rules, read_body
from vtn.api.v301.render import Renderer
from vtn.cache.responses import ResponseCache
from vtn.store.event import EventStore
from vtn.store.query import EventQuery
from vtn.store.rows import ObjectRow, Precondition
from vtn.store.typed_targets import Records


class _Written(NamedTuple):
    core: v31.EventRequest
    records: Records


class _Events(Face[EventQuery]):
    """Events as this version writes them."""

    def __init__(self, events: EventStore, rules: Rules) -> None:
        super().__init__(events, rules)
        self._events = events
        self.was_read = events.was_read
        self.delete = events.delete

    async def create(self, written: _Written, *, by: Caller) -> ObjectRow:
        return await self._events.create(written.core, by=by, records=written.records)

    async def replace(
        self, object_id: str, written: _Written, *, by: Caller, check: Precondition | None = None
    ) -> ObjectRow:
        return await self._events.replace(object_id, written.core, by=by, check=check, records=written.records)


def routes(store: EventStore, cache: ResponseCache, rules: Rules, values: PayloadValues) -> tuple[Route, ...]:
    """Return the routes of events."""

    def body(raw: bytes, caller: Caller) -> _Written:
        written = _Written(*read_body(raw, EventRequest).core())
        values.check(written.core, caller)
        return written

    events = CollectionHandlers(
        "events",
        _Events(store, rules),
        Renderer(ObjectType.EVENT, rules.untyped),
        cache,
        query=partial(_query, rules),
        body=body,
    )
    return events.routes(read=READ_TARGETED, create=WRITE_EVENTS, replace=WRITE_EVENTS, delete=WRITE_EVENTS)


def _query(rules: Rules, query: Query) -> EventQuery:
    return EventQuery(page=query.page(), typed=rules.target_filter(query), program_id=query.object_id("programID"))
