"""Baselines against figures computed by hand, step by step, as market operators publish their rules."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtn.performance.baselines import EvaluatedTime, baseline
from vtn.performance.calendar import Calendar
from vtn.performance.event_days import event_days
from vtn.performance.methods import METHODS, AdjustmentKind, Pick, parsed
from vtn.performance.profile import EnergySeries, MeteredEnergy, gridded

HOUR = timedelta(hours=1)
FRIDAY = date(2026, 7, 17)
EVENT = EvaluatedTime(datetime(2026, 7, 17, 16, tzinfo=UTC), datetime(2026, 7, 17, 18, tzinfo=UTC))
UTC_DAYS = Calendar(UTC)
WORKING_DAYS = [date(2026, 7, day) for day in (16, 15, 14, 13, 10, 9, 8, 7, 6, 3)]
"""The ten working days before the event; the 4th is a Saturday."""


def hours(day: date, loads: Mapping[int, float]) -> list[MeteredEnergy]:
    """Return readings of an hour each, in kWh by the hour at which they begin."""
    begin = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return [MeteredEnergy(begin + hour * HOUR, HOUR, Decimal(str(kwh))) for hour, kwh in loads.items()]


def ten_days(*, before: float, at_16: list[float], at_17: list[float] | None = None) -> list[MeteredEnergy]:
    """Return the readings of the working days: ``before`` from 12 to 15, then those of the event's two hours."""
    at_17 = at_17 or [90.0] * len(at_16)
    found: list[MeteredEnergy] = []
    for day, first, second in zip(WORKING_DAYS, at_16, at_17, strict=False):
        found += hours(day, {12: before, 13: before, 14: before, 15: before, 16: first, 17: second})
    return found


def kwh(name: str, readings: list[MeteredEnergy]) -> list[Decimal]:
    """Return what a method says of the two hours."""
    found = baseline(parsed(name), gridded(readings, HOUR), EVENT, UTC_DAYS)
    return [found.kwh[EVENT.start + number * HOUR] for number in range(len(found.kwh))]


RISING = [100.0 + 2 * number for number in range(10)]  # the mean is 109


def test_ten_of_ten_is_the_mean_times_what_the_day_drew_more() -> None:
    """55 instead of 50 kWh an hour from 12 to 15: a factor of 1.1 on 109 and 90 kWh."""
    today = hours(FRIDAY, {12: 55, 13: 55, 14: 55, 15: 20, 16: 80, 17: 70})
    assert kwh("10-of-10", ten_days(before=50, at_16=RISING) + today) == [Decimal("119.9"), Decimal(99)]


@pytest.mark.parametrize(("today", "factor"), [(75, "1.2"), (10, "0.8")])
def test_the_adjustment_of_ten_of_ten_ends_at_twenty_percent(today: float, factor: str) -> None:
    """1.5 becomes 1.2, and 0.2 becomes 0.8."""
    found = kwh("10-of-10", ten_days(before=50, at_16=RISING) + hours(FRIDAY, dict.fromkeys((12, 13, 14), today)))
    assert found == [Decimal(109) * Decimal(factor), Decimal(90) * Decimal(factor)]


def test_four_of_five_leaves_out_the_lowest_day_and_adds_the_difference() -> None:
    """16:00 of the last five days: 100, 104, 96, 110, 90. Without 90 the mean is 102.5; 53 instead of 50 adds 3."""
    readings = ten_days(before=50, at_16=[100, 104, 96, 110, 90]) + hours(FRIDAY, dict.fromkeys((12, 13, 14), 53))
    assert kwh("high-4-of-5", readings) == [Decimal("105.5"), Decimal(93)]


def test_five_of_ten_takes_the_hours_from_four_to_two_before() -> None:
    """The five highest of 100 to 118 have a mean of 114; the hour from 14 to 15 does not count."""
    today = hours(FRIDAY, {12: 45, 13: 45, 14: 1000})
    assert kwh("high-5-of-10", ten_days(before=50, at_16=RISING) + today) == [Decimal("102.6"), Decimal(81)]


def test_three_of_five_is_never_lowered() -> None:
    """40 instead of 50 kWh changes nothing."""
    readings = ten_days(before=50, at_16=[100, 104, 96, 110, 90]) + hours(FRIDAY, dict.fromkeys((12, 13, 14), 40))
    assert kwh("high-3-of-5", readings) == [(Decimal(100) + 104 + 110) / 3, Decimal(90)]


@pytest.mark.parametrize(("name", "mean"), [("low-2-of-5", "93"), ("mid-3-of-5", "100"), ("newest-2-of-5", "102")])
def test_the_days_that_count_have_a_name(name: str, mean: str) -> None:
    """Of 100, 104, 96, 110 and 90."""
    assert kwh(name, ten_days(before=50, at_16=[100, 104, 96, 110, 90]))[0] == Decimal(mean)


