"""Define what a VEN keeps: events as received, decisions, curtailments, reports to be sent."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from openadr_profiles.v31 import Event
from ven.decision import Decision
from ven.panel.curtailment import CircuitPlan


@dataclass(frozen=True)
class ReceivedEvent:
    """Hold an event with the moments that fix it in time.

    ``anchor`` is when this version was first received, which is what "now" means in it (TIME-016); ``first_received``
    when any version was.
    """

    event: Event
    anchor: datetime
    first_received: datetime


@dataclass(frozen=True)
class Decided:
    """Hold the decision on one version of an event."""

    event_id: str
    modified: datetime
    decision: Decision
    decided_at: datetime


@dataclass(frozen=True)
class Outcome:
    """Hold the result for a circuit in a stretch, in kW: mean power in it, power after it; None: not known yet."""

    curtailed_kw: Decimal | None = None
    final_kw: Decimal | None = None


@dataclass(frozen=True)
class Stretch:
    """Hold a time in which one value of one event holds and circuits are curtailed for it.

    ``end`` is when it should end (None: open), ``ended_at`` when it did. ``plan`` has every circuit of the panel.
    """

    id: int
    event_id: str
    interval_id: int
    payload_type: str
    start: datetime
    end: datetime | None
    requested_kw: Decimal
    unmet_kw: Decimal
    plan: tuple[CircuitPlan, ...]
    ended_at: datetime | None = None


@dataclass(frozen=True)
class Outgoing:
    """Hold a report to be sent, in its newest ``revision``.

    ``vtn_id`` is the id under which the VTN has it; ``tried`` says that it may have it although no id is known, because
    an attempt to create it was begun. After ``expires_at`` it is not sent any more.
    """

    name: str
    event_id: str
    body: bytes
    revision: int
    vtn_id: str | None
    tried: bool
    expires_at: datetime | None
