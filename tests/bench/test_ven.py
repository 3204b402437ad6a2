"""The workloads of the VEN, with little of everything: real processes, and lives of a few days."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bench import lives
from bench.databases import databases
from bench.jumping_clock import JumpingClock, shown_in
from bench.processes import Cores
from bench.results import Case
from bench.vtn import ForeignOptions, Vtn, foreign_vtn, own_vtn
from bench.workloads import ven, ven_lives, ven_plan
from bench.workloads.context import WorkloadContext

Workload = Callable[[WorkloadContext], Awaitable[None]]
Measured = Callable[..., Awaitable[list[Case]]]

START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
async def measured(tmp_path: Path) -> AsyncIterator[Measured]:
    """Run workloads with our VTN, and ask them to run with it as if it were another, which they do not."""
    cores = Cores.of_this_machine()
    everywhere = Cores(cores.server | cores.others, cores.server | cores.others)
    with databases("sqlite", everywhere.others) as stores:
        async with own_vtn(stores, tmp_path, everywhere) as vtn:

            async def run(*workloads: Workload) -> list[Case]:
                cases: list[Case] = []
                skipped: list[str] = []

                def context(of: Vtn) -> WorkloadContext:
                    return WorkloadContext(
                        vtn=of,
                        databases=stores,
                        cores=everywhere,
                        folder=tmp_path,
                        rounds=1,
                        seconds=0.2,
                        events=(1,),
                        vens=(1,),
                        reports=(1,),
                        report=cases.append,
                        skipped=lambda name, why: skipped.append(name),
                    )

                for workload in workloads:
                    await workload(context(vtn))
                options = ForeignOptions(vtn.address.url, vtn.bl.token, vtn.ven.token, "somebody-else")
                measured = len(cases)
                async with foreign_vtn(options) as other:
                    for workload in workloads:
                        await workload(context(other))
                assert len(skipped) == len(workloads)
                assert len(cases) == measured
                return cases

            yield run


async def test_starts_and_pushes_are_noted_by_the_panel(measured: Measured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ven, "_ANSWERS_AFTER_S", 0.01)
    cases = await measured(ven.at_a_start, ven.that_is_told)
    assert [case.workload for case in cases] == ["ven-start"] * 4 + ["ven-push"] * 2
    assert [len(case.goals) for case in cases] == [1, 1, 1, 1, 1, 0]


async def test_an_idle_ven_and_one_with_a_large_event_are_watched(
    measured: Measured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ven, "_CIRCUITS", (2,))
    monkeypatch.setattr(ven, "_SETTLE_S", 0.2)
    monkeypatch.setattr(ven, "INTERVALS", 200)
    monkeypatch.setattr(ven, "EVENTS", 3)
    monkeypatch.setattr(ven, "_SETTLES_WITHIN_S", 0.2)
    cases = await measured(ven.that_is_idle, ven.with_a_large_event, ven.that_is_looked_at)
    assert [case.workload for case in cases] == ["ven-idle", "ven-idle", "ven-large", "ven-page"]
    assert all((case.series.rss_mb or 0) > 10 for case in cases)
    assert "200 intervals" in cases[-2].name
    assert "3 events" in cases[-1].name


async def test_a_month_and_a_year_are_lived(measured: Measured, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"DAYS_OF_A_MONTH": 2, "DAYS_OF_A_YEAR": 2, "DAYS_OF_MINUTES": 1, "_MINUTE_S": 1800}.items():
        monkeypatch.setattr(ven_lives, name, value)
    cases = await measured(ven_lives.for_a_month, ven_lives.for_a_year)
    assert [case.workload for case in cases] == ["ven-month", "ven-month", "ven-year"]
    assert all((case.series.rss_mb or 0) > 10 for case in cases)


async def test_plans_are_timed(measured: Measured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ven_plan, "_PLANS", 1)
    cases = await measured(ven_plan.of_a_panel)
    assert len(cases) == 12
    assert all(len(case.goals) == 1 for case in cases)


async def test_a_jumping_clock_wakes_everybody_at_the_right_time_and_shows_it(tmp_path: Path) -> None:
    file = lives.clock_file(tmp_path / "there", START)
    clock, shown = JumpingClock(file, loops=2), shown_in(file)
    seen: list[datetime] = []

    async def work(every_s: float) -> None:
        while True:
            await clock.sleep(every_s)
            seen.append(clock.now())
            assert shown() == clock.now()

    tasks = [asyncio.create_task(work(seconds)) for seconds in (60, 100)]
    await clock.run_to(START + timedelta(seconds=200))
    assert clock.now() == START + timedelta(seconds=200)
    await asyncio.sleep(0)
    assert [(each - START).total_seconds() for each in seen] == [60, 100, 120, 180, 200]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
