"""Show events as rows of a table: their state, their time as planned, and what they ask for."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from oadr.terminal.output import plain
from openadr_profiles.fleet.asking import outline
from openadr_profiles.fleet.wording import local_time
from openadr_profiles.v31 import Event

COLUMNS = {
    "id": "Event",
    "eventName": "Name",
    "state": "State",
    "startLocal": "Start",
    "endLocal": "End",
    "asks": "Asks for",
    "targets": "Targets",
}
LIST_COLUMNS = {
    "id": "Event",
    "programName": "Program",
    **{key: each for key, each in COLUMNS.items() if key != "id"},
}


def event_row(event: Event, now: datetime) -> dict[str, Any]:
    """Return an event as a row: the standard's members, and beside them its state and its start and end as planned."""
    found = outline(event, now)
    known = found.start is not None
    return {
        **plain(event),
        "state": found.state,
        "start": None if found.start is None else _time(found.start),
        "end": (_time(found.end) if found.end else "open") if known else None,
        "startLocal": None if found.start is None else local_time(found.start),
        "endLocal": (local_time(found.end) if found.end else "open") if known else None,
        "asks": list(found.asks),
    }


def _time(at: datetime) -> str:
    return at.isoformat(timespec="seconds").replace("+00:00", "Z")
