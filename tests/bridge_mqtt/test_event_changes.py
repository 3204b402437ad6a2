"""Events that are extended, displaced, over before anybody looked, or not to be carried out: each ends as it should."""

import json
from datetime import UTC, datetime, timedelta

import aiomqtt
import pytest
from sqlalchemy import text

from bridge_mqtt.store import Store, events
from tests.bridge_mqtt.conftest import FLAT, World, an_event
from tests.support.waiting import wait_until


async def online(world: World) -> None:
    """Wait until all panels are."""
    await world.until("/api/panels", lambda panels: panels and all(panel["online"] for panel in panels))


async def held(world: World, event_id: str = "evt-1") -> None:
    """Wait until every panel of the event holds it."""
    await world.until(
        f"/api/events/{event_id}", lambda e: e["panels"] and all(p["holds"] == "held" for p in e["panels"])
    )


async def test_an_extended_event_is_renewed_before_the_panel_ends_it(sqlite_world: World) -> None:
    """12.5, B10: restore and shed at once while the panel's own timer still runs, and never two sheds at a time."""
    panel = await sqlite_world.add_panel("panel-1")
    await sqlite_world.start()
    await online(sqlite_world)
    began = datetime.now(UTC)
    await sqlite_world.post(an_event(shed_kw=3, start=began, length_s=12))
    await held(sqlite_world)
    first_end = json.loads(panel.heard[0])["data"]["end_ts"]
    await sqlite_world.post(an_event(shed_kw=3, start=began, length_s=600, modified=began + timedelta(seconds=1)))

    await wait_until(lambda: panel.model.sheds == 2)
    await held(sqlite_world)

    told = [json.loads(command) for command in panel.heard]
    assert [command["op"] for command in told] == ["event", "restore", "event"]
    assert told[1]["ts"] < first_end, "the panel's timer had not run out yet"
    assert told[2]["data"]["end_ts"] >= began.timestamp() + 590
    assert panel.model.most_stacked == 1
    commands = (await sqlite_world.get("/api/events/evt-1"))["panels"][0]["commands"]
    assert [command["reason"] for command in commands] == ["start", "renew", "start"]


async def test_an_extension_that_comes_early_disturbs_the_panel_once_only(sqlite_world: World) -> None:
    """12.5: nothing is sent until the panel's own timer is about to run out, however often the end moves."""
    panel = await sqlite_world.add_panel("panel-1")
    await sqlite_world.start()
    await online(sqlite_world)
    began = datetime.now(UTC)
    await sqlite_world.post(an_event(shed_kw=3, start=began, length_s=600, priority=1))
    await held(sqlite_world)
    for number in (1, 2, 3):
        later = began + timedelta(seconds=number)
        longer = an_event(shed_kw=3, start=began, length_s=600 + 60 * number, modified=later, priority=1)
        await sqlite_world.post(longer)
    await sqlite_world.post(an_event("evt-2", shed_kw=1, start=began + timedelta(seconds=2), length_s=1, priority=9))
    await sqlite_world.until("/api/events/evt-2", lambda e: e["isFinal"])

    assert [json.loads(command)["op"] for command in panel.heard] == ["event"]


async def test_an_event_that_is_displaced_for_its_whole_window_is_missed(sqlite_world: World) -> None:
    """C6, B10: it was never carried out, and the reason names the event that was."""
    await sqlite_world.add_panel("panel-1")
    await sqlite_world.start()
    await online(sqlite_world)
    await sqlite_world.post(an_event("evt-high", shed_kw=3, priority=1))
    await held(sqlite_world, "evt-high")
    await sqlite_world.post(an_event("evt-low", shed_kw=2, length_s=2, priority=5))

    low = await sqlite_world.until("/api/events/evt-low", lambda e: e["isFinal"])

    assert (low["state"], low["reason"]) == ("missed", "displaced by evt-high")
    assert [step["state"] for step in low["history"]] == ["scheduled", "active", "missed"]


