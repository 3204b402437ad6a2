"""Show events as rows of a table: their state, their time as planned, and what they ask for."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from oadr.terminal.output import plain
from openadr_profiles.fleet.cancellation import PLANNED_PERIOD, planned
from openadr_profiles.fleet.wording import local_time
from openadr_profiles.v31 import (
    Event,
    EventPayloadType,
    Unit,
    ValuesMap,
)
from openadr_profiles.v31.timeline import Timeline

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
    from openadr_profiles.fleet.status import state_of

    timeline = Timeline.of(event, anchor=event.modification_date_time)
    start, end = planned(event) or (timeline.start, timeline.end)
    known = not timeline.cancelled or planned(event) is not None
    return {
        **plain(event),
        "state": state_of(timeline, now),
        "start": _time(start) if known else None,
        "end": (_time(end) if end else "open") if known else None,
        "startLocal": local_time(start) if known else None,
        "endLocal": (local_time(end) if end else "open") if known else None,
        "asks": [
            _words(payload, event)
            for interval in event.intervals or ()
            for payload in interval.payloads
            if payload.type != PLANNED_PERIOD
        ],
    }


def _words(payload: ValuesMap, event: Event) -> str:
    units = next((each.units for each in event.payload_descriptors or () if each.payload_type == payload.type), None)
    unit = "" if units is None else f" {'kW' if units == Unit.KW else units}"
    if payload.type == EventPayloadType.DISPATCH_SETPOINT_RELATIVE and all(
        isinstance(value, int | float) and value <= 0 for value in payload.values
    ):
        return ", ".join(f"shed {_number(-value)}{unit}" for value in payload.values if isinstance(value, int | float))
    values = ", ".join(
        f"{_number(value) if isinstance(value, int | float) else value}{unit}" for value in payload.values
    )
    if payload.type == EventPayloadType.DISPATCH_SETPOINT_RELATIVE:
        return f"change by {values}"
    return f"{payload.type.lower().replace('_', ' ')} {values}"


def _number(value: float) -> str:
    return str(value) if isinstance(value, bool) else f"{value + 0:.12g}"


def _time(at: datetime) -> str:
    return at.isoformat(timespec="seconds").replace("+00:00", "Z")
