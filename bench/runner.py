"""One run: the workloads in turn, each with a VTN and a database that nothing else has touched."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from bench import machine
from bench.databases import Databases, databases
from bench.processes import Cores
from bench.report import case_line
from bench.results import BenchRun, Case, Goal, Growth, growth
from bench.vtn import ForeignOptions, Vtn, foreign_vtn, own_vtn
from bench.workloads import WORKLOADS
from bench.workloads.context import WorkloadContext

_ON_BOTH: Final = frozenset({"events", "reports"})
_NO_SLOWER: Final = 0.8


class DatabaseKind(StrEnum):
    """The databases that our VTN and the references can use."""

    POSTGRESQL = "postgresql"
    SQLITE = "sqlite"


@dataclass(frozen=True, slots=True)
class Options:
    """The options of a run. ``database`` None: PostgreSQL, and SQLite too for workloads that are measured on both."""

    names: Sequence[str]
    database: DatabaseKind | None
    rounds: int
    seconds: float
    events: tuple[int, ...]
    vens: tuple[int, ...]
    reports: tuple[int, ...] = (10_000, 1_000_000)
    panels: tuple[int, ...] = (200, 1_000, 10_000)
    foreign: ForeignOptions | None = None

    def kinds(self) -> list[tuple[DatabaseKind, list[str]]]:
        """Return the databases in turn, with the workloads to run on each."""
        if self.database is not None or self.foreign is not None:
            return [(self.database or DatabaseKind.POSTGRESQL, list(self.names))]
        both = [name for name in self.names if name in _ON_BOTH]
        return [(DatabaseKind.POSTGRESQL, list(self.names)), *([(DatabaseKind.SQLITE, both)] if both else [])]

    def shown(self) -> dict[str, Any]:
        """Return the options for the report, without secrets."""
        shown: dict[str, Any] = {
            "rounds": self.rounds,
            "seconds": self.seconds,
            "events": list(self.events),
            "vens": list(self.vens),
            "reports": list(self.reports),
            "panels": list(self.panels),
        }
        return shown if self.foreign is None else {**shown, "url": self.foreign.url}


async def measure(options: Options, tell: Callable[[str], None]) -> BenchRun:
    """Run everything that was asked for; ``tell`` hears one line about each step. Raises BenchError."""
    cores = Cores.of_this_machine()
    os.sched_setaffinity(0, cores.others)
    bystanders = machine.Bystanders()
    run = BenchRun(machine.describe(), options.shown(), datetime.now(UTC).isoformat(timespec="seconds"))

    def keep(case: Case) -> None:
        run.cases.append(case)
        tell(case_line(case))

    folder = Path(tempfile.mkdtemp(prefix="oadr-bench-"))
    try:
        for kind, names in options.kinds():
            with databases(kind, cores.others) as stores:
                for name in names:
                    async with _vtn(options, stores, folder, cores) as vtn:
                        context = WorkloadContext(
                            vtn=vtn,
                            databases=stores,
                            cores=cores,
                            folder=folder,
                            rounds=options.rounds,
                            seconds=options.seconds,
                            events=options.events,
                            vens=options.vens,
                            reports=options.reports,
                            panels=options.panels,
                            report=keep,
                            skipped=lambda workload, why: tell(f"{workload}: not measured, {why}"),
                        )
                        await WORKLOADS[name](context)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    run.machine = {**run.machine, "meanwhile": bystanders.describe()}
    run.growth = growth(run.cases)
    run.goals = [goal for row in run.growth if (goal := _growth_goal(row)) is not None]
    return run


@asynccontextmanager
async def _vtn(options: Options, stores: Databases, folder: Path, cores: Cores) -> AsyncIterator[Vtn]:
    opened = own_vtn(stores, folder, cores) if options.foreign is None else foreign_vtn(options.foreign)
    async with opened as vtn:
        yield vtn


def _growth_goal(row: Growth) -> Goal | None:
    """Polls are not slower with a full store than with a nearly empty one."""
    if not row.workload.startswith("poll"):
        return None
    (smallest, _), *_, (largest, value) = row.points
    case = f"{row.workload} {row.name} on {row.connections} ({row.database})"
    text = f"{case}: rate with {largest:,} events beside {smallest:,}"
    return Goal(text, value, _NO_SLOWER)
