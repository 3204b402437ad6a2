"""Split events over panels: in order of precedence, each over the panels it is for, in kW.

A split is decided once per window and stored; later only what has to change is changed (allocation.redistribute).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal

import msgspec
import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from bridge_mqtt.allocation import allocate, redistribute, whole_watts
from bridge_mqtt.decisions import Policy, is_online
from bridge_mqtt.model import Allocation, EventState, Holding, HoldingState, PanelRecord, Want, WindowPlan
from bridge_mqtt.panels import Registry, shed_capability_kw
from bridge_mqtt.requests import Asked, Unusable, asked_at, taking_part
from bridge_mqtt.settings import Settings
from bridge_mqtt.store import events, telemetry
from bridge_mqtt.store.events import Baseline, StoredEvent
from bridge_mqtt.telemetry import baseline
from openadr_profiles.fleet.power import PayloadReader, PowerRequest, RequestKind, Signs
from openadr_profiles.panel import wire_event_id
from openadr_profiles.v31 import Program
from openadr_profiles.v31.timeline import Timeline, random_offset, rank

_log = structlog.get_logger(__name__)

_NOTHING = Decimal(0)


@dataclass
class Planned:
    """The result of one round."""

    wants: dict[str, Want] = field(default_factory=dict)
    asked: dict[str, Asked] = field(default_factory=dict)  # by event
    taking_part: dict[str, int] = field(default_factory=dict)  # by event, how many panels
    unusable: dict[str, str] = field(default_factory=dict)  # by event, why
    waiting: bool = False  # a first split waits for panels to be heard


class Planner:
    """Splits what events ask. It keeps timelines, which cost more to work out than to keep."""

    def __init__(self, settings: Settings, registry: Registry, *, policy: Policy, started_at: datetime) -> None:
        self._settings = settings
        self._registry = registry
        self._policy = policy
        self._signs = Signs(settings.dispatch.sign, settings.dispatch.program_signs)
        self._first_contact_until = started_at + timedelta(seconds=settings.dispatch.first_contact_s)
        self._timelines: dict[str, tuple[datetime, datetime, Timeline]] = {}
        self.bridge_targets: Collection[str] = ()
        self.programs: Mapping[str, Program] = {}

    def timeline(self, stored: StoredEvent) -> Timeline:
        """Return the event in absolute time; "now" means when this version of it was first read (TIME-016)."""
        event = stored.event
        known = self._timelines.get(event.id)
        if known is not None and known[:2] == (event.modification_date_time, stored.received_at):
            return known[2]
        offset = random_offset(event, self._settings.vtn.ven_name)
        timeline = Timeline.of(event, anchor=stored.received_at, offset=offset)
        self._timelines[event.id] = (event.modification_date_time, stored.received_at, timeline)
        return timeline

    def forget(self, event_ids: Collection[str]) -> None:
        """Keep only the timelines of these events."""
        self._timelines = {event_id: kept for event_id, kept in self._timelines.items() if event_id in event_ids}

    async def plan(
        self,
        connection: AsyncConnection,
        stored: Mapping[str, StoredEvent],
        holdings: Mapping[str, Holding],
        now: datetime,
    ) -> Planned:
        """Split all that is asked now, and store splits that are new or have changed."""
        planned = Planned()
        in_order = sorted(stored.values(), key=lambda each: rank(each.event), reverse=True)
        active = [each for each in in_order if self._asks(each, now, planned)]
        plans = await events.plans(connection, [each.event.id for each in active])
        frozen = await events.frozen(connection, [each.event.id for each in active])
        for each in active:
            event_id = each.event.id
            panels = taking_part(each.event, self._registry, self.bridge_targets)
            planned.taking_part[event_id] = len(panels)
            if not panels:
                continue
            known = {start: plan for (owner, start), plan in plans.items() if owner == event_id}
            baselines = await self._baselines(connection, event_id, panels, frozen.get(event_id, {}), now)
            plan = self._split(planned.asked[event_id], event_id, panels, holdings, known, baselines, planned, now)
            if plan is None:
                planned.waiting = True
                continue
            if plan != known.get(plan.start):
                await events.save_plan(connection, plan, now)
            self._want(plan, planned.asked[event_id], planned)
        return planned

    def _asks(self, stored: StoredEvent, now: datetime, planned: Planned) -> bool:
        """Return True if the event asks for something now; record what, or why it cannot be carried out."""
        timeline = self.timeline(stored)
        if stored.withdrawn_at is not None or timeline.cancelled or stored.state is EventState.FAILED:
            return False
        try:
            reader = PayloadReader(stored.event, self.programs.get(stored.event.program_id), self._signs)
            asked = asked_at(timeline, now, reader)
        except Unusable as error:
            planned.unusable[stored.event.id] = str(error)
            return False
        if asked is None:
            return False
        planned.asked[stored.event.id] = asked
        return True

    async def _baselines(
        self,
        connection: AsyncConnection,
        event_id: str,
        panels: list[PanelRecord],
        known: Mapping[str, Baseline],
        now: datetime,
    ) -> dict[str, Baseline]:
        """Return the baselines of the event by panel; they are frozen the first time they are needed."""
        new_ids = [panel.ven_id for panel in panels if panel.ven_id not in known and panel.last_seen_at is not None]
        if not new_ids:
            return dict(known)
        since = now - timedelta(seconds=self._settings.telemetry.baseline_s)
        samples = await telemetry.between(connection, new_ids, since, now)
        new = [
            baseline(ven_id, [sample for sample in samples.get(ven_id, []) if sample.event_id is None], now)
            for ven_id in new_ids
        ]
        new = [each for each in new if each.samples]
        await events.freeze(connection, event_id, new)
        return dict(known) | {each.ven_id: each for each in new}

    def _split(
        self,
        asked: Asked,
        event_id: str,
        panels: list[PanelRecord],
        holdings: Mapping[str, Holding],
        known: Mapping[datetime, WindowPlan],
        baselines: Mapping[str, Baseline],
        planned: Planned,
        now: datetime,
    ) -> WindowPlan | None:
        """Return the split of the present window; None while the first one waits for panels to be heard."""
        before = _predecessor(asked, known)
        excluded = {
            panel.ven_id: self._why_not(panel, event_id, holdings.get(panel.ven_id), planned, now) for panel in panels
        }
        if before is None and now < self._first_contact_until and "offline" in excluded.values():
            return None
        parts = {}
        for panel in panels:
            old = before.parts.get(panel.ven_id) if before else _latest_part(known, panel.ven_id)
            part = old or Allocation(ven_id=panel.ven_id, requested_kw=_NOTHING, capability_kw=_NOTHING)
            if before is None:
                part = replace(part, requested_kw=_NOTHING, delivered_kw=None, excluded=None, recoveries=0)
            if not part.capability_kw and not excluded[panel.ven_id]:
                uncurtailed = _uncurtailed(panel, holdings.get(panel.ven_id), baselines.get(panel.ven_id))
                part = replace(part, capability_kw=shed_capability_kw(uncurtailed))
            parts[panel.ven_id] = replace(part, excluded=self._exclusion(part, excluded[panel.ven_id]))
        total = self._total(asked.request, parts, baselines, before)
        shares = self._shares(asked.request, total, parts, first=before is None)
        return WindowPlan(
            event_id=event_id,
            start=asked.start,
            end=asked.end,
            request=str(asked.request),
            request_kw=total,
            parts={ven_id: replace(part, requested_kw=shares[ven_id]) for ven_id, part in parts.items()},
        )

    def _why_not(
        self, panel: PanelRecord, event_id: str, holding: Holding | None, planned: Planned, now: datetime
    ) -> str | None:
        """Return why the panel cannot take part now, None if it can; decided anew at each call."""
        if panel.ven_id in planned.wants:
            return "follows another event"
        ours = holding is not None and holding.event_id == event_id
        if holding is not None and holding.state is HoldingState.UNREACHABLE:
            return "offline"
        if not ours and not is_online(panel, now, self._policy):
            return "offline"
        if panel.dialect is None:
            return "dialect unknown"
        shown = panel.event_id if panel.sample_is_newer_than_answer else None
        if shown is not None and holding is None and shown != wire_event_id(event_id):
            return "follows a local event" if shown.startswith("ui-evt-") else "follows a foreign event"
        return None

    def _exclusion(self, part: Allocation, now: str | None) -> str | None:
        """Return why a panel is left out of the split, or None.

        A rejection, or too many recoveries, holds for the rest of the window; ``now`` only as long as it is observed.
        """
        if part.excluded is not None and part.excluded.startswith("rejected"):
            return part.excluded
        if part.recoveries >= self._settings.dispatch.most_recoveries:
            return "unresponsive"
        return now

    def _total(
        self,
        request: PowerRequest,
        parts: Mapping[str, Allocation],
        baselines: Mapping[str, Baseline],
        before: WindowPlan | None,
    ) -> Decimal:
        if before is not None and request.kind is not RequestKind.LEVEL:
            return before.request_kw
        sheddable = (part.capability_kw for part in parts.values() if part.excluded is None)
        used = (whole_watts(each.power_kw) for each in baselines.values() if each.power_kw is not None)
        reduction = request.reduction_kw(
            used_kw=sum(used, _NOTHING),
            sheddable_kw=sum(sheddable, _NOTHING),
            level_shares=self._settings.dispatch.level_shares,
        )
        return whole_watts(reduction)

    def _shares(
        self, request: PowerRequest, total: Decimal, parts: Mapping[str, Allocation], *, first: bool
    ) -> dict[str, Decimal]:
        limits = {
            ven_id: _NOTHING if part.excluded else part.capability_kw
            for ven_id, part in parts.items()
            if part.delivered_kw is None or part.excluded
        }
        if request.kind is RequestKind.LEVEL:
            share = self._settings.dispatch.level_shares[int(request.value)]
            shares = {ven_id: whole_watts(limit * share) for ven_id, limit in limits.items()}
        else:
            weak = {ven_id: part.delivered_kw for ven_id, part in parts.items() if ven_id not in limits}
            rest = total - sum((kw for kw in weak.values() if kw is not None), _NOTHING)
            held = {ven_id: parts[ven_id].requested_kw for ven_id in limits}
            least = self._settings.dispatch.redistribute_least_kw
            shares = allocate(rest, limits) if first else redistribute(rest, held, limits, smallest_kw=least)
        return {ven_id: shares.get(ven_id, part.requested_kw) for ven_id, part in parts.items()}

    def _want(self, plan: WindowPlan, asked: Asked, planned: Planned) -> None:
        for ven_id, part in plan.parts.items():
            if part.requested_kw > 0 and part.excluded is None:
                planned.wants[ven_id] = Want(
                    event_id=plan.event_id, window_start=plan.start, until=asked.until, amount_kw=part.requested_kw
                )


def _predecessor(asked: Asked, known: Mapping[datetime, WindowPlan]) -> WindowPlan | None:
    """Return the split to go on from: of this window, or of one that asks the same and ends where this begins."""
    request = str(asked.request)
    own = known.get(asked.start)
    if own is not None:
        return own if own.request == request else None
    return next((plan for plan in known.values() if plan.end == asked.start and plan.request == request), None)


def _uncurtailed(panel: PanelRecord, holding: Holding | None, before: Baseline | None) -> PanelRecord:
    """Return the panel as it was before something curtailed it, if something does now."""
    if holding is None or before is None or not before.circuits_kw:
        return panel
    loads = (
        msgspec.structs.replace(load, current_power_kw=before.circuits_kw.get(load.id, load.current_power_kw))
        for load in panel.loads
    )
    return replace(panel, loads=tuple(loads))


def _latest_part(known: Mapping[datetime, WindowPlan], ven_id: str) -> Allocation | None:
    """Return the panel's part in an earlier window: its capability was measured before it was curtailed."""
    earlier = [plan.parts[ven_id] for _, plan in sorted(known.items()) if ven_id in plan.parts]
    return earlier[-1] if earlier else None
