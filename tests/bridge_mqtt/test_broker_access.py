"""`oadr bridge acl` at a real Mosquitto: a panel cannot answer for another, nor read its commands (no. 27)."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

import aiomqtt
import pytest
from sqlalchemy import select

from bridge_mqtt.broker_access import mosquitto_access
from bridge_mqtt.settings import Broker, Settings
from bridge_mqtt.simulators.panels import simulated_panel
from bridge_mqtt.store import Store
from bridge_mqtt.store.schema import commands
from openadr_client.clock import SystemClock
from tests.bridge_mqtt.conftest import World, an_event
from tests.bridge_mqtt.test_metrics import figures
from tests.bridge_mqtt.test_reading_commands import called
from tests.support.mosquitto import Mosquitto
from tests.support.running import running
from tests.support.waiting import wait_until

BRIDGE, PASSWORD = "the-bridge", "a password of tests"
PANELS = ("panel-1", "panel 2", "pänel-3")


def settings_of(**members: Any) -> Settings:
    return Settings.model_validate(
        {
            "vtn": {"url": "http://127.0.0.1/openadr3/3.1.0"},
            "panels": [{"id": name} for name in PANELS],
            "broker": {"username": BRIDGE, "password": PASSWORD},
        }
        | members
    )


def access(**members: Any) -> str:
    return "\n".join(mosquitto_access(settings_of(**members), bridge_user=BRIDGE)) + "\n"


def a_broker(folder: Path, **members: Any) -> Mosquitto:
    """A broker with an account for each, and the access list for these settings."""
    accounts = dict.fromkeys((BRIDGE, *PANELS, "stranger"), PASSWORD)
    return Mosquitto(folder, accounts=accounts, access_list=access(**members))


def client(broker: Mosquitto, name: str, does: str = "listens") -> aiomqtt.Client:
    who = f"{name} {does}"
    return aiomqtt.Client(broker.host, broker.port, username=name, password=PASSWORD, identifier=who)


@pytest.fixture(params=["quarantine", "accept"])
async def guarded(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Mosquitto]:
    """A broker with topics below a prefix; panels are named in the list, or are whoever has an account."""
    members = {
        "broker": {"username": BRIDGE, "password": PASSWORD, "topic_prefix": "site-7"},
        "unregistered": request.param,
    }
    broker = a_broker(tmp_path, **members)
    broker.start()
    yield broker
    broker.stop()


async def test_a_panel_can_neither_answer_for_another_nor_read_its_commands(guarded: Mosquitto) -> None:
    """Of all that it publishes and subscribes to only its own comes through; a last message ends each list."""
    first, second = PANELS[:2]
    async with AsyncExitStack() as stack:
        bridge = await stack.enter_async_context(client(guarded, BRIDGE))
        panel = await stack.enter_async_context(client(guarded, first))
        other = await stack.enter_async_context(client(guarded, second))
        for each in ("site-7/ven/ack/+", "site-7/volttron/metering"):
            await bridge.subscribe(each, qos=1)
        for each in ("#", "site-7/ven/cmd/+", f"site-7/ven/cmd/{second}", "site-7/ven/ack/+", "$aws/#"):
            await panel.subscribe(each, qos=1)
        await other.subscribe(f"site-7/ven/cmd/{second}", qos=1)

        for name in (second, first):
            for topic in (f"site-7/ven/ack/{name}", f"site-7/ven/cmd/{name}", f"ven/ack/{name}"):
                await _say(guarded, first, topic, f"{topic} by panel")
            await _say(guarded, first, f"$aws/things/{name}/shadow/update", "shadow")
        await _say(guarded, first, "site-7/volttron/metering", "the last")
        seen = [str(message.topic) for message in await _until(bridge, b"the last")]
        assert seen == [f"site-7/ven/ack/{first}", "site-7/volttron/metering"]

        await bridge.publish(f"site-7/ven/cmd/{second}", "for the second", qos=1)
        await bridge.publish(f"site-7/ven/cmd/{first}", "for the first", qos=1)
        (command,) = await _until(other, b"for the second")
        assert command.payload == b"for the second"
        told = [str(message.topic) for message in await _until(panel, b"for the first")]
        assert told == [f"$aws/things/{first}/shadow/update", f"site-7/ven/cmd/{first}"]


async def _say(broker: Mosquitto, name: str, topic: str, payload: str) -> None:
    """Publish on a connection of its own: Mosquitto 2.0.11 ends one on which a topic was refused."""
    with suppress(aiomqtt.MqttError):
        async with client(broker, name, "says") as speaker:
            await speaker.publish(topic, payload, qos=1)


async def _until(client: aiomqtt.Client, payload: bytes) -> list[aiomqtt.Message]:
    found = []
    async with asyncio.timeout(30):
        async for message in client.messages:
            found.append(message)
            if message.payload == payload:
                return found
    raise AssertionError("the connection ended")


@pytest.mark.parametrize("dialect", ["flat", "envelope"])
async def test_bridge_and_panel_have_all_that_an_event_needs(tmp_path: Path, sqlite_url: str, dialect: str) -> None:
    """A shed with the access list of the settings: the panel is told, and its answer is stored."""
    folder = tmp_path / "broker"
    folder.mkdir()
    broker = a_broker(folder)
    broker.start()
    own = {"url": broker.url, "password": PASSWORD}
    model = Broker.model_validate(own | {"username": "panel-1"})
    panel = simulated_panel("panel-1", dialect, model, seed=1, clock=SystemClock(), interval_s=0.2)
    try:
        async with AsyncExitStack() as stack:
            world = World(broker, sqlite_url, stack)
            world.panels["panel-1"] = panel
            await stack.enter_async_context(running(panel.run()))
            await world.start(panels=[{"id": "panel-1"}], broker=own | {"username": BRIDGE, "client_id": "bridge"})
            await world.until("/api/panels", lambda panels: panels[0]["online"])
            await world.post(an_event(shed_kw=1.0))
            event = await world.until("/api/events/evt-1", lambda e: e["panels"] and e["panels"][0]["holds"] == "held")
            assert event["panels"][0]["venId"] == "panel-1"
            await wait_until(lambda: panel.samples > 0)
    finally:
        broker.stop()


async def refused(url: str) -> bool:
    """True if a command waits for its answer, of which it is known that it has not left the broker."""
    store = await Store.open(url)
    async with store.reading() as connection:
        found = (await connection.execute(select(commands.c.error).where(commands.c.sent_at.is_not(None)))).scalars()
    await store.close()
    return "the broker refused it" in found


async def test_a_command_that_the_broker_refuses_is_not_taken_as_delivered(tmp_path: Path, sqlite_url: str) -> None:
    """C7: a bridge that may not write commands says so, of its command and in its figures, and no panel sheds."""
    folder = tmp_path / "broker"
    folder.mkdir()
    listed = access().replace("topic write ven/cmd/+", "topic read ven/cmd/+")
    broker = Mosquitto(folder, accounts=dict.fromkeys((BRIDGE, "panel-1"), PASSWORD), access_list=listed)
    broker.start()
    own = {"url": broker.url, "password": PASSWORD}
    panel = simulated_panel(
        "panel-1", "flat", Broker.model_validate(own | {"username": "panel-1"}), seed=1, clock=SystemClock()
    )
    try:
        async with AsyncExitStack() as stack:
            world = World(broker, sqlite_url, stack)
            world.panels["panel-1"] = panel
            await stack.enter_async_context(running(panel.run()))
            await world.start(panels=[{"id": "panel-1"}], broker=own | {"username": BRIDGE, "client_id": "bridge"})
            await world.until("/api/panels", lambda panels: panels[0]["online"])
            await world.post(an_event(shed_kw=1.0))
            await wait_until(lambda: refused(sqlite_url), what="the command is known to be refused")
            assert (await figures(world))["publishes_refused_total"] >= 1
            assert panel.commands == 0
    finally:
        broker.stop()


def test_a_stranger_has_nothing_when_panels_are_listed() -> None:
    """Only names of the settings are in the list, and no pattern lets others in."""
    listed = access()
    assert [line for line in listed.splitlines() if line.startswith("user ")] == [
        f"user {name}" for name in (BRIDGE, *PANELS)
    ]
    assert "pattern" not in listed
    assert "ven/telemetry/+" not in listed
    assert "topic read ven/telemetry/+" in access(telemetry={"own_topics": True})


@pytest.mark.parametrize("name", [BRIDGE, "panel-1 ", "a\u2028b"])
def test_a_name_that_such_a_file_cannot_hold_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"expected"):
        access(panels=[{"id": name}])


async def test_the_command_prints_the_list(tmp_path: Path) -> None:
    """The same lines as the function, without the secret for the VTN; the name of the account is not guessed."""
    file = tmp_path / "bridge.toml"
    panels = json.dumps(list(PANELS), ensure_ascii=False)
    names = ", ".join(f"{{id = {json.dumps(name, ensure_ascii=False)}}}" for name in json.loads(panels))
    file.write_text(f'panels = [{names}]\n[vtn]\nurl = "http://127.0.0.1/openadr3/3.1.0"\nclient_id = "b"\n')
    done = await called("acl", "--broker", "mosquitto", "--config", str(file), "--user", BRIDGE)
    assert done.exit_code == 0, done.stderr
    assert done.stdout.strip() == access().strip()
    unnamed = await called("acl", "--config", str(file))
    assert (unnamed.exit_code, "--user" in unnamed.stderr) == (2, True)
    assert (await called("acl", "--broker", "other", "--config", str(file))).exit_code == 2
