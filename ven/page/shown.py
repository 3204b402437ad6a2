"""Define what the page shows, as plain values. Powers are in kW, None if they are not known. No I/O."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class CircuitCard:
    """Hold a circuit: what it draws, what is asked of it now, and why it gives that or nothing.

    ``limit_kw`` is our limit in force, ``shed_kw`` what the plans take of it, ``before_kw`` what it drew before.
    ``why`` is empty while nothing is asked. ``is_taken`` says that its owner can give it back.
    """

    id: str
    name: str
    power_kw: float | None
    limit_kw: float | None
    shed_kw: float | None
    before_kw: float | None
    rated_kw: float
    why: str
    is_taken: bool
    critical: bool
    priority: int
    shed_share: float
    on_off: bool
    limits_feed_in: bool
    min_on_s: float
    min_off_s: float
    max_shed_s: float | None
    held_until: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventCard:
    """Hold an event that is not over, with the decision on it; ``end`` None is open.

    ``requested_kw`` and ``delivered_kw`` are those of now, while it is carried out. ``said`` is True if the owner said
    it by hand about this event, ``said_until`` until when.
    """

    id: str
    name: str
    program: str | None
    start: datetime
    end: datetime | None
    is_under_way: bool
    opted_in: bool
    reason: str | None
    decided_at: datetime | None
    requested_kw: float | None
    delivered_kw: float | None
    limited: tuple[str, ...]
    said: bool
    said_until: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageCard:
    """Hold something that people should know: a ``kind`` of problem, alert or note, its subject and its text."""

    kind: str
    about: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WordCard:
    """Hold what the owner said by hand, about a ``scope`` as ``program:peak``."""

    scope: str
    opted_in: bool
    reason: str | None
    until: datetime | None
    made_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class HomeSituation:
    """Hold what is so now, for the sentence and the cards. ``read_at`` is when the powers were read.

    ``link_limit_kw`` is the limit that holds because the VTN was not heard; ``vtn_problem`` why it cannot be reached.
    ``event_count`` counts all events that are not over, ``events`` are the first of them.
    """

    now: datetime
    ven_name: str
    read_at: datetime | None
    power_kw: float | None
    target_kw: float | None
    link_limit_kw: float | None
    reading_problem: str | None
    vtn_problem: str | None
    circuits: Sequence[CircuitCard]
    events: Sequence[EventCard]
    event_count: int
    words: Sequence[WordCard]
    messages: Sequence[MessageCard]
