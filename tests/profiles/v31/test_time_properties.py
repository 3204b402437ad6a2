"""What holds for every event, however it is written."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import islice, pairwise

from hypothesis import assume, given
from hypothesis import strategies as st

from openadr_profiles.v31 import (
    Duration,
    Event,
    Held,
    ReportDescriptor,
    Start,
    Timeline,
    Value,
    Window,
    due_reports,
    in_force,
    interval_periods,
    lifespan,
    random_offset,
)
from openadr_profiles.v31.instant import LATEST
from openadr_profiles.v31.timeline import span_of
from tests.profiles.v31.build import WRITTEN, an_event, placed
from tests.profiles.v31.strategies import any_moment, contiguous_events, events, lengths, moments, usual_events

MANY = 300


def as_values(said: dict[str, Held]) -> dict[str, tuple[object, ...]]:
    return {name: held.values for name, held in said.items()}


@given(contiguous_events())
def test_intervals_that_give_no_start_leave_no_gap_and_no_overlap(event: Event) -> None:
    """TIME-012, TIME-021: each begins where the one before ends, and the lifespan is their sum."""
    windows = list(placed(event).windows())

    assert all(one.end == other.start for one, other in pairwise(windows))
    lengths_sum = sum((window.end - window.start for window in windows if window.end), timedelta(0))
    assert placed(event).end == placed(event).start + lengths_sum


@given(contiguous_events(), st.integers(1, 5), st.data())
def test_loop_by_division_equals_unrolling(event: Event, cycles: int, data: st.DataObject) -> None:
    """TIME-023, TIME-024."""
    once = placed(event)
    assert once.end is not None
    cycle = once.end - once.start
    looping = an_event(**_members(event), duration=Duration.of(cycle * cycles + timedelta(seconds=1)).text)
    timeline = placed(looping)
    unrolled = [
        (window.start + k * cycle, window.end + k * cycle, window.interval_index, k)
        for k in range(cycles)
        for window in once.windows()
        if window.end
    ]

    found = list(timeline.windows())
    assert [(w.start, w.end, w.interval_index, w.cycle) for w in found[: len(unrolled)]] == unrolled
    assert [window.number for window in found] == list(range(len(found)))
    assert [timeline.window(window.number) for window in found] == found
    at = data.draw(st.integers(0, cycles * (cycle // timedelta(seconds=1)) - 1).map(timedelta_of_seconds)) + once.start
    current = timeline.current(at)
    assert current is not None
    assert (current.start, current.end) in [(start, end) for start, end, *_ in unrolled if start <= at < end]


def timedelta_of_seconds(seconds: int) -> timedelta:
    return timedelta(seconds=seconds)


def _members(event: Event) -> dict[str, object]:
    period = event.interval_period
    return {
        "intervalPeriod": {"start": period.start.text} if period and period.start else {},
        "intervals": [
            {
                "id": interval.id,
                "payloads": [{"type": p.type, "values": list(p.values)} for p in interval.payloads],
                "intervalPeriod": {"duration": interval.interval_period.duration.text}
                if interval.interval_period and interval.interval_period.duration
                else {},
            }
            for interval in event.intervals or ()
        ],
    }


@given(moments, lengths, st.lists(st.integers(), min_size=1, max_size=30), st.sampled_from([{}, {"duration": "P3D"}]))
def test_serial_and_compact_forms_of_a_schedule_are_equal(
    start: datetime, step: timedelta, values: list[int], members: dict[str, str]
) -> None:
    """TIME-034: also when it loops or is cut."""
    serial = an_event(
        intervalPeriod={"start": Start.of(start).text, "duration": Duration.of(step).text},
        intervals=[{"id": i, "payloads": [{"type": "PRICE", "values": [v]}]} for i, v in enumerate(values)],
        **members,
    )
    compact = an_event(
        intervalPeriod={"start": Start.of(start).text, "duration": Duration.of(step * len(values)).text},
        intervals=[{"id": 0, "payloads": [{"type": "PRICE", "values": values}]}],
        **members,
    )

    assert _said(serial) == _said(compact)


def _said(event: Event) -> list[tuple[tuple[Value, ...], datetime, datetime | None]]:
    windows = islice(placed(event).windows(), MANY)
    return [(held.values, held.start, held.end) for window in windows for held in window.held()][:MANY]


@given(events(), any_moment, any_moment)
def test_arithmetic_never_fails(event: Event, anchor: datetime, at: datetime) -> None:
    """TIME-008, TIME-009: whatever the VTN would accept can be placed and asked, up to the end of the calendar."""
    timeline = Timeline.of(event, anchor=anchor, offset=random_offset(event, "ven-1"))
    for moment in (at, LATEST, anchor, timeline.start):
        timeline.current(moment)
        timeline.values_at(moment)
        timeline.next_change(moment)
        timeline.transpired(moment)
        list(islice(timeline.windows(moment), 5))
        timeline.window(MANY)
        for asked in (ReportDescriptor(payload_type="USAGE", repeat=-1, frequency=1, num_intervals=2),):
            for report in islice(due_reports(timeline, asked, joined_at=moment), 5):
                interval_periods(report.windows)
    lifespan(event)
    in_force([timeline, placed(event)], at)


@given(st.one_of(events(), contiguous_events(), usual_events()))
def test_the_span_of_an_event_is_the_same_without_placing_its_intervals(event: Event) -> None:
    """PAGE-028: what the VTN stores is the lifespan, whichever way it is found."""
    span = span_of(event, written_at=event.modification_date_time, created_at=event.created_date_time)
    timeline = Timeline.of(event, anchor=event.modification_date_time)

    assert (span.start, span.end) == lifespan(event)
    assert span.cancelled == timeline.cancelled


@given(events())
def test_windows_are_ordered_and_inside_the_lifespan(event: Event) -> None:
    """TIME-021."""
    timeline = placed(event)
    windows = list(islice(timeline.windows(), MANY))

    assert [window.start for window in windows] == sorted(window.start for window in windows)
    for window in windows:
        assert timeline.start <= window.start
        assert window.end is None or window.start <= window.end
        if timeline.end is not None:
            assert window.end is not None
            assert window.end <= timeline.end


@given(events(), moments, lengths)
def test_range_of_windows_is_that_part_of_all_windows(event: Event, from_: datetime, length: timedelta) -> None:
    """TIME-024: asking for a part gives what filtering all of them would give."""
    timeline = placed(event)
    everything = list(islice(timeline.windows(), MANY))
    assume(len(everything) < MANY)

    def touches(window: Window) -> bool:
        return window.start < from_ + length and (
            window.end is None or window.end > from_ or window.start == window.end == from_
        )

    assert list(timeline.windows(from_, from_ + length)) == [window for window in everything if touches(window)]


@given(events(), moments)
def test_last_listed_window_that_covers_a_moment_says_the_value(event: Event, at: datetime) -> None:
    """TIME-020, TIME-029."""
    timeline = placed(event)
    everything = list(islice(timeline.windows(), MANY))
    assume(len(everything) < MANY)
    expected: dict[str, tuple[object, ...]] = {}
    for window in sorted(everything, key=lambda window: window.interval_index):
        for held in window.held():
            if window.covers(at) and held.start <= at and (held.end is None or at < held.end):
                expected[held.payload_type] = held.values

    assert as_values(timeline.values_at(at)) == expected


@given(events(), moments, st.integers(0, 999))
def test_nothing_changes_before_the_next_change(event: Event, at: datetime, share: int) -> None:
    """TIME-020: whoever sleeps until then misses nothing."""
    timeline = placed(event)
    change = timeline.next_change(at)
    later = at + ((change or at + timedelta(days=300)) - at) // 1000 * share

    assert change is None or change > at
    assert timeline.values_at(later) == timeline.values_at(at)
    assert timeline.current(later) == timeline.current(at)
    assert timeline.transpired(later) == timeline.transpired(at)


@given(events(), any_moment)
def test_random_shift_stays_within_its_bounds_and_keeps_all_lengths(event: Event, anchor: datetime) -> None:
    """TIME-026, TIME-027: twice the same, and no interval changes its length."""
    offset = random_offset(event, "ven-1")
    for largest in (timedelta(0), timedelta(microseconds=1), timedelta(hours=1)):
        assert -largest <= offset(3, largest) <= largest
    assert Timeline.of(event, anchor=anchor, offset=offset) == Timeline.of(
        event, anchor=anchor, offset=random_offset(event, "ven-1")
    )


@given(contiguous_events(duration="P1D"), st.integers(-1, 4), st.integers(-1, 4), st.integers(-1, 3), st.booleans())
def test_reports_cover_what_has_begun_or_ended_when_they_are_due(
    event: Event, start: int, number: int, frequency: int, historical: bool
) -> None:
    """RDESC-004, RDESC-005, RDESC-006."""
    asked = ReportDescriptor(
        payload_type="USAGE",
        start_interval=start,
        num_intervals=number,
        frequency=frequency,
        repeat=-1,
        historical=historical,
    )
    reports = list(islice(due_reports(placed(event), asked, joined_at=WRITTEN - timedelta(days=30)), 50))

    assert [report.number for report in reports] == list(range(len(reports)))
    assert [report.due for report in reports] == sorted(report.due for report in reports)
    for report in reports:
        numbers = [window.number for window in report.windows]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
        edge = report.windows[-1].end if historical else report.windows[0].start
        assert report.due == edge
