"""The owner's hand is seen right after ours, over restarts, and at the device's own limit (V5); nothing is stranded."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from openadr_client.checkup import Condition
from openadr_client.clock import ManualClock
from tests.ven.builders import START, a_circuit, shed_event
from tests.ven.home import Relay
from ven.control import Control
from ven.doctor import examine
from ven.panel.circuits import BranchCircuit, CircuitState
from ven.panel.ownership import IS_LIMITED, SWITCHED_ON
from ven.panel.switchgear import LimitGuard
from ven.settings import VenSettings, VtnSettings
from ven.store import StateFile

EV = a_circuit("ev", on_off=True)
OVEN = a_circuit("oven", shed_share=Decimal(0))


class Plugs(Relay):
    """Plugs that are on after their return, as real ones; a returned one may have been switched off before."""

    async def release(self, circuit_id: str, *, switch_on: bool) -> None:
        await super().release(circuit_id, switch_on=switch_on)
        if switch_on:
            self.off.discard(circuit_id)


class Guard:
    """A watchdog of which one sees what it would end, and when."""

    def __init__(self) -> None:
        self.held: dict[str, tuple[datetime, bool]] = {}

    async def hold(self, circuit_id: str, expires_at: datetime, *, switch_on: bool = True) -> None:
        self.held[circuit_id] = (expires_at, switch_on)

    def drop(self, circuit_id: str) -> None:
        self.held.pop(circuit_id, None)


def settings(folder: Path, *circuits: BranchCircuit) -> VenSettings:
    return VenSettings(
        vtn=VtnSettings(url="http://127.0.0.1:1/openadr3/3.1.0"),
        ven_name="cellar",
        circuits=circuits or (EV,),
        store=folder / "ven.sqlite3",
    )


@asynccontextmanager
async def controlled(
    home: VenSettings, relay: Relay, clock: ManualClock, guard: LimitGuard | None = None
) -> AsyncIterator[Control]:
    async with StateFile(home.store, now=clock.now()) as store:
        control = Control(home, store=store, driver=relay, clock=clock, guard=guard)
        await control.load()
        yield control


async def passes(control: Control, clock: ManualClock, *, seconds: float) -> None:
    """Let time pass in samples of 10 s."""
    for _ in range(round(seconds / 10)):
        await clock.advance(10)
        await control.step()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START - timedelta(minutes=1))


@pytest.fixture
def relay() -> Plugs:
    return Plugs({"ev": Decimal(3), "oven": Decimal(2)})


async def test_owner_who_acts_before_the_next_sample_wins(tmp_path: Path, clock: ManualClock, relay: Plugs) -> None:
    async with controlled(settings(tmp_path), relay, clock) as control:
        await control.take_events([shed_event(-3, minutes=5)])
        await passes(control, clock, seconds=60)
        assert relay.in_force == {"ev": 0}
        await clock.advance(5)
        relay.by_hand("ev", is_on=True)
        await clock.advance(5)
        await control.step()
        assert relay.in_force == {}
        assert control.panel.left_alone == {"ev": SWITCHED_ON}


async def test_owner_who_switches_off_right_after_the_return_wins(
    tmp_path: Path, clock: ManualClock, relay: Plugs
) -> None:
    async with controlled(settings(tmp_path), relay, clock) as control:
        await control.take_events([shed_event(-3, minutes=5)])
        await passes(control, clock, seconds=6 * 60)
        assert [limit for _, limit in relay.diary] == [0, None]
        await clock.advance(5)
        relay.by_hand("ev", is_on=False)
        await passes(control, clock, seconds=60)
        assert relay.off == {"ev"}


async def test_device_that_shows_a_limit_late_is_not_told_twice(
    tmp_path: Path, clock: ManualClock, relay: Plugs
) -> None:
    class Late(Plugs):
        reads = told = 0

        async def read(self) -> Mapping[str, CircuitState]:
            self.reads += 1
            states = await super().read()
            if self.reads == self.told:
                return {"ev": CircuitState(power_kw=Decimal(3), is_on=True)}
            return states

        async def limit(self, circuit_id: str, limit_kw: Decimal, *, expires_at: datetime) -> None:
            assert not self.told
            self.told = self.reads + 1
            await super().limit(circuit_id, limit_kw, expires_at=expires_at)

    late = Late({"ev": Decimal(3)})
    async with controlled(settings(tmp_path), late, clock) as control:
        await control.take_events([shed_event(-3, minutes=5)])
        with capture_logs() as logs:
            await passes(control, clock, seconds=80)
        assert late.in_force == {"ev": 0}
        assert not [log for log in logs if log["log_level"] in ("warning", "error")]


async def test_ven_that_is_stopped_before_its_first_step_forgets_no_override(
    tmp_path: Path, clock: ManualClock, relay: Plugs
) -> None:
    home = settings(tmp_path)
    async with controlled(home, relay, clock) as control:
        await control.take_events([shed_event(-3)])
        await passes(control, clock, seconds=60)
        relay.by_hand("ev", is_on=True)
        await passes(control, clock, seconds=10)
    async with controlled(home, relay, clock) as control:
        await control.restore()
    async with controlled(home, relay, clock) as control:
        await passes(control, clock, seconds=30)
        assert control.panel.left_alone == {"ev": SWITCHED_ON}
        assert relay.in_force == {}


async def test_limit_that_the_owner_sets_at_the_device_is_theirs(
    tmp_path: Path, clock: ManualClock, relay: Plugs
) -> None:
    home = settings(tmp_path, a_circuit("ev", rated_kw=Decimal(22)))
    async with controlled(home, relay, clock) as control:
        await passes(control, clock, seconds=20)
        relay.in_force["ev"] = Decimal(2)
        await control.take_events([shed_event(-3)])
        await passes(control, clock, seconds=120)
        assert relay.in_force == {"ev": 2}
        assert control.panel.left_alone == {"ev": IS_LIMITED}
        assert control.panel.undisturbed_kw(clock.now()).keys() == {"ev"}
        del relay.in_force["ev"]
        await passes(control, clock, seconds=20)
        assert control.panel.left_alone == {}
    async with controlled(home, relay, clock) as control:
        relay.in_force["ev"] = Decimal(2)
    async with controlled(home, relay, clock) as control:
        await control.remove("e1")
        await control.step()
        assert relay.in_force == {}, "an earlier run may have left it"


async def test_watchdog_waits_for_a_ven_that_goes_on_trying(tmp_path: Path, clock: ManualClock, relay: Plugs) -> None:
    guard = Guard()
    async with controlled(settings(tmp_path), relay, clock, guard) as control:
        await control.take_events([shed_event(-3, minutes=5)])
        await passes(control, clock, seconds=120)
        relay.broken = {"ev"}
        await passes(control, clock, seconds=600)
        assert guard.held["ev"][0] > clock.now()
        relay.broken = set()
        await passes(control, clock, seconds=10)
        assert (relay.in_force, guard.held) == ({}, {})


async def test_watchdog_of_the_next_run_does_not_switch_on_what_the_owner_has_taken(
    tmp_path: Path, clock: ManualClock, relay: Plugs
) -> None:
    home, guard = settings(tmp_path, a_circuit("ev")), Guard()
    async with controlled(home, relay, clock) as control:
        await control.take_events([shed_event(-2)])
        await passes(control, clock, seconds=70)
        relay.by_hand("ev", is_on=False)
        relay.release = None  # type: ignore[assignment,method-assign] # from now on it fails
        await passes(control, clock, seconds=10)
    async with controlled(home, relay, clock, guard):
        assert [switch_on for _, switch_on in guard.held.values()] == [False]


async def test_limited_circuit_that_was_removed_from_the_settings_is_named_until_it_is_put_back(
    tmp_path: Path, clock: ManualClock, relay: Plugs
) -> None:
    async with controlled(settings(tmp_path, EV, OVEN), relay, clock) as control:
        await control.take_events([shed_event(-3, minutes=5)])
        await passes(control, clock, seconds=60)
    without = settings(tmp_path, OVEN)
    for _ in range(2):
        with capture_logs() as logs:
            async with controlled(without, relay, clock) as control:
                await passes(control, clock, seconds=10)
                assert "put it back into the settings" in control.problems["ev"]
        assert [log["circuit"] for log in logs if log["event"] == "a limit of ours cannot be ended"] == ["ev"]
    store = {each.what: each async for each in examine(without, clock)}["store"]
    assert (store.health, "has limited ev" in store.text) == (Condition.WARNING, True)
    async with controlled(without, relay, clock) as control:
        control.panel.give_back("oven")
        assert control.problems.keys() == {"ev"}
    await clock.advance(600)
    async with controlled(settings(tmp_path, EV, OVEN), relay, clock) as control:
        await control.step()
        assert relay.in_force == {}
    async with controlled(without, relay, clock) as control:
        assert control.problems == {}


async def test_limit_on_a_circuit_that_is_not_there_any_more_is_forgotten_when_the_owner_says_so(
    tmp_path: Path, clock: ManualClock, relay: Plugs
) -> None:
    async with controlled(settings(tmp_path, EV, OVEN), relay, clock) as control:
        await control.take_events([shed_event(-3, minutes=5)])
        await passes(control, clock, seconds=60)
    async with controlled(settings(tmp_path, OVEN), relay, clock) as control:
        assert control.panel.stranded == {"ev"}
        control.panel.give_back("ev")
        assert control.problems == {}
        await control.journal.flush()
    async with controlled(settings(tmp_path, OVEN), relay, clock) as control:
        assert control.problems == {}
