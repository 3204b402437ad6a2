"""Which interval is when."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from openadr_profiles.v31 import Event, Timeline, Window, lifespan
from tests.profiles.v31.build import WRITTEN, an_event, at, hourly, placed, spans
from tests.profiles.v31.timelines import MIDNIGHT, RECEIVED, hours, interval


def test_interval_may_give_only_its_duration() -> None:
    """TIME-010, TIME-012, TIME-013, TIME-015: the event's start belongs to the first interval alone."""
    event = an_event(
        intervalPeriod={"start": MIDNIGHT, "duration": "PT1H"},
        intervals=[interval(0), interval(1, duration="PT2H"), interval(2)],
    )

    assert spans(placed(event)) == hours(("0:00", "1:00"), ("1:00", "3:00"), ("3:00", "4:00"))


def test_interval_may_give_only_its_start() -> None:
    """TIME-010, TIME-014: it begins there after a gap, and the next one follows it."""
    event = an_event(
        intervalPeriod={"start": MIDNIGHT, "duration": "PT1H"},
        intervals=[interval(0), interval(1, start="2025-01-01T05:00:00Z"), interval(2)],
    )

    assert spans(placed(event)) == hours(("0:00", "1:00"), ("5:00", "6:00"), ("6:00", "7:00"))


def test_first_interval_prefers_its_own_start() -> None:
    """TIME-011."""
    event = an_event(
        intervalPeriod={"start": MIDNIGHT, "duration": "PT1H"},
        intervals=[interval(0, start="2025-01-01T02:00:00Z"), interval(1)],
    )

    assert spans(placed(event)) == hours(("2:00", "3:00"), ("3:00", "4:00"))


def test_first_interval_at_the_beginning_of_time_takes_the_events_start() -> None:
    """TIME-011."""
    event = an_event(
        intervalPeriod={"start": MIDNIGHT, "duration": "PT1H"}, intervals=[interval(0, start="0001-01-01")]
    )

    assert spans(placed(event, RECEIVED)) == hours(("0:00", "1:00"))


@pytest.mark.parametrize("period", [{"duration": "PT1H"}, {"start": "0001-01-01T00:00:00", "duration": "PT1H"}])
def test_start_at_the_beginning_of_time_means_now(period: dict[str, Any]) -> None:
    """TIME-011, TIME-016: now is the anchor, which is the caller's to keep."""
    event = an_event(intervalPeriod=period, intervals=[interval(0), interval(1, start="0001-01-01")])

    assert spans(placed(event, RECEIVED)) == hours(("6:30", "7:30"), ("7:30", "8:30"))


def test_event_that_has_begun_is_entered_in_the_middle() -> None:
    """TIME-016: of 25 hourly values from midnight, the one of 06:30 is index 6."""
    window = placed(hourly(25), RECEIVED).current(RECEIVED)

    assert window is not None
    assert (window.interval_index, window.start) == (6, at("6:00"))


def test_do_it_now_for_ever_never_ends() -> None:
    """TIME-017."""
    event = an_event(
        intervalPeriod={"start": "0001-01-01", "duration": "P9999Y"},
        intervals=[interval(0, payloads=[{"type": "ALERT_FIRE", "values": ["leave"]}])],
    )
    timeline = placed(event, RECEIVED)

    assert (timeline.start, timeline.end) == (RECEIVED, None)
    assert timeline.values_at(at("0:00", day="9999-12-31"))["ALERT_FIRE"].values == ("leave",)
    assert not timeline.transpired(at("0:00", day="9999-12-31"))


def test_interval_without_duration_is_open_until_the_next_absolute_start() -> None:
    """TIME-018: the last one stays open."""
    event = an_event(
        intervals=[
            interval(0, start=MIDNIGHT),
            interval(1, start="2025-01-01T04:00:00Z"),
        ]
    )

    assert spans(placed(event)) == hours(("0:00", "4:00"), ("4:00", None))


def test_interval_after_an_open_one_never_begins() -> None:
    """TIME-018: nothing says when it would."""
    event = an_event(intervalPeriod={"start": MIDNIGHT}, intervals=[interval(0), interval(1)])

    assert spans(placed(event)) == hours(("0:00", None))


def test_absolute_start_after_an_interval_that_never_begins_counts() -> None:
    """TIME-018, RDESC-009: what runs is numbered without what does not."""
    event = an_event(
        intervalPeriod={"start": MIDNIGHT},
        intervals=[interval(0), interval(1), interval(2, start="2025-01-01T04:00:00Z")],
    )
    timeline = placed(event)

    assert spans(timeline) == hours(("0:00", "4:00"), ("4:00", None))
    assert [(window.number, window.interval_index) for window in timeline.windows()] == [(0, 0), (1, 2)]
    assert timeline.window(1) == timeline.current(at("5:00"))


def test_next_absolute_start_is_the_next_in_time() -> None:
    """TIME-018: whatever its place in the list, and also if it is the event's own."""
    event = an_event(
        intervalPeriod={"start": "2025-01-01T02:00:00Z"},
        intervals=[interval(0), interval(1, start="2025-01-01T01:00:00Z"), interval(2, start=MIDNIGHT)],
    )

    assert spans(placed(event)) == hours(("0:00", "1:00"), ("1:00", "2:00"), ("2:00", None))


