"""Hold what is known of an event when it is decided on, and the decision."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from openadr_profiles.v31 import Timeline
from ven.asks import Context


@dataclass(frozen=True)
class Decision:
    """Hold a decision. ``reason`` is for people: why an opt-out, or what of the event is not acted on."""

    opted_in: bool
    reason: str | None = None

    @staticmethod
    def out(reason: str) -> Decision:
        """Return an opt-out."""
        return Decision(opted_in=False, reason=reason)


@dataclass(frozen=True)
class Engagement:
    """Hold another event that we take or took part in. ``end`` None is open."""

    event_id: str
    program_name: str | None
    start: datetime
    end: datetime | None


@dataclass(frozen=True)
class Candidate:
    """Hold an event to be decided on: what it asks for, when, since when it is known, and what else there is to do."""

    context: Context
    timeline: Timeline
    first_received: datetime
    others: Collection[Engagement] = ()

    @property
    def end(self) -> datetime | None:
        """Return the end of the event; None is open."""
        return self.timeline.end

    @property
    def start(self) -> datetime:
        """Return the start of the event, with its random shift."""
        return self.timeline.start

    @property
    def program_name(self) -> str | None:
        """Return the program's name, None if we may not see it."""
        return self.context.program_name

    @property
    def payload_types(self) -> frozenset[str]:
        """Return the payload types of the event."""
        intervals = self.timeline.event.intervals or ()
        return frozenset(payload.type for interval in intervals for payload in interval.payloads)

    def highest_value(self, payload_types: Collection[str]) -> Decimal | None:
        """Return the highest number in payloads of these types; None if there is none."""
        intervals = self.timeline.event.intervals or ()
        numbers = (
            value
            for interval in intervals
            for payload in interval.payloads
            if payload.type in payload_types
            for value in payload.values
            if isinstance(value, int | float) and not isinstance(value, bool) and value == value  # noqa: PLR0124 - NaN
        )
        highest = max(numbers, default=None)
        return None if highest is None else Decimal(str(highest))
