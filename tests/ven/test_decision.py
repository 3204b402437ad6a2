from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from openadr_profiles.v31 import Duration, IntervalPeriod, Start, Timeline
from tests.ven.builders import START, a_program, shed_event
from ven.asks import Context, SheddingRules
from ven.decision import Candidate, Decision, OptRules, QuietHours, decide


def decision(
    event: Any = None, *, received: datetime = START - timedelta(hours=1), others: Any = (), **rules: Any
) -> Decision:
    event = event or shed_event(-5)
    candidate = Candidate(
        context=Context(event, a_program(), SheddingRules()),
        timeline=Timeline.of(event, anchor=received),
        first_received=received,
        other_starts=others,
    )
    return decide(candidate, OptRules(**rules))


def test_default_is_in() -> None:
    assert decision() == Decision(opted_in=True)


def test_program_can_be_left_out() -> None:
    assert decision(opt_out_programs=["peak"]) == Decision.out("program peak is opted out of")
    assert decision(opt_out_programs=["other"]).opted_in


def test_request_can_be_too_large() -> None:
    assert decision(max_shed_kw=4).reason == "5 kW asked for, at most 4 kW accepted"
    assert decision(max_shed_kw=5).opted_in


@pytest.mark.parametrize(
    ("hours", "touched"),
    [
        ("12:30-14:00", True),
        ("11:00-12:00", False),
        ("13:00-14:00", False),
        ("22:00-12:01", True),
        ("22:00-12:00", False),
    ],
)
def test_event_in_quiet_hours_is_refused(hours: str, touched: bool) -> None:
    """The event is from 12:00 to 13:00 UTC."""
    result = decision(quiet_hours=[hours])
    assert result.opted_in is not touched
    assert result.reason == (f"quiet hours {hours} UTC" if touched else None)


def test_quiet_hours_are_in_the_owners_time() -> None:
    assert not decision(quiet_hours=["13:00-13:30"], timezone="Europe/Berlin").opted_in
    assert decision(quiet_hours=["12:00-13:00"], timezone="Europe/Berlin").opted_in


@given(
    st.times(timezones=st.none()).map(lambda moment: moment.replace(second=0, microsecond=0)),
    st.times(timezones=st.none()).map(lambda moment: moment.replace(second=0, microsecond=0)),
    st.datetimes(min_value=datetime(2025, 1, 1), max_value=datetime(2027, 1, 1)),  # noqa: DTZ001 # made aware below
    st.integers(0, 26 * 60),
    st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu"]),
)
def test_quiet_hours_are_touched_if_any_minute_is(
    begin: time, end: time, naive: datetime, minutes: int, zone: str
) -> None:
    start = naive.replace(tzinfo=UTC, second=0, microsecond=0)
    hours = QuietHours(begin=begin, end=end)
    info = ZoneInfo(zone)

    def quiet(moment: datetime) -> bool:
        local = moment.astimezone(info).time()
        return begin <= local < end if begin < end else local >= begin or local < end

    expected = any(quiet(start + timedelta(minutes=minute)) for minute in range(max(minutes, 1)))
    transition = {(start + timedelta(minutes=m)).astimezone(info).utcoffset() for m in range(-1500, minutes + 1500, 60)}
    if len(transition) == 1:  # when clocks change, times of day repeat or are missing and the minute check is no judge
        assert hours.touches(start, start + timedelta(minutes=minutes), info) is expected


def test_event_without_end_is_in_any_quiet_hours_and_too_long() -> None:
    event = shed_event(-5, interval_period=IntervalPeriod(start=Start.of(START)))
    assert not decision(event, quiet_hours=["03:00-04:00"]).opted_in
    assert decision(event, max_duration_s=1e9).reason == "no end, at most 1e+09 s accepted"


def test_number_of_events_on_a_local_day_is_limited() -> None:
    others = [START.replace(hour=2), START.replace(hour=20), START + timedelta(days=1)]
    assert decision(others=others, max_events_per_day=2).reason == "already 2 events on 2026-01-01, at most 2 accepted"
    assert decision(others=others, max_events_per_day=3).opted_in


def test_notice_is_counted_from_the_first_receipt() -> None:
    late = START - timedelta(seconds=30)
    assert decision(received=late, min_notice_s=60).reason == "30 s notice, at least 60 s needed"
    assert decision(received=late, min_notice_s=30).opted_in


def test_long_events_are_refused() -> None:
    assert decision(max_duration_s=1800).reason == "3600 s long, at most 1800 s accepted"
    limited = shed_event(-5, duration=Duration.parse("PT30M"))
    assert decision(limited, max_duration_s=1800).opted_in


def test_event_that_is_not_understood_is_refused_with_the_reason() -> None:
    assert (
        decision(shed_event(-5, units="KWH")).reason
        == "DISPATCH_SETPOINT_RELATIVE in KWH: only KW, W and MW are understood"
    )


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"timezone": "Mars/Olympus"}, "time zone name"),
        ({"quiet_hours": ["late"]}, "times of day"),
        ({"quiet_hours": ["25:00-26:00"]}, "time"),
        ({"max_shed_kw": -1}, "greater than or equal"),
        ({"max_kw": 1}, "Extra inputs"),
    ],
)
def test_rules_that_mean_nothing_are_refused(rules: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        OptRules(**rules)


def test_rules_survive_being_dumped_and_read() -> None:
    rules = OptRules(quiet_hours=["22:00-06:00"], max_shed_kw=Decimal("2.5"))
    assert OptRules.model_validate(rules.model_dump()) == rules
