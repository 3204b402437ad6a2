"""Split one window of an event over its panels: who takes part, what each can give, and each one's part in kW.

Rules without I/O. A panel's capability in a window is measured once, before the bridge curtails it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal, InvalidOperation

import msgspec

from bridge_mqtt.allocation import Limits, allocate, redistribute, share_of_each, whole_watts
from bridge_mqtt.model import Allocation, Asks, Holding, PanelRecord, ShareBy, WindowPlan
from bridge_mqtt.panels import shed_capability_kw
from bridge_mqtt.requests import Asked
from bridge_mqtt.settings import Dispatch
from bridge_mqtt.store.events import Baseline
from openadr_profiles.fleet.power import RequestKind

_MOST_KW = 1e6
"""A baseline beyond this is no measurement; the range is checked when a sample arrives."""
_NOTHING = Decimal(0)


@dataclass(frozen=True, kw_only=True)
class Circumstances:
    """All that a split depends on.

    ``excluded`` says by panel why it cannot take part now. ``before`` is the split to go on from, ``earlier`` the last
    part of each panel in another window. ``shed_kwh`` is what each panel has shed in this season.
    """

    event_id: str
    asked: Asked
    panels: Sequence[PanelRecord]
    excluded: Mapping[str, str]
    before: WindowPlan | None
    earlier: Mapping[str, Allocation]
    holdings: Mapping[str, Holding]
    baselines: Mapping[str, Baseline]
    shed_kwh: Mapping[str, float] = field(default_factory=dict)


def split(now: Circumstances, rules: Dispatch) -> WindowPlan:
    """Return the split of the present window, or the one before with as few changes as are needed."""
    parts = {panel.ven_id: _part(now, panel, rules) for panel in now.panels}
    limits = {panel.ven_id: _limits(now, panel, parts[panel.ven_id], rules) for panel in now.panels}
    request, before = now.asked.request, now.before
    if request.kind is RequestKind.LEVEL:
        shares = share_of_each(rules.level_shares[int(request.value)], _free(parts, limits))
        total_kw = sum((shares.get(ven_id, part.requested_kw) for ven_id, part in parts.items()), _NOTHING)
    else:
        total_kw = before.request_kw if before is not None else _total_kw(now, limits, rules)
        shares = _shares(total_kw, parts, limits, rules, first=before is None)
    return WindowPlan(
        event_id=now.event_id,
        start=now.asked.start,
        end=now.asked.end,
        request=str(request),
        request_kw=total_kw,
        parts={
            ven_id: part
            if shares.get(ven_id, part.requested_kw) == part.requested_kw
            else replace(part, requested_kw=shares[ven_id])
            for ven_id, part in parts.items()
        },
    )


def _part(now: Circumstances, panel: PanelRecord, rules: Dispatch) -> Allocation:
    """Return the panel's part before anything is shared out, with its capability and why it is left out."""
    ven_id = panel.ven_id
    excluded = now.excluded.get(ven_id)
    old = now.before.parts.get(ven_id) if now.before is not None else None
    if old is None:
        known = now.earlier.get(ven_id)
        capability_kw = known.capability_kw if known is not None else _NOTHING
        old = Allocation(ven_id=ven_id, requested_kw=_NOTHING, capability_kw=capability_kw)
    excluded = _exclusion(old, excluded, rules)
    capability_kw = old.capability_kw
    if not capability_kw and ven_id not in now.excluded:
        try:
            capability_kw = shed_capability_kw(_uncurtailed(panel, now.holdings.get(ven_id), now.baselines.get(ven_id)))
        except InvalidOperation:  # stored before the range of measurements was checked
            excluded = "measures nonsense"
    if capability_kw == old.capability_kw and excluded == old.excluded:
        return old
    return replace(old, capability_kw=capability_kw, excluded=excluded)


def _exclusion(part: Allocation, now: str | None, rules: Dispatch) -> str | None:
    """Return why a panel is left out of the split, or None.

    A rejection, or too many recoveries, holds for the rest of the window; ``now`` only as long as it is observed.
    """
    if part.excluded is not None and part.excluded.startswith("rejected"):
        return part.excluded
    if part.recoveries >= rules.most_recoveries:
        return "unresponsive"
    return now


def _limits(now: Circumstances, panel: PanelRecord, part: Allocation, rules: Dispatch) -> Limits:
    """Return what the panel may be asked for; its turn is the kWh it has shed in this season, by its weight."""
    most_kw = part.capability_kw if panel.most_kw is None else min(part.capability_kw, panel.most_kw)
    match rules.share:
        case ShareBy.CAPABILITY:
            weight = part.capability_kw
        case ShareBy.WEIGHT:
            weight = panel.weight
        case ShareBy.EQUAL:
            weight = Decimal(1)
    shed_kwh = now.shed_kwh.get(panel.ven_id, 0.0)
    return Limits(
        most_kw=_NOTHING if part.excluded else most_kw,
        weight=weight,
        least_kw=panel.least_kw,
        turn=shed_kwh / float(weight) if weight > 0 else 0.0,
    )


def _free(parts: Mapping[str, Allocation], limits: Mapping[str, Limits]) -> dict[str, Limits]:
    """Return the limits without panels that take part and have said that they do less: these are not asked anew."""
    return {ven_id: limits[ven_id] for ven_id, part in parts.items() if part.delivered_kw is None or part.excluded}


def _total_kw(now: Circumstances, limits: Mapping[str, Limits], rules: Dispatch) -> Decimal:
    """Return the reduction that is asked of all panels together, in kW to the watt."""
    known = (each.power_kw for each in now.baselines.values() if each.power_kw is not None)
    used = (whole_watts(power_kw) for power_kw in known if abs(power_kw) <= _MOST_KW)
    reduction_kw = now.asked.request.reduction_kw(
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
