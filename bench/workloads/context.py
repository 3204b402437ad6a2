"""The context of a workload: the VTN, references beside it, and how long to measure."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from itertools import count, cycle
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from bench.api import ApiClient
from bench.databases import Databases
from bench.load import Requests, Sample, load
from bench.measure import MeasuredSubject, Series, interleaved
from bench.processes import Cores, MeasuredProcess, Meter, python
from bench.references import Config, ReadyAnswer
from bench.results import Case, Goal
from bench.support.net import free_port
from bench.vtn import Vtn
from bench.wire import Address, request

T = TypeVar("T")

_HOST = "127.0.0.1"
_LONGEST_S: Final = 600.0
_PROBES_PER_S: Final = 100.0


@dataclass(frozen=True, slots=True)
class Reference:
    """A reference process that runs."""

    address: Address
    meter: Meter


@dataclass(slots=True)
class WorkloadContext:
    """Everything around a workload. ``events``, ``vens``, ``reports``, ``panels``: sizes to go through."""

    vtn: Vtn
    databases: Databases
    cores: Cores
    folder: Path
    rounds: int
    seconds: float
    events: Sequence[int]
    vens: Sequence[int]
    reports: Sequence[int]
    report: Callable[[Case], None]
    """Hears of every case as soon as it is measured."""
    skipped: Callable[[str, str], None]
    panels: Sequence[int] = (200, 1_000, 10_000)
    _numbers: count[int] = field(default_factory=count)

    def file(self, content: bytes) -> str:
        """Return a file for a reference process."""
        path = self.folder / f"{next(self._numbers)}.bin"
        path.write_bytes(content)
        return str(path)

    @asynccontextmanager
    async def reference(
        self, *, answers: Sequence[ReadyAnswer] = (), page: list[str] | None = None, database: bool = False
    ) -> AsyncIterator[Reference]:
        """Yield a reference process for the time of the block, with a database of its own if it asks for one."""
        config = Config(
            port=free_port(),
            answers=tuple(answers),
            database=self.databases.create().removeprefix("sqlite:///") if database or page is not None else None,
            page=None if page is None else self.file(msgspec.json.encode(page)),
        )
        process = MeasuredProcess(
            python("bench.references", self.file(msgspec.json.encode(config))),
            cores=self.cores.server,
            log=self.folder / "references.log",
        )
        await process.start(_HOST, config.port)
        try:
            yield Reference(Address(_HOST, config.port), Meter(process.pid))
        finally:
            process.stop()

    @asynccontextmanager
    async def bare_notifiers(self) -> AsyncIterator[Reference]:
        """Yield a process of the programs that notifications are compared with, for the time of the block."""
        address = Address(_HOST, free_port())
        process = MeasuredProcess(
            python("bench.bare_notifiers", str(address.port)),
            cores=self.cores.server,
            log=self.folder / "bare_notifiers.log",
        )
        await process.start(_HOST, address.port)
        try:
            yield Reference(address, Meter(process.pid))
        finally:
            process.stop()

    @asynccontextmanager
    async def polls_20b(self, kind: str, *arguments: str) -> AsyncIterator[Reference]:
        """Yield a process of the programs that polls of OpenADR 2.0b are compared with, for the time of the block."""
        address = Address(_HOST, free_port())
        process = MeasuredProcess(
            python("bench.polls_20b", kind, str(address.port), *arguments),
            cores=self.cores.server,
            log=self.folder / f"{kind}.log",
        )
        await process.start(_HOST, address.port)
        try:
            yield Reference(address, Meter(process.pid))
        finally:
            process.stop()

    async def watched(self, work: Awaitable[T], at: Address | None = None) -> tuple[T, float]:
        """Return what the work gives, and the longest that a ``GET /health`` of a server took meanwhile, in seconds.

        The server is the VTN, or the one ``at`` an address.

        That is about the longest that its event loop was busy with one thing.
        """
        root = replace(at or self.vtn.address, path="")
        probe, is_over = request(root, "GET", "/health"), False

        def probes() -> bytes:
            if is_over:
                raise StopIteration
            return probe

        probing = asyncio.create_task(
            load(root, probes, connections=1, seconds=_LONGEST_S, expect=200, per_second=_PROBES_PER_S)
        )
        try:
            result = await work
        finally:
            is_over = True
            probed = await probing
        return result, max(probed.latencies_s, default=0.0)

    async def compare(self, *subjects: MeasuredSubject) -> list[Series]:
        """Return the subjects in turn, round by round."""
        return await interleaved(subjects, rounds=self.rounds, seconds=self.seconds)

    def keep(
        self,
        workload: str,
        name: str,
        series: Series,
        *references: Series,
        connections: int,
        stored: tuple[int, str] | None = None,
        goals: Callable[[Case], tuple[Goal, ...]] | None = None,
    ) -> None:
        """Report a case; ``stored`` is how many of what the store held, ``goals`` what the case is held against."""
        size, unit = stored or (None, "")
        case = Case(workload, name, self.vtn.database, connections, series, references, size, unit)
        if goals is not None:
            case.goals = goals(case)
        self.report(case)

    def skip(self, workload: str, why: str) -> None:
        """Say that a workload cannot be measured with this VTN."""
        self.skipped(workload, why)


def http_subject(
    name: str, address: Address, meter: Meter | None, requests: Requests, *, connections: int, expect: int
) -> MeasuredSubject:
    """Return a server that is loaded with requests as fast as it answers."""

    async def run(seconds: float) -> Sample:
        return await load(address, requests, connections=connections, seconds=seconds, expect=expect)

    return MeasuredSubject(name, run, meter)


def bearer(client: ApiClient) -> dict[str, str]:
    """Return the Authorization header of a client."""
    return {"Authorization": f"Bearer {client.token}"}


def always(request: bytes) -> Requests:
    """Return the same request again and again."""
    return lambda: request


def in_turn(requests: Sequence[bytes]) -> Requests:
    """Return each request once, then again from the first."""
    return cycle(requests).__next__
