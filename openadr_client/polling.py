"""Tell what has changed between what a VTN shows and what is known of its events, for VENs and the bridge."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from openadr_client.objects import Found
from openadr_profiles.v31 import Event


@dataclass(frozen=True)
class EventChanges:
    """Events that are new or newer than known, and ids of known events that are not listed.

    A missing event was deleted, is over, or was called off: ``vtn.events.find(id)`` tells (VENCLIENT-012).
    """

    added: tuple[Event, ...]
    changed: tuple[Event, ...]
    missing: tuple[str, ...]


def compare_events(found: Found[Event], known: Mapping[str, datetime]) -> EventChanges:
    """Compare a list of events with the known ones, given by id and modification time (VENCLIENT-011).

    A version older than the known one is ignored. An event that is listed but could not be read is not missing: it is
    there in a version that we do not know.
    """
    listed = {event.id for event in found} | {broken.id for broken in found.broken}
    return EventChanges(
        added=tuple(event for event in found if event.id not in known),
        changed=tuple(event for event in found if event.id in known and is_newer(event, known[event.id])),
        missing=tuple(id_ for id_ in known if id_ not in listed),
    )


def is_newer(event: Event, modified: datetime) -> bool:
    """Return True if this version of an event was written after the one that was modified at the given time."""
    return event.modification_date_time > modified
