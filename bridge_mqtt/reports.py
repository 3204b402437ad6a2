"""Reports to the VTN on each event: opt-ins, sheds per panel and circuit, and the reports that the event asks for."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from functools import lru_cache

import structlog

from bridge_mqtt.model import Command
from bridge_mqtt.outcome import EventFacts, facts_of, intervals_of, is_curtailed, is_final, opts_of, plan_at
from bridge_mqtt.panels import Registry
from bridge_mqtt.planner import Planner
from bridge_mqtt.resources import panel_circuits
from bridge_mqtt.senders import Sender, senders
from bridge_mqtt.settings import Settings
from bridge_mqtt.store import Store, acks, allocations, commands, events, reports, telemetry
from bridge_mqtt.store.acks import AckQuery
from bridge_mqtt.store.events import StoredEvent
from bridge_mqtt.telemetry import merged_samples
from openadr_profiles.fleet.reports import opt_report, status_report
from openadr_profiles.panel import AckStatus, CircuitCurtailment, CommandState, Op
from openadr_profiles.v31 import ReportRequest
from openadr_profiles.v31.report_schedule import due_together
from ven.panel.meter import Measurement, PowerReading, measure, power_of_all
from ven.reports.requested import build, report_name
from ven.reports.values import Facts

_log = structlog.get_logger(__name__)

_MOST_ACKS = 2_000


class Reporter:
    """Writes reports into the store; ``VtnSide.send_reports`` sends them."""

    def __init__(self, settings: Settings, *, store: Store, registry: Registry, planner: Planner) -> None:
        self._settings = settings
        self._store = store
        self._registry = registry
        self._planner = planner
        self._hold = timedelta(seconds=settings.dispatch.offline_after_s)

    async def write(self, now: datetime) -> datetime | None:
        """Write all reports that are due; return when the next one is due, None if none is known."""
        async with self._store.reading() as connection:
            open_events = await events.to_report(connection)
        return min(filter(None, [await self._write_event(stored, now) for stored in open_events]), default=None)

    async def _write_event(self, stored: StoredEvent, now: datetime) -> datetime | None:
        everything = await self._facts(stored, now)
        event_id = stored.event.id
        due: datetime | None = None
        replaced: list[tuple[str, ReportRequest]] = []
        added: list[tuple[str, ReportRequest]] = []
        for sender in senders(self._settings.vtn, everything.panels):
            facts = everything if not sender.key else facts_of(everything, sender.panels)
            sender_due, groups = await self._asked_for(facts, sender, now)
            due = min(filter(None, [due, sender_due]), default=None)
            added += [(sender.key, asked) for asked in groups]
            name, began = sender.client_name, facts.timeline.start
            if opts := opts_of(facts):
                report = opt_report(event_id=event_id, client_name=name, decided_at=began, opts=opts)
                replaced.append((sender.key, report))
            if intervals := intervals_of(facts, now):
                report = status_report(event_id=event_id, client_name=name, intervals=intervals)
                replaced.append((sender.key, report))
        async with self._store.transaction() as connection:
            for key, report in replaced:
                await reports.put(connection, report, now, sender=key)
            for key, report in added:
                await reports.add(connection, report, now, sender=key)
            if stored.state.is_final and due is None and is_final(stored, everything, now):
                await events.reported(connection, event_id)
                _log.info("all reports of the event are written", event_id=event_id)
        return due

    async def _facts(self, stored: StoredEvent, now: datetime) -> EventFacts:
        event_id = stored.event.id
        timeline = self._planner.timeline(stored)
        until = min(filter(None, [now, stored.ended_at, stored.withdrawn_at]))
        async with self._store.reading() as connection:
            plans = {start: plan for (_, start), plan in (await allocations.plans(connection, [event_id])).items()}
            baselines = (await events.frozen(connection, [event_id])).get(event_id, {})
            answers = {row.ven_id: row for row in await commands.of_event(connection, event_id) if _said_yes(row)}
            shed_acks = await acks.search(
                connection, AckQuery(event_id=event_id, op=Op.SHED_PANEL.value, limit=_MOST_ACKS)
            )
            ven_ids = {ven_id for plan in plans.values() for ven_id in plan.parts}
            first = min(plans, default=now)
            samples = await telemetry.between(connection, ven_ids, first - self._hold, now) if ven_ids else {}
        circuits: dict[str, dict[str, CircuitCurtailment]] = {}
        for each in reversed(shed_acks):
            if each.ack.matched and each.ack.status == AckStatus.ACCEPTED and each.ack.circuits_curtailed is not None:
                circuits[each.ack.ven_id] = {circuit.id: circuit for circuit in each.ack.circuits_curtailed}
        return EventFacts(
            stored=stored,
            timeline=timeline,
            until=until,
            panels=tuple(panel for panel in self._registry if panel.ven_id in ven_ids),
            plans=plans,
            baselines=baselines,
            answers=answers,
            circuits=circuits,
            samples=samples,
        )

    async def _asked_for(
        self, facts: EventFacts, sender: Sender, now: datetime
    ) -> tuple[datetime | None, list[ReportRequest]]:
        """Return when the next requested report of the event is due, and those that are due now."""
        event = facts.stored.event
        descriptors = event.report_descriptors or ()
        delay = timedelta(seconds=self._settings.reporting.delay_s)
        async with self._store.reading() as connection:
            written = {report.name for report in await reports.of_event(connection, event.id)}
        built: list[ReportRequest] = []
        if facts.stored.withdrawn_at is not None:
            return None, built
        for group in due_together(facts.timeline, descriptors, joined_at=facts.stored.received_at):
            due = group[0].due + delay
            if due > now:
                return due, built
            if reports.key_name(report_name(event.id, group), sender.key) not in written:
                built.extend(report for _, report in await build(group, self._asked_facts(facts, sender)))
        return None, built

    def _asked_facts(self, facts: EventFacts, sender: Sender) -> Facts:
        circuits = tuple(circuit for panel in facts.panels for circuit in panel_circuits(panel))
        series = merged_samples(facts.samples)
        baseline_kw = {
            f"{ven_id}/{circuit}": Decimal(str(kw))
            for ven_id, each in facts.baselines.items()
            for circuit, kw in each.circuits_kw.items()
        }
        now_kw = dict(series[-1].kw) if series else {}

        @lru_cache(maxsize=1)  # windows come one after the other, each for every circuit
        def inside(start: datetime, end: datetime) -> Sequence[PowerReading]:
            return [sample for sample in series if start - self._hold <= sample.at < end]

        def measured(circuit_ids: tuple[str, ...], start: datetime, end: datetime) -> Measurement | None:
            return measure(inside(start, end), start, end, power=power_of_all(circuit_ids), hold=self._hold)

        def curtailed(name: str, start: datetime, end: datetime | None) -> bool:
            ven_id, _, circuit = name.partition("/")
            return ven_id in facts.answers and is_curtailed(facts, ven_id, circuit)

        def level(start: datetime, end: datetime | None) -> int:
            plan = plan_at(facts.plans, start)
            return int(plan.request.split()[1]) if plan is not None and plan.request.startswith("level ") else 0

        return Facts(
            event_id=facts.stored.event.id,
            client_name=sender.client_name,
            circuits=circuits,
            targets={},
            baseline_kw=baseline_kw,
            expected_kw=now_kw,
            opted_out=not facts.answers,
            measured=measured,
            curtailed=curtailed,
            level=level,
        )


def _said_yes(command: Command) -> bool:
    """Return True if a shed was applied: by its ack, or by telemetry when the ack was lost."""
    return command.op is Op.SHED_PANEL and command.state is CommandState.ACKED
