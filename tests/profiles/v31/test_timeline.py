"""Which interval is when."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from itertools import islice
from typing import Any

import pytest

from openadr_profiles.v31 import Event, Timeline, Window, lifespan, random_offset
from tests.profiles.v31.build import WRITTEN, an_event, at, hourly, placed, spans

MIDNIGHT = "2025-01-01T00:00:00Z"
RECEIVED = at("06:30")


def interval(number: int, *, payloads: list[dict[str, Any]] | None = None, **period: Any) -> dict[str, Any]:
    given = [{"type": "PRICE", "values": [number]}] if payloads is None else payloads
    return {"id": number, "payloads": given} | ({"intervalPeriod": period} if period else {})


def hours(*pairs: tuple[str, str | None]) -> list[tuple[datetime, datetime | None]]:
    return [(at(start), None if end is None else at(end)) for start, end in pairs]


# --- starts and lengths -----------------------------------------------------------------------------------------------


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


# --- lifespan ---------------------------------------------------------------------------------------------------------


def test_lifespan_reaches_to_the_latest_end() -> None:
    """TIME-021: a long interval counts although another is listed after it."""
    event = an_event(
        intervalPeriod={"start": MIDNIGHT, "duration": "PT1H"},
        intervals=[interval(0, duration="P1D"), interval(1, start="2025-01-01T06:00:00Z")],
    )

    assert lifespan(event) == (at("0:00"), at("24:00"))


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


# --- transpired, cancelled --------------------------------------------------------------------------------------------


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


# --- chance -----------------------------------------------------------------------------------------------------------


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


# --- changes ----------------------------------------------------------------------------------------------------------


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
