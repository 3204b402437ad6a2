"""`oadr ven simulate` and `oadr ven drivers`: nothing is asked of a VTN or a device."""

from __future__ import annotations

import json
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from oadr.commands.ven import app
from ven.drivers import registry

SETTINGS = """
ven_name = "home-1"

[vtn]
url = "http://127.0.0.1:1/openadr3/3.1.0"

[opt]
opt_out_programs = ["simulated"]
max_shed_kw = 9

[[circuits]]
id = "fridge"
breaker_amps = 16
rated_kw = 1
critical = true

[[circuits]]
id = "ev"
breaker_amps = 32
rated_kw = 7
priority = 9
shed_share = 1
"""


def an_event(*kw: float, start: str = "2026-01-01T12:00:00Z", type_: str = "DISPATCH_SETPOINT_RELATIVE") -> str:
    intervals = [{"id": each, "payloads": [{"type": type_, "values": [value]}]} for each, value in enumerate(kw)]
    return json.dumps({"intervalPeriod": {"start": start, "duration": "PT15M"}, "intervals": intervals})


def simulate(folder: Path, event: str, *words: str) -> Any:
    (folder / "home.toml").write_text(SETTINGS)
    call = ["simulate", "-", "--config", str(folder / "home.toml"), *words]
    return CliRunner().invoke(app, call, input=event)


def test_an_event_is_shown_circuit_by_circuit(tmp_path: Path) -> None:
    done = simulate(tmp_path, an_event(-2, 0, -9), "--drawn", "ev=5kW")
    assert done.exit_code == 0, done.stderr
    shown = json.loads(done.stdout)
    assert (shown["opted_in"], shown["reason"], shown["is_whole"]) == (True, None, True)
    assert shown["circuits"] == [
        {
            "start": "2026-01-01T12:00:00Z",
            "end": "2026-01-01T12:15:00Z",
            "payload": "DISPATCH_SETPOINT_RELATIVE",
            "circuit": "ev",
            "from_kw": 5,
            "shed_kw": 2,
            "limit_kw": 3,
        },
        {
            "start": "2026-01-01T12:30:00Z",
            "end": "2026-01-01T12:45:00Z",
            "payload": "DISPATCH_SETPOINT_RELATIVE",
            "circuit": "ev",
            "from_kw": 5,
            "shed_kw": 5,
            "limit_kw": 0,
        },
    ]
    assert shown["unmet"] == [{"start": "2026-01-01T12:30:00Z", "requested_kw": 9, "unmet_kw": 4}]
    assert [path.name for path in tmp_path.iterdir()] == ["home.toml"]


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (an_event(-10), "10 kW asked for, at most 9 kW accepted"),
        (an_event(1, type_="EXPORT_CAPACITY_LIMIT"), "nothing here acts on EXPORT_CAPACITY_LIMIT"),
    ],
)
def test_an_event_that_is_opted_out_of_says_why(tmp_path: Path, event: str, reason: str) -> None:
    shown = json.loads(simulate(tmp_path, event).stdout)
    assert shown["opted_in"] is False
    assert reason in shown["reason"]
    assert shown["circuits"] == []


@pytest.mark.parametrize(
    ("event", "words", "message"),
    [
        ("{", [], "standard input: "),
        (an_event(-1, start="soon"), [], "intervalPeriod"),
        (an_event(-1), ["--drawn", "oven=1kW"], "--drawn oven=1kW: expected CIRCUIT=POWER"),
        (an_event(-1), ["--drawn", "ev=1"], "has no unit"),
    ],
)
def test_a_mistake_is_named_with_exit_code_2(tmp_path: Path, event: str, words: list[str], message: str) -> None:
    done = simulate(tmp_path, event, *words)
    assert done.exit_code == 2
    assert message in done.stderr


def test_an_endless_event_ends(tmp_path: Path) -> None:
    event = json.loads(an_event(-1, -2))
    event["duration"] = "P9999Y"
    shown = json.loads(simulate(tmp_path, json.dumps(event)).stdout)
    assert shown["is_whole"] is False


def test_drivers_are_listed_and_one_that_cannot_be_loaded_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = EntryPoint("broken", "no.such.module:create", registry.GROUP)
    monkeypatch.setattr(registry, "entry_points", lambda group: [broken])
    done = CliRunner().invoke(app, ["drivers", "--json"])
    assert done.exit_code == 0, done.stderr
    rows = {row["kind"]: row for row in json.loads(done.stdout)}
    assert "ModuleNotFoundError" in rows.pop("broken")["problem"]
    assert {"simulated", "mqtt", "replay"} <= rows.keys()
    assert all(row["about"] for row in rows.values() if not row["problem"])
