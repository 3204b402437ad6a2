"""The trace of the panel's power: means of minutes, gaps that stay gaps, bounded, kept over a restart."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.support.net import free_port
from tests.ven.builders import START, shed_event
from tests.ven.conftest import StartHome
from tests.ven.home import Town
from ven.panel.meter import PowerReading
from ven.panel.power_trace import MINUTES, PowerPoint, PowerTrace
from ven.store import StateFile

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)


def a_trace(**members: timedelta) -> PowerTrace:
    return PowerTrace(("ev", "oven"), **({"hold": timedelta(seconds=30)} | members))


def reading(at: datetime, kw: float | None) -> PowerReading:
    """A reading of two circuits that draw so much together; None: one of them was not read."""
    known = {} if kw is None else {"oven": Decimal(0)}
    return PowerReading(at, {"ev": Decimal(str(kw or 0))} | known)


def points(trace: PowerTrace, start: datetime, end: datetime, step: timedelta = MINUTE) -> list[PowerPoint]:
    return list(trace.points(start, end, step))


def drawn(trace: PowerTrace, start: datetime, minutes: int) -> list[float | None]:
    return [each.drawn_kw for each in points(trace, start, start + minutes * MINUTE)]


def test_a_minute_is_the_mean_over_time_and_gaps_stay_gaps() -> None:
    trace = a_trace()
    for second, kw in ((0, 4), (15, 8), (60, 2), (80, None), (100, 6), (115, 6), (300, 1)):
        trace.take(reading(START + timedelta(seconds=second), kw), None)
    # 4 kW for 15 s and 8 kW for the 30 s that it holds; 2 kW for 20 s, 20 s unknown, 6 kW for 20 s; then 25 s of 6 kW.
    assert drawn(trace, START, 9) == [pytest.approx(6.667), 4, None, None, None]


def test_target_is_what_was_wanted_and_none_where_nobody_wanted_anything() -> None:
    trace = a_trace()
    for second in range(0, 190, 10):
        wanted = Decimal(3) if 60 <= second < 120 else None
        trace.take(reading(START + timedelta(seconds=second), 5), wanted)
    assert [each.target_kw for each in points(trace, START, START + DAY)] == [None, 3, None]


def test_a_clock_that_is_set_back_forgets_what_was_later() -> None:
    trace = a_trace()
    for second in range(0, 300, 15):
        trace.take(reading(START + timedelta(seconds=second), 5), None)
    for second in range(120, 200, 15):
        trace.take(reading(START + timedelta(seconds=second), 7), None)
    assert drawn(trace, START, 9) == [5, 5, 7]


def test_a_clock_that_jumps_ahead_leaves_nothing_of_before_and_takes_no_time() -> None:
    trace = a_trace()
    trace.take(reading(START, 5), None)
    trace.take(reading(START + 4000 * DAY, 5), None)
    trace.take(reading(START + 4000 * DAY + MINUTE, 5), None)
    found = points(trace, START, START + 5000 * DAY)
    assert len(found) == MINUTES
    assert [each.drawn_kw for each in found[-2:]] == [None, 5]  # which holds for half of the minute


def test_seven_days_are_kept_and_no_more() -> None:
    trace = a_trace(hold=timedelta(hours=1))
    for hour in range(24 * 9):
        trace.take(reading(START + timedelta(hours=hour), 1), None)
    found = points(trace, START, START + 9 * DAY)
    assert len(found) == MINUTES
    assert found[0].at == START + timedelta(hours=24 * 9 - 1) - MINUTES * MINUTE
    assert {each.drawn_kw for each in found} == {1}
    assert trace.earliest == found[0].at.replace(minute=0)


def test_steps_are_means_of_what_is_known_in_them() -> None:
    trace = a_trace()
    for second in range(0, 600, 15):
        trace.take(reading(START + timedelta(seconds=second), 1 if second < 180 else 6), None)
    found = points(trace, START, START + DAY, 5 * MINUTE)
    assert [(each.at - START, each.drawn_kw) for each in found] == [
        (timedelta(0), 3),
        (5 * MINUTE, 6),
    ]


@settings(max_examples=50, deadline=None)
@given(
    steps=st.lists(st.tuples(st.integers(1, 200), st.one_of(st.none(), st.integers(0, 9))), min_size=2, max_size=40),
    offset=st.integers(0, 86_400),
)
def test_minutes_are_what_adding_up_seconds_comes_to(steps: list[tuple[int, int | None]], offset: int) -> None:
    start, trace = START + timedelta(seconds=offset), a_trace()
    seconds: dict[int, int] = {}
    at = int(start.timestamp())
    before: int | None = None
    for length, kw in steps:
        if before is not None:
            seconds |= dict.fromkeys(range(at, at + min(length, 30)), before)
        at += length
        trace.take(reading(datetime.fromtimestamp(at, UTC), kw), None)
        before = kw
    for point in points(trace, start - DAY, start + DAY):
        first = int(point.at.timestamp())
        known = [seconds[second] for second in range(first, first + 60) if second in seconds]
        expected = sum(known) / len(known) if len(known) >= 30 else None
        assert point.drawn_kw == (None if expected is None else pytest.approx(expected, abs=0.002))


async def test_what_is_packed_is_unpacked_and_written_about_every_five_minutes(tmp_path: Path) -> None:
    trace, hours = a_trace(), 0
    async with StateFile(tmp_path / "ven.sqlite3", now=START) as store:
        for second in range(0, 3 * 3600, 15):
            due = trace.take(reading(START + timedelta(seconds=second), second % 7), Decimal(2))
            hours += len(due)
            for start, packed in due:
                store.power_trace.put(start, packed, keep_from=trace.earliest or start)
        assert await store.journal.flush()
        assert hours <= 12 * 3 + 3
        again = a_trace()
        again.load(await store.power_trace.all() | {START - DAY: b"broken"})
    end = START + timedelta(hours=2, minutes=55)
    assert points(again, START, end - MINUTE) == points(trace, START, end - MINUTE)
    assert len(points(again, START, end)) >= 174


async def test_a_home_knows_after_a_restart_what_it_drew_and_should_have_drawn(
    town: Town, start_home: StartHome
) -> None:
    """Baseline 5.2 kW (0.2, 2 and 3), asked for 3 kW less: 2.2 kW may be drawn while the event lasts."""
    home = await start_home(local={"port": free_port()}, sample_s=60, poll_s=600)
    await town.issue(shed_event(-3))
    await home.until(START + timedelta(minutes=20))
    await home.kill()
    await home.start()
    await home.until(START + timedelta(minutes=21))
    assert home._agent is not None
    trace = home._agent.control.trace
    assert trace is not None
    (before, during) = points(trace, START - 5 * MINUTE, START + 5 * MINUTE, 5 * MINUTE)
    assert before.drawn_kw == pytest.approx(5.2)
    assert before.target_kw is None
    assert [during.drawn_kw, during.target_kw] == pytest.approx([2.2, 2.2])


async def test_a_home_at_which_nobody_can_look_keeps_no_trace(start_home: StartHome) -> None:
    home = await start_home()
    assert home._agent is not None
    assert home._agent.control.trace is None
