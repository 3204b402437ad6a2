"""Define what Home Assistant is shown of a VEN: few facts, each for people. No I/O."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum


class VenState(StrEnum):
    """Say in a word what the VEN does; the first that is true counts, from the last to the first."""

    NORMAL = "normal"
    OPTED_OUT = "opted out"
    IN_EVENT = "in event"
    LINK_LOST = "link lost"


@dataclass(frozen=True)
class ShownEvent:
    """Hold an event as a calendar has it; ``end`` None is open, ``reason`` the one of the decision."""

    event_id: str
    summary: str
    program_name: str | None
    start: datetime
    end: datetime | None
    opted_in: bool
    reason: str | None


@dataclass(frozen=True)
class ShownPrice:
    """Hold a price per kWh with its currency (None: nobody says), and when it holds (``end`` None: open)."""

    event_id: str
    per_kwh: Decimal
    currency: str | None
    start: datetime
    end: datetime | None


@dataclass(frozen=True)
class ShownLimit:
    """Hold what a circuit may draw in kW, or feed in if ``limits_feed_in``; ``name`` is for people."""

    name: str
    limit_kw: Decimal
    limits_feed_in: bool


@dataclass(frozen=True)
class Overview:
    """Hold what is so at a moment. Powers are in kW, None if they are not known or there is nothing to tell.

    ``next_start`` is when the next event begins that is still to come, ``events`` are those under way and to come, by
    start. ``limit_kw`` is what the circuits that are limited in what they draw may draw together; ``limits`` has all
    circuits that are limited now.
    """

    state: VenState
    participates: bool
    power_kw: Decimal | None
    shed_kw: Decimal | None
    limit_kw: Decimal | None
    limits: tuple[ShownLimit, ...]
    price: ShownPrice | None
    next_price: ShownPrice | None
    next_start: datetime | None
    events: tuple[ShownEvent, ...]
    problems: tuple[str, ...]
