"""Responses that were given before, as bytes, for everybody who would get the same.

A response is kept under a key: what renders it, what its caller may see, and the query. It is given again only while
the revision of everything it was made from is what it was before it was read: nobody gets bytes from before a write
that was answered before they asked (ETAG-003). Equal bodies are kept once, however many callers have them.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Final, TypeAlias

from vtn.counters.revisions import Revision, Watch
from vtn.http.responses import CachedResponse
from vtn.http.streamed import LargeBody
from vtn.lru import LruCache
from vtn.store.rows import Validity

_ENTRY_COST: Final = 600
"""About what a key and its entry take, in bytes, beside the body."""

Rendered: TypeAlias = tuple[bytes, Validity | None] | LargeBody
"""A body, and for how long it is valid by the clock if not for ever; or what is too large to be one body."""


@dataclass(slots=True)
class _Entry:
    response: CachedResponse | None
    """None once it is dropped."""
    revision: Revision
    expires: float | None
    validity: Validity | None


@dataclass(slots=True)
class _Rendering:
    revision: Revision
    expires: float | None
    result: asyncio.Task[CachedResponse | LargeBody]


class ResponseCache:
    """Keep as many responses as fit into ``max_bytes``; the one unused for longest goes first.

    Beside them it remembers what each caller who asks the same again got last, so that its query need not even be read.
    """

    def __init__(self, *, max_bytes: int, now: Callable[[], str]) -> None:
        self._max_bytes = max_bytes
        self._now = now
        self._bytes = 0
        self.made = 0
        """Number of responses made because none was kept, or the kept one was no longer valid."""
        self._kept: OrderedDict[Hashable, _Entry] = OrderedDict()
        self._bodies: dict[bytes, tuple[CachedResponse, int]] = {}
        self._rendering: dict[Hashable, _Rendering] = {}
        self._last: LruCache[Hashable, tuple[_Entry, Revision]] = LruCache(max_bytes // 4096)

    @property
    def size_bytes(self) -> int:
        """Return the approximate size of the answers kept at present, in bytes."""
        return self._bytes

    def last(self, words: Hashable, watch: Watch, revision: Revision) -> CachedResponse | None:
        """Return the last answer to the same request, if nothing it depends on has changed since."""
        last = self._last.get(words)
        if last is None:
            return None
        kept, read_at = last
        if (
            kept.response is None
            or read_at != revision
            or watch.past(kept.expires)
            or not self._is_valid(kept.validity)
        ):
            self._last.drop(words)
            return None
        return kept.response

    def remember(self, words: Hashable, key: Hashable, revision: Revision) -> None:
        """Remember the key of the answer to a request; ``revision`` is from before anything was read for it."""
        kept = self._kept.get(key)
        if kept is not None:
            self._last.put(words, (kept, revision))

    async def get(
        self, key: Hashable, watch: Watch | None, make: Callable[[], Awaitable[Rendered]]
    ) -> CachedResponse | LargeBody:
        """Return the answer under a key: a cached one if valid, else a new one, made once for all who wait for it.

        What is too large to be one body has not been read yet, and is not cached.
        """
        revision = None if watch is None else watch.revision()
        if watch is None or revision is None:
            self.made += 1
            made = await make()
            return made if not isinstance(made, tuple) else CachedResponse(made[0])
        kept = self._kept.get(key)
        if kept is not None:
            if (
                kept.response is not None
                and kept.revision == revision
                and not watch.past(kept.expires)
                and self._is_valid(kept.validity)
            ):
                self._kept.move_to_end(key)
                return kept.response
            self._drop(key)
        # A caller that joins a rendering asked after it began, so it must have begun after the last answered write.
        rendering = self._rendering.get(key)
        if rendering is None or rendering.revision != revision or watch.past(rendering.expires):
            expires = watch.until()
            task = asyncio.ensure_future(self._read(key, revision, expires, make))
            rendering = self._rendering[key] = _Rendering(revision, expires, task)
            task.add_done_callback(lambda _: self._done(key, rendering))
        return await asyncio.shield(rendering.result)

    async def _read(
        self, key: Hashable, revision: Revision, expires: float | None, make: Callable[[], Awaitable[Rendered]]
    ) -> CachedResponse | LargeBody:
        made = await make()
        self.made += 1
        if not isinstance(made, tuple):
            return made
        body, validity = made
        response = CachedResponse(body)
        if len(body) <= self._max_bytes // 8 and self._is_valid(validity):
            response = self._keep(key, response, revision, expires, validity)
        return response

    def _done(self, key: Hashable, rendering: _Rendering) -> None:
        if self._rendering.get(key) is rendering:
            del self._rendering[key]
        if not rendering.result.cancelled():
            rendering.result.exception()  # somebody waited for it, or nobody is left who would

    def _is_valid(self, validity: Validity | None) -> bool:
        return validity is None or validity.since <= self._now() < validity.until

    def _keep(
        self,
        key: Hashable,
        response: CachedResponse,
        revision: Revision,
        expires: float | None,
        validity: Validity | None,
    ) -> CachedResponse:
        self._drop(key)
        response, uses = self._bodies.get(response.digest, (response, 0))
        response.resized = self._resized
        self._bodies[response.digest] = response, uses + 1
        self._kept[key] = _Entry(response, revision, expires, validity)
        self._bytes += _ENTRY_COST + (0 if uses else response.cost)
        self._make_room()
        return response

    def _resized(self, by: int) -> None:
        self._bytes += by
        self._make_room()

    def _make_room(self) -> None:
        while self._bytes > self._max_bytes:
            self._drop(next(iter(self._kept)))

    def _drop(self, key: Hashable) -> None:
        kept = self._kept.pop(key, None)
        if kept is None:
            return
        self._bytes -= _ENTRY_COST
        dropped, kept.response = kept.response, None
        if dropped is None:
            return
        response, uses = self._bodies[dropped.digest]
        if uses > 1:
            self._bodies[response.digest] = response, uses - 1
        else:
            del self._bodies[response.digest]
            self._bytes -= response.cost
            response.resized = None
