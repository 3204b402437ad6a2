"""What goes wrong between the bridge and its panels, and that no panel ever sheds twice for it."""

import json

import aiomqtt
import pytest

from tests.bridge_mqtt.conftest import World, an_event
from tests.support.waiting import wait_until


def ops(heard: list[bytes]) -> list[str]:
    """The operations a panel was told, in order."""
    return [json.loads(command)["op"] for command in heard]


async def held(world: World, event_id: str = "evt-1") -> dict[str, object]:
    """Wait until every panel of the event holds it, and return the first."""
    event = await world.until(
        f"/api/events/{event_id}", lambda e: e["panels"] and all(p["holds"] == "held" for p in e["panels"])
    )
    first: dict[str, object] = event["panels"][0]
    return first


async def online(world: World) -> None:
    """Wait until all panels are."""
    await world.until("/api/panels", lambda panels: all(panel["online"] for panel in panels))


async def test_a_lost_ack_is_replaced_by_telemetry(sqlite_world: World) -> None:
    """12.4-3: the panel shows our event, so it has shed; nothing is sent again."""
    panel = await sqlite_world.add_panel("panel-1")
    panel.faults.lose_acks = 1
    await sqlite_world.start()
    await online(sqlite_world)
    await sqlite_world.post(an_event())

    first = await held(sqlite_world)

    assert panel.model.sheds == 1
    assert ops(panel.heard) == ["event"]
    commands = first["commands"]
    assert isinstance(commands, list)
    assert (commands[0]["state"], commands[0]["answeredBy"]) == ("acked", "telemetry")


async def test_a_lost_ack_without_telemetry_is_cleared_up_by_ping_restore_and_shed(sqlite_world: World) -> None:
    """12.4-3, C7: a repeat is always restore and then shed."""
    panel = await sqlite_world.add_panel("panel-1")
    await sqlite_world.start()
    await online(sqlite_world)
    panel.faults.lose_acks = 1
    panel.faults.mute_telemetry = True
    await sqlite_world.post(an_event())

    await held(sqlite_world)

    assert ops(panel.heard) == ["event", "ping", "restore", "event"]
    assert panel.model.sheds == 2
    before = sum(panel.model.circuits_kw().values())
    assert before > 0


async def test_a_silent_panel_gives_its_part_to_the_others_and_is_restored_when_it_is_back(sqlite_world: World) -> None:
    """12.4-3: no answer to the ping means offline; what it may hold is ended first when it is heard again."""
    silent = await sqlite_world.add_panel("panel-1")
    await sqlite_world.add_panel("panel-2")
    await sqlite_world.start()
    await online(sqlite_world)
    silent.faults.silent = True
    silent.faults.mute_telemetry = True
    await sqlite_world.post(an_event(shed_kw=6))

    await sqlite_world.until(
        "/api/events/evt-1",
        lambda e: len(e["panels"]) == 2 and e["panels"][1]["holds"] == "held" and e["panels"][1]["requestedKw"] == 6,
    )
    silent.faults.silent = False
    silent.faults.mute_telemetry = False

    await sqlite_world.until("/api/panels/panel-1", lambda p: p["holds"] is None)
    event = await sqlite_world.get("/api/events/evt-1")
    assert event["panels"][0]["commands"][0]["state"] == "timed_out"
    assert silent.model.sheds == 0


async def test_a_panel_that_restarts_in_an_event_is_told_again(sqlite_world: World) -> None:
    """12.4-4: the counter fell and the event is forgotten."""
    panel = await sqlite_world.add_panel("panel-1")
    await sqlite_world.start()
    await online(sqlite_world)
    await sqlite_world.post(an_event())
    await held(sqlite_world)

    panel.crash()

    await wait_until(lambda: panel.model.sheds == 2)
    await held(sqlite_world)
    told = [op for op in ops(panel.heard) if op != "ping"]  # on a busy machine an answer is late, and asked for
    assert told == ["event", "restore", "event"]


async def test_a_panel_that_comes_online_inside_a_window_is_told_with_the_remaining_time(sqlite_world: World) -> None:
    """12.4-4, C4."""
    panel = await sqlite_world.add_panel("panel-1", plugged_in=False)
    await sqlite_world.start()
    await sqlite_world.post(an_event(length_s=60))
    await sqlite_world.until("/api/events/evt-1", lambda e: e["panels"] and e["panels"][0]["excluded"] == "offline")
    panel.plug_in()

    await held(sqlite_world)

    duration = json.loads(panel.heard[0])["duration_sec"]
    assert 50 <= duration < 60


async def test_an_ack_after_the_deadline_still_counts_and_is_late(sqlite_world: World) -> None:
    """R15: stored, late, and the command goes from timed out to acked."""
    panel = await sqlite_world.add_panel("panel-1")
    await sqlite_world.start()
    await online(sqlite_world)
    panel.faults.silent = True
    panel.faults.mute_telemetry = True
    await sqlite_world.post(an_event())
    timed_out = await sqlite_world.until(
        "/api/events/evt-1",
        lambda e: e["panels"] and e["panels"][0]["commands"] and e["panels"][0]["commands"][0]["state"] == "timed_out",
    )
    command = timed_out["panels"][0]["commands"][0]

    answer = {"op": "event", "status": "accepted", "correlationId": command["correlationId"], "actual_shed_kw": 4.0}
    async with aiomqtt.Client(sqlite_world.broker.host, sqlite_world.broker.port) as client:
        await client.publish("ven/ack/panel-1", json.dumps(answer), qos=1)

    event = await sqlite_world.until("/api/events/evt-1", lambda e: e["panels"][0]["commands"][0]["state"] == "acked")
    assert event["panels"][0]["commands"][0]["late"] is True
    acks = (await sqlite_world.get(f"/api/events/evt-1/acks?correlationId={command['correlationId']}"))["acks"]
    assert [(ack["late"], ack["matched"]) for ack in acks] == [(True, True)]


