"""A home that meets exactly one fault: at the n-th write, driver call or request, in one of five ways."""

from __future__ import annotations

import asyncio
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, TypeVar

import aiosqlite

from openadr_client.client import VtnClient
from openadr_client.clock import ManualClock
from openadr_client.errors import Unreachable
from openadr_client.transport import Answer, BaseTransport
from tests.ven.builders import START
from tests.ven.faults.dated_relay import DatedRelay
from tests.ven.home import Home, Wire
from ven.drivers import CircuitState
from ven.settings import VenSettings
from ven.store import StateFile
from ven.store.journal import Key

T = TypeVar("T")


class Kind(StrEnum):
    """Name what the fault is met at."""

    WRITE = "write"
    DRIVER = "driver call"
    REQUEST = "request"


class Way(StrEnum):
    """Tell how it is met: before or after the effect of the call."""

    RAISES = "raises"
    """A disk that is full stays so until `answer` is called, as one that hangs."""
    RAISES_AFTER = "raises, but has done it"
    HANGS = "hangs"
    KILLED = "killed before it"
    KILLED_AFTER = "killed after it"


def error_of(kind: Kind, *, was_sent: bool = True) -> Exception:
    """Return what is raised there, before or after the call had its effect."""
    match kind:
        case Kind.WRITE:
            return sqlite3.OperationalError("database or disk is full")
        case Kind.DRIVER:
            return OSError("the bus is gone")
        case Kind.REQUEST:
            return Unreachable("the connection broke", was_sent=was_sent)


@dataclass(frozen=True)
class Fault:
    """One fault of the table."""

    kind: Kind
    number: int
    way: Way

    def __str__(self) -> str:
        return f"{self.kind} {self.number} {self.way}"


