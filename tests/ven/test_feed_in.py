"""Test limits of what is fed in (EXPORT_CAPACITY_LIMIT): planned, carried out, reported, or said not to be acted on."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from decimal import Decimal
from itertools import chain, combinations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from openadr_client.clock import ManualClock
from openadr_profiles.fleet.power import EXPORT_LIMIT, IMPORT_LIMIT
from openadr_profiles.v31 import AGGREGATED_REPORT, Event, EventPayloadDescriptor, Interval, ValuesMap
from openadr_profiles.v31.timeline import Timeline
from tests.ven.builders import START, a_circuit, shed_event, total
from tests.ven.home import POWERS, Home, Relay, Town
from ven.asks import Context, SheddingRules
from ven.drivers import CircuitState, find_driver
from ven.errors import BadDriverOptions
from ven.panel.circuits import BranchCircuit
from ven.panel.curtailment import plan_shedding
from ven.panel.wanted import PanelSituation, WantedCurtailment, asks_in_force, lowest_limits, want
from ven.registration import circuit_attributes
from ven.settings import VenSettings

NOTHING = Decimal(0)
LATER = START + timedelta(hours=1)


def a_roof(id_: str = "roof", **members: Any) -> BranchCircuit:
    """A circuit with solar panels."""
    return a_circuit(id_, **{"rated_kw": Decimal("0.1"), "export_kw": Decimal(8), "limits_feed_in": True} | members)


ROOF = a_roof()
EV = a_circuit("ev", priority=8)
OVEN = a_circuit("oven", shed_share=NOTHING)
CIRCUITS = (OVEN, EV, ROOF)


def an_envelope(*limits_kw: Mapping[str, float], **members: Any) -> Event:
    """A schedule of limits of what is drawn and fed in, as the user guide has it (8.10.1)."""
    types = sorted({type_ for each in limits_kw for type_ in each})
    intervals = tuple(
        Interval(id=number, payloads=tuple(ValuesMap(type=type_, values=(kw,)) for type_, kw in each.items()))
        for number, each in enumerate(limits_kw)
    )
    described = tuple(EventPayloadDescriptor(payload_type=type_, units="KW") for type_ in types)
    return shed_event(intervals=intervals, payload_descriptors=described, **members)


def wanted_now(
    event: Event, kw: Mapping[str, Decimal], circuits: tuple[BranchCircuit, ...] = CIRCUITS
) -> list[WantedCurtailment]:
    context = Context(event, None, SheddingRules(), feeds_in=True)
    asks, unread = asks_in_force([(context, Timeline.of(event, anchor=START))], START)
    found, unplanned = want(asks, PanelSituation(circuits, SheddingRules(), kw), {event.id: kw})
    assert (unread, unplanned) == ([], [])
    return found


def limits(wanted: list[WantedCurtailment]) -> dict[str, Decimal]:
    return {id_: limit.limit_kw for id_, limit in lowest_limits(wanted, {}).items()}


@pytest.mark.parametrize(
    ("kw", "limited"),
    [
        ({"oven": 1, "ev": 0, "roof": -5}, {"roof": "3.5"}),
        ({"oven": 1, "ev": 3, "roof": -5}, {}),
        ({"oven": 0, "ev": 0, "roof": "-2.5"}, {}),
        ({"oven": 0, "ev": 12, "roof": -1}, {"ev": 11}),
        ({"oven": 12, "ev": 3, "roof": "0.02"}, {"ev": 0}),
    ],
)
def test_an_operating_envelope_limits_what_is_drawn_and_what_is_fed_in_apart(
    kw: dict[str, Any], limited: dict[str, Any]
) -> None:
    """ENUM-001, user guide 8.10.1: 10 kW in, 2.5 kW out; no circuit is limited for the other's sake."""
    event = an_envelope({IMPORT_LIMIT: 10, EXPORT_LIMIT: 2.5})
    power_kw = {id_: Decimal(value) for id_, value in kw.items()}
    assert limits(wanted_now(event, power_kw)) == {id_: Decimal(value) for id_, value in limited.items()}


@st.composite
def roofs(draw: st.DrawFn) -> tuple[tuple[BranchCircuit, ...], dict[str, Decimal]]:
    """Homes with up to five generators, some of them switched, and a load, in whole watts."""
    circuits = [
        a_roof(f"r{number}", priority=draw(st.integers(1, 3)), on_off=draw(st.booleans()))
        for number in range(draw(st.integers(1, 5)))
    ]
    kw = {each.id: -draw(st.decimals(min_value=0, max_value=8, places=3)) for each in circuits}
    kw["oven"] = draw(st.decimals(min_value=0, max_value=6, places=3))
    kw["ev"] = draw(st.decimals(min_value=0, max_value=6, places=3))
    return (*circuits, OVEN, EV), kw


def after(circuits: tuple[BranchCircuit, ...], kw: Mapping[str, Decimal], limited: Mapping[str, Decimal]) -> Decimal:
    """Return what is fed in all together when the circuits keep their limits."""
    return -total(max(kw[each.id], -limited[each.id]) if each.id in limited else kw[each.id] for each in circuits)


