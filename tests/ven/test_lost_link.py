"""A safe limit while the VTN cannot be heard (V17), and returns that are spread over time."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from tests.ven.builders import START, shed_event
from tests.ven.conftest import StartHome
from tests.ven.home import Home, Relay, Town
from tests.ven.test_settings import GIVEN
from ven.panel.returns import Returns
from ven.settings import VenSettings

SAFE = {"limit_kw": 2, "link_lost_s": 1800}


async def drawn_kw(relay: Relay) -> Decimal:
    states = await relay.read()
    return sum((state.power_kw or Decimal(0) for state in states.values()), Decimal(0))


async def test_panel_is_limited_when_the_vtn_is_not_heard_and_released_when_it_is(
    town: Town, start_home: StartHome
) -> None:
    home = await start_home(safety=SAFE)
    await home.pass_(minutes=45)
    assert home.relay.in_force == {}
    await town.close_vtn()
    await home.pass_(minutes=20)
    assert home.relay.in_force == {}, "it may come back"
    await home.pass_(minutes=20)
    before = dict(home.relay.in_force)
    assert await drawn_kw(home.relay) <= 2
    assert "fridge" not in before
    await home.pass_(hours=2)
    assert home.relay.in_force == before, "the plan stays"

    await home.kill()
    await home.start()
    await home.pass_(minutes=10)
    assert home.relay.in_force == before, "a restart does not end it"
    await town.reopen_vtn()
    await home.pass_(minutes=20)
    assert home.relay.in_force == {}
    await home.kill()
    await home.start()
    await home.pass_(minutes=10)
    assert home.relay.in_force == {}


async def test_limit_for_a_lost_link_ends_after_its_time_and_a_running_event_goes_on(
    town: Town, start_home: StartHome
) -> None:
    home = await start_home(safety={**SAFE, "limit_for_s": 3600})
    await town.issue(shed_event(-1, minutes=300))
    await home.until(START + timedelta(minutes=1))
    assert home.relay.in_force == {"ev": 2}
    await town.close_vtn()
    await home.pass_(minutes=40)
    assert await drawn_kw(home.relay) <= 2
    await home.pass_(minutes=70)
    assert home.relay.in_force == {"ev": 2}


async def test_without_the_setting_a_lost_link_limits_nothing(town: Town, start_home: StartHome) -> None:
    home = await start_home()
    await town.close_vtn()
    await home.pass_(hours=10)
    assert home.relay.diary == []


@pytest.mark.parametrize(
    ("safety", "message"),
    [
        ({"limit_kw": 2}, "give both limit_kw and link_lost_s"),
        ({"link_lost_s": 3600}, "give both limit_kw and link_lost_s"),
        ({"limit_for_s": 3600}, "limit_for_s needs"),
        ({"limit_kw": 2, "link_lost_s": 300}, "link_lost_s must be at least twice poll_s"),
        ({"limit_kw": -2, "link_lost_s": 3600}, r"safety\.limit_kw"),
        ({"expiry_s": 15}, "expiry_s must be at least twice sample_s"),
    ],
)
def test_mistakes_are_named(safety: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        VenSettings.model_validate(GIVEN | {"safety": safety})


def test_most_important_circuit_returns_first_and_the_last_one_within_the_spread() -> None:
    returns = Returns({"heater": 3, "ev": 9, "pool": 9}, spread=timedelta(seconds=60))
    back, waiting = returns.due(["pool", "ev", "heater"], START)
    assert back == ["heater"]
    assert waiting == {"ev": START + timedelta(seconds=20), "pool": START + timedelta(seconds=40)}
    returns.returned("heater")
    assert returns.next_after(START) == START + timedelta(seconds=20)
    assert returns.due(["pool", "ev"], START + timedelta(seconds=20))[0] == ["ev"]
    returns.returned("ev")
    assert returns.due([], START + timedelta(seconds=30)) == ([], {}), "wanted again, or back"
    assert returns.next_after(START) is None


@pytest.fixture
async def home(start_home: StartHome) -> Home:
    return await start_home(safety={"return_spread_s": 60})


async def test_circuits_return_one_after_the_other_and_no_limit_outlives_its_turn(town: Town, home: Home) -> None:
    await town.issue(shed_event(-3.5))
    await home.until(START + timedelta(minutes=30))
    assert set(home.relay.in_force) == {"heater", "ev"}
    end = START + timedelta(hours=1)
    assert max(home.relay.expires_at.values()) <= end + timedelta(seconds=60)
    await home.until(end)
    assert set(home.relay.in_force) == {"ev"}
    assert home.relay.expires_at["ev"] == end + timedelta(seconds=30), "the device knows its turn, should we be killed"
    await home.until(end + timedelta(seconds=30))
    assert home.relay.in_force == {}
