"""Test that what the owner switches wins and is told from our own hand: the rules, and homes that obey them (V5)."""

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from structlog.testing import capture_logs

from openadr_profiles.v31 import OperatingState
from tests.ven.builders import START, shed_event
from tests.ven.conftest import StartHome
from tests.ven.home import Home, Relay, Town
from ven.drivers import CircuitState
from ven.panel.ownership import (
    LIMIT_CHANGED,
    SWITCHED_OFF,
    SWITCHED_ON,
    TAKEN_AT_DEVICE,
    CircuitLimit,
    LimitVerdict,
    Override,
    OwnLimit,
    both,
    expires_at,
    judge_free,
    judge_own,
    still_held,
)

EXPIRY = timedelta(minutes=2)
OFF = OwnLimit("ev", Decimal(0), START, expires_at=START + EXPIRY, seen=True)
LOW = OwnLimit("ev", Decimal("1.5"), START, expires_at=START + EXPIRY, seen=True)
MINUTE = timedelta(minutes=1)


def state(*, on: bool | None = None, limit: str | None = None, overridden: bool = False) -> CircuitState:
    return CircuitState(is_on=on, limit_kw=None if limit is None else Decimal(limit), overridden=overridden)


@pytest.mark.parametrize(
    ("own", "told", "verdict"),
    [
        (OFF, state(on=False), LimitVerdict(seen=True)),
        (OFF, state(on=False, limit="0"), LimitVerdict(seen=True)),
        (OFF, state(limit="0"), LimitVerdict(seen=True)),
        (OFF, state(), LimitVerdict()),
        (OFF, state(on=True), LimitVerdict(taken=SWITCHED_ON)),
        (OFF, state(on=True, limit="0"), LimitVerdict(taken=SWITCHED_ON)),
        (OFF, state(limit="2"), LimitVerdict(taken=SWITCHED_ON)),
        (replace(OFF, seen=False), state(on=True), LimitVerdict(missing=True)),
        (LOW, state(on=True, limit="1.5"), LimitVerdict(seen=True)),
        (LOW, state(limit="1.45"), LimitVerdict(seen=True)),
        (LOW, state(on=True, limit="3"), LimitVerdict(taken=LIMIT_CHANGED)),
        (LOW, state(on=True), LimitVerdict(taken=LIMIT_CHANGED)),
        (LOW, state(on=False, limit="1.5"), LimitVerdict(taken=SWITCHED_OFF)),
        (replace(LOW, seen=False), state(on=True), LimitVerdict()),
        (replace(LOW, seen=False), state(on=True, limit="3"), LimitVerdict(missing=True)),
        (LOW, state(on=True, limit="1.5", overridden=True), LimitVerdict(taken=TAKEN_AT_DEVICE)),
    ],
)
def test_state_tells_whose_hand_it_was(own: OwnLimit, told: CircuitState, verdict: LimitVerdict) -> None:
    assert judge_own(own, told, START + MINUTE, expiry=EXPIRY) == verdict


@pytest.mark.parametrize("own", [OFF, LOW, replace(OFF, expires_at=None), replace(LOW, expires_at=None)])
def test_limit_that_has_expired_was_taken_by_nobody(own: OwnLimit) -> None:
    assert judge_own(own, state(on=True), START + EXPIRY, expiry=EXPIRY) == LimitVerdict(missing=True)
    early = timedelta(seconds=2)  # a device's timer counts in whole seconds
    assert judge_own(own, state(on=True), START + EXPIRY - early, expiry=EXPIRY) == LimitVerdict(missing=True)
    assert judge_own(own, state(on=True), START + EXPIRY - 2 * early, expiry=EXPIRY).taken is not None


def test_free_circuit_is_the_owners_only_if_it_is_moved_during_an_event() -> None:
    on, off = state(on=True), state(on=False)
    assert judge_free(off, on, under_way=True) == SWITCHED_ON
    assert judge_free(off, on, under_way=False) is None
    assert judge_free(None, on, under_way=True) is None
    assert judge_free(on, off, under_way=True) is None
    assert judge_free(on, state(on=True, overridden=True), under_way=True) == TAKEN_AT_DEVICE


