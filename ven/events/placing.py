"""Place events in time and read what they ask for, once for each version: a large event takes a second of work."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from openadr_profiles.fleet.power import PayloadNotUnderstood
from openadr_profiles.v31 import Event, Program, Timeline, random_offset
from ven.asks import Context, SheddingRules
from ven.records import ReceivedEvent

_LARGE: Final = 2000
"""Events of more intervals are placed in a thread, so that the loop goes on meanwhile."""


@dataclass(frozen=True)
class PlacedEvent:
    """Hold one version of an event as it was received, in time, and as this VEN reads it.

    ``reports_only`` says that it has no payloads and asks for reports. ``context`` has read the payloads.
    """

    received: ReceivedEvent
    timeline: Timeline
    context: Context
    reports_only: bool


class Placing:
    """Place events for one VEN: with its own random shifts (TIME-026, TIME-027) and its owner's shedding rules."""

    def __init__(self, ven_identity: str, rules: SheddingRules, *, feeds_in: bool = False) -> None:
        self._identity = ven_identity
        self._rules = rules
        self._feeds_in = feeds_in

    async def place(self, received: ReceivedEvent, program: Program | None) -> PlacedEvent:
        """Return an event placed; without blocking the loop if it is large. Raises whatever is wrong with it."""
        if len(received.event.intervals or ()) <= _LARGE:
            return self._place(received, program)
        return await asyncio.to_thread(self._place, received, program)

    async def read_again(self, placed: PlacedEvent, program: Program | None) -> PlacedEvent:
        """Return the event as it reads with another program: units and names may be others."""
        event = placed.received.event
        if _reads_alike(placed.context.program, program):
            return placed
        if len(event.intervals or ()) <= _LARGE:
            context = self._read(event, program)
        else:
            context = await asyncio.to_thread(self._read, event, program)
        return PlacedEvent(placed.received, placed.timeline, context, placed.reports_only)

    def _place(self, received: ReceivedEvent, program: Program | None) -> PlacedEvent:
        event = received.event
        offset = random_offset(event, self._identity)
        timeline = Timeline.of(event, anchor=received.anchor, offset=offset)
        has_payloads = any(interval.payloads for interval in event.intervals or ())
        reports_only = not has_payloads and bool(event.report_descriptors)
        return PlacedEvent(received, timeline, self._read(event, program), reports_only)

    def _read(self, event: Event, program: Program | None) -> Context:
        context = Context(event, program, self._rules, self._feeds_in)
        with suppress(PayloadNotUnderstood):  # whoever decides on the event finds it again, and says so
            context.not_acted_on()  # reads all payloads, which the context keeps
        return context


def _reads_alike(one: Program | None, other: Program | None) -> bool:
    """Return True if events read the same with either program: of one that was only touched, or given attributes."""
    if one is None or other is None:
        return one is other
    return one.program_name == other.program_name and one.payload_descriptors == other.payload_descriptors
