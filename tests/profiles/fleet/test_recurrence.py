"""Times that come again, compared with an independent implementation of calendars."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from dateutil.rrule import DAILY, rrule
from hypothesis import given, settings
from hypothesis import strategies as st

from openadr_profiles.fleet.recurrence import Recurrence

BERLIN = ZoneInfo("Europe/Berlin")
EVERY_DAY = frozenset(range(1, 8))
ZONES = ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "UTC")


def test_weekdays_keep_the_local_time_when_clocks_change() -> None:
    """18:00 stays 18:00: an hour less in UTC from the last Sunday of March (TIME-012)."""
    found = Recurrence(BERLIN, frozenset({1, 5}), time(18)).first(4, after=datetime(2026, 3, 26, tzinfo=UTC))
    assert [each.isoformat() for each in found] == [
        "2026-03-27T17:00:00+00:00",
        "2026-03-30T16:00:00+00:00",
        "2026-04-03T16:00:00+00:00",
        "2026-04-06T16:00:00+00:00",
    ]


def test_a_time_that_clocks_leave_out_comes_later_and_one_shown_twice_comes_once() -> None:
    night = Recurrence(BERLIN, EVERY_DAY, time(2, 30))
    assert night.after(datetime(2026, 3, 28, 2, tzinfo=UTC)) == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
    assert night.first(2, after=datetime(2026, 10, 24, 2, tzinfo=UTC)) == [
        datetime(2026, 10, 25, 0, 30, tzinfo=UTC),
        datetime(2026, 10, 26, 1, 30, tzinfo=UTC),
    ]


def test_it_ends_with_its_last_day_and_with_the_calendar() -> None:
    until = Recurrence(BERLIN, EVERY_DAY, time(18), date(2026, 1, 2))
    assert len(until.first(9, after=datetime(2026, 1, 1, tzinfo=UTC))) == 2
    assert Recurrence(BERLIN, EVERY_DAY, time(18)).after(datetime(9999, 12, 31, 20, tzinfo=UTC)) is None


@pytest.mark.parametrize("days", [frozenset(), frozenset({0}), frozenset({8})])
def test_days_must_be_days_of_the_week(days: frozenset[int]) -> None:
    with pytest.raises(ValueError, match="days: expected at least one day"):
        Recurrence(BERLIN, days, time(18))


@settings(max_examples=50, deadline=None)
@given(
    st.sampled_from(ZONES),
    st.frozensets(st.integers(1, 7), min_size=1),
    st.times().map(lambda each: each.replace(microsecond=0, second=0)),
    st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1)),  # noqa: DTZ001 - its zone follows
)
def test_the_next_times_are_those_of_another_calendar(
    zone: str, days: frozenset[int], clock: time, since: datetime
) -> None:
    """Every chosen day once, in order, at the local time or, where that does not exist, right after (TIME-012)."""
    at, its = since.replace(tzinfo=UTC), ZoneInfo(zone)
    found = Recurrence(its, days, clock).first(10, after=at)
    assert found == sorted(set(found))
    assert min(found) > at
    walls = rrule(
        DAILY,
        dtstart=datetime.combine(at.astimezone(its).date() - timedelta(days=1), clock),
        byweekday=[day - 1 for day in days],
        count=13,
    )
    expected = [wall.replace(tzinfo=its).astimezone(UTC) for wall in walls]
    assert found == [each for each in expected if each > at][:10]
