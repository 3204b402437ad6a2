"""Shadow documents on the broker: read, kept over a restart, shown, and never taken for metering."""

import aiomqtt
import msgspec

from tests.bridge_mqtt.conftest import World

PANELS = [{"id": "panel-1"}, {"id": "panel-2"}]


async def test_a_panel_shows_the_shadow_that_it_reports(world: World) -> None:
    """Section 8: reports are merged in their order; what cannot be used is put aside, and the others go on."""
    await world.start(panels=PANELS, telemetry={"shadow_topics": True})
    sent = [
        (
            "panel-1",
            {"state": {"reported": {"power_kw": 9.8, "loads": [{"id": "ev1", "enabled": True}], "a": {"b": 1}}}},
        ),
        ("panel-2", {"state": {"reported": 5}}),
        ("stranger", {"state": {"reported": {"power_kw": 1.0}}}),
        ("panel-1", {"state": {"desired": {"loads": [{"id": "ev1", "enabled": False}]}}}),
        ("panel-1", {"state": {"reported": {"power_kw": 1e308, "a": {"b": None, "c": 2}}}}),
        ("panel-2", {"state": {"reported": {"power_kw": 2.5}}}),
    ]
    async with aiomqtt.Client(world.broker.host, world.broker.port) as client:
        for ven_id, document in sent:
            await client.publish(f"$aws/things/{ven_id}/shadow/update", msgspec.json.encode(document), qos=1)

    found = await world.until("/api/vens/panel-2/shadow", lambda answer: answer["source"] == "panel")
    assert found["state"] == {"reported": {"power_kw": 2.5}}
    assert found["receivedAt"].endswith("Z")
    first = await world.get("/api/vens/panel-1/shadow")
    assert first["state"] == {
        "reported": {"power_kw": 1e308, "loads": [{"id": "ev1", "enabled": True}], "a": {"c": 2}},
    }
    aside = await world.get("/api/quarantine")
    assert {(each["ven_id"], each["reason"]) for each in aside} == {
        ("panel-2", "expected an object at state.reported"),
        ("stranger", "panel is not registered"),
    }
    assert (await world.get("/api/panels/panel-1"))["usedPowerKw"] is None  # it is no metering


async def test_the_simulated_program_and_the_bridge_agree_on_its_shadow(sqlite_world: World) -> None:
    """Without the setting the bridge says the same in the same form; with it the panel's own words count."""
    await sqlite_world.start(panels=PANELS[:1])
    before = await sqlite_world.get("/api/vens/panel-1/shadow")
    assert (before["source"], before["receivedAt"]) == ("bridge", None)
    await sqlite_world.kill()
    await sqlite_world.start(panels=PANELS[:1], telemetry={"shadow_topics": True})
    panel = await sqlite_world.add_panel("panel-1", everything=True)

    found = await sqlite_world.until("/api/vens/panel-1/shadow", lambda answer: answer["source"] == "panel")
    assert {each["id"] for each in found["state"]["reported"]["loads"]} == set(panel.model.circuits_kw())
    assert found["state"]["reported"].keys() >= before["state"]["reported"].keys() - {"circuits", "active_event"}
