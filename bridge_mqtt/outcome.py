"""The outcome of an event at the panels, for reports: who takes part, and the kW of each interval, panel and circuit.

Delivered power is the baseline frozen when the event began minus the measured power. A panel's own claim is used only
for single circuits without measurements. Rules without I/O.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import islice

from bridge_mqtt.metering.meter import PANEL, UsedEnergy
from bridge_mqtt.model import Allocation, PanelRecord, WindowPlan
from bridge_mqtt.resources import resource_name, shed_share
from bridge_mqtt.store.events import Baseline, StoredEvent
from openadr_profiles.fleet.reports import Opt, Shed
from openadr_profiles.panel import CircuitCurtailment, Load, is_critical
from openadr_profiles.v31 import AGGREGATED_REPORT, OperatingState
from openadr_profiles.v31.timeline import Timeline, Window
from ven.panel.circuits import operating_state

_MOST_WINDOWS = 200
_FINAL_WITHIN = timedelta(seconds=60)
_NOTHING = Decimal(0)
_WATT = Decimal("0.001")

UsedBy = Callable[[str, str], UsedEnergy | None]
"""Tell what a panel's channel used in a span of time; None if nothing is known of it."""


@dataclass(frozen=True, kw_only=True)
class PanelFacts:
    """All that is known of a panel in an event: its last sample, its baseline, its answer and the circuits in it."""

    panel: PanelRecord
    baseline: Baseline | None = None
    acted: bool = False
    circuits: Mapping[str, CircuitCurtailment] | None = None


@dataclass(frozen=True, kw_only=True)
class EventSpan:
    """One interval of an event as it was carried out; ``id`` is the event's interval id, ``end`` None is open."""

    id: int
    start: datetime
    end: datetime | None
    plan: WindowPlan


def opt_of(stored: StoredEvent, part: Allocation, facts: PanelFacts) -> Opt | None:
    """Return the opt-in or opt-out of a panel; None if it has neither answered nor cannot take part."""
    name = resource_name(part.ven_id)
    if name is None:
        return None
    if facts.acted:
        over = has_returned(stored, facts.panel)
        state = OperatingState.RUNNING_NORMAL if over else OperatingState.RUNNING_CURTAILED
        return Opt(name, opted_in=True, reason=None, state=state)
    if part.excluded is not None:
        state = OperatingState.ERROR if part.excluded in {"offline", "unresponsive"} else OperatingState.NORMAL
        return Opt(name, opted_in=False, reason=part.excluded, state=state)
    if not part.requested_kw:
        return Opt(name, opted_in=True, reason="nothing to shed here", state=OperatingState.RUNNING_NORMAL)
    return None


def spans_of(
    stored: StoredEvent, timeline: Timeline, plans: Mapping[datetime, WindowPlan], until: datetime
) -> list[EventSpan]:
    """Return the windows that were carried out, of the event as it is now and as it was before it was changed."""
    windows = timeline.windows(min(plans, default=timeline.start), until)
    found = []
    unclaimed = dict(plans)
    for window in islice(windows, _MOST_WINDOWS):
        plan = _plan_in(plans, window)
        if plan is None:
            continue
        unclaimed = {start: each for start, each in unclaimed.items() if not _lies_in(start, window)}
        end = window.end
        if stored.withdrawn_at is not None and (end is None or stored.withdrawn_at < end):
            end = stored.withdrawn_at
        number = window.number if window.interval_id is None else window.interval_id
        found.append(EventSpan(id=number, start=window.start, end=end, plan=plan))
    order = sorted(plans)
    for start, plan in unclaimed.items():
        later = [each for each in order if each > start]
        end = min(filter(None, [plan.end, until, *later[:1]]))
        found.append(EventSpan(id=order.index(start), start=start, end=end, plan=plan))
    return sorted(found, key=lambda span: span.start)


def sheds_of(stored: StoredEvent, span: EventSpan, panels: Sequence[PanelFacts], used_by: UsedBy) -> list[list[Shed]]:
    """Return for each of these panels that has a part in the span: the panel as a whole, then its circuits."""
    return [sheds for facts in panels if (sheds := _panel_sheds(stored, span, facts, used_by))]


def _panel_sheds(stored: StoredEvent, span: EventSpan, facts: PanelFacts, used_by: UsedBy) -> list[Shed]:
    panel = facts.panel
    part = span.plan.parts.get(panel.ven_id)
    name = resource_name(panel.ven_id)
    if part is None or name is None:
        return []
    returned = has_returned(stored, panel)
    used_kw = _mean_kw(used_by(panel.ven_id, PANEL))
    original_kw = None if facts.baseline is None else _kw(facts.baseline.power_kw)
    whole = Shed(
        resource_name=name,
        requested_kw=part.requested_kw,
        original_kw=original_kw,
        curtailed_kw=used_kw,
        delivered_kw=_reduction(original_kw, used_kw) if facts.acted else _NOTHING,
        final_kw=_kw(panel.used_power_kw) if returned else None,
        state=_state(used_kw, panel.used_power_kw, curtailed=facts.acted and part.requested_kw > 0, returned=returned),
    )
    circuits = (_circuit_shed(facts, load, used_by, returned=returned) for load in panel.loads)
    return [whole, *(shed for shed in circuits if shed is not None)]


