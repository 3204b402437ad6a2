"""Make an event longer, or end it before its time, with its plan kept readable. Rules without I/O."""

from __future__ import annotations

from datetime import datetime, timedelta

from msgspec.structs import replace

from openadr_profiles.fleet.building import EventNotChangeable
from openadr_profiles.v31 import Duration, Event, EventRequest, Interval, IntervalPeriod, Start
from openadr_profiles.v31.timeline import Timeline, Window

_SECOND = timedelta(seconds=1)


def extended(event: Event, until: datetime) -> EventRequest:
    """Return the event with its last interval made longer, so that it ends at an instant.

    Raises EventNotChangeable if the event is cancelled, repeats, has no end or no intervals, or ends later than that.
    """
    timeline = _timeline(event)
    if timeline.end is None:
        raise EventNotChangeable(f"event {event.id} has no end that could be moved", instead="the whole event")
    if until <= timeline.end:
        raise EventNotChangeable(
            f"event {event.id} ends at {timeline.end.isoformat()}; expected a later end", instead="a later end"
        )
    windows = _placed(event, timeline)
    last = max(windows, key=lambda window: (window.end or window.start, window.interval_index))
    return _with_windows(event, [(window, until if window is last else window.full_end or until) for window in windows])


def ended(event: Event, at: datetime) -> EventRequest:
    """Return the event as it is over at an instant: intervals that have not begun are left out, others end then.

    Raises EventNotChangeable if the event has not begun, is over or cancelled, or repeats.
    """
    timeline = _timeline(event)
    if timeline.start >= at:
        raise EventNotChangeable(f"event {event.id} has not begun: cancel it", instead="a cancellation")
    if timeline.transpired(at):
        raise EventNotChangeable(f"event {event.id} is over already", instead="another event")
    begun = [window for window in _placed(event, timeline) if window.start < at]
    return _with_windows(
        event, [(window, at if window.full_end is None else min(at, window.full_end)) for window in begun]
    )


def _timeline(event: Event) -> Timeline:
    timeline = Timeline.of(event, anchor=event.modification_date_time)
    if timeline.cancelled:
        raise EventNotChangeable(f"event {event.id} is cancelled", instead="another event")
    if timeline.cycle is not None:
        raise EventNotChangeable(f"event {event.id} repeats", instead="the whole event")
    if not event.intervals:
        raise EventNotChangeable(f"event {event.id} has no intervals", instead="the whole event")
    return timeline


def _placed(event: Event, timeline: Timeline) -> list[Window]:
    return [window for number in range(timeline.count) if (window := timeline.window(number)) is not None]


def _with_windows(event: Event, placed: list[tuple[Window, datetime]]) -> EventRequest:
    """Return the event with these of its intervals, each from the start of its window to an end, in whole seconds."""
    intervals = event.intervals or ()
    request = EventRequest(**{name: getattr(event, name) for name in EventRequest.__struct_fields__})
    first = placed[0][0].start
    found = []
    before: datetime | None = first
    for window, end in placed:
        interval = intervals[window.interval_index]
        length = -(-(end - window.start) // _SECOND) * _SECOND
        kept = interval.interval_period or IntervalPeriod()
        start = None if window.start == before else Start.of(window.start)
        period = replace(kept, start=start, duration=Duration.of(length))
        found.append(Interval(id=interval.id, interval_period=period, payloads=interval.payloads))
        before = window.start + length
    whole = replace(event.interval_period or IntervalPeriod(), start=Start.of(first), duration=None)
    return replace(request, duration=None, interval_period=whole, intervals=tuple(found))
