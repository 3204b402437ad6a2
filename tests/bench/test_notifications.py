"""The workloads that notify, with few of everything: all that was sent is waited for, beside its reference."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from bench.databases import databases
from bench.processes import Cores
from bench.results import Case
from bench.vtn import ForeignOptions, Vtn, foreign_vtn, own_vtn
from bench.workloads import messages, mqtt, webhooks, websockets
from bench.workloads.context import WorkloadContext

Workload = Callable[[WorkloadContext], Awaitable[None]]


@pytest.fixture
async def measured(tmp_path: Path) -> AsyncIterator[Callable[[Workload], Awaitable[tuple[list[Case], list[str]]]]]:
    """Run a workload with our VTN, and again with it as if it were another; what was measured, and what was not."""
    cores = Cores.of_this_machine()
    everywhere = Cores(cores.server | cores.others, cores.server | cores.others)
    with databases("sqlite", everywhere.others) as stores:
        async with own_vtn(stores, tmp_path, everywhere) as vtn:

            async def run(workload: Workload) -> tuple[list[Case], list[str]]:
                cases: list[Case] = []
                skipped: list[str] = []

                def context(of: Vtn, folder: Path = tmp_path) -> WorkloadContext:
                    return WorkloadContext(
                        vtn=of,
                        databases=stores,
                        cores=everywhere,
                        folder=folder,
                        rounds=1,
                        seconds=0.1,
                        events=(60,),
                        vens=(1,),
                        reports=(1,),
                        report=cases.append,
                        skipped=lambda name, why: skipped.append(name),
                    )

                await workload(context(vtn))
                options = ForeignOptions(vtn.address.url, vtn.bl.token, vtn.ven.token, "somebody-else")
                async with foreign_vtn(options) as other:
                    (tmp_path / "other").mkdir()
                    await workload(context(other, tmp_path / "other"))
                return cases, skipped

            yield run


Measured = Callable[[Workload], Awaitable[tuple[list[Case], list[str]]]]


async def test_a_fan_out_is_measured_beside_the_raw_rate_of_the_broker(
    measured: Measured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mqtt, "VENS", 20)
    (case,), skipped = await measured(mqtt.to_a_fleet)
    assert list(case.ratios) == ["raw QoS 1"]
    assert len(case.goals) == 4
    assert skipped == ["mqtt"]


async def test_webhooks_are_measured_beside_a_bare_loop_and_without_the_dead(
    measured: Measured, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, number in {"LIVING": 3, "DEAD": 2, "EVENTS": 4}.items():
        monkeypatch.setattr(webhooks, name, number)
    (case,), skipped = await measured(webhooks.to_endpoints)
    assert list(case.ratios) == ["bare client loop", "living alone"]
    assert len(case.goals) == 2
    assert skipped == ["webhooks"]


async def test_websockets_are_measured_beside_those_of_aiohttp(
    measured: Measured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(websockets, "CLIENTS", 20)
    (case,), skipped = await measured(websockets.that_wait)
    assert list(case.ratios) == ["bare aiohttp"]
    assert len(case.goals) == 2
    assert skipped == ["websockets"]


async def test_hours_of_messages_are_told(measured: Measured, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, number in {"VENS": 3, "HOOKS": 2, "HOUR": 20, "HOURS": 2}.items():
        monkeypatch.setattr(messages, name, number)
    (case,), skipped = await measured(messages.for_hours)
    assert "messages of 2 hours" in case.name
    assert skipped == ["messages"]
