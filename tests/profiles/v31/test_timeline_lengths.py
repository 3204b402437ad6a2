"""Timelines of events with a duration: cut, repeated, endless, cancelled and over."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from itertools import islice
from typing import Any

import pytest

from openadr_profiles.v31 import Timeline, lifespan
from tests.profiles.v31.build import WRITTEN, an_event, at, hourly, placed, spans
from tests.profiles.v31.timelines import MIDNIGHT, RECEIVED, hours, interval


def test_event_duration_of_nothing_overrides_nothing() -> None:
    """TIME-021: PT0S is the default."""
    assert placed(hourly(3, duration="PT0S")).end == at("3:00")
    assert placed(hourly(3, duration="-PT1H")).end == at("3:00")


def test_shorter_event_duration_leaves_intervals_out() -> None:
    """TIME-022."""
    timeline = placed(hourly(24, duration="PT12H"))

    assert timeline.end == at("12:00")
    assert [window.interval_index for window in timeline.windows()] == list(range(12))
    assert timeline.current(at("12:00")) is None
    assert timeline.window(12) is None


def test_partly_covered_interval_is_cut() -> None:
    """TIME-022."""
    assert spans(placed(hourly(24, duration="PT90M"))) == hours(("0:00", "1:00"), ("1:00", "1:30"))


def test_event_duration_closes_an_open_interval() -> None:
    """TIME-018, TIME-022."""
    event = an_event(intervalPeriod={"start": MIDNIGHT}, intervals=[interval(0)], duration="PT2H")

    assert spans(placed(event)) == hours(("0:00", "2:00"))


def test_longer_event_duration_repeats_the_intervals() -> None:
    """TIME-023: 24 hours for a week are seven cycles."""
    windows = list(placed(hourly(24, duration="P7D")).windows())

    assert len(windows) == 7 * 24
    assert [window.start for window in windows] == [at(f"{hour}:00") for hour in range(7 * 24)]
    assert (windows[-1].cycle, windows[-1].interval_index, windows[-1].number) == (6, 23, 167)


def test_last_cycle_is_cut_at_the_end() -> None:
    """TIME-023."""
    event = hourly(2, duration="PT5H30M")

    assert spans(placed(event))[-2:] == hours(("4:00", "5:00"), ("5:00", "5:30"))


def test_instant_at_the_end_of_a_cycle_is_found_at_the_start_of_the_next() -> None:
    """TIME-018, TIME-024."""
    event = an_event(
        intervalPeriod={"start": MIDNIGHT, "duration": "PT1H"},
        intervals=[interval(0), interval(1, duration="PT0S")],
        duration="P9999Y",
    )

    found = placed(event).windows(at("3:00"), at("3:30"))
    assert [(window.cycle, window.interval_index) for window in found] == [(2, 1), (3, 0)]


def test_cycle_reaches_from_the_first_start_to_the_last_end_with_its_gaps() -> None:
    """TIME-023: every resolved start moves by the cycle."""
    event = an_event(
        intervalPeriod={"start": MIDNIGHT, "duration": "PT1H"},
        intervals=[interval(0), interval(1, start="2025-01-01T02:00:00Z")],
        duration="PT9H",
    )
    timeline = placed(event)

    assert timeline.cycle == timedelta(hours=3)
    assert [window.start for window in timeline.windows()] == [at(f"{hour}:00") for hour in (0, 2, 3, 5, 6, 8)]


def test_endless_loop_is_entered_by_division() -> None:
    """TIME-023, TIME-024: after eight thousand years it takes no longer than today."""
    timeline = placed(hourly(24, duration="P9999Y"))
    window = timeline.current(at("13:30", day="9999-06-01"))

    assert window is not None
    assert (window.interval_index, window.start) == (13, at("13:00", day="9999-06-01"))
    assert window.cycle == (at("0:00", day="9999-06-01") - at("0:00")).days
    assert window.number == window.cycle * 24 + 13
    assert timeline.window(window.number) == window


def test_intervals_without_length_never_loop() -> None:
    """TIME-025."""
    event = an_event(
        intervalPeriod={"start": MIDNIGHT, "duration": "PT0S"}, intervals=[interval(0), interval(1)], duration="P9999Y"
    )

    assert placed(event).cycle is None
    assert len(spans(placed(event))) == 2


def test_open_interval_never_loops() -> None:
    """TIME-023: a list without an end has no cycle."""
    event = an_event(intervalPeriod={"start": MIDNIGHT}, intervals=[interval(0)], duration="P9999Y")

    assert (placed(event).cycle, placed(event).end) == (None, None)


def test_event_without_any_time_holds_from_its_creation() -> None:
    """TIME-035: not from when it was received or changed; a start is "now" only if time is spoken of."""
    created = at("0:00", day="2024-12-31")

    assert lifespan(an_event()) == (created, None)
    assert lifespan(an_event(intervals=[interval(0)])) == (created, None)
    assert placed(an_event(intervals=[interval(0)]), RECEIVED).start == created
    assert placed(an_event(duration="PT1H"), RECEIVED).end == RECEIVED + timedelta(hours=1)


def test_event_without_intervals_is_one_window_without_payloads() -> None:
    """TIME-021: its period is its lifespan."""
    (window,) = placed(an_event(intervalPeriod={"start": MIDNIGHT, "duration": "PT1H"})).windows()

    assert (window.start, window.end, window.interval_id, window.payloads) == (at("0:00"), at("1:00"), None, ())


def test_report_request_without_intervals_goes_on_until_it_is_deleted() -> None:
    """RDESC-012, PAGE-029: its period stands for intervals without end."""
    event = an_event(
        intervalPeriod={"start": MIDNIGHT, "duration": "PT1H"}, reportDescriptors=[{"payloadType": "USAGE"}]
    )

    assert lifespan(event) == (at("0:00"), None)
    assert [window.number for window in islice(placed(event).windows(at("5:30")), 2)] == [5, 6]


def test_anchor_and_starts_in_any_zone_are_read_as_utc() -> None:
    """TIME-009."""
    event = an_event(intervalPeriod={"start": "0001-01-01", "duration": "P1M"}, intervals=[interval(0)])
    tokyo = datetime(2025, 2, 1, 8, tzinfo=timezone(timedelta(hours=9)))

    (window,) = placed(event, tokyo).windows()

    assert (window.start, window.end) == (
        datetime(2025, 1, 31, 23, tzinfo=UTC),
        datetime(2025, 2, 28, 23, tzinfo=UTC),
    )
    assert window.start.tzinfo is UTC


def test_random_start_delays_the_end_for_the_vtn() -> None:
    """PAGE-028: by its absolute value; the largest one counts."""
    event = an_event(
        intervalPeriod={"start": MIDNIGHT, "duration": "PT1H", "randomizeStart": "-PT10M"},
        intervals=[
            interval(0),
            interval(1, start="2025-01-01T02:00:00Z", randomizeStart="PT20M"),
        ],
    )

    assert lifespan(event) == (at("0:00"), at("3:20"))


@pytest.mark.parametrize(
    "members",
    [
        {"intervalPeriod": {"start": MIDNIGHT, "duration": "P9999Y"}, "intervals": [interval(0)]},
        {},
        {"intervalPeriod": {"start": MIDNIGHT}, "intervals": [interval(0)]},
        {"intervalPeriod": {"start": MIDNIGHT, "duration": "PT1H", "randomizeStart": "P9999Y"}},
    ],
)
def test_open_end_never_transpires(members: dict[str, Any]) -> None:
    """PAGE-029."""
    assert lifespan(an_event(**members)).end is None


@pytest.mark.parametrize("zero", ["PT0S", "PT0H"])
@pytest.mark.parametrize("intervals", [[], [interval(0), interval(1)]])
@pytest.mark.parametrize("more", [{}, {"duration": "P9999Y"}])
def test_event_without_length_at_the_beginning_of_time_is_cancelled(
    zero: str, intervals: list[dict[str, Any]], more: dict[str, Any]
) -> None:
    """PAGE-030, EVT-019: at once, whatever chance or ``event.duration`` would have added."""
    event = an_event(
        intervalPeriod={"start": "0001-01-01", "duration": zero, "randomizeStart": "PT10M"}, intervals=intervals, **more
    )
    timeline = Timeline.of(event, anchor=RECEIVED, offset=lambda index, largest: largest)

    assert lifespan(event).end == WRITTEN
    assert timeline.cancelled
    assert timeline.transpired(RECEIVED)
    assert timeline.values_at(RECEIVED) == {}


def test_report_request_without_length_at_the_beginning_of_time_is_active() -> None:
    """PAGE-030: such an event asks for reports; it was not cancelled."""
    event = an_event(
        intervalPeriod={"start": "0001-01-01", "duration": "PT0H"}, reportDescriptors=[{"payloadType": "USAGE"}]
    )

    assert lifespan(event).end is None
    assert not placed(event).cancelled
    assert not placed(event).transpired(RECEIVED)
    assert lifespan(an_event(intervalPeriod={"start": "0001-01-01", "duration": "PT0H"}, reportDescriptors=[])).end


def test_event_transpires_at_its_end_and_not_before() -> None:
    """PAGE-027, TIME-021."""
    timeline = placed(hourly(3))

    assert [timeline.transpired(at(clock)) for clock in ("0:00", "2:59", "3:00")] == [False, False, True]


def test_past_zero_length_event_is_over_but_not_cancelled() -> None:
    """PAGE-030: only the beginning of time cancels."""
    event = an_event(intervalPeriod={"start": MIDNIGHT, "duration": "PT0S"}, intervals=[interval(0)])

    assert not placed(event).cancelled
    assert lifespan(event) == (at("0:00"), at("0:00"))
