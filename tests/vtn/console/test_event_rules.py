"""Tell how events lie along time, and how a curve keeps its gaps: rules without a server."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vtn.console.curves import drawing, with_gaps
from vtn.console.event_words import cell, due_s
from vtn.console.lanes import MOST_ROWS, TimeWindow, lanes
from vtn.store.console.events import EventPhase, ListedEvent
from vtn.store.facts.results import CurvePoint

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")


def listed(number: int, start: datetime | None, end: datetime | None, program: str = "p") -> ListedEvent:
    """An event of a list."""
    return ListedEvent(
        id=f"{number:04}",
        name=None,
        program_id=program,
        program_name=program,
        state=EventPhase.SCHEDULED,
        starts_at=start,
        ends_at=end,
        cancelled_at=None,
        created_at=NOON,
        modified_at=NOON,
        written_by=None,
        targets=(),
        program_targets=(),
        event=None,
        program=None,
    )


def after(hours: float) -> datetime:
    """So many hours after noon."""
    return NOON + timedelta(hours=hours)


def test_the_next_beginning_or_end_is_waited_for() -> None:
    """Those that are past, open or of cancelled events are not."""
    cancelled = replace(listed(3, after(1), after(2)), cancelled_at=NOON)
    events = [listed(1, after(-2), after(3)), listed(2, after(5), None), cancelled, listed(4, None, None)]

    assert due_s(events, NOON) == 3 * 3600
    assert due_s(events, after(3)) == 2 * 3600
    assert due_s(events, after(5)) is None


def test_events_lie_in_the_lanes_of_their_programs() -> None:
    """One that is open or goes on beyond the edge says so; one without a start is left out."""
    window = TimeWindow(after(0), after(10), UTC)
    events = [
        listed(1, after(-1), after(5), "a"),
        listed(2, after(5), after(6), "a"),
        listed(3, after(4), None, "a"),
        listed(4, after(1), after(2), "b"),
        listed(5, None, None, "b"),
    ]

    first, second = lanes(events, window)

    assert [(bar.event.id, bar.row, bar.x, bar.width, bar.before, bar.after) for bar in first.bars] == [
        ("0001", 0, 0.0, 50.0, True, False),
        ("0003", 1, 40.0, 60.0, False, True),
        ("0002", 0, 50.0, 10.0, False, False),
    ]
    assert [bar.event.id for bar in second.bars] == ["0004"]
    assert first.height > second.height


@pytest.mark.parametrize(("day", "hours"), [(date(2026, 3, 29), 23), (date(2026, 10, 25), 25), (date(2026, 6, 1), 24)])
def test_a_day_is_that_of_the_zone(day: date, hours: int) -> None:
    """23 and 25 hours when clocks change; marks stand at full hours of the zone."""
    window = TimeWindow.day(day, BERLIN)

    assert window.until - window.since == timedelta(hours=hours)
    labels = [tick.label for tick in window.ticks()]
    assert labels[0] == "00:00"
    assert labels[-1] == "21:00"
    week = TimeWindow.day(day, BERLIN, 7)
    assert len(week.ticks()) == 7
    assert all(tick.is_main for tick in week.ticks())


@given(
    st.lists(st.tuples(st.floats(-30, 30), st.one_of(st.none(), st.floats(0, 40))), max_size=40),
    st.integers(1, 48),
)
@settings(max_examples=50)
def test_bars_are_inside_and_never_cover_each_other(spans: list[tuple[float, float | None]], hours: int) -> None:
    """Hold it true, whatever overlaps: bars are on the drawing, none on another; what has no room is counted."""
    window = TimeWindow(after(0), after(hours), UTC)
    events = [
        listed(number, after(start), None if length is None else after(start + length))
        for number, (start, length) in enumerate(spans)
    ]

    for lane in lanes(events, window):
        assert len(lane.bars) + lane.more == len(events)
        for bar in lane.bars:
            assert bar.x >= 0
            assert bar.x + bar.width <= 100.001
            assert bar.row < MOST_ROWS
        for row in range(MOST_ROWS):
            in_row = sorted((bar.x, bar.width) for bar in lane.bars if bar.row == row)
            assert all(x + width <= later + 0.001 for (x, width), (later, _) in pairwise(in_row))


def point(seconds: float, kw: float | None = 1.0) -> CurvePoint:
    """A point of a curve."""
    return CurvePoint(NOON + timedelta(seconds=seconds), kw, kw, kw, 1, 1)


@given(st.lists(st.sampled_from([9.5, 10.0, 10.5, 300.0]), max_size=60))
@settings(max_examples=50)
def test_a_curve_is_broken_exactly_where_moments_are_missing(steps: list[float]) -> None:
    """All points stay, in their order; between those that are far apart there is an empty one."""
    steps = [10.0] * (len(steps) + 1) + steps
    points, at = [point(0)], 0.0
    for step in steps:
        at += step
        points.append(point(at))

    drawn = list(with_gaps(points))

    assert [each for each in drawn if each.delivered_kw is not None] == points
    assert len(drawn) - len(points) == steps.count(300.0)
    assert all(earlier.at < later.at for earlier, later in pairwise(drawn))


def test_a_drawing_scales_to_what_is_known() -> None:
    """From 0, or below where power is fed in; nothing is drawn of nothing."""
    assert drawing([], start=NOON, end=None) is None
    assert drawing([point(0, None)], start=NOON, end=None) is None

    found = drawing(
        [point(0, -2.1), point(100, 6), point(200, 6), point(800, 2.1), point(1000, 2.1)], start=NOON, end=None
    )

    assert found is not None
    assert (found.least_kw, round(found.most_kw, 6), found.zero_y) == (-2.1, 6.3, 210.0)
    assert found.lines[2].pieces == ("0.0,280.0 100.0,10.0 200.0,10.0", "800.0,140.0 1000.0,140.0")
    assert found.shade == (0.0, 1000.0)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, ""),
        (True, "yes"),
        (1.5, 1.5),
        ("=1+1", "'=1+1"),
        ("@x", "'@x"),
        ("\x1b[2J", "\\x1b[2J"),
        (NOON, "2026-06-01T12:00:00Z"),
    ],
)
def test_cells_of_files_are_no_formulas(value: object, shown: object) -> None:
    """Texts of strangers open in a spreadsheet as text."""
    assert cell(value) == shown
