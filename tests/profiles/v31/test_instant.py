"""Instants and starts: what is one, and that the text of a start survives."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openadr_profiles.v31 import NOW, Invalid, Start, format_instant, parse_instant
from openadr_profiles.v31.instant import LATEST

NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-01-01T00:00:00Z", NEW_YEAR),
        ("2026-01-01t00:00:00z", NEW_YEAR),
        ("2026-01-01 00:00:00Z", NEW_YEAR),
        ("2025-12-31T19:00:00-05:00", NEW_YEAR),
        ("2026-01-01T05:30:00+05:30", NEW_YEAR),
        ("2026-01-01T00:00:00.000000000Z", NEW_YEAR),
        ("2026-01-01T00:00:00.5Z", NEW_YEAR + timedelta(milliseconds=500)),
        ("2026-01-01T00:00:00.123456789Z", NEW_YEAR + timedelta(microseconds=123_456)),
        ("2025-12-31T23:59:60Z", NEW_YEAR),
        ("2025-12-31T23:59:60.9Z", NEW_YEAR),
        ("9999-12-31T23:59:59Z", datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)),
        ("9999-12-31T23:59:60Z", LATEST),
        ("9999-12-31T23:59:59-05:00", LATEST),
    ],
)
def test_instant_with_offset_is_read_as_utc(text: str, moment: datetime) -> None:
    """TIME-004, TIME-008: blank or T, either case, nine digits, leap seconds, the end of the calendar."""
    assert parse_instant(text) == moment
    assert parse_instant(text).tzinfo is UTC
    assert Start.parse(text) == Start(text, moment)


@pytest.mark.parametrize(
    "text",
    [
        "0001-01-01",
        "0001-01-01T00:00:00",
        "0001-01-01T00:00:00Z",
        "0001-01-01T00:00:00+00:00",
        "0001-01-01T00:00:00.000Z",
        "0001-01-01 00:00:00",
    ],
)
def test_beginning_of_time_means_now(text: str) -> None:
    """TIME-005: returned as received."""
    start = Start.parse(text)

    assert (start.is_now, start.text) == (True, text)
    assert start == NOW


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "2026-01-01",
        "2026-01-01T00:00:00",
        "2026-01-01T00:00Z",
        "0000-00-00",
        "0000-01-01T00:00:00Z",
        "2026-02-30T00:00:00Z",
        "2026-01-01T24:00:00Z",
        "2026-01-01T00:00:61Z",
        "2026-01-01T00:00:00+24:00",
        "2026-01-01T00:00:00+05:60",
        "2026-01-01T00:00:00.1234567890Z",
        "2026-01-01T00:00:00Z\n",
        "2026-01-01  00:00:00Z",
        "0001-01-01T00:00:00+05:00",
        "0001-01-01T00:00",
        "٢٠٢٦-01-01T00:00:00Z",
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    """TIME-006, TIME-007: other dates without time or offset, and what is not in the calendar."""
    with pytest.raises(Invalid, match="an RFC 3339 instant with offset such as"):
        Start.parse(text)


@given(st.datetimes(timezones=st.just(UTC)))
def test_written_instant_reads_back(moment: datetime) -> None:
    """GEN-019, COMPAT-044: UTC, T, Z and at least milliseconds."""
    text = format_instant(moment)

    assert parse_instant(text) == moment
    assert text[10] == "T"
    assert text[-1] == "Z"
    assert len(text) in {24, 27}
    assert Start.of(moment).at == moment


def test_instant_of_another_zone_is_written_in_utc() -> None:
    """GEN-019."""
    assert format_instant(datetime(2026, 1, 1, 1, tzinfo=timezone(timedelta(hours=1)))) == "2026-01-01T00:00:00.000Z"


def test_starts_are_equal_when_they_mean_the_same_moment() -> None:
    """TIME-003: the text is kept, but does not matter for the meaning."""
    assert Start.parse("2026-01-01T00:00:00Z") == Start.parse("2026-01-01T01:00:00+01:00")
    assert len({Start.parse("0001-01-01"), NOW}) == 1
    assert Start.parse("2026-01-01T00:00:00Z") != "2026-01-01T00:00:00Z"
    with pytest.raises(AttributeError, match="immutable"):
        NOW.text = "later"
