"""Do what a VEN does without the network: decide, curtail, restore, measure, and write reports.

`Control.step` does all that is to be done now and says when it wants to be called again. It begins from what the store
and the driver say, so that a process that was killed goes on where it was.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from openadr_client import Clock
from openadr_profiles.v31 import Event, Program, Resource
from ven.drivers import Driver
from ven.events.agenda import Agenda
from ven.loops import within
from ven.panel.curtailer import Curtailer
from ven.panel.day_history import DayHistory
from ven.panel.meter import PowerReading
from ven.panel.power_trace import PowerTrace
from ven.panel.switchgear import LimitGuard, Switchgear
from ven.reports.reporter import RequestedReporter
from ven.settings import VenSettings
from ven.store import StateFile
from ven.store.journal import FLUSH_WITHIN_S, Journal
from ven.troubles import Troubles

_DISK_LEFT_ALONE_S: Final = 60.0
_READING_ENDS_WITHIN_S: Final = 1.0
_QUICK_WITHIN_S: Final = 0.25
"""Real seconds that a quick panel has for a reading at a foreseen change or at news, before it counts as hanging."""
_SWITCHING: Final = ("changes of events", "changes of decisions", "limits of time")
"""Tell what circuits are switched for at a moment known before. Returns in turn are not: they are spread over time."""


class Control:
    """Be the device side of a VEN. Its calls must not overlap: the agent holds a lock around each.

    ``told`` is set by whoever has brought something new, and when a step is due before the moment that the last one
    named; a step clears it. A slow reading is not waited for then.
    """

    def __init__(
        self,
        settings: VenSettings,
        *,
        store: StateFile,
        driver: Driver,
        clock: Clock,
        guard: LimitGuard | None = None,
        told: asyncio.Event | None = None,
    ) -> None:
        hold = timedelta(seconds=3 * settings.sample_s)
        self._settings = settings
        self._store = store
        self._clock = clock
        self.sample = timedelta(seconds=settings.sample_s)
        self._troubles = Troubles()
        self._forget_from_s = 0.0
        self._told = told or asyncio.Event()
        self._reading: asyncio.Task[PowerReading | None] | None = None
        self._began_s = 0.0
        self._is_outdated = False
        self._is_settled = True
        self._foreseen: datetime | None = None
        self.panel = Switchgear(
            settings.circuits,
            driver,
            clock,
            store.own_limits,
            baseline_s=settings.baseline_s,
            hold=hold,
            expiry=settings.expiry,
            deadline_s=settings.driver.deadline_s,
            spread=timedelta(seconds=settings.safety.return_spread_s),
            guard=guard,
            again=self._told.set,
        )
        self.agenda = Agenda(settings, store)
        self._history = _history_of(settings, hold)
        self.trace = None if settings.local.port is None else PowerTrace(self.panel.ids, hold=hold)
        """Hold the power of the last days, for those who look at this VEN; without a local API nobody can."""
        self.curtailer = Curtailer(
            settings, store, self.panel, self.agenda, hold=hold, monotonic_s=clock.monotonic_s, history=self._history
        )
        self.reporter = RequestedReporter(settings, store, self.panel, self.agenda, self.curtailer, hold=hold)

    async def load(self) -> None:
        """Take up what is remembered. Call once, before anything else: from then on memory is the truth."""
        now = self._clock.now()
        await self.panel.load()
        await self.panel.read()
        await self.agenda.load(now, self._power_kw())
        await self.curtailer.load(now)
        await self.reporter.load(now)
        if self._history is not None:
            self._history.load(await self._store.day_history.all())
        if self.trace is not None:
            self.trace.load(await self._store.power_trace.all())

    async def restore(self) -> None:
        """Let all circuits return, because nobody will look after them any more; whatever fails is logged."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait({self._reading}, timeout=_READING_ENDS_WITHIN_S)
        await self.panel.restore()

    @property
    def is_idle(self) -> bool:
        """Return True if there is no event to follow and no limit in force."""
        return not self.agenda.timelines and not self.panel.limits

    @property
    def journal(self) -> Journal:
        """Return the journal of what is yet to be written."""
        return self._store.journal

    @property
    def problems(self) -> dict[str, str]:
        """Return what goes wrong now, by its name."""
        journal = {"state file": problem} if (problem := self.journal.problem) is not None else {}
        return journal | self._troubles.now | self.curtailer.problems | self.panel.problems

    async def read(self) -> None:
        """Read the circuits for the next step; may be called while other calls are under way.

        A reading that takes long is not waited for at a foreseen change of an event, or when there is something new:
        `step` then acts on the one before, so that circuits are switched at the second of their event.
        """
        while True:
            if self._reading is None:
                self._began_s = self._clock.monotonic_s()
                if self._patience_s() == 0:
                    return
                self._reading = asyncio.create_task(self.panel.read(), name="reading")
            await self._wait_for(self._reading)
            if not self._reading.done() or not self._is_outdated:
                return
            self._reading, self._is_outdated = None, False

    async def _wait_for(self, reading: asyncio.Task[PowerReading | None]) -> None:
        """Wait for a reading, for as long as it can be waited for; news may shorten that meanwhile."""
        if not self._told.is_set():
            told = asyncio.create_task(self._told.wait(), name="news during a reading")
            try:
                await asyncio.wait({reading, told}, timeout=self._patience_s(), return_when=asyncio.FIRST_COMPLETED)
            finally:
                told.cancel()
        if self._told.is_set():
            await asyncio.wait({reading}, timeout=self._patience_s())

    def _patience_s(self) -> float | None:
        """Return for how many real seconds a reading can be waited for; None if as long as it takes.

        That is if no change is foreseen and there is nothing new, or if the last one is too old to act on: what the
        owner has switched since is not known. A panel that was quick at the last reading has a moment at least.
        """
        now, last = self._clock.now(), self.panel.last
        due = now if self._told.is_set() else self._foreseen
        if due is None or last is None or now - last.at > self.sample + 2 * self.panel.read_takes:
            return None
        left_s = max((due - now).total_seconds(), 0.0) / self._clock.speed
        if self.panel.is_slow:
            return left_s
        taken_s = (self._clock.monotonic_s() - self._began_s) / self._clock.speed
        return max(left_s, _QUICK_WITHIN_S - taken_s)

    async def step(self) -> datetime:
        """Do what is due now; returns when to be called again, at the latest.

        A step that came before its reading leaves reports to the next one, which is due at once.
        """
        await self.read()
        self._told.clear()
        now = self._clock.now()
        reading = None
        is_read = self._reading is not None and self._reading.done()
        if is_read:
            with self._troubles.alone("reading"):
                reading = self._take_reading()
                now = now if reading is None else min(now, reading.at)
                self.curtailer.take(reading)
                self.reporter.take(reading, now)
                if reading is not None:
                    self._remember(reading)
        with self._troubles.alone("decisions"):
            self.agenda.review(now)
        is_settled = is_read and self._is_settled
        self._is_settled = self._is_settled or is_read
        self._is_outdated = self._reading is not None  # it began before what is switched now
        if await self.curtailer.step(now, is_settled=is_settled, is_being_read=self._is_outdated):
            self._is_settled = False
        if is_read:
            self._trace_power()
            with self._troubles.alone("reports of decisions"):
                await self.agenda.report(self._power_kw())
            await self.reporter.step(now)
            with self._troubles.alone("events that are over"):
                await self._forget_finished(now)
        await self._store.journal.flush()
        wake = self._next_wake(now)
        return wake if is_read and self._is_settled else now

    def _take_reading(self) -> PowerReading | None:
        """Return the reading that has ended; None if it could not be made."""
        task, self._reading = self._reading, None
        return None if task is None or task.cancelled() else task.result()

    def _next_wake(self, now: datetime) -> datetime:
        """Return when there is something to do again: at the latest after `sample`, whatever cannot be told."""
        asked: Mapping[str, Callable[[], datetime | None]] = {
            "changes of events": lambda: self.agenda.schedule.next_change(now),
            "changes of decisions": self.agenda.next_wake,
            "limits of time": lambda: self.curtailer.next_switching(now),
            "changes of curtailment": lambda: self.curtailer.next_wake(now),
            "returns of circuits": lambda: self.panel.next_wake(now),
            "due reports": lambda: self.reporter.next_due,
        }
        wakes = [now + self.sample]
        foreseen: list[datetime] = []
        for what, ask in asked.items():
            with self._troubles.alone(f"time of {what}"):
                if (at := ask()) is not None:
                    wakes.append(at)
                    foreseen += [at] if what in _SWITCHING and at > now else []
        self._foreseen = min(foreseen, default=None)
        if self._foreseen is not None and self.panel.is_slow:
            before = self._foreseen - 2 * self.panel.read_takes  # what the owner has switched is to be known by then
            wakes += [before] if before > now else []
        return min(wakes)

    def heard(self) -> bool:
        """Remember that the VTN has answered; True if that ends a limit for a lost link."""
        return self.curtailer.link.heard(self._clock.now())

    def _remember(self, reading: PowerReading) -> None:
        """Keep what the circuits draw in each hour, if baselines are made of earlier days."""
        history = self._history
        if history is None:
            return
        with self._troubles.alone("the history of days"):
            for start, kw in history.take(reading, self.panel.limits):
                self._store.day_history.put(start, kw, keep_from=history.earliest or start)

    def _trace_power(self) -> None:
        """Keep what the panel draws after what was switched, and what it should draw, for those who look at it."""
        trace, last = self.trace, self.panel.last
        if trace is None or last is None:
            return
        with self._troubles.alone("the trace of power"):
            for start, packed in trace.take(last, self.curtailer.target_kw()):
                self._store.power_trace.put(start, packed, keep_from=trace.earliest or start)

    async def take_programs(self, programs: Iterable[Program], broken: Collection[str | None] = ()) -> None:
        """Learn the programs that the VTN shows; `broken` are the ids of those that cannot be read."""
        await self.agenda.take_programs(programs, broken=broken)

    async def foresee(self, found: Iterable[Event]) -> None:
        """Do the work for events that `take_events` will take; may be called while a step is under way."""
        await self.agenda.foresee(found, self._clock.now())

    async def take_events(self, found: Iterable[Event], broken: Collection[str | None] = ()) -> tuple[str, ...]:
        """Learn the events that the VTN shows; returns the ids of known ones that it does not show."""
        return await self.agenda.take_events(found, broken=broken, now=self._clock.now(), power_kw=self._power_kw())

    def take_resources(self, resources: Iterable[Resource]) -> None:
        """Learn which targets our resources have, for reports that ask for some of them only (RDESC-017)."""
        self.reporter.take_resources(resources)

    async def remove(self, event_id: str) -> None:
        """Remove a deleted event: circuits return at the next step, reports are not sent any more (RDESC-022)."""
        await self.agenda.remove(event_id, self._clock.now())

    def _power_kw(self) -> Decimal | None:
        return self.panel.last.total(self.panel.ids) if self.panel.last else None

    async def _forget_finished(self, now: datetime) -> None:
        """Forget events that are over and have nothing left to do, measure or send.

        That waits for a disk which answers; one that does not is asked again after a while.
        """
        if self._store.journal.problem is not None or self._clock.monotonic_s() < self._forget_from_s:
            return
        over = [id_ for id_, timeline in self.agenda.timelines.items() if timeline.transpired(now)]
        done = [id_ for id_ in over if self.reporter.is_done(id_) and self.curtailer.is_done(id_, now)]
        if done:
            self._forget_from_s = self._clock.monotonic_s() + _DISK_LEFT_ALONE_S
            async with within(FLUSH_WITHIN_S, "reading the state file"):
                unsent = await self._store.reports.waiting_for()
            self._forget_from_s = 0.0
            waiting = unsent | {about for about, *_ in self._store.journal.pending}
            for event_id in (id_ for id_ in done if id_ not in waiting):
                await self.agenda.remove(event_id, now)


def _history_of(settings: VenSettings, hold: timedelta) -> DayHistory | None:
    rules = settings.baseline
    if rules.method != "x_of_y":
        return None
    ids = [circuit.id for circuit in settings.circuits]
    return DayHistory(ids, x=rules.x, y=rules.y, zone=settings.opt.timezone, hold=hold)