def test_days_with_events_and_other_kinds_of_day_do_not_count() -> None:
    """The event days of 16 and 15 July go; with the 3rd a holiday, nothing is left but seven days."""
    calendar = Calendar(UTC, frozenset({date(2026, 7, 3)}))
    saturday = hours(date(2026, 7, 11), dict.fromkeys(range(24), 1.0))
    profile = gridded(ten_days(before=50, at_16=RISING) + saturday, HOUR)

    found = baseline(parsed("10-of-10"), profile, EVENT, calendar, {date(2026, 7, 16), date(2026, 7, 15)})

    assert found.days == tuple(sorted(WORKING_DAYS[2:9]))
    assert found.kwh[EVENT.start] == Decimal(sum(RISING[2:9])) / 7
    assert "7 similar days instead of 10" in found.notes
    assert any("not adjusted" in note for note in found.notes)


def test_an_event_on_a_holiday_is_compared_with_weekends() -> None:
    """A Friday that is a holiday has Sunday's and Saturday's load."""
    weekend = [date(2026, 7, 12), date(2026, 7, 11)]
    readings = [one for day in weekend for one in hours(day, {16: 20, 17: 30})]
    calendar = Calendar(UTC, frozenset({FRIDAY}))

    found = baseline(parsed("2-of-2"), gridded(readings + ten_days(before=50, at_16=RISING), HOUR), EVENT, calendar)

    assert (found.days, list(found.kwh.values())) == (tuple(sorted(weekend)), [Decimal(20), Decimal(30)])


def test_too_few_days_give_no_baseline_and_say_so() -> None:
    """No data is not 0."""
    found = baseline(parsed("10-of-10"), gridded(ten_days(before=50, at_16=[100, 100]), HOUR), EVENT, UTC_DAYS)
    assert not found.kwh
    assert any("2 similar days" in note and "at least 5" in note for note in found.notes)


def test_a_day_with_a_gap_is_skipped_and_counted() -> None:
    """The next day back takes its place."""
    readings = [one for one in ten_days(before=50, at_16=RISING) if one.start != datetime(2026, 7, 16, 16, tzinfo=UTC)]
    found = baseline(parsed("3-of-3"), gridded(readings, HOUR), EVENT, UTC_DAYS)
    assert found.days == tuple(sorted(WORKING_DAYS[1:4]))
    assert "1 days have gaps" in found.notes


def test_the_meter_before_and_after_is_the_mean_of_both_hours() -> None:
    """80 before and 60 after are 70 in each hour of the event."""
    readings = hours(FRIDAY, {15: 80, 16: 10, 17: 10, 18: 60})
    assert kwh("meter-before", readings) == [Decimal(80)] * 2
    assert kwh("meter-before-after", readings) == [Decimal(70)] * 2
    assert baseline(parsed("meter-before"), gridded(readings[1:], HOUR), EVENT, UTC_DAYS).kwh == {}


def test_clocks_that_change_between_the_days_change_nothing() -> None:
    """16:00 in Berlin is 14:00 UTC on Friday and 15:00 UTC on Monday, when summer time has ended (25 October 2026)."""
    berlin = ZoneInfo("Europe/Berlin")
    monday = EvaluatedTime(datetime(2026, 10, 26, 16, tzinfo=berlin), datetime(2026, 10, 26, 17, tzinfo=berlin))
    friday = [MeteredEnergy(datetime(2026, 10, 23, hour, tzinfo=UTC), HOUR, Decimal(hour)) for hour in range(24)]

    found = baseline(parsed("1-of-1"), gridded(friday, HOUR), monday, Calendar(berlin))

    assert found.kwh == {datetime(2026, 10, 26, 15, tzinfo=UTC): Decimal(14)}


def test_an_hour_that_a_day_skips_is_a_gap() -> None:
    """2:30 is not there on 29 March 2026 in Berlin."""
    berlin = ZoneInfo("Europe/Berlin")
    assert Calendar(berlin).same_time(datetime(2026, 3, 28, 2, 30, tzinfo=berlin), date(2026, 3, 29)) is None
    assert Calendar(berlin).same_time(datetime(2026, 3, 28, 1, 30, tzinfo=berlin), date(2026, 3, 29)) is not None


@pytest.mark.parametrize(
    "text", ["", "9-of-8", "0-of-5", "high-3-of-5+", "high-3-of-5+x", "3-of-5+add:0%", "best-3-of-5"]
)
def test_what_is_no_method_is_refused(text: str) -> None:
    """By name, with what was expected."""
    with pytest.raises(ValueError, match=r"expected one of 10-of-10|cannot be taken"):
        parsed(text)


def test_a_method_is_what_its_name_says() -> None:
    """Days, pick and adjustment."""
    method = parsed("mid-4-of-10+mul:25%:up")
    assert method.days is not None
    assert method.adjustment is not None
    assert (method.days.take, method.days.of, method.days.pick) == (4, 10, Pick.MIDDLE)
    assert (method.adjustment.kind, method.adjustment.cap, method.adjustment.only_up) == (
        AdjustmentKind.MULTIPLICATIVE,
        Decimal("0.25"),
        True,
    )


