"""A day of business logic: events are made, lengthened, shortened, changed and deleted, while panels come and go."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

import msgspec

from openadr_profiles.v31 import (
    Duration,
    EventPayloadDescriptor,
    EventRequest,
    Interval,
    IntervalPeriod,
    ReportDescriptor,
    Start,
    ValuesMap,
)
from tests.e2e.bridge_ledger.place import Place

_RELATIVE: Final = "DISPATCH_SETPOINT_RELATIVE"
_AWAY_S: Final = (0.2, 2.0)
_MOST_OPEN: Final = 6


@dataclass
class Made:
    """An event as it was last stored, and its end."""

    request: EventRequest
    end: datetime


@dataclass
class Day:
    """Business logic and the owners of panels. ``made``: all events by id; ``deleted``: the ids of those that went."""

    place: Place
    chance: random.Random
    made: dict[str, Made] = field(default_factory=dict)
    deleted: set[str] = field(default_factory=set)

    async def go_on(self) -> None:
        """Do one thing."""
        things: dict[Callable[[], Awaitable[None]], int] = {
            self._create: 6,
            self._change: 3,
            self._delete: 1,
            self._panel: 2,
        }
        await self.chance.choices(list(things), list(things.values()))[0]()

    async def end(self) -> None:
        """Let all panels be there, and end what goes on: half of it is deleted, the rest is over in a minute."""
        for panel in self.place.panels:
            panel.plug_in()
        for event_id in self._open():
            if self.chance.random() < 0.5:
                await self._remove(event_id)
            else:
                await self._put(event_id, length_s=30)

    def _open(self) -> list[str]:
        now = self.place.clock.now()
        return [id_ for id_, made in self.made.items() if id_ not in self.deleted and made.end > now]

    async def _create(self) -> None:
        if len(self._open()) < _MOST_OPEN:
            made = self._new(self.chance.choice([60, 120, 300, 600]))
            self.made[(await self.place.operator.events.create(made.request)).id] = made

    async def _change(self) -> None:
        if open_ := self._open():
            await self._put(self.chance.choice(open_), length_s=self.chance.choice([60, 240, 600]))

    async def _delete(self) -> None:
        if open_ := self._open():
            await self._remove(self.chance.choice(open_))

    async def _panel(self) -> None:
        panel = self.chance.choice(self.place.panels)
        if self.chance.random() < 0.3:
            panel.crash()
            return
        panel.unplug()
        asyncio.get_running_loop().call_later(self.chance.uniform(*_AWAY_S), panel.plug_in)

    async def _put(self, event_id: str, *, length_s: float) -> None:
        """Change an event: its time, and half of the time its amounts, too."""
        made, old = self._new(length_s), self.made[event_id].request
        if self.chance.random() < 0.5:
            count = len(old.intervals or ())
            made = self._new(length_s, count)
            made.request = msgspec.structs.replace(made.request, intervals=old.intervals)
        await self.place.operator.events.replace(event_id, made.request)
        self.made[event_id] = made

    async def _remove(self, event_id: str) -> None:
        await self.place.operator.events.delete(event_id)
        self.deleted.add(event_id)

    def _new(self, length_s: float, intervals: int | None = None) -> Made:
        start = self.place.clock.now() + timedelta(seconds=self.chance.uniform(-20, 30))
        length = timedelta(seconds=length_s)
        values = [self.chance.choice([6.0, 20.0, 60.0]) for _ in range(intervals or self.chance.choice([1, 1, 2]))]
        request = EventRequest(
            program_id=self.place.program_id,
            priority=self.chance.choice([None, 1, 2]),
            interval_period=IntervalPeriod(start=Start.of(start), duration=Duration.of(length)),
            intervals=tuple(
                Interval(id=number, payloads=(ValuesMap(type=_RELATIVE, values=(-value,)),))
                for number, value in enumerate(values)
            ),
            payload_descriptors=(EventPayloadDescriptor(payload_type=_RELATIVE, units="KW"),),
            report_descriptors=(ReportDescriptor(payload_type="USAGE", reading_type="DIRECT_READ", units="KWH"),),
            targets=("group:all",),
        )
        return Made(request, start + length * len(values))
