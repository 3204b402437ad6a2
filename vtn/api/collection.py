"""Code shared by all collections of the API: a call by a known caller, and the five operations."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeAlias, TypeVar

import msgspec
from aiohttp import web

from openadr_profiles.v31 import Invalid, decode
from openadr_profiles.v31.numbers import as_written
from vtn.access import Caller, Permission
from vtn.api.json_bodies import check_json
from vtn.api.query import OBJECT_ID, Query
from vtn.cache.reader import CachingReader, Readable, RowRenderer
from vtn.cache.responses import ResponseCache
from vtn.errors import Forbidden, Malformed, UnsupportedMediaType
from vtn.http import body, conditional
from vtn.http.delivery import deliver, release
from vtn.http.sending import SendBudget
from vtn.store.rows import ObjectRow, Precondition

Q = TypeVar("Q", bound=Hashable)
Q_contra = TypeVar("Q_contra", contravariant=True)
D = TypeVar("D")
D_contra = TypeVar("D_contra", contravariant=True)


class Call(msgspec.Struct, frozen=True, gc=False):
    """One request, and who asks: a client with a token, or somebody without one who may read what is public.

    ``base`` is the prefix it came by, as clients write it; ``sending`` has the memory for large answers.
    """

    request: web.Request
    caller: Caller
    base: str
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


Answer: TypeAlias = Callable[[Call], Awaitable[web.StreamResponse]]
"""Answers a request whose caller may make it."""


@dataclass(frozen=True, slots=True)
class Route:
    """A method and path with what it asks of its caller; nothing is reachable without a permission beside it."""

    method: str
    path: str
    handler: Answer
    permission: Permission


@dataclass(frozen=True, slots=True)
class OpenRoute:
    """A method and path that anybody may use."""

    method: str
    path: str
    handler: Callable[[web.Request], Awaitable[web.StreamResponse]]


class ObjectStore(Readable[Q_contra], Protocol[Q_contra, D_contra]):
    """The store of a collection's objects."""

    def was_read(self, object_id: str, *, by: Caller) -> None: ...
    async def create(self, request: D_contra, /, *, by: Caller) -> ObjectRow: ...
    async def replace(
        self, object_id: str, request: D_contra, /, *, by: Caller, check: Precondition | None = None
    ) -> ObjectRow: ...
    async def delete(self, object_id: str, *, by: Caller, check: Precondition | None = None) -> ObjectRow: ...


class CollectionHandlers(Generic[Q, D]):
    """The five operations on the objects of a store, which ``renderer`` writes in the form of a version.

    ``query`` reads the filters of a search, ``body`` a document as its caller may write it.
    """

    def __init__(
        self,
        name: str,
        store: ObjectStore[Q, D],
        renderer: RowRenderer,
        cache: ResponseCache,
        *,
        query: Callable[[Query], Q],
        body: Callable[[bytes, Caller], D],
    ) -> None:
        self._name = name
        self._store = store
        self._renderer = renderer
        self._reader = CachingReader(name, store, renderer, cache)
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
        """Answer with one page of the matching objects that the caller may see (MATRIX-006)."""
        words = call.request.rel_url.raw_query_string
        repeated = self._reader.repeated(call.caller, words)
        if repeated is not None and not isinstance(response := conditional.read(call.request, repeated), int):
            return response
        query = self._query(call.query)
        return await deliver(
            call.request,
            lambda: self._reader.search(query, visible_to=call.caller, words=words),
            call.sending,
            owner=call.caller.client_id,
        )

    async def get(self, call: Call) -> web.StreamResponse:
        """Answer with one object, and tell who wants to hear of it that it was read."""
        object_id = call.object_id
        response = await self._got(call, object_id)
        self._store.was_read(object_id, by=call.caller)
        return response

    async def _got(self, call: Call, object_id: str) -> web.StreamResponse:
        words = f"/{object_id}"
        repeated = self._reader.repeated(call.caller, words)
        if repeated is not None and not isinstance(response := conditional.read(call.request, repeated), int):
            return response
        return await deliver(
            call.request,
            lambda: self._reader.get(object_id, visible_to=call.caller, words=words),
            call.sending,
            owner=call.caller.client_id,
        )

    async def create(self, call: Call) -> web.StreamResponse:
        """Create an object; the answer is sent once it is stored durably."""
        async with body.Body(call.request) as raw:
            reserved = await call.sending.room(call.caller.client_id, len(raw))
            try:
                document = self._decoded(call, raw)
                creating = self._store.create(document, by=call.caller)
                del raw, document  # large ones would take memory while they wait for a commit
                row = await creating
            except BaseException:
                release(reserved)
                raise
        location = f"{call.base}/{self._name}/{row.id}"
        return conditional.written(
            call.request, self._renderer.one(row), status=201, location=location, reserved=reserved
        )

    async def replace(self, call: Call) -> web.StreamResponse:
        """Replace an object; that it exists is checked before the document is validated (GEN-009)."""
        object_id = call.object_id
        async with body.Body(call.request) as raw:
            reserved = await call.sending.room(call.caller.client_id, len(raw))
            try:
                try:
                    document = self._decoded(call, raw)
                except (Invalid, Forbidden, UnsupportedMediaType):
                    await self._store.get(object_id, visible_to=call.caller)
                    raise
                replacing = self._store.replace(object_id, document, by=call.caller, check=self._precondition(call))
                del raw, document
                row = await replacing
            except BaseException:
                release(reserved)
                raise
        return conditional.written(call.request, self._renderer.one(row), reserved=reserved)

    async def delete(self, call: Call) -> web.StreamResponse:
        """Remove an object; the answer is what it was, and there is memory for the largest before it is removed."""
        check = self._precondition(call)
        object_id = call.object_id
        reserved = await call.sending.room(call.caller.client_id, call.sending.largest)
        try:
            row = await self._store.delete(object_id, by=call.caller, check=check)
        except BaseException:
            release(reserved)
            raise
        return conditional.removed(call.request, self._renderer.one(row), reserved)

    def _precondition(self, call: Call) -> Precondition | None:
        """Return the If-Match check of a row: its ETag is that of its bytes in this version."""
        check = conditional.precondition(call.request)
        return None if check is None else lambda row: check(self._renderer.one(row))

    def _decoded(self, call: Call, raw: bytes) -> D:
        check_json(call.request, raw, nesting=call.request.app[body.NESTING])
        return as_written(self._body(raw, call.caller), raw)


def body_of(type_: type[D]) -> Callable[[bytes, Caller], D]:
    """Return a decoder of bodies that have the same form for every role."""

    def read(raw: bytes, _: Caller) -> D:
        return decode(raw, type_)

    return read
