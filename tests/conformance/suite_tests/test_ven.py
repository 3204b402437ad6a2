"""`oadr conformance ven`: each check sees its fault in a model VEN, and our own VEN passes."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest
from oadr_conformance import Credential, Misused, Outcome, ReceiverAddress, Run, Standing, Unreachable
from oadr_conformance.basis import Source
from oadr_conformance.ven31.checks import ALL_VEN
from oadr_conformance.ven31.examination import SubjectVen, run_ven
from oadr_conformance.ven31.pace import ScenarioPace
from oadr_conformance.ven31.shapes import problems_of
from oadr_conformance.ven31.standing import VEN_BASES, VEN_RULINGS
from typer.testing import CliRunner
from vtns.model_ven import FAULTS, ModelVen

from bench.support.net import free_port
from bench.support.processes import ServerProcess
from oadr.__main__ import app

_POLL_S: Final = 0.6
_PATIENCE_S: Final = 6.0
_AT_ONCE: Final = 16
_SECRET: Final = "canary-of-the-model-ven"
SEEN: Final[dict[str, tuple[str, ...]]] = {
    "token with JSON": ("VENCLIENT-006/asks for tokens with a form",),
    "no token": ("VENCLIENT-006/bears its token",),
    "no renewal": ("VENCLIENT-004/renews its token in time",),
    "stops at 401": ("VENCLIENT-005/gets one new token after a 401",),
    "ven without objectType": ("VENCLIENT-008/registers: its ven",),
    "resource without objectType": ("VENCLIENT-008/registers: its resources",),
    "registers blindly": ("VENCLIENT-008/looks before it registers",),
    "subscription without clientName": ("VENCLIENT-013/subscribes",),
    "first page only": ("VENCLIENT-007/reads all pages: events", "VENCLIENT-007/reads all pages: programs"),
    "polls too fast": ("VENCLIENT-010/polls as often as configured",),
    "no validators": ("VENCLIENT-010/asks for changes only",),
    "stops at unknown words": ("VENCLIENT-019/ignores what it does not know",),
    "stops at 500": ("VENCLIENT-025/reads again after: two answers 500",),
    "stops at a broken body": ("VENCLIENT-025/reads again after: a broken body",),
    "stops at 429": ("VENCLIENT-025/reads again after: 429 and Retry-After",),
    "stops at 503": ("VENCLIENT-025/reads again after: 503 and Retry-After",),
    "ignores Retry-After": (
        "VENCLIENT-025/waits as long as asked: 429 and Retry-After",
        "VENCLIENT-025/waits as long as asked: 503 and Retry-After",
    ),
    "hammers": ("VENCLIENT-025/reads again later after: two answers 500",),
    "report without clientName": ("VENCLIENT-021/sends reports of the right shape",),
    "reports nothing": ("RDESC-001/reports what was asked: each resource",),
    "another payload type": (
        "RDESC-001/reports what was asked: each resource",
        "RDESC-001/reports what was asked: aggregate",
    ),
    "reports early": ("RDESC-004/reports when it is due: each resource", "RDESC-004/reports when it is due: aggregate"),
    "own interval ids": ("RDESC-013/repeats the intervals of the event",),
    "aggregates always": ("RDESC-016/reports each resource",),
    "never aggregates": ("RDESC-016/aggregates",),
    "reports twice": ("RDESC-006/reports once: each resource", "RDESC-006/reports once: aggregate"),
    "no units": ("RDESC-019/tells units and times: each resource", "RDESC-019/tells units and times: aggregate"),
    "reports for others": ("RDESC-017/reports nothing for others",),
    "reports what is deleted": ("RDESC-022/reports nothing of a deleted event",),
    "gives reports up": ("RDESC-023/sends a refused report again",),
}
"""Fault of the model VEN -> the checks that see it."""


async def _examined(*faults: str) -> Run:
    origin = f"http://127.0.0.1:{free_port()}"
    pace = ScenarioPace(poll_s=_POLL_S, wait_s=30, patience_s=_PATIENCE_S, interval_s=1)
    subject = SubjectVen(
        ReceiverAddress(origin), Credential(client_id="conformance-ven", client_secret=_SECRET), pace, True
    )
    living: list[asyncio.Task[None]] = []

    def appear(_stage: str) -> None:
        if not living:
            living.append(asyncio.create_task(ModelVen(origin, _SECRET, _POLL_S, faults).live()))

    try:
        return await run_ven(subject, ALL_VEN, tell=appear, of=len(ALL_VEN))
    finally:
        for task in living:
            task.cancel()
            await asyncio.wait({task})


@pytest.fixture(scope="module")
def runs() -> dict[str, Run]:
    """Return the run of a model VEN without fault (""), and of one with each fault; half of them at the same time.

    A busy machine must let each of them ask in time: what is judged is when it does.
    """

    async def all_runs() -> dict[str, Run]:
        names, places = ["", *sorted(FAULTS)], asyncio.Semaphore(_AT_ONCE)

        async def examined(name: str) -> Run:
            async with places:
                return await _examined(*([name] if name else []))

        return dict(zip(names, await asyncio.gather(*map(examined, names)), strict=True))

    return asyncio.run(all_runs())


def test_a_model_ven_passes_every_check(runs: dict[str, Run]) -> None:
    """VENCLIENT-004 to -025 and RDESC: none is failed, skipped or not reached."""
    wrong = {one.check.key: (one.outcome, one.why, one.expected, one.got) for one in runs[""].results}
    assert {key: told for key, told in wrong.items() if told[0] is not Outcome.PASS} == {}
    assert runs[""].conforms(strict=True)


@pytest.mark.parametrize("fault", sorted(FAULTS))
def test_each_fault_is_seen(runs: dict[str, Run], fault: str) -> None:
    """And the failure shows no secret."""
    failed = {one.check.key for one in runs[fault].results if one.outcome is Outcome.FAIL}
    assert set(SEEN[fault]) <= failed
    assert _SECRET not in repr(runs[fault])


def test_each_check_has_a_fault_that_it_sees() -> None:
    """A check that nothing can fail says nothing."""
    assert {check.key for check in ALL_VEN} == {key for keys in SEEN.values() for key in keys}


def test_each_check_rests_on_a_sentence_or_is_a_ruling() -> None:
    """And no line of the tables is left over."""
    assert [check.key for check in ALL_VEN if check.standing is not Standing.RULING and not check.basis] == []
    assert {basis.source for check in ALL_VEN for basis in check.basis} <= set(Source)
    used = {check.ruling for check in ALL_VEN} | {check.basis for check in ALL_VEN}
    assert [why for why in (*VEN_RULINGS.values(), *VEN_BASES.values()) if why not in used] == []


async def test_no_ven_is_said() -> None:
    """Nobody appears within the time."""
    origin = f"http://127.0.0.1:{free_port()}"
    pace = ScenarioPace(wait_s=0.1)
    subject = SubjectVen(ReceiverAddress(origin), Credential(client_id="a", client_secret="b"), pace)
    with pytest.raises(Unreachable, match=r"no VEN asked anything at .* within 0.1 s"):
        await run_ven(subject, ALL_VEN)


@pytest.mark.parametrize("name", ["poll_s", "wait_s", "patience_s"])
def test_a_time_that_is_none_is_refused(name: str) -> None:
    """With the option's name and what is expected."""
    with pytest.raises(Misused, match=r"--\w+ is -1; expected more than 0 and at most 3600 seconds"):
        ScenarioPace(**{name: -1})


