"""A home's ven and resources at the VTN: lasting, modest, and careful with what others wrote (ruling 21)."""

from __future__ import annotations

from datetime import timedelta

import pytest
from msgspec.structs import replace
from structlog.testing import capture_logs

from openadr_client.errors import Forbidden
from openadr_profiles.v31 import BlResourceRequest, BlVenRequest, ValuesMap, Ven
from tests.ven.builders import START, shed_event
from tests.ven.conftest import StartHome
from tests.ven.home import SECRET, Home, Relay, Town
from ven.agent import run_ven
from vtn.access import Role, Scope

MODEST = (Scope.READ_TARGETS, Scope.READ_VEN_OBJECTS, Scope.WRITE_REPORTS)
THEIRS = ValuesMap(type="METER_NUMBER", values=("4711",))


async def a_ven(town: Town, *circuits: str) -> Ven:
    """Make a ven and resources as an operator does who provisions homes."""
    ven = await town.bl.vens.create(BlVenRequest(client_id="home-1", ven_name="home-1"))
    for name in circuits:
        await town.bl.resources.create(BlResourceRequest(client_id="home-1", ven_id=ven.id, resource_name=name))
    return ven


async def modest_home(town: Town) -> Home:
    await town.vtn.clients.add("home-1", Role.VEN, scopes=MODEST, secret=SECRET)
    return Home(town.settings("home-1", poll_s=60), town.clock, Relay())


async def test_a_ven_that_was_deleted_is_made_again(town: Town, start_home: StartHome) -> None:
    """Findings V11, case ven-object-deleted: within five polls, and events for its targets reach it again."""
    home = await start_home(poll_s=60)
    (old,) = await town.bl.vens.search()
    await town.bl.vens.delete(old.id)
    with capture_logs() as logs:
        await home.pass_(seconds=300)
    assert [each["log_level"] for each in logs if "does not know our ven" in each["event"]] == ["warning"]
    (new,) = await town.bl.vens.search()
    assert new.id != old.id
    assert {each.resource_name for each in await town.bl.resources.search(ven_id=new.id)} == {"fridge", "heater", "ev"}
    await town.bl.vens.replace(new.id, BlVenRequest(client_id="home-1", ven_name="home-1", targets=("group:a",)))
    event = await town.issue(replace(shed_event(-3), targets=("group:a",)))
    await home.until(START)
    assert home.relay.in_force == {"ev": 0}
    assert await town.opts(event)


async def test_a_resource_that_was_deleted_is_made_again(town: Town, start_home: StartHome) -> None:
    """Findings V11."""
    home = await start_home(poll_s=60)
    ev = next(each for each in await town.bl.resources.search() if each.resource_name == "ev")
    others = {each.id for each in await town.bl.resources.search()} - {ev.id}
    await town.bl.resources.delete(ev.id)
    await home.pass_(seconds=300)
    after = await town.bl.resources.search()
    assert {each.resource_name for each in after} == {"fridge", "heater", "ev"}
    assert others < {each.id for each in after}


async def test_a_home_that_may_not_write_uses_what_is_there(town: Town) -> None:
    """Findings V11, case ven-without-write-vens: one warning, and everything else as ever."""
    home = await modest_home(town)
    await a_ven(town, "fridge", "heater", "ev")
    event = await town.issue(shed_event(-3))
    with capture_logs() as logs:
        await home.start()
        try:
            await home.until(START)
            assert home.relay.in_force == {"ev": 0}
            await home.pass_(seconds=600)
        finally:
            await home.stop()
    (warning,) = [each for each in logs if "does not let us write" in each["event"]]
    assert warning["log_level"] == "warning"
    assert warning["not_written"] == ["ev", "fridge", "heater", "home-1"]
    assert [each.opted_in for each in await town.opts(event)] == [True]
    assert await town.status(event)


async def test_a_home_without_a_ven_that_may_make_none_ends_with_a_clear_error(town: Town) -> None:
    """Case ven-without-write-vens, last line: `oadr ven run` ends with exit code 5."""
    home = await modest_home(town)
    with pytest.raises(Forbidden, match="write_vens"):
        await run_ven(home.settings, clock=town.clock)


async def test_events_are_followed_though_a_lost_ven_cannot_be_made_again(town: Town) -> None:
    home = await modest_home(town)
    ven = await a_ven(town)
    await home.start()
    try:
        await town.bl.vens.delete(ven.id)
        with capture_logs() as logs:
            await home.pass_(seconds=900)
        assert len([each for each in logs if each.get("what") == "registration"]) == 1
        await town.issue(shed_event(-3))
        await home.until(START + timedelta(seconds=1))
        assert home.relay.in_force == {"ev": 0}
    finally:
        await home.stop()


async def test_what_others_wrote_stays(town: Town, start_home: StartHome) -> None:
    """Ruling 21: at a start our own attributes are brought up to date, and nothing else is touched."""
    home = await start_home(poll_s=60)
    (ven,) = await town.bl.vens.search()
    ev = next(each for each in await town.bl.resources.search() if each.resource_name == "ev")
    stale = ValuesMap(type="DESCRIPTION", values=("old",))
    await town.bl.vens.replace(
        ven.id, BlVenRequest(client_id="home-1", ven_name="home-1", targets=("group:a",), attributes=(THEIRS,))
    )
    await town.bl.resources.replace(
        ev.id,
        BlResourceRequest(
            client_id="home-1", ven_id=ven.id, resource_name="ev", targets=("group:b",), attributes=(THEIRS, stale)
        ),
    )
    written = (await town.bl.vens.get(ven.id), await town.bl.resources.get(ev.id))
    await home.pass_(seconds=600)
    assert (await town.bl.vens.get(ven.id), await town.bl.resources.get(ev.id)) == written
    await home.kill()
    await home.start()
    ven, ev = await town.bl.vens.get(ven.id), await town.bl.resources.get(ev.id)
    assert (ven.targets, ev.targets) == (("group:a",), ("group:b",))
    for attributes in (ven.attributes or (), ev.attributes or ()):
        assert THEIRS in attributes
        assert "MAX_POWER_CONSUMPTION" in {each.type for each in attributes}
    assert [each.values for each in ev.attributes or () if each.type == "DESCRIPTION"] == [("EV charger",)]
