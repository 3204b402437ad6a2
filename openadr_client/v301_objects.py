"""The collections of a VTN that speaks OpenADR 3.0.1: what is asked for otherwise than in 3.1."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeVar
from urllib.parse import quote

import msgspec
import structlog

from openadr_client.clock import Clock
from openadr_client.errors import InvalidRequest, NotFound
from openadr_client.objects import (
    NOT_MODIFIED,
    Collection,
    Collections,
    Events,
    Filters,
    Found,
    NotModified,
    Programs,
    Reports,
    ResourceGroups,
    Resources,
    Send,
    Subscriptions,
    Vens,
)
from openadr_client.v301 import Face301, TypedTarget
from openadr_profiles.v31 import (
    BlResourceRequest,
    BlVenRequest,
    Event,
    Invalid,
    Problem,
    Program,
    Report,
    ReportRequest,
    Resource,
    ResourceGroup,
    Subscription,
    SubscriptionRequest,
    Ven,
    VenResourceRequest,
    VenVenRequest,
    decode,
    lifespan,
)
from openadr_profiles.v31.instant import LATEST

_log = structlog.get_logger(__name__)

K = TypeVar("K")
V = TypeVar("V")

_MOST_REMEMBERED: Final = 20_000
"""Events and resources of which it is remembered what they belong to; of others it is asked."""
_MOST_VENS: Final = 32
"""Vens of which the last poll of resources is kept."""
_NAMES_OF_OTHERS: Final = frozenset({"PROGRAM_NAME", "EVENT_NAME"})
"""Types of targets that name no VEN, and so leave none out."""


def objects_of(send: Send, clock: Clock, face: Face301) -> Collections:
    """Return the collections of a VTN."""
    events = EventsOf301(send, clock, face)
    return Collections(
        programs=Programs(send, "/programs", Program, face),
        events=events,
        reports=ReportsOf301(send, face, events),
        vens=VensOf301(send, face),
        resources=ResourcesOf301(send, face),
        subscriptions=SubscriptionsOf301(send, "/subscriptions", Subscription, face),
        resource_groups=ResourceGroups(send, "/resource_groups", ResourceGroup, face),
    )


class _Remembered(OrderedDict[K, V]):
    """Keep the newest entries."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most

    def __setitem__(self, key: K, value: V) -> None:
        super().__setitem__(key, value)
        if len(self) > self._most:
            self.popitem(last=False)


@dataclass(frozen=True)
class _Addressee:
    """The ven that events are read for."""

    id: str
    name: str
    resources: frozenset[str]
    held: frozenset[str]

    def is_meant(self, event: Event) -> bool:
        """Return True if an event is for everybody or for this ven: 3.0.1 leaves that to the VEN.

        A target names the ven, one of its resources, or something that one of them holds as a target. One of a type
        of its own may be a name too: a VTN whose VENs hold their names matches texts, whatever their type (V301-009).
        """
        naming = [each for each in event.targets or () if _type_of(each) not in _NAMES_OF_OTHERS]
        return not naming or any(map(self._is_named, naming))

    def _is_named(self, target: str) -> bool:
        if _type_of(target) == "VEN_NAME":
            return target == self.name
        if _type_of(target) == "RESOURCE_NAME":
            return target in self.resources
        return target in self.held or target in self.resources or target in {self.id, self.name}


def _type_of(target: str) -> str | None:
    return target.type if isinstance(target, TypedTarget) else None


class EventsOf301(Events):
    """Events. Those that are over are left out here, and for a VEN those of others: 3.0.1 has no filter for it."""

    def __init__(self, send: Send, clock: Clock, face: Face301) -> None:
        super().__init__(send, "/events", Event, face)
        self._clock = clock
        self._addressee: _Addressee | None = None
        self._left_out: _Remembered[str, None] = _Remembered(_MOST_REMEMBERED)
        self._programs: _Remembered[str, str] = _Remembered(_MOST_REMEMBERED)

    def show_to(self, ven: Ven, resources: Iterable[Resource]) -> None:
        """Leave out from now on what is not for this ven."""
        resources = tuple(resources)
        granted = [ven.targets or (), *(each.targets or () for each in resources)]
        held = {str(each) for targets in granted for each in targets}
        names = frozenset(each.resource_name for each in resources)
        addressee = _Addressee(ven.id, ven.ven_name, names, frozenset(held))
        if addressee != self._addressee:
            self._addressee = addressee
            self.forget_polls()

    async def get(self, id_: str) -> Event:
        """Return one event; raises NotFound if there is none for this client."""
        event = await super().get(id_)
        if not self._is_meant(event):
            problem = Problem(title="Not Found", status=404, detail="its targets are those of others")
            raise NotFound(f"GET /events/{id_}: the event is for others", problem=problem)
        return event

    async def search(
        self, *, program_id: str | None = None, targets: Sequence[str] = (), active: bool | None = None
    ) -> Found[Event]:
        """Return all events that are for this client, of all pages; ``active`` leaves out those that are over."""
        return self._chosen(await super().search(program_id=program_id, targets=targets), active)

    async def poll(
        self, *, program_id: str | None = None, targets: Sequence[str] = (), active: bool | None = None
    ) -> Found[Event] | NotModified:
        """Return the same, or NOT_MODIFIED if the VTN shows what the last poll with these filters gave."""
        found = await super().poll(program_id=program_id, targets=targets)
        return NOT_MODIFIED if found is NOT_MODIFIED else self._chosen(found, active)

    async def program_of(self, event_id: str) -> str:
        """Return the id of an event's program; raises NotFound if there is no such event."""
        known = self._programs.get(event_id)
        return known if known is not None else (await super().get(event_id)).program_id

    def _chosen(self, found: Found[Event], active: bool | None) -> Found[Event]:
        now = self._clock.now()
        chosen = [each for each in found if self._is_meant(each) and not (active and _is_over(each, now))]
        return Found(chosen, found.broken)

    def _is_meant(self, event: Event) -> bool:
        """Return True if the event is for this client; that it is not is logged once, until it is."""
        if self._addressee is None or self._addressee.is_meant(event):
            self._left_out.pop(event.id, None)
            return True
        if event.id not in self._left_out:
            self._left_out[event.id] = None
            _log.info("event left out, its targets are those of others", id=event.id)
        return False

    async def _decoded(self, document: bytes | memoryview) -> Event:
        event = await super()._decoded(document)
        self._programs[event.id] = event.program_id
        return event


