"""Cancelled events: how one is called off, and how its plan stays readable. Rules without I/O (EVT-019, PAGE-030)."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from openadr_profiles.v31 import NOW, ZERO, Duration, Event, EventRequest, Interval, IntervalPeriod, ValuesMap
from openadr_profiles.v31.timeline import Timeline

PLANNED_PERIOD: Final = "PLANNED_PERIOD"
"""Private payload type in a cancelled event: start and length of the interval as it was issued (ISO 8601)."""


def cancelled(event: Event) -> EventRequest:
    """Return the event called off as the standard does it: no length, at the beginning of time (EVT-019, PAGE-030).

    When each interval was planned stays in it as a payload PLANNED_PERIOD, so that the plan as issued can be read.
    """
    timeline = Timeline.of(event, anchor=event.modification_date_time)
    placed = map(timeline.window, range(timeline.count if event.intervals else 0))
    windows = {window.interval_index: window for window in placed if window is not None}
    intervals = []
    for index, interval in enumerate(event.intervals or ()):
        payloads = interval.payloads
        window = windows.get(index)
        if window is not None and not any(payload.type == PLANNED_PERIOD for payload in payloads):
            end = window.full_end
            length = "P9999Y" if end is None else Duration.of(end - window.start).text
            start = window.start.isoformat().replace("+00:00", "Z")
            payloads = (*payloads, ValuesMap(type=PLANNED_PERIOD, values=(start, length)))
        intervals.append(Interval(id=interval.id, payloads=payloads))
    return EventRequest(
        program_id=event.program_id,
        event_name=event.event_name,
        priority=event.priority,
        targets=event.targets,
        payload_descriptors=event.payload_descriptors,
        interval_period=IntervalPeriod(start=NOW, duration=ZERO),
        intervals=tuple(intervals),
    )


def planned(event: Event | EventRequest) -> tuple[datetime, datetime | None] | None:
    """Start and end of a cancelled event as it was issued; None if it does not say (another client cancelled it)."""
    payloads = (payload for interval in event.intervals or () for payload in interval.payloads)
    edges = [period for payload in payloads if (period := planned_period(payload)) is not None]
    if not edges:
        return None
    ends = [end for _, end in edges]
    return min(start for start, _ in edges), None if None in ends else max(end for end in ends if end is not None)


def planned_period(payload: ValuesMap) -> tuple[datetime, datetime | None] | None:
    """Return start and end of an interval as it was issued; None for any other payload and one that makes no sense."""
    if payload.type != PLANNED_PERIOD or len(payload.values) != 2:
        return None
    try:
        start = datetime.fromisoformat(str(payload.values[0]))
        end = Duration.parse(str(payload.values[1])).after(start)
    except ValueError:
        return None
    return None if start.tzinfo is None else (start, end)
