"""Keep the events that concern this VEN: receive them, decide on each, and have the decision reported."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

import structlog

from openadr_profiles.fleet.reports import Opt, opt_report, opt_report_name
from openadr_profiles.v31 import AGGREGATED_REPORT, Event, OperatingState, Program, ReportRequest, Timeline, encode
from ven.asks import Context
from ven.decision import Candidate, Decision, decide
from ven.events.inbox import Inbox
from ven.events.schedule import Schedule
from ven.panel.circuits import operating_state
from ven.records import Decided, ReceivedEvent
from ven.settings import VenSettings
from ven.store import StateFile

_log = structlog.get_logger(__name__)

_KEPT_AFTER_END: Final = timedelta(hours=24)
"""Reports are worth sending so long after the event (RDESC-023)."""


class Agenda:
    """Hold the events, their programs and decisions. All is written to the store as it happens; `load` takes it up."""

    def __init__(self, settings: VenSettings, store: StateFile) -> None:
        self._settings = settings
        self._store = store
        self._inbox = Inbox()
        self._programs: dict[str, Program] = {}
        self._decided: dict[str, Decided] = {}
        self.schedule = Schedule(settings.ven_name)

    async def load(self, now: datetime, power_kw: Decimal | None) -> None:
        """Take up what is remembered, and decide what was received but not decided before the end."""
        self._programs = {program.id: program for program in await self._store.events.programs()}
        self._decided = {decided.event_id: decided for decided in await self._store.events.decisions()}
        self._inbox = Inbox(await self._store.events.all())
        self.schedule.set(self._inbox.events)
        for received in self._inbox.events:
            await self._see_to(received, now, power_kw)

    async def take_programs(self, programs: Iterable[Program]) -> None:
        """Learn the programs that the VTN shows: their names and the units of their payloads."""
        self._programs = {program.id: program for program in programs}
        await self._store.events.put_programs(self._programs.values())

    async def take_events(
        self, found: Iterable[Event], *, broken: Collection[str | None], now: datetime, power_kw: Decimal | None
    ) -> tuple[str, ...]:
        """Learn the events that the VTN shows and decide on them; returns known ones that it does not show."""
        merged = self._inbox.merge(found, broken=broken, now=now)
        for received in merged.changed:
            await self._store.events.put(received)
            _log.info("event received", event_id=received.event.id, name=received.event.event_name)
        self.schedule.set(self._inbox.events)
        for received in merged.changed:
            await self._see_to(received, now, power_kw)
        return merged.missing

    async def remove(self, event_id: str) -> None:
        """Forget an event and everything about it."""
        await self._store.events.forget(event_id)
        self._inbox.remove(event_id)
        self._decided.pop(event_id, None)
        self.schedule.set(self._inbox.events)

    def __contains__(self, event_id: str) -> bool:
        return self._inbox.get(event_id) is not None

    def received(self, event_id: str) -> ReceivedEvent:
        """Return one of the events; raises KeyError."""
        received = self._inbox.get(event_id)
        if received is None:
            raise KeyError(event_id)
        return received

    @property
    def timelines(self) -> dict[str, Timeline]:
        """Return all events in time, by id."""
        return dict(self.schedule.timelines)

    @property
    def opted_in(self) -> list[str]:
        """Return the ids of the events that we take part in."""
        return [id_ for id_ in self.schedule.timelines if self.decision(id_).opted_in]

    def decision(self, event_id: str) -> Decision:
        """Return the decision on an event."""
        return self._decided[event_id].decision

    def context(self, event: Event) -> Context:
        """Return the context in which to read an event's payloads: its program and the shedding rules."""
        return Context(event, self._programs.get(event.program_id), self._settings.shedding)

    def concerns_us(self, event: Event) -> bool:
        """Return True if an event asks for a reduction or for reports."""
        return self.context(event).asks_for_reduction or bool(event.report_descriptors)

    async def put_report(self, request: ReportRequest, name: str) -> None:
        """Have a report about one of the events sent.

        The VTN may have one of that name that we do not remember if it knew the event before our memory begins, or if
        an earlier version of the event was over and forgotten.
        """
        event = self.received(request.event_id).event
        modified = event.modification_date_time > event.created_date_time
        end = self.schedule.timelines[request.event_id].end
        await self._store.reports.put(
            name,
            request.event_id,
            encode(request),
            expires_at=None if end is None else _later(end),
            may_exist=modified or event.created_date_time <= self._store.created_at,
        )

    async def _see_to(self, received: ReceivedEvent, now: datetime, power_kw: Decimal | None) -> None:
        """Decide on this version of an event unless that is done, and have the decision reported if it is news."""
        event = received.event
        decided = self._decided.get(event.id)
        before = decided.decision if decided else None
        if decided is None or decided.modified != event.modification_date_time:
            decided = Decided(event.id, event.modification_date_time, self._decide(received), now)
            self._decided[event.id] = decided
            await self._store.events.put_decision(decided)
        if not self.context(event).asks_for_reduction:
            return
        name = opt_report_name(event.id)
        if decided.decision != before or not await self._store.reports.has(name):
            decision = decided.decision
            _log.info("opted in" if decision.opted_in else "opted out", event_id=event.id, reason=decision.reason)
            opted_out = not decision.opted_in
            state = OperatingState.NORMAL if power_kw is None else operating_state(power_kw, opted_out=opted_out)
            opt = Opt(AGGREGATED_REPORT, opted_in=decision.opted_in, reason=decision.reason, state=state)
            report = opt_report(
                event_id=event.id,
                client_name=self._settings.reported_as,
                decided_at=decided.decided_at,
                opts=(opt,),
            )
            await self.put_report(report, name)

    def _decide(self, received: ReceivedEvent) -> Decision:
        others = [id_ for id_, decided in self._decided.items() if decided.decision.opted_in]
        candidate = Candidate(
            context=self.context(received.event),
            timeline=self.schedule.timelines[received.event.id],
            first_received=received.first_received,
            other_starts=[
                self.schedule.timelines[id_].start
                for id_ in others
                if id_ != received.event.id
                and id_ in self.schedule.timelines
                and self.context(self.received(id_).event).asks_for_reduction
            ],
        )
        return decide(candidate, self._settings.opt)


def _later(end: datetime) -> datetime | None:
    try:
        return end + _KEPT_AFTER_END
    except OverflowError:
        return None
