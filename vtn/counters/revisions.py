"""Revisions of tables, which tell whether a cached answer is still valid.

On one host the counters are exact: a write is counted before it is answered. Changes made from other hosts arrive
through a listener (PostgreSQL); when that is silent for too long nothing can be said, and nothing kept may be used.
Tables that announce nothing to other hosts are young or old: what was read from them holds for a moment only.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, Protocol, TypeAlias

import structlog

from vtn.counters.counters import ChangeCounters

_log = structlog.get_logger(__name__)

_SETTLE_EVERY_S: Final = 0.05
_DOUBT_S: Final = 10.0
MOMENT_S: Final = 0.09
"""Time, in seconds, for which data may be used that other hosts could have changed without notice."""

Revision: TypeAlias = tuple[bytes, int]


class Listener(Protocol):
    """Receives changes made from other hosts."""

    tables: frozenset[str]
    """The tables whose changes it receives."""

    def is_current(self) -> bool:
        """Return True if it has received every change up to a moment ago."""

    def heard(self, table: str) -> int:
        """Return the number of changes of a table it has received."""

    def start(self) -> None: ...
    def stop(self) -> None: ...


class Changes:
    """The tables that one transaction changes. Each is begun when it is first touched."""

    def __init__(self, counters: ChangeCounters | None) -> None:
        self._counters = counters
        self._touched: set[str] = set()
        self._begun: list[str] = []

    def touch(self, table: str) -> None:
        """Note that the transaction is about to change a table."""
        self._touched.add(table)
        if self._counters is not None and table in self._counters.tables and table not in self._begun:
            self._counters.begin(table)
            self._begun.append(table)

    def has_touched(self, table: str) -> bool:
        """Return True if the transaction has changed a table."""
        return table in self._touched

    def may_have_ended(self) -> None:
        """Note that the transaction may have ended: data read before is no longer valid."""
        for table in self._begun:
            if self._counters is not None:
                self._counters.begin(table)
                self._counters.end(table)

    def end(self) -> None:
        """Note that the transaction was committed or rolled back."""
        for table in self._begun:
            if self._counters is not None:
                self._counters.end(table)


class Watch:
    """Some tables, and those whose changes reach them through foreign keys."""

    def __init__(
        self,
        counters: ChangeCounters,
        listener: Listener | None,
        tables: frozenset[str],
        *,
        clock: Callable[[], float],
        usable: Callable[[], bool],
    ) -> None:
        self._counters = counters
        self._listener = listener
        self._clock = clock
        self._usable = usable
        self._places = tuple(counters.place(table) for table in sorted(tables))
        self._heard = tuple(sorted(tables)) if listener is not None else ()
        self._briefly = listener is not None and not tables <= listener.tables
        self._latest: Revision = (b"", 0)

    def revision(self) -> Revision | None:
        """Return the revision of the tables, or None if unknown. Data read after it is valid while it is unchanged."""
        if self._listener is not None and not self._listener.is_current():
            return None
        return self.heard()

    def heard(self) -> Revision | None:
        """Return the revision that is heard of so far, or None if unknown; for work that looks again and again.

        It may be a moment older than ``revision``, which keeps the listener busy.
        """
        heard = 0
        if not self._usable():
            return None
        if self._listener is not None:
            for table in self._heard:
                heard += self._listener.heard(table)
        read = self._counters.read
        revision = b"".join([read(place) for place in self._places]), heard
        if revision != self._latest:
            self._latest = revision
        return self._latest  # the same object while nothing changes: it is kept beside every answer

    def until(self) -> float | None:
        """Return when data read now expires, on the clock of ``past``; None if it is valid until a change."""
        return self._clock() + MOMENT_S if self._briefly else None

    def past(self, until: float | None) -> bool:
        """Return True if a time from ``until`` has passed."""
        return until is not None and self._clock() > until


class Revisions:
    """The revisions of all tables, as one process sees and makes them. Until started, nothing is shared or kept."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._counters: ChangeCounters | None = None
        self._listener: Listener | None = None
        self._clock = clock
        self._in_place = True
        self._settle_at = float("-inf")
        self._cancelled: list[tuple[Changes, float]] = []
        self._is_in_doubt = asyncio.Event()

    def start(self, counters: ChangeCounters, listener: Listener | None = None) -> None:
        """Share revisions from now on, and begin to listen."""
        self._counters, self._listener = counters, listener
        if listener is not None:
            listener.start()

    async def stop(self) -> None:
        """Give everything back. Called after the database is closed."""
        if self._listener is not None:
            await asyncio.to_thread(self._listener.stop)
        if self._counters is not None:
            self._counters.close()
            self._counters = None

    def watch(self, tables: frozenset[str]) -> Watch | None:
        """Return a watch on these tables for cached answers; None if nothing may be cached.

        ``tables`` include those whose deletions reach the ones that are read (``vtn.store.tables.reached_from``).
        """
        if self._counters is None:
            return None
        return Watch(self._counters, self._listener, tables, clock=self._clock, usable=self._usable)

    @property
    def hears_other_hosts(self) -> bool:
        """Return True if other hosts may change the database, and tell of some changes."""
        return self._listener is not None

    def count(self, table: str) -> bytes | None:
        """Return a value that changes with every change of a table by a process of this host; None until started."""
        return None if self._counters is None else self._counters.read(self._counters.place(table))

    @contextmanager
    def writing(self) -> Iterator[Changes]:
        """Record the changes of a transaction. If cancelled, it may end later; until then its tables are not cached."""
        changes = Changes(self._counters)
        try:
            yield changes
        except asyncio.CancelledError:
            changes.may_have_ended()
            self._cancelled.append((changes, self._clock() + _DOUBT_S))
            self._is_in_doubt.set()
            raise
        except BaseException:
            changes.end()
            raise
        changes.end()

    def _usable(self) -> bool:
        """Return True if the counters tell of all processes of this host. Looks now and then, when somebody asks."""
        now = self._clock()
        if now >= self._settle_at and self._counters is not None:
            self._settle_at = now + _SETTLE_EVERY_S
            self._counters.settle()
            if not self._counters.in_place and self._in_place:
                self._in_place = False
                _log.error("the file in which processes tell each other of changes is gone; restart the VTN")
        return self._in_place

    async def settle_cancelled(self) -> None:
        """Say again and again that cancelled transactions may have ended, until it is certain; runs until cancelled.

        Until this is said of a table, nothing that was read from it is kept.
        """
        while True:
            await self._is_in_doubt.wait()
            for doubtful in list(self._cancelled):
                changes, until = doubtful
                changes.may_have_ended()
                if self._clock() > until:
                    changes.end()
                    self._cancelled.remove(doubtful)
            if not self._cancelled:
                self._is_in_doubt.clear()
            await asyncio.sleep(_SETTLE_EVERY_S)
