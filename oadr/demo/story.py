"""The demo's run: create a program, targets and an event, and watch until all have returned and reported."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from statistics import median
from typing import Any

import aiohttp

from oadr.demo.fleet import BRIDGE, BUSINESS_LOGIC, Fleet
from oadr.demo.homes import HOME_20B, HOMES, PANELS, PROGRAM, REQUESTED_KW, TARGET
from oadr.demo.telemetry import MeasuredDelivery, by_step, delivery, reductions_kw
from oadr.demo.truth import HomeDevice, Ledger, LegacyDevice
from oadr.demo.verdict import Evidence, Finding, judge
from oadr.demo.view import Plan, Power, Step
from oadr.events.publishing import program_named
from openadr_client import VtnClient
from openadr_profiles.fleet.building import reduction_event
from openadr_profiles.fleet.reports import read_status, status_report_name
from openadr_profiles.fleet.status import EventStatus, event_status
from openadr_profiles.v31 import AGGREGATED_REPORT, BlVenRequest, Event, EventPayloadType, Report, Resource, Ven
from openadr_profiles.v31.timeline import Timeline

_LOOK_EVERY_S = 0.2
_REQUESTED = {number: Decimal(str(kw)) for number, kw in enumerate(REQUESTED_KW)}


@dataclass(frozen=True)
class Scene:
    """A snapshot of the run at the instant ``at``: the event's status, and the findings that remain.

    ``power`` is the power of the whole fleet from the beginning until now. ``deliveries`` are those of homes that tell
    nothing but telemetry, by name.
    """

    at: datetime
    plan: Plan
    power: tuple[Power, ...]
    status: EventStatus
    evidence: Evidence
    findings: tuple[Finding, ...]
    over: bool
    deliveries: Mapping[str, MeasuredDelivery]

    def response_ms(self) -> dict[str, float] | None:
        """Least, middle and greatest response time of the panels' acknowledgments."""
        times = [
            command["responseMs"]
            for commands in self.evidence.commands.values()
            for command in commands
            if command["responseMs"] is not None
        ]
        return {"min": min(times), "median": median(times), "max": max(times), "count": len(times)} if times else None


