"""Find the values in force and the next change over all events, by the profile's timelines."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress
from datetime import datetime

from openadr_profiles.v31 import InForce, Timeline, in_force


class Schedule:
    """Hold the events' timelines, by event id."""

    def __init__(self) -> None:
        self._timelines: dict[str, Timeline] = {}

    def put(self, timeline: Timeline) -> None:
        """Take an event's timeline in place of an earlier one."""
        self._timelines[timeline.event.id] = timeline

    def remove(self, event_id: str) -> None:
        """Forget an event."""
        self._timelines.pop(event_id, None)

    @property
    def timelines(self) -> Mapping[str, Timeline]:
        """Return all timelines by event id."""
        return self._timelines

    def in_force(self, at: datetime, event_ids: Collection[str]) -> dict[str, InForce]:
        """Return the value in force at a moment for each payload type, by priority, over these events only."""
        return in_force((self._timelines[id_] for id_ in event_ids if id_ in self._timelines), at)

    def next_change(self, after: datetime) -> datetime | None:
        """Return the first moment after `after` at which anything may change; events that cannot tell are left out."""
        changes = []
        for timeline in self._timelines.values():
            with suppress(Exception):  # what is wrong with it is told by who asks for its values
                changes.append(timeline.next_change(after))
        return min((change for change in changes if change is not None), default=None)