def _circuit_shed(facts: PanelFacts, load: Load, used_by: UsedBy, *, returned: bool) -> Shed | None:
    name = resource_name(facts.panel.ven_id, load.id)
    if name is None:
        return None
    told = (facts.circuits or {}).get(load.id)
    curtailed = is_curtailed(facts, load.id)
    before = None if facts.baseline is None else _kw(facts.baseline.circuits_kw.get(load.id))
    original_kw = _kw(told.original_kw) if told is not None and told.original_kw is not None else before
    used_kw = _mean_kw(used_by(facts.panel.ven_id, load.id))
    delivered_kw = _NOTHING
    if curtailed:
        measured = _reduction(original_kw, used_kw)
        delivered_kw = measured if measured is not None else (_kw(told.curtailed_kw) if told else None) or _NOTHING
        delivered_kw = max(_NOTHING, delivered_kw)
    return Shed(
        resource_name=name,
        requested_kw=_kw(told.curtailed_kw) if told is not None else (None if curtailed else _NOTHING),
        original_kw=original_kw,
        curtailed_kw=used_kw,
        delivered_kw=delivered_kw,
        final_kw=_kw(load.current_power_kw) if returned else None,
        state=_state(used_kw, load.current_power_kw, curtailed=curtailed, returned=returned),
    )


def _state(mean_kw: Decimal | None, last_kw: float | None, *, curtailed: bool, returned: bool) -> OperatingState:
    """Return the state by the mean power of the window, or, before anything was measured in it, by the last sample.

    Once the panel has measured after the event's end, it is the state that the last sample shows, no longer curtailed.
    """
    last = _kw(last_kw)
    if returned and last is not None:
        return operating_state(last)
    return operating_state(mean_kw if mean_kw is not None else last, curtailed=curtailed and not returned)


def is_curtailed(facts: PanelFacts, circuit_id: str) -> bool:
    """Return True if the panel limited this circuit: its ack lists it or, if acks list none, it may be limited."""
    if not facts.acted:
        return False
    if facts.circuits is not None:
        return circuit_id in facts.circuits
    load = next((each for each in facts.panel.loads if each.id == circuit_id), None)
    return load is not None and not is_critical(load) and shed_share(facts.panel, load) > 0


def _plan_in(plans: Mapping[datetime, WindowPlan], window: Window) -> WindowPlan | None:
    """Return the last split made in a window; a payload of several values is split in several."""
    inside = [start for start in plans if _lies_in(start, window)]
    return plans[max(inside)] if inside else None


def _lies_in(start: datetime, window: Window) -> bool:
    return window.start <= start and (window.end is None or start < window.end)


def plan_at(plans: Mapping[datetime, WindowPlan], at: datetime) -> WindowPlan | None:
    """Return the last split that was made before a moment, or at it."""
    begun = [start for start in plans if start <= at]
    return plans[max(begun)] if begun else None


def has_returned(stored: StoredEvent, panel: PanelRecord) -> bool:
    """Return True if the panel has measured since the event ended here."""
    ended = stored.ended_at
    return ended is not None and panel.sample_received_at is not None and panel.sample_received_at > ended


def is_final(stored: StoredEvent, panels: Iterable[PanelRecord], now: datetime) -> bool:
    """Return True if nothing can be added to the reports: all panels have returned, or have had the time to."""
    if stored.ended_at is None or now > stored.ended_at + _FINAL_WITHIN:
        return True
    return all(has_returned(stored, panel) for panel in panels)


def _mean_kw(used: UsedEnergy | None) -> Decimal | None:
    kw = None if used is None else used.mean_kw
    return None if kw is None else Decimal(str(kw)).quantize(_WATT)


def _reduction(original_kw: Decimal | None, used_kw: Decimal | None) -> Decimal | None:
    return None if original_kw is None or used_kw is None else original_kw - used_kw


def _kw(value: float | None) -> Decimal | None:
    return None if value is None else Decimal(str(value))


def total_of(totals: Sequence[Shed]) -> Shed:
    """Return the sum of panels, or of sums of panels, under the name that stands for all."""

    def total(quantity: str) -> Decimal | None:
        known = [kw for shed in totals if (kw := getattr(shed, quantity)) is not None]
        return sum(known, _NOTHING) if known else None

    used_kw = total("curtailed_kw")
    complete = all(shed.final_kw is not None for shed in totals)
    return Shed(
        resource_name=AGGREGATED_REPORT,
        requested_kw=total("requested_kw"),
        original_kw=total("original_kw"),
        curtailed_kw=used_kw,
        delivered_kw=total("delivered_kw"),
        final_kw=total("final_kw") if complete else None,
        state=operating_state(
            used_kw, curtailed=any(shed.state is OperatingState.RUNNING_CURTAILED for shed in totals)
        ),
    )