async def tell(fleet: Fleet, *, for_s: float) -> AsyncIterator[Scene]:
    """Run the demo within ``for_s`` real seconds; yield snapshots, the last of which has the verdict's findings.

    The event takes half of the time. What comes after it ends as soon as nothing is wrong any more.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + for_s
    async with fleet.client(BUSINESS_LOGIC) as utility, aiohttp.ClientSession() as bridge:
        await grant(utility)
        event = await issue(fleet, utility, for_s=for_s)
        timeline = Timeline.of(event, anchor=event.modification_date_time)
        plan = _plan(timeline, fleet.clock.now(), left_s=(deadline - loop.time()) * fleet.clock.speed)
        power: list[Power] = []
        ledger = Ledger(
            [
                *(HomeDevice(home, fleet.home_state(home)) for home in HOMES),
                *(LegacyDevice(panel.model) for panel in fleet.panels.values()),
            ]
        )
        while True:
            now = fleet.clock.now()
            # Readings near the edges of an interval do not count: parts notice its start and end a moment later.
            margin = timedelta(seconds=fleet.pace.seconds(0.8))
            window = timeline.current(now)
            settled = window is not None and window.start + margin <= now
            ledger.look(now, window.interval_id if window and settled else None)
            vens, resources = await utility.vens.search(), await utility.resources.search()
            reports = await utility.reports.search(event_id=event.id)
            telemetry = {
                home.name: by_step(
                    reductions_kw(await utility.reports.search(client_name=home.name)), plan, margin=margin
                )
                for home in HOMES
                if home is HOME_20B
            }
            evidence = await _evidence(fleet, bridge, event, vens, resources, reports, ledger, telemetry)
            normal_kw, taken_kw = ledger.totals_kw()
            asked_kw = plan.asked_kw(now) * vens_in(evidence)
            power.append(Power(now, float(normal_kw), asked_kw, float(taken_kw)))
            findings = tuple(judge(evidence))
            late = loop.time() >= deadline
            over = late or (timeline.transpired(now) and not findings) or bool(fleet.failures)
            deliveries = _deliveries(evidence, plan, now)
            yield Scene(now, plan, tuple(power), evidence.status, evidence, findings, over, deliveries)
            if over:
                return
            await asyncio.sleep(_LOOK_EVERY_S)


async def grant(utility: VtnClient) -> None:
    """Give every ven the target that the event will name."""
    for ven in await utility.vens.search():
        request = BlVenRequest(
            client_id=ven.client_id, ven_name=ven.ven_name, attributes=ven.attributes, targets=(TARGET,)
        )
        await utility.vens.replace(ven.id, request)


async def issue(fleet: Fleet, utility: VtnClient, *, for_s: float) -> Event:
    """Create the program and the event; it begins after a tenth of the time and takes half of it."""
    program = await program_named(utility, PROGRAM)
    request = reduction_event(
        program.id,
        EventPayloadType.DISPATCH_SETPOINT_RELATIVE,
        [-kw for kw in REQUESTED_KW],
        start=fleet.clock.now() + timedelta(seconds=fleet.pace.seconds(max(2.5, for_s / 10))),
        length=timedelta(seconds=fleet.pace.whole_seconds(for_s / 2, least=2, most=86_400)),
        targets=[TARGET],
        name=PROGRAM,
    )
    return await utility.events.create(request)


def vens_in(evidence: Evidence) -> int:
    """Count the VENs that have not opted out; the bridge is one of them, however many panels it has."""
    out = {one.name for one in evidence.status.participants if one.opted_in is False}
    return sum(home not in out for home in evidence.homes) + (not out.issuperset(evidence.panels))


def _plan(timeline: Timeline, issued: datetime, *, left_s: float) -> Plan:
    windows = timeline.windows()
    steps = [Step(w.start, w.end or w.start, kw) for w, kw in zip(windows, REQUESTED_KW, strict=False)]
    return Plan(issued, tuple(steps), latest_end=issued + timedelta(seconds=left_s))


async def _evidence(
    fleet: Fleet,
    bridge: aiohttp.ClientSession,
    event: Event,
    vens: list[Ven],
    resources: list[Resource],
    reports: list[Report],
    ledger: Ledger,
    telemetry: Mapping[str, Mapping[int, Decimal]],
) -> Evidence:
    status = event_status(event, vens, resources, reports, at=fleet.clock.now())
    seen = await _get(bridge, f"{fleet.bridge_url}/api/events/{event.id}")
    acks = await _get(bridge, f"{fleet.bridge_url}/api/events/{event.id}/acks?limit=1000")
    return Evidence(
        status=status,
        requested=_requested(reports, event) | dict.fromkeys(telemetry, _REQUESTED),
        telemetry=telemetry,
        reports=reports,
        ledger=ledger,
        commands={panel["venId"]: panel["commands"] for panel in (seen or {}).get("panels", ())},
        acks=acks["acks"] if acks else (),
        failures=fleet.failures,
        homes=[home.name for home in HOMES],
        panels=[panel.id for panel in PANELS],
        bridge=BRIDGE,
        opts_out=[home.name for home in HOMES if home.opt],
        asked_kw=REQUESTED_KW,
    )


def _deliveries(evidence: Evidence, plan: Plan, at: datetime) -> dict[str, MeasuredDelivery]:
    """Return what homes that take part have delivered by their telemetry alone."""
    taking_part = {one.name for one in evidence.status.participants if one.opted_in}
    found = {name: delivery(told, plan, at) for name, told in evidence.telemetry.items() if name in taking_part}
    return {name: each for name, each in found.items() if each is not None}


async def _get(session: aiohttp.ClientSession, url: str) -> Any:
    async with session.get(url) as response:
        return await response.json() if response.status == 200 else None


def _requested(reports: list[Report], event: Event) -> dict[str, dict[int, Decimal]]:
    """Return the kW that each home and panel reports as requested, by its name and the interval's id."""
    panels = {panel.id for panel in PANELS}
    found: dict[str, dict[int, Decimal]] = {}
    for report in reports:
        if report.report_name != status_report_name(event.id):
            continue
        for interval in read_status(report.resources):
            for shed in interval.sheds:
                name = report.client_id if shed.resource_name == AGGREGATED_REPORT else shed.resource_name
                if shed.requested_kw is not None and (name in panels or name == report.client_id):
                    found.setdefault(name, {})[interval.id] = shed.requested_kw
    return found
