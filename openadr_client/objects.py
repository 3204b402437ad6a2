"""The kinds of objects of a VTN, as collections that can be searched, polled, read and written."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING, Final, Generic, Protocol, TypeVar
from urllib.parse import quote

import msgspec
import structlog

from openadr_client.errors import AnswerTooLarge, NotFound, UnexpectedAnswer
from openadr_client.transport import Answer
from openadr_profiles.v31 import (
    PACKED_FROM,
    BlResourceRequest,
    BlVenRequest,
    Event,
    EventRequest,
    Invalid,
    Metadata,
    Program,
    ProgramRequest,
    Report,
    ReportRequest,
    Resource,
    ResourceGroup,
    ResourceGroupRequest,
    Subscription,
    SubscriptionRequest,
    Ven,
    VenResourceRequest,
    VenVenRequest,
    decode,
)
from openadr_profiles.v31.common import ObjectID
from openadr_profiles.v31.instant import LATEST

if TYPE_CHECKING:
    from openadr_client.faces import Face

_log = structlog.get_logger(__name__)

PAGE_SIZE: Final = 50
_LARGE: Final = 16 * 1024
"""Objects of so many bytes are read one by one, so that others have their turn."""
_SMALLEST_PAGE: Final = 1
_MOST_REPEATED: Final = 3
"""So many times the same single object may come again, because others were put before it, until a walk ends."""
_MAX_ATTEMPTS: Final = 3
_MOST_COMPLAINTS: Final = 1000
_MOST_TOO_LARGE: Final = 8
_MOST_PAGES: Final = 10_000
_MOST_PAGES_OF_A_POLL: Final = 400
"""Pages after which a walk ends with an error, because a VTN that goes on for ever would fill the memory."""
_MAX_POLLS_KEPT: Final = 32

T = TypeVar("T", bound=Metadata)
R = TypeVar("R")


class NotModified(Enum):
    """The answer of a poll when nothing has changed since the last one."""

    NOT_MODIFIED = "not modified"


NOT_MODIFIED: Final = NotModified.NOT_MODIFIED


@dataclass(frozen=True)
class Broken:
    """An object of a list that could not be read: its id, if even that could be found, and the problem."""

    id: str | None
    problem: str


class Found(list[T]):
    """The readable objects of a collection, in the VTN's order; `broken` are the others."""

    def __init__(self, objects: Iterable[T], broken: Iterable[Broken] = ()) -> None:
        super().__init__(objects)
        self.broken: tuple[Broken, ...] = tuple(broken)


class Send(Protocol):
    """Sends one authorised request to a path below the base URL."""

    def __call__(
        self,
        method: str,
        path: str,
        *,
        query: Sequence[tuple[str, str]] = (),
        body: bytes | None = None,
        etag: str | None = None,
    ) -> Awaitable[Answer]: ...


Filters = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class _Page(Generic[T]):
    etag: str | None
    ids: tuple[str, ...]
    """Ids in order, with a placeholder for an object whose id cannot be read."""
    objects: tuple[T, ...]
    broken: tuple[Broken, ...]


