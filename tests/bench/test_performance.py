"""The workload that evaluates an event, with few VENs."""

from __future__ import annotations

from pathlib import Path

from bench.workloads.performance import of_an_event
from tests.bench.small import small_run


async def test_every_ven_is_known_and_time_and_memory_are_held_against_their_goals(tmp_path: Path) -> None:
    async with small_run(tmp_path, vens=(20,)) as (context, cases):
        await of_an_event(context)
    (case,) = cases
    assert "20 VENs, 21,120 readings" in case.name
    assert [goal.text.rpartition(": ")[2] for goal in case.goals] == ["seconds", "RSS in MB"]
