"""The workload that searches among many reports, with few of them."""

from __future__ import annotations

from pathlib import Path

from bench.databases import databases
from bench.processes import Cores
from bench.results import Case
from bench.vtn import ForeignOptions, Vtn, foreign_vtn, own_vtn
from bench.workloads.context import WorkloadContext
from bench.workloads.search import of_reports


async def test_every_search_is_measured_beside_a_bare_read_and_not_with_another_vtn(tmp_path: Path) -> None:
    cores = Cores.of_this_machine()
    everywhere = Cores(cores.server | cores.others, cores.server | cores.others)
    cases: list[Case] = []
    skipped: list[str] = []
    with databases("sqlite", everywhere.others) as stores:

        def context(vtn: Vtn) -> WorkloadContext:
            return WorkloadContext(
                vtn=vtn,
                databases=stores,
                cores=everywhere,
                folder=tmp_path,
                rounds=1,
                seconds=0.2,
                events=(60,),
                vens=(1,),
                reports=(200,),
                report=cases.append,
                skipped=lambda name, why: skipped.append(f"{name}: {why}"),
            )

        async with own_vtn(stores, tmp_path, everywhere) as vtn:
            await of_reports(context(vtn))
            assert len(cases) == 9
            assert {case.stored for case in cases} == {200}
            assert all(list(case.ratios) == ["bare read"] and case.series.rate > 0 for case in cases)
            options = ForeignOptions(vtn.address.url, vtn.bl.token, vtn.ven.token, "somebody-else")
            async with foreign_vtn(options) as other:
                await of_reports(context(other))

    assert len(cases) == 9
    assert skipped == ["search: so many reports can only be written into our own database"]
