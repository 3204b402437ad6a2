"""Split one window of an event over its panels: who takes part, what each can give, and each one's part in kW.

Rules without I/O. A panel's capability in a window is measured once, before the bridge curtails it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import ROUND_DOWN, Decimal, InvalidOperation

import msgspec

from bridge_mqtt.allocation import Limits, allocate, redistribute, share_of_each, whole_watts
from bridge_mqtt.decisions import Policy, is_online
from bridge_mqtt.model import (
    Allocation,
    Asks,
    Holding,
    HoldingState,
    PanelRecord,
    ShareBy,
    Want,
    WindowPlan,
)
from bridge_mqtt.panels import shed_capability_kw
from bridge_mqtt.reasons import why_so
from bridge_mqtt.requests import Asked
from bridge_mqtt.settings import Dispatch
from bridge_mqtt.store.events import Baseline
from openadr_profiles.fleet.power import RequestKind
from openadr_profiles.panel import wire_event_id

GAVE_BACK = "gave its shed back"
_FOR_THE_WINDOW = ("rejected", GAVE_BACK)
"""Beginnings of the reasons for which a panel is left out for the rest of a window."""
_MOST_KW = 1e6
"""A baseline beyond this is no measurement; the range is checked when a sample arrives."""
_NOTHING = Decimal(0)


@dataclass(frozen=True, kw_only=True)
class Circumstances:
    """All that a split depends on.

    ``before`` is the split to go on from, ``earlier`` has the parts of another window. ``taken`` are the panels that
    more important events want. ``shed_kwh`` is what each panel has shed in this season. With ``each_alone`` each panel
    follows the event by itself, as a ven of its own, and nothing is shared out.
    """

    event_id: str
    asked: Asked
    now: datetime
    policy: Policy
    panels: Sequence[PanelRecord]
    taken: Mapping[str, Want]
    before: WindowPlan | None
    earlier: Mapping[str, Allocation]
    holdings: Mapping[str, Holding]
    baselines: Mapping[str, Baseline]
    shed_kwh: Mapping[str, float] = field(default_factory=dict)
    each_alone: bool = False


def why_not(event_id: str, panel: PanelRecord, holding: Holding | None, now: datetime, policy: Policy) -> str | None:
    """Return why the panel cannot take part in the event now, None if it can; decided anew at each call."""
    ours = holding is not None and holding.event_id == event_id
    if holding is not None and holding.state is HoldingState.UNREACHABLE:
        return "offline"
    if not ours and not is_online(panel, now, policy):
        return "offline"
    if panel.dialect is None:
        return "dialect unknown"
    shown = panel.event_id if panel.sample_is_newer_than_answer else None
    if shown is not None and holding is None and shown != wire_event_id(event_id):
        return "follows a local event" if shown.startswith("ui-evt-") else "follows a foreign event"
    return None


def split(given: Circumstances, rules: Dispatch) -> WindowPlan:
    """Return the split of the present window, or the one before with as few changes as are needed."""
    parts = {panel.ven_id: _part(given, panel, rules) for panel in given.panels}
    limits = {panel.ven_id: _limits(given, panel, parts[panel.ven_id], rules) for panel in given.panels}
    request, before = given.asked.request, given.before
    if request.kind is RequestKind.LEVEL:
        shares = share_of_each(rules.level_shares[int(request.value)], _free(parts, limits))
        total_kw = sum((shares.get(ven_id, part.requested_kw) for ven_id, part in parts.items()), _NOTHING)
    elif given.each_alone:
        shares = _of_each_alone(given, _free(parts, limits), rules)
        total_kw = sum((shares.get(ven_id, part.requested_kw) for ven_id, part in parts.items()), _NOTHING)
    else:
        total_kw = before.request_kw if before is not None else _total_kw(given, limits, rules)
        shares = _shares(total_kw, parts, limits, rules, first=before is None)
    for panel in given.panels:
        part, ven_id = parts[panel.ven_id], panel.ven_id
        asked_kw = shares.get(ven_id, part.requested_kw)
        old = before.parts.get(ven_id) if before is not None else None
        if old is None or old.requested_kw != asked_kw or old.excluded != part.excluded:
            alone = "asked of it as a ven of its own" if given.each_alone and asked_kw else None
            reason = part.excluded or alone or why_so(asked_kw, old, panel, limits[ven_id], rules, request)
            parts[ven_id] = replace(part, requested_kw=asked_kw, reason=reason)
    return WindowPlan(
        event_id=given.event_id,
        start=given.asked.start,
        end=given.asked.end,
        request=str(request),
        request_kw=total_kw,
        parts=parts,
        version=before.version if before is not None and before.start == given.asked.start else 0,
    )


def differs(given: Circumstances, panel: PanelRecord, rules: Dispatch) -> bool:
    """Return True if the panel cannot take part as the split before says, or can again."""
    if given.before is None or panel.ven_id not in given.before.parts:
        return True
    part = _part(given, panel, rules)
    return part != given.before.parts[panel.ven_id]


def wants_of(plan: WindowPlan, asked: Asked, before: Mapping[str, Want]) -> dict[str, Want]:
    """Return what each panel should hold now by this split; what has not changed is the same object as before."""
    wants = {}
    for ven_id, part in plan.parts.items():
        if part.requested_kw > 0 and part.excluded is None:
            want = Want(event_id=plan.event_id, window_start=plan.start, until=asked.until, amount_kw=part.requested_kw)
            known = before.get(ven_id)
            wants[ven_id] = known if known == want else want
    return wants


def _part(given: Circumstances, panel: PanelRecord, rules: Dispatch) -> Allocation:
    """Return the panel's part before anything is shared out, with its capability and why it is left out."""
    ven_id = panel.ven_id
    holding = given.holdings.get(ven_id)
    now_not = "follows another event" if ven_id in given.taken else None
    now_not = now_not or why_not(given.event_id, panel, holding, given.now, given.policy)
    old = given.before.parts.get(ven_id) if given.before is not None else None
    if old is None:
        known = given.earlier.get(ven_id)
        capability_kw = known.capability_kw if known is not None else _NOTHING
        shed_kwh = given.shed_kwh.get(ven_id, 0.0)
        old = Allocation(ven_id=ven_id, requested_kw=_NOTHING, capability_kw=capability_kw, shed_kwh=shed_kwh)
    excluded = _exclusion(old, now_not, rules)
    capability_kw = old.capability_kw
    if not capability_kw and now_not is None:
        try:
            capability_kw = shed_capability_kw(_uncurtailed(panel, holding, given.baselines.get(ven_id)))
        except InvalidOperation:  # stored before the range of measurements was checked
            excluded = "measures nonsense"
    if capability_kw == old.capability_kw and excluded == old.excluded:
        return old
    return replace(old, capability_kw=capability_kw, excluded=excluded)


