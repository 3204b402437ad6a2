"""Reads a collection through the cache of responses: the store is asked, and its rows are rendered, only if need be.

A response is cached under what renders it, what its caller may see, and the query. It is found again in two ways: by
the same words from the same caller, before they are even read, and by any caller who may see the same.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Iterable
from functools import partial
from typing import Final, Generic, Protocol, TypeVar

from vtn.access import Caller, Role
from vtn.cache.responses import Rendered, ResponseCache
from vtn.counters.revisions import Watch
from vtn.http.responses import CachedResponse
from vtn.http.streamed import LargeBody
from vtn.store.large import Large
from vtn.store.rows import ObjectRow, RowPage

Q = TypeVar("Q", bound=Hashable)
Q_contra = TypeVar("Q_contra", contravariant=True)

_LONGEST_WORDS: Final = 512
"""Longer requests are not remembered by their words."""


class Readable(Protocol[Q_contra]):
    """The reading part of a store."""

    @property
    def watch(self) -> Watch | None: ...
    @property
    def watch_with_grants(self) -> Watch | None: ...
    async def audience(self, caller: Caller) -> Caller: ...
    async def search(self, query: Q_contra, *, visible_to: Caller) -> RowPage | Large: ...
    async def get(self, object_id: str, *, visible_to: Caller) -> ObjectRow | Large: ...


class RowRenderer(Protocol):
    """Writes rows in the form of one version of the standard."""

    @property
    def version(self) -> str:
        """Return the name of the version."""

    @property
    def form(self) -> str:
        """Return a text that changes with the way in which objects are written."""

    def one(self, row: ObjectRow) -> bytes: ...
    def page(self, rows: Iterable[ObjectRow]) -> bytes: ...


class CachingReader(Generic[Q]):
    """Searches and gets objects as rendered responses. ``name`` is that of the collection."""

    def __init__(self, name: str, store: Readable[Q], renderer: RowRenderer, cache: ResponseCache) -> None:
        self._store = store
        self._renderer = renderer
        self._cache = cache
        self._scope = f"{renderer.version} {name}"

    def repeated(self, caller: Caller, words: str) -> CachedResponse | None:
        """Return the caller's last response to the same words; None if there is none or something has changed since."""
        watch = self._store.watch_with_grants
        revision = None if watch is None else watch.revision()
        if watch is None or revision is None:
            return None
        # Kinds of callers never share a response; this is on the way of every poll, so nothing is called for it.
        is_bl, is_client = caller.role is Role.BL, caller.public is None
        return self._cache.last((self._scope, caller.client_id, is_bl, is_client, words), watch, revision)

    async def search(self, query: Q, *, visible_to: Caller, words: str) -> CachedResponse | LargeBody:
        """Return one page of the matching objects. ``words`` are the query as the caller wrote it."""

        async def page(audience: Caller) -> Rendered:
            rows = await self._store.search(query, visible_to=audience)
            if isinstance(rows, Large):
                return RenderedLarge(rows, self._renderer)
            return self._renderer.page(rows), rows.validity

        return await self._read(visible_to, words, query, page)

    async def get(self, object_id: str, *, visible_to: Caller, words: str) -> CachedResponse | LargeBody:
        """Return one object; raises NotFound."""

        async def one(audience: Caller) -> Rendered:
            row = await self._store.get(object_id, visible_to=audience)
            if isinstance(row, Large):
                return RenderedLarge(row, self._renderer)
            return self._renderer.one(row), None

        return await self._read(visible_to, words, object_id, one)

    async def _read(
        self, caller: Caller, words: str, query: Hashable, make: Callable[[Caller], Awaitable[Rendered]]
    ) -> CachedResponse | LargeBody:
        """Return the response to a query; what the caller may see is read again if the database was asked meanwhile."""
        watch = self._store.watch_with_grants
        before = None if watch is None else watch.revision()
        audience = await self._store.audience(caller)
        while True:
            is_bl, is_client = audience.role is Role.BL, audience.public is None
            key = self._scope, audience.client_id, is_bl, is_client, audience.granted, query
            response = await self._cache.get(key, self._store.watch, partial(make, audience))
            now = await self._store.audience(caller)
            if now == audience:
                break
            audience = now
        if before is not None and len(words) <= _LONGEST_WORDS:
            is_bl, is_client = caller.role is Role.BL, caller.public is None
            self._cache.remember((self._scope, caller.client_id, is_bl, is_client, words), key, before)
        return response


class RenderedLarge:
    """A page, or one object, of a store that is too large to be in memory: each object is rendered when it is sent."""

    def __init__(self, large: Large, renderer: RowRenderer) -> None:
        self._large = large
        self._renderer = renderer

    @property
    def is_list(self) -> bool:
        """Return True for a page."""
        return self._large.is_list

    @property
    def size_bytes(self) -> int:
        """Return about how many bytes all objects have."""
        return self._large.size_bytes

    def __len__(self) -> int:
        """Return the number of objects."""
        return len(self._large)

    def size(self, number: int) -> int:
        """Return about how many bytes an object has."""
        return self._large.size(number)

    async def text(self, number: int) -> bytes:
        """Return an object as it is sent; raises ChangedMeanwhile, or Unavailable."""
        return self._renderer.one(await self._large.row(number))

    def digest(self) -> bytes:
        """Return 128 bits that differ whenever an object, its version or its caller's view of it differs."""
        return self._large.digest(self._renderer.form)
