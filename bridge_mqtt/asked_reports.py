"""The reports that an event's descriptors ask for: in pages of panels, from two readings a meter and interval (B1)."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

import msgspec

from bridge_mqtt.metering.meter import MeterReading, UsedEnergy, used
from bridge_mqtt.metering.meters import Meters
from bridge_mqtt.model import PanelRecord, WindowPlan
from bridge_mqtt.outcome import PanelFacts, is_curtailed, plan_at
from bridge_mqtt.panels import Registry
from bridge_mqtt.resources import panel_circuits
from bridge_mqtt.senders import Sender
from bridge_mqtt.settings import Settings
from bridge_mqtt.status_pages import EventMemory
from bridge_mqtt.store import Store, outcomes, reports
from bridge_mqtt.store.events import StoredEvent
from openadr_profiles.v31 import DueReport, ReportRequest
from openadr_profiles.v31.report_schedule import due_together
from openadr_profiles.v31.timeline import Timeline
from ven.panel.circuits import BranchCircuit
from ven.panel.curtailment import sheddable_kw
from ven.panel.meter import Measurement
from ven.reports.requested import build, report_name
from ven.reports.values import Facts

MOST_VALUES_IN_PAGE: Final = 1_500
"""A report has so many intervals of resources at most, if a single panel has not more: well below a megabyte."""

_NOTHING: Final = Decimal(0)
_SHEDDABLE: Final = "sheddable"
_FIXED: Final = "fixed"
_ESTIMATED: Final = 0.9
_S_PER_H: Final = 3600

Spanned = tuple[datetime, datetime]


@dataclass
class _Sums:
    """Hold what all circuits used together in one window: mean powers added up, and the time that is covered of all."""

    mean_kw: Decimal = _NOTHING
    peak_kw: Decimal = _NOTHING
    last_kw: Decimal = _NOTHING
    covered: float = 0.0
    circuits: int = 0
    curtailed: bool = False


@dataclass
class _Totals:
    """Hold what all pages of a report add up to."""

    windows: dict[Spanned, _Sums] = field(default_factory=dict)
    baseline_kw: Decimal | None = _NOTHING
    expected_kw: Decimal | None = _NOTHING
    sheddable_kw: Decimal = _NOTHING
    circuits: int = 0


class AskedReports:
    """Writes the reports that events ask for, when they are due."""

    def __init__(self, settings: Settings, *, store: Store, registry: Registry, meters: Meters) -> None:
        self._delay = timedelta(seconds=settings.reporting.delay_s)
        self._store = store
        self._registry = registry
        self._meters = meters

    async def write(
        self,
        stored: StoredEvent,
        timeline: Timeline,
        memory: EventMemory,
        sender: Sender,
        said: Collection[str],
        now: datetime,
    ) -> datetime | None:
        """Write the reports of an event that are due; return when the next one is due, None if none is."""
        event = stored.event
        descriptors = event.report_descriptors or ()
        if stored.withdrawn_at is not None or not descriptors:
            return None
        if not memory.asked:
            async with self._store.reading() as connection:
                memory.asked = await reports.names_of(connection, event.id)
        for group in due_together(timeline, descriptors, joined_at=stored.received_at):
            due = group[0].due + self._delay
            if due > now:
                self._ask_for_marks(group, [panel.ven_id for panel in sender.panels])
                return due
            name = reports.key_name(report_name(event.id, group), sender.key)
            if name not in memory.asked:
                await self._write_group(stored, group, memory, sender, said, now)
                memory.asked.add(name)
            await asyncio.sleep(0)
        return None

    def _ask_for_marks(self, group: Sequence[DueReport], ven_ids: Sequence[str]) -> None:
        """Have the meters read at the starts and ends of the next report's intervals."""
        last = group[0].windows[-2:]
        moments = {moment for window in last for moment in (window.start, window.end) if moment is not None}
        self._meters.want(moments, ven_ids)

    async def _write_group(
        self,
        stored: StoredEvent,
        group: tuple[DueReport, ...],
        memory: EventMemory,
        sender: Sender,
        said: Collection[str],
        now: datetime,
    ) -> None:
        """Build a report page by page; the page with the sums, which bears the name itself, is stored last."""
        spans = [(window.start, window.end) for window in group[0].windows if window.end is not None]
        in_page = max(1, MOST_VALUES_IN_PAGE // (9 * max(1, len(spans))))
        panels = {panel.ven_id: panel for panel in sender.panels}
        ven_ids = sorted(panels)
        totals = _Totals(windows={span: _Sums() for span in spans})
        first: list[tuple[str, ReportRequest]] = []
        for number, begin in enumerate(range(0, len(ven_ids), in_page)):
            some = ven_ids[begin : begin + in_page]
            scene = await self._scene(stored, memory.plans, [panels[ven_id] for ven_id in some], said, spans)
            facts = await asyncio.to_thread(scene.facts, sender.client_name, opted_out=not said)
            await asyncio.to_thread(_add, totals, scene, facts)
            built = await build(group, facts, entries="circuits")
            if number == 0:
                first = built
            else:
                await self._store_all(sender, [_page(report, number) for _, report in built], now)
            await asyncio.sleep(0)
        sums = await build(
            group, _total_facts(totals, stored, memory.plans, sender.client_name, opted_out=not said), entries="total"
        )
        await self._store_all(sender, _joined(first, sums), now)

    async def _scene(
        self,
        stored: StoredEvent,
        plans: Mapping[datetime, WindowPlan],
        panels: Sequence[PanelRecord],
        said: Collection[str],
        spans: Sequence[Spanned],
    ) -> _Scene:
        event_id, ven_ids = stored.event.id, [panel.ven_id for panel in panels]
        async with self._store.reading() as connection:
            baselines = await outcomes.baselines_of(connection, event_id, ven_ids)
            circuits = await outcomes.circuits_told(connection, event_id, ven_ids)
            readings: dict[datetime, Mapping[str, MeterReading]] = {}
            for moment in sorted({moment for span in spans for moment in span}):
                readings[moment] = await self._meters.at(connection, ven_ids, moment)
        facts = {
            panel.ven_id: PanelFacts(
                panel=panel,
                baseline=baselines.get(panel.ven_id),
                acted=panel.ven_id in said,
                circuits=circuits.get(panel.ven_id),
            )
            for panel in panels
        }
        return _Scene(event_id=event_id, plans=plans, panels=facts, readings=readings)

    async def _store_all(self, sender: Sender, built: Sequence[ReportRequest], now: datetime) -> None:
        async with self._store.transaction() as connection:
            for report in built:
                await reports.add(connection, report, now, sender=sender.key)


@dataclass(frozen=True, kw_only=True)
class _Scene:
    """Hold what a page is built from: some panels, and what their meters showed at each edge of the intervals."""

    event_id: str
    plans: Mapping[datetime, WindowPlan]
    panels: Mapping[str, PanelFacts]
    readings: Mapping[datetime, Mapping[str, MeterReading]]

    def used(self, resource: str, start: datetime, end: datetime) -> UsedEnergy | None:
        """Return what a circuit used in an interval."""
        ven_id, _, circuit = resource.partition("/")
        return used(self.readings[start].get(ven_id), self.readings[end].get(ven_id), circuit)

    def curtailed(self, resource: str) -> bool:
        """Return True if the panel has limited this circuit."""
        ven_id, _, circuit = resource.partition("/")
        return ven_id in self.panels and is_curtailed(self.panels[ven_id], circuit)

    def facts(self, client_name: str, *, opted_out: bool) -> Facts:
        """Return the same as the builder of reports takes it."""
        circuits = tuple(circuit for each in self.panels.values() for circuit in panel_circuits(each.panel))
        baseline_kw = {
            f"{ven_id}/{circuit}": Decimal(str(kw))
            for ven_id, each in self.panels.items()
            if each.baseline is not None
            for circuit, kw in each.baseline.circuits_kw.items()
        }
        now_kw = {
            f"{ven_id}/{load.id}": Decimal(str(load.current_power_kw))
            for ven_id, each in self.panels.items()
            for load in each.panel.loads
            if load.current_power_kw is not None
        }

        def measured(circuit_ids: tuple[str, ...], start: datetime, end: datetime) -> Measurement | None:
            return _measurement(self.used(circuit_ids[0], start, end), start, end)

        return Facts(
            event_id=self.event_id,
            client_name=client_name,
            circuits=circuits,
            targets={},
            baseline_kw=baseline_kw,
            expected_kw=now_kw,
            opted_out=opted_out,
            measured=measured,
            curtailed=lambda name, _start, _end: self.curtailed(name),
            level=lambda start, _end: _level(self.plans, start),
        )


def _measurement(used_: UsedEnergy | None, start: datetime, end: datetime) -> Measurement | None:
    """Return what two readings tell; what was worked out between readings counts as estimated, by its coverage."""
    kw = None if used_ is None else used_.mean_kw
    if used_ is None or kw is None:
        return None
    length_s = (end - start).total_seconds()
    covered = min(1.0, used_.covered_s / length_s) if length_s > 0 else 0.0
    mean_kw = Decimal(str(kw))
    return Measurement(
        mean_kw=mean_kw,
        peak_kw=mean_kw if used_.peak_kw is None else Decimal(str(used_.peak_kw)),
        last_kw=mean_kw if used_.last_kw is None else Decimal(str(used_.last_kw)),
        covered=min(covered, _ESTIMATED) if used_.estimated else covered,
        hours=Decimal(str(length_s)) / _S_PER_H,
    )


def _level(plans: Mapping[datetime, WindowPlan], start: datetime) -> int:
    plan = plan_at(plans, start)
    return int(plan.request.split()[1]) if plan is not None and plan.request.startswith("level ") else 0


def _add(totals: _Totals, scene: _Scene, facts: Facts) -> None:
    """Add what the circuits of a page used, and would use, to the sums."""
    for circuit in facts.circuits:
        totals.circuits += 1
        before, expected = facts.baseline_kw.get(circuit.id), facts.expected_kw.get(circuit.id)
        totals.baseline_kw = _sum(totals.baseline_kw, before)
        totals.expected_kw = _sum(totals.expected_kw, expected)
        if expected is not None:
            totals.sheddable_kw += sheddable_kw((circuit,), facts.expected_kw) or _NOTHING
        curtailed = scene.curtailed(circuit.id)
        for (start, end), sums in totals.windows.items():
            sums.circuits += 1
            sums.curtailed = sums.curtailed or curtailed
            measured = _measurement(scene.used(circuit.id, start, end), start, end)
            if measured is not None:
                sums.mean_kw += measured.mean_kw
                sums.peak_kw += measured.peak_kw
                sums.last_kw += measured.last_kw
                sums.covered += measured.covered


def _sum(total: Decimal | None, kw: Decimal | None) -> Decimal | None:
    """Return the sum; None if a part of it is not known."""
    return None if total is None or kw is None else total + kw


def _total_facts(
    totals: _Totals, stored: StoredEvent, plans: Mapping[datetime, WindowPlan], client_name: str, *, opted_out: bool
) -> Facts:
    """Return facts with two circuits that stand for all: what can be shed now, and the rest."""
    circuits = (
        BranchCircuit(id=_SHEDDABLE, breaker_amps=1.0, rated_kw=_NOTHING, shed_share=Decimal(1)),
        BranchCircuit(id=_FIXED, breaker_amps=1.0, rated_kw=_NOTHING),
    )

    def measured(_ids: tuple[str, ...], start: datetime, end: datetime) -> Measurement | None:
        sums = totals.windows.get((start, end))
        if sums is None or not sums.covered:
            return None
        hours = Decimal(str((end - start).total_seconds())) / _S_PER_H
        return Measurement(sums.mean_kw, sums.peak_kw, sums.last_kw, sums.covered / sums.circuits, hours)

    def curtailed(_id: str, start: datetime, end: datetime | None) -> bool:
        sums = None if end is None else totals.windows.get((start, end))
        return sums is not None and sums.curtailed

    def shared(total: Decimal | None, first: Decimal) -> dict[str, Decimal]:
        return {} if total is None else {_SHEDDABLE: first, _FIXED: total - first}

    return Facts(
        event_id=stored.event.id,
        client_name=client_name,
        circuits=circuits if totals.circuits else (),
        targets={},
        baseline_kw=shared(totals.baseline_kw, _NOTHING),
        expected_kw=shared(totals.expected_kw, totals.sheddable_kw),
        opted_out=opted_out,
        measured=measured,
        curtailed=curtailed,
        level=lambda start, _end: _level(plans, start),
    )


def _joined(
    first: Sequence[tuple[str, ReportRequest]], sums: Sequence[tuple[str, ReportRequest]]
) -> list[ReportRequest]:
    """Return the first page and the sums as one report where they are named alike."""
    by_name = dict(first)
    for name, report in sums:
        known = by_name.get(name)
        by_name[name] = (
            report if known is None else msgspec.structs.replace(known, resources=known.resources + report.resources)
        )
    return list(by_name.values())


def _page(report: ReportRequest, number: int) -> ReportRequest:
    return msgspec.structs.replace(report, report_name=f"{report.report_name}.{number}")