def test_explicit_zero_is_an_instant() -> None:
    """TIME-018: it is never current, but it is there to be acted on."""
    event = an_event(intervalPeriod={"start": MIDNIGHT, "duration": "PT0S"}, intervals=[interval(0)])
    timeline = placed(event)

    assert spans(timeline) == hours(("0:00", "0:00"))
    assert timeline.current(at("0:00")) is None
    assert list(timeline.windows(at("0:00"))) == list(timeline.windows())
    assert list(timeline.windows(at("0:01"))) == []


def test_instant_at_the_end_of_the_list_happens() -> None:
    """TIME-018: also when the event's duration says exactly what the intervals say."""
    intervals = [interval(0), interval(1, duration="PT0S")]
    for duration in ({}, {"duration": "PT1H"}):
        event = an_event(intervalPeriod={"start": MIDNIGHT, "duration": "PT1H"}, intervals=intervals, **duration)
        assert spans(placed(event)) == hours(("0:00", "1:00"), ("1:00", "1:00"))


def test_negative_duration_has_no_length() -> None:
    """TIME-019."""
    event = an_event(intervalPeriod={"start": MIDNIGHT, "duration": "-PT1H"}, intervals=[interval(0), interval(1)])

    assert spans(placed(event)) == hours(("0:00", "0:00"), ("0:00", "0:00"))


def test_gap_has_no_current_interval_and_overlap_has_the_one_listed_last() -> None:
    """TIME-014, TIME-020."""
    event = an_event(
        intervalPeriod={"start": MIDNIGHT, "duration": "PT2H"},
        intervals=[
            interval(0, payloads=[{"type": "PRICE", "values": [0]}, {"type": "GHG", "values": [7]}]),
            interval(1, start="2025-01-01T01:00:00Z"),
            interval(2, start="2025-01-01T05:00:00Z"),
        ],
    )
    timeline = placed(event)

    def current(clock: str) -> int | None:
        window = timeline.current(at(clock))
        return None if window is None else window.interval_index

    assert [current(clock) for clock in ("0:59", "1:00", "2:59", "3:00", "4:59", "5:00", "7:00")] == [
        0,
        1,
        1,
        None,
        None,
        2,
        None,
    ]
    assert {name: held.values for name, held in timeline.values_at(at("1:30")).items()} == {"PRICE": (1,), "GHG": (7,)}


def test_later_listed_interval_wins_even_if_it_begins_earlier() -> None:
    """TIME-020."""
    event = an_event(
        intervalPeriod={"start": "2025-01-01T02:00:00Z", "duration": "PT4H"},
        intervals=[interval(0), interval(1, start="2025-01-01T01:00:00Z")],
    )
    timeline = placed(event)

    assert [window.interval_index for window in timeline.windows()] == [1, 0]
    assert timeline.current(at("3:00")) == timeline.values_at(at("3:00"))["PRICE"].window
    assert timeline.values_at(at("3:00"))["PRICE"].values == (1,)
    assert timeline.values_at(at("5:30"))["PRICE"].values == (0,)
    assert (timeline.start, timeline.end) == (at("1:00"), at("6:00"))


def test_lifespan_reaches_to_the_latest_end() -> None:
    """TIME-021: a long interval counts although another is listed after it."""
    event = an_event(
        intervalPeriod={"start": MIDNIGHT, "duration": "PT1H"},
        intervals=[interval(0, duration="P1D"), interval(1, start="2025-01-01T06:00:00Z")],
    )

    assert lifespan(event) == (at("0:00"), at("24:00"))


def test_changes_are_the_edges_of_windows() -> None:
    """TIME-020: the start, each boundary, and the end; then nothing."""
    timeline = placed(hourly(2))

    assert timeline.next_change(at("0:00", day="2024-01-01")) == at("0:00")
    assert timeline.next_change(at("0:00")) == at("1:00")
    assert timeline.next_change(at("1:59")) == at("2:00")
    assert timeline.next_change(at("2:00")) is None


def test_end_of_an_event_is_a_change_even_if_no_interval_ends_there() -> None:
    """TIME-021."""
    event = an_event(intervalPeriod={"start": MIDNIGHT, "duration": "PT0S"}, intervals=[interval(0)], duration="PT2H")

    assert placed(event).next_change(at("0:00")) == at("2:00")


def test_open_event_has_no_further_change() -> None:
    """TIME-018."""
    assert placed(an_event()).next_change(at("0:00")) is None


def test_windows_are_asked_for_by_range() -> None:
    """TIME-024: those that touch it, in order."""
    timeline = placed(hourly(24, duration="P9999Y"))
    windows: list[Window] = list(timeline.windows(at("47:30"), at("49:00")))

    assert [(window.cycle, window.interval_index) for window in windows] == [(1, 23), (2, 0)]


def test_window_numbers_that_do_not_exist_are_nothing() -> None:
    """RDESC-006."""
    timeline = placed(hourly(2))

    assert (timeline.window(-1), timeline.window(2)) == (None, None)
    assert placed(hourly(2, duration="P9999Y")).window(10**12) is None


def test_arithmetic_past_year_9999_ends_openly() -> None:
    """TIME-008."""
    event: Event = an_event(
        intervalPeriod={"start": "9999-12-31T23:00:00Z", "duration": "P1M", "randomizeStart": "P1D"},
        intervals=[interval(0), interval(1)],
        duration="P1Y",
    )

    assert spans(Timeline.of(event, anchor=WRITTEN, offset=lambda index, largest: largest)) == [
        (datetime(9999, 12, 31, 23, tzinfo=UTC), None)
    ]
    assert lifespan(event).end is None
