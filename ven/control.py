"""Do what a VEN does without the network: decide, curtail, restore, measure, and write reports.

`Control.step` does all that is to be done now and says when it wants to be called again. It begins from what the store
and the driver say, so that a process that was killed goes on where it was.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial

from openadr_client import Clock
from openadr_profiles.fleet.power import SIMPLE
from openadr_profiles.v31 import DueReport, Event, Program, Resource
from ven.drivers import Driver
from ven.events.agenda import Agenda
from ven.panel.curtailer import Curtailer
from ven.panel.switchgear import Switchgear
from ven.reports.queue import ReportQueue
from ven.reports.requested import Facts, build, report_name
from ven.settings import VenSettings
from ven.store import StateFile


class Control:
    """Be the device side of a VEN. Its calls must not overlap: the agent holds a lock around each."""

    def __init__(self, settings: VenSettings, *, store: StateFile, driver: Driver, clock: Clock) -> None:
        hold = timedelta(seconds=3 * settings.sample_s)
        self._settings = settings
        self._store = store
        self._clock = clock
        self._hold = hold
        self.sample = timedelta(seconds=settings.sample_s)
        self._targets: dict[str, Sequence[str]] = {}
        self._queue = ReportQueue()
        self.panel = Switchgear(settings.circuits, driver, clock, baseline_s=settings.baseline_s, hold=hold)
        self.agenda = Agenda(settings, store)
        self.curtailer = Curtailer(settings, store, self.panel, self.agenda, hold=hold)

    async def load(self) -> None:
        """Take up what is remembered. Call before anything else, and again when memory may differ from the store."""
        now = self._clock.now()
        await self.panel.read()
        await self.agenda.load(now, self._power_kw())
        await self.curtailer.load(now)

    async def restore(self) -> None:
        """Let all circuits return, because nobody will look after them any more; whatever fails is logged."""
        await self.panel.restore()

    @property
    def is_idle(self) -> bool:
        """Return True if there is no event to follow and no limit in force."""
        return not self.agenda.timelines and not self.panel.limits

    async def step(self) -> datetime:
        """Do what is due now; returns when to be called again, at the latest."""
        now = self._clock.now()
        timelines = self.agenda.timelines
        self._queue.set(timelines, {id_: self.agenda.received(id_).first_received for id_ in timelines})
        needed_from = self._queue.readings_needed_from(now)
        await self.curtailer.keep(await self.panel.read(), needed_from=needed_from)
        await self.curtailer.step(now, needed_from=needed_from)
        for event_id, group in list(self._queue.take(now)):
            await self._build(event_id, group, now)
        await self._forget_finished(now)
        wakes = (
            now + self.sample,
            self.agenda.schedule.next_change(now),
            self.curtailer.next_wake(now),
            self._queue.next_due,
        )
        return min(wake for wake in wakes if wake is not None)

    async def take_programs(self, programs: Iterable[Program]) -> None:
        """Learn the programs that the VTN shows."""
        await self.agenda.take_programs(programs)

    async def take_events(self, found: Iterable[Event], broken: Collection[str | None] = ()) -> tuple[str, ...]:
        """Learn the events that the VTN shows; returns the ids of known ones that it does not show."""
        return await self.agenda.take_events(found, broken=broken, now=self._clock.now(), power_kw=self._power_kw())

    def take_resources(self, resources: Iterable[Resource]) -> None:
        """Learn which targets our resources have, for reports that ask for some of them only (RDESC-017)."""
        self._targets = {resource.resource_name: resource.targets or () for resource in resources}

    async def remove(self, event_id: str) -> None:
        """Remove a deleted event: circuits return at the next step, reports are not sent any more (RDESC-022)."""
        await self.agenda.remove(event_id)

    def _power_kw(self) -> Decimal | None:
        return self.panel.last.total(self.panel.ids) if self.panel.last else None

    async def _build(self, event_id: str, group: Sequence[DueReport], now: datetime) -> None:
        apart = [await self._store.reports.has(report_name((report,))) for report in group]
        if all(apart) or await self._store.reports.has(report_name(group)):
            return
        timeline = self.agenda.timelines[event_id]

        def level(at: datetime) -> int:
            held = timeline.values_at(at).get(SIMPLE)
            value = held.values[0] if held and held.values else 0
            return int(value) if isinstance(value, int | float) else 0

        facts = Facts(
            event_id=event_id,
            client_name=self._settings.reported_as,
            circuits=self._settings.circuits,
            targets=self._targets,
            baseline_kw=self.curtailer.baseline_kw(event_id),
            expected_kw=self.curtailer.undisturbed_kw(now),
            opted_out=not self.agenda.decision(event_id).opted_in,
            hold=self._hold,
            samples=partial(self._store.readings.between, hold=self._hold),
            curtailed=partial(self.curtailer.was_curtailed, event_id),
            level=level,
        )
        for name, request in await build(group, facts):
            await self.agenda.put_report(request, name)

    async def _forget_finished(self, now: datetime) -> None:
        """Forget events that are over and have nothing left to do, measure or send."""
        over = [id_ for id_, timeline in self.agenda.timelines.items() if timeline.transpired(now)]
        done = [id_ for id_ in over if self._queue.is_done(id_) and self.curtailer.is_done(id_, now)]
        if done:
            waiting = {report.event_id for report in await self._store.reports.unsent()}
            for event_id in (id_ for id_ in done if id_ not in waiting):
                await self.agenda.remove(event_id)
