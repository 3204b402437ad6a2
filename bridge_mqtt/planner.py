"""Split events over panels: in order of precedence, each over the panels it is for, in kW.

A split is decided once per window and stored; later only what has to change is changed (allocation.redistribute). What
was stored is kept in memory, so that a round in which nothing has changed costs a few steps for each event.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from bridge_mqtt.decisions import Policy, is_as_wanted, is_for
from bridge_mqtt.metering.meters import Meters
from bridge_mqtt.model import EventState, Holding, PanelRecord, Want, WindowPlan
from bridge_mqtt.panels import Registry
from bridge_mqtt.pauses import with_pauses
from bridge_mqtt.reasons import explained
from bridge_mqtt.requests import Asked, Unusable, asked_at, taking_part
from bridge_mqtt.settings import Settings
from bridge_mqtt.splitting import Circumstances, differs, predecessor, split, wants_of
from bridge_mqtt.store import allocations, events, explanations
from bridge_mqtt.store.events import Baseline, StoredEvent
from openadr_profiles.fleet.power import PayloadReader, Signs
from openadr_profiles.v31 import Program
from openadr_profiles.v31.timeline import Timeline, random_offset, rank

_log = structlog.get_logger(__name__)

_UNDISTURBED = timedelta(seconds=60)
"""The time without an event after which a panel's measurements tell what it draws undisturbed."""
_EARLIER = timedelta(hours=1)
"""The time after the end of an event for which its baselines stand for those that are not known."""
_SOME = 500
"""The baselines that are worked out at a time, so that the loop can do something else in between."""
_MANY_PANELS = 300
"""From so many panels on, a split is worked out in a thread, so that the loop goes on."""


@dataclass(frozen=True, kw_only=True)
class Known:
    """The last plan of an event: the panels it is for, its latest split, its baselines, and what it wants of panels."""

    stamp: tuple[object, ...]
    panels: tuple[str, ...]
    asked: Asked | None = None
    split: WindowPlan | None = None
    baselines: Mapping[str, Baseline] | None = None
    wants: Mapping[str, Want] = field(default_factory=dict)


@dataclass
class Planned:
    """The result of one round."""

    wants: dict[str, Want] = field(default_factory=dict)
    changed: set[str] = field(default_factory=set)
    """The panels of which something else is wanted than in the round before."""
    asked: dict[str, Asked] = field(default_factory=dict)  # by event
    taking_part: dict[str, int] = field(default_factory=dict)  # by event, how many panels
    unusable: dict[str, str] = field(default_factory=dict)  # by event, why
    waiting: bool = False  # a first split waits for panels to be heard
    known: dict[str, Known] = field(default_factory=dict)
    """Tell what is to be kept of each event for the next round."""
    ahead_at: datetime | None = None
    """The next moment at which events begin that are split already."""
    ahead: dict[str, Want] = field(default_factory=dict)
    """Hold what is wanted from that moment on of panels by events that begin then."""
    known_ahead: dict[str, Known] = field(default_factory=dict)


@dataclass(frozen=True)
class _Round:
    """Hold what a round of planning is about; ``panels`` are those to look at, None for all.

    ``moment`` is the one that is planned for, ``now`` or a later one.
    """

    connection: AsyncConnection
    holdings: Mapping[str, Holding]
    now: datetime
    moment: datetime
    panels: Collection[str] | None
    versions: Mapping[tuple[str, datetime], int]
    planned: Planned