LOADS = st.lists(st.integers(1, 500), min_size=10, max_size=10)


@given(at_16=LOADS, today=st.integers(1, 500), factor=st.integers(2, 9))
def test_twice_the_load_is_twice_the_baseline(at_16: list[int], today: int, factor: int) -> None:
    """Every method scales: a meter in other units gives the same answer."""
    readings = ten_days(before=50, at_16=[float(load) for load in at_16])
    readings += hours(FRIDAY, {12: today, 13: today, 14: today, 15: today, 18: today})
    larger = [MeteredEnergy(one.start, one.length, one.kwh * factor) for one in readings]
    for method in METHODS.values():
        if method.reported:
            continue
        one, other = (baseline(method, gridded(each, HOUR), EVENT, UTC_DAYS).kwh for each in (readings, larger))
        assert other.keys() == one.keys()
        assert all(abs(other[at] - factor * one[at]) < Decimal("1e-18") for at in one)


@given(
    minutes=st.lists(st.sampled_from([5, 10, 15, 20, 30, 45, 60]), min_size=1, max_size=40),
    step=st.sampled_from([5, 15, 30, 60]),
)
def test_a_grid_keeps_the_energy(minutes: list[int], step: int) -> None:
    """Readings without a gap have the same sum on every grid, but for the ends that a step does not cover whole."""
    at = datetime(2026, 7, 1, tzinfo=UTC)
    readings = []
    for length in minutes:
        readings.append(MeteredEnergy(at, timedelta(minutes=length), Decimal(length)))  # 1 kWh a minute
        at += timedelta(minutes=length)
    profile: EnergySeries = gridded(reversed(readings), timedelta(minutes=step))
    assert profile.left_out == 0
    assert len(profile.steps) == sum(minutes) // step
    assert all(abs(one.kwh - step) < Decimal("1e-20") for one in profile.steps.values())


def test_later_readings_correct_and_overlapping_ones_are_left_out() -> None:
    """The last of the same time counts; one that begins within another of its length does not."""
    at = datetime(2026, 7, 1, tzinfo=UTC)
    series = gridded(
        [
            MeteredEnergy(at, HOUR, Decimal(1)),
            MeteredEnergy(at, HOUR, Decimal(2)),
            MeteredEnergy(at + HOUR / 2, HOUR, Decimal(7)),
            MeteredEnergy(at + HOUR, timedelta(days=2), Decimal(7)),
        ],
        HOUR,
    )
    assert {start: one.kwh for start, one in series.steps.items()} == {at: Decimal(2)}
    assert series.left_out == 2


def test_a_daily_total_beside_quarters_takes_none_of_them_away() -> None:
    """Of readings that overlap the shorter one counts."""
    at = datetime(2026, 7, 1, tzinfo=UTC)
    quarters = [MeteredEnergy(at + number * HOUR / 4, HOUR / 4, Decimal(number)) for number in range(8)]
    series = gridded([MeteredEnergy(at, timedelta(days=1), Decimal(96)), *quarters], HOUR / 4)
    assert [one.kwh for one in series.steps.values()] == [Decimal(number) for number in range(8)]
    assert series.left_out == 1


def test_a_longer_reading_is_divided_into_estimates() -> None:
    """An hour of 8 kWh is 2 kWh in each quarter."""
    at = datetime(2026, 7, 1, tzinfo=UTC)
    profile = gridded([MeteredEnergy(at, HOUR, Decimal(8))], HOUR / 4)
    assert [(one.kwh, one.estimated) for one in profile.steps.values()] == [(Decimal(2), True)] * 4


@pytest.mark.parametrize("step", [timedelta(minutes=7), timedelta(seconds=30), timedelta(0), timedelta(days=2)])
def test_a_step_divides_a_day(step: timedelta) -> None:
    """Others are refused."""
    with pytest.raises(ValueError, match="divides a day"):
        gridded([], step)


@pytest.mark.parametrize(
    ("start", "end", "days"),
    [
        ("2026-07-16T18:00", "2026-07-17T00:00", 1),
        ("2026-07-16T18:00", "2026-07-17T00:15", 2),
        ("2026-07-16T00:00", "2026-07-16T00:00", 1),
        ("2026-10-25T00:00", "2026-10-26T00:00", 1),
        ("2026-07-16T00:00", None, 31),
    ],
)
def test_an_event_touches_the_days_before_its_end(start: str, end: str | None, days: int) -> None:
    """The day that begins as it ends is like any other, also after a night in which clocks are put back."""
    zone = ZoneInfo("Europe/Berlin")
    begin, over = (each and datetime.fromisoformat(each).replace(tzinfo=zone).astimezone(UTC) for each in (start, end))
    assert begin
    found = list(event_days(begin, over or None, Calendar(zone)))
    assert found == [date.fromisoformat(start[:10]) + timedelta(days=number) for number in range(days)]
