"""Replay of recorded power from CSV files."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from openadr_client.clock import ManualClock
from tests.ven.builders import START
from tests.ven.driver_contract import CIRCUITS, LATER, DriverContract
from ven.drivers.recording import read_recording
from ven.drivers.replay import create
from ven.errors import BadDriverOptions, DriverFailed

DAY = """\
time,heater,ev,note
2026-03-01T00:00:00Z,1.5,0,a
2026-03-01T00:15:00Z,1.6,7.2,b
2026-03-01T00:30:00Z,,-3.25,

2026-03-01T01:00:00+00:00,0.25,3,c
"""


def a_file(folder: Path, text: str = DAY) -> Path:
    file = folder / "home.csv"
    file.write_text(text)
    return file


class TestReplay(DriverContract):
    kind = "replay"

    @pytest.fixture
    def options(self, tmp_path: Path) -> Mapping[str, Any]:
        return {"file": str(a_file(tmp_path)), "state_file": str(tmp_path / "limits.json")}


async def power(clock: ManualClock, options: Mapping[str, Any], *minutes: float) -> list[dict[str, str]]:
    found = []
    async with create(CIRCUITS, options, clock) as driver:
        begin = clock.now()
        for minute in minutes:
            await clock.advance(minute * 60 - (clock.now() - begin).total_seconds())
            found.append({id_: str(state.power_kw) for id_, state in sorted((await driver.read()).items())})
    return found


async def test_rows_last_until_the_next_and_begin_again(tmp_path: Path) -> None:
    found = await power(ManualClock(START), {"file": str(a_file(tmp_path))}, 0, 14.9, 15, 30, 59, 60, 89, 90)
    assert found == [
        {"ev": "0.000", "heater": "1.500"},
        {"ev": "0.000", "heater": "1.500"},
        {"ev": "7.200", "heater": "1.600"},
        {"ev": "-3.250"},
        {"ev": "-3.250"},
        {"ev": "3.000", "heater": "0.250"},
        {"ev": "3.000", "heater": "0.250"},
        {"ev": "0.000", "heater": "1.500"},
    ]


async def test_recording_that_is_over_cannot_be_read(tmp_path: Path) -> None:
    options = {"file": str(a_file(tmp_path)), "repeat": False}
    assert (await power(ManualClock(START), options, 89, 91))[1] == {}


async def test_recorded_times_are_kept_if_they_shall_be(tmp_path: Path) -> None:
    options = {"file": str(a_file(tmp_path)), "begin": "recorded", "repeat": False}
    at = datetime(2026, 2, 28, 23, 59, tzinfo=UTC)
    assert await power(ManualClock(at), options, 0, 1, 16) == [
        {},
        {"ev": "0.000", "heater": "1.500"},
        {"ev": "7.200", "heater": "1.600"},
    ]


async def test_limit_holds_for_what_was_recorded(tmp_path: Path) -> None:
    clock = ManualClock(START)
    async with create(CIRCUITS, {"file": str(a_file(tmp_path))}, clock) as driver:
        await clock.advance(15 * 60)
        await driver.limit("ev", Decimal(2), expires_at=LATER)
        assert (await driver.read())["ev"].power_kw == 2


def test_times_without_offset_are_in_the_zone_that_is_given(tmp_path: Path) -> None:
    from zoneinfo import ZoneInfo

    file = a_file(tmp_path, "time,ev\n2026-03-01 00:00,1\n2026-03-01 00:15,2\n")
    assert read_recording(file, ["ev"], ZoneInfo("Europe/Berlin")).begin == datetime(2026, 2, 28, 23, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1: the column 'time' is missing"),
        ("time,ev\n", "line 1: the column 'heater' is missing"),
        ("time,ev,heater,ev\n", "line 1: the column 'ev' is there more than once"),
        ("time,ev,heater\n", "at least two rows"),
        ("time,ev,heater\n2026-03-01T00:00Z,1,1\n", "at least two rows"),
        ("time,ev,heater\nyesterday,1,1\n", "line 2, column 'time': expected a time as .*, not 'yesterday'"),
        ("time,ev,heater\n2026-03-01T00:00,1,1\n", "line 2, column 'time': expected an offset"),
        ("time,ev,heater\n2026-03-01T00:00Z,1,1\n2026-03-01T00:00Z,1,1\n", "line 3, column 'time': .* later time"),
        ("time,ev,heater\n2026-03-01T00:00Z,1,one\n", "line 2, column 'heater': expected a number, not 'one'"),
        ("time,ev,heater\n2026-03-01T00:00Z,1,NaN\n", "line 2, column 'heater': expected a finite number, not 'NaN'"),
        ("time,ev,heater\n2026-03-01T00:00Z,1e308,1\n", "line 2, column 'ev': expected kW, at most 100000"),
        ('time,ev,heater\n2026-03-01T00:00Z,"1,1\n', "line 2: unexpected end of data"),
        pytest.param("time,ev,heater\n" + "9" * 200_000, "line 2: field larger than field limit", id="long"),
        ("time,ev,heater\n2026-03-01T00:00Z,\xe9,1\n", "column 'ev': expected a number"),
    ],
)
def test_mistakes_are_named_with_file_line_and_column(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DriverFailed, match=rf"home\.csv.*{message}"):
        read_recording(a_file(tmp_path, text), ["ev", "heater"])


def test_what_is_no_such_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "raw.csv").write_bytes(b"\xff\xfe\x00")
    for file, message in (
        (tmp_path / "none.csv", "is no file"),
        (Path("/dev/zero"), "is no file"),
        (tmp_path, "is no file"),
        (tmp_path / "raw.csv", r"is no text \(UTF-8\)"),
    ):
        with pytest.raises(DriverFailed, match=message):
            read_recording(file, ["ev"])


def test_what_is_too_large_is_not_read(tmp_path: Path) -> None:
    with pytest.raises(DriverFailed, match="more than 20"):
        read_recording(a_file(tmp_path), ["ev"], most_bytes=20)
    with pytest.raises(DriverFailed, match=r"line 4: more than 2 rows of 2 circuits"):
        read_recording(a_file(tmp_path), ["ev", "heater"], most_values=4)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({}, "file: Field required"),
        ({"file": "a", "begin": "later"}, "begin: Input should be 'now' or 'recorded'"),
        ({"file": "a", "timezone": "Mars/Olympus"}, "timezone: .*expected the name of a time zone"),
        ({"file": "a", "timezone": "../../etc/passwd"}, "timezone: .*expected the name of a time zone"),
    ],
)
def test_wrong_options_are_named(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(BadDriverOptions, match=message):
        create(CIRCUITS, wrong, ManualClock(START))