class Planner:
    """Splits what events ask. It keeps timelines and splits, which cost more to work out than to keep."""

    def __init__(
        self, settings: Settings, registry: Registry, meters: Meters, *, policy: Policy, started_at: datetime
    ) -> None:
        self._settings = settings
        self._registry = registry
        self._meters = meters
        self._policy = policy
        self._signs = Signs(settings.dispatch.sign, settings.dispatch.program_signs)
        self._first_contact_until = started_at + timedelta(seconds=settings.dispatch.first_contact_s)
        self._timelines: dict[str, tuple[datetime, datetime, Timeline]] = {}
        self._known: Mapping[str, Known] = {}
        self._ahead: Mapping[str, Known] = {}
        self._shed_kwh: Mapping[str, float] = {}
        self.bridge_targets: Collection[str] = ()
        self.seen_by: Mapping[str, Collection[str]] | None = None
        """By event the panels that see it, where each panel is a ven of its own; what is in it never changes."""
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

    def keep(self, planned: Planned) -> None:
        """Keep what a round has found, once it is committed. Without this the next round works it out again."""
        self._known, self._ahead = planned.known, planned.known_ahead

    def forget_all(self) -> None:
        """Read all splits again: somebody else may have changed them."""
        self._known, self._ahead = {}, {}

    def note_shed_kwh(self, shed_kwh: Mapping[str, float]) -> None:
        """Note the energy in kWh that each panel has shed in this season; it counts from the next first split on."""
        self._shed_kwh = shed_kwh

    def baseline_kw(self, event_id: str, ven_id: str) -> float | None:
        """Return the power of a panel before an event that asks for something now, in kW, None if it is not known."""
        known = self._known.get(event_id)
        baseline = (known.baselines or {}).get(ven_id) if known is not None else None
        return baseline.power_kw if baseline is not None else None

    async def plan(
        self,
        connection: AsyncConnection,
        stored: Mapping[str, StoredEvent],
        holdings: Mapping[str, Holding],
        now: datetime,
        panels: Collection[str] | None = None,
        *,
        ahead: datetime | None = None,
    ) -> Planned:
        """Split all that is asked now, and store splits that are new or have changed.

        ``panels`` are those of which something has changed since the last round; without it all are looked at. What
        begins at a later moment, ``ahead``, is split and stored already; when an event is changed before that moment,
        or withdrawn, its split is deleted again. Call ``keep`` with the result once the transaction is committed.
        """
        planned = Planned()
        in_order = sorted(stored.values(), key=lambda each: rank(each.event), reverse=True)
        active = [each for each in in_order if self._asks(each, now, planned)]
        splits = (known.split for known in (*self._known.values(), *self._ahead.values()))
        kept = [(split.event_id, split.start) for split in splits if split is not None]
        versions = await allocations.versions(connection, kept)
        for event_id in self._known.keys() - planned.asked.keys():
            planned.changed |= self._known[event_id].wants.keys()
        this_round = _Round(connection, holdings, now, now, panels, versions, planned)
        for each in active:
            event_id = each.event.id
            before, prepared = self._known.get(event_id), self._ahead.get(event_id)
            try:
                known = await self._plan_one(this_round, each, before or prepared)
                if before is None and known.split is not None:
                    await allocations.begin(connection, event_id, known.split.start, now)
            except ArithmeticError as error:  # one event fails alone
                planned.unusable[event_id] = f"cannot be split over its panels: {type(error).__name__}"
                _log.exception("event cannot be split", event_id=event_id)
                planned.changed |= before.wants.keys() if before is not None else set()
                continue
            planned.known[event_id] = known
            planned.wants |= known.wants
            differing = _differing(known.wants, before.wants if before is not None else {})
            if before is None and prepared is not None:
                differing = {
                    ven_id
                    async for ven_id in with_pauses(differing)
                    if not _is_told(holdings.get(ven_id), known.wants.get(ven_id))
                }
            planned.changed |= differing
        if ahead is not None:
            await self._plan_ahead(replace(this_round, moment=ahead), in_order)
        for event_id in self._ahead.keys() | planned.known_ahead.keys():
            if event_id not in planned.known:
                lists = (self._ahead.get(event_id), planned.known_ahead.get(event_id))
                planned.changed |= _differing(*({} if known is None else known.wants for known in lists))
        if panels is None:
            known_now = (*planned.known.values(), *planned.known_ahead.values())
            still = [(known.split.event_id, known.split.start) for known in known_now if known.split is not None]
            await allocations.forget_prepared(connection, list(stored), still)
        return planned

    async def _plan_ahead(self, this_round: _Round, in_order: Sequence[StoredEvent]) -> None:
        """Split the events that ask for nothing yet and for something from ``moment`` on.

        If an event that goes on asks for something else at the same moment, nothing is split before it.
        """
        planned, later = this_round.planned, Planned()
        round_ahead = replace(this_round, planned=later)
        active = [each for each in in_order if self._asks(each, this_round.moment, later)]
        if any(planned.asked.get(name, asked).start != asked.start for name, asked in later.asked.items()):
            return
        for each in active:
            event_id = each.event.id
            known = planned.known.get(event_id)
            if known is None and event_id not in planned.asked and event_id not in planned.unusable:
                try:
                    known = await self._plan_one(round_ahead, each, self._ahead.get(event_id))
                except ArithmeticError:  # said at its second
                    continue
                planned.known_ahead[event_id] = known
                planned.ahead = {**known.wants, **planned.ahead}
            later.wants |= known.wants if known is not None else {}
        planned.ahead_at = this_round.moment
        planned.waiting = planned.waiting or later.waiting

    async def _plan_one(self, this_round: _Round, stored: StoredEvent, before: Known | None) -> Known:
        """Return the plan of one event that asks for something now."""
        event_id, planned = stored.event.id, this_round.planned
        known = self._members(stored, before)
        planned.taking_part[event_id] = len(known.panels)
        if not known.panels:
            return replace(known, wants={})
        asked = planned.asked[event_id]
        latest, is_changed = await self._latest(this_round, event_id, asked, known)
        going_on = latest if latest is not None and predecessor(asked, [latest]) is not None else None
        panels = [panel for ven_id in known.panels if (panel := self._registry.get(ven_id)) is not None]
        given = Circumstances(
            event_id=event_id,
            asked=asked,
            now=this_round.now,
            policy=self._policy,
            panels=panels,
            taken=planned.wants,
            before=going_on,
            earlier=latest.parts if latest is not None else {},
            holdings=this_round.holdings,
            baselines=known.baselines or {},
            shed_kwh=self._shed_kwh,
            each_alone=self.seen_by is not None,
        )
        is_same = not is_changed and before is not None and known.stamp == before.stamp and known.asked == asked
        if is_same and not await self._differs(this_round, given):
            return known
        return await self._decide(this_round, given, known)

    def _members(self, stored: StoredEvent, before: Known | None) -> Known:
        """Return what is known of the event, with the panels it is for now."""
        event = stored.event
        seen_by = None if self.seen_by is None else self.seen_by.get(event.id, ())
        targets = (tuple(self.bridge_targets), seen_by)
        stamp = (event.modification_date_time, stored.received_at, targets, self._registry.changes)
        if before is not None and before.stamp == stamp:
            return before
        panels = tuple(each.ven_id for each in taking_part(event, self._registry, *targets))
        return Known(stamp=stamp, panels=panels) if before is None else replace(before, stamp=stamp, panels=panels)

    async def _latest(
        self, this_round: _Round, event_id: str, asked: Asked, known: Known
    ) -> tuple[WindowPlan | None, bool]:
        """Return the split of this window, or else the latest, as it is stored; True if it is not the one known."""
        connection, kept = this_round.connection, known.split
        if kept is None or predecessor(asked, [kept]) is None:
            windows = await allocations.windows_of(connection, event_id)
            found = predecessor(asked, windows) or (windows[-1] if windows else None)
            if found is None:
                return None, True
            if kept is None or kept.start != found.start:
                return await allocations.with_parts(connection, found), True
        version = this_round.versions.get((event_id, kept.start))
        if version == kept.version:
            return kept, False
        changed = await allocations.changed_since(connection, kept)
        return replace(kept, parts=kept.parts | changed, version=version or 0), True

    async def _differs(self, this_round: _Round, given: Circumstances) -> bool:
        """Return True if a panel that is to be looked at cannot take part as the split says, or can again."""
        if this_round.panels is None or given.before is None:
            return True
        look_at = given.before.parts.keys() & (set(this_round.panels) | this_round.planned.changed)
        async for ven_id in with_pauses(look_at):
            panel = self._registry.get(ven_id)
            if panel is not None and differs(given, panel, self._settings.dispatch):
                return True
        return False

    async def _decide(self, this_round: _Round, given: Circumstances, known: Known) -> Known:
        """Split the window, store what differs, and return the plan; without a split if panels are still awaited."""
        connection, now, rules = this_round.connection, this_round.now, self._settings.dispatch
        baselines = await self._baselines(connection, given.event_id, given.panels, known.baselines, this_round.moment)
        given = replace(given, baselines=baselines)
        known = replace(known, asked=given.asked, baselines=baselines)

        before = given.before

        def work_out() -> tuple[WindowPlan, Mapping[str, Want], WindowPlan | None, bool]:
            plan = split(given, rules)
            wants = wants_of(plan, given.asked, known.wants)
            stored = before if before is not None and before.start == plan.start else None
            return plan, known.wants if wants == known.wants else wants, stored, plan == stored

        many = len(given.panels) >= _MANY_PANELS
        plan, wants, stored, is_stored = await asyncio.to_thread(work_out) if many else work_out()
        if given.before is None and now < self._first_contact_until and _misses_a_panel(plan):
            this_round.planned.waiting = True
            return replace(known, asked=None, wants={})
        if not is_stored:
            version = await allocations.save_plan(connection, plan, stored, now)
            plan = replace(plan, version=version)
            await asyncio.sleep(0)
            await explanations.add(connection, explained(plan, given.before, known.split, rules, now))
        return replace(known, split=plan, wants=wants)

    def _asks(self, stored: StoredEvent, now: datetime, planned: Planned) -> bool:
        """Return True if the event asks for something now; record what, or why it cannot be carried out."""
        timeline = self.timeline(stored)
        if stored.withdrawn_at is not None or timeline.cancelled or stored.state is EventState.FAILED:
            return False
        try:
            reader = PayloadReader(stored.event, self.programs.get(stored.event.program_id), self._signs)
            asked = asked_at(timeline, now, reader)
        except (Unusable, ArithmeticError) as error:  # one event fails alone
            planned.unusable[stored.event.id] = (
                str(error) if isinstance(error, Unusable) else f"numbers beyond measure: {error}"
            )
            return False
        if asked is None:
            return False
        planned.asked[stored.event.id] = asked
        return True

    async def _baselines(
        self,
        connection: AsyncConnection,
        event_id: str,
        panels: Sequence[PanelRecord],
        known: Mapping[str, Baseline] | None,
        now: datetime,
    ) -> Mapping[str, Baseline]:
        """Return the baselines of the event by panel; they are frozen the first time they are needed.

        A panel that was in another event until a moment ago keeps the baseline of that one: what it drew since says
        nothing about what it draws undisturbed.
        """
        if known is None:
            known = (await events.frozen(connection, [event_id])).get(event_id, {})
        new_ids = [panel.ven_id for panel in panels if panel.ven_id not in known and panel.last_seen_at is not None]
        if not new_ids:
            return known
        free = {ven_id: panel.free_since for ven_id in new_ids if (panel := self._registry.get(ven_id)) is not None}
        found = dict(known)
        for first in range(0, len(new_ids), _SOME):
            some = new_ids[first : first + _SOME]
            new = await self._meters.baselines(connection, {ven_id: free[ven_id] for ven_id in some}, now)
            disturbed = {ven_id for ven_id in some if self._was_disturbed(ven_id, now)}
            disturbed |= set(some) - {each.ven_id for each in new}
            if disturbed:
                earlier = await events.last_frozen(connection, disturbed, now - _EARLIER)
                new = [*(each for each in new if each.ven_id not in earlier), *earlier.values()]
            await events.freeze(connection, event_id, new)
            found |= {each.ven_id: each for each in new}
        return found

    def _was_disturbed(self, ven_id: str, now: datetime) -> bool:
        panel = self._registry.get(ven_id)
        if panel is None or panel.event_id is not None:
            return panel is not None
        return panel.free_since is not None and now - panel.free_since < _UNDISTURBED


def _is_told(holding: Holding | None, want: Want | None) -> bool:
    """Return True if a panel has been told, or is about to be, just what is wanted of it."""
    return (
        holding is not None
        and want is not None
        and is_for(holding, want)
        and is_as_wanted(holding, want)
        and holding.window_end == want.until
    )


def _misses_a_panel(plan: WindowPlan) -> bool:
    return any(part.excluded == "offline" for part in plan.parts.values())


def _differing(wants: Mapping[str, Want], before: Mapping[str, Want]) -> set[str]:
    """Return the panels of which something else is wanted; what is wanted still is the same object."""
    if wants is before:
        return set()
    return {ven_id for ven_id in wants.keys() | before.keys() if wants.get(ven_id) is not before.get(ven_id)}
