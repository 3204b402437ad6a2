"""Order the reports that events ask for by their due times. Schedules are lazy and may be without end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from openadr_profiles.v31 import DueReport, Event, Timeline, due_together
from ven.reports.requested import warn_about_unknown

_LONGEST: Final = timedelta(days=62)
"""Readings are not kept longer for a report; what it covers beyond that is reported as missing."""


@dataclass
class _Pending:
    event: Event
    groups: Iterator[tuple[DueReport, ...]]
    next: tuple[DueReport, ...] | None


class ReportQueue:
    """Hold for every event the reports that are yet to be built, next one first."""

    def __init__(self) -> None:
        self._pending: dict[str, _Pending] = {}

    def set(self, timelines: Mapping[str, Timeline], first_received: Mapping[str, datetime]) -> None:
        """Follow these events and no others; the schedule of a modified event begins anew (RDESC-021, RDESC-022)."""
        for event_id in self._pending.keys() - timelines.keys():
            del self._pending[event_id]
        for event_id, timeline in timelines.items():
            known = self._pending.get(event_id)
            if known is not None and known.event is timeline.event:
                continue
            descriptors = timeline.event.report_descriptors or ()
            warn_about_unknown(event_id, descriptors)
            groups = due_together(timeline, descriptors, joined_at=first_received[event_id])
            self._pending[event_id] = _Pending(timeline.event, groups, next(groups, None))

    def take(self, now: datetime) -> Iterator[tuple[str, Sequence[DueReport]]]:
        """Remove and give what is due, with the event's id."""
        for event_id, pending in self._pending.items():
            while pending.next is not None and pending.next[0].due <= now:
                group = pending.next
                pending.next = next(pending.groups, None)
                yield event_id, group

    @property
    def next_due(self) -> datetime | None:
        """Return when the next report is due, or None."""
        return min((pending.next[0].due for pending in self._pending.values() if pending.next), default=None)

    def is_done(self, event_id: str) -> bool:
        """Return True if an event asks for no more reports."""
        pending = self._pending.get(event_id)
        return pending is None or pending.next is None

    def readings_needed_from(self, now: datetime) -> datetime | None:
        """Return the start of the earliest interval that a coming report covers; None if none has begun."""
        starts = (
            pending.next[0].windows[0].start
            for pending in self._pending.values()
            if pending.next and pending.next[0].windows
        )
        earliest = min(starts, default=None)
        return None if earliest is None or earliest > now else max(earliest, now - _LONGEST)
