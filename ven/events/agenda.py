"""Keep the events that concern this VEN: receive them, decide on each, and have the decision reported.

Memory is the truth; what it says goes into the store's journal. Each event is looked after for itself: one that cannot
be placed, read or reported keeps no other from it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

import structlog

from openadr_profiles.fleet.reports import Opt, opt_report, opt_report_name
from openadr_profiles.v31 import AGGREGATED_REPORT, Event, OperatingState, Program, ReportRequest, Timeline, encode
from ven.asks import Context
from ven.decision import Decision, OptChoice, OptScope, own_rules
from ven.events.decisions import Decisions
from ven.events.inbox import Inbox
from ven.events.placing import PlacedEvent, Placing
from ven.events.schedule import Schedule
from ven.panel.circuits import operating_state
from ven.records import PastDecision, ReceivedEvent
from ven.settings import VenSettings
from ven.store import StateFile
from ven.troubles import Troubles

_log = structlog.get_logger(__name__)

_KEPT_AFTER_END: Final = timedelta(hours=24)
"""Reports are worth sending so long after the event (RDESC-023)."""
_MOST_ASKED_FOR: Final = 50
"""So many programs that a list does not show are asked for in one poll."""


class Agenda:
    """Hold the events, their programs and decisions. All goes into the store's journal; `load` takes it up.

    Raises:
        BadRule: a rule of one's own that an installed package names cannot be loaded.
    """

    def __init__(self, settings: VenSettings, store: StateFile) -> None:
        self._settings = settings
        self._store = store
        self._inbox = Inbox()
        self._programs: dict[str, Program] = {}
        self._placing = Placing(settings.ven_name, settings.shedding, feeds_in=settings.feeds_in)
        self._placed: dict[str, PlacedEvent] = {}
        self._foreseen: dict[str, PlacedEvent] = {}
        self._decisions = Decisions(settings, store, own_rules())
        self._unreported: dict[str, None] = {}
        self._circuits_out: dict[str, tuple[Opt, ...]] = {}
        self._troubles = Troubles()
        self.schedule = Schedule()

    async def load(self, now: datetime, power_kw: Decimal | None) -> None:
        """Take up what is remembered, and decide what was not decided before the end, or by other rules (V18)."""
        self._programs = {program.id: program for program in await self._store.events.programs()}
        await self._decisions.load()
        self._inbox = Inbox()
        self._placed.clear()
        self.schedule = Schedule()
        for received in sorted(await self._store.events.all(), key=lambda received: received.first_received):
            if (placed := await self._place(received)) is not None:
                self._keep(placed)
        for event_id in self._placed:
            if not self._store.reports.knows(opt_report_name(event_id)):
                self._unreported[event_id] = None
        self.review(now)
        await self.report(power_kw)

    async def foresee(self, found: Iterable[Event], now: datetime) -> None:
        """Do the work for events that `take_events` will take, which may take a second for a large one.

        Changes nothing that anybody sees, so that the circuits can be looked after meanwhile.
        """
        self._foreseen.clear()
        for received in self._inbox.news(found, now=now).changed:
            if (placed := await self._place(received)) is not None:
                self._foreseen[received.event.id] = placed

    async def take_programs(self, programs: Iterable[Program], *, broken: Collection[str | None] = ()) -> None:
        """Learn the programs that the VTN shows: their names and the units of their payloads.

        `broken` are ids of programs that could not be read. They keep their last version, and so do those of events
        that are known, whether shown or not: what the owner said of a program counts until its events are gone.
        """
        needed = {placed.received.event.program_id for placed in self._placed.values()}
        kept = {id_: each for id_, each in self._programs.items() if id_ in needed or id_ in broken or None in broken}
        await self._know(kept | {program.id: program for program in programs})

    def programs_to_ask_for(self, events: Iterable[Event], *, but: Collection[str]) -> list[str]:
        """Return the ids of programs that nobody showed and that a decision on these events may depend on."""
        if not self._decisions.name_programs:
            return []
        return sorted({event.program_id for event in events} - self._programs.keys() - set(but))[:_MOST_ASKED_FOR]

    async def add_program(self, program: Program) -> None:
        """Learn one more program."""
        await self._know(self._programs | {program.id: program})

    async def _know(self, programs: dict[str, Program]) -> None:
        self._programs = programs
        self._store.events.put_programs(programs.values())
        for event_id, placed in list(self._placed.items()):
            program = programs.get(placed.received.event.program_id)
            self._placed[event_id] = await self._placing.read_again(placed, program)

    async def take_events(
        self, found: Iterable[Event], *, broken: Collection[str | None], now: datetime, power_kw: Decimal | None
    ) -> tuple[str, ...]:
        """Learn the events that the VTN shows and decide on them; returns known ones that it does not show.

        An event that is over when it is first seen is ignored.
        """
        merged = self._inbox.news(found, broken=broken, now=now)
        for received in merged.changed:
            event = received.event
            placed = self._foreseen.pop(event.id, None)
            if placed is None or placed.received.event is not event:
                placed = await self._place(received)
            if placed is None or (event.id not in self._placed and placed.timeline.transpired(now)):
                continue
            self._keep(placed)
            self._store.events.put(placed.received)
            _log.info("event received", event_id=event.id, name=event.event_name)
        self._foreseen.clear()
        self.review(now)
        await self.report(power_kw)
        return merged.missing

    def review(self, now: datetime) -> None:
        """Decide again where the event, the rules or the owner's word has changed; what is news is to be reported."""
        self._decisions.drop_ended(now)
        for event_id, placed in self._placed.items():
            if self._decisions.review(placed, self._placed, now):
                decision = self.decision(event_id)
                _log.info("opted in" if decision.opted_in else "opted out", event_id=event_id, reason=decision.reason)
                self._unreported[event_id] = None

    def tell_circuits(self, event_id: str, opts: Sequence[Opt]) -> None:
        """Have it reported that these circuits alone do not take part in an event; others than before are news."""
        told = {opt.resource_name: opt.reason for opt in self._circuits_out.get(event_id, ())}
        if told != {opt.resource_name: opt.reason for opt in opts}:
            self._circuits_out[event_id] = tuple(opts)
            self._unreported[event_id] = None

    async def report(self, power_kw: Decimal | None) -> None:
        """Have decisions reported that are not yet; what fails is tried again at the next call."""
        for event_id in list(self._unreported):
            with self._troubles.alone(f"the decision on event {event_id}"):
                await self._report(self._placed[event_id], power_kw)
                del self._unreported[event_id]

    def next_wake(self) -> datetime | None:
        """Return when to review next, apart from changes of events; None if never."""
        return self._decisions.next_end()

    def opt(
        self, scope: OptScope, *, opted_in: bool, reason: str | None, until: datetime | None, now: datetime
    ) -> None:
        """Take the owner's word: in or out of what `scope` names, until a moment (None: until it is withdrawn).

        It counts at once, also in the middle of an event, and survives restarts; the next control step switches and
        reports.

        Raises:
            ValueError: `until` is over or has no zone, the reason is too long, or there is too much of it already.
        """
        self._decisions.choose(OptChoice(scope, opted_in, reason, until, now))
        self.review(now)

    def withdraw_opt(self, scope: OptScope, *, now: datetime) -> bool:
        """Forget the owner's word about `scope`, so that the rules decide again; False if there is none."""
        found = self._decisions.withdraw(scope)
        self.review(now)
        return found

    @property
    def choices(self) -> tuple[OptChoice, ...]:
        """Return what the owner said by hand and still counts."""
        return self._decisions.choices

    @property
    def history(self) -> tuple[PastDecision, ...]:
        """Return the decisions that were made, oldest first; no more than a thousand."""
        return self._decisions.past

    def events(self) -> list[tuple[ReceivedEvent, Timeline, Decision]]:
        """Return all events with their times and the decisions on them, by start."""
        found = [(each.received, each.timeline, self.decision(id_)) for id_, each in self._placed.items()]
        return sorted(found, key=lambda each: each[1].start)

    async def remove(self, event_id: str, now: datetime) -> None:
        """Forget an event and everything about it; the history of decisions stays."""
        self._store.events.forget(event_id)
        self._store.reports.forget(event_id)
        self._inbox.remove(event_id)
        self._unreported.pop(event_id, None)
        self._circuits_out.pop(event_id, None)
        self.schedule.remove(event_id)
        if (placed := self._placed.pop(event_id, None)) is not None:
            self._decisions.remove(placed, now)

    def __contains__(self, event_id: str) -> bool:
        return event_id in self._placed

    def received(self, event_id: str) -> ReceivedEvent:
        """Return one of the events; raises KeyError."""
        return self._placed[event_id].received

    @property
    def timelines(self) -> dict[str, Timeline]:
        """Return all events in time, by id."""
        return dict(self.schedule.timelines)

    @property
    def opted_in(self) -> list[str]:
        """Return the ids of the events that we take part in."""
        return [id_ for id_ in self._placed if self.decision(id_).opted_in]

    def decision(self, event_id: str) -> Decision:
        """Return the decision on an event."""
        decided = self._decisions.get(event_id)
        return Decision.out("it is not decided yet") if decided is None else decided.decision

    def decided_at(self, event_id: str) -> datetime | None:
        """Return when the decision on an event was made."""
        decided = self._decisions.get(event_id)
        return None if decided is None else decided.decided_at

    def context(self, event: Event) -> Context:
        """Return the context in which to read an event's payloads: its program and the shedding rules."""
        placed = self._placed.get(event.id)
        if placed is not None and placed.received.event is event:
            return placed.context
        return Context(event, self._programs.get(event.program_id), self._settings.shedding, self._settings.feeds_in)

    def concerns_us(self, event: Event) -> bool:
        """Return True if an event asks for a reduction or for reports."""
        return self.context(event).asks_for_reduction or bool(event.report_descriptors)

    async def put_report(self, request: ReportRequest, name: str) -> None:
        """Have a report about one of the events sent.

        The VTN may have one of that name that we do not remember if it knew the event before our memory begins, or if
        an earlier version of the event was over and forgotten.
        """
        self._store.reports.put(
            name,
            request.event_id,
            encode(request),
            expires_at=self._expires_at(request.event_id),
            may_exist=self._may_exist(request.event_id),
        )

    def add_reports(
        self,
        reports: Mapping[str, bytes],
        event_id: str,
        cursors: Mapping[str, datetime],
        covered: Mapping[str, str] | None = None,
    ) -> None:
        """Have reports sent that an event asked for, as text by name, and move its descriptors' cursors on.

        ``covered`` are the intervals that they are about, as text by descriptor.
        """
        self._store.reports.add(
            reports,
            event_id,
            cursors=cursors,
            covered=covered,
            expires_at=self._expires_at(event_id),
            may_exist=self._may_exist(event_id),
        )

    def _expires_at(self, event_id: str) -> datetime | None:
        end = self.schedule.timelines[event_id].end
        return None if end is None else _later(end)

    def _may_exist(self, event_id: str) -> bool:
        event = self.received(event_id).event
        modified = event.modification_date_time > event.created_date_time
        return modified or event.created_date_time <= self._store.created_at

    async def _place(self, received: ReceivedEvent) -> PlacedEvent | None:
        """Place an event; None if that fails: one that nobody expected must not stop the others."""
        event = received.event
        placed = None
        with self._troubles.alone(f"event {event.id}"):
            placed = await self._placing.place(received, self._programs.get(event.program_id))
        return placed  # noqa: RET504 # None if placing it failed

    def _keep(self, placed: PlacedEvent) -> None:
        self._inbox.put(placed.received)
        self._placed[placed.received.event.id] = placed
        self.schedule.put(placed.timeline)

    async def _report(self, placed: PlacedEvent, power_kw: Decimal | None) -> None:
        event_id = placed.received.event.id
        decided = self._decisions.get(event_id)
        if decided is None or placed.reports_only:
            return
        decision = decided.decision
        state = OperatingState.NORMAL
        if power_kw is not None:
            state = operating_state(power_kw, opted_out=not decision.opted_in)
        report = opt_report(
            event_id=event_id,
            client_name=self._settings.reported_as,
            decided_at=decided.decided_at,
            opts=(
                Opt(AGGREGATED_REPORT, opted_in=decision.opted_in, reason=decision.reason, state=state),
                *(self._circuits_out.get(event_id, ()) if decision.opted_in else ()),
            ),
        )
        await self.put_report(report, opt_report_name(event_id))


def _later(end: datetime) -> datetime | None:
    try:
        return end + _KEPT_AFTER_END
    except OverflowError:
        return None