class FaultyHome(Home):
    """A home that meets a fault, or none; it counts what it could have met one at, and keeps a dated diary."""

    def __init__(self, settings: VenSettings, clock: ManualClock, fault: Fault | None = None) -> None:
        super().__init__(settings, clock, DatedRelay(clock))
        self.fault = fault
        self.counts: Counter[Kind] = Counter()
        self.requests: list[str] = []
        self.met_at: datetime | None = None
        self.met: str | None = None
        self.killed_at: Counter[str] = Counter()
        """How often it was killed, by what it was about to do or had just done."""
        self.is_dead = False
        self.is_disk_full = False
        self.is_disk_hanging = False
        self.hanging: set[str] = set()
        """Circuits whose device does not answer at all."""
        self._answers = asyncio.Event()

    @property
    def dated(self) -> DatedRelay:
        """The relay board."""
        assert isinstance(self.relay, DatedRelay)
        return self.relay

    @property
    def pending(self) -> tuple[Key, ...]:
        """Return what it has not written yet."""
        assert self._store is not None
        return self._store.journal.pending

    async def unsent(self) -> list[str]:
        """The names of the reports that it has not sent yet."""
        assert self._store is not None
        return [report.name for report in await self._store.reports.unsent()]

    async def start(self) -> None:
        """Start it, and again if it is killed while it starts."""
        self.is_dead = False
        await super().start()

    async def quiet(self) -> None:
        """Return when it has nothing left to do; start it again if it was killed."""
        while True:
            try:
                await super().quiet()
            except asyncio.CancelledError:
                if not self.is_dead:
                    raise
            if not self.is_dead:
                return
            await self.stop()
            self.is_dead = False
            await Home.start(self)

    async def _is_quiet(self) -> bool:
        """What goes on behind a step is waited for, however long the machine takes, unless it hangs on purpose."""
        assert self._store is not None
        assert self._agent is not None
        journal, panel = self._store.journal, self._agent._control.panel
        if panel._switching:
            return False  # for a deadline at most
        if self.is_disk_hanging:  # the loops that wait for it do nothing else
            woken = self._agent._act.is_set() or (self._clock.next_wake or START) <= self._clock.now()
            return self._clock.sleepers >= 2 and not woken
        if journal._writer is not None and not journal._writer.done():
            return False
        return await super()._is_quiet()

    async def kill_at(self, kind: Kind, after: int, way: Way) -> None:
        """Have it killed at one of its next writes or calls; now, if the last time has not come yet."""
        if self.fault is not None and self.counts[self.fault.kind] < self.fault.number:
            await self.die()
        self.fault = Fault(kind, self.counts[kind] + after, way)

    async def die(self) -> None:
        """End it as a process that is killed, with nothing that waits to be written, and start it again."""
        self.killed_at["nothing"] += 1
        self.is_dead = True
        self._wire.is_cut = True
        await self.stop()
        await self.start()

    def answer(self) -> None:
        """Let what hangs go on, and make room on the disk."""
        self.is_disk_hanging = self.is_disk_full = False
        self._answers.set()

    def opened(self, wire: Wire, store: StateFile, client: VtnClient) -> Wire:
        """Put the fault in the way of everything that the agent reaches outside of itself."""
        file, transport = store._file, client._transport
        assert isinstance(transport, BaseTransport)
        really_write, really_read, really_send = file.transaction, file.rows, transport._send

        @asynccontextmanager
        async def transaction() -> AsyncIterator[aiosqlite.Connection]:
            self._must_live(Kind.WRITE)
            async with really_write() as connection:  # one that hangs keeps all others waiting, as a disk does
                await self._before(Kind.WRITE, str([":".join(key) for key in store.journal.pending]))
                yield connection
            await self._after(Kind.WRITE)

        async def rows(statement: str, values: Sequence[object] = ()) -> list[sqlite3.Row]:
            if self.is_disk_hanging:
                await self._answers.wait()
            return await really_read(statement, values)

        async def send(method: str, url: str, *rest: Any) -> Answer:
            self.requests.append(f"{method} {url.partition('3.1.0')[2]}")
            await self._before(Kind.REQUEST, self.requests[-1])
            answer = await really_send(method, url, *rest)
            await self._after(Kind.REQUEST)
            return answer

        for there, name, in_the_way in (
            (file, "transaction", transaction),
            (file, "rows", rows),
            (transport, "_send", send),
        ):
            setattr(there, name, in_the_way)
        return FaultyWire(wire, self)

    async def call(self, what: str, really: Callable[[], Awaitable[T]]) -> T:
        """Make a call of the driver."""
        await self._before(Kind.DRIVER, what)
        answer = await really()
        await self._after(Kind.DRIVER)
        return answer

    def _must_live(self, kind: Kind) -> None:
        if self.is_dead:
            raise error_of(kind)

    async def _before(self, kind: Kind, what: str) -> None:
        self._must_live(kind)
        self.counts[kind] += 1
        if kind is Kind.WRITE and self.is_disk_full:
            raise error_of(kind)
        if kind is Kind.DRIVER and what.rpartition(" ")[2] in self.hanging:
            await asyncio.Event().wait()
        if not self._is_due(kind):
            return
        self.met, self.met_at = what, self._clock.now()
        assert self.fault is not None
        if self.fault.way is Way.RAISES:
            self.is_disk_full = kind is Kind.WRITE and not self._answers.is_set()
            raise error_of(kind, was_sent=False)
        if self.fault.way is Way.HANGS:
            await self._hang(kind)
        if self.fault.way is Way.KILLED:
            self._die(kind)

    async def _after(self, kind: Kind) -> None:
        self._must_live(kind)
        if not self._is_due(kind):
            return
        assert self.fault is not None
        if self.fault.way is Way.RAISES_AFTER:
            raise error_of(kind)
        if self.fault.way is Way.KILLED_AFTER:
            self._die(kind)

    def _is_due(self, kind: Kind) -> bool:
        return self.fault is not None and (kind, self.counts[kind]) == (self.fault.kind, self.fault.number)

    async def _hang(self, kind: Kind) -> None:
        if kind is Kind.REQUEST:  # the client itself waits for so long at most
            await self._clock.sleep(self.settings.vtn.timeout_s)
            raise error_of(kind)
        self.is_disk_hanging = kind is Kind.WRITE and not self._answers.is_set()
        await self._answers.wait()

    def _die(self, kind: Kind) -> None:
        """End as a process that is killed: nothing more reaches the device, the disk or the VTN."""
        self.killed_at[kind] += 1
        self.is_dead = True
        self._wire.is_cut = True
        self.counts[kind] += 1  # a new process does not meet it again
        assert self._task is not None
        self._task.cancel()
        raise error_of(kind)


class FaultyWire(Wire):
    """The line to the relay board, with the fault in its way."""

    def __init__(self, wire: Wire, home: FaultyHome) -> None:
        super().__init__(wire._relay)
        self._home = home

    async def read(self) -> Mapping[str, CircuitState]:
        return await self._home.call("read", super().read)

    async def limit(self, circuit_id: str, limit_kw: Decimal, *, expires_at: datetime) -> None:
        really = super().limit
        await self._home.call(f"limit {circuit_id}", lambda: really(circuit_id, limit_kw, expires_at=expires_at))

    async def release(self, circuit_id: str, *, switch_on: bool) -> None:
        really = super().release
        await self._home.call(f"release {circuit_id}", lambda: really(circuit_id, switch_on=switch_on))
