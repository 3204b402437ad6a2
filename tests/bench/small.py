"""Run a workload in small: our VTN on SQLite, a round of a moment, and the list of what is measured."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from bench.databases import databases
from bench.processes import Cores
from bench.results import Case
from bench.vtn import own_vtn
from bench.workloads.context import WorkloadContext


@asynccontextmanager
async def small_run(folder: Path, **sizes: Any) -> AsyncIterator[tuple[WorkloadContext, list[Case]]]:
    """Yield a context with these sizes, one of everything else, and its cases; a workload that skips fails the test."""
    cores = Cores.of_this_machine()
    everywhere = Cores(cores.server | cores.others, cores.server | cores.others)
    cases: list[Case] = []
    with databases("sqlite", everywhere.others) as stores:
        async with own_vtn(stores, folder, everywhere) as vtn:
            chosen: dict[str, Any] = {"seconds": 0.2, "events": (1,), "vens": (1,), "reports": (1,)} | sizes
            context = WorkloadContext(
                vtn=vtn,
                databases=stores,
                cores=everywhere,
                folder=folder,
                rounds=1,
                report=cases.append,
                skipped=lambda name, why: pytest.fail(f"{name}: {why}"),
                **chosen,
            )
            yield context, cases
