"""Code shared by all collections of the API: a call by a known reader, and the five operations."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Hashable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Final, Generic, Protocol, TypeVar

import msgspec
from aiohttp import hdrs, web

from openadr_profiles.v31 import Invalid, decode
from openadr_profiles.v31.numbers import as_written
from vtn.access import Caller, Permission
from vtn.api.query import OBJECT_ID, Query
from vtn.cache.responses import Made, ResponseCache
from vtn.counters.revisions import Watch
from vtn.errors import Forbidden, Malformed, Unavailable, UnsupportedMediaType
from vtn.http import body
from vtn.http import conditional as answer
from vtn.http.responses import CachedResponse
from vtn.http.sending import Reservation, SendBudget
from vtn.http.streamed import streamed
from vtn.store.large import ChangedMeanwhile, Large
from vtn.store.objects import Created, Found, Precondition

Q = TypeVar("Q")
Q_contra = TypeVar("Q_contra", contravariant=True)
D = TypeVar("D")
D_contra = TypeVar("D_contra", contravariant=True)
T = TypeVar("T")

_LONG_QUESTION: Final = 512
_ATTEMPTS: Final = 5

_NUL: Final = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")


class Call(msgspec.Struct, frozen=True, gc=False):
    """One request, and who asks: a client with a token, or somebody without one who may read what is public.

    ``base`` is the prefix it came by, as clients write it; ``answers`` are those given before; ``sending`` has the
    memory for large ones.
    """

    request: web.Request
    reader: Caller
    base: str
    answers: ResponseCache
    sending: SendBudget

    @property
    def query(self) -> Query:
        """Return the query parameters."""
        return Query(self.request.query)

    @property
    def object_id(self) -> str:
        """Return the id in the path; raises Malformed if it cannot be one (OBJ-009)."""
        value = self.request.match_info["id"]
        if not OBJECT_ID.fullmatch(value):
            raise Malformed("an id in a path has 1 to 128 letters, digits, _ or -")
        return value


@dataclass(frozen=True, slots=True)
class Route:
    """A method and path with what it asks of its caller; nothing is reachable without a permission beside it."""

    method: str
    path: str
    handler: Callable[[Call], Awaitable[web.StreamResponse]]
    permission: Permission


@dataclass(frozen=True, slots=True)
class OpenRoute:
    """A method and path that anybody may use."""

    method: str
    path: str
    handler: Callable[[web.Request], Awaitable[web.Response]]


class Store(Protocol[Q_contra, D_contra]):
    """The store of a collection's objects."""

    @property
    def watch(self) -> Watch | None: ...
    @property
    def watch_with_grants(self) -> Watch | None: ...
    async def standpoint(self, reader: Caller) -> Caller: ...
    async def search(self, query: Q_contra, *, visible_to: Caller) -> list[str] | Large: ...
    async def get(self, object_id: str, *, visible_to: Caller) -> str | Large: ...
    async def create(self, request: D_contra, /, *, by: Caller) -> Created: ...
    async def replace(
        self, object_id: str, request: D_contra, /, *, by: Caller, check: Precondition | None = None
    ) -> str: ...
    async def delete(self, object_id: str, *, by: Caller, check: Precondition | None = None) -> str: ...


