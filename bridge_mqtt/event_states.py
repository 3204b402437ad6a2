"""The events with which something may still happen: read when they may have changed, and their states advanced."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from bridge_mqtt.book import Book
from bridge_mqtt.decisions import next_state
from bridge_mqtt.due_times import DueTimes
from bridge_mqtt.model import EventState
from bridge_mqtt.planner import Planned, Planner
from bridge_mqtt.store import events
from bridge_mqtt.store.events import StoredEvent

_log = structlog.get_logger(__name__)


class EventStates:
    """Open events in memory, with the next moment at which each begins, changes or ends."""

    def __init__(self, planner: Planner, book: Book) -> None:
        self._planner = planner
        self._book = book
        self.open: dict[str, StoredEvent] = {}
        self._unreadable: dict[str, str] = {}
        self._boundaries = DueTimes()

    @property
    def usable(self) -> Mapping[str, StoredEvent]:
        """Return the open events that can be placed in time; the others fail, each alone."""
        return {event_id: each for event_id, each in self.open.items() if event_id not in self._unreadable}

    @property
    def next_boundary(self) -> datetime | None:
        """Return the next moment at which an event begins, changes or ends."""
        return self._boundaries.first

    async def read(self, connection: AsyncConnection, now: datetime) -> None:
        """Read the open events anew."""
        gone = set(self.open)
        self.open = await events.open_(connection)
        self._unreadable = {}
        for event_id, each in self.open.items():
            try:
                self._boundaries.put(event_id, self._planner.timeline(each).next_change(now))
            except Exception as error:
                self._unreadable[event_id] = f"cannot be placed in time: {type(error).__name__}: {error}"[:500]
                _log.exception("event cannot be placed in time", event_id=event_id)
        for event_id in gone - set(self.open):
            self._boundaries.put(event_id, None)
        self._planner.forget(self.open)

    def pass_boundaries(self, now: datetime) -> None:
        """Set the next boundary of each event whose last has come."""
        for event_id in self._boundaries.take_due(now):
            if (each := self.usable.get(event_id)) is not None:
                self._boundaries.put(event_id, self._planner.timeline(each).next_change(now))

    async def advance(
        self, connection: AsyncConnection, planned: Planned, event_ids: Collection[str], now: datetime
    ) -> dict[str, StoredEvent]:
        """Advance the states of some events and return those that have changed, for ``enter`` after the commit.

        An event is over once no panel holds it.
        """
        changed = {}
        for event_id in event_ids:
            each = self.open.get(event_id)
            if each is None:
                continue
            after, reason = self._next_state(each, planned, now)
            if after is EventState.COMPLETED and not await events.was_carried_out(connection, event_id):
                after, reason = EventState.MISSED, await events.why_missed(connection, event_id, each.received_at)
            if after is not each.state:
                await events.advance(connection, event_id, each.state, after, reason, now)
                _log.info("event", event_id=event_id, state=after.value, before=each.state.value, reason=reason)
                changed[event_id] = replace(each, state=after, reason=reason)
        return changed

    def enter(self, changed: Mapping[str, StoredEvent]) -> None:
        """Take over what has been committed."""
        for event_id, each in changed.items():
            if each.state.is_final:
                self.open.pop(event_id, None)
                self._boundaries.put(event_id, None)
            else:
                self.open[event_id] = each

    def _next_state(self, each: StoredEvent, planned: Planned, now: datetime) -> tuple[EventState, str | None]:
        event_id = each.event.id
        held = self._book.holds(event_id)
        withdrawn = each.withdrawn_at is not None
        if (problem := self._unreadable.get(event_id)) is not None:
            return next_state(
                each.state,
                each.reason,
                over=False,
                withdrawn=withdrawn,
                cancelled=False,
                begun=False,
                held=held,
                unusable=problem,
            )
        timeline = self._planner.timeline(each)
        return next_state(
            each.state,
            each.reason,
            over=timeline.transpired(now),
            withdrawn=withdrawn,
            cancelled=timeline.cancelled,
            begun=timeline.start <= now and planned.taking_part.get(event_id, 0) > 0,
            held=held,
            unusable=planned.unusable.get(event_id),
        )
