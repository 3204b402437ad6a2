"""Decisions, made whenever something has happened or is due: what each panel is told, and the states of events."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from bridge_mqtt.commands import carry_out, outstanding_deadlines
from bridge_mqtt.decisions import Policy, Queue, Situation, decide, next_state
from bridge_mqtt.model import Command, Holding, HoldingState
from bridge_mqtt.panels import Registry
from bridge_mqtt.planner import Planned, Planner
from bridge_mqtt.requests import next_moment
from bridge_mqtt.store import commands, events
from bridge_mqtt.store.events import StoredEvent
from bridge_mqtt.turns import Turns
from openadr_client import Clock

_log = structlog.get_logger(__name__)

_RECONCILE = timedelta(seconds=30)
_FIRST_CONTACT = timedelta(seconds=1)


class Dispatcher:
    """Decides for all panels in one turn. ``on_queued`` and ``on_change`` tell of commands and of states of events."""

    def __init__(
        self,
        *,
        turns: Turns,
        planner: Planner,
        registry: Registry,
        policy: Policy,
        clock: Clock,
        listening_since: Callable[[], datetime | None],
        on_queued: Callable[[], None],
        on_change: Callable[[], None],
    ) -> None:
        self._turns = turns
        self._planner = planner
        self._registry = registry
        self._policy = policy
        self._clock = clock
        self._listening_since = listening_since
        self._on_queued = on_queued
        self._on_change = on_change
        self._due = asyncio.Event()

    def wake(self) -> None:
        """Decide soon, since something has happened."""
        self._due.set()

    async def run(self) -> None:
        """Decide until cancelled."""
        while True:
            self._due.clear()
            wake_at = self._clock.now() + _RECONCILE

            async def decide_now() -> None:
                nonlocal wake_at
                wake_at = await self._decide_all()

            await self._turns.persist(decide_now)
            await self._clock.wait_for(self._due, until=wake_at)

    async def _decide_all(self) -> datetime:
        """Decide for every panel and event; return when to look again at the latest."""
        now = self._clock.now()
        queued = again = False
        async with self._turns.turn() as connection:
            stored = await events.open_(connection)
            held = await commands.held(connection)
            planned = await self._planner.plan(connection, stored, held, now)
            for situation in await self._situations(connection, planned, held):
                for decision in decide(situation, now, self._policy):
                    await carry_out(connection, situation, decision, now)
                    queued = queued or isinstance(decision, Queue)
                    again = again or not isinstance(decision, Queue)
            held = await commands.held(connection)
            changed = await self._advance_events(connection, stored, planned, held, now)
            waiting = await commands.outstanding(connection)
        self._planner.keep(planned)
        self._planner.forget(stored)
        if queued:
            self._on_queued()
        if again:  # what is known has changed, so there may be more to decide
            self._due.set()
        if changed:
            self._on_change()
        soon = _FIRST_CONTACT if planned.waiting else _RECONCILE
        return next_moment(self._moments(stored, held, waiting, now), now, now + soon)

    async def _situations(
        self, connection: AsyncConnection, planned: Planned, held: Mapping[str, Holding]
    ) -> list[Situation]:
        """Return all that matters for each panel."""
        waiting = await commands.outstanding(connection)
        shown = {
            panel.ven_id: panel.event_id
            for panel in self._registry
            if panel.event_id is not None and panel.ven_id not in held
        }
        told = await commands.were_told(connection, shown)
        unclear = [
            panel.ven_id
            for panel in self._registry
            if panel.dialect is None or (panel.ven_id in held and held[panel.ven_id].state is not HoldingState.HELD)
        ]
        pinged = await commands.last_pings(connection, unclear)
        return [
            Situation(
                panel=panel,
                holding=held.get(panel.ven_id),
                outstanding=waiting.get(panel.ven_id),
                want=planned.wants.get(panel.ven_id),
                known_events={shown[panel.ven_id]} if panel.ven_id in told else (),
                last_ping_at=pinged.get(panel.ven_id),
                listening_since=self._listening_since(),
            )
            for panel in self._registry
        ]

    async def _advance_events(
        self,
        connection: AsyncConnection,
        stored: Mapping[str, StoredEvent],
        planned: Planned,
        held: Mapping[str, Holding],
        now: datetime,
    ) -> bool:
        """Advance the state of each event; return True if any has changed. It is over once no panel holds it."""
        holders = {holding.event_id for holding in held.values()}
        changed = False
        for event_id, each in stored.items():
            timeline = self._planner.timeline(each)
            after, reason = next_state(
                each.state,
                each.reason,
                over=timeline.transpired(now),
                withdrawn=each.withdrawn_at is not None,
                cancelled=timeline.cancelled,
                begun=timeline.start <= now and planned.taking_part.get(event_id, 0) > 0,
                held=event_id in holders,
                unusable=planned.unusable.get(event_id),
            )
            if after is not each.state:
                await events.advance(connection, event_id, each.state, after, reason, now)
                _log.info("event", event_id=event_id, state=after.value, before=each.state.value, reason=reason)
                changed = True
        return changed

    def _moments(
        self,
        stored: Mapping[str, StoredEvent],
        held: Mapping[str, Holding],
        waiting: Mapping[str, Command],
        now: datetime,
    ) -> Iterator[datetime | None]:
        """Yield the moments at which something is due: answers, ends of sheds, and what the events begin and end."""
        yield from outstanding_deadlines(waiting, self._listening_since(), self._policy.ack_timeout)
        yield from (holding.until for holding in held.values())
        yield from (self._planner.timeline(each).next_change(now) for each in stored.values())