class Collection(Generic[Q, D]):
    """The five operations. ``query`` reads the filters of a search, ``body`` a document as its caller may write it."""

    def __init__(
        self, name: str, store: Store[Q, D], *, query: Callable[[Query], Q], body: Callable[[bytes, Caller], D]
    ) -> None:
        self._name = name
        self._store = store
        self._query = query
        self._body = body

    def routes(
        self, *, read: Permission, create: Permission, replace: Permission, delete: Permission
    ) -> tuple[Route, ...]:
        """Return the routes of the collection, each with its permission."""
        many, one = f"/{self._name}", f"/{self._name}/{{id}}"
        return (
            Route("GET", many, self.search, read),
            Route("POST", many, self.create, create),
            Route("GET", one, self.get, read),
            Route("PUT", one, self.replace, replace),
            Route("DELETE", one, self.delete, delete),
        )

    async def search(self, call: Call) -> web.StreamResponse:
        """Answer with one page of the matching objects that the reader may see (MATRIX-006)."""
        words = call.request.rel_url.raw_query_string
        if (known := self._last(call, words)) is not None:
            found = answer.read(call.request, known)
            if not isinstance(found, int):
                return found
        query = self._query(call.query)

        async def page(standpoint: Caller) -> Made:
            texts = await self._store.search(query, visible_to=standpoint)
            if isinstance(texts, Large):
                return texts
            return _as_list(texts), texts.passing if isinstance(texts, Found) else None

        return await _steadily(lambda: self._answered(call, words, query, page))

    async def get(self, call: Call) -> web.StreamResponse:
        """Answer with one object."""
        object_id = call.object_id
        words = f"/{object_id}"
        if (known := self._last(call, words)) is not None:
            found = answer.read(call.request, known)
            if not isinstance(found, int):
                return found

        async def one(standpoint: Caller) -> Made:
            text = await self._store.get(object_id, visible_to=standpoint)
            return text if isinstance(text, Large) else (text.encode(), None)

        return await _steadily(lambda: self._answered(call, words, object_id, one))

    async def create(self, call: Call) -> web.StreamResponse:
        """Create an object; the answer is sent once it is stored durably."""
        async with body.Body(call.request) as raw:
            held = await call.sending.room(call.reader.client_id, len(raw))
            try:
                document = self._decoded(call, raw)
                creating = self._store.create(document, by=call.reader)
                del raw, document  # large ones would take memory while they wait for a commit
                created = await creating
            except BaseException:
                _give_back(held)
                raise
        location = f"{call.base}/{self._name}/{created.id}"
        return answer.written(call.request, created.text, status=201, location=location, held=held)

    async def replace(self, call: Call) -> web.StreamResponse:
        """Replace an object; that it exists is checked before the document is validated (GEN-009)."""
        object_id = call.object_id
        async with body.Body(call.request) as raw:
            held = await call.sending.room(call.reader.client_id, len(raw))
            try:
                try:
                    document = self._decoded(call, raw)
                except (Invalid, Forbidden, UnsupportedMediaType):
                    await self._store.get(object_id, visible_to=call.reader)
                    raise
                check = answer.precondition(call.request)
                replacing = self._store.replace(object_id, document, by=call.reader, check=check)
                del raw, document
                text = await replacing
            except BaseException:
                _give_back(held)
                raise
        return answer.written(call.request, text, held=held)

    async def delete(self, call: Call) -> web.StreamResponse:
        """Remove an object; the answer is what it was, and there is memory for the largest before it is removed."""
        check = answer.precondition(call.request)
        object_id = call.object_id
        held = await call.sending.room(call.reader.client_id, call.sending.largest)
        try:
            text = await self._store.delete(object_id, by=call.reader, check=check)
        except BaseException:
            _give_back(held)
            raise
        return answer.removed(call.request, text, held)

    def _last(self, call: Call, words: str) -> CachedResponse | None:
        """Return the reader's last answer to the same request; None if something has changed since."""
        watch = self._store.watch_with_grants
        revision = None if watch is None else watch.revision()
        if watch is None or revision is None:
            return None
        return call.answers.last(self._asked(call, words), watch, revision)

    async def _answered(
        self, call: Call, words: str, question: Hashable, make: Callable[[Caller], Awaitable[Made]]
    ) -> web.StreamResponse:
        """Answer a query; raises ChangedMeanwhile if it is to be tried again.

        Who has to wait for memory has nothing in hand meanwhile: the answer is made again.
        """
        held: Reservation | None = None
        while True:
            try:
                ready = await self._ready(call, words, question, make)
                if isinstance(ready, Large):
                    _give_back(held)
                    return await streamed(call.request, ready, call.sending, owner=call.reader.client_id)
                found = answer.read(call.request, ready)
            except BaseException:
                _give_back(held)
                raise
            if not isinstance(found, int):
                _give_back(held)
                return found
            if held is None:
                held = call.sending.flight.take_now(call.reader.client_id, found)
            if held is not None and held.is_enough_for(found):
                read = answer.read(call.request, ready, held)
                if not isinstance(read, int):
                    return read
            _give_back(held)
            del ready
            held = await call.sending.flight.take(call.reader.client_id, found)

    async def _ready(
        self, call: Call, words: str, question: Hashable, make: Callable[[Caller], Awaitable[Made]]
    ) -> CachedResponse | Large:
        """Return the answer to a query; the reader's targets are read again if the database was queried meanwhile."""
        watch = self._store.watch_with_grants
        before = None if watch is None else watch.revision()
        standpoint = await self._store.standpoint(call.reader)
        while True:
            key = self._name, standpoint.client_id, _sort_of(standpoint), standpoint.granted, question
            ready = await call.answers.get(key, self._store.watch, partial(make, standpoint))
            now = await self._store.standpoint(call.reader)
            if now == standpoint:
                break
            standpoint = now
        if before is not None and len(words) <= _LONG_QUESTION:
            call.answers.remember(self._asked(call, words), key, before)
        return ready

    def _asked(self, call: Call, words: str) -> Hashable:
        """Return the cache key of a request: the collection, the reader, and the text of the request."""
        return self._name, call.reader.client_id, _sort_of(call.reader), words

    def _decoded(self, call: Call, raw: bytes) -> D:
        declared = call.request.headers.get(hdrs.CONTENT_TYPE, "application/json")
        if declared.partition(";")[0].strip().lower() != "application/json":
            raise UnsupportedMediaType("the body is expected to be application/json")
        nesting = call.request.app[body.NESTING]
        if body.too_deep(raw, nesting):
            raise Invalid("", f"nested deeper than {nesting} lists and objects")
        if b"\\u0000" in raw and _NUL.search(raw):
            raise Invalid("", "texts cannot contain the character NUL")
        return as_written(self._body(raw, call.reader), raw)


def _sort_of(reader: Caller) -> int:
    """Return the sort of a reader; sorts never share an answer: 0 VENs, 1 business logic, 2 callers without a token."""
    return 2 if reader.public is not None else int(reader.sees_everything)


async def _steadily(read: Callable[[], Awaitable[T]]) -> T:
    """Read until nobody changes what is read meanwhile; raises Unavailable if that never happens."""
    for _ in range(_ATTEMPTS):
        with suppress(ChangedMeanwhile):
            return await read()
    raise Unavailable("the objects change faster than they can be read; try again later")


def _give_back(held: Reservation | None) -> None:
    if held is not None:
        held.give_back()


def _as_list(texts: list[str]) -> bytes:
    """Return objects as one JSON list; a page is large, so it is not copied more often than it must be."""
    if not texts:
        return b"[]"
    texts[0] = "[" + texts[0]
    texts[-1] += "]"
    return ",".join(texts).encode()


def body_of(type_: type[D]) -> Callable[[bytes, Caller], D]:
    """Return a decoder of bodies that have the same form for every role."""

    def read(raw: bytes, _: Caller) -> D:
        return decode(raw, type_)

    return read
