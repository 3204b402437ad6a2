"""Tell how two versions of an event differ, in words: what was changed, from what, to what. Rules without I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, tzinfo
from itertools import zip_longest
from typing import Final

from openadr_profiles.fleet.asking import MOST_INTERVALS, AskedInterval, asked_intervals, outline
from openadr_profiles.fleet.wording import local_time
from openadr_profiles.v31 import Event, Program

_MOST: Final = 20
_TARGETS: Final = 10


@dataclass(frozen=True)
class Difference:
    """One thing that was changed. ``before`` and ``after`` are what it was and is; None: it was or is not there."""

    what: str
    before: str | None
    after: str | None


def differences(
    before: Event, after: Event, *, zone: tzinfo | None = None, programs: Mapping[str, Program] | None = None
) -> tuple[Difference, ...]:
    """Return what differs between two versions, in the order in which people ask; times are those of ``zone``.

    ``programs`` are by id: their names are told, and their units hold where an event states none. Of many intervals
    that differ the first 20 are told, and how many more of the first 100 there are.
    """
    known = programs or {}
    earlier, later = (_facts(each, known, zone) for each in (before, after))
    found = [Difference(what, was, later[what]) for what, was in earlier.items() if was != later[what]]
    return (*found, *_intervals(before, after, known, zone))


def _facts(event: Event, programs: Mapping[str, Program], zone: tzinfo | None) -> dict[str, str | None]:
    found = outline(event, event.modification_date_time, program=programs.get(event.program_id))
    program = programs.get(event.program_id)
    period = event.interval_period
    return {
        "State": "cancelled" if found.cancelled_at is not None else "valid",
        "Name": event.event_name,
        "Program": program.program_name if program else event.program_id,
        "Start": None if found.start is None else local_time(found.start, zone=zone),
        "End": _end(found.start, found.end, zone),
        "Priority": _priority(event.priority),
        "Targets": _targets(event),
        "Random start": period.randomize_start.text if period and period.randomize_start else None,
        "Reports asked for": ", ".join(sorted({each.payload_type for each in event.report_descriptors or ()})) or None,
        "Number of intervals": f"{found.count:,}",
    }


def _end(start: datetime | None, end: datetime | None, zone: tzinfo | None) -> str | None:
    if start is None:
        return None
    return "open" if end is None else local_time(end, zone=zone)


def _priority(priority: int | None) -> str | None:
    return None if priority is None else f"{priority} (highest)" if priority == 0 else str(priority)


def _targets(event: Event) -> str:
    targets = event.targets or ()
    if not targets:
        return "everybody"
    more = f", and {len(targets) - _TARGETS:,} more" if len(targets) > _TARGETS else ""
    return ", ".join(targets[:_TARGETS]) + more


def _intervals(
    before: Event, after: Event, programs: Mapping[str, Program], zone: tzinfo | None
) -> tuple[Difference, ...]:
    was, now = (
        asked_intervals(event, program=programs.get(event.program_id), most=MOST_INTERVALS) for event in (before, after)
    )
    found = [
        Difference(f"Interval {number}", _interval(one, zone), _interval(other, zone))
        for number, (one, other) in enumerate(zip_longest(was, now), start=1)
        if one is None or other is None or one.asks != other.asks
    ]
    if len(found) <= _MOST:
        return tuple(found)
    return (*found[:_MOST], Difference("More intervals", None, f"{len(found) - _MOST:,} more differ"))


def _interval(interval: AskedInterval | None, zone: tzinfo | None) -> str | None:
    if interval is None:
        return None
    end = "open" if interval.end is None else local_time(interval.end, zone=zone)
    return f"{local_time(interval.start, zone=zone)} to {end}: {'; '.join(interval.asks) or 'nothing'}"
