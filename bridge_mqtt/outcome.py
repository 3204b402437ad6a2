"""The outcome of an event at the panels, for reports: who takes part, and the kW of each interval, panel and circuit.

Delivered power is the baseline frozen when the event began minus the measured power. A panel's own claim is used only
for single circuits without measurements. Rules without I/O.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import islice
from typing import TypeVar

from bridge_mqtt.model import Allocation, Command, PanelRecord, WindowPlan
from bridge_mqtt.resources import resource_name, shed_share
from bridge_mqtt.store.events import Baseline, StoredEvent
from bridge_mqtt.store.telemetry import PanelSample
from openadr_profiles.fleet.reports import Opt, Shed, ShedInterval
from openadr_profiles.panel import CircuitCurtailment, Load, is_critical
from openadr_profiles.v31 import AGGREGATED_REPORT, OperatingState
from openadr_profiles.v31.timeline import Timeline, Window
from ven.panel.circuits import operating_state
from ven.panel.meter import PowerReading, measure, power_of

_MOST_WINDOWS = 200
_FINAL_WITHIN = timedelta(seconds=60)
_NOTHING = Decimal(0)

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class EventFacts:
    """All that is known of an event when its reports are written."""

    stored: StoredEvent
    timeline: Timeline
    until: datetime
    panels: tuple[PanelRecord, ...]
    plans: Mapping[datetime, WindowPlan]
    baselines: Mapping[str, Baseline]
    answers: Mapping[str, Command]
    circuits: Mapping[str, Mapping[str, CircuitCurtailment]]
    samples: Mapping[str, list[PanelSample]]


def facts_of(facts: EventFacts, panels: Collection[PanelRecord]) -> EventFacts:
    """Return what is known of the event at some of its panels only."""
    ids = {panel.ven_id for panel in panels}

    def only(by_panel: Mapping[str, T]) -> dict[str, T]:
        return {ven_id: by_panel[ven_id] for ven_id in ids if ven_id in by_panel}

    return replace(
        facts,
        panels=tuple(panels),
        plans={start: replace(plan, parts=only(plan.parts)) for start, plan in facts.plans.items()},
        baselines=only(facts.baselines),
        answers=only(facts.answers),
        circuits=only(facts.circuits),
        samples=only(facts.samples),
    )


def opts_of(facts: EventFacts) -> list[Opt]:
    """Return the latest opt-in or opt-out of each panel that has answered or cannot take part."""
    latest: dict[str, Allocation] = {}
    for _, plan in sorted(facts.plans.items()):
        latest |= plan.parts
    opts = []
    for ven_id, part in sorted(latest.items()):
        name = resource_name(ven_id)
        if name is None:
            continue
        if ven_id in facts.answers:
            over = any(panel.ven_id == ven_id and _returned(facts, panel) for panel in facts.panels)
            state = OperatingState.RUNNING_NORMAL if over else OperatingState.RUNNING_CURTAILED
            opts.append(Opt(name, opted_in=True, reason=None, state=state))
        elif part.excluded is not None:
            state = OperatingState.ERROR if part.excluded in {"offline", "unresponsive"} else OperatingState.NORMAL
            opts.append(Opt(name, opted_in=False, reason=part.excluded, state=state))
        elif not part.requested_kw:
            opts.append(Opt(name, opted_in=True, reason="nothing to shed here", state=OperatingState.RUNNING_NORMAL))
    return opts


def intervals_of(facts: EventFacts, now: datetime) -> list[ShedInterval]:
    """Return what was carried out, window by window, of the event as it is now and as it was before it was changed."""
    windows = facts.timeline.windows(min(facts.plans, default=facts.timeline.start), facts.until)
    found = []
    unclaimed = dict(facts.plans)
    for window in islice(windows, _MOST_WINDOWS):
        plan = _plan_in(facts.plans, window)
        if plan is None:
            continue
        unclaimed = {start: each for start, each in unclaimed.items() if not _lies_in(start, window)}
        end = window.end
        if facts.stored.withdrawn_at is not None and (end is None or facts.stored.withdrawn_at < end):
            end = facts.stored.withdrawn_at
        number = window.number if window.interval_id is None else window.interval_id
        found.append(ShedInterval(number, window.start, end, tuple(_sheds(facts, plan, window.start, end, now))))
    order = sorted(facts.plans)
    for start, plan in unclaimed.items():
        later = [each for each in order if each > start]
        end = min(filter(None, [plan.end, facts.until, *later[:1]]))
        found.append(ShedInterval(order.index(start), start, end, tuple(_sheds(facts, plan, start, end, now))))
    return sorted(found, key=lambda interval: interval.start)


def _sheds(facts: EventFacts, plan: WindowPlan, start: datetime, end: datetime | None, now: datetime) -> list[Shed]:
    sheds: list[Shed] = []
    totals: list[Shed] = []
    for panel in facts.panels:
        part = plan.parts.get(panel.ven_id)
        name = resource_name(panel.ven_id)
        if part is None or name is None:
            continue
        series = _series(facts.samples.get(panel.ven_id, []))
        until = min(end or now, now)
        returned = _returned(facts, panel)
        baseline = facts.baselines.get(panel.ven_id)
        acted = panel.ven_id in facts.answers
        used_kw = _mean(series, "", start, until)
        original_kw = None if baseline is None or baseline.power_kw is None else Decimal(str(baseline.power_kw))
        whole = Shed(
            resource_name=name,
            requested_kw=part.requested_kw,
            original_kw=original_kw,
            curtailed_kw=used_kw,
            delivered_kw=_reduction(original_kw, used_kw) if acted else _NOTHING,
            final_kw=_kw(panel.used_power_kw) if returned else None,
            state=_state(used_kw, panel.used_power_kw, curtailed=acted and part.requested_kw > 0, returned=returned),
        )
        totals.append(whole)
        sheds.append(whole)
        for load in panel.loads:
            shed = _circuit_shed(facts, panel, load, series, baseline, (start, until), returned=returned)
            if shed is not None:
                sheds.append(shed)
    if totals:
        sheds.append(_sum(totals))
    return sheds


def _circuit_shed(
    facts: EventFacts,
    panel: PanelRecord,
    load: Load,
    series: Sequence[PowerReading],
    baseline: Baseline | None,
    span: tuple[datetime, datetime],
    *,
    returned: bool,
) -> Shed | None:
    name = resource_name(panel.ven_id, load.id)
    if name is None:
        return None
    told = facts.circuits.get(panel.ven_id, {}).get(load.id)
    curtailed = panel.ven_id in facts.answers and is_curtailed(facts, panel.ven_id, load.id)
    before = None if baseline is None else _kw(baseline.circuits_kw.get(load.id))
    original_kw = _kw(told.original_kw) if told is not None and told.original_kw is not None else before
    used_kw = _mean(series, load.id, *span)
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


def is_curtailed(facts: EventFacts, ven_id: str, circuit_id: str) -> bool:
    """Return True if the panel limited this circuit: its ack lists it or, if acks list none, it may be limited."""
    if ven_id in facts.circuits:
        return circuit_id in facts.circuits[ven_id]
    panel = next((each for each in facts.panels if each.ven_id == ven_id), None)
    load = next((each for each in panel.loads if each.id == circuit_id), None) if panel else None
    return panel is not None and load is not None and not is_critical(load) and shed_share(panel, load) > 0


def _plan_in(plans: Mapping[datetime, WindowPlan], window: Window) -> WindowPlan | None:
    """Return the last split made in a window; a payload of several values is split in several."""
    inside = [start for start in plans if _lies_in(start, window)]
    return plans[max(inside)] if inside else None


def _lies_in(start: datetime, window: Window) -> bool:
    return window.start <= start and (window.end is None or start < window.end)


def plan_at(plans: Mapping[datetime, WindowPlan], at: datetime) -> WindowPlan | None:
    begun = [start for start in plans if start <= at]
    return plans[max(begun)] if begun else None


def _returned(facts: EventFacts, panel: PanelRecord) -> bool:
    """Return True if the panel has measured since the event ended here."""
    ended = facts.stored.ended_at
    return ended is not None and panel.sample_received_at is not None and panel.sample_received_at > ended


def is_final(stored: StoredEvent, facts: EventFacts, now: datetime) -> bool:
    """Return True if nothing can be added to the reports: all panels have returned, or have had the time to."""
    if stored.ended_at is None or now > stored.ended_at + _FINAL_WITHIN:
        return True
    return all(_returned(facts, panel) for panel in facts.panels)


def _series(samples: Sequence[PanelSample]) -> list[PowerReading]:
    """Return a panel's samples with its circuits by id, and the whole panel under the empty name."""
    return [
        PowerReading(
            at=sample.received_at,
            kw={
                load.id: Decimal(str(load.current_power_kw))
                for load in sample.loads
                if load.current_power_kw is not None
            }
            | ({} if sample.used_power_kw is None else {"": Decimal(str(sample.used_power_kw))}),
        )
        for sample in samples
    ]


def _mean(series: Sequence[PowerReading], name: str, start: datetime, end: datetime) -> Decimal | None:
    if start >= end:
        return None
    measured = measure(series, start, end, power=power_of(name), hold=end - start)
    return None if measured is None else measured.mean_kw


def _reduction(original_kw: Decimal | None, used_kw: Decimal | None) -> Decimal | None:
    return None if original_kw is None or used_kw is None else original_kw - used_kw


def _kw(value: float | None) -> Decimal | None:
    return None if value is None else Decimal(str(value))


def _sum(totals: Sequence[Shed]) -> Shed:
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
