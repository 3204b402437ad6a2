"""Show events, decisions and what the owner said as JSON: of a VEN that runs, and of one that does not."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from openadr_profiles.v31 import Event, Timeline, format_instant
from ven.decision import Decision, OptChoice
from ven.records import PastDecision

MOST_EVENTS: Final = 200
_MOST_PAST: Final = 1000


def event_row(
    event: Event,
    timeline: Timeline,
    decision: Decision | None,
    *,
    program_name: str | None,
    decided_at: datetime | None,
) -> dict[str, Any]:
    """Return an event with its times and the decision on it."""
    return {
        "id": event.id,
        "name": event.event_name,
        "program": program_name,
        "start": instant_text(timeline.start),
        "end": instant_text(timeline.end),
        "opted_in": None if decision is None else decision.opted_in,
        "reason": None if decision is None else decision.reason,
        "decided_at": instant_text(decided_at),
    }


def choice_row(choice: OptChoice) -> dict[str, Any]:
    """Return what the owner said by hand."""
    return {
        "scope": str(choice.scope),
        "opted_in": choice.opted_in,
        "reason": choice.reason,
        "until": instant_text(choice.until),
        "made_at": instant_text(choice.made_at),
    }


def past_rows(past: Sequence[PastDecision], most: int) -> list[dict[str, Any]]:
    """Return the last decisions, newest first, ``most`` of them at most."""
    return [
        {
            "decided_at": instant_text(each.decided_at),
            "event_id": each.event_id,
            "name": each.event_name,
            "program": each.program_name,
            "opted_in": each.decision.opted_in,
            "reason": each.decision.reason,
            "start": instant_text(each.start),
            "end": instant_text(each.end),
        }
        for each in past[::-1][: min(most, _MOST_PAST)]
    ]


def instant_text(at: datetime | None) -> str | None:
    """Return an instant as RFC 3339."""
    return None if at is None else format_instant(at)


def number(value: Any) -> float | None:
    """Return kW as a number of JSON."""
    return None if value is None else float(value)
