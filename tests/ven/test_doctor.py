"""`oadr ven doctor`: what is wrong is named with what to do, and nothing is switched or written."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from openadr_client.checkup import Checkup, Condition
from openadr_client.clock import ManualClock
from openadr_profiles.v31 import BlVenRequest
from tests.support.mosquitto import Mosquitto
from tests.support.scripted_vtn import json_list, problem, scripted_vtn
from tests.ven.conftest import StartHome
from tests.ven.home import SECRET, Town
from ven.doctor import examine
from ven.settings import VenSettings
from ven.store.schema import MIGRATIONS


async def findings(settings: VenSettings, clock: ManualClock) -> Mapping[str, Checkup]:
    return {each.what: each async for each in examine(settings, clock)}


def simulated(settings: VenSettings, **members: Any) -> VenSettings:
    return VenSettings.model_validate(
        settings.model_dump(exclude_unset=True) | {"driver": {"kind": "simulated"}} | members
    )


async def test_a_home_that_can_run_is_well_and_nothing_is_written(town: Town) -> None:
    settings = simulated((await town.home()).settings)
    clock = ManualClock(await _time_of(town))
    found = await findings(settings, clock)
    assert {name: each.health for name, each in found.items()} == {
        "store": Condition.OK,
        "driver": Condition.OK,
        "vtn": Condition.OK,
        "clock": Condition.OK,
        "push": Condition.OK,
    }
    assert "no ven of ours yet" in found["vtn"].text
    assert await town.bl.vens.search() == []
    assert not settings.store.exists()


async def test_a_running_home_is_left_alone(town: Town, start_home: StartHome) -> None:
    home = await start_home()
    found = await findings(home.settings, ManualClock())
    assert "a VEN is running with it" in found["store"].text
    assert "left alone" in found["driver"].text
    assert found["vtn"].health is Condition.OK


async def test_missing_resources_are_named(town: Town) -> None:
    settings = simulated((await town.home()).settings)
    await town.bl.vens.create(BlVenRequest(client_id="home-1", ven_name="home-1"))
    vtn = (await findings(settings, ManualClock()))["vtn"]
    assert vtn.health is Condition.WARNING
    assert "without resources for ev, fridge, heater" in vtn.text


@pytest.mark.parametrize(
    ("vtn", "to_do"),
    [
        ({"client_secret": "wrong"}, "check vtn.client_id and vtn.client_secret"),
        ({"url": "http://127.0.0.1:1/openadr3/3.1.0"}, "is the VTN running?"),
    ],
)
async def test_a_vtn_that_turns_us_away_is_named_with_what_to_do(town: Town, vtn: dict[str, str], to_do: str) -> None:
    settings = simulated((await town.home()).settings)
    given = {"url": town.vtn.base_url, "client_id": "home-1", "client_secret": SECRET, **vtn}
    found = await findings(simulated(settings, vtn=given), ManualClock())
    assert found["vtn"].health is Condition.FAILED
    assert to_do in (found["vtn"].to_do or "")
    assert found["driver"].health is Condition.OK
    assert "clock" not in found
    assert SECRET not in str(found)


async def test_the_broker_of_home_assistant_is_asked(town: Town, mosquitto: Mosquitto) -> None:
    settings = simulated((await town.home()).settings)
    well = simulated(settings, home_assistant={"broker": {"url": mosquitto.url}})
    found = (await findings(well, ManualClock()))["home assistant"]
    assert (found.health, found.to_do) == (Condition.OK, None)
    away = simulated(settings, home_assistant={"broker": {"url": "mqtt://127.0.0.1:1", "timeout_s": 1}})
    found = (await findings(away, ManualClock()))["home assistant"]
    assert found.health is Condition.WARNING
    assert "cannot be reached" in found.text
    assert "home_assistant.broker" in (found.to_do or "")


async def test_a_clock_that_is_wrong_is_found(town: Town) -> None:
    settings = simulated((await town.home()).settings)
    clock = (await findings(settings, ManualClock()))["clock"]  # stands years before the server's
    assert clock.health is Condition.FAILED
    assert "NTP" in (clock.to_do or "")


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda path: path.write_bytes(b"no database" * 1000), "is no readable state file"),
        (lambda path: _with_version(path, len(MIGRATIONS) + 1), "newer than"),
    ],
)
async def test_a_store_that_cannot_be_used_is_named(town: Town, make: Any, text: str) -> None:
    settings = simulated((await town.home()).settings)
    make(settings.store)
    before = settings.store.read_bytes()
    store = (await findings(settings, ManualClock()))["store"]
    assert store.health is Condition.FAILED
    assert text in store.text
    assert settings.store.read_bytes() == before


async def test_a_driver_that_does_not_exist_is_named(town: Town) -> None:
    settings = simulated((await town.home()).settings, driver={"kind": "relais"})
    driver = (await findings(settings, ManualClock()))["driver"]
    assert driver.health is Condition.FAILED
    assert "there is no driver 'relais'" in driver.text


async def test_a_vtn_without_notifiers_is_a_warning(town: Town) -> None:
    async def answer(request: Any) -> Any:
        return problem(404, "none") if request.path.endswith("/notifiers") else json_list([])

    async with scripted_vtn() as vtn:
        vtn.answer = answer
        given = {"vtn": {"url": vtn.base_url}, "push": {"mode": "auto"}}
        found = await findings(simulated((await town.home()).settings, **given), ManualClock())
    assert found["push"].health is Condition.WARNING
    assert "offers nothing" in found["push"].text


async def _time_of(town: Town) -> Any:
    return await town.bl.server_time()


def _with_version(path: Path, version: int) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"pragma user_version = {version}")