async def test_an_event_that_was_over_while_the_bridge_was_away_is_missed(sqlite_world: World) -> None:
    """No. 12, B10: it leaves a trace, and no panel is told anything."""
    panel = await sqlite_world.add_panel("panel-1")
    store = await Store.open(sqlite_world.settings().database.url.get_secret_value())
    began = datetime.now(UTC) - timedelta(hours=2)
    async with store.transaction() as connection:
        await events.save(connection, an_event(start=began, length_s=60), began - timedelta(hours=1))
    await store.close()
    await sqlite_world.start()

    done = await sqlite_world.until("/api/events/evt-1", lambda e: e["isFinal"])

    assert (done["state"], done["reason"]) == ("missed", "no panel took part")
    assert [step["state"] for step in done["history"]] == ["scheduled", "missed"]
    assert panel.heard == []


async def test_a_panel_that_returns_with_an_event_that_is_over_is_restored(sqlite_world: World) -> None:
    """12.4-5: also if the event was over, and cleared up, while both the bridge and the panel were away."""
    panel = await sqlite_world.add_panel("panel-1")
    await sqlite_world.start()
    await online(sqlite_world)
    await sqlite_world.post(an_event(length_s=600))
    await held(sqlite_world)
    panel.unplug()
    await sqlite_world.kill()
    store = await Store.open(sqlite_world.settings().database.url.get_secret_value())
    async with store.transaction() as connection:
        await events.withdraw(connection, "evt-1", datetime.now(UTC))
    await store.close()
    await sqlite_world.start()
    panel.plug_in()

    await wait_until(lambda: panel.model.event_id is None)
    done = await sqlite_world.until("/api/events/evt-1", lambda e: e["isFinal"])
    assert done["state"] == "cancelled"
    assert panel.model.most_stacked == 1


@pytest.mark.parametrize("amount_kw", [1e25, 1e300])
async def test_an_absurd_event_fails_alone(sqlite_world: World, amount_kw: float) -> None:
    """B3: it says why, and the event beside it is carried out, also by a bridge that starts anew."""
    panel = await sqlite_world.add_panel("panel-1")
    await sqlite_world.start()
    await online(sqlite_world)
    await sqlite_world.post(an_event("evt-absurd", shed_kw=amount_kw))
    absurd = await sqlite_world.until("/api/events/evt-absurd", lambda e: e["isFinal"])
    assert absurd["state"] == "failed"
    assert absurd["reason"]
    await sqlite_world.kill()
    await sqlite_world.start()
    await sqlite_world.post(an_event(shed_kw=2))
    await held(sqlite_world)
    assert panel.model.sheds == 1


async def test_an_answer_that_the_database_refuses_is_put_aside_alone(world: World) -> None:
    """R18, R19: of a batch, everything else is stored and acknowledged."""
    await world.add_panel("panel-1", FLAT)
    bridge = await world.start()
    refusal = (
        "ALTER TABLE ven_acks ADD CONSTRAINT no_poison CHECK (correlation_id <> 'poison')"
        if "postgresql" in world.database_url
        else "CREATE TRIGGER no_poison BEFORE INSERT ON ven_acks WHEN NEW.correlation_id = 'poison' "
        "BEGIN SELECT RAISE(ABORT, 'no_poison'); END"
    )
    store = await Store.open(world.settings().database.url.get_secret_value())
    async with store.transaction() as connection:
        await connection.execute(text(refusal))
    await store.close()
    async with aiomqtt.Client(world.broker.host, world.broker.port) as client:
        for number in range(30):
            name = "poison" if number == 17 else f"mine-{number}"
            answer = {"op": "ping", "status": "success", "correlationId": name}
            await client.publish("ven/ack/panel-1", json.dumps(answer), qos=1)

    page = await world.until("/api/vens/panel-1/acks?limit=200", lambda page: len(page["acks"]) >= 29)
    assert {ack["correlationId"] for ack in page["acks"]} == {f"mine-{n}" for n in range(30) if n != 17}
    (aside,) = await world.until("/api/quarantine", lambda found: found)
    assert "no_poison" in aside["reason"]
    assert bridge.health.ready
