"""Answers that were given before, as ready bytes, for everybody who would get the same.

An answer is kept under the standpoint it was made from and the question. It is given again only while the revision of
everything it was made from is what it was before it was read: nobody gets bytes from before a write that was answered
before they asked (ETAG-003). Equal bodies are kept once, however many readers have them.
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
from vtn.store.rows import Validity

_ENTRY_COST: Final = 600
"""About what a key and its entry take, in bytes, beside the body."""

Rendered: TypeAlias = tuple[bytes, Validity | None] | LargeBody
"""A body, and for how long it is valid by the clock if not for ever; or what is too large to be one body."""


@dataclass(slots=True)
class _Kept:
    ready: CachedResponse | None
    """None once it is dropped."""
    revision: Revision
    expires: float | None
    passing: Validity | None


@dataclass(slots=True)
class _Reading:
    revision: Revision
    expires: float | None
    result: asyncio.Task[CachedResponse | LargeBody]


class ResponseCache:
    """Keeps as many answers as fit into ``max_bytes``; the one unused for longest goes first.

    Beside them it remembers what those who ask again and again got last, so that their words need not even be read.
    """

    def __init__(self, *, max_bytes: int, now: Callable[[], str]) -> None:
        self._max_bytes = max_bytes
        self._now = now
        self._bytes = 0
        self.made = 0
        """Number of answers made because none was kept, or the kept one was no longer valid."""
        self._kept: OrderedDict[Hashable, _Kept] = OrderedDict()
        self._bodies: dict[bytes, tuple[CachedResponse, int]] = {}
        self._reading: dict[Hashable, _Reading] = {}
        self._last: OrderedDict[Hashable, tuple[_Kept, Revision]] = OrderedDict()
        self._most_last = max_bytes // 4096

    @property
    def size_bytes(self) -> int:
        """Return the approximate size of the answers kept at present, in bytes."""
        return self._bytes

    def last(self, words: Hashable, watch: Watch, revision: Revision) -> CachedResponse | None:
        """Return the last answer to the same request, if nothing it depends on has changed since."""
        found = self._last.get(words)
        if found is None:
            return None
        kept, known = found
        if kept.ready is None or known != revision or watch.past(kept.expires) or not self._is_so(kept.passing):
            del self._last[words]
            return None
        self._last.move_to_end(words)
        return kept.ready

    def remember(self, words: Hashable, key: Hashable, revision: Revision) -> None:
        """Remember the key of the answer to a request; ``revision`` is from before anything was read for it."""
        kept = self._kept.get(key)
        if kept is not None:
            self._last[words] = kept, revision
            while len(self._last) > self._most_last:
                self._last.popitem(last=False)

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
                kept.ready is not None
                and kept.revision == revision
                and not watch.past(kept.expires)
                and self._is_so(kept.passing)
            ):
                self._kept.move_to_end(key)
                return kept.ready
            self._drop(key)
        # Whoever joins a reading asked after it began, so it must have begun after the last write that was answered.
        reading = self._reading.get(key)
        if reading is None or reading.revision != revision or watch.past(reading.expires):
            expires = watch.until()
            task = asyncio.ensure_future(self._read(key, revision, expires, make))
            reading = self._reading[key] = _Reading(revision, expires, task)
            task.add_done_callback(lambda _: self._done(key, reading))
        return await asyncio.shield(reading.result)

    async def _read(
        self, key: Hashable, revision: Revision, expires: float | None, make: Callable[[], Awaitable[Rendered]]
    ) -> CachedResponse | LargeBody:
        made = await make()
        self.made += 1
        if not isinstance(made, tuple):
            return made
        body, passing = made
        ready = CachedResponse(body)
        if len(body) <= self._max_bytes // 8 and self._is_so(passing):
            ready = self._keep(key, ready, revision, expires, passing)
        return ready

    def _done(self, key: Hashable, reading: _Reading) -> None:
        if self._reading.get(key) is reading:
            del self._reading[key]
        if not reading.result.cancelled():
            reading.result.exception()  # somebody waited for it, or nobody is left who would

    def _is_so(self, passing: Validity | None) -> bool:
        return passing is None or passing.since <= self._now() < passing.until

    def _keep(
        self, key: Hashable, ready: CachedResponse, revision: Revision, expires: float | None, passing: Validity | None
    ) -> CachedResponse:
        self._drop(key)
        ready, uses = self._bodies.get(ready.digest, (ready, 0))
        ready.resized = self._resized
        self._bodies[ready.digest] = ready, uses + 1
        self._kept[key] = _Kept(ready, revision, expires, passing)
        self._bytes += _ENTRY_COST + (0 if uses else ready.cost)
        self._make_room()
        return ready

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
        dropped, kept.ready = kept.ready, None
        if dropped is None:
            return
        ready, uses = self._bodies[dropped.digest]
        if uses > 1:
            self._bodies[ready.digest] = ready, uses - 1
        else:
            del self._bodies[ready.digest]
            self._bytes -= ready.cost
            ready.resized = None
