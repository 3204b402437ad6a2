"""The baseline X of Y: from the hours of earlier days, in the zone of the site."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from pydantic import ValidationError

from tests.ven.builders import shed_event
from tests.ven.conftest import StartHome
from tests.ven.home import Town
from ven.panel.day_history import DayHistory
from ven.panel.meter import PowerReading
from ven.settings import BaselineSettings
from ven.store import StateFile

HOUR = timedelta(hours=1)
MONDAY = datetime(2026, 3, 2, tzinfo=UTC)


def a_history(*, x: int = 2, y: int = 3, zone: str = "UTC") -> DayHistory:
    return DayHistory(("ev", "oven"), x=x, y=y, zone=zone, hold=timedelta(minutes=30))


def filled(history: DayHistory, start: datetime, kw_of_day: list[str]) -> DayHistory:
    """Give every hour of the days from `start` on the same power, another one each day."""
    history.load(
        {
            start + timedelta(days=day) + hour * HOUR: {"ev": Decimal(kw), "oven": Decimal(1)}
            for day, kw in enumerate(kw_of_day)
            for hour in range(24)
        }
    )
    return history


def test_the_highest_of_the_latest_days_count() -> None:
    """Of Monday to Thursday, 9, 1, 3 and 2 kW, the latest three count, and of these the highest two."""
    history = filled(a_history(), MONDAY, ["9", "1", "3", "2"])
    friday = MONDAY + timedelta(days=4, hours=17)
    assert history.baseline_kw(friday, friday + 2 * HOUR) == {"ev": Decimal("2.500"), "oven": Decimal("1.000")}


def test_days_of_a_weekend_are_another_kind() -> None:
    history = filled(a_history(), MONDAY, ["1", "1", "1", "1", "1", "5", "7"])
    saturday = MONDAY + timedelta(days=12, hours=9)
    assert history.baseline_kw(saturday, saturday + HOUR)["ev"] == 6
    friday = saturday - timedelta(days=1)
    assert history.baseline_kw(friday, friday + HOUR)["ev"] == 1


def test_too_few_days_are_no_baseline() -> None:
    history = filled(a_history(), MONDAY, ["1"])
    assert history.baseline_kw(MONDAY + timedelta(days=1), None) == {}


def test_the_same_hour_is_that_of_the_clock_on_the_wall() -> None:
    """Berlin goes from UTC+1 to UTC+2 on 29 March 2026: 18:00 was 17:00 UTC on Friday and is 16:00 UTC on Monday."""
    history = a_history(x=1, y=1, zone="Europe/Berlin")
    friday = datetime(2026, 3, 27, tzinfo=UTC)
    history.load({friday + hour * HOUR: {"ev": Decimal(hour)} for hour in range(24)})
    monday = datetime(2026, 3, 30, 16, tzinfo=UTC)
    assert history.baseline_kw(monday, monday + HOUR) == {"ev": 17}


def test_hours_are_measured_and_those_with_a_limit_left_out() -> None:
    history = a_history(x=1, y=1)
    found = []
    for minute in range(0, 241, 10):
        reading = PowerReading(MONDAY + timedelta(minutes=minute), {"ev": Decimal(2), "oven": Decimal(1)})
        found += history.take(reading, ["ev"] if 60 < minute <= 100 else [])
    assert found == [
        (MONDAY + hour * HOUR, {"oven": Decimal(1)} if hour == 1 else {"ev": Decimal(2), "oven": Decimal(1)})
        for hour in range(4)
    ]


def test_only_so_many_days_are_kept() -> None:
    history = a_history(y=1)
    for hour in range(24 * 40):
        for minute in (0, 20, 40):
            history.take(PowerReading(MONDAY + hour * HOUR + timedelta(minutes=minute), {"ev": Decimal(1)}), [])
    assert len(history._hours) <= 24 * 14 + 1
    assert len(history._profile._closed) <= 1


async def test_hours_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "ven.sqlite3"
    async with StateFile(path, now=MONDAY) as store:
        for hour in range(4):
            store.day_history.put(MONDAY + hour * HOUR, {"ev": Decimal("1.250")}, keep_from=MONDAY + HOUR)
    async with StateFile(path, now=MONDAY) as store:
        assert await store.day_history.all() == {MONDAY + hour * HOUR: {"ev": Decimal("1.250")} for hour in (1, 2, 3)}


def test_x_of_more_days_than_y_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"baseline\.x is 5 and baseline\.y 4; expected x of y days"):
        BaselineSettings(x=5, y=4)


async def test_a_home_takes_its_baseline_from_the_days_before(town: Town, start_home: StartHome) -> None:
    home = await start_home(baseline={"method": "x_of_y", "x": 1, "y": 1}, sample_s=1200, poll_s=3600)
    await home.pass_(hours=25)
    home.relay.wants["ev"] = Decimal(1)
    await home.pass_(hours=1)
    event = await town.issue(shed_event(-1, start=town.clock.now() + HOUR))
    await home.pass_(hours=3)
    (interval,) = await town.status(event)
    assert {shed.resource_name: shed.original_kw for shed in interval.sheds}["ev"] == 3
