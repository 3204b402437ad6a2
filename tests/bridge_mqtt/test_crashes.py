"""kill -9, broker and database outages: nothing is forgotten, nothing is shed twice."""

import asyncio
import json
import signal
import sys
from pathlib import Path

import aiomqtt
import pytest

from bench.support.postgres import PostgresServer
from tests.bridge_mqtt.conftest import World, an_event
from tests.support.mosquitto import Mosquitto
from tests.support.waiting import wait_until

ROOT = Path(__file__).parents[2]


async def crash(world: World, point: str, folder: Path) -> None:
    """Let a bridge run as a process of its own until it ends itself at the point."""
    settings = folder / "settings.json"
    settings.write_text(json.dumps(world.plain_settings()))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.bridge_mqtt.crashing", str(settings), point, cwd=ROOT
    )
    assert await asyncio.wait_for(process.wait(), 120) == -signal.SIGKILL


@pytest.mark.parametrize(("point", "told"), [("before", ["ping", "restore", "event"]), ("after", ["event"])])
async def test_a_bridge_that_is_killed_while_sending_goes_on_without_a_second_shed(
    world: World, tmp_path: Path, point: str, told: list[str]
) -> None:
    """12.4-1 to 12.4-3: before the publish the panel is asked first; after it the waiting ack says all."""
    panel = await world.add_panel("panel-1")
    await world.post(an_event(shed_kw=4, length_s=600))
    await crash(world, point, tmp_path)

    await world.start()

    await world.until("/api/events/evt-1", lambda e: e["panels"] and e["panels"][0]["holds"] == "held")
    # telemetry may confirm the shed before a late answer says how much it was
    await world.until("/api/events/evt-1", lambda e: e["panels"][0]["actualShedKw"] == 4)
    assert [json.loads(command)["op"] for command in panel.heard] == told
    assert panel.model.sheds == 1

    await world.withdraw("evt-1")
    await wait_until(lambda: panel.model.event_id is None)


async def test_a_bridge_that_is_killed_in_mid_event_knows_what_panels_hold(sqlite_world: World, tmp_path: Path) -> None:
    """The holders of an event that was deleted while the bridge was away are restored when it is back."""
    panel = await sqlite_world.add_panel("panel-1")
    await sqlite_world.post(an_event(shed_kw=4, length_s=600))
    settings = tmp_path / "settings.json"
    settings.write_text(json.dumps(sqlite_world.plain_settings()))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.bridge_mqtt.crashing", str(settings), "never", cwd=ROOT
    )
    await wait_until(lambda: panel.model.event_id == "evt-1")
    process.kill()
    await process.wait()
    await sqlite_world.withdraw("evt-1")

    await sqlite_world.start()

    await wait_until(lambda: panel.model.event_id is None)
    done = await sqlite_world.until("/api/events/evt-1", lambda e: e["isFinal"])
    assert done["state"] == "cancelled"
    assert panel.model.sheds == 1


async def test_the_broker_comes_back_and_the_event_goes_on(sqlite_world: World) -> None:
    """A restart of the broker is shown, survived, and costs no second shed."""
    panel = await sqlite_world.add_panel("panel-1")
    bridge = await sqlite_world.start()
    await sqlite_world.until("/api/panels", lambda panels: panels[0]["online"])
    await sqlite_world.post(an_event())
    await sqlite_world.until("/api/events/evt-1", lambda e: e["panels"] and e["panels"][0]["holds"] == "held")

    sqlite_world.broker.stop()
    await wait_until(lambda: not bridge.health.ready)
    assert "lost" in str(bridge.health.broker)
    sqlite_world.broker.start()
    await wait_until(lambda: bridge.health.ready)
    await asyncio.wait_for(panel.connected.wait(), 60)

    await sqlite_world.withdraw("evt-1")
    await wait_until(lambda: panel.model.event_id is None)
    assert panel.model.sheds == 1


async def test_a_command_decided_while_the_broker_is_away_is_sent_once_when_it_is_back(sqlite_world: World) -> None:
    """12.4-1: the outbox waits, and the remaining time is worked out when it is sent (C4)."""
    panel = await sqlite_world.add_panel("panel-1")
    bridge = await sqlite_world.start()
    await sqlite_world.until("/api/panels", lambda panels: panels[0]["online"])
    sqlite_world.broker.stop()
    await wait_until(lambda: not bridge.health.ready)
    await sqlite_world.post(an_event())
    await sqlite_world.until(
        "/api/events/evt-1", lambda e: e["panels"] and [c["state"] for c in e["panels"][0]["commands"]] == ["queued"]
    )
    panel.unplug()
    panel.plug_in()
    sqlite_world.broker.start()

    await sqlite_world.until("/api/events/evt-1", lambda e: e["panels"][0]["holds"] == "held")
    assert panel.model.event_id == "evt-1"


async def test_acks_wait_in_the_broker_while_the_database_is_away(
    mosquitto: Mosquitto, postgresql_url: str, postgres: PostgresServer
) -> None:
    """R19: more messages than the broker hands out at once, and each of them is stored when the database is back."""
    from contextlib import AsyncExitStack

    async with AsyncExitStack() as stack:
        world = World(mosquitto, postgresql_url, stack)
        await world.add_panel("panel-1", plugged_in=False)
        bridge = await world.start()
        await asyncio.to_thread(postgres.stop)  # a connection that is being made must be able to end meanwhile
        async with aiomqtt.Client(mosquitto.host, mosquitto.port) as client:
            for number in range(60):
                answer = {"op": "ping", "status": "success", "correlationId": f"mine-{number}"}
                await client.publish("ven/ack/panel-1", json.dumps(answer), qos=1)
        await wait_until(lambda: bridge.health.store is not None)
        assert not bridge.health.ready
        postgres.start()  # here: a server ends with the thread that started it

        page = await world.until("/api/vens/panel-1/acks?limit=200", lambda page: len(page["acks"]) >= 60)
        assert {ack["correlationId"] for ack in page["acks"]} == {f"mine-{number}" for number in range(60)}
        await wait_until(lambda: bridge.health.ready)
