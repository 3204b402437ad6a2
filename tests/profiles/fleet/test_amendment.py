"""Events that are made longer, or ended before their time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openadr_profiles.fleet.amendment import ended, extended
from openadr_profiles.fleet.building import EventNotChangeable, reduction_event
from openadr_profiles.fleet.cancellation import cancelled
from openadr_profiles.v31 import Duration, Event, EventPayloadType, EventRequest, Interval, IntervalPeriod, Start
from openadr_profiles.v31.timeline import Timeline

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
SHED = EventPayloadType.DISPATCH_SETPOINT_RELATIVE


def stored(request: EventRequest) -> Event:
    members: dict[str, Any] = {name: getattr(request, name) for name in EventRequest.__struct_fields__}
    return Event(id="e1", created_date_time=NOW, modification_date_time=NOW, **members)


def event(*values: float, start: datetime = NOW, length: timedelta = HOUR) -> Event:
    return stored(reduction_event("p", SHED, values, start=start, length=length, targets=("north",), name="peak"))


def lengths(request: EventRequest) -> list[tuple[datetime, datetime | None]]:
    timeline = Timeline.of(stored(request), anchor=NOW)
    return [(window.start, window.end) for window in timeline.windows()]


def test_only_the_last_interval_becomes_longer() -> None:
    """Its other intervals, name and targets stay; a running step is not moved (EVT-010)."""
    longer = extended(event(-1, -2), NOW + 2 * HOUR)
    half = NOW + HOUR / 2
    assert lengths(longer) == [(NOW, half), (half, NOW + 2 * HOUR)]
    assert (longer.targets, longer.event_name) == (("north",), "peak")
    payloads = [[each.payloads for each in one.intervals or ()] for one in (longer, event(-1, -2))]
    assert payloads[0] == payloads[1]


def test_an_event_that_is_ended_keeps_what_has_begun() -> None:
    """Intervals that had not begun are left out, the running one ends now (EVT-010)."""
    at = NOW + timedelta(minutes=40)
    short = ended(event(-1, -2, -3), at)
    third = timedelta(minutes=20)
    assert lengths(short) == [(NOW, NOW + third), (NOW + third, NOW + 2 * third)]
    assert lengths(ended(event(-1, -2), at)) == [(NOW, NOW + HOUR / 2), (NOW + HOUR / 2, at)]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda: extended(event(-1), NOW + HOUR), "expected a later end"),
        (lambda: extended(stored(cancelled(event(-1))), NOW + HOUR), "is cancelled"),
        (lambda: ended(event(-1, start=NOW + HOUR), NOW), "has not begun: cancel it"),
        (lambda: ended(event(-1), NOW + 2 * HOUR), "is over already"),
        (lambda: ended(stored(EventRequest(program_id="p")), NOW + HOUR), "has no intervals"),
        (lambda: extended(endless(), NOW + HOUR), "has no end"),
    ],
)
def test_what_cannot_be_changed_so_is_refused(change: Any, problem: str) -> None:
    with pytest.raises(EventNotChangeable, match=problem):
        change()


def endless() -> Event:
    period = IntervalPeriod(start=Start.of(NOW))
    return stored(EventRequest(program_id="p", interval_period=period, intervals=(Interval(id=0, payloads=()),)))


def test_an_event_without_an_end_can_be_ended() -> None:
    assert lengths(ended(endless(), NOW + HOUR)) == [(NOW, NOW + HOUR)]


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.integers(1, 7200), min_size=1, max_size=6),
    st.integers(1, 40_000),
)
def test_an_event_ends_when_it_is_said_to(seconds: list[int], later_s: int) -> None:
    """Hold it true, whatever its intervals are: ended at a moment within, or extended to one after (TIME-010)."""
    intervals = tuple(
        Interval(
            id=number,
            interval_period=IntervalPeriod(duration=Duration.of(timedelta(seconds=each))),
            payloads=event(-1).intervals[0].payloads,  # type: ignore[index] # the event above has intervals
        )
        for number, each in enumerate(seconds)
    )
    it = stored(EventRequest(program_id="p", interval_period=IntervalPeriod(start=Start.of(NOW)), intervals=intervals))
    at = NOW + timedelta(seconds=later_s)
    whole = NOW + timedelta(seconds=sum(seconds))
    changed = stored(ended(it, at) if at < whole else extended(it, at + timedelta(seconds=1)))
    expected = at if at < whole else at + timedelta(seconds=1)
    assert Timeline.of(changed, anchor=NOW).end == expected
    for moment in (NOW, min(at, whole) - timedelta(microseconds=1)):
        before, after = (Timeline.of(each, anchor=NOW).current(moment) for each in (it, changed))
        assert before is not None
        assert after is not None
        assert (before.start, before.interval_id) == (after.start, after.interval_id)
