"""Durations: what is one, what it means, and that its text survives."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openadr_profiles.v31 import FOREVER, ZERO, Duration, Invalid
from tests.profiles.v31.strategies import any_moment

JANUARY_31 = datetime(2025, 1, 31, 12, tzinfo=UTC)

ACCEPTED = [
    "PT1H", "P7D", "P1W", "PT0S", "PT0H", "P9999Y", "-PT5M", "PT1.5S", "P1Y2M3DT4H5M6S", "P1Y35DT3H1.5S",
    "P0Y0M0DT1H0M0S", "P0D", "PT36H", "PT90M", "P0Y", "P1DT", "PT0.000000001S", "-P9999Y", "P99999999999999Y",
]  # fmt: skip
REFUSED = [
    "", "P", "PT", "-P", "-PT", "P0S", "PT1.5H", "P1H", "P1W2D", "1H", "pt1h", "PT1h", " PT1H", "PT1H ", "PT1H\n",
    "P 1D", "P1.5D", "PT1.S", "PT.5S", "PT1M1H", "P1D1Y", "+PT1H", "PT-1H", "P1M2W3D", "PT1,5S", "PT١H", "P1", "T1H",
    "PT1H30", "P" + "1" * 200 + "D",
]  # fmt: skip


@pytest.mark.parametrize("text", ACCEPTED)
def test_duration_is_accepted_and_keeps_its_text(text: str) -> None:
    """TIME-001, TIME-003, COMPAT-033."""
    assert str(Duration.parse(text)) == text


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_no_duration_is_refused(text: str) -> None:
    """TIME-002: also the guide's own ``P0S``."""
    with pytest.raises(Invalid, match="is not an ISO 8601 duration such as PT1H"):
        Duration.parse(text)


def test_refused_text_is_shown_shortened() -> None:
    """PROBLEM-005: the problem names the value without repeating a megabyte of it."""
    with pytest.raises(Invalid) as caught:
        Duration.parse("x" * 100_000)
    assert len(str(caught.value)) < 120


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("PT1H", datetime(2025, 1, 31, 13, tzinfo=UTC)),
        ("P1W", datetime(2025, 2, 7, 12, tzinfo=UTC)),
        ("PT1.5S", datetime(2025, 1, 31, 12, 0, 1, 500_000, tzinfo=UTC)),
        ("P1M", datetime(2025, 2, 28, 12, tzinfo=UTC)),
        ("P13M", datetime(2026, 2, 28, 12, tzinfo=UTC)),
        ("P3Y1M", datetime(2028, 2, 29, 12, tzinfo=UTC)),
        ("P1MT12H", datetime(2025, 3, 1, 0, tzinfo=UTC)),
        ("-PT5M", JANUARY_31),
        ("PT0S", JANUARY_31),
        ("P9999Y", None),
        ("P9998Y", None),
        ("P7974Y", datetime(9999, 1, 31, 12, tzinfo=UTC)),
        ("P7975Y", None),
        ("P999999999D", None),
        ("PT99999999999999999H", None),
    ],
)
def test_duration_leads_to_an_end(text: str, end: datetime | None) -> None:
    """TIME-008, TIME-009, TIME-019: months are the calendar's; what lasts for ever has no end."""
    assert Duration.parse(text).after(JANUARY_31) == end


@given(st.from_regex(r"-?P([0-9]{1,20}Y)?([0-9]{1,20}M)?[0-9]{1,20}D(T[0-9]{1,20}H)?", fullmatch=True), any_moment)
def test_any_duration_can_be_added_to_any_moment(text: str, start: datetime) -> None:
    """TIME-008: saturates instead of failing, and never leads backwards."""
    duration = Duration.parse(text)
    end = duration.after(start)

    assert end is None or end >= start
    assert duration.magnitude().negative is False


def test_durations_are_equal_when_they_mean_the_same() -> None:
    """TIME-003: the text is kept, but does not matter for the meaning."""
    assert Duration.parse("PT60M") == Duration.parse("PT1H")
    assert hash(Duration.parse("PT60M")) == hash(Duration.parse("PT1H"))
    assert Duration.parse("P1W") == Duration.parse("P7D")
    assert Duration.parse("-PT0S") == ZERO
    assert Duration.parse("P10000Y") == FOREVER
    assert Duration.parse("P1M") != Duration.parse("P30D")
    assert Duration.parse("-PT1H") != Duration.parse("PT1H")
    assert Duration.parse("PT1H") != "PT1H"


def test_duration_cannot_be_changed() -> None:
    """Parsed texts are shared; whoever changed one would change it for all."""
    with pytest.raises(AttributeError, match="immutable"):
        Duration.parse("PT1H").text = "PT2H"


@given(st.timedeltas(min_value=timedelta(days=-1000), max_value=timedelta(days=1000)))
def test_exact_length_is_written_without_calendar_designators(length: timedelta) -> None:
    """COMPAT-054: hours, minutes and seconds only; it reads back as the same length."""
    written = Duration.of(length)

    assert not set(written.text) & set("YWD")
    assert written.months == 0
    assert (-written.time if written.negative else written.time) == length


@pytest.mark.parametrize(
    ("length", "text"),
    [
        (timedelta(0), "PT0S"),
        (timedelta(days=2), "PT48H"),
        (timedelta(minutes=90), "PT1H30M"),
        (timedelta(seconds=1.5), "PT1.5S"),
        (timedelta(minutes=-5), "-PT5M"),
    ],
)
def test_exact_length_is_written_shortly(length: timedelta, text: str) -> None:
    """COMPAT-054."""
    assert Duration.of(length).text == text
