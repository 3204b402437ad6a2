"""Find out what an event would do here: the decision and the plans, without a VTN and without switching anything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final

from openadr_profiles.v31 import Event, Program
from ven.decision import Candidate, Decision, decide_on, own_rules
from ven.events.placing import Placing
from ven.panel.curtailment import SheddingPlan
from ven.panel.wanted import PanelSituation, asks_in_force, want
from ven.records import ReceivedEvent
from ven.settings import VenSettings

_MOST_CHANGES: Final = 1000
"""So many changes of an event are looked at, unless told otherwise."""


@dataclass(frozen=True)
class SimulatedValue:
    """Hold what circuits would give for one value of the event, from ``start`` to ``end`` (None: open)."""

    start: datetime
    end: datetime | None
    payload_type: str
    plan: SheddingPlan


@dataclass(frozen=True)
class Simulation:
    """Hold what an event would do. Without taking part there are no ``values``.

    ``problems`` are of values that cannot be carried out; ``is_whole`` is False if there are more values than shown.
    """

    decision: Decision
    start: datetime
    end: datetime | None
    values: tuple[SimulatedValue, ...]
    problems: tuple[str, ...]
    is_whole: bool


async def simulate(
    event: Event,
    settings: VenSettings,
    drawn_kw: Mapping[str, Decimal],
    *,
    now: datetime,
    program: Program | None = None,
    most_changes: int = _MOST_CHANGES,
) -> Simulation:
    """Return what an event that is received now would do, with circuits that draw so many kW until it begins.

    So many of its changes are looked at, as ``most_changes`` says. No other event, no word of the owner and no circuit
    that the owner has switched is taken into account.

    Raises:
        Invalid, ValueError, OverflowError: the event cannot be placed in time.
        BadRule: a rule of one's own that an installed package names cannot be loaded.
    """
    received = ReceivedEvent(event, anchor=now, first_received=now)
    placed = await Placing(settings.ven_name, settings.shedding, feeds_in=settings.feeds_in).place(received, program)
    timeline = placed.timeline
    candidate = Candidate(context=placed.context, timeline=timeline, first_received=now)
    decision = decide_on(candidate, settings.opt, own=own_rules(), reports_only=placed.reports_only)
    values: list[SimulatedValue] = []
    problems: dict[str, None] = {}
    at: datetime | None = timeline.start if decision.opted_in else None
    for _ in range(most_changes):
        if at is None or timeline.transpired(at):
            at = None
            break
        asks, unread = asks_in_force([(placed.context, timeline)], at)
        situation = PanelSituation(settings.circuits, settings.shedding, drawn_kw)
        wanted, unplanned = want(asks, situation, {event.id: drawn_kw})
        problems |= dict.fromkeys(trouble.problem for trouble in (*unread, *unplanned))
        values += (SimulatedValue(at, each.ask.end, each.ask.payload_type, each.plan) for each in wanted)
        at = timeline.next_change(at)
    return Simulation(decision, timeline.start, timeline.end, tuple(values), tuple(problems), is_whole=at is None)
