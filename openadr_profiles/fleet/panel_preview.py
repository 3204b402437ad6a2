"""Say what legacy panels behind a bridge will be told of an event, before it is issued. Rules without I/O."""

from __future__ import annotations

from datetime import datetime

from msgspec.structs import asdict

from openadr_profiles.fleet.power import KINDS, PayloadNotUnderstood, PayloadReader, RequestKind
from openadr_profiles.fleet.precedence import payload_types
from openadr_profiles.v31 import Event, EventRequest, Program
from openadr_profiles.v31.timeline import Timeline

_SHOWN = 5
_ALLOCATED = frozenset(
    {RequestKind.SHED, RequestKind.LIMIT, RequestKind.SETPOINT, RequestKind.LEVEL, RequestKind.SHARE}
)


def preview_panels(request: EventRequest, program: Program | None, *, panels: int, now: datetime) -> tuple[str, ...]:
    """Return sentences: what so many panels are told, and what of the event is lost; empty without panels."""
    if not panels:
        return ()
    event = Event(id="new", created_date_time=now, modification_date_time=now, **asdict(request))
    reader = PayloadReader(event, program)
    asked = payload_types(request)
    acted_on = [type_ for type_ in KINDS if type_ in asked and reader.why_not(type_) is None]
    many = f"{panels:,} panel{'' if panels == 1 else 's'}"
    if not acted_on:
        why = "; ".join(f"{type_}: {reader.why_not(type_)}" for type_ in sorted(asked)[:_SHOWN] if type_ in KINDS)
        return (f"{many} will be told nothing" + (f" ({why})" if why else ": they know powers and levels only"),)
    first = acted_on[0]
    if KINDS[first] not in _ALLOCATED:
        return (f"{many} will be told nothing: {first} is nothing that a bridge shares out",)
    told = f"{many} will be told of {first} by their bridges"
    found = [f"{told}: each a part in kW and how long, when an interval begins; nothing before"]
    lost = sorted(asked - {first})
    if lost:
        found.append(f"panels are not told of {', '.join(lost[:_SHOWN])}")
    found += _unreadable(event, reader, first)
    return tuple(found)


def _unreadable(event: Event, reader: PayloadReader, type_: str) -> list[str]:
    timeline = Timeline.of(event, anchor=event.modification_date_time)
    for interval in event.intervals or ():
        for payload in interval.payloads:
            if payload.type == type_:
                try:
                    reader.request(payload.type, payload.values)
                except PayloadNotUnderstood as error:
                    return [f"bridges cannot read interval {interval.id}: {error}"]
    return ["it has no end: panels are told to shed until it is changed"] if timeline.end is None else []
