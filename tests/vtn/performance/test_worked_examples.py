"""A worked example of each method: rules as market operators publish them, with figures that are checked by hand.

The sources are named where they are used. None of them prints readings of a whole example that could be taken over, so
the loads are ours, small enough to follow with a pencil; what is taken from the sources is which days and hours count,
and how a mean is adjusted.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from vtn.performance.baselines import BaselinePlan, EvaluatedTime, EventBaseline
from vtn.performance.calendar import Calendar
from vtn.performance.methods import METHODS, parsed
from vtn.performance.profile import MeteredEnergy, gridded

HOUR = timedelta(hours=1)
LOS_ANGELES, NEW_YORK, SYDNEY = (
    ZoneInfo(f"{each}") for each in ("America/Los_Angeles", "America/New_York", "Australia/Sydney")
)


def hours(zone: ZoneInfo, day: date, loads: Mapping[int, float]) -> list[MeteredEnergy]:
    """Return readings of an hour each by the hour of the clocks at which they begin."""
    return [
        MeteredEnergy(datetime(day.year, day.month, day.day, hour, tzinfo=zone), HOUR, Decimal(str(kwh)))
        for hour, kwh in loads.items()
    ]


def found(
    name: str,
    zone: ZoneInfo,
    day: date,
    at: tuple[int, int],
    readings: list[MeteredEnergy],
    *,
    holidays: frozenset[date] = frozenset(),
    event_days: frozenset[date] = frozenset(),
) -> EventBaseline:
    """Return what a method says of an event between two hours of the clocks."""
    start, end = (datetime(day.year, day.month, day.day, hour, tzinfo=zone) for hour in at)
    plan = BaselinePlan(parsed(name), EvaluatedTime(start, end), HOUR, Calendar(zone, holidays), event_days)
    return plan.of(gridded(readings, HOUR))


def test_california_iso_ten_in_ten_leaves_out_event_days_and_holidays() -> None:
    """California ISO tariff 4.13.4.1 (10-in-10): 10 non-event days, business days for one, adjusted by 20 % at most.

    The adjustment is the load of the hours from 4 to 1 before the event, by that of the same hours of the ten days.
    Of a Thursday in July: the 4th is a holiday, the 9th had an event, so the ten days go back to 1 July.
    Mean of 10, 20 ... 100 kWh: 55. Before: 33 instead of 30 kWh, a factor of 1.1: 60.5 kWh.
    """
    days = [date(2024, 7, day) for day in (17, 16, 15, 12, 11, 10, 8, 5, 3, 2)]
    readings = hours(LOS_ANGELES, date(2024, 7, 18), {13: 11, 14: 11, 15: 11, 17: 5})
    for number, day in enumerate(days, start=1):
        readings += hours(LOS_ANGELES, day, {13: 10, 14: 10, 15: 10, 17: 10 * number})
    for day in (date(2024, 7, 4), date(2024, 7, 9), date(2024, 7, 13), date(2024, 7, 1)):
        readings += hours(LOS_ANGELES, day, {13: 10, 14: 10, 15: 10, 17: 999})

    one = found(
        "10-of-10",
        LOS_ANGELES,
        date(2024, 7, 18),
        (17, 18),
        readings,
        holidays=frozenset({date(2024, 7, 4)}),
        event_days=frozenset({date(2024, 7, 9)}),
    )

    assert one.days == tuple(sorted(days))
    assert (one.change, list(one.kwh.values())) == (Decimal("1.1"), [Decimal("60.5")])


def test_a_weekend_is_compared_with_weekends_and_holidays() -> None:
    """AEMO, Wholesale Demand Response baseline methodology register: business and other days are apart.

    It names California ISO's 10 of 10 as its model. Sunday 6 October 2024 is when Sydney puts its clocks forward:
    17:00 is 06:00 UTC then and 07:00 UTC on the Saturday before. Monday 7 October is Labour Day.
    """
    readings = []
    for back, kwh in ((1, 4.0), (7, 6.0), (8, 8.0), (14, 10.0), (15, 12.0)):
        readings += hours(SYDNEY, date(2024, 10, 6) - timedelta(days=back), {17: kwh})
    readings += hours(SYDNEY, date(2024, 10, 4), {17: 99})
    sunday = found("5-of-5", SYDNEY, date(2024, 10, 6), (17, 18), readings)
    assert (list(sunday.kwh.values()), sunday.days[-1]) == ([Decimal(8)], date(2024, 10, 5))
    assert [start.hour for start in sunday.kwh] == [6]

    labour_day = frozenset({date(2024, 10, 7)})
    readings += hours(SYDNEY, date(2024, 10, 6), {17: 2})
    monday = found("3-of-3", SYDNEY, date(2024, 10, 7), (17, 18), readings, holidays=labour_day)
    assert (list(monday.kwh.values()), monday.days) == (
        [Decimal(4)],
        (date(2024, 9, 29), date(2024, 10, 5), date(2024, 10, 6)),
    )


def test_nyiso_five_of_ten_takes_the_days_with_the_highest_mean_load_of_the_event() -> None:
    """NYISO, Emergency Demand Response Program Manual (manual 7), calculation of CBL: weekday average day CBL.

    Of ten weekdays the five with the highest average event period usage; the adjustment is the average of the two hours
    that begin four hours before the event by that of the five days, 0.8 to 1.2. Event from 13 to 15.
    Loads of the event 20, 22 ... 38 kWh an hour: the five highest are 30 to 38, mean 34. From 9 to 11: 15 instead of 10
    would be 1.5 and is 1.2: 40.8 kWh an hour. What was drawn from 11 to 13 does not count.
    """
    thursday = date(2024, 8, 15)
    days = [date(2024, 8, day) for day in (14, 13, 12, 9, 8, 7, 6, 5, 2, 1)]
    readings = hours(NEW_YORK, thursday, {9: 15, 10: 15, 11: 99, 12: 99, 13: 10, 14: 10})
    for number, day in enumerate(days):
        load = 20 + 2 * number
        readings += hours(NEW_YORK, day, {9: 10, 10: 10, 11: 50, 12: 50, 13: load, 14: load})
    one = found("high-5-of-10", NEW_YORK, thursday, (13, 15), readings)
    assert one.days == (date(2024, 8, 1), *(date(2024, 8, day) for day in (2, 5, 6, 7)))
    assert (one.change, list(one.kwh.values())) == (Decimal("1.2"), [Decimal("40.8")] * 2)


def test_pjm_four_of_five_adds_the_difference_hour_by_hour() -> None:
    """PJM manual 11, economic load response: standard CBL, the 4 highest of 5 days, symmetric additive adjustment.

    The adjustment is the mean difference of the three hours that begin four hours before the event; it may lower.
    Event from 14 to 16: of 30, 34, 26, 40 and 20 kWh the lowest goes, mean 32.5; 9 instead of 10 kWh: 31.5 and 29.
    """
    tuesday = date(2024, 6, 18)
    days = [date(2024, 6, day) for day in (17, 14, 13, 12, 11)]
    readings = hours(NEW_YORK, tuesday, {10: 9, 11: 9, 12: 9, 13: 50, 14: 5, 15: 5})
    for day, load in zip(days, (30, 34, 26, 40, 20), strict=True):
        readings += hours(NEW_YORK, day, {10: 10, 11: 10, 12: 10, 13: 10, 14: load, 15: 30 if load != 20 else 10})
    one = found("high-4-of-5", NEW_YORK, tuesday, (14, 16), readings)
    assert one.days == (date(2024, 6, 12), date(2024, 6, 13), date(2024, 6, 14), date(2024, 6, 17))
    assert (one.change, list(one.kwh.values())) == (Decimal(-1), [Decimal("31.5"), Decimal(29)])


def test_three_of_five_of_a_weekend() -> None:
    """Pacific Gas and Electric, Power Saver Rewards: on a weekend or holiday the 3 highest of the last 5 such days.

    It weights these days; here they count alike. Of 5, 9, 7, 3 and 8 kWh: 9, 8 and 7, mean 8.
    """
    saturday = date(2024, 9, 7)
    days = [date(2024, 9, 2), date(2024, 9, 1), date(2024, 8, 31), date(2024, 8, 25), date(2024, 8, 24)]
    readings = hours(LOS_ANGELES, saturday, dict.fromkeys((12, 13, 14), 4) | {16: 1})
    for day, load in zip(days, (5, 9, 7, 3, 8), strict=True):
        readings += hours(LOS_ANGELES, day, dict.fromkeys((12, 13, 14), 5) | {16: load})
    one = found(
        "high-3-of-5", LOS_ANGELES, saturday, (16, 17), readings, holidays=frozenset({date(2024, 9, 2)})
    )  # Labor Day
    assert (one.days, list(one.kwh.values())) == (
        (date(2024, 8, 24), date(2024, 8, 31), date(2024, 9, 1)),
        [Decimal(8)],  # never lowered, though less was drawn before
    )


def test_pjm_same_day_takes_the_hours_that_it_names() -> None:
    """PJM manual 11, same day (3+2), as RTO Insider of 25 February 2025 tells: for hours ending 13 to 17, the hours
    ending 9 to 11 and 19 to 20. Hour ending 9 begins at 8:00. (6 + 7 + 8 + 5 + 4) / 5 = 6 kWh.
    """
    day = date(2025, 2, 26)
    counted = {8: 6, 9: 7, 10: 8, 18: 5, 19: 4}
    others = dict.fromkeys((7, 11, 12, 13, 14, 15, 16, 17, 20), 99)
    one = found("same-day-3-2", NEW_YORK, day, (12, 17), hours(NEW_YORK, day, counted | others))
    assert list(one.kwh.values()) == [Decimal(6)] * 5


def test_the_meter_before_is_the_hour_before() -> None:
    """PJM emergency load response before 2016, "hour before" (FERC order of 31 October 2016): the load of that hour."""
    day = date(2016, 10, 31)
    readings = hours(NEW_YORK, day, {12: 7, 13: 3, 14: 2, 15: 5})
    assert list(found("meter-before", NEW_YORK, day, (13, 15), readings).kwh.values()) == [Decimal(7)] * 2
    assert list(found("meter-before-after", NEW_YORK, day, (13, 15), readings).kwh.values()) == [Decimal(6)] * 2


@pytest.mark.parametrize(
    ("day", "hour_utc", "before_utc"),
    [(date(2024, 3, 11), 23, 24), (date(2024, 11, 4), 24, 23)],  # the Mondays after the clocks changed
)
def test_hours_are_those_of_the_clocks(day: date, hour_utc: int, before_utc: int) -> None:
    """16:00 in California is 23:00 UTC in summer, midnight in winter; the Friday before is in the other one."""
    friday = day - timedelta(days=3)
    midnight = datetime(friday.year, friday.month, friday.day, tzinfo=ZoneInfo("UTC"))
    readings = [MeteredEnergy(midnight + hour * HOUR, HOUR, Decimal(hour)) for hour in range(36)]
    one = found("1-of-1", LOS_ANGELES, day, (16, 17), readings)
    assert list(one.kwh.values()) == [Decimal(before_utc)]
    assert [start.hour for start in one.kwh] == [hour_utc % 24]


def test_every_method_has_an_example() -> None:
    """A method that is added needs one here; ``reported`` takes what is reported."""
    shown = {"10-of-10", "high-5-of-10", "high-4-of-5", "high-3-of-5", "same-day-3-2", "meter-before"}
    assert METHODS.keys() - shown - {"meter-before-after", "reported"} == set()
