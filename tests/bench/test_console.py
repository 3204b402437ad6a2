"""The workload of the console's pages, with few VENs and events."""

from __future__ import annotations

from pathlib import Path

from bench.databases import databases
from bench.processes import Cores
from bench.results import Case
from bench.vtn import own_vtn
from bench.workloads.console import of_every_page
from bench.workloads.context import WorkloadContext


async def test_every_page_is_asked_for_by_somebody_who_signed_in(tmp_path: Path) -> None:
    cores = Cores.of_this_machine()
    everywhere = Cores(cores.server | cores.others, cores.server | cores.others)
    cases: list[Case] = []
    with databases("sqlite", everywhere.others) as stores:
        async with own_vtn(stores, tmp_path, everywhere) as vtn:
            await of_every_page(
                WorkloadContext(
                    vtn=vtn,
                    databases=stores,
                    cores=everywhere,
                    folder=tmp_path,
                    rounds=1,
                    seconds=0.2,
                    events=(5,),
                    vens=(20,),
                    reports=(1,),
                    report=cases.append,
                    skipped=lambda name, why: cases.clear(),
                )
            )
    assert [case.name.partition(",")[0] for case in cases][:4] == ["Now", "Events", "Events by day", "Event"]
    assert all(goal.met for case in cases for goal in case.goals if "packed" in goal.text.rpartition(":")[2])
