"""The workload of the console's pages, with few VENs and events."""

from __future__ import annotations

from pathlib import Path

from bench.workloads.console import of_every_page
from tests.bench.small import small_run


async def test_every_page_is_asked_for_by_somebody_who_signed_in(tmp_path: Path) -> None:
    async with small_run(tmp_path, events=(5,), vens=(20,)) as (context, cases):
        await of_every_page(context)
    assert [case.name.partition(",")[0] for case in cases][:4] == ["Now", "Events", "Events by day", "Event"]
    assert [goal.text.rpartition(": ")[2] for goal in cases[0].goals] == ["p95 in ms", "kB packed"]
    assert all(goal.met for case in cases for goal in case.goals if goal.text.endswith("kB packed"))
