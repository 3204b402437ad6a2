"""Split events over panels: in order of precedence, each over the panels it is for, in kW.

A split is decided once per window and stored; later only what has to change is changed (allocation.redistribute).
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from bridge_mqtt.decisions import Policy, is_online
from bridge_mqtt.model import Allocation, EventState, Holding, HoldingState, PanelRecord, Want, WindowPlan
from bridge_mqtt.panels import Registry
from bridge_mqtt.requests import Asked, Unusable, asked_at, taking_part
from bridge_mqtt.settings import Settings
from bridge_mqtt.splitting import Circumstances, split
from bridge_mqtt.store import events, telemetry
from bridge_mqtt.store.events import Baseline, StoredEvent
from bridge_mqtt.telemetry import baseline
from openadr_profiles.fleet.power import PayloadReader, Signs
from openadr_profiles.panel import wire_event_id
from openadr_profiles.v31 import Program
from openadr_profiles.v31.timeline import Timeline, random_offset, rank

_log = structlog.get_logger(__name__)

_MANY_PANELS = 300
"""From so many panels on, a split is worked out in a thread, so that the loop goes on."""


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
            try:
                plan = await self._split(event_id, panels, holdings, known, baselines, planned, now)
            except ArithmeticError as error:  # one event fails alone
                planned.unusable[event_id] = f"cannot be split over its panels: {type(error).__name__}"
                _log.exception("event cannot be split", event_id=event_id)
                continue
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

    async def _split(
        self,
        event_id: str,
        panels: list[PanelRecord],
        holdings: Mapping[str, Holding],
        known: Mapping[datetime, WindowPlan],
        baselines: Mapping[str, Baseline],
        planned: Planned,
        now: datetime,
    ) -> WindowPlan | None:
        """Return the split of the present window; None while the first one waits for panels to be heard."""
        asked = planned.asked[event_id]
        before = _predecessor(asked, known)
        why_not = (
            (each.ven_id, self._why_not(each, event_id, holdings.get(each.ven_id), planned, now)) for each in panels
        )
        excluded = {ven_id: reason for ven_id, reason in why_not if reason is not None}
        if before is None and now < self._first_contact_until and "offline" in excluded.values():
            return None
        circumstances = Circumstances(
            event_id=event_id,
            asked=asked,
            panels=panels,
            excluded=excluded,
            before=before,
            earlier=_latest_parts(known),
            holdings=holdings,
            baselines=baselines,
        )
        if len(panels) < _MANY_PANELS:
            return split(circumstances, self._settings.dispatch)
        return await asyncio.to_thread(split, circumstances, self._settings.dispatch)

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


def _latest_parts(known: Mapping[datetime, WindowPlan]) -> dict[str, Allocation]:
    """Return each panel's part in the latest window: its capability was measured before it was curtailed."""
    parts: dict[str, Allocation] = {}
    for _, plan in sorted(known.items()):
        parts |= plan.parts
    return parts