def test_override_holds_until_every_event_of_its_time_is_over() -> None:
    override = Override("ev", START, SWITCHED_ON, frozenset({"a"}))
    assert still_held(override, frozenset({"a"})) is override
    wider = still_held(override, frozenset({"a", "b"}))
    assert wider is not None
    assert wider.event_ids == {"a", "b"}
    assert still_held(wider, frozenset({"b"})) is not None
    assert still_held(override, frozenset({"b"})) is None
    assert still_held(override, frozenset()) is None


def test_limit_never_outlives_its_events() -> None:
    late = START + timedelta(hours=1)
    for until, expected in ((None, EXPIRY), (late, EXPIRY), (START + MINUTE, MINUTE)):
        limit = CircuitLimit(Decimal(1), until)
        assert expires_at(limit, START, expiry=EXPIRY, spread=timedelta(0)) == START + expected
    assert both(CircuitLimit(Decimal(1), START), CircuitLimit(Decimal(2), late)) == CircuitLimit(Decimal(1), late)
    assert both(CircuitLimit(Decimal(1), START), CircuitLimit(Decimal(2), None)) == CircuitLimit(Decimal(1), None)


@pytest.fixture
async def home(start_home: StartHome) -> Home:
    return await start_home(sample_s=60)


async def test_plug_that_is_off_without_an_event_stays_off(town: Town, home: Home) -> None:
    home.relay.by_hand("ev", is_on=False)
    await home.pass_(minutes=30)
    assert home.relay.off == {"ev"}
    await town.issue(shed_event(-3.5))
    await home.until(START + timedelta(minutes=70))
    assert home.relay.off == {"ev"}
    assert "ev" not in dict(home.relay.diary), "it was neither limited nor switched on afterwards"


async def test_what_the_owner_turns_on_during_an_event_stays_on_until_it_is_over(town: Town, home: Home) -> None:
    event = await town.issue(shed_event(-3.5))
    await town.issue(shed_event(-3.5, id_="e2", start=START + timedelta(hours=2)))
    await home.until(START + timedelta(minutes=10))
    assert home.relay.in_force == {"ev": 0, "heater": Decimal("1.5")}
    home.relay.by_hand("ev", is_on=True)
    await home.until(START + timedelta(minutes=50))
    assert "ev" not in home.relay.in_force
    assert home.relay.in_force["heater"] == 1, "the other circuit gives what it can"
    whole, ev = await town.opts(event)
    assert (whole.resource_name, whole.opted_in) == ("AGGREGATED_REPORT", True)
    assert (ev.resource_name, ev.opted_in, ev.reason) == ("ev", False, SWITCHED_ON)
    assert ev.state == OperatingState.RUNNING_OPTED_OUT
    await home.kill()
    await home.start()
    await home.until(START + timedelta(minutes=59))
    assert "ev" not in home.relay.in_force, "a restart does not forget it"
    await home.until(START + timedelta(minutes=121))
    assert home.relay.in_force == {"ev": 0, "heater": Decimal("1.5")}, "the next event is another matter"


async def test_what_was_off_at_the_start_and_is_turned_on_stays_on(town: Town, home: Home) -> None:
    home.relay.by_hand("ev", is_on=False)
    await town.issue(shed_event(-3.5))
    await home.until(START + timedelta(minutes=10))
    home.relay.by_hand("ev", is_on=True)
    await home.until(START + timedelta(minutes=50))
    assert "ev" not in dict(home.relay.diary)
    assert home.relay.off == set()


async def test_what_the_owner_switches_off_during_an_event_is_not_switched_on_at_its_end(
    town: Town, home: Home
) -> None:
    await town.issue(shed_event(-2))
    await home.until(START + timedelta(minutes=10))
    assert home.relay.in_force == {"ev": 1}
    home.relay.by_hand("ev", is_on=False)
    await home.until(START + timedelta(minutes=70))
    assert home.relay.off == {"ev"}
    assert "ev" not in home.relay.in_force


