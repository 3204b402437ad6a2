"""What the tests say in one line: a moment, an event, its timeline."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from openadr_profiles.v31 import Event, Timeline, decode, parse_instant

WRITTEN = parse_instant("2025-01-01T00:00:00Z")
"""When the events of these tests were last written."""


def at(clock: str, day: str = "2025-01-01") -> datetime:
    """The moment of a clock time, on the first day of 2025 unless another is named; ``24:00`` and more are fine."""
    hours, minutes = clock.split(":")
    return datetime.fromisoformat(day).replace(tzinfo=UTC) + timedelta(hours=int(hours), minutes=int(minutes))


def an_event(**members: Any) -> Event:
    """A stored event with these members, by their wire names."""
    document = {
        "id": "event-1",
        "createdDateTime": "2024-12-31T00:00:00Z",
        "modificationDateTime": "2025-01-01T00:00:00Z",
        "programID": "program-1",
        **members,
    }
    return decode(json.dumps(document), Event)


def hourly(count: int, **members: Any) -> Event:
    """An event of ``count`` hours from the first of January 2025; interval i pays a PRICE of i."""
    return an_event(
        **{
            "intervalPeriod": {"start": "2025-01-01T00:00:00Z", "duration": "PT1H"},
            "intervals": [{"id": i, "payloads": [{"type": "PRICE", "values": [i]}]} for i in range(count)],
            **members,
        }
    )


def placed(event: Event, anchor: datetime = WRITTEN) -> Timeline:
    """Its timeline, with "now" at the moment it was written."""
    return Timeline.of(event, anchor=anchor)


def spans(timeline: Timeline) -> list[tuple[datetime, datetime | None]]:
    """Start and end of each window; for timelines that end."""
    return [(window.start, window.end) for window in timeline.windows()]
