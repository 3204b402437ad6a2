"""Payloads and topics of somebody who means harm: whatever is published, the bridge stays up and carries out events."""

import json
from collections.abc import Callable

import aiomqtt
import psutil
import pytest

from tests.bridge_mqtt.conftest import World, an_event

DEEP = b"[" * 100_000 + b"]" * 100_000
DEEP_OBJECT = b'{"a":' * 50_000 + b"1" + b"}" * 50_000
PAYLOADS: dict[str, bytes] = {
    "nothing": b"",
    "a lone brace": b"{",
    "not UTF-8": b'\xff\xfe{"op":"event"}',
    "UTF-16": '{"op":"event","status":"accepted"}'.encode("utf-16"),
    "lone surrogates": b'{"op":"event","status":"accepted","event_id":"\\ud800"}',
    "NUL characters": b'{"op":"ev\\u0000ent","status":"accepted","event_id":"\\u0000","correlationId":"\\u0000"}',
    "deep lists": DEEP,
    "deep objects": DEEP_OBJECT,
    "ten megabytes": b'{"op":"event","status":"accepted","error":"' + b"x" * 10_000_000 + b'"}',
    "just below the limit": b'{"op":"event","status":"accepted","error":"' + b"x" * 250_000 + b'"}',
    "a number of 100,000 digits": b'{"op":"event","status":"accepted","actual_shed_kw":' + b"9" * 100_000 + b"}",
    "a number with a huge exponent": b'{"op":"event","status":"accepted","actual_shed_kw":1e999999999}',
    "the largest double": b'{"op":"event","status":"accepted","actual_shed_kw":1.7976931348623157e308,"ts":1e308}',
    "NaN everywhere": b'{"op":"event","status":NaN,"event_id":Infinity,"correlationId":-Infinity,"ts":NaN,"ok":NaN}',
    "ten thousand circuits": json.dumps(
        {
            "op": "event",
            "status": "accepted",
            "circuits_curtailed": [{"id": f"c{n}", "curtailed_kw": 1} for n in range(10_000)],
        }
    ).encode(),
    "fifty thousand members": json.dumps({f"m{n}": n for n in range(20_000)}).encode(),
    "one member many times": b'{"op":"event",' + b'"status":"accepted",' * 10_000 + b'"ok":true}',
    "SQL": b'{"op":"event\'; drop table ven_acks; --","status":"accepted","event_id":"\'; drop table ven_acks; --"}',
    "a format string": b'{"op":"%s%n{0}{}","status":"${jndi:ldap://x}","event_id":"%(id)s"}',
    "control characters": b'{"op":"event","status":"accepted","event_id":"\\u001b[2J\\r\\n level=error forged"}',
    "an instant beyond all": b'{"op":"event","status":"accepted","ts":"+275760-09-13T00:00:00Z","timestamp":-1e18}',
    "a list": b"[1,2,3]",
    "a text": b'"event"',
    "null": b"null",
}
"""What is published as an answer and as metering; sizes are those that a broker without limits lets pass."""

TOPICS = (
    "ven/ack/panel-1/extra",
    "ven/ack/",
    "ven/ack/%2e%2e",
    "ven/ack/../panel-1",
    "ven/ack/" + "x" * 5_000,
    "ven/ack/panel-1 ",
    "ven/ack/\u202epanel-1",
    "ven/ack/$SYS",
    "ven/cmd/panel-1/x",
    "volttron/metering/panel-1",
)
"""Topics that name no panel, another one, or one that cannot be."""

IDS: tuple[object, ...] = (
    "",
    "$SYS",
    "a/b",
    "+",
    "#",
    "x" * 300,
    "\u0000",
    "\u0007",
    42,
    None,
    True,
    ["panel-1"],
    {"id": "panel-1"},
    "panel-1\n",
)
"""The ``venId`` of metering on the topic that all panels share."""


