"""Curtail circuits as events ask: begin, keep and end stretches of curtailment, and report them.

A stretch is written to the store before anything is switched and keeps the powers it was planned from, so that a
process that was killed plans the same again and finds the limits in force already: nothing is shed twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

import structlog

from openadr_profiles.fleet.power import IMPORT_LIMIT, KINDS, PayloadNotUnderstood
from openadr_profiles.fleet.reports import ShedInterval, status_report, status_report_name
from openadr_profiles.v31 import Event, Held
from ven.events.agenda import Agenda
from ven.panel.curtailment import SheddingPlan, plan_shedding, sheddable_kw
from ven.panel.meter import Measurement, PowerReading, measure, power_of
from ven.panel.stretches import CurtailmentRun, WantedCurtailment, lowest_limits
from ven.panel.switchgear import Switchgear
from ven.records import Outcome, Stretch
from ven.reports.status import shed_interval
from ven.settings import VenSettings
from ven.store import StateFile

_log = structlog.get_logger(__name__)

_NOTHING: Final = Decimal(0)
_FINAL_WITHIN: Final = timedelta(hours=1)
"""A circuit that cannot be read so long after its return gets no final power."""
_LONGEST_STATUS: Final = 96
"""A status report lists the latest stretches, no more than these."""
_MOST_STRETCHES: Final = 500
"""So many stretches of one event are remembered."""


class Curtailer:
    """Keep the panel at what the events in force ask of it."""

    def __init__(
        self, settings: VenSettings, store: StateFile, panel: Switchgear, agenda: Agenda, *, hold: timedelta
    ) -> None:
        self._settings = settings
        self._store = store
        self._panel = panel
        self._agenda = agenda
        self._hold = hold
        self._settle = timedelta(seconds=settings.settle_s)
        self._refresh = timedelta(seconds=settings.status_s)
        self._runs: list[CurtailmentRun] = []
        self._baselines: dict[str, dict[str, Decimal]] = {}
        self._status_due: dict[str, datetime] = {}

    async def load(self, now: datetime) -> None:
        """Take up what is remembered; every event that was curtailed for gets a new status report."""
        self._baselines = await self._store.stretches.baselines()
        self._runs = [CurtailmentRun(stretch, outcomes) for stretch, outcomes in await self._store.stretches.all()]
        self._status_due = {run.stretch.event_id: now for run in self._runs if run.is_open or self._unfinal(run, now)}

    async def step(self, now: datetime, *, needed_from: datetime | None) -> None:
        """Freeze baselines, begin and end stretches, switch circuits, and have the changes reported.

        Readings since `needed_from` are wanted by others than us.
        """
        self._forget_removed()
        await self._freeze_baselines(now)
        wanted = self._wanted(now)
        limits = lowest_limits(wanted)
        switched = await self._panel.lift(limits)
        under_way = [run.stretch for run in self._runs if run.is_open]
        for want in wanted:
            if not any(want.is_carried_out_by(stretch) for stretch in under_way):
                await self._begin(want, now)
        switched = await self._panel.lower(limits) or switched
        for run in self._runs:
            if run.is_open and not any(want.is_carried_out_by(run.stretch) for want in wanted):
                await self._end(run, now)
        if switched:
            await self.keep(await self._panel.read(), needed_from=needed_from)
        await self._take_finals(now)
        await self._report(now)

    async def keep(self, sample: PowerReading | None, *, needed_from: datetime | None) -> None:
        """Keep a reading while stretches are open or, by `needed_from`, something else needs it."""
        starts = [run.stretch.start for run in self._runs if run.is_open]
        earliest = min([*starts, *([needed_from] if needed_from else [])], default=None)
        if sample is not None and earliest is not None:
            await self._store.readings.put(sample, keep_from=earliest - self._hold)

    def next_wake(self, now: datetime) -> datetime | None:
        """Return when a status report or a final reading is due next, apart from changes of events; None if never."""
        settled = [self._settled_at(run, circuit_id) for run in self._runs for circuit_id in self._unfinal(run, now)]
        return min((at for at in (*self._status_due.values(), *settled) if at > now), default=None)

    def is_done(self, event_id: str, now: datetime) -> bool:
        """Return True if nothing is left to be done for an event that is over."""
        mine = [run for run in self._runs if run.stretch.event_id == event_id]
        return not any(run.is_open or self._unfinal(run, now) for run in mine)

    def baseline_kw(self, event_id: str) -> Mapping[str, Decimal]:
        """Return the powers in kW that were frozen at the start of an event, by circuit id."""
        return self._baselines.get(event_id, {})

    def undisturbed_kw(self, now: datetime) -> dict[str, Decimal]:
        """Return the uncurtailed power of the circuits in kW; during a curtailment, their power from before it."""
        for run in reversed(self._runs):
            if run.is_open:
                return {each.circuit_id: each.original_kw for each in run.stretch.plan}
        return self._panel.undisturbed_kw(now)

    def was_curtailed(self, event_id: str, circuit_id: str, start: datetime, end: datetime | None) -> bool:
        """Return True if a circuit was limited for an event at any time of [start, end)."""
        return any(
            each.circuit_id == circuit_id and each.shed_kw > 0
            for run in self._runs
            if run.stretch.event_id == event_id
            and (end is None or run.stretch.start < end)
            and (run.stretch.ended_at is None or run.stretch.ended_at > start)
            for each in run.stretch.plan
        )

    def _forget_removed(self) -> None:
        self._runs = [run for run in self._runs if run.stretch.event_id in self._agenda]
        self._baselines = {id_: kw for id_, kw in self._baselines.items() if id_ in self._agenda}
        self._status_due = {id_: at for id_, at in self._status_due.items() if id_ in self._agenda}

    async def _freeze_baselines(self, now: datetime) -> None:
        """Freeze the baselines of events that begin: the power at the start, unaffected by the curtailment."""
        for event_id, timeline in self._agenda.timelines.items():
            if event_id in self._baselines or timeline.start > now or timeline.transpired(now):
                continue
            if self._agenda.concerns_us(timeline.event) and (kw := self.undisturbed_kw(now)):
                self._baselines[event_id] = kw
                await self._store.stretches.put_baseline(event_id, kw)

    def _wanted(self, now: datetime) -> list[WantedCurtailment]:
        wanted: list[WantedCurtailment] = []
        for payload_type, (event, held) in self._agenda.schedule.in_force(now, self._agenda.opted_in).items():
            if payload_type not in KINDS or event.id not in self._baselines:
                continue
            try:
                planned = self._plan(event, held)
            except PayloadNotUnderstood as error:
                _log.error("value of an event ignored", event_id=event.id, problem=str(error))
                continue
            if planned.requested_kw > 0:
                interval_id = held.window.interval_id or 0
                wanted.append(
                    WantedCurtailment(event.id, interval_id, payload_type, held.start, held.end, planned, held.unplaced)
                )
        return wanted

    def _plan(self, event: Event, held: Held) -> SheddingPlan:
        """Share out the reduction that the event asks for now over the circuits.

        A reduction is counted from the baseline, which does not move. A limit applies to the present power: the plan
        that is being carried out stays as long as it is needed and keeps the panel within the limit.
        """
        circuits, rules = self._panel.circuits, self._settings.shedding
        is_limit = held.payload_type == IMPORT_LIMIT
        original_kw = self._estimated_kw() if is_limit else self._baselines[event.id]
        requested_kw = self._agenda.context(event).requested_kw(
            held.payload_type,
            held.values,
            used_kw=sum(original_kw.values(), _NOTHING),
            sheddable_kw=sheddable_kw(circuits, original_kw),
        )
        drawn_kw = self._panel.last.total(self._panel.ids) if self._panel.last else None
        for run in self._runs if is_limit and requested_kw > 0 else ():
            stretch = run.stretch
            if run.is_open and (stretch.event_id, stretch.payload_type) == (event.id, held.payload_type):
                limit_kw = sum(original_kw.values(), _NOTHING) - requested_kw
                if drawn_kw is None or drawn_kw <= limit_kw + rules.tolerance_kw:
                    return SheddingPlan(stretch.requested_kw, stretch.plan, stretch.unmet_kw)
        return plan_shedding(circuits, original_kw, requested_kw, tolerance_kw=rules.tolerance_kw)

    def _estimated_kw(self) -> dict[str, Decimal]:
        """Return the uncurtailed power of the circuits in kW: as read, or for limited circuits as before the limit."""
        kw = dict(self._panel.last.kw) if self._panel.last else {}
        for run in self._runs:
            if run.is_open:
                kw |= {each.circuit_id: each.original_kw for each in run.stretch.plan if each.shed_kw > 0}
        return kw

    async def _begin(self, want: WantedCurtailment, now: datetime) -> None:
        stretch = await self._store.stretches.begin(
            event_id=want.event_id,
            interval_id=want.interval_id,
            payload_type=want.payload_type,
            start=want.start if now - want.start <= self._hold else now,
            end=want.end,
            plan=want.plan,
        )
        self._runs.append(CurtailmentRun(stretch, {each.circuit_id: Outcome() for each in stretch.plan}))
        await self._drop_old(want.event_id, now)
        self._status_due[want.event_id] = now
        _log.info(
            "curtailment begins",
            event_id=want.event_id,
            interval=want.interval_id,
            requested_kw=str(want.plan.requested_kw),
            shed_kw=str(want.plan.shed_kw),
            unmet_kw=str(want.plan.unmet_kw),
        )
        if want.unplaced:
            _log.warning("values without a time of their own ignored", event_id=want.event_id, count=want.unplaced)

    async def _drop_old(self, event_id: str, now: datetime) -> None:
        """Forget all but the latest stretches of an event that repeats without end."""
        mine = [run for run in self._runs if run.stretch.event_id == event_id]
        old = [run for run in mine[:-_MOST_STRETCHES] if not run.is_open and not self._unfinal(run, now)]
        if old:
            await self._store.stretches.forget([run.stretch.id for run in old])
            self._runs = [run for run in self._runs if run not in old]

    async def _end(self, run: CurtailmentRun, now: datetime) -> None:
        stretch = run.stretch
        ended_at = now if stretch.end is None or now - stretch.end > self._hold else min(stretch.end, now)
        ended_at = max(ended_at, stretch.start)
        curtailed = {id_: measured.mean_kw for id_, measured in (await self._measure(stretch, ended_at)).items()}
        await self._store.stretches.end(stretch.id, ended_at, curtailed)
        run.stretch = replace(stretch, ended_at=ended_at)
        run.outcomes = {id_: replace(run.outcomes[id_], curtailed_kw=curtailed.get(id_)) for id_ in run.outcomes}
        self._status_due[stretch.event_id] = now
        _log.info("curtailment ends", event_id=stretch.event_id, interval=stretch.interval_id)

    async def _measure(self, stretch: Stretch, until: datetime) -> dict[str, Measurement]:
        samples = await self._store.readings.between(stretch.start, until, hold=self._hold)
        found = {
            each.circuit_id: measure(samples, stretch.start, until, power=power_of(each.circuit_id), hold=self._hold)
            for each in stretch.plan
        }
        return {id_: measured for id_, measured in found.items() if measured is not None}

    def _unfinal(self, run: CurtailmentRun, now: datetime) -> list[str]:
        """Return the circuits of an ended stretch whose power after it is not known yet, but may be."""
        ended_at = run.stretch.ended_at
        if ended_at is None:
            return []
        unknown = [id_ for id_, outcome in run.outcomes.items() if outcome.final_kw is None]
        return [id_ for id_ in unknown if id_ in self._panel.limits or now < self._settled_at(run, id_) + _FINAL_WITHIN]

    def _settled_at(self, run: CurtailmentRun, circuit_id: str) -> datetime:
        ended_at = run.stretch.ended_at or run.stretch.start
        return max(ended_at, self._panel.lifted_at.get(circuit_id, ended_at)) + self._settle

    async def _take_finals(self, now: datetime) -> None:
        latest = self._panel.last
        for run in self._runs:
            finals = {
                id_: latest.kw[id_]
                for id_ in self._unfinal(run, now)
                if latest is not None
                and id_ not in self._panel.limits
                and id_ in latest.kw
                and latest.at >= self._settled_at(run, id_)
            }
            if finals:
                await self._store.stretches.put_finals(run.stretch.id, finals)
                run.outcomes |= {id_: replace(run.outcomes[id_], final_kw=kw) for id_, kw in finals.items()}
                self._status_due[run.stretch.event_id] = now

    async def _report(self, now: datetime) -> None:
        for event_id, due in list(self._status_due.items()):
            if due > now:
                continue
            mine = [run for run in self._runs if run.stretch.event_id == event_id]
            intervals = [await self._interval(run, now) for run in mine[-_LONGEST_STATUS:]]
            report = status_report(event_id=event_id, client_name=self._settings.reported_as, intervals=intervals)
            await self._agenda.put_report(report, status_report_name(event_id))
            if any(run.is_open for run in mine):
                self._status_due[event_id] = now + self._refresh
            else:
                del self._status_due[event_id]

    async def _interval(self, run: CurtailmentRun, now: datetime) -> ShedInterval:
        stretch = run.stretch
        power_kw = {id_: outcome.curtailed_kw for id_, outcome in run.outcomes.items()}
        if run.is_open:
            measured = await self._measure(stretch, now)
            latest = self._panel.last.kw if self._panel.last else {}
            power_kw = {id_: measured[id_].mean_kw if id_ in measured else latest.get(id_) for id_ in power_kw}
        return shed_interval(run, power_kw)
