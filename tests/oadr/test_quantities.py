"""Power, moments and lengths of time as people type them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from oadr.quantities import length, moment, power_kw

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "kw"), [("5kW", "5"), ("500W", "0.5"), ("1.2 MW", "1200"), ("2.5", "2.5"), ("0.1kw", "0.1")]
)
def test_power_is_read_exactly(text: str, kw: str) -> None:
    assert power_kw(text) == Decimal(kw)


@pytest.mark.parametrize("text", ["", "kW", "5 kWh", "-5kW", "0", "0.0W", "five", "1e3", "nan"])
def test_what_is_not_a_power_above_zero_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"power such as|more than zero"):
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


@pytest.mark.parametrize("text", ["", "1m", "2026-01-31", "2026-01-31T18:00:00", "yesterday"])
def test_what_is_not_a_moment_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a moment"):
        moment(text, now=NOON)