@given(home=roofs(), limit_kw=st.decimals(min_value=0, max_value=20, places=3))
def test_a_limit_of_what_is_fed_in_is_kept_if_it_can_be_and_takes_no_more_than_it_must(
    home: tuple[tuple[BranchCircuit, ...], dict[str, Decimal]], limit_kw: Decimal
) -> None:
    """By trying every choice of switched generators: the others take what is left."""
    circuits, kw = home
    limited = limits(wanted_now(an_envelope({EXPORT_LIMIT: float(limit_kw)}), kw, circuits))
    feeding = [each for each in circuits if each.limits_feed_in]
    assert limited.keys() <= {each.id for each in feeding}
    assert all(value >= 0 for value in limited.values())
    least_kw = -total(kw[each.id] for each in circuits if not each.limits_feed_in)
    assert after(circuits, kw, limited) <= max(limit_kw, least_kw)
    missing_kw = after(circuits, kw, {}) - limit_kw
    if missing_kw <= 0:
        assert limited == {}
        return
    fluid_kw = total(-kw[each.id] for each in feeding if not each.on_off)
    switched = [each.id for each in feeding if each.on_off]
    choices = chain.from_iterable(combinations(switched, count) for count in range(len(switched) + 1))
    whole = [total(-kw[id_] for id_ in choice) for choice in choices]
    enough = [max(kw_, missing_kw) for kw_ in whole if kw_ + fluid_kw >= missing_kw]
    taken_kw = after(circuits, kw, {}) - after(circuits, kw, limited)
    assert not enough or min(enough) <= taken_kw <= max(enough)


@given(home=roofs(), requested_kw=st.decimals(min_value=0, max_value=30, places=3))
def test_what_is_fed_in_is_shared_out_as_what_is_drawn(
    home: tuple[tuple[BranchCircuit, ...], dict[str, Decimal]], requested_kw: Decimal
) -> None:
    """V14: the planner that is compared with all choices plans both."""
    circuits, kw = home
    turned = [each.model_copy(update={"limits_feed_in": not each.limits_feed_in}) for each in circuits]
    plan = plan_shedding(circuits, kw, requested_kw, tolerance_kw=None, fed_in=True)
    mirrored = plan_shedding(turned, {id_: -value for id_, value in kw.items()}, requested_kw, tolerance_kw=None)
    assert [(each.circuit_id, each.shed_kw) for each in plan.circuits] == [
        (each.circuit_id, each.shed_kw) for each in mirrored.circuits
    ]


class Inverter(Relay):
    """A relay board with an inverter, whose limit is on what it feeds in."""

    def _state(self, circuit_id: str, wanted_kw: Decimal) -> CircuitState:
        state = super()._state(circuit_id, wanted_kw)
        limit_kw = self.in_force.get(circuit_id)
        if wanted_kw >= 0 or limit_kw is None:
            return state
        return CircuitState(power_kw=max(wanted_kw, -limit_kw), limit_kw=limit_kw, is_on=limit_kw > 0)


async def test_a_roof_is_limited_reported_and_returned(town: Town, start_home: Callable[..., Awaitable[Home]]) -> None:
    inverter = Inverter({"oven": Decimal(1), "ev": NOTHING, "roof": Decimal(-5)})
    home = await start_home(relay=inverter, circuits=CIRCUITS, sample_s=60)
    event = await town.issue(an_envelope({EXPORT_LIMIT: 2.5, IMPORT_LIMIT: 10}))
    await home.until(START + timedelta(minutes=30))
    assert inverter.in_force == {"roof": Decimal("3.5")}
    inverter.wants["oven"] = NOTHING  # now all of it is fed in
    await home.pass_(minutes=1)
    assert inverter.in_force == {"roof": Decimal("2.5")}
    await home.until(START + timedelta(minutes=61))
    assert inverter.in_force == {}
    (interval,) = await town.status(event)
    sheds = {shed.resource_name: shed for shed in interval.sheds}
    roof, whole = sheds["roof"], sheds[AGGREGATED_REPORT]
    assert roof.original_kw == roof.final_kw == Decimal(-5)
    for shed in (roof, whole):
        assert shed.requested_kw is not None
        assert Decimal("1.5") < shed.requested_kw < Decimal("2.5")
        assert shed.delivered_kw == shed.requested_kw
    assert roof.curtailed_kw == Decimal(-5) + (roof.delivered_kw or NOTHING)
    assert {shed.delivered_kw for name, shed in sheds.items() if name not in {"roof", AGGREGATED_REPORT}} == {0}


async def test_a_roof_without_sun_does_not_count_as_limited(
    town: Town, start_home: Callable[..., Awaitable[Home]]
) -> None:
    inverter = Inverter({"oven": NOTHING, "ev": NOTHING, "roof": Decimal(-5)})
    home = await start_home(relay=inverter, circuits=CIRCUITS, sample_s=60)
    event = await town.issue(an_envelope({EXPORT_LIMIT: 2.5}))
    await home.until(START + timedelta(minutes=30))
    inverter.wants["roof"] = Decimal(-1)
    await home.until(START + timedelta(minutes=61))
    (interval,) = await town.status(event)
    roof = next(shed for shed in interval.sheds if shed.resource_name == "roof")
    assert roof.delivered_kw == pytest.approx(Decimal("1.25"), abs=Decimal("0.05"))


