"""Decisions, made when something has happened or is due: what each panel is told, and the states of events.

Only panels about which something is new are looked at: they have answered, measured something that matters, let a
deadline pass, or should do something else since an event began, changed or ended. All are looked at now and then, in
case something was missed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import islice
from typing import Final

import structlog

from bridge_mqtt.commands import carry_out, tell_of
from bridge_mqtt.decisions import Decision, Policy, Queue, Situation, decide, is_for, is_wanted, renewal
from bridge_mqtt.due_times import DueTimes
from bridge_mqtt.event_states import EventStates
from bridge_mqtt.health import Health
from bridge_mqtt.model import Command, Holding, HoldingState, PanelRecord, Want
from bridge_mqtt.panels import Registry
from bridge_mqtt.pauses import with_pauses
from bridge_mqtt.planner import Planned, Planner
from bridge_mqtt.told import ShownEvents
from bridge_mqtt.turns import BookTurn, Turns
from bridge_mqtt.watch import Noticed, Watcher
from openadr_client import Clock
from openadr_profiles.panel import CommandState, wire_event_id

_log = structlog.get_logger(__name__)

_RECONCILE: Final = timedelta(seconds=60)
_FIRST_CONTACT: Final = timedelta(seconds=1)
_FIRST: Final = 50
_AT_ONCE: Final = 500
"""So many panels are decided for in one transaction, ``_FIRST`` in the first; answers are taken in between."""
_AHEAD_S: Final = 4.0
_AHEAD_OF_EACH_S: Final = 0.001
"""So many real seconds before an event it is split and its commands are written, and so many more for each panel."""
_PLAN_PAUSE: Final = 4.0
"""After splitting anew because of panels, so many times as long as it took passes before the next time."""


class Dispatcher:
    """Decides. ``on_queued`` and ``on_change`` tell of new commands and of new states of events."""

    def __init__(
        self,
        *,
        turns: Turns,
        planner: Planner,
        registry: Registry,
        watcher: Watcher,
        policy: Policy,
        clock: Clock,
        health: Health,
        listening_since: Callable[[], datetime | None],
        on_queued: Callable[[], None],
        let_leave: Callable[[], Awaitable[None]],
        on_change: Callable[[], None],
    ) -> None:
        self._turns = turns
        self._book = turns.book
        self._planner = planner
        self._registry = registry
        self._watcher = watcher
        self._policy = policy
        self._clock = clock
        self._health = health
        self._listening_since = listening_since
        self._on_queued = on_queued
        self._let_leave = let_leave
        self._on_change = on_change
        self._events = EventStates(planner, turns.book)
        self._planned = Planned()
        self._due = asyncio.Event()
        self.has_looked = asyncio.Event()
        """Set once it was decided about everything that an earlier run has left."""
        self._panels_due = DueTimes()
        self._dirty: set[str] = set()
        self._after_plan: set[str] = set()
        self._seen: dict[str, PanelRecord] = {}
        self._shown = ShownEvents(registry, turns.book)
        self._events_may_differ = True
        self._to_plan: set[str] = set()
        self._plan_pause_until_s = 0.0
        self._look_again_at = self._reconcile_at = clock.now()

    def wake(self) -> None:
        """Read the events again and decide soon, since they may have changed."""
        self._events_may_differ = True
        self._due.set()

    def look_at(self, ven_ids: Iterable[str]) -> None:
        """Decide soon for these panels, since something has happened to them."""
        self._dirty.update(ven_ids)
        self._due.set()

    def wants(self, command: Command) -> bool:
        """Return True if a shed that was written before is what its panel should be told now."""
        return is_wanted(command, self._want(command.ven_id, self._book.holdings.get(command.ven_id)))

    def answered(self, ven_ids: Collection[str], changed_parts: Collection[str]) -> None:
        """Decide soon for panels that have answered; ``changed_parts`` of them do not do what was asked."""
        self._after_plan.update(changed_parts)
        self._to_plan.update(changed_parts)
        self._to_plan.update(ven_id for ven_id in ven_ids if ven_id not in self._book.holdings)
        self.look_at(ven_ids)

    def measured(self, ven_ids: Collection[str]) -> None:
        """Decide soon for those panels whose last sample says something that matters."""
        for ven_id in ven_ids:
            panel = self._registry.get(ven_id)
            if panel is None:
                continue
            if (name := f"panel {ven_id}") in self._health.aside:
                self._health.put_back(name)
                self._dirty.add(ven_id)
            before, self._seen[ven_id] = self._seen.get(ven_id), panel
            if before is None or self._is_news(before, panel):
                self._to_plan.add(ven_id)
                self._dirty.add(ven_id)
            elif self._matters(panel):
                self._dirty.add(ven_id)
        if self._dirty or self._to_plan:
            self._due.set()

    async def run(self) -> None:
        """Decide until cancelled."""
        while True:
            self._due.clear()
            await self._turns.persist(self._round)
            await self._clock.wait_for(self._due, until=self._next_moment())

    def is_quiet(self) -> bool:
        """Return True if no panel holds anything or waits, and nothing begins, changes or ends within a minute."""
        book, boundary = self._book, self._events.next_boundary
        if book.holdings or book.outstanding or self._dirty:
            return False
        return boundary is None or boundary > self._clock.now() + max(_RECONCILE * self._clock.speed, self._ahead())

    def _is_news(self, before: PanelRecord, now: PanelRecord) -> bool:
        """Return True if a sample may change who takes part: a panel is back, or follows something else."""
        was_away = before.last_seen_at is None or (
            now.last_seen_at is not None and now.last_seen_at - before.last_seen_at > self._policy.offline_after
        )
        return was_away or before.event_id != now.event_id or before.dialect != now.dialect

    def _matters(self, panel: PanelRecord) -> bool:
        """Return True if the latest sample of a panel may make a difference to what it is told."""
        if panel.ven_id in self._book.outstanding:
            return False
        holding = self._book.holdings.get(panel.ven_id)
        if holding is None:
            is_wanted = panel.ven_id in self._planned.wants or panel.ven_id in self._planned.ahead
            return panel.dialect is None or panel.event_id is not None or is_wanted
        if holding.state is not HoldingState.HELD:
            return True
        lost_it = panel.tells_event and panel.event_id != wire_event_id(holding.event_id)
        return lost_it or self._watcher.matters(panel, holding, self._clock.now())

    def _next_moment(self) -> datetime:
        now = self._clock.now()
        boundary = self._events.next_boundary
        moments = [self._reconcile_at, self._look_again_at, self._panels_due.first, boundary]
        if boundary is not None and boundary != self._planned.ahead_at:
            moments.append(boundary - self._ahead())
        if self._to_plan:
            moments.append(now + timedelta(seconds=max(0.0, self._plan_pause_until_s - self._clock.monotonic_s())))
        return min(moment for moment in moments if moment is not None)

    async def _round(self) -> None:
        """Do all that is due now."""
        now = self._clock.now()
        is_reconciling = now >= self._reconcile_at
        if is_reconciling:
            self._dirty.update(panel.ven_id for panel in self._registry)
            self._events_may_differ = True
            self._reconcile_at = now + _RECONCILE
        while len(due := self._panels_due.take_due(now, most=_AT_ONCE)) == _AT_ONCE:
            self._dirty |= due
            await asyncio.sleep(0)
        self._dirty |= due
        boundary = self._events.next_boundary
        if boundary is not None and boundary <= now and self._planned.ahead:
            await self._let_leave()  # nothing is as urgent as the commands of this second, which are written already
        pause_is_over = self._clock.monotonic_s() >= self._plan_pause_until_s
        if self._events_may_differ or now >= self._look_again_at:
            await self._plan(None)
        elif (
            (boundary is not None and boundary <= now)
            or self._ahead_at(now) != self._planned.ahead_at
            or (self._to_plan and pause_is_over)
        ):
            await self._plan(self._to_plan)
        if is_reconciling:  # those too that are not ours any more
            self._dirty.update(self._book.outstanding)
        most = _FIRST  # so that the first commands leave soon, while it is decided about the others
        while self._dirty and not self._events_may_differ:
            await self._decide_some(most)
            most = _AT_ONCE
            await asyncio.sleep(0)
            if (boundary := self._events.next_boundary) is not None and boundary <= self._clock.now():
                break
        if self._turns.released:
            await self._note_released()
        self.has_looked.set()

    def _ahead(self) -> timedelta:
        return timedelta(seconds=(_AHEAD_S + _AHEAD_OF_EACH_S * len(self._registry)) * self._clock.speed)

    def _ahead_at(self, now: datetime) -> datetime | None:
        """Return the moment to prepare for: the next at which an event begins or changes, if it comes soon."""
        boundary = self._events.next_boundary
        return boundary if boundary is not None and now < boundary <= now + self._ahead() else None

    async def _plan(self, panels: Collection[str] | None) -> None:
        """Split what the events ask now, because of these panels or anew, and advance their states."""
        began_s = self._clock.monotonic_s()
        events_may_differ, self._events_may_differ = self._events_may_differ, False
        to_plan, self._to_plan = self._to_plan, set()
        after_plan, self._after_plan = self._after_plan, set()
        try:
            async with self._turns.change() as turn:
                now = self._clock.now()
                if events_may_differ:
                    await self._events.read(turn.connection, now)
                ahead = self._ahead_at(now)
                planned = await self._planner.plan(
                    turn.connection, self._events.usable, self._book.holdings, now, panels, ahead=ahead
                )
                planned.ahead_at = ahead
                changed = await self._events.advance(turn.connection, planned, list(self._events.open), now)
        except BaseException:
            self._events_may_differ = True
            self._to_plan |= to_plan
            self._after_plan |= after_plan
            raise
        self._planner.keep(planned)
        self._events.enter(changed)
        self._events.pass_boundaries(now)
        self._planned = planned
        self._dirty |= after_plan
        self._dirty |= planned.changed
        self._look_again_at = now + (_FIRST_CONTACT if planned.waiting else _RECONCILE)
        if events_may_differ:
            self._watcher.forget(self._book.holdings)
        ended_s = self._clock.monotonic_s()
        self._plan_pause_until_s = ended_s + _PLAN_PAUSE * (ended_s - began_s)
        if changed:
            self._on_change()

    async def _note_released(self) -> None:
        """Advance the events that the last panel has given back."""
        released, self._turns.released = self._turns.released, set()
        try:
            async with self._turns.change() as turn:
                changed = await self._events.advance(turn.connection, self._planned, released, self._clock.now())
        except BaseException:
            self._turns.released |= released
            raise
        self._events.enter(changed)
        if changed:
            self._on_change()

    async def _decide_some(self, most: int) -> None:
        """Decide for some of the panels about which something is new."""
        some = list(islice(self._dirty, most))
        self._dirty.difference_update(some)
        some = [ven_id for ven_id in some if ven_id not in self._after_plan]
        try:
            steps = await self._take_steps(some) if await self._is_anything_to_do(some) else []
        except BaseException:
            self._dirty.update(some)
            raise
        for ven_id in some:
            self._panels_due.put(ven_id, self._next_of(ven_id))
        if any(isinstance(decision, Queue) for _, decision in steps):
            self._on_queued()
        # what is known of these has changed, so there may be more to decide, and to share out
        changed = {each.panel.ven_id for each, decision in steps if not isinstance(decision, Queue)}
        self._dirty |= changed
        self._to_plan |= changed

    async def _is_anything_to_do(self, ven_ids: Sequence[str]) -> bool:
        """Return True if a transaction is needed for any of these panels."""
        if self._book.is_stale:
            return bool(ven_ids)
        now = self._clock.now()
        async for ven_id in with_pauses(ven_ids):
            if self._shown.is_unknown(ven_id) or self._is_watched(ven_id, now) or self._decisions(ven_id, now)[1]:
                return True
        return False

    def _is_watched(self, ven_id: str, now: datetime) -> bool:
        panel = self._registry.get(ven_id)
        return panel is not None and self._watcher.matters(panel, self._book.holdings.get(ven_id), now)

    async def _take_steps(self, ven_ids: Sequence[str]) -> list[tuple[Situation, Decision]]:
        async with self._turns.change() as turn:
            await self._shown.ask(turn.connection, ven_ids)
            now = self._clock.now()
            noticed = await self._watch(turn, ven_ids, now)
            steps = []
            async for ven_id in with_pauses(ven_ids):
                situation, decisions = self._decisions(ven_id, now, gave_back=ven_id in noticed.again)
                for decision in decisions:
                    carry_out(turn.changes, situation, decision, now)
                    steps.append((situation, decision))
        lost = turn.changes.panels_with_parts
        self._after_plan |= lost
        self._watcher.keep(noticed)
        for situation, decision in steps:
            if isinstance(decision, Queue):
                self._shown.forget(situation.panel.ven_id)
        self._to_plan |= lost
        tell_of(steps, turn.changes)
        return steps

    async def _watch(self, turn: BookTurn, ven_ids: Sequence[str], now: datetime) -> Noticed:
        """Return which of these panels have given their shed back; what that changes of their parts is noted."""
        panels = [panel for ven_id in ven_ids if (panel := self._registry.get(ven_id)) is not None]
        noticed = await self._watcher.look(turn.connection, panels, self._book.holdings, now)
        for part, values in noticed.parts.items():
            turn.changes.change_part(part, **values)
        for part in noticed.recoveries:
            turn.changes.count_recovery(part)
        return noticed

    def _decisions(self, ven_id: str, now: datetime, *, gave_back: bool = False) -> tuple[Situation, list[Decision]]:
        situation = replace(self._situation(ven_id), gave_back=gave_back)
        try:
            return situation, list(decide(situation, now, self._policy))
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"
            if self._health.set_aside(f"panel {ven_id}", reason):
                _log.exception("panel is set aside until its next message", ven_id=ven_id)
            return situation, []

    def _situation(self, ven_id: str) -> Situation:
        """Return all that matters for one panel."""
        panel = self._registry.get(ven_id) or PanelRecord(ven_id=ven_id)
        holding = self._book.holdings.get(ven_id)
        return Situation(
            panel=panel,
            holding=holding,
            outstanding=self._book.outstanding.get(ven_id),
            want=self._want(ven_id, holding),
            known_events=self._shown.ours(ven_id),
            last_ping_at=self._book.pinged.get(ven_id),
            listening_since=self._listening_since(),
        )

    def _want(self, ven_id: str, holding: Holding | None) -> Want | None:
        """Return what a panel should hold: what is wanted now or, of one that is free, what is soon."""
        want = self._planned.wants.get(ven_id)
        if want is not None:
            return want
        soon = self._planned.ahead.get(ven_id)
        return soon if soon is not None and (holding is None or is_for(holding, soon)) else None

    def _next_of(self, ven_id: str) -> datetime | None:
        """Return when something is due for a panel by itself: its answer, or the end of its shed."""
        command, holding = self._book.outstanding.get(ven_id), self._book.holdings.get(ven_id)
        if command is not None:
            listening = self._listening_since()
            if command.state is not CommandState.SENT or command.deadline_at is None or listening is None:
                return None
            return max(command.deadline_at, listening + self._policy.ack_timeout)
        if holding is None or holding.until is None:
            return None
        now = self._clock.now()
        renewed_at = renewal(holding, self._want(ven_id, holding), self._policy) or holding.until
        moments = (renewed_at, holding.until, holding.until + self._policy.ack_timeout)
        return min((moment for moment in moments if moment > now), default=None)
