"""Find which curtailments should be in force now, from what the events ask, the readings and what is under way. No I/O.

Each event is looked at for itself: what is wrong with one is returned as its trouble, and its plan so far stays in
force until the end that was promised for it.

A value of an event that asks for less than the baseline is planned once, from the baseline that was frozen at its
start. What the panel as a whole then delivers (net, over all circuits) is compared with the request from time to time,
and the plan corrected by what is missing. A limit of the panel's power is compared with every reading; its plan stays
as long as it is needed and enough, and so does that of a limit of what is fed in. Moves of a few watts change neither.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Final

from openadr_profiles.fleet.charge import CHARGE, ChargeSetpoint
from openadr_profiles.fleet.power import EXPORT_LIMIT, IMPORT_LIMIT, KINDS, PayloadNotUnderstood
from openadr_profiles.v31 import Timeline
from openadr_profiles.v31.timeline import Held, rank
from ven.asks import Context, SheddingRules
from ven.panel.charging import StoredEnergy, plan_charging
from ven.panel.circuits import BranchCircuit
from ven.panel.constraints import UNRESTRICTED, Restrictions
from ven.panel.curtailment import SheddingPlan, plan_shedding, sheddable_kw
from ven.panel.ownership import CircuitLimit, both
from ven.panel.stretches import FOLLOWING_LOAD
from ven.records import Stretch

_NOTHING: Final = Decimal(0)
_FEW_WATTS: Final = Decimal("0.02")
_FEW: Final = Decimal("0.01")
"""Keep the plan for what is so small a part of a limit, or less than a few watts."""


@dataclass(frozen=True)
class Ask:
    """Hold what one value of one event asks for while it holds, from ``start`` to ``end`` (None: open).

    ``reduction_kw`` returns the reduction in kW, given what would be drawn without the event and the most that can be
    shed, both in kW. ``is_limit`` says that it is about the power drawn now, not about the baseline of the event.
    ``others`` are more asks of the same event at the same time, which are fulfilled and not reported apart. What is
    drawn and what is fed in are asked for apart.
    ``charge`` returns the state of charge that is asked for instead. ``unplaced`` counts values that have no time of
    their own.
    """

    event_id: str
    interval_id: int
    payload_type: str
    start: datetime
    end: datetime | None
    reduction_kw: Callable[[Decimal, Decimal], Decimal]
    is_limit: bool = False
    charge: Callable[[], ChargeSetpoint] | None = None
    unplaced: int = 0
    others: tuple[Ask, ...] = ()

    @property
    def fed_in(self) -> bool:
        """Return True if it is about what is fed in."""
        return self.payload_type == EXPORT_LIMIT

    def is_promised_by(self, stretch: Stretch) -> bool:
        """Return True if a stretch is under way for this value."""
        return (
            (stretch.event_id, stretch.interval_id, stretch.payload_type)
            == (self.event_id, self.interval_id, self.payload_type)
            and stretch.end == self.end
            and stretch.value_start == self.start
        )


@dataclass(frozen=True)
class Trouble:
    """Hold what is wrong with an event; ``problem`` is for people, and ``error`` is what nobody expected."""

    event_id: str
    problem: str
    error: Exception | None = field(default=None, compare=False)


@dataclass(frozen=True)
class PanelSituation:
    """Hold what plans are made from: circuits, rules, the last power in kW by circuit, and the open stretches.

    A circuit that must be left alone now is given with a ``shed_share`` of 0; ``restrictions`` are those of time.
    ``stored`` is what storage has, by circuit id.
    """

    circuits: Sequence[BranchCircuit]
    rules: SheddingRules
    drawn_kw: Mapping[str, Decimal]
    open: Sequence[Stretch] = ()
    restrictions: Restrictions = UNRESTRICTED
    stored: Mapping[str, StoredEnergy] = field(default_factory=dict)

    @property
    def total_kw(self) -> Decimal | None:
        """Return the power of the whole panel in kW; None if a circuit could not be read."""
        known = [self.drawn_kw[each.id] for each in self.circuits if each.id in self.drawn_kw]
        return sum(known, _NOTHING) if len(known) == len(self.circuits) else None

    def estimated_kw(self) -> dict[str, Decimal]:
        """Return the uncurtailed power of the circuits in kW: as read, or for limited circuits as before the limit."""
        kw = dict(self.drawn_kw)
        for stretch in self.open:
            kw |= {each.circuit_id: each.original_kw for each in stretch.plan if each.shed_kw > 0}
        return kw


@dataclass(frozen=True)
class WantedCurtailment:
    """Hold a curtailment that should be in force now. ``kept`` is the stretch that it goes on with, if any."""

    ask: Ask
    plan: SheddingPlan
    kept: Stretch | None = None

    def as_stretch(self, *, id_: int, start: datetime) -> Stretch:
        """Return the stretch that begins with this curtailment at ``start``."""
        return Stretch(
            id=id_,
            event_id=self.ask.event_id,
            interval_id=self.ask.interval_id,
            payload_type=self.ask.payload_type,
            value_start=self.ask.start,
            start=start,
            end=self.ask.end,
            requested_kw=self.plan.requested_kw,
            unmet_kw=self.plan.unmet_kw,
            plan=self.plan.circuits,
        )


def asks_in_force(placed: Iterable[tuple[Context, Timeline]], now: datetime) -> tuple[list[Ask], list[Trouble]]:
    """Return what events ask for now, and the troubles of those that cannot be placed in time.

    For each payload type the event with the highest precedence counts (TIME-036).
    """
    in_force: dict[str, dict[str, tuple[Context, Held]]] = {}
    winners: dict[str, str] = {}
    troubles: list[Trouble] = []
    for context, timeline in sorted(placed, key=lambda each: rank(each[0].event)):
        event_id = context.event.id
        try:
            values = {type_: held for type_, held in timeline.values_at(now).items() if _counts(context, type_)}
        except Exception as error:
            troubles.append(_unexpected(event_id, "the event cannot be read", error))
            continue
        for payload_type in KINDS:
            if payload_type in values:
                in_force.setdefault(event_id, {})[payload_type] = (context, values[payload_type])
                winners[payload_type] = event_id
    asks = []
    for event_id, by_type in in_force.items():
        mine = [_ask(context, each) for type_, (context, each) in by_type.items() if winners[type_] == event_id]
        asks += [each for each in mine if each.fed_in]
        if drawn := [each for each in mine if not each.fed_in]:
            first, *others = drawn
            asks.append(replace(first, others=tuple(others)))
    return asks, troubles


def _counts(context: Context, payload_type: str) -> bool:
    return payload_type in KINDS and context.acts_on(payload_type)


def _ask(context: Context, held: Held) -> Ask:
    def reduction_kw(used_kw: Decimal, most_kw: Decimal) -> Decimal:
        return context.requested_kw(held.payload_type, held.values, used_kw=used_kw, sheddable_kw=most_kw)

    return Ask(
        event_id=context.event.id,
        interval_id=held.window.interval_id or 0,
        payload_type=held.payload_type,
        start=held.start,
        end=held.end,
        reduction_kw=reduction_kw,
        is_limit=held.payload_type in FOLLOWING_LOAD,
        charge=partial(context.charge, held.values) if held.payload_type == CHARGE else None,
        unplaced=held.unplaced,
    )


def want(
    asks: Iterable[Ask], situation: PanelSituation, baselines: Mapping[str, Mapping[str, Decimal]]
) -> tuple[list[WantedCurtailment], list[Trouble]]:
    """Return the curtailments that these asks need now, and what is wrong with those that cannot be planned.

    ``baselines`` are the frozen powers in kW by event id; an ask about a baseline that is not frozen yet has to wait.
    A value that asks for nothing needs none, but one that is under way goes on until the value ends: a stretch is a
    promise for the whole of it.
    """
    wanted: list[WantedCurtailment] = []
    troubles: list[Trouble] = []
    for ask in asks:
        kept = next((stretch for stretch in situation.open if ask.is_promised_by(stretch)), None)
        if ask.event_id not in baselines and not ask.is_limit:
            continue
        try:
            plan = _plan_all(ask, situation, baselines.get(ask.event_id, {}), kept)
        except PayloadNotUnderstood as error:
            troubles.append(Trouble(ask.event_id, f"value ignored: {error}"))
        except Exception as error:
            troubles.append(_unexpected(ask.event_id, "value cannot be planned", error))
            if kept is not None:
                wanted.append(WantedCurtailment(ask, plan_of(kept), kept))
        else:
            if plan.requested_kw > 0 or kept is not None:
                wanted.append(WantedCurtailment(ask, plan, kept))
    wanted, unshared = _sharing(wanted, situation, baselines)
    return wanted, [*troubles, *unshared]


def _unexpected(event_id: str, problem: str, error: Exception) -> Trouble:
    return Trouble(event_id, f"{problem}: {type(error).__name__}: {error}", error)


def _sharing(
    wanted: Sequence[WantedCurtailment], situation: PanelSituation, baselines: Mapping[str, Mapping[str, Decimal]]
) -> tuple[list[WantedCurtailment], list[Trouble]]:
    """Return the curtailments, smaller ones planned with the circuits that larger ones switch off anyway.

    Relays of 3, 2 and 2 kW that are asked for 4 and for 3 kW would otherwise all be off. One that cannot be planned so
    keeps the plan that was made for it alone, which is as safe, and its trouble is returned.
    """
    switched = {each.id for each in situation.circuits if each.on_off}
    found = list(wanted)
    troubles: list[Trouble] = []
    off: set[str] = set()
    for place in sorted(range(len(found)), key=lambda place: -found[place].plan.shed_kw):
        each = found[place]
        plan = each.plan
        if off and not _shed(plan) & switched <= off:
            restrictions = replace(situation.restrictions, held=situation.restrictions.held | off)
            shared = replace(situation, restrictions=restrictions)
            try:
                plan = _plan_all(each.ask, shared, baselines.get(each.ask.event_id, {}), each.kept)
            except Exception as error:
                troubles.append(_unexpected(each.ask.event_id, "value cannot share circuits", error))
        off |= _shed(plan) & switched
        found[place] = replace(each, plan=plan)
    return found, troubles


def _shed(plan: SheddingPlan) -> set[str]:
    return {each.circuit_id for each in plan.circuits if each.shed_kw > 0}


def as_promised(stretch: Stretch) -> WantedCurtailment:
    """Return the curtailment that a stretch promised, for an event that cannot be read now."""

    def reduction_kw(used_kw: Decimal, most_kw: Decimal) -> Decimal:
        return stretch.requested_kw

    ask = Ask(
        event_id=stretch.event_id,
        interval_id=stretch.interval_id,
        payload_type=stretch.payload_type,
        start=stretch.value_start,
        end=stretch.end,
        reduction_kw=reduction_kw,
    )
    return WantedCurtailment(ask, plan_of(stretch), stretch)


def plan_of(stretch: Stretch) -> SheddingPlan:
    """Return the plan that a stretch is carried out by."""
    return SheddingPlan(stretch.requested_kw, stretch.plan, stretch.unmet_kw)


def lowest_limits(wanted: Iterable[WantedCurtailment], ends: Mapping[str, datetime | None]) -> dict[str, CircuitLimit]:
    """Return the lowest limit for each circuit: it serves every curtailment.

    Each lasts at the longest until the last of the events that want it is over; ``ends`` are the ends of the events. Of
    one that is not among them the end of its value is taken.
    """
    limits: dict[str, CircuitLimit] = {}
    for want in wanted:
        until = ends.get(want.ask.event_id, want.ask.end)
        for each in (each for each in want.plan.circuits if each.shed_kw > 0):
            mine = CircuitLimit(each.limit_kw, until)
            limits[each.circuit_id] = mine if (other := limits.get(each.circuit_id)) is None else both(mine, other)
    return limits


def corrected_kw(stretch: Stretch, net_kw: Decimal, rules: SheddingRules) -> Decimal:
    """Return by how many kW more than was asked for the circuits have to be planned, so that the net comes right.

    ``net_kw`` is the mean net delivery since the last correction. What cannot be given is not asked for again and
    again; too much is given back, down to the plan for the request alone.
    """
    missing = stretch.requested_kw - net_kw
    few_kw = max(_FEW_WATTS, _FEW * stretch.requested_kw)
    if -max(few_kw, rules.tolerated_kw(stretch.requested_kw)) <= missing <= few_kw:
        return stretch.correction_kw
    if missing > 0 and stretch.unmet_kw > 0:
        return stretch.correction_kw
    return max(stretch.correction_kw + missing, _NOTHING)


def _plan_all(
    ask: Ask, situation: PanelSituation, baseline_kw: Mapping[str, Decimal], kept: Stretch | None
) -> SheddingPlan:
    plan = _plan(ask, situation, baseline_kw, kept)
    for other in ask.others:
        more = _plan(other, situation, baseline_kw, kept)
        if more.shed_kw > plan.shed_kw:
            plan = SheddingPlan(max(plan.requested_kw, more.requested_kw), more.circuits, more.unmet_kw)
    return plan


def _plan(
    ask: Ask, situation: PanelSituation, baseline_kw: Mapping[str, Decimal], kept: Stretch | None
) -> SheddingPlan:
    original_kw = situation.estimated_kw() if ask.is_limit else baseline_kw
    if ask.charge is not None:
        return plan_charging(situation.circuits, original_kw, ask.charge(), situation.stored)
    used_kw = sum(original_kw.values(), _NOTHING)
    most_kw = sheddable_kw(situation.circuits, original_kw, fed_in=ask.fed_in)
    if ask.is_limit and kept is not None and _is_right(ask, kept, situation, used_kw, most_kw):
        return plan_of(kept)
    requested_kw = ask.reduction_kw(used_kw, most_kw)
    correction_kw = kept.correction_kw if kept is not None and not ask.is_limit else _NOTHING
    must_be_kept = ask.payload_type in {IMPORT_LIMIT, EXPORT_LIMIT}
    tolerance_kw = None if must_be_kept else situation.rules.tolerated_kw(requested_kw)
    now, kw = situation.restrictions, requested_kw + correction_kw
    share_out = partial(
        plan_shedding, situation.circuits, original_kw, kw, tolerance_kw=tolerance_kw, held=now.held, fed_in=ask.fed_in
    )
    plan = share_out(resting=now.resting | now.exhausted)
    if must_be_kept and plan.unmet_kw > 0 and now.resting:
        plan = share_out(resting=now.exhausted)
    return SheddingPlan(requested_kw, plan.circuits, plan.unmet_kw)


def _is_right(ask: Ask, kept: Stretch, situation: PanelSituation, used_kw: Decimal, most_kw: Decimal) -> bool:
    """Return True if the plan of a stretch is still needed and keeps the panel within its limit, give or take a few W.

    A plan that sheds nothing is right until more than that is drawn above the limit. One that has just switched a
    circuit off is not given up at once, so that a load about the limit does not wear a relay. One that sheds a circuit
    that may not be shed any more is never right: its owner has taken it over, or has changed the settings.
    """
    few_kw, sign = max(_FEW_WATTS, _FEW * abs(used_kw)), -1 if ask.fed_in else 1
    shed = _shed(plan_of(kept))
    sheddable = {each.id for each in situation.circuits if each.may_be_shed}
    if shed & situation.restrictions.exhausted or not shed <= sheddable:
        return False
    if not shed:
        return ask.reduction_kw(used_kw, most_kw) <= few_kw
    above_kw = ask.reduction_kw(used_kw + sign * few_kw, most_kw)
    limit_kw = sign * used_kw + few_kw - above_kw
    drawn_kw = situation.total_kw
    is_enough = drawn_kw is None or sign * drawn_kw <= limit_kw + max(situation.rules.tolerance_kw, few_kw)
    is_needed = above_kw > 0 or bool(shed & situation.restrictions.settling)
    return is_needed and is_enough
