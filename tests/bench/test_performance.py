"""The workload that evaluates an event, with few VENs."""

from __future__ import annotations

from pathlib import Path

from bench.databases import databases
from bench.processes import Cores
from bench.results import Case
from bench.vtn import own_vtn
from bench.workloads.context import WorkloadContext
from bench.workloads.performance import of_an_event


async def test_every_ven_is_known_and_time_and_memory_are_held_against_their_goals(tmp_path: Path) -> None:
    cores = Cores.of_this_machine()
    everywhere = Cores(cores.server | cores.others, cores.server | cores.others)
    cases: list[Case] = []
    with databases("sqlite", everywhere.others) as stores:
        async with own_vtn(stores, tmp_path, everywhere) as vtn:
            await of_an_event(
                WorkloadContext(
                    vtn=vtn,
                    databases=stores,
                    cores=everywhere,
                    folder=tmp_path,
                    rounds=1,
                    seconds=0.2,
                    events=(1,),
                    vens=(20,),
                    reports=(1,),
                    report=cases.append,
                    skipped=lambda name, why: cases.clear(),
                )
            )
    (case,) = cases
    assert "20 VENs, 21,120 readings" in case.name
    assert [goal.text.rpartition(": ")[2] for goal in case.goals] == ["seconds", "RSS in MB"]