def _exclusion(part: Allocation, now: str | None, rules: Dispatch) -> str | None:
    """Return why a panel is left out of the split, or None.

    A rejection, a shed given back, or too many recoveries hold for the rest of the window; ``now`` only as long as it
    is observed.
    """
    if part.excluded is not None and part.excluded.startswith(_FOR_THE_WINDOW):
        return part.excluded
    if part.recoveries >= rules.most_recoveries:
        return "unresponsive"
    return now


def _limits(given: Circumstances, panel: PanelRecord, part: Allocation, rules: Dispatch) -> Limits:
    """Return what the panel may be asked for; its turn is the kWh it has shed in this season, by its weight."""
    most_kw = part.capability_kw if panel.most_kw is None else min(part.capability_kw, panel.most_kw)
    match rules.share:
        case ShareBy.CAPABILITY:
            weight = part.capability_kw
        case ShareBy.WEIGHT:
            weight = panel.weight
        case ShareBy.EQUAL:
            weight = Decimal(1)
    shed_kwh = given.shed_kwh.get(panel.ven_id, 0.0)
    return Limits(
        most_kw=_NOTHING if part.excluded else most_kw,
        weight=weight,
        least_kw=panel.least_kw,
        turn=shed_kwh / float(weight) if weight > 0 else 0.0,
    )


