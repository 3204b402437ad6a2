"""Test the whole control loop with relays: how often they are switched, and for how long (V17)."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

from openadr_client.clock import ManualClock
from openadr_profiles.v31 import Event, Interval, ValuesMap
from tests.ven.builders import START, a_circuit, shed_event
from tests.ven.home import Relay
from ven.control import Control
from ven.panel.circuits import BranchCircuit
from ven.settings import SafetySettings, VenSettings, VtnSettings
from ven.store import StateFile

PUMP_KW = {"pump": Decimal(2)}


def a_relay(id_: str, **members: float) -> BranchCircuit:
    return a_circuit(id_, on_off=True, **members)


def levels(*values: int, seconds: float) -> Event:
    """An event of one SIMPLE level after the other."""
    intervals = tuple(
        Interval(id=number, payloads=(ValuesMap(type="SIMPLE", values=(value,)),))
        for number, value in enumerate(values)
    )
    return shed_event(intervals=intervals, minutes=seconds / 60, units=None)


class Basement:
    """A panel of relays and the control loop, on a clock that the test moves."""

    def __init__(self, control: Control, relay: Relay, clock: ManualClock) -> None:
        self.control = control
        self.relay = relay
        self.clock = clock

    async def run_until(self, moment: datetime) -> None:
        while self.clock.now() < moment:
            wake = await self.control.step()
            await self.clock.advance((min(wake, moment) - self.clock.now()).total_seconds())
        await self.control.step()

    def switched(self, circuit_id: str) -> list[bool]:
        """Return the switchings of a circuit: True for off."""
        return [limit_kw is not None for id_, limit_kw in self.relay.diary if id_ == circuit_id]


@asynccontextmanager
async def basement(
    folder: Path, circuits: Iterable[BranchCircuit], kw: dict[str, Decimal], *, return_spread_s: float = 0
) -> AsyncIterator[Basement]:
    clock = ManualClock(START - timedelta(minutes=1))
    settings = VenSettings(
        vtn=VtnSettings(url="http://127.0.0.1:1/openadr3/3.1.0"),
        ven_name="basement",
        circuits=tuple(circuits),
        store=folder / "ven.sqlite3",
        safety=SafetySettings(return_spread_s=return_spread_s),
    )
    async with StateFile(settings.store, now=clock.now()) as store:
        relay = Relay(kw)
        control = Control(settings, store=store, driver=relay, clock=clock)
        await control.load()
        yield Basement(control, relay, clock)


async def test_an_event_that_changes_its_mind_every_ten_seconds_does_not_wear_a_relay(tmp_path: Path) -> None:
    async with basement(tmp_path, [a_relay("pump")], PUMP_KW) as home:
        await home.control.take_events([levels(*[3, 0] * 30, seconds=10)])
        await home.run_until(START + timedelta(minutes=11))
        assert 2 <= len(home.switched("pump")) <= 8
        assert home.relay.in_force == {}


async def test_a_circuit_that_has_to_stay_off_does_so_beyond_its_event(tmp_path: Path) -> None:
    async with basement(tmp_path, [a_relay("pump", min_off_s=300)], PUMP_KW) as home:
        await home.control.take_events([levels(3, seconds=60)])
        await home.run_until(START + timedelta(seconds=299))
        assert home.relay.in_force == {"pump": 0}
        await home.run_until(START + timedelta(seconds=300))
        assert home.switched("pump") == [True, False]


async def test_circuits_take_turns_during_a_long_event(tmp_path: Path) -> None:
    circuits = [a_relay("pump", max_shed_s=600), a_relay("boiler", max_shed_s=600)]
    async with basement(tmp_path, circuits, {"pump": Decimal(2), "boiler": Decimal(2)}) as home:
        await home.control.take_events([shed_event(-2, minutes=40)])
        await home.run_until(START + timedelta(minutes=41))
        assert home.switched("pump") == [True, False, True, False]
        assert home.switched("boiler") == [True, False, True, False]
        assert home.relay.in_force == {}


async def test_a_load_about_a_limit_does_not_wear_a_relay_and_the_limit_is_kept(tmp_path: Path) -> None:
    circuits = [a_relay("pump"), a_circuit("oven", shed_share=Decimal(0))]
    kw = {"pump": Decimal(2), "oven": Decimal(2)}
    async with basement(tmp_path, circuits, kw) as home:
        await home.control.take_events([shed_event(4, type_="IMPORT_CAPACITY_LIMIT", minutes=10)])
        for number in range(60):
            home.relay.wants["oven"] = Decimal("2.5") if number % 2 == 0 else Decimal("1.5")
            await home.run_until(START + timedelta(seconds=10 * number))
            if number % 2 == 0:
                assert home.relay.in_force == {"pump": 0}
        assert len(home.switched("pump")) <= 8