class Collection(Generic[T, R]):
    """All objects of one kind. `R` is what is written, `T` what is read."""

    def __init__(self, send: Send, path: str, type_: type[T], face: Face) -> None:
        self._send = send
        self._path = path
        self._type = type_
        self._face = face
        self._polled: dict[Filters, list[_Page[T]]] = {}
        self._page_size = PAGE_SIZE
        self._complained: set[Broken] = set()
        self.broken_seen = 0
        """The number of unreadable objects found in lists so far."""

    async def get(self, id_: str) -> T:
        """Return one object; raises NotFound if there is none for this client."""
        return await self._read(await self._send("GET", self._member(id_)))

    async def find(self, id_: str) -> T | None:
        """Return one object, or None if there is none for this client."""
        try:
            return await self.get(id_)
        except NotFound:
            return None

    async def create(self, request: R) -> T:
        """Write a new object and return it as stored."""
        return await self._read(await self._send("POST", self._path, body=await self._written(request)))

    async def replace(self, id_: str, request: R) -> T:
        """Write the object anew as a whole and return it as stored."""
        return await self._read(await self._send("PUT", self._member(id_), body=await self._written(request)))

    async def delete(self, id_: str) -> T:
        """Delete the object and return what it was."""
        return await self._read(await self._send("DELETE", self._member(id_)))

    def forget_polls(self) -> None:
        """Have the next poll give everything, also if nothing has changed."""
        self._polled.clear()

    async def _search(self, filters: Filters) -> Found[T]:
        pages, _ = await self._read_all(filters, known=[], most=_MOST_PAGES)
        return _found(pages)

    async def _walk(self, filters: Filters) -> AsyncIterator[tuple[T, ...]]:
        """Yield the readable objects page by page and keep none; after a page that slipped, all of them once more."""
        for _ in range(_MAX_ATTEMPTS):
            before: _Page[T] | None = None
            for number in range(_MOST_PAGES):
                page, _ = await self._read_page(filters, skip=number * (self._page_size - 1), known=None)
                yield page.objects
                slipped = before is not None and before.ids[-1] not in page.ids
                if slipped:  # see _read_pages
                    break
                if len(page.ids) < self._page_size or (before is not None and page.ids == before.ids):
                    return
                before = page

    async def _poll(self, filters: Filters) -> Found[T] | NotModified:
        known = self._polled.get(filters)
        pages, unchanged = await self._read_all(filters, known=known or [], most=_MOST_PAGES_OF_A_POLL)
        self._polled.pop(filters, None)
        self._polled[filters] = pages
        if len(self._polled) > _MAX_POLLS_KEPT:
            del self._polled[next(iter(self._polled))]
        return NOT_MODIFIED if known is not None and unchanged else _found(pages)

    async def _read_all(self, filters: Filters, *, known: list[_Page[T]], most: int) -> tuple[list[_Page[T]], bool]:
        """Read all pages, and tell whether they are all the known ones; large objects in pages of fewer."""
        while True:
            try:
                return await self._read_pages(filters, known=known, most=most)
            except AnswerTooLarge:
                if self._page_size <= _SMALLEST_PAGE:
                    raise
                self._page_size = max(self._page_size // 4, _SMALLEST_PAGE)
                known = []

    async def _read_pages(self, filters: Filters, *, known: list[_Page[T]], most: int) -> tuple[list[_Page[T]], bool]:
        """All pages, and whether they are all the known ones (VENCLIENT-007).

        Each page begins with the last object of the one before. If that object is not in it, something was deleted
        while paging and another object slipped out of sight: then the reading begins anew. Pages of one object, of
        which each is as large as several pages, cannot overlap; what slips away is found again by the next poll.
        """
        size, overlap = self._page_size, int(self._page_size > 1)
        for attempt in range(1, _MAX_ATTEMPTS + 1):
            pages: list[_Page[T]] = []
            seen: set[str] = set()
            repeated = too_large = 0
            unchanged = True
            slipped = False
            while True:
                old = known[len(pages)] if len(pages) < len(known) else None
                if len(pages) >= most:
                    raise UnexpectedAnswer(f"GET {self._path} has no last page: {most} pages were read")
                skip = len(pages) * (size - overlap)
                try:
                    page, is_old = await self._read_page(filters, skip=skip, known=old)
                except AnswerTooLarge as error:  # one object that is too large hides no other
                    too_large += 1
                    if size > _SMALLEST_PAGE or too_large > _MOST_TOO_LARGE:
                        raise
                    page, is_old = _Page(None, (f"?{skip}",), (), (self._broken(None, str(error)),)), False
                unchanged = unchanged and is_old
                slipped = bool(pages and overlap) and pages[-1].ids[-1] not in page.ids
                fresh = set(page.ids) - seen
                repeated = 0 if fresh else repeated + 1
                pages.append(page)
                if slipped or len(page.ids) < size or repeated > (0 if overlap else _MOST_REPEATED):
                    break
                seen |= fresh
            if not slipped or attempt == _MAX_ATTEMPTS:
                break
        return pages, unchanged and len(pages) == len(known)

    async def _read_page(self, filters: Filters, *, skip: int, known: _Page[T] | None) -> tuple[_Page[T], bool]:
        query = [*self._face.query(filters), ("skip", str(skip)), ("limit", str(self._page_size))]
        answer = await self._send("GET", self._path, query=query, etag=known.etag if known else None)
        if answer.status == 304:
            if known is None:
                raise UnexpectedAnswer(f"GET {self._path} answered 304 without having been asked for it")
            return known, True
        try:
            members = decode(answer.body, list[msgspec.Raw])
        except Invalid as error:
            raise UnexpectedAnswer(f"GET {self._path} is not a list of objects: {error}") from error
        ids: list[str] = []
        objects: list[T] = []
        broken: list[Broken] = []
        for index, member in enumerate(members):
            text = memoryview(member)
            if len(text) >= _LARGE:
                await asyncio.sleep(0)  # others have their turn between two of them
            try:
                object_ = await self._decoded(text)
                ids.append(object_.id)
                objects.append(object_)
            except Invalid as error:
                id_ = _id_of(member)
                ids.append(id_ or f"?{skip + index}")
                broken.append(self._broken(id_, str(error)))
        return _Page(answer.etag, tuple(ids), tuple(objects), tuple(broken)), False

    def _broken(self, id_: str | None, problem: str) -> Broken:
        """Count an object that cannot be read, and say so once for each problem of it."""
        self.broken_seen += 1
        broken = Broken(id_, problem)
        if broken not in self._complained:
            if len(self._complained) >= _MOST_COMPLAINTS:
                self._complained.clear()
            self._complained.add(broken)
            _log.warning("unreadable object ignored", path=self._path, id=id_, problem=problem)
        return broken

    def _member(self, id_: str) -> str:
        if id_ in {"", ".", ".."}:
            raise ValueError(f"{id_!r} is no id: expected 1 to 128 letters, digits, '_' or '-'")
        return f"{self._path}/{quote(id_, safe='')}"

    async def _decoded(self, document: bytes | memoryview) -> T:
        return self._face.read(document, self._type)

    async def _written(self, request: R) -> bytes:
        return self._face.write(request)

    async def _read(self, answer: Answer) -> T:
        try:
            return await self._decoded(answer.body)
        except Invalid as error:
            raise UnexpectedAnswer(f"{self._path}: not a readable {self._type.__name__.lower()}: {error}") from error


class Programs(Collection[Program, ProgramRequest]):
    """Programs, to which events belong."""

    async def search(self, *, program_name: str | None = None, targets: Sequence[str] = ()) -> Found[Program]:
        """All programs that this client may see, of all pages; the standard has no filter by name."""
        found = await self._search(_filters(targets=targets))
        if program_name is None:
            return found
        return Found((program for program in found if program.program_name == program_name), found.broken)

    async def poll(self) -> Found[Program] | NotModified:
        """All programs, or NOT_MODIFIED if they are those of the last poll."""
        return await self._poll(())


class Events(Collection[Event, EventRequest]):
    """Events, which ask something of VENs. A large one comes with packed intervals, see `decode_event`."""

    async def _decoded(self, document: bytes | memoryview) -> Event:
        if len(document) < PACKED_FROM:
            return self._face.read(document, Event)
        return await asyncio.to_thread(self._face.read_event, document)

    def show_to(self, ven: Ven, resources: Iterable[Resource]) -> None:
        """Leave out from now on what is not for this ven, if the VTN shows events of others too."""

    async def search(
        self, *, program_id: str | None = None, targets: Sequence[str] = (), active: bool | None = None
    ) -> Found[Event]:
        """All events that this client may see, of all pages; `active` leaves out those that are over."""
        return await self._search(_filters(programID=program_id, targets=targets, active=active))

    async def poll(
        self, *, program_id: str | None = None, targets: Sequence[str] = (), active: bool | None = None
    ) -> Found[Event] | NotModified:
        """Return the same, or NOT_MODIFIED if it is what the last poll with these filters gave."""
        return await self._poll(_filters(programID=program_id, targets=targets, active=active))


class _ReportLabel(msgspec.Struct, frozen=True):
    """The id and the name of a report; what else is said of it is not read."""

    id: ObjectID
    report_name: str | None = msgspec.field(name="reportName", default=None)
    created_date_time: datetime = msgspec.field(name="createdDateTime", default=LATEST)
    modification_date_time: datetime = msgspec.field(name="modificationDateTime", default=LATEST)
    object_type: str = msgspec.field(name="objectType", default="REPORT")


class _ReportLabels(Collection[_ReportLabel, None]):
    """Reports without what they say."""

    async def ids_by_name(self, filters: Filters) -> dict[str | None, str]:
        """Return the ids by name; of several with the same name the first."""
        found: dict[str | None, str] = {}
        for each in await self._search(filters):
            found.setdefault(each.report_name, each.id)
        return found


class Reports(Collection[Report, ReportRequest]):
    """Reports of VENs."""

    async def put(self, request: ReportRequest, id_: str | None = None) -> str:
        """Write a report, a new one or that of this id, and return its id; the report in the answer is not read."""
        path = self._path if id_ is None else self._member(id_)
        answer = await self._send("POST" if id_ is None else "PUT", path, body=await self._written(request))
        try:
            return self._face.read(answer.body, _ReportLabel).id
        except Invalid as error:
            raise UnexpectedAnswer(f"{self._path}: not a readable report: {error}") from error

    async def ids_by_name(
        self, *, event_id: str | None = None, client_name: str | None = None
    ) -> dict[str | None, str]:
        """Return the ids of the reports that `search` would find, by their names, without reading what they say."""
        labels = _ReportLabels(self._send, self._path, _ReportLabel, self._face)
        return await labels.ids_by_name(_filters(eventID=event_id, clientName=client_name))

    async def search(
        self, *, program_id: str | None = None, event_id: str | None = None, client_name: str | None = None
    ) -> Found[Report]:
        """All reports that this client may see (a VEN: its own), of all pages."""
        return await self._search(_filters(programID=program_id, eventID=event_id, clientName=client_name))

    def walk(
        self, *, program_id: str | None = None, event_id: str | None = None, client_name: str | None = None
    ) -> AsyncIterator[tuple[Report, ...]]:
        """Yield the same page by page and keep none; a report may come twice if others are written meanwhile."""
        return self._walk(_filters(programID=program_id, eventID=event_id, clientName=client_name))

    async def poll(
        self, *, program_id: str | None = None, event_id: str | None = None, client_name: str | None = None
    ) -> Found[Report] | NotModified:
        """Return the same, or NOT_MODIFIED if it is what the last poll with these filters gave."""
        return await self._poll(_filters(programID=program_id, eventID=event_id, clientName=client_name))


class Vens(Collection[Ven, BlVenRequest | VenVenRequest]):
    """The VTN's records of its VENs."""

    async def search(self, *, ven_name: str | None = None, targets: Sequence[str] = ()) -> Found[Ven]:
        """All vens that this client may see (a VEN: its own), of all pages."""
        return await self._search(_filters(venName=ven_name, targets=targets))

    async def poll(self) -> Found[Ven] | NotModified:
        """All vens, or NOT_MODIFIED if they are those of the last poll."""
        return await self._poll(())


class Resources(Collection[Resource, BlResourceRequest | VenResourceRequest]):
    """The devices and loads of vens."""

    async def search(
        self, *, ven_id: str | None = None, resource_name: str | None = None, targets: Sequence[str] = ()
    ) -> Found[Resource]:
        """All resources that this client may see (a VEN: its own), of all pages."""
        return await self._search(_filters(venID=ven_id, resourceName=resource_name, targets=targets))

    def walk(self, *, ven_id: str | None = None) -> AsyncIterator[tuple[Resource, ...]]:
        """Yield the same page by page, for who cannot keep them all; some may come twice."""
        return self._walk(_filters(venID=ven_id))

    async def poll(self, *, ven_id: str | None = None) -> Found[Resource] | NotModified:
        """Return the same, or NOT_MODIFIED if it is what the last poll with this filter gave."""
        return await self._poll(_filters(venID=ven_id))


class Subscriptions(Collection[Subscription, SubscriptionRequest]):
    """Subscriptions of this client: which changes it wants to be told of, and where."""

    async def search(
        self, *, program_id: str | None = None, client_name: str | None = None, objects: Sequence[str] = ()
    ) -> Found[Subscription]:
        """Return all subscriptions that this client may see, of all pages; ``objects`` as in ``("EVENT",)``."""
        return await self._search(_filters(programID=program_id, clientName=client_name, objects=objects))

    async def poll(self) -> Found[Subscription] | NotModified:
        """Return all subscriptions, or NOT_MODIFIED if they are those of the last poll."""
        return await self._poll(())


class ResourceGroups(Collection[ResourceGroup, ResourceGroupRequest]):
    """Groups of resources: an extension that other VTNs may answer with NotFound (COMPAT-088)."""

    async def search(
        self, *, resource_group_name: str | None = None, targets: Sequence[str] = ()
    ) -> Found[ResourceGroup]:
        """Return all groups that this client may see, of all pages."""
        return await self._search(_filters(resourceGroupName=resource_group_name, targets=targets))

    async def poll(self) -> Found[ResourceGroup] | NotModified:
        """Return all groups, or NOT_MODIFIED if they are those of the last poll."""
        return await self._poll(())


@dataclass(frozen=True)
class Collections:
    """The collections of a VTN."""

    programs: Programs
    events: Events
    reports: Reports
    vens: Vens
    resources: Resources
    subscriptions: Subscriptions
    resource_groups: ResourceGroups


def _filters(**given: str | bool | Sequence[str] | None) -> Filters:
    pairs: list[tuple[str, str]] = []
    for name, value in given.items():
        if isinstance(value, bool):
            pairs.append((name, "true" if value else "false"))
        elif isinstance(value, str):
            pairs.append((name, value))
        else:
            pairs.extend((name, each) for each in value or ())
    return tuple(pairs)


def _found(pages: Iterable[_Page[T]]) -> Found[T]:
    pages = list(pages)
    objects = {object_.id: object_ for page in pages for object_ in page.objects}
    broken = {(each.id, each.problem): each for page in pages for each in page.broken}
    return Found(objects.values(), broken.values())


class _Identified(msgspec.Struct, frozen=True):
    id: str


def _id_of(member: msgspec.Raw) -> str | None:
    try:
        return msgspec.json.decode(bytes(member), type=_Identified).id
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