async def test_the_same_ack_twice_is_one_row(world: World) -> None:
    """R13: at least once means duplicates."""
    panel = await world.add_panel("panel-1")
    panel.faults.repeat_acks = 1
    await world.start()
    await online(world)
    await world.post(an_event())
    await held(world)

    page = await world.until("/api/events/evt-1/acks", lambda page: page["acks"][0]["duplicates"] == 1)
    assert len(page["acks"]) == 1
    assert not (await world.get("/api/events/evt-1"))["panels"][0]["doubleShed"]


async def test_a_panel_that_acts_twice_is_found_out(sqlite_world: World) -> None:
    """R14: both answers are stored and the command is flagged."""
    panel = await sqlite_world.add_panel("panel-1")
    panel.faults.act_twice = 1
    await sqlite_world.start()
    await online(sqlite_world)
    await sqlite_world.post(an_event(shed_kw=3))

    event = await sqlite_world.until("/api/events/evt-1", lambda e: e["panels"] and e["panels"][0]["doubleShed"])
    acks = (await sqlite_world.get("/api/events/evt-1/acks"))["acks"]
    assert len(acks) == 2
    assert event["panels"][0]["commands"][0]["doubleShed"] is True


async def test_garbage_on_the_ack_topic_is_put_aside_and_the_answer_counts(sqlite_world: World) -> None:
    """R18."""
    panel = await sqlite_world.add_panel("panel-1")
    panel.faults.garbage = 1
    await sqlite_world.start()
    await online(sqlite_world)
    await sqlite_world.post(an_event())
    await held(sqlite_world)

    aside = await sqlite_world.get("/api/quarantine")
    assert [(each["ven_id"], each["reason"]) for each in aside] == [("panel-1", "not JSON")]


async def test_an_unknown_panel_is_in_quarantine_and_in_no_figure(sqlite_world: World) -> None:
    """R16, R17: an answer nobody asked for is stored unmatched; of a stranger it is only kept aside."""
    await sqlite_world.add_panel("panel-1")
    await sqlite_world.start()
    await online(sqlite_world)
    async with aiomqtt.Client(sqlite_world.broker.host, sqlite_world.broker.port) as client:
        await client.publish("ven/ack/stranger", b'{"op":"event","status":"accepted","event_id":"evt-x"}', qos=1)
        await client.publish("volttron/metering", b'{"venId":"stranger","usedPowerKw":5}', qos=1)
        await client.publish("ven/ack/panel-1", b'{"op":"event","status":"accepted","event_id":"evt-x"}', qos=1)

    page = await sqlite_world.until("/api/vens/panel-1/acks", lambda page: page["acks"])
    assert [(ack["matched"], ack["eventId"]) for ack in page["acks"]] == [(False, "evt-x")]
    aside = await sqlite_world.get("/api/quarantine")
    assert {each["ven_id"] for each in aside} == {"stranger"}
    assert {each["venId"] for each in await sqlite_world.get("/api/panels")} == {"panel-1"}


async def test_a_panel_whose_dialect_is_unknown_is_asked_first(sqlite_world: World) -> None:
    """C9: a program that says nothing about itself is pinged before it is told anything."""
    await sqlite_world.add_panel("panel-1", "envelope", plugged_in=False)
    await sqlite_world.start()
    topics: list[str] = []
    async with aiomqtt.Client(sqlite_world.broker.host, sqlite_world.broker.port) as client:
        await client.subscribe("ven/cmd/panel-1", qos=1)
        await client.publish("volttron/metering", b'{"venId":"panel-1","usedPowerKw":5}', qos=1)
        async for message in client.messages:
            topics.append(message.topic.value)
            assert isinstance(message.payload, bytes)
            command = json.loads(message.payload)
            assert command["op"] == "ping"
            answer = {"op": "ping", "ok": True, "correlationId": command["correlationId"]}
            await client.publish("ven/ack/panel-1", json.dumps(answer), qos=1)
            break

    panel = await sqlite_world.until("/api/panels/panel-1", lambda p: p["dialect"] is not None)
    assert panel["dialect"] == "envelope"


@pytest.mark.parametrize("name", ["ui-evt-1795454773", "evt-of-another-backend"])
async def test_an_event_that_is_not_ours_is_left_alone(sqlite_world: World, name: str) -> None:
    """12.4-5: local and foreign events are reported, not ended."""
    panel = await sqlite_world.add_panel("panel-1")
    await sqlite_world.start()
    await online(sqlite_world)
    command = {"op": "event", "event_id": name, "shed_kw": 2.0, "duration_sec": 300, "correlationId": "local"}
    async with aiomqtt.Client(sqlite_world.broker.host, sqlite_world.broker.port) as client:
        await client.publish("ven/cmd/panel-1", json.dumps(command), qos=1)
    await sqlite_world.until("/api/panels/panel-1", lambda p: p["showsEventId"] == name)
    await sqlite_world.post(an_event())

    event = await sqlite_world.until("/api/events/evt-1", lambda e: e["panels"] and e["panels"][0]["excluded"])
    assert event["panels"][0]["excluded"].startswith("follows a ")
    assert ops(panel.heard) == ["event"]
