"""Reports to the VTN on each event: opt-ins, sheds per panel and circuit, and the reports that the event asks for.

A round costs what has changed: a page of panels is worked out when one of them answered, was asked for something else
or returned, and now and then for what is measured. Others have their turn between two pages.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import islice

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from bridge_mqtt.asked_reports import AskedReports
from bridge_mqtt.errors import StoreUnavailable
from bridge_mqtt.metering.meter import UsedEnergy, used
from bridge_mqtt.metering.meters import Meters
from bridge_mqtt.model import Allocation, WindowPlan
from bridge_mqtt.outcome import EventSpan, PanelFacts, is_final, opt_of, sheds_of, spans_of, total_of
from bridge_mqtt.panels import Registry
from bridge_mqtt.planner import Planner
from bridge_mqtt.requests import taking_part
from bridge_mqtt.senders import Sender, senders
from bridge_mqtt.settings import Settings
from bridge_mqtt.status_pages import PANELS_IN_PAGE, DueStatusPage, EventMemory, StatusPage, due_pages, in_pages
from bridge_mqtt.store import Store, allocations, commands, events, outcomes, reports
from bridge_mqtt.store.events import StoredEvent
from openadr_profiles.fleet.reports import Shed, ShedInterval, opt_report, status_report
from openadr_profiles.v31 import ReportRequest
from openadr_profiles.v31.timeline import Timeline, Window

_log = structlog.get_logger(__name__)

_MARKS_AHEAD = timedelta(minutes=2)
_OPTS_IN_PAGE = 500
_MOST_WINDOWS = 200
_AT_ONCE = 20
_AN_EVENT_EVERY = timedelta(seconds=1)
"""The reports of one event are looked at so often at most, while answers of many panels pour in."""
_WRITING_S = 1.0
"""After so many real seconds of writing, what is written is sent before the reports of a further event are made."""


class Reporter:
    """Writes reports into the store; ``VtnSide.send_reports`` sends them."""

    def __init__(
        self, settings: Settings, *, store: Store, registry: Registry, planner: Planner, meters: Meters
    ) -> None:
        self._vtn = settings.vtn
        self._store = store
        self._registry = registry
        self._planner = planner
        self._meters = meters
        self._memory: dict[str, EventMemory] = {}
        self._set_aside: dict[str, str] = {}
        self._asked = AskedReports(settings, store=store, registry=registry, meters=meters)

    async def write(self, now: datetime) -> datetime | None:
        """Write reports that are due; return when the next one is due, None if none is known.

        After a while it ends, so that what is written can be sent, and returns ``now``; next time it goes on with the
        events that were not looked at for the longest. An event whose reports cannot be made is named in the log, once
        for each reason, and keeps no other waiting.
        """
        async with self._store.reading() as connection:
            open_events = await events.to_report(connection)
            coming = await events.open_(connection)
        ids = {stored.event.id for stored in open_events}
        self._memory = {event_id: self._memory.get(event_id, EventMemory()) for event_id in ids}
        self._set_aside = {event_id: why for event_id, why in self._set_aside.items() if event_id in ids}
        for stored in coming.values():
            self._ask_for_marks(stored, now)
        found: list[datetime | None] = []
        until_s, has_written = time.monotonic() + _WRITING_S, False
        for stored in sorted(open_events, key=self._looked_at):
            memory = self._memory[stored.event.id]
            if memory.begun_at is not None and timedelta(0) <= now - memory.begun_at < _AN_EVENT_EVERY:
                found.append(memory.begun_at + _AN_EVENT_EVERY)
                continue
            if has_written and time.monotonic() >= until_s:
                return now
            memory.begun_at, has_written = now, True
            try:
                found.append(await self._write_event(stored, memory, now))
            except StoreUnavailable:
                raise
            except Exception as error:
                self._tell(stored.event.id, f"{type(error).__name__}: {error}", error)
        return min(filter(None, found), default=None)

    def _looked_at(self, stored: StoredEvent) -> datetime:
        """Return when the reports of an event were looked at last; the beginning of time if they were not yet."""
        return self._memory[stored.event.id].begun_at or datetime.min.replace(tzinfo=UTC)

    def _tell(self, event_id: str, reason: str, error: Exception) -> None:
        if self._set_aside.get(event_id) != reason:
            _log.error("reports of the event cannot be made", event_id=event_id, problem=reason, exc_info=error)
        self._set_aside[event_id] = reason

    def _ask_for_marks(self, stored: StoredEvent, now: datetime) -> None:
        """Have the meters read at the starts and ends of intervals that come soon."""
        timeline = self._planner.timeline(stored)
        soon = now + _MARKS_AHEAD
        moments = {timeline.start}
        for window in _first(timeline, now - _MARKS_AHEAD, soon):
            moments |= {window.start} if window.end is None else {window.start, window.end}
        moments = {moment for moment in moments if now - _MARKS_AHEAD <= moment <= soon}
        if moments:
            panels = taking_part(stored.event, self._registry, self._planner.bridge_targets)
            self._meters.want(moments, [panel.ven_id for panel in panels])

    async def _write_event(self, stored: StoredEvent, memory: EventMemory, now: datetime) -> datetime | None:
        event_id = stored.event.id
        timeline = self._planner.timeline(stored)
        until = min(filter(None, [now, stored.ended_at, stored.withdrawn_at]))
        async with self._store.reading() as connection:
            await self._refresh(connection, event_id, memory)
            said = await commands.panels_that_shed(connection, event_id)
        memory.hear(said)
        ven_ids = sorted(memory.latest)
        panels = [panel for ven_id in ven_ids if (panel := self._registry.get(ven_id)) is not None]
        spans = spans_of(stored, timeline, memory.plans, until)
        dues: list[datetime | None] = []
        for sender in senders(self._vtn, panels):
            mine = memory.of_sender(sender.key)
            dues.append(await self._write_of_sender(stored, mine, sender, timeline, spans, said, now))
        memory.written()
        next_due = min(filter(None, dues), default=None)
        if stored.state.is_final and next_due is None and is_final(stored, panels, now):
            async with self._store.transaction() as connection:
                await events.reported(connection, event_id)
            _log.info("all reports of the event are written", event_id=event_id)
        return next_due

    async def _write_of_sender(
        self,
        stored: StoredEvent,
        memory: EventMemory,
        sender: Sender,
        timeline: Timeline,
        spans: Sequence[EventSpan],
        said: Collection[str],
        now: datetime,
    ) -> datetime | None:
        """Write what one ven has to report of the event."""
        panels = {panel.ven_id: panel for panel in sender.panels}
        ven_ids = list(panels)
        finished = is_final(stored, panels.values(), now)
        if ven_ids:
            await self._write_opts(stored, memory, sender, timeline, said, now)
        due = due_pages(memory, stored, spans, ven_ids, said, now, all_returned=finished)
        small = len(ven_ids) * max(len(spans), _count(timeline)) <= PANELS_IN_PAGE
        for page in due:
            await self._write_page(stored, memory, sender, page, said, now, alone=not small)
            await asyncio.sleep(0)
        if due:
            await self._write_sums(stored, memory, sender, spans, now)
        memory.ven_ids = ven_ids
        return await self._asked.write(stored, timeline, memory, sender, said, now)

    async def _refresh(self, connection: AsyncConnection, event_id: str, memory: EventMemory) -> None:
        """Read the splits of the event, of those that are known only what has changed."""
        for plan in await allocations.windows_of(connection, event_id):
            known = memory.plans.get(plan.start)
            if known is None or known.request != plan.request:
                memory.take(await allocations.with_parts(connection, plan))
            elif known.version != plan.version:
                changed = await allocations.changed_since(connection, known)
                memory.take(_with_parts(plan, known.parts | changed), changed)
            elif known.end != plan.end:
                memory.take(_with_parts(plan, known.parts), ())

    async def _write_opts(
        self,
        stored: StoredEvent,
        memory: EventMemory,
        sender: Sender,
        timeline: Timeline,
        said: Collection[str],
        now: datetime,
    ) -> None:
        panels = {panel.ven_id: panel for panel in sender.panels}
        latest, changed = memory.latest, memory.changes.ven_ids
        same = stored.ended_at is None and list(panels) == memory.ven_ids
        for number, some in enumerate(in_pages(list(panels), _OPTS_IN_PAGE)):
            if same and number in memory.opts and changed.isdisjoint(some):
                continue
            await asyncio.sleep(0)
            opts = []
            for ven_id in some:
                facts = PanelFacts(panel=panels[ven_id], acted=ven_id in said)
                opt = opt_of(stored, latest[ven_id], facts) if ven_id in latest else None
                if opt is not None:
                    opts.append(opt)
            if memory.opts.setdefault(number, []) == opts or not opts:
                continue
            report = opt_report(
                event_id=stored.event.id,
                client_name=sender.client_name,
                decided_at=timeline.start,
                opts=opts,
                page=str(number) if number else None,
            )
            await self._put(sender, report, now)
            memory.opts[number] = opts

    async def _write_page(
        self,
        stored: StoredEvent,
        memory: EventMemory,
        sender: Sender,
        page: DueStatusPage,
        said: Collection[str],
        now: datetime,
        *,
        alone: bool,
    ) -> None:
        """Work out a page; write it as a report of its own if the event is not small."""
        event_id, ven_ids, span = stored.event.id, list(page.ven_ids), page.span
        panels = {panel.ven_id: panel for panel in sender.panels}
        until = min(span.end or now, now)
        async with self._store.reading() as connection:
            baselines = await outcomes.baselines_of(connection, event_id, ven_ids)
            circuits = await outcomes.circuits_told(connection, event_id, ven_ids)
            first = await self._meters.at(connection, ven_ids, span.start)
            last = await self._meters.at(connection, ven_ids, until)
        facts = [
            PanelFacts(
                panel=panels[ven_id],
                baseline=baselines.get(ven_id),
                acted=ven_id in said,
                circuits=circuits.get(ven_id),
            )
            for ven_id in ven_ids
        ]

        def used_by(ven_id: str, channel: str) -> UsedEnergy | None:
            return used(first.get(ven_id), last.get(ven_id), channel) if span.start < until else None

        def work_out() -> tuple[list[list[Shed]], ReportRequest | None]:
            sheds = sheds_of(stored, span, facts, used_by)
            if not alone or not sheds:
                return sheds, None
            interval = ShedInterval(span.id, span.start, span.end, tuple(shed for each in sheds for shed in each))
            return sheds, status_report(
                event_id=event_id, client_name=sender.client_name, intervals=[interval], page=page.name
            )

        sheds, report = await asyncio.to_thread(work_out) if len(ven_ids) > _AT_ONCE else work_out()
        if report is not None:
            await self._put(sender, report, now)
        memory.sheds[page.key] = [] if alone else [shed for each in sheds for shed in each]
        totals = total_of([each[0] for each in sheds]) if sheds else None
        memory.pages[page.key] = StatusPage(page.stamp, now, totals, page.is_final)

    async def _write_sums(
        self, stored: StoredEvent, memory: EventMemory, sender: Sender, spans: Sequence[EventSpan], now: datetime
    ) -> None:
        """Write the report that has the event's name: the sums of each interval, and its panels if they are few."""
        intervals = []
        for span in spans:
            pages = [(key, page) for key, page in sorted(memory.pages.items()) if key[0] == span.start]
            sheds = [shed for key, _ in pages for shed in memory.sheds.get(key, [])]
            totals = [page.totals for _, page in pages if page.totals is not None]
            if totals:
                sheds.append(total_of(totals))
            intervals.append(ShedInterval(span.id, span.start, span.end, tuple(sheds)))
        if intervals:
            report = status_report(event_id=stored.event.id, client_name=sender.client_name, intervals=intervals)
            await self._put(sender, report, now)

    async def _put(self, sender: Sender, report: ReportRequest, now: datetime) -> None:
        async with self._store.transaction() as connection:
            await reports.put(connection, report, now, sender=sender.key)


def _with_parts(plan: WindowPlan, parts: Mapping[str, Allocation]) -> WindowPlan:
    return replace(plan, parts=dict(parts))


def _first(timeline: Timeline, since: datetime, until: datetime) -> list[Window]:
    return list(islice(timeline.windows(since, until), _MOST_WINDOWS))


def _count(timeline: Timeline) -> int:
    """Return how many intervals the event has, at most as many as are reported."""
    if timeline.end is None:
        return 1
    return len(_first(timeline, timeline.start, timeline.end))
