"""Publishing over MQTT with a real Mosquitto, and with brokers that misbehave (MQTT-028 … MQTT-037, COMPAT-085)."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from oadr.demo.broker import broker as demo_broker
from tests.support.mosquitto import Mosquitto
from tests.support.pki import client_context
from tests.support.waiting import wait_until
from tests.vtn.mqtt_broker import ScriptedBroker, listening, packet, packet_id
from tests.vtn.test_topics import PUBLIC, TARGETED, delivery
from vtn.errors import BadCertificate
from vtn.notification_settings import Mqtt, Notify
from vtn.notify.channel import NotDelivered
from vtn.notify.mqtt import MqttChannel, tls_context
from vtn.notify.retries import Retries
from vtn.store.outbox.rows import Delivery, Endpoint, Operation, Push

ENDPOINT = Endpoint("mqtt", Push.MQTT, None, None, None, None, 0, None)
CONNACK_5 = b"\x20\x03\x00\x00\x00"
CONNACK_3 = b"\x20\x02\x00\x00"


def content(of: Delivery) -> bytes:
    """Return what is published, so that a test sees which change it was."""
    return b'{"objectType":"%b","operation":"%b","object":{"id":"%b"}}' % (
        of.notification.object_type.encode(),
        of.operation.encode(),
        of.notification.object_id.encode(),
    )


def report(number: int) -> Delivery:
    """A change that goes to one topic."""
    return delivery("REPORT", Operation.CREATE, object_id=f"r{number}")


class Publisher:
    """A channel, and what it was done with."""

    def __init__(self, url: str, **members: Any) -> None:
        self.channel = MqttChannel(Mqtt.model_validate({"url": url, "timeout_s": 30} | members), content)
        self.done: list[Delivery] = []

    async def send(self, *deliveries: Delivery) -> None:
        """Publish as the dispatcher does."""
        await self.channel.send(ENDPOINT, deliveries, self.done.append)

    async def fail(self, *deliveries: Delivery) -> NotDelivered:
        """Publish, and return why that did not work."""
        with pytest.raises(NotDelivered) as caught:
            await self.send(*deliveries)
        return caught.value


@pytest_asyncio.fixture(loop_scope="session")
async def publishers() -> AsyncIterator[list[Publisher]]:
    """Publishers that are closed after the test."""
    started: list[Publisher] = []
    yield started
    for each in started:
        await each.channel.close()


@pytest.fixture
def own_broker(tmp_path: Path) -> Iterator[Mosquitto]:
    """A broker of this test alone, which is not running."""
    broker = Mosquitto(tmp_path)
    yield broker
    broker.stop()


@pytest.fixture
def publisher(publishers: list[Publisher], mosquitto: Mosquitto) -> Publisher:
    """A publisher to a real broker."""
    publishers.append(Publisher(mosquitto.url))
    return publishers[-1]


async def test_a_message_is_what_the_standard_says(publisher: Publisher, mosquitto: Mosquitto) -> None:
    """MQTT-028, MQTT-033, MQTT-034: one JSON, QoS 1, not retained, with type and expiry for those who know MQTT 5."""
    async with listening(mosquitto.url) as ear:
        await publisher.send(delivery("PROGRAM", Operation.CREATE, PUBLIC))

        (first, second) = await ear.until(lambda heard: len(heard) == 2)

    assert [first.topic, second.topic] == ["openadr3/public/programs/create", "openadr3/programs/create"]
    assert first.raw == second.raw == content(delivery("PROGRAM", Operation.CREATE))
    assert (first.qos, first.retained) == (1, False)
    assert first.properties.ContentType == "application/json"
    assert first.properties.PayloadFormatIndicator == 1
    assert 0 < first.properties.MessageExpiryInterval <= 3600
    assert len(publisher.done) == 1


async def test_copies_for_vens_arrive_in_the_order_of_changes(
    publishers: list[Publisher], mosquitto: Mosquitto
) -> None:
    """MQTT-024, MQTT-035: far more than may be under way at once; a delivery is done when all its copies are."""
    publisher = Publisher(mosquitto.url, inflight=7)
    publishers.append(publisher)
    vens = tuple(f"v{number}" for number in range(300))
    changes = [
        delivery("EVENT", operation, TARGETED, object_id=object_id, program_id="p", vens=vens)
        for object_id in ("e1", "e2")
        for operation in (Operation.CREATE, Operation.UPDATE, Operation.DELETE)
    ]
    async with listening(mosquitto.url, "openadr3/vens/#") as ear:
        await publisher.send(*changes)
        heard = await ear.until(lambda heard: len(heard) == 3600)

    assert publisher.done == changes
    for ven_id in vens:
        own = [
            (each.body["object"]["id"], each.body["operation"]) for each in heard if f"/{ven_id}/events" in each.topic
        ]
        assert own == [(each.notification.object_id, each.operation) for each in changes]


async def test_a_change_that_concerns_no_topic_is_done(publisher: Publisher) -> None:
    """MQTT-031: reading is told by webhooks only; it must not wait in the outbox for ever."""
    changes = [report(1), delivery("EVENT", Operation.READ), report(2)]

    await publisher.send(*changes)

    assert publisher.done == changes


@pytest.mark.parametrize("retain", [False, True])
async def test_a_switch_retains_messages(publishers: list[Publisher], mosquitto: Mosquitto, *, retain: bool) -> None:
    """MQTT-033, R-35, COMPAT-085: who subscribes later finds the last message of each topic, or nothing."""
    prefix = f"retain-{retain}/"
    publishers.append(Publisher(mosquitto.url, prefix=prefix, retain=retain, expiry_s=0))
    await publishers[0].send(report(1), report(2))

    async with listening(mosquitto.url, f"{prefix}#", "later/#") as ear:
        publishers.append(Publisher(mosquitto.url, prefix="later/", client_id="another"))
        await publishers[1].send(report(3))
        heard = await ear.until(lambda heard: any(each.topic.startswith("later/") for each in heard))

    retained = [(each.topic, each.body["object"]["id"], each.retained) for each in heard[:-1]]
    assert retained == ([(f"{prefix}reports/create", "r2", True)] if retain else [])
    if retain:
        assert not hasattr(heard[0].properties, "MessageExpiryInterval")


async def test_a_switch_writes_the_kind_in_both_spellings(publishers: list[Publisher], mosquitto: Mosquitto) -> None:
    """COMPAT-085: the rest of the message stays as it is."""
    publishers.append(Publisher(mosquitto.url, object_type=True))
    async with listening(mosquitto.url) as ear:
        await publishers[0].send(report(1))
        (heard,) = await ear.until(lambda heard: len(heard) == 1)

    expected = {"object_type": "REPORT", "objectType": "REPORT", "operation": "CREATE", "object": {"id": "r1"}}
    assert heard.body == expected


async def test_a_broker_that_is_down(publishers: list[Publisher], own_broker: Mosquitto) -> None:
    """MQTT-035: at the start, and later; when it is back, what was not delivered follows in order."""
    broker = own_broker
    publisher = Publisher(broker.url)
    publishers.append(publisher)

    failure = await publisher.fail(report(1))
    assert failure.delivery is None
    assert not failure.final
    assert f"the broker {broker.url} cannot be reached" in failure.reason

    broker.start()
    await publisher.send(report(1))
    broker.stop()
    assert (await publisher.fail(report(2))).delivery is None
    assert [each.notification.object_id for each in publisher.done] == ["r1"]

    broker.start()
    async with listening(broker.url) as ear:
        await publisher.send(report(2), report(3))
        assert [each.body["object"]["id"] for each in await ear.until(lambda heard: len(heard) == 2)] == ["r2", "r3"]


async def test_a_broker_that_is_away_for_long_is_tried_often(
    publishers: list[Publisher], own_broker: Mosquitto
) -> None:
    """MQTT-035: all that VENs are told waits for it, so the pauses stay short, although it counts as broken."""
    publishers.append(Publisher(own_broker.url))
    failure = await publishers[0].fail(report(1))

    for failures in (1, 8, 1000):
        follows = Retries(Notify()).consequence(failure, failures)
        assert follows.retry_in_s is not None
        assert 0 < follows.retry_in_s <= 15
        assert not follows.is_dead
        assert follows.is_broken == (failures == 1000)


async def test_a_broker_that_is_killed_while_it_receives(publishers: list[Publisher], own_broker: Mosquitto) -> None:
    """MQTT-035: nothing that was not acknowledged counts as delivered, and each topic keeps its order."""
    broker = own_broker
    broker.start()
    publisher = Publisher(broker.url, inflight=20)
    publishers.append(publisher)
    changes = [report(number) for number in range(6000)]
    sending = asyncio.create_task(publisher.fail(*changes))
    await wait_until(lambda: len(publisher.done) >= 100)
    broker.kill()
    assert (await sending).delivery is None
    done_before = list(publisher.done)
    broker.start()
    async with listening(broker.url) as ear:
        await publisher.send(*changes[len(done_before) :])
        last = changes[-1].notification.object_id
        heard = await ear.until(lambda heard: bool(heard) and heard[-1].body["object"]["id"] == last)

    assert publisher.done == changes
    assert len(done_before) < len(changes)
    numbers = [int(each.body["object"]["id"][1:]) for each in heard]
    assert numbers == list(range(len(done_before), len(changes)))


async def test_a_sender_that_is_stopped(publisher: Publisher) -> None:
    """The dispatcher may cancel at any moment; what was not done follows with the next attempt."""
    changes = [report(number) for number in range(20_000)]
    sending = asyncio.create_task(publisher.send(*changes))
    await wait_until(lambda: len(publisher.done) >= 100)
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    assert publisher.done == changes[: len(publisher.done)] != changes
    await publisher.send(*changes[len(publisher.done) :])

    assert publisher.done == changes


async def test_what_cannot_be_written_is_given_up_alone(publishers: list[Publisher], mosquitto: Mosquitto) -> None:
    """A poison message: those before it are done, and the next ones can follow."""
    publisher = Publisher(mosquitto.url)
    publishers.append(publisher)

    def broken(of: Delivery) -> bytes:
        if of.notification.object_id == "r2":
            raise ValueError("nonsense")
        return content(of)

    publisher.channel = MqttChannel(Mqtt(url=mosquitto.url), broken)
    changes = [report(number) for number in (1, 2, 3)]

    failure = await publisher.fail(*changes)

    assert (failure.delivery, failure.final) == (changes[1], True)
    assert "nonsense" not in failure.reason
    assert publisher.done == changes[:1]
    await publisher.send(changes[2])
    assert publisher.done == [changes[0], changes[2]]


# TLS.


async def test_tls_with_a_client_certificate(publishers: list[Publisher], mosquitto_tls: Mosquitto) -> None:
    """MQTT-038."""
    files, own = mosquitto_tls.client_files("openadr-vtn"), mosquitto_tls.client_files("utility")
    publishers.append(Publisher(mosquitto_tls.url, ca_file=files.ca, cert=files.certificate, key=files.key))
    async with listening(mosquitto_tls.url, tls=client_context(own.ca, own)) as ear:
        await publishers[0].send(report(1))
        assert await ear.topics(1) == ["openadr3/reports/create"]


async def test_a_broker_that_wants_a_certificate(publishers: list[Publisher], mosquitto_tls: Mosquitto) -> None:
    """The operator reads that it is TLS."""
    publishers.append(Publisher(mosquitto_tls.url, ca_file=mosquitto_tls.client_files("x").ca))

    failure = await publishers[0].fail(report(1))

    assert failure.delivery is None
    assert mosquitto_tls.url in failure.reason


async def test_a_broker_that_nobody_vouches_for(publishers: list[Publisher], mosquitto_tls: Mosquitto) -> None:
    """Its certificate is checked, also against its name."""
    publishers.append(Publisher(mosquitto_tls.url))

    failure = await publishers[0].fail(report(1))

    assert failure.reason.startswith(f"no TLS with the broker {mosquitto_tls.url}: ")
    assert "CERTIFICATE_VERIFY_FAILED" in failure.reason


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"ca_file": "none.pem"}, r"mqtt\.ca_file: cannot read the authorities in .*none\.pem"),
        ({"cert": "none.pem", "key": "none.key"}, r"mqtt\.cert, mqtt\.key: cannot use .*none\.pem"),
    ],
)
def test_files_that_cannot_be_read(tmp_path: Path, members: dict[str, str], message: str) -> None:
    """They are named."""
    files = {name: tmp_path / file for name, file in members.items()}

    with pytest.raises(BadCertificate, match=message):
        tls_context(Mqtt.model_validate({"url": "mqtts://broker.example"} | files))


def test_no_version_of_tls_that_is_too_old() -> None:
    """TLS-002 for this side."""
    context = tls_context(Mqtt(url="mqtts://broker.example"))

    assert context is not None
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2
    assert tls_context(Mqtt(url="mqtt://localhost")) is None


# Older brokers, and brokers that refuse.


async def test_a_broker_of_mqtt_3_1_1(publishers: list[Publisher]) -> None:
    """MQTT-037: one that does not know MQTT 5 is spoken to in 3.1.1."""

    async def old(_: ScriptedBroker, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await serve(_, reader, writer, connack=CONNACK_3, only=4)

    async with ScriptedBroker(old) as broker:
        publishers.append(Publisher(broker.url))
        await publishers[0].send(report(1), report(2))

    assert [each[8] for each in broker.connected] == [5, 4]
    assert len(publishers[0].done) == 2
    assert all(each.endswith(content(report(number))) for number, each in enumerate(broker.published, 1))
    assert b"application/json" not in broker.published[0]


async def test_a_broker_that_hangs_up_at_a_version_it_does_not_know(publishers: list[Publisher]) -> None:
    """MQTT-037: brokers do that, too (MQTT 3.1.1, 3.1.2.2)."""

    async def silent(script: ScriptedBroker, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if script.connected[-1][8] == 4:
            await serve(script, reader, writer, connack=CONNACK_3)

    async with ScriptedBroker(silent) as broker:
        publishers.append(Publisher(broker.url))
        await publishers[0].send(report(1))

    assert len(publishers[0].done) == 1


async def test_a_real_broker_that_knows_3_1_1_only(publishers: list[Publisher]) -> None:
    """MQTT-037: the broker of the demo."""
    async with demo_broker() as port:
        publishers.append(Publisher(f"mqtt://127.0.0.1:{port}"))
        await publishers[0].send(*(report(number) for number in range(50)))

    assert len(publishers[0].done) == 50


@pytest.mark.parametrize(
    ("connack", "message"),
    [
        (b"\x20\x03\x00\x86\x00", "as user 'vtn': wrong user or password"),
        (b"\x20\x03\x00\x87\x00", "this server has no right to do that there"),
        (b"\x20\x03\x00\x9c\x00", "reason 0x9c"),
        (b"\x20\x05\x00\x00\x02\x24\x00", "it does not offer QoS 1"),
    ],
)
async def test_a_broker_that_refuses_us(publishers: list[Publisher], connack: bytes, message: str) -> None:
    """MQTT-042: the reason is told, and never the password."""

    async def refuse(_: ScriptedBroker, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(connack)

    async with ScriptedBroker(refuse) as broker:
        publishers.append(Publisher(broker.url, user="vtn", password="a-secret-for-the-broker"))
        failure = await publishers[0].fail(report(1))

    assert failure.delivery is None
    assert failure.reason.startswith(f"the broker {broker.url} refuses this server")
    assert failure.reason.endswith(message)
    assert b"\x00\x03vtn\x00\x17a-secret-for-the-broker" in broker.connected[0]


@pytest.mark.parametrize(
    "bytes_sent", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x20\xff\xff\xff\xff", b"\x20\xff\xff\x7f", b""]
)
async def test_something_that_is_no_broker(publishers: list[Publisher], bytes_sent: bytes) -> None:
    """Whatever it sends, the operator reads where, and this side does not wait for its end."""

    async def nonsense(_: ScriptedBroker, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(bytes_sent)
        await writer.drain()
        await reader.read()

    async with ScriptedBroker(nonsense) as broker:
        publishers.append(Publisher(broker.url, timeout_s=1))
        failure = await publishers[0].fail(report(1))

    assert failure.delivery is None
    assert broker.url in failure.reason


async def test_a_broker_that_acknowledges_nothing(publishers: list[Publisher]) -> None:
    """It is left, and tried again later."""

    async def deaf(_: ScriptedBroker, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(CONNACK_5)
        await reader.read()

    async with ScriptedBroker(deaf) as broker:
        publishers.append(Publisher(broker.url, timeout_s=1))
        failure = await publishers[0].fail(report(1))

    assert failure.delivery is None
    assert "it acknowledged nothing in 1 s" in failure.reason


async def test_a_broker_that_says_why_it_ends_the_connection(publishers: list[Publisher]) -> None:
    """DISCONNECT of MQTT 5: the reason reaches the operator."""

    async def dismiss(_: ScriptedBroker, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(CONNACK_5)
        await packet(reader)
        writer.write(b"\xe0\x01\x8e")
        assert await reader.read() == b""  # we hang up, and leave nothing open
        ended.set()

    ended = asyncio.Event()
    async with ScriptedBroker(dismiss) as broker:
        publishers.append(Publisher(broker.url))
        failure = await publishers[0].fail(report(1))
        await wait_until(ended.is_set, what="the end of the connection")

    assert "another client connected with the same client id" in failure.reason


async def test_no_more_are_under_way_than_the_broker_asks_for(publishers: list[Publisher]) -> None:
    """Receive Maximum of MQTT 5: this broker takes three at once and acknowledges them together."""
    most = 0

    async def narrow(script: ScriptedBroker, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal most
        writer.write(b"\x20\x06\x00\x00\x03\x21\x00\x03")
        waiting: list[bytes] = []
        while True:
            try:
                async with asyncio.timeout(0.1):
                    waiting.append(packet_id(await packet(reader)))
            except TimeoutError:
                most = max(most, len(waiting))
                writer.writelines(b"\x40\x02" + each for each in waiting)
                waiting.clear()

    async with ScriptedBroker(narrow) as broker:
        publishers.append(Publisher(broker.url))
        await publishers[0].send(*(report(number) for number in range(10)))
        await publishers[0].channel.close()

    assert most == 3
    assert len(publishers[0].done) == 10


@pytest.mark.parametrize(("code", "final"), [(0x97, False), (0x87, False), (0x90, True), (0x99, True)])
async def test_a_message_that_the_broker_refuses(publishers: list[Publisher], code: int, *, final: bool) -> None:
    """MQTT-035: its other copies are sent, what comes after it waits for its turn, what came before is done."""
    vens = ("v1", "v2", "v3")
    changes = [report(1), delivery("PROGRAM", Operation.CREATE, TARGETED, vens=vens), report(2)]

    async def refuse(script: ScriptedBroker, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await serve(script, reader, writer, refused={b"openadr3/vens/v2/programs/create": code})

    async with ScriptedBroker(refuse) as broker:
        publishers.append(Publisher(broker.url, inflight=1))
        failure = await publishers[0].fail(*changes)
        assert (failure.delivery, failure.final) == (changes[1], final)
        assert failure.retry_within_s == 15  # the broker serves everybody else, too
        assert "the broker refuses a message of PROGRAM" in failure.reason
        assert publishers[0].done == changes[:1]
        assert len(broker.published) == 4
        await publishers[0].send(changes[2])

    assert broker.connections == 1


async def test_a_message_that_is_too_large_is_not_sent(publishers: list[Publisher]) -> None:
    """Maximum Packet Size of MQTT 5: it is given up, and the connection goes on."""

    async def small(script: ScriptedBroker, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await serve(script, reader, writer, connack=b"\x20\x08\x00\x00\x05\x27\x00\x00\x02\x00")

    async with ScriptedBroker(small) as broker:
        publishers.append(Publisher(broker.url))
        large = delivery("REPORT", Operation.CREATE, object_id="r" * 600)
        failure = await publishers[0].fail(report(1), large, report(2))
        assert (failure.delivery, failure.final) == (large, True)
        assert "larger than it takes" in failure.reason
        await publishers[0].send(report(2))

    assert [each.notification.object_id for each in publishers[0].done] == ["r1", "r2"]


async def test_a_broker_without_retained_messages(publishers: list[Publisher]) -> None:
    """Retain Available of MQTT 5: they are sent without, or the broker would end the connection."""

    async def forgetful(script: ScriptedBroker, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await serve(script, reader, writer, connack=b"\x20\x05\x00\x00\x02\x25\x00")

    async with ScriptedBroker(forgetful) as broker:
        publishers.append(Publisher(broker.url, retain=True))
        await publishers[0].send(report(1))

    assert broker.published[0][0] == 0x32


@pytest.mark.parametrize("answers", [True, False])
async def test_signs_of_life(publishers: list[Publisher], *, answers: bool) -> None:
    """The broker may demand them more often; one that does not answer them is left before anything has to be sent."""
    signs: asyncio.Queue[bytes] = asyncio.Queue()

    async def watch(script: ScriptedBroker, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"\x20\x06\x00\x00\x03\x13\x00\x01")
        while came := await packet(reader):
            if came[0] & 0xF0 == 0x30:
                writer.write(b"\x40\x02" + packet_id(came))
            else:
                signs.put_nowait(came)
                writer.write(b"\xd0\x00" if answers else b"")

    async with ScriptedBroker(watch) as broker:
        publishers.append(Publisher(broker.url))
        await publishers[0].send(report(1))
        for _ in range(2 if answers else 1):
            assert await asyncio.wait_for(signs.get(), 60) == b"\xc0\x00"
        if not answers:
            link = publishers[0].channel._link
            assert link is not None
            await asyncio.wait_for(link._over.wait(), 60)
        await publishers[0].send(report(2))

    assert broker.connections == (1 if answers else 2)


async def serve(
    script: ScriptedBroker,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    *,
    connack: bytes = CONNACK_5,
    only: int = 5,
    refused: dict[bytes, int] | None = None,
) -> None:
    """Acknowledge everything, in the version of the broker; another one is refused."""
    if only != 5 and script.connected[-1][8] != only:
        writer.write(b"\x20\x02\x00\x01")
        return
    writer.write(connack)
    while (came := await packet(reader))[0] & 0xF0 == 0x30:
        script.published.append(came)
        code = next((code for topic, code in (refused or {}).items() if topic in came), None)
        writer.write(b"\x40\x02" + packet_id(came) if code is None else b"\x40\x03" + packet_id(came) + bytes((code,)))
