"""Power, moments and lengths of time as people type them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from openadr_profiles.fleet.quantities import length, moment, power_kw
from openadr_profiles.fleet.wording import kw_text, local_time

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "kw"),
    [
        ("5kW", "5"),
        ("500W", "0.5"),
        ("1.2 MW", "1200"),
        ("0.1kw", "0.1"),
        ("0kW", "0"),
        ("0.0W", "0"),
        ("100kW", "100"),
    ],
)
def test_power_is_read_exactly_and_zero_is_a_power(text: str, kw: str) -> None:
    assert power_kw(text) == Decimal(kw)


@pytest.mark.parametrize("text", ["", "kW", "5 kWh", "five", "1e3", "nan", "5kW5"])
def test_what_is_not_a_power_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"power such as 5kW, 500W or 1\.2MW"):
        power_kw(text)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("3", "has no unit: write 3kW, 3W or 3MW"),
        ("2.5", "has no unit"),
        ("-3kW", "without a sign, as 3kW"),
        ("+3kW", "without a sign, as 3kW"),
        ("99999999999999kW", "no fleet has"),
    ],
)
def test_a_dangerous_power_is_refused_with_the_way_to_write_it(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        power_kw(text)


@pytest.mark.parametrize(
    ("text", "seconds"), [("1h", 3600), ("90m", 5400), ("1h30m", 5400), ("45s", 45), ("2d", 172800), ("PT1H", 3600)]
)
def test_lengths_are_read(text: str, seconds: int) -> None:
    assert length(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "h", "0s", "-1h", "1y", "P1M", "P9999Y", "1.5h", "soon"])
def test_what_is_not_a_length_above_zero_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"length|longer than zero"):
        length(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("now", NOON),
        ("+1m", NOON + timedelta(minutes=1)),
        ("2026-01-31T18:00:00+01:00", NOON + timedelta(hours=5)),
    ],
)
def test_moments_are_read(text: str, expected: datetime) -> None:
    assert moment(text, now=NOON) == expected


@pytest.mark.parametrize("text", ["", "1m", "2026-01-31", "yesterday", "25:00", "2026-02-31 18:00", "18"])
def test_what_is_not_a_moment_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"not a moment|not a time of day"):
        moment(text, now=NOON)


BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("18:00", datetime(2026, 1, 31, 17, tzinfo=UTC)),
        ("tomorrow 18:00", datetime(2026, 2, 1, 17, tzinfo=UTC)),
        ("Today 6:30:15", datetime(2026, 1, 31, 5, 30, 15, tzinfo=UTC)),
        ("2026-07-01 18:00", datetime(2026, 7, 1, 16, tzinfo=UTC)),
        ("2026-01-31T18:00:00", datetime(2026, 1, 31, 17, tzinfo=UTC)),
    ],
)
def test_a_time_without_an_offset_is_local(text: str, expected: datetime) -> None:
    assert moment(text, now=NOON, zone=BERLIN) == expected


def test_a_local_time_that_clocks_leave_out_is_refused() -> None:
    with pytest.raises(ValueError, match="set forward"):
        moment("2026-03-29 02:30", now=NOON, zone=BERLIN)


def test_an_instant_is_shown_with_its_zone() -> None:
    assert local_time(NOON, zone=BERLIN) == "2026-01-31 13:00 CET"
    assert local_time(NOON + timedelta(seconds=5), zone=UTC) == "2026-01-31 12:00:05 UTC"


@pytest.mark.parametrize(
    ("kw", "text"),
    [("0", "0 kW"), ("0.5", "500 W"), ("5", "5 kW"), ("1200", "1.2 MW"), ("33.333", "33.333 kW"), ("-3", "-3 kW")],
)
def test_a_power_is_shown_with_its_unit(kw: str, text: str) -> None:
    assert kw_text(Decimal(kw)) == text
