"""Small facts from the database, remembered while nothing they were made from changes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from vtn.counters.revisions import Revision, Watch
from vtn.lru import LruCache

F = TypeVar("F")


@dataclass(frozen=True, slots=True)
class _Known(Generic[F]):
    fact: F
    revision: Revision
    expires: float | None


class FactCache(Generic[F]):
    """At most so many facts by key; the one unused for longest is forgotten first. Without a watch, nothing is kept."""

    def __init__(self, watch: Watch | None, *, most: int) -> None:
        self._watch = watch
        self._known: LruCache[str, _Known[F]] = LruCache(most)

    async def get(
        self, key: str, look_up: Callable[[], Awaitable[F]], *, is_lasting: Callable[[F], bool] | None = None
    ) -> F:
        """Return the fact under a key, looked up unless it is cached and still valid.

        What ``is_lasting`` says no to is not cached.
        """
        watch = self._watch
        revision = None if watch is None else watch.revision()
        if watch is None or revision is None:
            return await look_up()
        known = self._known.get(key)
        if known is not None and known.revision == revision and not watch.past(known.expires):
            return known.fact
        expires = watch.until()
        fact = await look_up()
        if is_lasting is None or is_lasting(fact):
            self._known.put(key, _Known(fact, revision, expires))
        return fact
