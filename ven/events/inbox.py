"""Merge the events that the VTN shows into those that are known. No I/O; the agent polls."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime

from openadr_profiles.v31 import Event
from ven.records import ReceivedEvent


@dataclass(frozen=True)
class Merged:
    """Hold the result of looking at a poll: new or modified events, and the known ids that it did not show."""

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

    def news(self, found: Iterable[Event], *, broken: Collection[str | None] = (), now: datetime) -> Merged:
        """Return what the VTN shows that is new (VENCLIENT-011), and take nothing over.

        A version older than the known one is ignored. `broken` are ids of events that could not be read: they are
        there, in a version we do not know.
        """
        changed: dict[str, ReceivedEvent] = {}
        seen: set[str | None] = set(broken)
        for event in found:
            seen.add(event.id)
            known = changed.get(event.id) or self._events.get(event.id)
            if known is None:
                changed[event.id] = ReceivedEvent(event, anchor=now, first_received=now)
            elif event.modification_date_time > known.event.modification_date_time:
                changed[event.id] = ReceivedEvent(event, anchor=now, first_received=known.first_received)
        return Merged(tuple(changed.values()), tuple(id_ for id_ in self._events if id_ not in seen))

    def put(self, received: ReceivedEvent) -> None:
        """Take over a version of an event."""
        self._events[received.event.id] = received

    def remove(self, event_id: str) -> None:
        """Forget an event: it was deleted, or is over and done with."""
        self._events.pop(event_id, None)
