"""Random starts: drawn by the VEN, once, and to both sides."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from openadr_profiles.v31 import Event, Timeline, lifespan, random_offset
from tests.profiles.v31.build import WRITTEN, an_event, at, hourly, placed, spans
from tests.profiles.v31.timelines import MIDNIGHT, hours, interval

RANDOM: dict[str, Any] = {"start": MIDNIGHT, "duration": "PT1H", "randomizeStart": "PT1H"}


def three_minutes(index: int, largest: timedelta) -> timedelta:
    return timedelta(minutes=3) if index == 0 else timedelta(minutes=-1)


def test_random_shift_moves_the_first_interval_and_all_that_follow() -> None:
    """TIME-026: contiguous ones and explicit starts alike."""
    event = an_event(
        intervalPeriod={"start": MIDNIGHT, "duration": "PT1H", "randomizeStart": "PT5M"},
        intervals=[interval(0), interval(1), interval(2, start="2025-01-01T05:00:00Z"), interval(3)],
    )
    timeline = Timeline.of(event, anchor=WRITTEN, offset=three_minutes)

    assert spans(timeline) == hours(("0:03", "1:03"), ("1:03", "2:03"), ("5:03", "6:03"), ("6:03", "7:03"))


def test_explicit_start_with_its_own_random_shift_draws_again() -> None:
    """TIME-026: and that draw is used from there on; an implicit start stays attached to the one before."""
    event = an_event(
        intervalPeriod={"start": MIDNIGHT, "duration": "PT1H", "randomizeStart": "PT5M"},
        intervals=[
            interval(0),
            interval(1, randomizeStart="PT5M"),
            interval(2, start="2025-01-01T05:00:00Z", randomizeStart="PT5M"),
            interval(3),
            interval(4, start="2025-01-01T09:00:00Z"),
        ],
    )
    timeline = Timeline.of(event, anchor=WRITTEN, offset=three_minutes)

    assert [window.start for window in timeline.windows()] == [
        at("0:03"),
        at("1:03"),
        at("4:59"),
        at("5:59"),
        at("8:59"),
    ]


def test_random_shift_moves_the_whole_lifespan() -> None:
    """TIME-026: ``event.duration`` counts from the shifted start."""
    event = hourly(2, intervalPeriod={"start": MIDNIGHT, "duration": "PT1H", "randomizeStart": "PT5M"}, duration="PT6H")
    timeline = Timeline.of(event, anchor=WRITTEN, offset=three_minutes)

    assert (timeline.start, timeline.end) == (at("0:03"), at("6:03"))


def test_without_random_start_nothing_is_drawn() -> None:
    """TIME-026."""
    event = hourly(3)

    assert Timeline.of(event, anchor=WRITTEN, offset=three_minutes) == placed(event)


def test_vtn_does_not_draw() -> None:
    """TIME-028."""
    event = hourly(1, intervalPeriod={"start": MIDNIGHT, "duration": "PT1H", "randomizeStart": "PT5M"})

    assert (placed(event).start, lifespan(event).start) == (at("0:00"), at("0:00"))


def test_draw_is_kept_over_modifications_and_differs_between_vens_and_events() -> None:
    """TIME-027, ruling 16: a change that moves no time must not move the random start."""
    event = hourly(1, intervalPeriod=RANDOM)
    renamed = hourly(2, intervalPeriod=RANDOM, eventName="other", modificationDateTime="2025-01-01T00:00:01Z")
    moved = hourly(1, intervalPeriod=RANDOM | {"start": "2025-01-01T03:00:00Z"})
    other = hourly(1, intervalPeriod=RANDOM, id="event-2")

    def draw(event: Event, ven: str = "ven-1") -> timedelta:
        return Timeline.of(event, anchor=WRITTEN, offset=random_offset(event, ven)).start - placed(event).start

    assert draw(event) == draw(renamed) == draw(moved)
    assert len({draw(event), draw(other), draw(event, "ven-2")}) == 3


@pytest.mark.parametrize("length", ["PT10M", "PT2H", "P1M"])
def test_changed_random_start_draws_anew(length: str) -> None:
    """TIME-027, ruling 16: another range is another draw, not the same share of it; its spelling does not count."""
    event, other = (hourly(1, intervalPeriod=RANDOM | {"randomizeStart": text}) for text in ("PT1H", length))
    spelled = hourly(1, intervalPeriod=RANDOM | {"randomizeStart": "-PT60M"})
    largest = timedelta(hours=1)

    assert random_offset(event, "ven-1")(0, largest) == random_offset(spelled, "ven-1")(0, largest)
    assert random_offset(event, "ven-1")(0, largest) != random_offset(other, "ven-1")(0, largest)


def test_draw_of_a_later_interval_stays_when_one_is_put_in_before_it() -> None:
    """TIME-026, TIME-027: it belongs to the interval's id, not to its place."""
    first, late = interval(0), interval(7, start="2025-01-01T05:00:00Z", randomizeStart="PT1H")
    more = interval(3, start="2025-01-01T04:00:00Z", randomizeStart="PT1H")
    before, after = hourly(1, intervals=[first, late]), hourly(1, intervals=[first, more, late])
    largest = timedelta(hours=1)

    assert random_offset(before, "ven-1")(1, largest) == random_offset(after, "ven-1")(2, largest)
    assert random_offset(after, "ven-1")(1, largest) != random_offset(after, "ven-1")(2, largest)


def test_draws_are_spread_evenly_to_both_sides() -> None:
    """TIME-026: uniform over [-r, r]; a thousand VENs fill four quarters about equally."""
    event, largest = hourly(1), timedelta(minutes=5)
    draws = [random_offset(event, f"ven-{number}")(0, largest) for number in range(1000)]

    assert all(-largest <= draw <= largest for draw in draws)
    quarters = [sum(1 for draw in draws if (draw + largest) * 2 // largest == quarter) for quarter in range(4)]
    assert all(200 < count < 300 for count in quarters)
    tick = timedelta(microseconds=1)
    assert {random_offset(event, f"ven-{number}")(0, tick) for number in range(50)} == {-tick, tick * 0, tick}
