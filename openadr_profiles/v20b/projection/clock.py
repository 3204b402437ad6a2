"""Tell what the clock says of an event: its status, the value of its running interval, and the order of several."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

from openadr_profiles.v20b.projection.projection import Projection, SignalPart


class EventStatus20b(StrEnum):
    """The eventStatus of 2.0b; ``none`` is never sent (B-EVT-019)."""

    FAR = "far"
    NEAR = "near"
    ACTIVE = "active"
    COMPLETED = "completed"
    CANCELLED = "cancelled"


def status(projection: Projection, now: datetime, *, is_cancelled: bool = False) -> EventStatus20b:
    """Return the status at a moment (B-EVT-013). Only a positive ramp-up makes an event near."""
    if is_cancelled:
        return EventStatus20b.CANCELLED
    end = projection.end
    if end is not None and end <= now:
        return EventStatus20b.COMPLETED
    if projection.start <= now:
        return EventStatus20b.ACTIVE
    ramp_up_s = projection.ramp_up_s or 0
    if ramp_up_s > 0 and projection.start - timedelta(seconds=ramp_up_s) <= now:
        return EventStatus20b.NEAR
    return EventStatus20b.FAR


def current_value(signal: SignalPart, start: datetime, now: datetime, status_: EventStatus20b) -> float:
    """Return the value of the running interval; 0 while the event is not active (B-EVT-030)."""
    if status_ is not EventStatus20b.ACTIVE:
        return 0.0
    at = start
    for length_s, value in zip(signal.durations_s, signal.values, strict=True):
        at += timedelta(seconds=length_s)
        if not length_s or now < at:
            return value
    return 0.0


def order(projection: Projection, status_: EventStatus20b, event_id: str) -> tuple[int, int, datetime, str]:
    """Return the sort key of an event in a message (B-EVT-002).

    Active ones come first, by priority (1 first, 0 last), then by start; then those to come by start, and last the
    cancelled and completed ones.
    """
    rank = {EventStatus20b.ACTIVE: 0, EventStatus20b.NEAR: 1, EventStatus20b.FAR: 1}.get(status_, 2)
    priority = projection.priority or _LAST
    return rank, priority if rank == 0 else 0, projection.start, event_id


_LAST = 2**63
