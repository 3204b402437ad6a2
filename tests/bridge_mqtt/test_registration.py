"""Panels that are added, changed and deleted through the bridge's interface."""

from typing import Any

import pytest

from bridge_mqtt.settings import Settings
from tests.bridge_mqtt.conftest import World, an_event
from tests.bridge_mqtt.test_api_ordering import TOKEN, tell

API = {"port": 0, "write_token": TOKEN}


async def test_an_added_panel_takes_part_and_outlives_a_restart(world: World) -> None:
    """11.2: POST, PATCH and DELETE; what was added is in the store, not in the settings."""
    bridge = await world.start(panels=[], api=API)
    given = {"id": "panel-1", "name": "Oak Street", "location": {"lat": 48.1, "lon": 11}, "groups": ["group:north"]}
    status, made = await tell(bridge, "POST", "/api/vens/", given)
    assert (status, made["id"], made["location"]) == (201, "panel-1", {"lat": 48.1, "lon": 11.0})
    await world.add_panel("panel-1")
    await world.until("/api/vens/panel-1", lambda ven: ven["status"] == "online")

    await world.kill()
    bridge = await world.start(panels=[], api=API)
    listed = (await world.get("/api/vens/"))[0]
    assert (listed["name"], listed["createdAt"]) == ("Oak Street", made["createdAt"])
    await world.until("/api/vens/panel-1", lambda ven: ven["status"] == "online")
    await world.post(an_event(shed_kw=2, targets=("group:north",)))
    await world.until("/api/panels/panel-1", lambda panel: panel["holds"] and panel["holds"]["state"] == "held")


async def test_a_panel_that_holds_an_event_is_restored_before_it_is_gone(world: World) -> None:
    """A panel that nobody knows any more would never be restored."""
    await world.add_panel("panel-1")
    bridge = await world.start(panels=[], api=API)
    await tell(bridge, "POST", "/api/vens", {"id": "panel-1", "name": "Oak Street"})
    await world.until("/api/vens/panel-1", lambda ven: ven["status"] == "online")
    await world.post(an_event(shed_kw=2, length_s=600))
    await world.until("/api/panels/panel-1", lambda panel: panel["holds"] and panel["holds"]["state"] == "held")

    refused, problem = await tell(bridge, "DELETE", "/api/vens/panel-1")
    assert (refused, problem["detail"]) == (
        409,
        "panel 'panel-1' holds event 'evt-1': set its status to disabled, which restores it, and delete it then",
    )
    changed, ven = await tell(bridge, "PATCH", "/api/vens/panel-1/", {"status": "disabled"})
    assert (changed, ven["status"]) == (200, "disabled")
    restored = await world.until("/api/panels/panel-1", lambda panel: panel["holds"] is None)
    assert restored["commands"][0]["op"] == "restorePanel"
    assert world.panels["panel-1"].model.event_id is None
    assert (await tell(bridge, "DELETE", "/api/vens/panel-1"))[0] == 204
    assert (await tell(bridge, "GET", "/api/vens/panel-1"))[0] == 404

    await world.kill()
    await world.start(panels=[], api=API)
    assert await world.get("/api/vens/") == []


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "detail"),
    [
        ("POST", "", {}, 400, "name: required, but missing"),
        ("POST", "", {"name": "a\0b"}, 400, "name: "),
        ("POST", "", {"name": "x", "groups": ["a\0b"]}, 400, "groups"),
        ("POST", "", {"name": "x\n"}, 400, "name: "),
        ("POST", "", {"name": "x", "id": "a/b"}, 400, "id: "),
        ("POST", "", {"name": "x", "id": "summary"}, 400, "id: 'summary' cannot be the id of a panel"),
        ("POST", "", {"name": "x", "id": ".."}, 400, "id: '..' cannot be the id of a panel"),
        ("POST", "", {"name": "x", "location": {"lat": 91, "lon": 0}}, 400, "location.lat: "),
        ("POST", "", {"name": "x", "status": "online"}, 400, "status: 'online' is none of active, disabled"),
        ("POST", "", {"name": "x", "id": "panel-1"}, 409, "id: the settings list panel 'panel-1' already"),
        ("POST", "", {"name": "x", "id": "added"}, 409, "id: there is a panel 'added' already"),
        ("POST", "", {"name": "x", "registrationId": "r-1"}, 409, "registrationId: panel 'added' has 'r-1' already"),
        ("PATCH", "/added", {}, 400, "the body: expected at least one of"),
        ("PATCH", "/panel-1", {"name": "x"}, 409, "the settings list panel 'panel-1': change it there"),
        ("PATCH", "/nobody", {"name": "x"}, 404, "no panel 'nobody'"),
        ("DELETE", "/panel-1", None, 409, "the settings list panel 'panel-1': delete it there"),
        ("DELETE", "/nobody", None, 404, "no panel 'nobody'"),
    ],
)
async def test_what_cannot_be_is_refused_and_changes_nothing(
    sqlite_world: World, method: str, path: str, body: Any, status: int, detail: str
) -> None:
    """Each reason is named."""
    await sqlite_world.add_panel("panel-1", plugged_in=False)
    bridge = await sqlite_world.start(api=API)
    await tell(bridge, "POST", "/api/vens", {"name": "Added", "id": "added", "registrationId": "r-1"})
    before = await sqlite_world.get("/api/vens/")

    answered, problem = await tell(bridge, method, f"/api/vens{path}", body)

    assert (answered, problem["detail"][: len(detail)]) == (status, detail)
    assert await sqlite_world.get("/api/vens/") == before


async def test_what_the_settings_say_goes_before_what_was_added(sqlite_world: World) -> None:
    """A panel that was added and is listed later is as the settings say, but keeps its place."""
    bridge = await sqlite_world.start(panels=[], api=API)
    await tell(bridge, "POST", "/api/vens", {"name": "Added", "id": "panel-1", "location": {"lat": 1, "lon": 2}})
    status, made = await tell(bridge, "POST", "/api/vens", {"name": "No id"})
    assert (status, made["id"][:4], len(made["id"])) == (201, "ven-", 12)

    await sqlite_world.kill()
    await sqlite_world.start(panels=[{"id": "panel-1", "name": "Listed"}], api=API)

    ven = await sqlite_world.get("/api/vens/panel-1")
    assert (ven["name"], ven["location"]) == ("Listed", {"lat": 1.0, "lon": 2.0})


async def test_a_panel_that_was_registered_because_it_was_heard_can_be_added(sqlite_world: World) -> None:
    """With ``unregistered`` = accept it has no name or groups until somebody gives it some."""
    await sqlite_world.add_panel("panel-1")
    bridge = await sqlite_world.start(panels=[], unregistered="accept", api=API)
    await sqlite_world.until("/api/vens", bool)
    refused, problem = await tell(bridge, "PATCH", "/api/vens/panel-1", {"name": "Oak Street"})
    assert (refused, "was not added here" in problem["detail"]) == (409, True)

    status, _ = await tell(bridge, "POST", "/api/vens", {"id": "panel-1", "name": "Oak Street"})

    ven = await sqlite_world.get("/api/vens/panel-1")
    assert (status, ven["name"], ven["status"]) == (201, "Oak Street", "online")


def test_a_bridge_without_panels_needs_somebody_who_may_add_them(sqlite_world: World) -> None:
    """Otherwise it could never do anything."""
    assert isinstance(sqlite_world.settings(panels=[], api=API), Settings)
    with pytest.raises(ValueError, match="no panels are listed"):
        sqlite_world.settings(panels=[])
