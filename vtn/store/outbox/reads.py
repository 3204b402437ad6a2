"""Reads of single objects, for those who want to hear of them (SUBS-029).

A read changes nothing, and who reads does not wait for anything here: reads are noted in memory and recorded a moment
later, a few together, if anybody wants to hear of them. A process that is killed loses those of the last moment.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, NamedTuple, Protocol

import structlog
from sqlalchemy import Table, select

from vtn.counters.revisions import Revision
from vtn.errors import Unavailable
from vtn.store.database import Database
from vtn.store.engine import AsyncConnection
from vtn.store.outbox.rows import Operation
from vtn.store.tables import endpoint_operations, subscriptions

_log = structlog.get_logger(__name__)

MOST_WAITING: Final = 5_000
_GATHER_S: Final = 0.1
_AGAIN_S: Final = 1.0
_AT_ONCE: Final = 100
"""Reads that are recorded in one transaction."""
_OTHER_HOSTS_S: Final = 10.0
"""For so long it may stay unknown that somebody wants to hear of reads who subscribed at another host."""
_WANTED: Final = select(endpoint_operations.c.object_type).where(endpoint_operations.c.operation == str(Operation.READ))


class RecordRead(Protocol):
    """Records that a client has read an object, in a transaction."""

    def __call__(
        self, connection: AsyncConnection, table: Table, object_id: str, /, *, reader: str
    ) -> Awaitable[None]: ...


class _Read(NamedTuple):
    table: Table
    object_id: str
    reader: str


class Reads:
    """Keep reads until they are recorded. ``type_of`` names the kind of objects in a table; None for one not told of.

    While not ``enabled``, nobody is told of reads. ``dropped`` counts those of which nobody is told because too many
    waited.
    """

    def __init__(
        self, database: Database, record: RecordRead, type_of: Callable[[Table], str | None], *, enabled: bool
    ) -> None:
        self.dropped = 0
        self.enabled = enabled
        self._database = database
        self._record = record
        self._type_of = type_of
        self._watch = database.watch(subscriptions)
        self._waiting: list[_Read] = []
        self._noted = asyncio.Event()
        self._known: frozenset[str] = frozenset()
        self._known_at: Revision | None = None
        self._known_until = 0.0

    def add(self, table: Table, object_id: str, *, reader: str) -> None:
        """Note that a client was answered with an object. ``reader`` is its id, empty for somebody without a token."""
        if not self.enabled:
            return
        if len(self._waiting) >= MOST_WAITING:
            self.dropped += 1
            return
        self._waiting.append(_Read(table, object_id, reader))
        self._noted.set()

    async def run(self) -> None:
        """Record reads soon after they were made, until cancelled."""
        is_away = False
        while True:
            await self._noted.wait()
            await asyncio.sleep(_AGAIN_S if is_away else _GATHER_S)
            try:
                await self.store()
            except Unavailable:
                if not is_away:
                    _log.warning("the database does not answer; who wants to hear of reads is told later")
                is_away = True
            else:
                is_away = False

    async def store(self) -> None:
        """Record what was noted until now; raises Unavailable, and keeps what is not recorded."""
        self._noted.clear()
        waiting, self._waiting = self._waiting, []
        try:
            wanted = await self._wanted()
            waiting = [read for read in waiting if self._type_of(read.table) in wanted]
            while waiting:
                await self._store(waiting[:_AT_ONCE])
                del waiting[:_AT_ONCE]
        except BaseException:
            self._waiting = waiting + self._waiting
            self._noted.set()
            raise

    async def _store(self, reads: Sequence[_Read]) -> None:
        async with self._database.write() as connection:
            for read in reads:
                await self._record(connection, read.table, read.object_id, reader=read.reader)

    async def _wanted(self) -> frozenset[str]:
        """Return the kinds of objects of whose reads anybody wants to hear: looked up when subscriptions changed."""
        revision = None if self._watch is None else self._watch.revision()
        now = time.monotonic()
        if revision is None or revision != self._known_at or now > self._known_until:
            rows = await self._database.rows(_WANTED)
            self._known = frozenset(row["object_type"] for row in rows)
            self._known_at, self._known_until = revision, now + _OTHER_HOSTS_S
        return self._known
