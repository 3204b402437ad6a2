"""Curtail circuits as events ask: begin, keep and end stretches of curtailment, and report them.

What is to be done is computed from memory alone. Circuits that may return do so first; then the changes are written,
and whether or not that succeeds, the others are limited. A stretch keeps the powers it was planned from, so that a
process that was killed plans the same again and finds the limits in force already: nothing is shed twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

import structlog

from openadr_profiles.fleet.reports import status_report, status_report_name
from openadr_profiles.v31 import Timeline
from ven.events.agenda import Agenda
from ven.panel.constraints import Restrictions, SwitchingTimes
from ven.panel.curtailment import SheddingPlan
from ven.panel.day_history import DayHistory
from ven.panel.lost_link import LostLink
from ven.panel.meter import PowerReading
from ven.panel.ownership import CircuitLimit, both
from ven.panel.stretches import FOLLOWING_LOAD, CurtailmentRun, joined
from ven.panel.switchgear import Switchgear
from ven.panel.wanted import (
    PanelSituation,
    Trouble,
    WantedCurtailment,
    as_promised,
    asks_in_force,
    corrected_kw,
    lowest_limits,
    plan_of,
    want,
)
from ven.reports.status import circuit_opts, most_intervals, shed_interval
from ven.settings import VenSettings
from ven.store import StateFile
from ven.troubles import Troubles

_log = structlog.get_logger(__name__)

_FINAL_WITHIN: Final = timedelta(hours=1)
"""A circuit that cannot be read so long after its return gets no final power."""
_CORRECTED_AFTER: Final = timedelta(seconds=60)
"""The net delivery is looked at over so long, or three readings if that is longer, before a plan is corrected."""


class Curtailer:
    """Keep the panel at what the events in force ask of it."""

    def __init__(
        self,
        settings: VenSettings,
        store: StateFile,
        panel: Switchgear,
        agenda: Agenda,
        *,
        hold: timedelta,
        monotonic_s: Callable[[], float],
        history: DayHistory | None = None,
    ) -> None:
        self._settings = settings
        self._store = store
        self._panel = panel
        self._agenda = agenda
        self._hold = hold
        self._history = history
        self._settles = timedelta(seconds=settings.settle_s)
        self._refresh = timedelta(seconds=settings.status_s)
        self._first_means = timedelta(seconds=min(settings.status_s, 2 * settings.sample_s))
        self._look = max(_CORRECTED_AFTER, hold)
        self._most = most_intervals(len(settings.circuits))
        self._runs: list[CurtailmentRun] = []
        self._next_id = 1
        self._baselines: dict[str, dict[str, Decimal]] = {}
        self._status_due: dict[str, datetime] = {}
        self._reading: PowerReading | None = None
        self._times = SwitchingTimes(settings.circuits)
        self._sheddable = frozenset(circuit.id for circuit in settings.circuits if circuit.may_be_shed)
        self._troubles = Troubles()
        self.link = LostLink(settings.safety, store.link, monotonic_s=monotonic_s)

    async def load(self, now: datetime) -> None:
        """Take up what is remembered; every event that was curtailed for gets a new status report."""
        await self.link.load(now)
        self._baselines = await self._store.stretches.baselines()
        self._runs = await self._store.stretches.all()
        self._next_id = max((run.stretch.id for run in self._runs), default=0) + 1
        self._status_due = {run.stretch.event_id: now for run in self._runs if run.is_open or self._unfinal(run, now)}
        self._times.remember(
            (each.circuit_id, run.stretch.start, run.stretch.ended_at)
            for run in self._runs
            for each in run.stretch.plan
            if each.shed_kw > 0
        )

    def take(self, reading: PowerReading | None) -> None:
        """Take a reading: the one before it held until now."""
        if reading is None:
            return
        before, self._reading = self._reading, reading
        for run in self._runs:
            if run.is_open and before is not None:
                run.add(before, reading.at, baseline_kw=self.baseline_kw(run.stretch.event_id), hold=self._hold)

    async def step(self, now: datetime, *, is_settled: bool = True, is_being_read: bool = False) -> bool:
        """Do what is due: circuits return, then changes are written, then circuits are limited, then it is reported.

        Whatever fails is logged and keeps nothing else from being done. ``is_settled`` tells whether the last reading
        shows what was switched before, ``is_being_read`` whether another is under way. Return True if any circuit was
        switched and is yet to be read after that.
        """
        limits = self._limits(now, is_settled=is_settled)
        switched = False
        with self._troubles.alone("returning circuits"):
            switched = await self._panel.lift(limits)
        with self._troubles.alone("recording limits"):
            self._panel.intend(limits)
        await self._store.journal.flush()
        with self._troubles.alone("limiting circuits"):
            switched = await self._panel.lower(limits) or switched
        is_to_be_read = switched and (is_being_read or self._panel.is_slow)
        if switched and not is_to_be_read:
            with self._troubles.alone("reading after switching"):
                self.take(await self._panel.read())
                self._panel.judge_switching()
        with self._troubles.alone("final powers"):
            self._take_finals(now)
        with self._troubles.alone("times between switching"):
            self._times.note(self._panel.limits, now)
        await self._report(now)
        return is_to_be_read

    @property
    def problems(self) -> dict[str, str]:
        """Return what goes wrong now, by its name."""
        return self._troubles.now

    def plans(self) -> dict[str, SheddingPlan]:
        """Return the plans in force, by event id; of several of one event the newest."""
        return {run.stretch.event_id: plan_of(run.stretch) for run in self._runs if run.is_open}

    def target_kw(self) -> Decimal | None:
        """Return the most in kW that the whole panel should draw now, by events or while the link is lost.

        None if nothing says so, or if what the circuits would draw without it is not known. It is below 0 only where
        something can be fed in.
        """
        ids = frozenset(self._panel.ids)
        found = [self.link_limit_kw]
        for run in self._runs:
            stretch = run.stretch
            if not run.is_open or stretch.requested_kw <= 0 or any(each.is_fed_in for each in stretch.plan):
                continue
            if stretch.payload_type in FOLLOWING_LOAD:
                before_kw: Mapping[str, Decimal] = {each.circuit_id: each.original_kw for each in stretch.plan}
            else:
                before_kw = self.baseline_kw(stretch.event_id)
            if ids <= before_kw.keys():
                found.append(sum((before_kw[id_] for id_ in ids), Decimal(0)) - stretch.requested_kw)
        target_kw = min((kw for kw in found if kw is not None), default=None)
        if target_kw is None or any(circuit.export_kw > 0 for circuit in self._settings.circuits):
            return target_kw
        return max(target_kw, Decimal(0))

    @property
    def link_limit_kw(self) -> Decimal | None:
        """Return the most in kW that the panel may draw while the VTN is not heard; None if nothing says so."""
        return self._settings.safety.limit_kw if self.link.is_limiting else None

    def restrictions(self, now: datetime) -> Restrictions:
        """Return which circuits may not be switched now, because of how long they were off or on."""
        return self._times.restrictions(now)

    def next_wake(self, now: datetime) -> datetime | None:
        """Return when something is due to be measured or reported next; None if never."""
        settled = [self._settled_at(run, circuit_id) for run in self._runs for circuit_id in self._unfinal(run, now)]
        due = [*self._status_due.values(), *settled]
        return min((at for at in due if at > now), default=None)

    def next_switching(self, now: datetime) -> datetime | None:
        """Return when to switch next for a lost link, or for how long circuits may be off; None if never."""
        changes = (self.link.next_change(now), self._times.next_change(now))
        return min((at for at in changes if at is not None), default=None)

    def is_done(self, event_id: str, now: datetime) -> bool:
        """Return True if nothing is left to be done for an event that is over."""
        mine = [run for run in self._runs if run.stretch.event_id == event_id]
        return event_id not in self._status_due and not any(run.is_open or self._unfinal(run, now) for run in mine)

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

    def _limits(self, now: datetime, *, is_settled: bool) -> Mapping[str, CircuitLimit]:
        """Bring the stretches to what is wanted now, in memory; return the limits to be in force, by circuit id.

        If that fails as a whole the stretches under way hold, each to the end that was promised. Whatever a plan of an
        earlier process says, a circuit that may not be shed by the settings of today is not limited.
        """
        open_ = [run.stretch for run in self._runs if run.is_open]
        wanted = [as_promised(each) for each in open_ if each.end is None or now < each.end]
        with self._troubles.alone("what the owner has switched"):
            under_way = self._under_way(now)
            self._panel.judge(under_way, is_settled=is_settled)
            power_kw = self._reading.kw if self._reading else {}
            for event_id in under_way:
                opts = circuit_opts(self._panel.overrides.values(), event_id, power_kw)
                self._agenda.tell_circuits(event_id, opts)
        with self._troubles.alone("times between switching"):
            self._times.note(self._panel.limits, now)
        with self._troubles.alone("curtailment"):
            self._forget_removed()
            self._freeze_baselines(now)
            for run in self._runs:
                self._correct(run)
            wanted = self._wanted(now)
            self._settle(wanted, now)
        without_link: list[WantedCurtailment] = []
        with self._troubles.alone("the limit for a lost link"):
            without_link, unplanned = self.link.want(self._situation(now), now)
            self._say("the plan for a lost link", unplanned[-1] if unplanned else None)
        limits = lowest_limits([*wanted, *without_link], self._ends())
        with self._troubles.alone("circuits that have to stay off"):
            for circuit_id, held in self._held(now).items():
                limits[circuit_id] = both(limits.get(circuit_id, held), held)
        return {id_: limit for id_, limit in limits.items() if id_ in self._sheddable}

    def held_until(self, now: datetime) -> dict[str, datetime | None]:
        """Return until when circuits have to stay off, whatever is wanted now."""
        return {id_: limit.until for id_, limit in self._held(now).items()}

    def _held(self, now: datetime) -> dict[str, CircuitLimit]:
        """Return our limits on circuits that have to stay off for a while although no event may want it any more."""
        held = self._times.restrictions(now).held - self._panel.left_alone.keys()
        limits_kw = self._panel.limits
        return {id_: CircuitLimit(limits_kw[id_], self._times.held_until(id_)) for id_ in held if id_ in limits_kw}

    def _under_way(self, now: datetime) -> list[str]:
        """Return the events that we take part in now; one that cannot be placed in time counts as one of them."""
        found = set(self._agenda.opted_in)
        for event_id, timeline in self._agenda.timelines.items():
            with self._troubles.alone(f"time of event {event_id}"):
                if timeline.start > now or timeline.transpired(now):
                    found.discard(event_id)
        return sorted(found)

    def _ends(self) -> dict[str, datetime | None]:
        """Return the ends of the events that can be placed in time."""
        ends: dict[str, datetime | None] = {}
        for event_id, timeline in self._agenda.timelines.items():
            with self._troubles.alone(f"end of event {event_id}"):
                ends[event_id] = timeline.end
        return ends

    def _forget_removed(self) -> None:
        self._runs = [run for run in self._runs if run.stretch.event_id in self._agenda]
        self._baselines = {id_: kw for id_, kw in self._baselines.items() if id_ in self._agenda}
        self._status_due = {id_: at for id_, at in self._status_due.items() if id_ in self._agenda}

    def _freeze_baselines(self, now: datetime) -> None:
        """Freeze the baselines of events that begin: the power at the start, unaffected by the curtailment."""
        for event_id, timeline in self._agenda.timelines.items():
            with self._troubles.alone(f"baseline of event {event_id}"):
                if event_id in self._baselines or timeline.start > now or timeline.transpired(now):
                    continue
                if self._agenda.concerns_us(timeline.event) and (kw := self._baseline_at(timeline, now)):
                    self._baselines[event_id] = kw
                    self._store.stretches.put_baseline(event_id, kw)

    def _baseline_at(self, timeline: Timeline, now: datetime) -> dict[str, Decimal]:
        """Return the baseline in kW by circuit: of earlier days where they are known, else the mean before now."""
        of_days = self._history.baseline_kw(timeline.start, timeline.end) if self._history else {}
        return {**self.undisturbed_kw(now), **of_days}

    def _wanted(self, now: datetime) -> list[WantedCurtailment]:
        timelines = self._agenda.timelines
        placed = [(self._agenda.context(timelines[id_].event), timelines[id_]) for id_ in self._agenda.opted_in]
        situation = self._situation(now)
        open_ = situation.open
        asks, unread = asks_in_force(placed, now)
        wanted, unplanned = want(asks, situation, self._baselines)
        broken = {trouble.event_id for trouble in unread}
        wanted += [as_promised(each) for each in open_ if each.event_id in broken and each.end is not None]
        told = {trouble.event_id: trouble for trouble in (*unread, *unplanned)}
        for event_id in timelines:
            self._say(f"event {event_id}", told.get(event_id))
        return [each for each in wanted if each.ask.end is None or now < each.ask.end]

    def _say(self, what: str, trouble: Trouble | None) -> None:
        """Log what is wrong with something, or that it is well again."""
        if trouble is None:
            self._troubles.over(what)
        else:
            self._troubles.tell(what, trouble.problem, error=trouble.error)

    def _situation(self, now: datetime) -> PanelSituation:
        open_ = [run.stretch for run in self._runs if run.is_open]
        drawn_kw = self._reading.kw if self._reading else {}
        return PanelSituation(
            self._panel.available,
            self._settings.shedding,
            drawn_kw,
            open_,
            self._times.restrictions(now),
            self._panel.stored(self._settings.shedding.storage),
        )

    def _settle(self, wanted: Sequence[WantedCurtailment], now: datetime) -> None:
        """End the stretches that are not wanted any more, adapt those that go on, and begin new ones."""
        going_on = {each.kept.id: each for each in wanted if each.kept is not None}
        for run in [run for run in self._runs if run.is_open]:
            each = going_on.get(run.stretch.id)
            if each is None:
                self._end(run, now)
            else:
                self._adapt(run, each.plan)
        for each in wanted:
            if each.kept is None:
                self._begin(each, now)

    def _begin(self, wanted: WantedCurtailment, now: datetime) -> None:
        ask, plan = wanted.ask, wanted.plan
        start = ask.start if now - ask.start <= self._hold else now
        run = CurtailmentRun(wanted.as_stretch(id_=self._next_id, start=start))
        self._next_id += 1
        self._runs.append(run)
        self._store.stretches.put(run)
        self._join_old(ask.event_id, now)
        self._status_due[ask.event_id] = now
        _log.info(
            "curtailment begins",
            event_id=ask.event_id,
            interval=ask.interval_id,
            requested_kw=str(plan.requested_kw),
            shed_kw=str(plan.shed_kw),
            unmet_kw=str(plan.unmet_kw),
        )
        if ask.unplaced:
            _log.warning("values without a time of their own ignored", event_id=ask.event_id, count=ask.unplaced)

    def _adapt(self, run: CurtailmentRun, plan: SheddingPlan) -> None:
        """Go on with a stretch at this plan. The change is shown by the next status report, which is due anyway."""
        stretch = run.stretch
        if plan == plan_of(stretch):
            return
        run.stretch = replace(stretch, requested_kw=plan.requested_kw, unmet_kw=plan.unmet_kw, plan=plan.circuits)
        if lowest_limits([as_promised(run.stretch)], {}) != lowest_limits([as_promised(stretch)], {}):
            self._store.stretches.put(run)
            _log.info(
                "curtailment adapted",
                event_id=stretch.event_id,
                interval=stretch.interval_id,
                requested_kw=str(plan.requested_kw),
                shed_kw=str(plan.shed_kw),
                unmet_kw=str(plan.unmet_kw),
            )

    def _correct(self, run: CurtailmentRun) -> None:
        """Compare what was delivered with what was asked for, from time to time; the next plan makes up for it."""
        stretch = run.stretch
        if not run.is_open or stretch.payload_type in FOLLOWING_LOAD:
            return
        since = run.asked.since(run.looked_at)
        if since.covered_us < self._look / timedelta.resolution or since.mean is None:
            return
        run.looked_at = run.asked
        correction_kw = corrected_kw(stretch, since.mean.delivered_kw, self._settings.shedding)
        if correction_kw != stretch.correction_kw:
            run.stretch = replace(stretch, correction_kw=correction_kw)
            self._store.stretches.put(run)

    def _join_old(self, event_id: str, now: datetime) -> None:
        """Keep the number of stretches of an event bounded: the oldest two become one, with the same energies."""
        mine = [run for run in self._runs if run.stretch.event_id == event_id]
        if len(mine) <= self._most or mine[1].is_open or self._unfinal(mine[1], now) or self._unfinal(mine[0], now):
            return
        one = joined(mine[0], mine[1])
        self._runs = [one if run is mine[0] else run for run in self._runs if run is not mine[1]]
        self._store.stretches.put(one)
        self._store.stretches.forget(mine[1])

    def _end(self, run: CurtailmentRun, now: datetime) -> None:
        stretch = run.stretch
        ended_at = now if stretch.end is None or now - stretch.end > self._hold else min(stretch.end, now)
        run.stretch = replace(stretch, ended_at=max(ended_at, stretch.start))
        self._store.stretches.put(run)
        self._status_due[stretch.event_id] = now
        _log.info("curtailment ends", event_id=stretch.event_id, interval=stretch.interval_id)

    def _unfinal(self, run: CurtailmentRun, now: datetime) -> list[str]:
        """Return the circuits of an ended stretch whose power after it is not known yet, but may be."""
        if run.is_open:
            return []
        unknown = [each.circuit_id for each in run.stretch.plan if each.circuit_id not in run.final_kw]
        return [id_ for id_ in unknown if id_ in self._panel.limits or now < self._settled_at(run, id_) + _FINAL_WITHIN]

    def _settled_at(self, run: CurtailmentRun, circuit_id: str) -> datetime:
        ended_at = run.stretch.ended_at or run.stretch.start
        return max(ended_at, self._panel.lifted_at.get(circuit_id, ended_at)) + self._settles

    def _take_finals(self, now: datetime) -> None:
        latest = self._reading
        if latest is None:
            return
        for run in self._runs:
            finals = {
                id_: latest.kw[id_]
                for id_ in self._unfinal(run, now)
                if id_ not in self._panel.limits and id_ in latest.kw and latest.at >= self._settled_at(run, id_)
            }
            if finals:
                run.final_kw |= finals
                self._store.stretches.put(run)
                self._status_due[run.stretch.event_id] = now

    async def _report(self, now: datetime) -> None:
        """Have the status reports sent that are due; one that cannot be kept is due again at the next step."""
        for event_id, due in list(self._status_due.items()):
            if now < due <= now + self._refresh:  # one that is due later was put before the clock was set back
                continue
            with self._troubles.alone(f"status report of event {event_id}"):
                mine = [run for run in self._runs if run.stretch.event_id == event_id]
                latest = self._reading.kw if self._reading else {}
                intervals = [shed_interval(run, latest) for run in mine]
                report = status_report(event_id=event_id, client_name=self._settings.reported_as, intervals=intervals)
                await self._agenda.put_report(report, status_report_name(event_id))
                going_on = [run for run in mine if run.is_open]
                for run in going_on:
                    self._store.stretches.put(run)
                if going_on:
                    began = max(run.stretch.start for run in going_on)
                    has_means = now >= began + self._first_means
                    self._status_due[event_id] = now + (self._refresh if has_means else self._first_means)
                else:
                    del self._status_due[event_id]
