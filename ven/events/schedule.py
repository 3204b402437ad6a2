"""Find the values in force and the next change over all events, by the profile's timelines."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime

from openadr_profiles.v31 import InForce, Timeline, in_force, random_offset
from ven.records import ReceivedEvent


class Schedule:
    """Hold the events' timelines, as this VEN draws their random shifts (TIME-026, TIME-027)."""

    def __init__(self, ven_identity: str) -> None:
        self._identity = ven_identity
        self._timelines: dict[str, Timeline] = {}

    def set(self, events: Iterable[ReceivedEvent]) -> None:
        """Place these events and no others."""
        old = self._timelines
        self._timelines = {
            each.event.id: known
            if (known := old.get(each.event.id)) is not None and known.event is each.event
            else self.place(each)
            for each in events
        }

    def place(self, received: ReceivedEvent) -> Timeline:
        """Return one event in time."""
        offset = random_offset(received.event, self._identity)
        return Timeline.of(received.event, anchor=received.anchor, offset=offset)

    @property
    def timelines(self) -> Mapping[str, Timeline]:
        """Return all timelines by event id."""
        return self._timelines

    def in_force(self, at: datetime, event_ids: Collection[str]) -> dict[str, InForce]:
        """Return the value in force at a moment for each payload type, by priority, over these events only."""
        return in_force((self._timelines[id_] for id_ in event_ids if id_ in self._timelines), at)

    def next_change(self, after: datetime) -> datetime | None:
        """Return the first moment after `after` at which anything may change."""
        changes = (timeline.next_change(after) for timeline in self._timelines.values())
        return min((change for change in changes if change is not None), default=None)
