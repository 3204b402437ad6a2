"""A relay that is dead or slow: it holds up no step, and is switched as soon as it answers (V7)."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from openadr_client.clock import ManualClock
from tests.support.waiting import wait_until
from tests.ven.builders import START, a_circuit, shed_event
from tests.ven.home import Relay
from ven.control import Control
from ven.drivers import CircuitState
from ven.panel import switchgear
from ven.panel.ownership import CircuitLimit
from ven.settings import DriverSettings, VenSettings, VtnSettings
from ven.store import StateFile

KW = {"a": Decimal(3), "b": Decimal(3)}
FIRST_S = 0.05
"""Real seconds until a relay has failed for the first time."""


class DeadRelays(Relay):
    """A relay board on which some relays do not answer for a while."""

    def __init__(self) -> None:
        super().__init__(KW)
        self.dead: set[str] = set()
        self.late: set[str] = set()
        """Relays that act at once and answer when `answers` is set."""
        self.answers = asyncio.Event()
        self.calls: list[str] = []
        self.is_deaf = False
        self.tells_limits = True
        self.raising: list[Exception] = []

    async def read(self) -> Mapping[str, CircuitState]:
        if self.is_deaf:
            await self.answers.wait()
        states = await super().read()
        return states if self.tells_limits else {id_: replace(each, limit_kw=None) for id_, each in states.items()}

    async def limit(self, circuit_id: str, limit_kw: Decimal, *, expires_at: datetime) -> None:
        await self._call("limit", circuit_id)
        await super().limit(circuit_id, limit_kw, expires_at=expires_at)

    async def release(self, circuit_id: str, *, switch_on: bool) -> None:
        await self._call("release", circuit_id)
        await super().release(circuit_id, switch_on=switch_on)
        if circuit_id in self.late:
            await self.answers.wait()

    async def _call(self, what: str, circuit_id: str) -> None:
        self.calls.append(f"{what} {circuit_id}")
        if self.raising:
            raise self.raising.pop()
        if circuit_id in self.dead:
            await self.answers.wait()


class Cellar:
    """A panel of two relays and its control loop."""

    def __init__(self, control: Control, relay: DeadRelays, clock: ManualClock, again: asyncio.Event) -> None:
        self.control = control
        self.relay = relay
        self.clock = clock
        self.again = again

    async def step(self, seconds: float = 0) -> datetime:
        """Let time pass and do a step; it must not wait for what does not answer."""
        await self.clock.advance(seconds)
        async with asyncio.timeout(120):
            return await self.control.step()

    async def fail_once(self) -> None:
        """Do a step that finds out which relays are dead; from then on a relay has as long as it likes."""
        await self.step()
        self.control.panel._calls.deadline_s = 3600
        self.relay.calls.clear()


@asynccontextmanager
async def cellar(folder: Path, *, sample_s: float = 10) -> AsyncIterator[Cellar]:
    clock, relay, again = ManualClock(START), DeadRelays(), asyncio.Event()
    settings = VenSettings(
        vtn=VtnSettings(url="http://127.0.0.1:1/openadr3/3.1.0"),
        ven_name="cellar",
        circuits=(a_circuit("a", priority=9), a_circuit("b")),
        driver=DriverSettings(deadline_s=FIRST_S),
        sample_s=sample_s,
        store=folder / "ven.sqlite3",
    )
    async with StateFile(settings.store, now=clock.now()) as store:
        control = Control(settings, store=store, driver=relay, clock=clock, told=again)
        await control.load()
        try:
            yield Cellar(control, relay, clock, again)
        finally:
            relay.answers.set()
            await control.restore()


async def test_relay_that_hangs_for_the_first_time_holds_up_no_other_that_is_to_return(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """V7: a step waited for it as long as a call may take, and what was due to return meanwhile did not."""
    monkeypatch.setattr(switchgear, "_STEP_S", FIRST_S)
    async with cellar(tmp_path) as home:
        await home.control.take_events([shed_event(-3, minutes=1), shed_event(-6, id_="e2", start=later(30))])
        home.control.panel._calls.deadline_s = 3600
        await home.step()
        assert home.relay.in_force == {"a": 0}
        home.relay.dead = {"b"}
        await home.step(30)
        assert home.relay.calls[-1] == "limit b"
        await home.control.remove("e1")
        await home.control.remove("e2")
        await home.step(1)
        assert home.relay.in_force == {}
        assert home.relay.calls[-1] == "release a"


async def test_relay_that_does_not_return_holds_up_no_other_and_is_back_when_it_answers(tmp_path: Path) -> None:
    async with cellar(tmp_path) as home:
        await home.control.take_events([shed_event(-3, minutes=1), shed_event(-6, id_="e2", start=later(90))])
        await home.step()
        home.relay.dead = {"a"}
        await home.clock.advance(60)
        await home.fail_once()
        for _ in range(2):
            await home.step(10)
        await home.step(10)
        assert home.relay.in_force == {"a": 0, "b": 0}, "the other one serves its event"
        assert home.relay.calls == ["release a", "limit b"], "never two at a time to one"
        await home.control.remove("e2")
        await home.step(1)
        assert home.relay.in_force == {"a": 0}
        assert not home.again.is_set()
        home.relay.answers.set()
        await wait_until(home.again.is_set)
        assert (home.relay.in_force, home.control.panel.limits) == ({}, {})
        assert "a" not in home.control.problems


async def test_relay_that_is_late_with_a_limit_of_an_event_that_is_over_returns_at_once(tmp_path: Path) -> None:
    async with cellar(tmp_path) as home:
        home.relay.dead = {"a"}
        await home.control.take_events([shed_event(-3, minutes=1)])
        await home.fail_once()
        await home.step(30)
        await home.step(31)
        assert home.relay.calls == ["limit a"]
        home.relay.answers.set()
        await wait_until(home.again.is_set)
        assert home.relay.in_force == {"a": 0}
        await home.step()
        assert home.relay.in_force == {}


async def test_return_that_is_answered_late_is_not_taken_for_the_owners_hand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """V5: it would be left to its owner until the event is over, and reported as opted out."""
    monkeypatch.setattr(switchgear, "_STEP_S", FIRST_S)
    async with cellar(tmp_path) as home:
        await home.control.take_events([shed_event(-3, minutes=60), shed_event(-6, id_="e2", minutes=60)])
        home.control.panel._calls.deadline_s = 3600
        await home.step()
        await home.step(10)
        assert home.relay.in_force == {"a": 0, "b": 0}
        home.relay.late = {"b"}
        await home.control.remove("e2")
        await home.step(10)
        assert home.relay.in_force == {"a": 0}
        await home.step(10)
        home.relay.answers.set()
        await wait_until(home.again.is_set)
        await home.step()
        assert (home.control.panel.overrides, set(home.control.panel.limits)) == ({}, {"a"})


async def test_limit_that_is_answered_late_is_followed_by_the_one_that_is_wanted_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(switchgear, "_STEP_S", FIRST_S)
    async with cellar(tmp_path) as home:
        home.control.panel._calls.deadline_s = 3600
        home.relay.dead = {"a"}
        home.relay.tells_limits = False
        await home.control.take_events([shed_event(-1, minutes=60)])
        await home.step()
        await home.control.take_events([shed_event(-1, minutes=60), shed_event(-2, id_="e2", minutes=60)])
        await home.step(1)
        assert home.relay.calls == ["limit a"]
        home.relay.answers.set()
        await wait_until(home.again.is_set)
        assert home.relay.in_force == {"a": 2}
        await home.step()
        assert home.relay.in_force == {"a": 1}


async def test_end_waits_a_little_for_what_is_switched_behind_and_then_returns_it_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(switchgear, "_RESTORE_WITHIN_S", FIRST_S)
    async with cellar(tmp_path) as home:
        home.relay.dead = {"a"}
        await home.control.take_events([shed_event(-6, minutes=60)])
        await home.fail_once()
        await home.step(10)
        assert home.relay.in_force == {"b": 0}
        async with asyncio.timeout(120):
            await home.control.restore()
        assert home.relay.calls == ["limit a", "release a", "release b"]
        assert home.relay.in_force == {}


async def test_circuit_that_cannot_be_switched_for_an_unexpected_reason_leaves_the_others_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with cellar(tmp_path) as home:
        really = home.control.panel._limit

        async def limit(circuit_id: str, wanted: CircuitLimit) -> bool:
            if circuit_id == "a":
                raise ZeroDivisionError("by zero")
            return await really(circuit_id, wanted)

        monkeypatch.setattr(home.control.panel, "_limit", limit)
        await home.control.take_events([shed_event(-6)])
        await home.step()
        assert home.relay.in_force == {"b": 0}
        assert "ZeroDivisionError: by zero" in home.control.problems["a"]


async def test_reading_that_hangs_does_not_keep_circuits_from_being_switched_for_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(switchgear, "_READ_WITHIN_S", FIRST_S)
    async with cellar(tmp_path) as home:
        await home.control.take_events([shed_event(-3, minutes=1)])
        await home.fail_once()
        home.relay.is_deaf = True
        await home.step(60)
        assert home.relay.in_force == {}


@pytest.mark.parametrize("at", [0, 60], ids=["limit", "release"])
async def test_circuit_that_failed_once_is_tried_again_within_seconds(tmp_path: Path, at: float) -> None:
    async with cellar(tmp_path, sample_s=900) as home:
        await home.control.take_events([shed_event(-3, minutes=1)])
        if at:
            await home.step()
            await home.clock.advance(at)
        before = dict(home.relay.in_force)
        home.relay.raising = [OSError("one lost packet")]
        wake = await home.step()
        assert home.relay.in_force == before
        assert wake == home.clock.now() + timedelta(seconds=5)
        await home.step(5)
        assert home.relay.in_force != before
        assert home.control.panel.next_wake(home.clock.now()) is None, "all is done"


def later(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)
