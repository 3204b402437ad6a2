"""Precedence of events: which of two a VEN follows, and which events take the place of another (TIME-036, TIME-037)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from openadr_profiles.v31 import Event, EventRequest
from openadr_profiles.v31.timeline import Timeline, rank


def overriding(event: Event, others: Iterable[Event]) -> list[tuple[Event, datetime, datetime | None]]:
    """Return the events that take an event's place for a while, and from when to when (TIME-036, TIME-037).

    They ask for the same payload type at the same time, and have a higher priority or, with the same one, were modified
    later. The caller has to check whether they are for the same VENs.
    """
    mine, asked = Timeline.of(event, anchor=event.modification_date_time), payload_types(event)
    found = []
    for other in others:
        if other.id == event.id or rank(other) < rank(event) or not asked & payload_types(other):
            continue
        theirs = Timeline.of(other, anchor=other.modification_date_time)
        start = max(mine.start, theirs.start)
        end = min((end for end in (mine.end, theirs.end) if end is not None), default=None)
        if not theirs.cancelled and (end is None or start < end):
            found.append((other, start, end))
    return sorted(found, key=lambda each: each[1])


def payload_types(event: EventRequest) -> set[str]:
    """Return the payload types of an event."""
    return {payload.type for interval in event.intervals or () for payload in interval.payloads}
