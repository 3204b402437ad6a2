"""Compare the facts of events with `event_status`, which joins the objects themselves, for fleets at random."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from openadr_profiles.fleet.cancellation import cancelled
from openadr_profiles.fleet.reports import Opt, Shed, ShedInterval, opt_report, status_report
from openadr_profiles.fleet.status import CircuitStatus, EventStatus, event_status
from openadr_profiles.v31 import AGGREGATED_REPORT, Event, OperatingState, Report, ReportRequest, Resource, Ven
from tests.vtn.facts.fleet import BL, Fleet, read_as
from vtn.store.facts.results import CircuitFacts, ParticipantFacts

STATES = tuple(OperatingState)


class World:
    """A fleet at random: silent vens, vens that speak for themselves, bridges with panels, and pages of reports."""

    def __init__(self, fleet: Fleet, seed: int) -> None:
        self.fleet, self.random = fleet, random.Random(seed)
        self.vens: list[Ven] = []
        self.resources: list[Resource] = []
        self.reports: dict[str, Report] = {}
        self.event: Event

    async def populate(self) -> None:
        """Make vens, resources and an event that some of them see."""
        choose = self.random
        for _ in range(choose.randint(0, 5)):
            name = f"ven {choose.getrandbits(64)}"
            self.vens.append(await self.fleet.ven(name, choose.sample(("a", "b"), choose.randint(0, 1))))
            if choose.random() < 0.4:
                targets = choose.sample(("a", "b"), 1)
                self.resources.append(await self.fleet.resource(self.vens[-1], "circuit 1", targets))
        start = self.fleet.now + timedelta(minutes=choose.choice((-90, -10, 20)))
        payloads = [{"type": "DISPATCH_SETPOINT_RELATIVE", "values": [-choose.choice((0.5, 2, 3.25))]}]
        self.event = await self.fleet.event(
            await self.fleet.program(),
            eventName="evening",
            targets=choose.choice(([], [], ["a"], ["a", "b"], ["c"], [v.id for v in self.vens[:1]])),
            intervalPeriod={"start": start.isoformat(), "duration": "PT30M"},
            intervals=[
                {"id": number, "payloads": payloads if choose.random() < 0.9 else []}
                for number in range(choose.randint(1, 3))
            ],
        )

    async def talk(self) -> None:
        """Let vens report, change their reports, and take them back."""
        for ven in self.vens:
            names = self._names()
            for _ in range(self.random.choice((0, 1, 1, 2, 3))):
                page = self.random.choice((None, None, "2"))
                await self._tell(
                    ven, self._opts(names, page) if self.random.random() < 0.5 else self._status(names, page)
                )
        if self.reports and self.random.random() < 0.3:
            one = self.reports.pop(self.random.choice(list(self.reports)))
            await self.fleet.remove(one)
        if self.random.random() < 0.2:
            request = cancelled(self.event)
            self.event = read_as(await self.fleet.stores.events.replace(self.event.id, request, by=BL), Event)

    def _names(self) -> Sequence[str]:
        """Return who speaks: the ven and its circuits, or panels and theirs, or anything."""
        panels = ["panel 1", "panel 1/kitchen", "panel 2", "panel 2/sauna", "panel_2/x"]
        circuits = [AGGREGATED_REPORT, "kitchen", "sauna"]
        return self.random.choice((circuits, circuits, panels, [*panels, *circuits]))

    async def _tell(self, ven: Ven, request: ReportRequest) -> None:
        self.fleet.vtn.now.pass_(seconds=1)
        alike = [
            one
            for one in self.reports.values()
            if (one.client_id, one.report_name) == (ven.client_id, request.report_name)
        ]
        if alike and self.random.random() < 0.7:
            report = await self.fleet.change(alike[0], request)
        else:
            report = await self.fleet.report(ven.client_id, request)
        self.reports[report.id] = report
        if self.random.random() < 0.3:
            await self.fleet.read()

    def _opts(self, names: Sequence[str], page: str | None) -> ReportRequest:
        choose = self.random
        opts = []
        for name in choose.sample(names, choose.randint(0, len(names))):
            opted_in = choose.random() < 0.6
            reason = "owner says no" if not opted_in else choose.choice((None, "without prices"))
            decided_at = self.fleet.now - timedelta(minutes=choose.randint(1, 60)) if choose.random() < 0.5 else None
            state = choose.choice(STATES)
            opts.append(Opt(name, opted_in=opted_in, reason=reason, state=state, decided_at=decided_at))
        return opt_report(event_id=self.event.id, client_name="c", decided_at=self.fleet.now, opts=opts, page=page)

    def _status(self, names: Sequence[str], page: str | None) -> ReportRequest:
        choose = self.random
        at = self.fleet.now + timedelta(minutes=choose.choice((-80, -40, -5)))
        intervals = []
        for number in range(choose.randint(0, 3)):
            end = at + timedelta(minutes=choose.choice((1, 20, 45)))
            sheds = [self._shed(name) for name in choose.sample(names, choose.randint(0, len(names)))]
            intervals.append(ShedInterval(number, at, None if choose.random() < 0.2 else end, tuple(sheds)))
            at = end
        return status_report(event_id=self.event.id, client_name="c", intervals=intervals, page=page)

    def _shed(self, name: str) -> Shed:
        def kw() -> Decimal | None:
            return self.random.choice((None, Decimal(0), Decimal("-0.4"), Decimal("1.234"), Decimal(7)))

        return Shed(name, kw(), kw(), kw(), kw(), kw(), self.random.choice((None, *STATES)), kw())


@pytest.mark.parametrize("seed", range(30))
async def test_facts_are_what_the_objects_say(fleet: Fleet, seed: int) -> None:
    """For every participant, circuit and sum, whatever was read when, and in which order (R-14)."""
    world = World(fleet, seed)
    await world.populate()
    await world.talk()
    await fleet.read()
    event, at = world.event, fleet.now

    status = event_status(event, world.vens, world.resources, list(world.reports.values()), at=at)
    funnel = await fleet.facts.funnel(event.id)
    page = await fleet.facts.participants(event.id, limit=100)

    assert [_of_funnel(funnel)] == [_of_status(status)]
    told = {(each.ven_name, each.name): _of_facts(each) for each in page.items}
    assert told == {(each.ven_name, each.name): _of_participant(each) for each in status.participants}
    for each in status.participants:
        panel = None if each.name == each.ven_name else each.name
        circuits = await fleet.facts.circuits(event.id, each.client_id, panel)
        assert {one.name: _of_circuit(one) for one in circuits} == {one.name: _of_circuit(one) for one in each.circuits}


def _of_funnel(funnel: Any) -> tuple[Any, ...]:
    return (
        funnel.state,
        funnel.starts_at,
        funnel.ends_at,
        funnel.targeted,
        funnel.participants,
        funnel.answered,
        funnel.opted_in,
        funnel.opted_out,
        funnel.delivering,
        _about(funnel.requested_kw or 0),
        _about(funnel.delivered_kw or 0),
        _about(funnel.planned_kwh),
        _about(funnel.requested_kwh or 0),
        _about(funnel.delivered_kwh or 0),
        _about(funnel.shortfall_kwh),
    )


def _of_status(status: EventStatus) -> tuple[Any, ...]:
    total = status.totals
    return (
        status.state,
        status.start,
        status.end,
        total.targeted,
        total.participants,
        total.reached,
        total.opted_in,
        total.opted_out,
        total.delivering,
        _about(total.requested_kw),
        _about(total.delivered_kw),
        _about(total.planned_kwh),
        _about(total.requested_kwh),
        _about(total.delivered_kwh),
        _about(total.shortfall_kwh),
    )


def _of_facts(one: ParticipantFacts) -> tuple[Any, ...]:
    return (
        one.client_id,
        one.answered,
        one.opted_in,
        one.reason,
        _about(one.requested_kw),
        _about(one.delivered_kw),
        _about(one.requested_kwh or 0),
        _about(one.delivered_kwh or 0),
        _about(one.planned_kwh),
        _about(one.shortfall_kwh),
        one.reports,
        one.last_report,
    )


def _of_participant(one: Any) -> tuple[Any, ...]:
    return (
        one.client_id,
        one.reached,
        one.opted_in,
        one.reason,
        _about(one.requested_kw),
        _about(one.delivered_kw),
        _about(one.requested_kwh),
        _about(one.delivered_kwh),
        _about(one.planned_kwh),
        _about(one.shortfall_kwh),
        one.reports,
        one.last_report,
    )


def _of_circuit(one: CircuitStatus | CircuitFacts) -> tuple[Any, ...]:
    powers = (
        (one.requested_kw, one.original_kw, one.curtailed_kw, one.delivered_kw, one.final_kw)
        if isinstance(one, CircuitStatus)
        else (one.requested_kw, one.baseline_kw, one.demand_kw, one.delivered_kw, one.final_kw)
    )
    return (*map(_about, powers), one.state, one.opted_out)


def _about(quantity: float | Decimal | None) -> object:
    """Return a quantity to be compared: sums of kWh that were rounded one by one differ by a few watt-hours."""
    return None if quantity is None else pytest.approx(float(quantity), abs=0.02)
