"""The demo as a user runs it, and with a part broken."""

from __future__ import annotations

import asyncio
import json
import subprocess
from pathlib import Path

import pytest

from oadr.demo.fleet import Fleet
from oadr.demo.pace import Pace
from oadr.demo.story import tell
from tests.e2e.processes import OADR, run_oadr
from ven.clock import ScaledClock

SPEED = 60


@pytest.mark.parametrize("options", [(), ("--tls",)], ids=["plain", "tls"])
def test_the_demo_passes_its_own_check_and_leaves_nothing_behind(options: tuple[str, ...], tmp_path: Path) -> None:
    done = run_oadr(*("demo", "--for", "40s", "--check", "--json"), *options, environment={"TMPDIR": str(tmp_path)})
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert summary["passed"]
    assert summary["acks"] >= 5
    assert summary["deliveredKwh"] > 0
    names = {one["name"] for one in summary["event"]["participants"]}
    assert names == {"home-1", "home-2", "home-3", "panel-1", "panel-2", "panel-3"}
    out = [one for one in summary["event"]["participants"] if one["opted_in"] is False]
    assert [(one["name"], bool(one["reason"])) for one in out] == [("home-3", True)]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("part", ["panel-2", "home-1"])
async def test_a_broken_part_is_named(part: str, tmp_path: Path) -> None:
    async with Fleet(tmp_path, clock=ScaledClock(SPEED), pace=Pace(SPEED), tls=False) as fleet:
        if part == "panel-2":
            fleet.panels[part].faults.silent = True
        else:
            next(task for task in asyncio.all_tasks() if task.get_name() == part).cancel()
        async for scene in tell(fleet, for_s=18):
            last = scene
    assert part in {finding.part for finding in last.findings}, last.findings


def test_interrupting_the_demo_stops_all_and_removes_the_data(tmp_path: Path) -> None:
    process = subprocess.Popen(
        ["env", f"TMPDIR={tmp_path}", OADR, "demo", "--for", "60s", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    assert process.stderr.readline().endswith("started: VTN\n")
    process.send_signal(2)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_is_too_short_is_refused_in_one_line() -> None:
    done = run_oadr("demo", "--for", "1s")
    assert done.returncode == 2
    assert "at least 15s" in done.stderr
