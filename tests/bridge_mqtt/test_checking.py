"""`oadr bridge check`: what is wrong is named with what to do; nothing is written, and nobody is disturbed."""

import asyncio
import json
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import aiomqtt
import pytest

from bridge_mqtt.checking import examine
from bridge_mqtt.settings import Settings
from bridge_mqtt.store import Store
from bridge_mqtt.store.engine import VERSION_TABLE
from openadr_client.checkup import Checkup, Condition
from openadr_client.clock import SystemClock
from tests.bridge_mqtt.conftest import World
from tests.bridge_mqtt.test_reading_commands import called
from tests.bridge_mqtt.test_with_vtn import SECRET, Town, town
from tests.support.mosquitto import Mosquitto
from tests.support.waiting import wait_until

__all__ = ["town"]

SAMPLE = json.dumps({"venId": "panel-1", "timestamp": 1, "usedPowerKw": 5.5})


async def findings(settings: Settings, *, listen_s: float = 0.0) -> Mapping[str, Checkup]:
    return {each.what: each async for each in examine(settings, SystemClock(), listen_s=listen_s)}


async def test_before_the_first_start_all_is_well_and_nothing_is_written(town: Town) -> None:
    """No file is made, no ven and no resource, and no panel hears anything; the panel is heard at the broker."""
    panel = await town.panel("panel-1", "flat", 1)
    settings = town.settings([{"id": "panel-1"}])
    await wait_until(lambda: panel.samples > 0)
    found = await findings(settings, listen_s=3)
    assert {name: each.health for name, each in found.items() if name != "clock"} == {  # the clock of the town is fast
        "database": Condition.OK,
        "broker": Condition.OK,
        "vtn": Condition.OK,
        "panels": Condition.OK,
    }
    assert "does not exist yet" in found["database"].text
    assert not (town.folder / "bridge.sqlite3").exists()
    assert "group:north" in found["vtn"].text
    assert "1 of 1 listed panels are heard" in found["panels"].text
    assert await town.operator.resources.search() == []
    assert panel.heard == []


async def test_a_running_bridge_keeps_its_connection_and_its_panels_are_known(world: World) -> None:
    """The check is another client of the broker, and finds in the database whom the bridge has heard."""
    panel = await world.add_panel("panel-1")
    await world.start()
    await world.until("/api/panels", lambda panels: panels[0]["online"])

    async def is_stored() -> bool:  # the bridge knows it a moment earlier than its database
        return (await findings(world.settings()))["panels"].health is Condition.OK

    await wait_until(is_stored, what="the database has the panel as heard")
    found = await findings(world.settings())
    assert found["broker"].health is Condition.OK
    assert found["database"].health is Condition.OK
    assert "already connected" not in world.broker.log_text()
    assert world.broker.log_text().count("bridge-under-test-check") > 0
    assert panel.heard == []
    assert found["vtn"].health is Condition.FAILED
    assert "vtn.url" in (found["vtn"].to_do or "")


def _file_of(settings: Settings) -> Path:
    return Path(settings.database.url.get_secret_value().partition("///")[2])


def _make(settings: Settings, content: str) -> None:
    _file_of(settings).write_text(content)


@pytest.mark.no_tables
async def test_a_database_without_tables_is_left_without(world: World) -> None:
    """On SQLite and PostgreSQL: the warning names the command, and after it all is well."""
    await world.add_panel("panel-1", plugged_in=False)
    settings = world.settings()
    url = settings.database.url.get_secret_value()
    if url.startswith("sqlite"):
        _make(settings, "")
    for _ in range(2):
        found = (await findings(settings))["database"]
        assert found.health is Condition.WARNING
        assert "no tables yet" in found.text
        assert "oadr bridge migrate" in (found.to_do or "")
    await Store.migrate(url)
    assert (await findings(settings))["database"].health is Condition.OK


@pytest.mark.parametrize("kind", ["no database", "too new"])
async def test_a_file_that_cannot_be_used_is_named(sqlite_world: World, kind: str) -> None:
    await sqlite_world.add_panel("panel-1", plugged_in=False)
    settings = sqlite_world.settings()
    url = settings.database.url.get_secret_value()
    file = _file_of(settings)
    if kind == "no database":
        _make(settings, "this is a letter, and no database at all" * 100)
    else:
        await Store.migrate(url)
        with closing(sqlite3.connect(file)) as connection, connection:
            connection.execute(f"UPDATE {VERSION_TABLE} SET version_num = '9999'")
    found = (await findings(settings))["database"]
    assert found.health is Condition.FAILED
    assert file.name in found.text
    assert found.to_do


