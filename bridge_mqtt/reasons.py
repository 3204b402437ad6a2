"""Why a panel is asked for its part of an event, in a few words for people. Rules without I/O."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from bridge_mqtt.allocation import WATT, Limits
from bridge_mqtt.model import Allocation, Asks, PanelRecord, ShareBy, WindowPlan
from bridge_mqtt.settings import Dispatch
from bridge_mqtt.store.explanations import Explanation
from openadr_profiles.fleet.power import PowerRequest, RequestKind

_MOST_CAUSES: Final = 5


def why_so(
    asked_kw: Decimal,
    old: Allocation | None,
    panel: PanelRecord,
    limits: Limits,
    rules: Dispatch,
    request: PowerRequest,
) -> str:
    """Return why a panel that can take part is asked for ``asked_kw``; ``old`` is its part before, None at first."""
    if not asked_kw:
        return _why_nothing(limits, rules)
    if old is not None:
        less = asked_kw < old.requested_kw
        return "can shed less than before" if less else "takes over what others do not shed"
    if limits.most_kw - asked_kw < WATT:
        return "its most_kw" if limits.most_kw == panel.most_kw else "all it can shed"
    if asked_kw == limits.least_kw:
        return "its least_kw"
    if request.kind is RequestKind.LEVEL:
        return f"level {request.value.normalize():f} of the {kilowatts(limits.most_kw)} it may be asked for"
    return _proportion(limits, rules)


def _proportion(limits: Limits, rules: Dispatch) -> str:
    match rules.share:
        case ShareBy.CAPABILITY:
            return f"in proportion to the {kilowatts(limits.weight)} it can shed"
        case ShareBy.EQUAL:
            return "an equal part"
        case ShareBy.WEIGHT:
            return f"in proportion to its weight of {limits.weight.normalize():f}"


def _why_nothing(limits: Limits, rules: Dispatch) -> str:
    if limits.most_kw < WATT:
        return "has nothing to shed now"
    if not limits.can_give:
        return f"can shed {kilowatts(limits.most_kw)}, less than its least_kw of {kilowatts(limits.least_kw)}"
    if rules.ask is Asks.FEWEST:
        return "not needed: others have shed less in this season"
    return f"too little is left for its least_kw of {kilowatts(limits.least_kw)}" if limits.least_kw else "not needed"


def explained(
    plan: WindowPlan, before: WindowPlan | None, remembered: WindowPlan | None, rules: Dispatch, at: datetime
) -> list[Explanation]:
    """Return the rows that say why a window is split as it is now.

    A first split has one row; its parts say the rest. Later, each part that has changed has one too. ``before`` is the
    split that this one goes on from, ``remembered`` the one decided last, without what panels have said since.
    """
    given_kw = sum((part.requested_kw for part in plan.parts.values()), Decimal(0))
    whole: dict[str, Any] = {"event_id": plan.event_id, "window_start": plan.start, "at": at}
    if before is None:
        why = f"{plan.request} is {kilowatts(plan.request_kw)}, shared out by {rules.share}"
        return [Explanation(**whole, asked_kw=float(given_kw), reason=why)]
    if before.start != plan.start:
        return [Explanation(**whole, asked_kw=float(given_kw), reason="goes on from the window before")]
    before_kw = sum((part.requested_kw for part in before.parts.values()), Decimal(0))
    causes = _causes(plan, remembered or before)
    rows = [Explanation(**whole, before_kw=float(before_kw), asked_kw=float(given_kw), reason=causes)]
    for ven_id, part in plan.parts.items():
        old = before.parts.get(ven_id)
        if old is None or old.requested_kw != part.requested_kw:
            rows.append(
                Explanation(
                    **whole,
                    ven_id=ven_id,
                    before_kw=None if old is None else float(old.requested_kw),
                    asked_kw=float(part.requested_kw),
                    reason=part.reason or "",
                )
            )
    return rows


def _causes(plan: WindowPlan, before: WindowPlan) -> str:
    """Return what has made a window be split again, at most ``_MOST_CAUSES`` panels by name."""
    causes = []
    for ven_id, part in plan.parts.items():
        old = before.parts.get(ven_id)
        if old is None:
            causes.append(f"{ven_id} is new")
        elif part.excluded != old.excluded:
            causes.append(f"{ven_id}: {part.excluded or 'can take part again'}")
        elif part.delivered_kw is not None and part.delivered_kw != old.delivered_kw:
            causes.append(f"{ven_id} delivers {kilowatts(part.delivered_kw)} of {kilowatts(old.requested_kw)}")
    causes += [f"{ven_id} is gone" for ven_id in before.parts if ven_id not in plan.parts]
    more = len(causes) - _MOST_CAUSES
    return "; ".join(causes[:_MOST_CAUSES]) + (f"; and {more} more" if more > 0 else "") or "measured anew"


def kilowatts(kw: Decimal | float) -> str:
    """Return a power in kW for people, as ``2.5 kW``."""
    return f"{Decimal(str(kw)).normalize():f} kW"
