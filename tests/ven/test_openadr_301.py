"""A home at a VTN that speaks OpenADR 3.0.1 does its whole job there (V301-047)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from structlog.testing import capture_logs

from openadr_client import ManualClock
from openadr_profiles.v31 import BlVenRequest
from tests.support.small_vtn301 import SmallVtn301, small_vtn301
from tests.ven.builders import START, shed_event
from tests.ven.home import CIRCUITS, SECRET, Home, Relay, Town
from tests.ven.home import town as a_town
from ven.settings import VenSettings
from vtn.access import Role

SHED = {
    "programID": "p1",
    "intervalPeriod": {"start": START.isoformat(), "duration": "PT1H"},
    "intervals": [{"id": 0, "payloads": [{"type": "DISPATCH_SETPOINT_RELATIVE", "values": [-3]}]}],
    "payloadDescriptors": [{"payloadType": "DISPATCH_SETPOINT_RELATIVE", "units": "KW"}],
}
FOR_US = [{"type": "VEN_NAME", "values": ["home-1"]}]
FOR_OTHERS = [{"type": "VEN_NAME", "values": ["home-2"]}]


@pytest.fixture
async def vtn() -> AsyncIterator[SmallVtn301]:
    async with small_vtn301() as found:
        found.put("programs", id="p1", programName="peak")
        yield found


@pytest.fixture
async def home(vtn: SmallVtn301, clock: ManualClock, tmp_path: Path) -> AsyncIterator[Home]:
    given: dict[str, Any] = {
        "vtn": {"url": vtn.base_url, "client_id": "c-1", "client_secret": "s"},
        "ven_name": "home-1",
        "store": tmp_path / "home.sqlite3",
        "circuits": CIRCUITS,
        "poll_s": 300,
        "sample_s": 300,
        "status_s": 1800,
        "settle_s": 0,
        "push": {"mode": "off"},
    }
    found = Home(VenSettings.model_validate(given), clock, Relay())
    await found.start()
    yield found
    await found.stop()


async def test_a_home_registers_takes_part_reports_and_returns(vtn: SmallVtn301, home: Home) -> None:
    """One event from its first poll to its end, a report that was asked for among what is sent."""
    (ven,) = vtn.of("vens")
    assert (ven["venName"], {each["resourceName"] for each in ven["resources"]}) == (
        "home-1",
        {"fridge", "heater", "ev"},
    )
    asked = [{"payloadType": "USAGE", "units": "KWH"}]
    vtn.put("events", id="e1", targets=FOR_US, reportDescriptors=asked, **SHED)
    vtn.put("events", id="e2", targets=FOR_OTHERS, **SHED)
    await home.until(START)
    assert home.relay.in_force == {"ev": 0}
    await home.until(START + timedelta(hours=2))
    assert home.relay.in_force == {}
    assert {each["eventID"] for each in vtn.of("reports")} == {"e1"}
    names = [each["reportName"] for each in vtn.of("reports")]
    assert {"opt-e1", "status-e1"} < set(names)
    assert len(names) == len(set(names)) == 3
    usage = next(each for each in vtn.of("reports") if each["reportName"] not in {"opt-e1", "status-e1"})
    assert [each["payloads"][0]["type"] for each in usage["resources"][0]["intervals"]] == ["USAGE"]


async def test_an_event_that_is_changed_ends_or_is_for_others_now_releases(vtn: SmallVtn301, home: Home) -> None:
    """A cancelled event, a deleted one, and one whose targets were taken from us."""
    later = {"start": (START + timedelta(hours=2)).isoformat(), "duration": "PT1H"}
    vtn.put("events", id="e1", **SHED)
    vtn.put("events", id="e2", **SHED | {"intervalPeriod": later})
    await home.until(START + timedelta(minutes=1))
    assert home.relay.in_force == {"ev": 0}
    await vtn.change("events", "e1", targets=FOR_OTHERS)
    await home.pass_(minutes=10)
    assert home.relay.in_force == {}
    await vtn.drop("events", "e2")
    await home.until(START + timedelta(hours=2, minutes=30))
    assert home.relay.in_force == {}


async def test_an_event_for_nobody_is_left_alone(vtn: SmallVtn301, home: Home) -> None:
    """V301-047, V301-003: a valuesMap without a value, or with a place for value, names nobody, and so not us."""
    vtn.put("events", id="e1", targets=[{"type": "VEN_NAME", "values": []}], **SHED)
    vtn.put("events", id="e2", targets=[{"type": "SERVICE_AREA", "values": [{"x": 1.5, "y": 2}]}], **SHED)
    with capture_logs() as logs:
        await home.until(START + timedelta(minutes=11))
    assert home.relay.in_force == {}
    left_out = {each["id"] for each in logs if each["event"].startswith("event left out")}
    assert left_out == {"e1", "e2"}


async def test_a_ven_that_was_deleted_is_made_again(vtn: SmallVtn301, home: Home) -> None:
    (ven,) = vtn.of("vens")
    await vtn.drop("vens", ven["id"])
    await home.pass_(minutes=30)
    (again,) = vtn.of("vens")
    assert again["id"] != ven["id"]
    assert len(again["resources"]) == 3


async def test_a_home_does_the_same_at_our_own_vtn(town: Town, tmp_path: Path) -> None:
    """Our 3.0.1 face, on real sockets: registration, targets that business logic grants by 3.1, opt and status."""
    await town.vtn.clients.add("home-1", Role.VEN, secret=SECRET)
    url = town.vtn.base_url.replace("3.1.0", "3.0.1")
    home = Home(
        town.settings("home-1", vtn={"url": url, "client_id": "home-1", "client_secret": SECRET}, poll_s=300),
        town.clock,
        Relay(),
    )
    await home.start()
    try:
        (ven,) = await town.bl.vens.search()
        assert (ven.ven_name, ven.client_id) == ("home-1", "home-1")
        assert len(await town.bl.resources.search(ven_id=ven.id)) == 3
        granted = BlVenRequest(client_id="home-1", ven_name="home-1", targets=("feeder-7",), attributes=ven.attributes)
        await town.bl.vens.replace(ven.id, granted)
        event = await town.issue(replace(shed_event(-3), targets=("feeder-7",)))
        await home.until(START)
        assert home.relay.in_force == {"ev": 0}
        await home.until(START + timedelta(hours=2))
        assert home.relay.in_force == {}
        assert [each.opted_in for each in await town.opts(event)] == [True]
        assert await town.status(event)
        (after,) = await town.bl.vens.search()
        assert after.targets == ("feeder-7",)
    finally:
        await home.stop()


@pytest.mark.parametrize("version", ["3.1.0", "3.0.1"])
async def test_a_home_takes_part_in_what_names_it(
    tmp_path: Path, clock: ManualClock, empty_database: Path, version: str
) -> None:
    """V301-009, V301-047: what is written on 3.1 has no type, and a VTN whose VENs hold their names matches it."""
    async with a_town(tmp_path, clock, database=empty_database, v301={"name_targets": True}) as town:
        await town.vtn.clients.add("home-1", Role.VEN, secret=SECRET)
        await town.bl.vens.create(BlVenRequest(client_id="home-1", ven_name="home-1"))
        url = town.vtn.base_url.replace("3.1.0", version)
        access = {"url": url, "client_id": "home-1", "client_secret": SECRET}
        home = Home(town.settings("home-1", vtn=access), clock, Relay())
        await home.start()
        try:
            event = await town.issue(replace(shed_event(-3), targets=("home-1",)))
            await home.until(START + timedelta(minutes=6))
            assert home.relay.in_force == {"ev": 0}
            assert [each.opted_in for each in await town.opts(event)] == [True]
        finally:
            await home.stop()