def _is_over(event: Event, now: datetime) -> bool:
    end = lifespan(event).end
    return end is not None and end <= now


class ReportsOf301(Reports):
    """Reports, which name the program of their event."""

    def __init__(self, send: Send, face: Face301, events: EventsOf301) -> None:
        super().__init__(send, "/reports", Report, face)
        self._of_301 = face
        self._events = events

    async def _written(self, request: ReportRequest) -> bytes:
        return self._of_301.write_report(request, await self._events.program_of(request.event_id))


class SubscriptionsOf301(Subscriptions):
    """Subscriptions, each to one program."""

    async def _written(self, request: SubscriptionRequest) -> bytes:
        if request.program_id is None:
            detail = "programID: required, but missing; a subscription of OpenADR 3.0.1 is for one program"
            raise InvalidRequest(f"POST /subscriptions: {detail}", problem=Problem(title="Bad Request", detail=detail))
        return self._face.write(request)


class VensOf301(Vens):
    """Vens. What others wrote into one stays when it is written as a whole."""

    def __init__(self, send: Send, face: Face301) -> None:
        super().__init__(send, "/vens", Ven, face)
        self._of_301 = face

    async def replace(self, id_: str, request: BlVenRequest | VenVenRequest) -> Ven:
        """Write our members of the ven anew and return it as stored."""
        there = await self._send("GET", self._member(id_))
        body = self._of_301.merged(there.body, request)
        return await self._read(await self._send("PUT", self._member(id_), body=body))


class _Embedding(msgspec.Struct, frozen=True):
    """The id of a ven and its resources, as 3.0.1 shows them in it."""

    id: str
    resources: tuple[msgspec.Raw, ...] | None = None
    created_date_time: datetime = msgspec.field(name="createdDateTime", default=LATEST)
    modification_date_time: datetime = msgspec.field(name="modificationDateTime", default=LATEST)
    object_type: str = msgspec.field(name="objectType", default="VEN")


class _Embeddings(Collection[_Embedding, None]):
    """Vens with their resources."""

    async def listed(self) -> Found[_Embedding]:
        """Return all."""
        return await self._search(())

    async def polled(self) -> Found[_Embedding] | NotModified:
        """Return all, or NOT_MODIFIED."""
        return await self._poll(())

    def walked(self) -> AsyncIterator[tuple[_Embedding, ...]]:
        """Yield all, page by page."""
        return self._walk(())

    async def _decoded(self, document: bytes | memoryview) -> _Embedding:
        return decode(document, _Embedding)


class _ResourcesOfVen(Resources):
    """The resources of one ven, below it."""

    def __init__(self, send: Send, ven_id: str, face: Face301) -> None:
        super().__init__(send, f"/vens/{quote(ven_id, safe='')}/resources", Resource, face)
        self._of_301 = face
        self._ven_id = ven_id

    async def listed(self, filters: Filters) -> Found[Resource]:
        """Return those that the filters let through."""
        return await self._search(filters)

    async def polled(self) -> Found[Resource] | NotModified:
        """Return all, or NOT_MODIFIED."""
        return await self._poll(())

    def walked(self) -> AsyncIterator[tuple[Resource, ...]]:
        """Yield all, page by page."""
        return self._walk(())

    async def replace(self, id_: str, request: BlResourceRequest | VenResourceRequest) -> Resource:
        """Write our members of the resource anew and return it as stored."""
        there = await self._send("GET", self._member(id_))
        body = self._of_301.merged(there.body, request)
        return await self._read(await self._send("PUT", self._member(id_), body=body))

    async def _decoded(self, document: bytes | memoryview) -> Resource:
        return self._of_301.read_resource(document, self._ven_id)


