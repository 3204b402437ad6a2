"""The workloads of the bridge with few panels: a real bridge, broker and VTN, and everything that was sent arrives."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from bench.results import Case
from bench.workloads import bridge
from bench.workloads.context import WorkloadContext
from tests.bench.small import small_run


@pytest.fixture
async def context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[WorkloadContext, list[Case]]]:
    """A context with few panels and short events, and the list of what is measured."""
    monkeypatch.setattr(bridge, "REPORTS_S", 1.0)
    monkeypatch.setattr(bridge, "LASTS_S", {1_000: 6})
    monkeypatch.setattr(bridge, "METERED_PER_S", 20)
    async with small_run(tmp_path, seconds=0.02, panels=(2, 8)) as run:
        yield run


async def test_a_dispatch_is_measured_beside_the_bare_loop_at_each_number(
    context: tuple[WorkloadContext, list[Case]],
) -> None:
    """Every panel sheds once and none is left shedding; the costs are compared with those of the first number."""
    around, cases = context
    await bridge.that_dispatches(around)
    assert [list(case.ratios) for case in cases] == [["bare aiomqtt"]] * 2
    found = {goal.text: goal for case in cases for goal in case.goals}
    assert found["bridge-dispatch 8 panels: panels told twice"].met
    assert found["bridge-dispatch 8 panels: panels left shedding"].met
    assert found["bridge-dispatch 2 panels: cost of a panel beside the first number"].value == 1


async def test_events_at_once_share_the_panels(context: tuple[WorkloadContext, list[Case]]) -> None:
    """Each event has its part of the panels, and each panel one event."""
    around, cases = context
    await bridge.with_many_events(replace(around, panels=(20,)))
    (case,) = cases
    assert case.name.startswith("20 events at once, 20 panels")
    assert {goal.text.partition(": ")[2] for goal in case.goals if not goal.met} <= {
        "first command in s",
        "last command in s",
        "last answer stored in s",
        "longest wait of the loop in ms",
        "part of the bare loop's rate",
    }


async def test_metering_is_measured_by_how_soon_it_is_stored(context: tuple[WorkloadContext, list[Case]]) -> None:
    """As many messages come as were to come, and each that was looked for was found."""
    around, cases = context
    await bridge.that_meters(around)
    (case,) = cases
    assert case.series.rates[0] > 10
    assert case.series.p50_ms[0] > 0