@pytest.mark.parametrize(
    ("kind", "body", "problem"),
    [
        ("reports", [], "the body: expected an object"),
        ("reports", {"eventID": "e", "clientName": "c"}, "resources: missing"),
        (
            "reports",
            {"eventID": "e", "clientName": "c", "resources": [{"resourceName": 5}]},
            "resources[0].resourceName",
        ),
        ("vens", {"objectType": "BL_VEN_REQUEST", "venName": "v"}, "objectType: expected VEN_VEN_REQUEST"),
    ],
)
def test_a_wrong_body_is_named(kind: str, body: object, problem: str) -> None:
    """VENCLIENT-021: the member, and what was expected."""
    assert any(text.startswith(problem) for text in problems_of(kind, body))


def test_another_switch_is_refused() -> None:
    """The others are about VTNs."""
    done = CliRunner().invoke(app, ["conformance", "ven", "--switch", "webhook.verify_echo=false"])
    assert done.exit_code == 2
    assert "the only switch for a VEN is rulings.binding" in done.output


def test_the_checks_are_listed_and_explained() -> None:
    """RDESC-016: `list --of ven`, and `explain` finds them by their name."""
    listed = CliRunner().invoke(app, ["conformance", "list", "--of", "ven", "--json"])
    assert len(json.loads(listed.stdout)) == len(ALL_VEN)
    told = CliRunner().invoke(app, ["conformance", "explain", "RDESC-016"])
    assert "AGGREGATED_REPORT" in told.output


_HOME: Final = """
ven_name = "tested-home"
poll_s = 1
sample_s = 1
status_s = 60

[vtn]
url = "{origin}/openadr3/3.1.0"
client_id = "conformance-ven"

[driver]
kind = "simulated"
options = {{ seed = 1 }}

[[circuits]]
id = "ev"
breaker_amps = 50
rated_kw = 9.6
priority = 9
shed_share = 1
"""


def test_our_own_ven_passes(tmp_path: Path) -> None:
    """VENCLIENT-007: as a user has it examined, both programs in processes of their own."""
    origin = f"http://127.0.0.1:{free_port()}"
    config, results = tmp_path / "home.toml", tmp_path / "results.json"
    config.write_text(_HOME.format(origin=origin), encoding="utf-8")
    secrets = {"OADR_VEN_VTN__CLIENT_SECRET": _SECRET, "OADR_CONFORMANCE_VEN_SECRET": _SECRET}
    oadr = [sys.executable, "-m", "oadr"]
    home = ServerProcess(
        ["/usr/bin/env", f"OADR_VEN_VTN__CLIENT_SECRET={_SECRET}", *oadr, "ven", "run", "--config", str(config)],
        log=tmp_path / "home.log",
        ready=lambda: True,
    )
    home.start()
    try:
        command = [*oadr, "conformance", "ven", "--at", origin, "--poll", "1", "--switch", "rulings.binding=true"]
        done = subprocess.run(
            [*command, "--json-file", str(results)],
            env=os.environ | secrets,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
    finally:
        home.stop()
    assert done.returncode == 0, done.stdout + done.stderr
    outcomes = {one["key"]: one["outcome"] for one in json.loads(results.read_text())["results"]}
    assert [key for key, outcome in outcomes.items() if outcome != "pass"] == ["VENCLIENT-013/subscribes"]
    assert _SECRET not in done.stdout + done.stderr + results.read_text()
