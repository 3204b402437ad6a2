"""Merge the events that the VTN shows into those that are known. No I/O; the agent polls."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime

from openadr_profiles.v31 import Event, Timeline
from ven.records import ReceivedEvent


@dataclass(frozen=True)
class Merged:
    """Hold the result of merging a poll: events that are new or modified, and the known ids that it did not show."""

    changed: tuple[ReceivedEvent, ...]
    missing: tuple[str, ...]


class Inbox:
    """Hold events by id, each in the newest version that was received."""

    def __init__(self, events: Iterable[ReceivedEvent] = ()) -> None:
        self._events = {received.event.id: received for received in events}

    @property
    def events(self) -> Collection[ReceivedEvent]:
        """Return all events."""
        return self._events.values()

    def get(self, event_id: str) -> ReceivedEvent | None:
        """Return one event, or None."""
        return self._events.get(event_id)

    def merge(self, found: Iterable[Event], *, broken: Collection[str | None] = (), now: datetime) -> Merged:
        """Take over what the VTN shows (VENCLIENT-011).

        A version older than the known one is ignored. An event that is over when it is first seen is
        ignored. `broken` are ids of events that could not be read: they are there, in a version we do not know.
        """
        changed: list[ReceivedEvent] = []
        seen: set[str | None] = set(broken)
        for event in found:
            seen.add(event.id)
            known = self._events.get(event.id)
            if known is None:
                if Timeline.of(event, anchor=now).transpired(now):
                    continue
                received = ReceivedEvent(event, anchor=now, first_received=now)
            elif event.modification_date_time > known.event.modification_date_time:
                received = ReceivedEvent(event, anchor=now, first_received=known.first_received)
            else:
                continue
            self._events[event.id] = received
            changed.append(received)
        return Merged(tuple(changed), tuple(id_ for id_ in self._events if id_ not in seen))

    def remove(self, event_id: str) -> None:
        """Forget an event: it was deleted, or is over and done with."""
        self._events.pop(event_id, None)
