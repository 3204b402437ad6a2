"""Streams of open pages: each hears, by topic, that something has changed, and then asks for its parts again.

One look at the change counters serves all streams of a process. Changes of other hosts are known where PostgreSQL
announces them; of the rest the pages are reminded from time to time.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from vtn.console_settings import ConsoleSettings
from vtn.counters.revisions import Revision, Revisions, Watch
from vtn.errors import TooManyRequests

TOPICS: Final = {
    "events": frozenset({"programs", "events"}),
    "reports": frozenset({"reports", "read_reports"}),
    "vens": frozenset({"vens", "resources", "resource_groups", "contacts", "clients", "oadr20b_vens"}),
    "deliveries": frozenset({"deliveries", "subscriptions", "notifications"}),
    "facts": frozenset({"read_reports", "event_curve"}),
}
"""Hold what pages can ask to be told of, and the tables that tell it."""

_LOOK_EVERY_S: Final = 0.5
_OF_ONE_USER: Final = 20


class OpenStream:
    """A stream: what has changed since it was last told."""

    def __init__(self) -> None:
        self._changed: set[str] = set()
        self._wake = asyncio.Event()
        self.is_over = False

    def tell(self, topics: frozenset[str]) -> None:
        """Note that these topics have changed."""
        self._changed |= topics
        self._wake.set()

    def end(self) -> None:
        """Have the stream end."""
        self.is_over = True
        self._wake.set()

    async def changed(self, *, within_s: float) -> frozenset[str]:
        """Return the topics that have changed, as soon as there are some; none after this time, or at the end."""
        try:
            async with asyncio.timeout(within_s):
                await self._wake.wait()
        except TimeoutError:
            return frozenset()
        self._wake.clear()
        topics, self._changed = frozenset(self._changed), set()
        return topics


class ConsoleStreams:
    """The streams of a process: a bounded number in all and for each user."""

    def __init__(self, settings: ConsoleSettings, revisions: Revisions) -> None:
        self._most = settings.streams
        self._revisions = revisions
        self._open: dict[OpenStream, str] = {}
        self._looking: asyncio.Task[None] | None = None
        self._is_closed = False
        self.heartbeat_s = 15.0
        """Time after which a stream without news sends something, and looks whether its session still holds."""

    def __len__(self) -> int:
        return len(self._open)

    @contextmanager
    def opened(self, user_name: str) -> Iterator[OpenStream]:
        """Open a stream for a page of a user; raises TooManyRequests."""
        if self._is_closed or len(self._open) >= self._most or Counter(self._open.values())[user_name] >= _OF_ONE_USER:
            raise TooManyRequests(
                "too many pages are kept up to date; this one looks every 15 seconds", retry_after_s=15
            )
        stream = OpenStream()
        self._open[stream] = user_name
        if self._looking is None:
            self._looking = asyncio.create_task(self._look())
        try:
            yield stream
        finally:
            del self._open[stream]
            if not self._open and self._looking is not None:
                self._looking.cancel()
                self._looking = None

    @property
    def unannounced(self) -> frozenset[str]:
        """Return the topics that other hosts may change without a word: pages are reminded of them."""
        return frozenset({"vens", "deliveries", "reports"}) if self._revisions.hears_other_hosts else frozenset()

    async def close(self) -> None:
        """End all streams; new ones are refused."""
        self._is_closed = True
        for stream in self._open:
            stream.end()

    async def _look(self) -> None:
        """Compare the revisions of all topics again and again, and tell every stream what is new."""
        watches = {topic: watch for topic, tables in TOPICS.items() if (watch := self._revisions.watch(tables))}
        seen = {topic: watch.heard() for topic, watch in watches.items()}
        while True:
            await asyncio.sleep(_LOOK_EVERY_S)
            topics = frozenset(topic for topic, watch in watches.items() if _is_new(watch, topic, seen))
            if topics:
                for stream in self._open:
                    stream.tell(topics)


def _is_new(watch: Watch, topic: str, seen: dict[str, Revision | None]) -> bool:
    revision = watch.heard()
    if revision is None or revision == seen[topic]:
        return False
    seen[topic] = revision
    return True