def _free(parts: Mapping[str, Allocation], limits: Mapping[str, Limits]) -> dict[str, Limits]:
    """Return the limits without panels that take part and have said that they do less: these are not asked anew."""
    return {ven_id: limits[ven_id] for ven_id, part in parts.items() if part.delivered_kw is None or part.excluded}


def _of_each_alone(given: Circumstances, limits: Mapping[str, Limits], rules: Dispatch) -> dict[str, Decimal]:
    """Return what the event asks of each panel if it is the only one, in kW to the watt."""
    shares = {}
    for ven_id, limit in limits.items():
        baseline = given.baselines.get(ven_id)
        power_kw = None if baseline is None else baseline.power_kw
        used_kw = whole_watts(power_kw) if power_kw is not None and abs(power_kw) <= _MOST_KW else _NOTHING
        asked_kw = given.asked.request.reduction_kw(
            used_kw=used_kw, sheddable_kw=limit.most_kw, level_shares=rules.level_shares
        )
        asked_kw = whole_watts(min(asked_kw, limit.most_kw), ROUND_DOWN)
        shares[ven_id] = asked_kw if asked_kw >= limit.least_kw else _NOTHING
    return shares


def _total_kw(given: Circumstances, limits: Mapping[str, Limits], rules: Dispatch) -> Decimal:
    """Return the reduction that is asked of all panels together, in kW to the watt."""
    known = (each.power_kw for each in given.baselines.values() if each.power_kw is not None)
    used = (whole_watts(power_kw) for power_kw in known if abs(power_kw) <= _MOST_KW)
    reduction_kw = given.asked.request.reduction_kw(
        used_kw=sum(used, _NOTHING),
        sheddable_kw=sum((limit.most_kw for limit in limits.values()), _NOTHING),
        level_shares=rules.level_shares,
    )
    return whole_watts(reduction_kw)


def _shares(
    total_kw: Decimal,
    parts: Mapping[str, Allocation],
    limits: Mapping[str, Limits],
    rules: Dispatch,
    *,
    first: bool,
) -> dict[str, Decimal]:
    free = _free(parts, limits)
    weak_kw = (part.delivered_kw or _NOTHING for ven_id, part in parts.items() if ven_id not in free)
    rest_kw = total_kw - sum(weak_kw, _NOTHING)
    if first:
        return allocate(rest_kw, free, fewest=rules.ask is Asks.FEWEST)
    held = {ven_id: parts[ven_id].requested_kw for ven_id in free}
    return redistribute(rest_kw, held, free, smallest_kw=rules.redistribute_least_kw)


def _uncurtailed(panel: PanelRecord, holding: Holding | None, before: Baseline | None) -> PanelRecord:
    """Return the panel as it was before something curtailed it, if something does now."""
    if holding is None or before is None or not before.circuits_kw:
        return panel
    loads = (
        msgspec.structs.replace(load, current_power_kw=before.circuits_kw.get(load.id, load.current_power_kw))
        for load in panel.loads
    )
    return replace(panel, loads=tuple(loads))


def predecessor(asked: Asked, splits: Iterable[WindowPlan]) -> WindowPlan | None:
    """Return the split to go on from: of this window, or of one that asks the same and ends where this begins."""
    request = str(asked.request)
    known = list(splits)
    own = next((plan for plan in known if plan.start == asked.start), None)
    if own is not None:
        return own if own.request == request else None
    return next((plan for plan in known if plan.end == asked.start and plan.request == request), None)
