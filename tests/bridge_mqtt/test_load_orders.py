"""Circuits that are switched through the bridge's interface: sent, confirmed, and refused where that would do harm."""

import json
from datetime import UTC, datetime
from typing import Any

import aiomqtt
import pytest

from tests.bridge_mqtt.conftest import ENVELOPE, World, an_event
from tests.bridge_mqtt.test_api_ordering import TOKEN, tell

API = {"port": 0, "write_token": TOKEN}


def metering(number: int, *, heater: bool, **members: Any) -> str:
    """A sample of a flat panel with a heater that is on or off, and a fridge."""
    loads = [
        {"id": "heater1", "type": "heater", "currentPowerKw": 3.0 if heater else 0.0, "enabled": heater},
        {"id": "fridge1", "type": "fridge", "currentPowerKw": 0.2, "enabled": True, "priority": 1},
    ]
    now = int(datetime.now(UTC).timestamp())
    sample = {"venId": "panel-1", "timestamp": now, "message_num": number, "usedPowerKw": 3.2, "loads": loads}
    return json.dumps(sample | members)


async def test_a_circuit_is_switched_by_a_delta_and_confirmed_by_the_next_sample(world: World) -> None:
    """No. 41: the original accepted it and did nothing. Section 8: the panel obeys ``state.loads``."""
    await world.add_panel("panel-1", plugged_in=False)
    bridge = await world.start(api=API, dispatch={"ack_timeout_s": 60})
    async with aiomqtt.Client(world.broker.host, world.broker.port) as panel:
        await panel.subscribe("$aws/things/panel-1/shadow/update/delta", qos=1)
        await panel.publish("volttron/metering", metering(1, heater=True), qos=1)
        await world.until("/api/vens/panel-1/loads", bool)

        status, order = await tell(bridge, "POST", "/api/vens/panel-1/loads/heater1/commands/shed", {"amountKw": 3.0})
        assert (status, order["status"], order["op"], order["loadId"]) == (202, "accepted", "setLoad", "heater1")
        assert order["enabled"] is False
        delta = json.loads((await anext(aiter(panel.messages))).payload)
        assert delta["state"] == {"loads": [{"id": "heater1", "enabled": False}]}
        busy, problem = await tell(bridge, "PATCH", "/api/vens/panel-1/loads/heater1", {"enabled": True})
        assert (busy, "has not answered its last command" in problem["detail"]) == (409, True)

        await panel.publish("volttron/metering", metering(2, heater=False), qos=1)
        done = await world.until(f"/api/commands/{order['correlationId']}", lambda each: each["state"] == "acked")
        assert done["answeredBy"] == "telemetry"


async def test_the_older_program_answers_such_a_command(sqlite_world: World) -> None:
    """Its ``setLoad`` is a command on its own topic; what it rejects is a rejected command."""
    await sqlite_world.add_panel("panel-a", ENVELOPE)
    bridge = await sqlite_world.start(api=API)
    loads = await sqlite_world.until("/api/vens/panel-a/loads", bool)
    load_id = next(each["id"] for each in loads if not each["critical"])
    async with aiomqtt.Client(sqlite_world.broker.host, sqlite_world.broker.port) as watcher:
        await watcher.subscribe("ven/cmd/panel-a", qos=1)
        status, order = await tell(bridge, "PATCH", f"/api/vens/panel-a/loads/{load_id}/", {"enabled": True})
        assert (status, order["status"]) == (202, "accepted")
        sent = json.loads((await anext(aiter(watcher.messages))).payload)
        assert (sent["op"], sent["correlationId"]) == ("setLoad", order["correlationId"])
        assert sent["data"] == {"loadId": load_id, "enabled": True}


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "detail"),
    [
        ("PATCH", "fridge1", {"enabled": False}, 409, "circuit 'fridge1' is critical"),
        ("PATCH", "gone", {"enabled": False}, 404, "panel 'panel-1' has no circuit 'gone'"),
        ("PATCH", "heater1", {"enabled": "no"}, 400, "enabled: expected"),
        ("PATCH", "heater1", {}, 400, "enabled: required, but missing"),
        ("POST", "heater1/commands/shed", {"amountKw": 1}, 409, "amountKw: circuit 'heater1' draws 3.0 kW"),
        ("POST", "heater1/commands/shed", {"amountKw": 0}, 400, "amountKw: 0.0 is not a power"),
    ],
)
async def test_an_order_that_would_do_harm_or_nothing_is_refused(
    sqlite_world: World, method: str, path: str, body: dict[str, Any], status: int, detail: str
) -> None:
    """The reason is named, and nothing is sent."""
    await sqlite_world.add_panel("panel-1", plugged_in=False)
    bridge = await sqlite_world.start(api=API)
    async with aiomqtt.Client(sqlite_world.broker.host, sqlite_world.broker.port) as panel:
        await panel.publish("volttron/metering", metering(1, heater=True), qos=1)
    await sqlite_world.until("/api/vens/panel-1/loads", bool)

    answered, problem = await tell(bridge, method, f"/api/vens/panel-1/loads/{path}", body)

    assert (answered, problem["detail"][: len(detail)]) == (status, detail)
    assert (await sqlite_world.get("/api/panels/panel-1"))["commands"] == []


async def test_a_panel_that_holds_an_event_is_not_switched(sqlite_world: World) -> None:
    """No. 36: a delta during an event would undo the shed."""
    await sqlite_world.add_panel("panel-1")
    bridge = await sqlite_world.start(api=API)
    await sqlite_world.post(an_event(shed_kw=2))
    await sqlite_world.until("/api/panels/panel-1", lambda panel: panel["holds"] and panel["holds"]["state"] == "held")

    status, problem = await tell(bridge, "PATCH", "/api/vens/panel-1/loads/heater1", {"enabled": True})

    assert (status, problem["detail"]) == (
        409,
        "panel 'panel-1' holds event 'evt-1': switching a circuit would undo it; stop the event first",
    )
