"""Define what a VEN keeps: events as received, decisions, curtailments, reports to be sent."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final

from openadr_profiles.v31 import Event
from ven.decision import Decision
from ven.panel.curtailment import CircuitPlan

REQUESTED_REPORT: Final = "report-"
"""The names of reports that events ask for begin with this, and no others do."""


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
    """Hold the decision on one version of an event.

    ``basis`` stands for what it was decided by: the event's version, the rules and the owner's word. If that differs,
    the event is decided on again.
    """

    event_id: str
    modified: datetime
    decision: Decision
    decided_at: datetime
    basis: str = ""


@dataclass(frozen=True)
class PastDecision:
    """Hold a decision as the history keeps it, numbered as they were made; ``end`` None is open.

    ``reports_only`` says that the event asked for nothing but reports, so that nobody was told of the decision.
    """

    number: int
    event_id: str
    event_name: str | None
    program_name: str | None
    decision: Decision
    decided_at: datetime
    start: datetime
    end: datetime | None
    reports_only: bool = False


@dataclass(frozen=True)
class Stretch:
    """Hold a time in which one value of one event holds and circuits are curtailed for it: a promise to its end.

    ``end`` is when it should end (None: open), ``ended_at`` when it did; ``value_start`` is when the value began to
    hold, which may be before we carried it out from ``start``. ``plan`` has every circuit of the panel and is what
    holds now, with ``requested_kw`` and ``unmet_kw``; the plan gives ``correction_kw`` more than was requested.
    """

    id: int
    event_id: str
    interval_id: int
    payload_type: str
    value_start: datetime
    start: datetime
    end: datetime | None
    requested_kw: Decimal
    unmet_kw: Decimal
    plan: tuple[CircuitPlan, ...]
    correction_kw: Decimal = Decimal(0)
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