def metering(payload: bytes) -> bytes:
    """The same as a sample of the panel, where it can be one."""
    return (
        payload.replace(b"{", b'{"venId":"panel-1","usedPowerKw":1e300,', 1) if payload.startswith(b'{"') else payload
    )


@pytest.mark.parametrize("unregistered", ["quarantine", "accept"])
async def test_no_payload_and_no_topic_stops_the_bridge(
    world: World, unregistered: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """R17, R18, C11, no. 27: put aside within bounds; the next event is carried out, and memory stays bounded."""
    panel = await world.add_panel("panel-1")
    await world.start(unregistered=unregistered)
    await world.until("/api/panels/panel-1", lambda found: found["online"])
    before = psutil.Process().memory_info().rss

    async with aiomqtt.Client(world.broker.host, world.broker.port, timeout=60) as client:
        for payload in PAYLOADS.values():
            for topic in ("ven/ack/panel-1", "ven/ack/stranger", "volttron/metering"):
                body = metering(payload) if topic == "volttron/metering" else payload
                await client.publish(topic, body, qos=1, timeout=60)
        for topic in TOPICS:
            await client.publish(topic, b'{"op":"event","status":"accepted","event_id":"evt-1"}', qos=1)
        for ven_id in IDS:
            await client.publish("volttron/metering", json.dumps({"venId": ven_id, "usedPowerKw": 5}), qos=1)
        await client.publish("ven/ack/panel-1", b'{"op":"event","status":"accepted","event_id":"the-last"}', qos=1)

    await until_stored(world, lambda ack: ack["eventId"] == "the-last")
    await world.post(an_event(targets=("panel-1",), shed_kw=2.0))
    await world.until(
        "/api/events/evt-1", lambda e: [p["holds"] for p in e["panels"] if p["venId"] == "panel-1"] == ["held"]
    )

    assert (await world.get("/ready"))["status"] == "ready"
    assert (panel.model.sheds, panel.model.most_stacked) == (1, 1)
    aside = await world.get("/api/quarantine")
    assert len(aside) <= 100
    assert all(len(each["payload"]) <= 4 * 1024 for each in aside)
    known = {found["venId"] for found in await world.get("/api/panels")}
    assert known == {"panel-1"} if unregistered == "quarantine" else "panel-1" in known
    assert not any(set(each) & set("/+#\x00\x07\n") or each.startswith("$") for each in known)
    assert psutil.Process().memory_info().rss - before < 300 * 1024 * 1024
    assert "\x1b" not in capfd.readouterr().err


async def until_stored(world: World, fact: Callable[[dict[str, object]], bool]) -> None:
    await world.until("/api/vens/panel-1/acks", lambda page: any(fact(ack) for ack in page["acks"]))


async def test_a_flood_of_answers_that_nobody_asked_for_is_bounded(sqlite_world: World) -> None:
    """R17: of strangers a hundred an hour are kept; a registered panel's are stored, and its event is carried out."""
    panel = await sqlite_world.add_panel("panel-1")
    await sqlite_world.start()
    await sqlite_world.until("/api/panels/panel-1", lambda found: found["online"])
    async with aiomqtt.Client(sqlite_world.broker.host, sqlite_world.broker.port) as client:
        for number in range(1000):
            body = json.dumps({"op": "event", "status": "accepted", "event_id": f"evt-{number}"})
            await client.publish(f"ven/ack/stranger-{number}", body, qos=1)
        await client.publish("ven/ack/panel-1", b'{"op":"event","status":"accepted","event_id":"the-last"}', qos=1)

    await until_stored(sqlite_world, lambda ack: ack["eventId"] == "the-last")
    assert len(await sqlite_world.get("/api/quarantine?limit=1000")) <= 100
    await sqlite_world.post(an_event())
    await sqlite_world.until("/api/events/evt-1", lambda e: e["panels"] and e["panels"][0]["holds"] == "held")
    assert panel.model.sheds == 1
