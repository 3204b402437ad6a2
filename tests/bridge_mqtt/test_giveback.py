"""A panel that undoes its shed amid an event, with a real broker: seen, told about, and followed up (no. 36, B8)."""

import json
from typing import Any

import pytest

from tests.bridge_mqtt.conftest import World, an_event
from tests.support.waiting import wait_until


async def two_panels_that_hold(world: World, on_giveback: str, *, shed_kw: float = 6) -> None:
    """Both hold their half."""
    for name in ("panel-1", "panel-2"):
        await world.add_panel(name)
    await world.start(dispatch={"on_giveback": on_giveback, "share": "equal", "ack_timeout_s": 60})
    await world.until("/api/panels", lambda panels: all(panel["online"] for panel in panels))
    await world.post(an_event(shed_kw=shed_kw, length_s=300))
    await world.until(
        "/api/events/evt-1", lambda e: len(e["panels"]) == 2 and all(p["holds"] == "held" for p in e["panels"])
    )


def switch(world: World, ven_id: str) -> None:
    """Switch a circuit at the panel: all others draw full power again, and it goes on claiming its shed (CAP 09)."""
    world.panels[ven_id].model.desired({"loads": [{"id": "lights1", "enabled": False}]})


def ops(world: World, ven_id: str) -> list[str]:
    """The commands that a panel has received."""
    return [json.loads(command)["op"] for command in world.panels[ven_id].heard]


def part_of(explanation: dict[str, Any], ven_id: str) -> dict[str, Any]:
    (window,) = explanation["windows"]
    (part,) = (part for part in window["panels"] if part["venId"] == ven_id)
    return dict(part)


async def until_recoveries(world: World, count: int) -> None:
    """Wait until the shed of panel-1 was lost so many times."""
    await world.until("/api/events/evt-1/explanation", lambda e: part_of(e, "panel-1")["recoveries"] == count)


async def test_a_shed_that_was_switched_off_is_made_again(world: World, capfd: pytest.CaptureFixture[str]) -> None:
    await two_panels_that_hold(world, "again")
    switch(world, "panel-1")

    event = await world.until(
        "/api/events/evt-1",
        lambda e: e["panels"][0]["holds"] == "held" and len(e["panels"][0]["commands"]) == 3,
    )
    explanation = await world.get("/api/events/evt-1/explanation")
    model = world.panels["panel-1"].model
    assert ops(world, "panel-1") == ["event", "restore", "event"]
    assert ops(world, "panel-2") == ["event"]
    assert (model.sheds, model.most_stacked) == (2, 1)
    assert [panel["requestedKw"] for panel in event["panels"]] == [3, 3]
    part = part_of(explanation, "panel-1")
    assert (part["givenBackKw"], part["recoveries"]) == (pytest.approx(3, abs=0.5), 1)
    (noticed,) = (row for row in explanation["decisions"] if row["venId"])
    assert noticed["reason"].startswith("gave ")
    assert noticed["reason"].endswith("): sheds again")
    assert capfd.readouterr().out.count("panel gave its shed back") == 1


async def test_a_panel_that_goes_on_giving_back_is_given_up(sqlite_world: World) -> None:
    """After dispatch.most_recoveries the other takes over, and the panel is left without a shed."""
    await two_panels_that_hold(sqlite_world, "again", shed_kw=3)
    for count in (1, 2, 3):
        switch(sqlite_world, "panel-1")
        await until_recoveries(sqlite_world, count)
        if count < 3:
            await sqlite_world.until("/api/events/evt-1", lambda e: e["panels"][0]["holds"] == "held")
    event = await sqlite_world.until(
        "/api/events/evt-1", lambda e: e["panels"][1]["requestedKw"] == 3 and e["panels"][1]["holds"] == "held"
    )

    assert (event["panels"][0]["excluded"], event["panels"][0]["requestedKw"]) == ("unresponsive", 0)
    await sqlite_world.until("/api/events/evt-1", lambda e: e["panels"][0]["holds"] is None)
    assert sqlite_world.panels["panel-1"].model.event_id is None


async def test_what_a_panel_gives_back_is_shared_out(world: World) -> None:
    await two_panels_that_hold(world, "share_out")
    switch(world, "panel-1")

    event = await world.until(
        "/api/events/evt-1", lambda e: e["panels"][1]["requestedKw"] == 6 and e["panels"][1]["holds"] == "held"
    )
    assert (event["panels"][0]["excluded"], event["panels"][0]["requestedKw"]) == ("gave its shed back", 0)
    await world.until("/api/events/evt-1", lambda e: e["panels"][0]["holds"] is None)
    assert ops(world, "panel-1") == ["event", "restore"]
    told_again = ["event", "restore", "event"]  # it holds the former part until it is told the new one
    await wait_until(lambda: ops(world, "panel-2") == told_again, what="the other panel is told its new part")
    assert all(panel.model.most_stacked == 1 for panel in world.panels.values())


async def test_a_giveback_that_is_ignored_is_shown_all_the_same(sqlite_world: World) -> None:
    await two_panels_that_hold(sqlite_world, "ignore")
    switch(sqlite_world, "panel-1")

    explanation = await sqlite_world.until(
        "/api/events/evt-1/explanation", lambda e: part_of(e, "panel-1")["givenBackKw"]
    )
    await sqlite_world.withdraw("evt-1")
    await sqlite_world.until("/api/events/evt-1", lambda e: e["isFinal"])
    assert [row["reason"].rpartition(": ")[2] for row in explanation["decisions"] if row["venId"]] == ["left as it is"]
    assert ops(sqlite_world, "panel-1") == ops(sqlite_world, "panel-2") == ["event", "restore"]


async def test_a_panel_that_restarts_is_left_out_if_that_is_configured(sqlite_world: World) -> None:
    """CAP 12: it has forgotten the event; nothing has to be restored."""
    await two_panels_that_hold(sqlite_world, "share_out")
    sqlite_world.panels["panel-1"].crash()

    event = await sqlite_world.until(
        "/api/events/evt-1", lambda e: e["panels"][1]["requestedKw"] == 6 and e["panels"][1]["holds"] == "held"
    )
    assert event["panels"][0]["excluded"] == "gave its shed back"
    assert sqlite_world.panels["panel-1"].model.event_id is None