async def test_a_home_without_a_roof_says_that_nothing_acts_on_it(
    town: Town, start_home: Callable[..., Awaitable[Home]]
) -> None:
    """V12, ruling 22: it is never accepted and does nothing."""
    home = await start_home()
    event = await town.issue(an_envelope({EXPORT_LIMIT: 2.5}))
    await home.until(START + timedelta(minutes=10))
    (opt,) = await town.opts(event)
    said = "nothing here acts on EXPORT_CAPACITY_LIMIT (no circuit can be limited in what it feeds in)"
    assert (opt.opted_in, opt.reason) == (False, said)
    assert home.relay.diary == []


async def test_a_roof_sheds_nothing_for_other_events(town: Town, start_home: Callable[..., Awaitable[Home]]) -> None:
    inverter = Inverter({**POWERS, "oven": NOTHING, "roof": Decimal(-5)})
    home = await start_home(relay=inverter, circuits=CIRCUITS)
    await town.issue(shed_event(3, type_="SIMPLE", units=None))
    await home.until(START + timedelta(minutes=10))
    assert inverter.in_force == {"ev": 0}


DEVICE = {"host": "127.0.0.1", "port": 502}
METER = {"device": "d", "power": {"address": 0, "table": "input", "type": "int16", "unit": "W"}}


@pytest.mark.parametrize(
    ("kind", "options", "problem"),
    [
        ("ev", {"chargers": {}}, None),
        ("modbus", {"devices": {"d": DEVICE}, "circuits": {"roof": METER}}, r"circuits\.roof has neither limit nor"),
        ("mqtt", {"circuits": {"roof": {"device": "tasmota", "topic": "roof"}}}, r"circuit roof .* on_off = true"),
    ],
)
def test_a_driver_that_cannot_limit_what_is_fed_in_is_refused_at_the_start(
    kind: str, options: dict[str, Any], problem: str | None
) -> None:
    with pytest.raises(BadDriverOptions, match=problem):
        find_driver(kind)([ROOF], options, ManualClock(START))


def test_a_driver_of_ones_own_that_does_not_say_that_it_can_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class Entry:
        def load(self) -> Any:
            return lambda circuits, options, clock: Relay()

    monkeypatch.setattr("ven.drivers.registry._entries", lambda: {"mine": Entry()})
    clock = ManualClock(START)
    assert isinstance(find_driver("mine")([EV], {}, clock), Relay)
    with pytest.raises(BadDriverOptions, match=r"'mine' cannot limit what circuits feed in: leave .* of roof out"):
        find_driver("mine")([EV, ROOF], {}, clock)


@pytest.mark.parametrize("kind", ["simulated", "several"])
async def test_simulated_roof_keeps_its_limit(kind: str) -> None:
    part = {"kind": "simulated", "circuits": ["roof", "ev"], "options": {"ripple": 0}}
    options = {"parts": {"all": part}} if kind == "several" else {"ripple": 0}
    async with find_driver(kind)([ROOF, EV], options, ManualClock(START)) as driver:
        free = (await driver.read())["roof"].power_kw
        assert free is not None
        assert -8 <= free <= Decimal("-3.2")
        for limit_kw in (Decimal(2), NOTHING, Decimal(100)):
            await driver.limit("roof", limit_kw, expires_at=LATER)
            state = (await driver.read())["roof"]
            assert (state.power_kw, state.limit_kw) == (max(free, -limit_kw), limit_kw)
        await driver.release("roof", switch_on=True)
        assert (await driver.read())["roof"].power_kw == free


@pytest.mark.parametrize("missing", ["export_kw", "shed_share"])
def test_a_circuit_that_has_nothing_to_feed_in_is_refused(missing: str) -> None:
    with pytest.raises(ValidationError, match=r"circuit roof has limits_feed_in: give export_kw, .* and shed_share"):
        a_roof("roof", **{missing: NOTHING})


def test_storage_that_is_limited_in_what_it_feeds_in_is_refused_for_charging() -> None:
    battery = a_roof("battery")
    with pytest.raises(ValidationError, match="storage names battery, whose limits are on what it feeds in"):
        VenSettings.model_validate(
            {
                "vtn": {"url": "http://127.0.0.1:1/openadr3/3.1.0"},
                "ven_name": "home-1",
                "circuits": [battery],
                "shedding": {"storage": ["battery"]},
            }
        )


def test_what_a_circuit_can_feed_in_is_told_to_the_vtn_and_not_as_something_to_shed() -> None:
    """ENUM-010."""
    said = {each.type: each.values[0] for each in circuit_attributes(ROOF)}
    assert (said["MAX_POWER_EXPORT"], said["SHED_SHARE"]) == (8, 0)
    assert "MAX_POWER_EXPORT" not in {each.type for each in circuit_attributes(EV)}