async def test_owner_who_turns_a_circuit_on_while_the_agent_is_down_keeps_it(town: Town, home: Home) -> None:
    await town.issue(shed_event(-3.5))
    await home.until(START + timedelta(minutes=10))
    await home.kill()
    home.relay.by_hand("ev", is_on=True)
    await home.start()
    await home.until(START + timedelta(minutes=20))
    assert "ev" not in home.relay.in_force


async def test_circuit_that_is_given_back_is_limited_again(town: Town, home: Home) -> None:
    event = await town.issue(shed_event(-3.5))
    await home.until(START + timedelta(minutes=10))
    home.relay.by_hand("ev", is_on=True)
    await home.pass_(minutes=2)
    assert home._agent is not None
    panel = home._agent._control.panel
    assert {id_: each.reason for id_, each in panel.overrides.items()} == {"ev": SWITCHED_ON}
    panel.give_back("ev")
    await home.pass_(minutes=2)
    assert home.relay.in_force == {"ev": 0, "heater": Decimal("1.5")}
    assert [opt.resource_name for opt in await town.opts(event)] == ["AGGREGATED_REPORT"]


class Liar(Relay):
    """A relay board that takes what it is told about the charger, and does not do it, so many times."""

    def __init__(self, *, ignores_limits: int = 0, ignores_returns: int = 0) -> None:
        super().__init__()
        self.ignores_limits = ignores_limits
        self.ignores_returns = ignores_returns
        self.told: list[str] = []

    async def limit(self, circuit_id: str, limit_kw: Decimal, *, expires_at: datetime) -> None:
        if circuit_id == "ev" and self.ignores_limits > 0:
            self.ignores_limits -= 1
            self.told.append("limit")
        else:
            await super().limit(circuit_id, limit_kw, expires_at=expires_at)

    async def release(self, circuit_id: str, *, switch_on: bool) -> None:
        if circuit_id != "ev":
            await super().release(circuit_id, switch_on=switch_on)
            return
        self.told.append("release")
        self.in_force.pop(circuit_id, None)
        if self.ignores_returns > 0:
            self.ignores_returns -= 1
            self.off.add(circuit_id)
        else:
            self.off.discard(circuit_id)


@pytest.mark.parametrize("times", [3, 10_000])
async def test_relay_that_does_not_obey_is_named_once_and_is_not_taken_for_the_owner(
    town: Town, start_home: StartHome, times: int
) -> None:
    relay = Liar(ignores_limits=times)
    home = await start_home(sample_s=60, relay=relay)
    await town.issue(shed_event(-3.5))
    with capture_logs() as logs:
        await home.until(START + timedelta(minutes=10))
        assert ("ev" in home.relay.in_force) == (times == 3), "it is told again and again"
        assert "heater" in home.relay.in_force
        await home.until(START + timedelta(minutes=61))
    assert home.relay.in_force == {}
    assert home.relay.off == set()
    named = [log for log in logs if log["event"] == "circuit does not keep the limit that its device has taken"]
    assert [log["circuit"] for log in named] == ["ev"]
    assert not any(log["event"] == "circuit is left to its owner" for log in logs)


@pytest.mark.parametrize(("times", "returns"), [(2, True), (10_000, False)])
async def test_circuit_that_does_not_return_is_switched_on_again_and_then_named(
    town: Town, start_home: StartHome, times: int, returns: bool
) -> None:
    relay = Liar(ignores_returns=times)
    home = await start_home(sample_s=60, relay=relay)
    await town.issue(shed_event(-3.5))
    with capture_logs() as logs:
        await home.until(START + timedelta(minutes=90))
    assert relay.told.count("release") == (3 if returns else 4)
    assert relay.off == (set() if returns else {"ev"})
    named = [log for log in logs if log["event"].startswith("circuit stays off")]
    assert len(named) == (0 if returns else 1)