async def test_a_broker_that_grants_no_topic_is_asked_for_them(tmp_path: Path, sqlite_world: World) -> None:
    """The broker refuses each subscription by name; it knows the account."""
    broker = Mosquitto(tmp_path, dynamic_security=True)
    broker.start()
    try:
        name, password = broker.ADMIN
        settings = sqlite_world.settings(
            broker={"url": broker.url, "username": name, "password": password, "topic_prefix": "site-7"},
            unregistered="accept",
        )
        refused = (await findings(settings))["broker"]
        stranger = sqlite_world.settings(broker={"url": broker.url}, unregistered="accept")
        unknown = (await findings(stranger))["broker"]
    finally:
        broker.stop()
    gone = (await findings(settings))["broker"]
    assert {each.health for each in (refused, unknown, gone)} == {Condition.FAILED}
    assert "site-7/ven/ack/+, site-7/volttron/metering" in refused.text
    assert "access list" in (refused.to_do or "")
    assert "broker.username" in (unknown.to_do or "")
    assert "is the broker running" in (gone.to_do or "")


async def test_a_broker_of_an_unknown_authority_is_not_trusted(mosquitto_tls: Mosquitto, sqlite_world: World) -> None:
    settings = sqlite_world.settings(broker={"url": mosquitto_tls.url}, unregistered="accept")
    found = (await findings(settings))["broker"]
    assert found.health is Condition.FAILED
    assert "certificate" in found.text
    assert "broker.ca_file" in (found.to_do or "")


async def test_silent_panels_and_strangers_are_named(sqlite_world: World) -> None:
    """One listed panel is heard, with hostile payloads between; a retained message is no sign of life."""
    settings = sqlite_world.settings(panels=[{"id": "panel-1"}, {"id": "panel-2"}])
    async with aiomqtt.Client(sqlite_world.broker.host, sqlite_world.broker.port) as client:
        await client.publish("ven/ack/panel-2", SAMPLE, qos=1, retain=True)
        for payload in (b"\xff", b"[" * 100_000, b"{}", SAMPLE.encode()):
            await client.publish("volttron/metering", payload, qos=1)
        nobody = (await findings(settings))["panels"]
        some = await _while_publishing(client, settings)
    assert nobody.health is Condition.FAILED
    assert some.health is Condition.WARNING
    assert "1 of 2 listed panels are heard, not panel-2; others are: panel-9" in some.text
    assert "unregistered" in (some.to_do or "")


async def _while_publishing(client: aiomqtt.Client, settings: Settings) -> Checkup:
    async def publish() -> None:
        while True:
            for payload in (b"\xff", b"[" * 100_000, b'{"venId": 7}', SAMPLE.encode()):
                await client.publish("volttron/metering", payload, qos=1)
            await client.publish("ven/ack/panel-9", b"{}", qos=1)
            await asyncio.sleep(0.1)

    task = asyncio.create_task(publish())
    try:
        return (await findings(settings, listen_s=4))["panels"]
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_wrong_credentials_are_an_answer_of_their_own(town: Town) -> None:
    wrong = await findings(town.settings([{"id": "panel-1"}], client_secret="wrong"))
    assert wrong["vtn"].health is Condition.FAILED
    assert "vtn.client_secret" in (wrong["vtn"].to_do or "")
    bl = await findings(town.settings([{"id": "panel-1"}], client_id="operator", client_secret=SECRET))
    assert SECRET not in str(bl)


async def test_the_command_says_it_in_json_and_in_its_exit_code(sqlite_world: World, tmp_path: Path) -> None:
    """A broker that is there and a VTN that is not: 7, with a line for each thing; wrong settings are 3."""
    settings = sqlite_world.settings(panels=[{"id": "panel-1"}])
    file = tmp_path / "bridge.toml"
    file.write_text(
        f"""
        panels = [{{id = "panel-1"}}]
        [vtn]
        url = "{settings.vtn.url}"
        [broker]
        url = "{settings.broker.url}"
        [database]
        url = "sqlite:///{tmp_path / "bridge.sqlite3"}"
        """
    )
    done = await called("check", "--config", str(file), "--listen", "0", "--json")
    assert done.exit_code == 7, done.stderr
    health = {each["what"]: each["health"] for each in json.loads(done.stdout)}
    assert health == {"settings": "ok", "database": "ok", "broker": "ok", "vtn": "failed", "panels": "failed"}
    file.write_text("panels = 3")
    assert (await called("check", "--config", str(file))).exit_code == 3