class ResourcesOf301(Resources):
    """Resources of all vens, each below its ven."""

    def __init__(self, send: Send, face: Face301) -> None:
        super().__init__(send, "/vens", Resource, face)
        self._of_301 = face
        self._vens = _Embeddings(send, "/vens", _Embedding, face)
        self._below: _Remembered[str, _ResourcesOfVen] = _Remembered(_MOST_VENS)
        self._owners: _Remembered[str, str] = _Remembered(_MOST_REMEMBERED)

    def forget_polls(self) -> None:
        """Have the next poll give everything."""
        self._vens.forget_polls()
        self._below.clear()

    async def get(self, id_: str) -> Resource:
        """Return one resource; raises NotFound if there is none for this client."""
        return await self._of(await self._owner(id_)).get(id_)

    async def create(self, request: BlResourceRequest | VenResourceRequest) -> Resource:
        """Write a new resource of a ven and return it as stored."""
        return self._noted(await self._of(await self._named(request)).create(request))

    async def replace(self, id_: str, request: BlResourceRequest | VenResourceRequest) -> Resource:
        """Write our members of the resource anew and return it as stored."""
        return await self._of(request.ven_id or await self._owner(id_)).replace(id_, request)

    async def delete(self, id_: str) -> Resource:
        """Delete the resource and return what it was."""
        return await self._of(await self._owner(id_)).delete(id_)

    async def search(
        self, *, ven_id: str | None = None, resource_name: str | None = None, targets: Sequence[str] = ()
    ) -> Found[Resource]:
        """Return all resources that this client may see, of all pages."""
        if ven_id is not None:
            named = [("resourceName", resource_name)] if resource_name is not None else []
            filters = (*named, *(("targets", each) for each in targets))
            return self._all_noted(await self._of(ven_id).listed(filters))
        found = await self._embedded(await self._vens.listed())
        wanted = set(targets)
        chosen = [
            each
            for each in found
            if resource_name in {None, each.resource_name} and (not wanted or wanted.intersection(each.targets or ()))
        ]
        return Found(chosen, found.broken)

    async def walk(self, *, ven_id: str | None = None) -> AsyncIterator[tuple[Resource, ...]]:
        """Yield the same page by page."""
        if ven_id is not None:
            async for page in self._of(ven_id).walked():
                yield page
            return
        async for vens in self._vens.walked():
            yield tuple(await self._embedded(Found(vens)))

    async def poll(self, *, ven_id: str | None = None) -> Found[Resource] | NotModified:
        """Return the same, or NOT_MODIFIED if it is what the last poll with this filter gave."""
        if ven_id is not None:
            found = await self._of(ven_id).polled()
            return NOT_MODIFIED if found is NOT_MODIFIED else self._all_noted(found)
        vens = await self._vens.polled()
        return NOT_MODIFIED if vens is NOT_MODIFIED else await self._embedded(vens)

    def _of(self, ven_id: str) -> _ResourcesOfVen:
        below = self._below.get(ven_id)
        if below is None:
            below = self._below[ven_id] = _ResourcesOfVen(self._send, ven_id, self._of_301)
        return below

    async def _embedded(self, vens: Found[_Embedding]) -> Found[Resource]:
        """Return the resources in vens; those of a ven that shows none are asked for."""
        found: list[Resource] = []
        broken = list(vens.broken)
        for ven in vens:
            if ven.resources is None:
                below = await self._of(ven.id).listed(())
                found += below
                broken += below.broken
                continue
            for document in ven.resources:
                try:
                    found.append(self._of_301.read_resource(document, ven.id))
                except Invalid as error:
                    broken.append(self._broken(None, str(error)))
        return self._all_noted(Found(found, broken))

    def _all_noted(self, found: Found[Resource]) -> Found[Resource]:
        for each in found:
            self._noted(each)
        return found

    def _noted(self, resource: Resource) -> Resource:
        self._owners[resource.id] = resource.ven_id
        return resource

    async def _owner(self, id_: str) -> str:
        """Return the id of the ven that has a resource."""
        if id_ not in self._owners:
            await self.search()
        if id_ not in self._owners:
            problem = Problem(title="Not Found", status=404, detail="no ven has this resource")
            raise NotFound(f"resource {id_}: no ven has it", problem=problem)
        return self._owners[id_]

    async def _named(self, request: BlResourceRequest | VenResourceRequest) -> str:
        """Return the id of the ven in a request, or else of the only one there is (COMPAT-030)."""
        if request.ven_id is not None:
            return request.ven_id
        vens = await self._vens.listed()
        if len(vens) != 1:
            raise ValueError(f"resource {request.resource_name}: expected ven_id, the id of its ven")
        return vens[0].id
