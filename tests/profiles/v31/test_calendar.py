"""Calendar arithmetic, compared with an independent library: months, years, zones (TIME-004, TIME-009, TIME-012)."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from dateutil.parser import isoparse
from dateutil.relativedelta import relativedelta
from hypothesis import given
from hypothesis import strategies as st

from openadr_profiles.v31 import Duration, parse_instant
from tests.profiles.v31.build import an_event, placed

NAMES = ("years", "months", "days", "hours", "minutes", "seconds")
moments = st.integers(0, 130 * 365 * 86_400).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))
written = st.fixed_dictionaries({name: st.integers(0, 40) for name in NAMES})
zones = st.sampled_from(["Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe", "Pacific/Apia"])


def text_of(parts: dict[str, int]) -> str:
    return "P{years}Y{months}M{days}DT{hours}H{minutes}M{seconds}S".format(**parts)


def step(parts: dict[str, int]) -> relativedelta:
    return relativedelta(**{name: parts[name] for name in NAMES})  # type: ignore[arg-type] # it takes each by its name


@given(moments, written)
def test_years_months_and_days_are_steps_of_the_calendar(moment: datetime, parts: dict[str, int]) -> None:
    assert Duration.parse(text_of(parts)).after(moment) == moment + step(parts)


@given(moments, zones, written)
def test_zone_in_which_an_instant_is_given_does_not_count(moment: datetime, zone: str, parts: dict[str, int]) -> None:
    """Steps are taken in UTC, also from a moment in the night in which clocks change."""
    local = moment.astimezone(ZoneInfo(zone))
    assert Duration.parse(text_of(parts)).after(local) == moment + step(parts)


@given(moments, zones)
def test_instant_is_read_with_the_offset_of_any_zone(moment: datetime, zone: str) -> None:
    text = moment.replace(second=0).astimezone(ZoneInfo(zone)).isoformat()
    assert parse_instant(text) == isoparse(text) == moment.replace(second=0)


@given(moments, st.lists(written, min_size=1, max_size=12))
def test_intervals_of_months_follow_each_other_step_by_step(moment: datetime, lengths: list[dict[str, int]]) -> None:
    """Each begins where the one before ends: 31 January, 28 February, 28 March."""
    event = an_event(
        intervalPeriod={"start": moment.isoformat()},
        intervals=[
            {"id": number, "payloads": [], "intervalPeriod": {"duration": text_of(parts)}}
            for number, parts in enumerate(lengths)
        ],
    )
    timeline, start = placed(event), moment
    for number, parts in enumerate(lengths):
        window = timeline.window(number)
        assert window is not None
        assert (window.start, window.full_end) == (start, start + step(parts))
        start += step(parts)


@given(moments, st.integers(1, 5), st.integers(1, 4))
def test_duration_of_an_event_is_a_step_of_the_calendar(moment: datetime, months: int, days: int) -> None:
    """TIME-022, TIME-023: days that repeat for months end where the calendar says."""
    event = an_event(
        intervalPeriod={"start": moment.isoformat(), "duration": f"P{days}D"},
        intervals=[{"id": 0, "payloads": []}],
        duration=f"P{months}M",
    )
    timeline = placed(event)
    assert timeline.end == moment + relativedelta(months=months)
    assert timeline.current(moment + relativedelta(months=months, microseconds=-1)) is not None
