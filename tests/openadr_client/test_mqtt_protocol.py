"""The link to a broker: versions of MQTT, prefix, filters, ALPN and SNI, and certificates that change."""

import asyncio
import contextlib
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiomqtt
import pytest
import structlog
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from oadr.demo.broker import broker as embedded_broker
from openadr_client import BrokerRefused, BrokerUnreachable, MqttLink, NotSent, TopicPrefix, Unconfirmed
from openadr_client.mqtt_connection import V5, V311, ProtocolChoice
from openadr_client.tls_files import end_of_certificate
from tests.openadr_client.test_mqtt import Inbox, publish, running, settings
from tests.support.mosquitto import Mosquitto
from tests.support.pki import Pki
from tests.support.tls_front import tls_front
from tests.support.waiting import wait_until

LEVELS = st.text(st.characters(exclude_characters="/+#$", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=5)
TOPICS = st.lists(LEVELS, min_size=1, max_size=4).map("/".join)


def link(broker: Any, inbox: Inbox, **options: Any) -> MqttLink:
    """A link that subscribes to acknowledgments, with other options."""
    given: dict[str, Any] = {"filters": ["ven/ack/+"], "take": inbox.take, "now": lambda: datetime.now(UTC)}
    return MqttLink(broker, **given | options)


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
async def test_in_both_versions_the_broker_keeps_what_was_not_stored(mosquitto: Mosquitto, protocol: str) -> None:
    """R19: the session lasts in MQTT 5 (session expiry) and in 3.1.1 (no clean session)."""
    first = Inbox()
    first.open.clear()
    async with running(link(settings(mosquitto.url, protocol=protocol), first)) as connection:
        assert connection.protocol == protocol
        await publish(mosquitto, b"lost")
        await wait_until(lambda: first.taken, timeout_s=30)
    await publish(mosquitto, b"meanwhile")

    second = Inbox()
    async with running(link(settings(mosquitto.url, protocol=protocol), second)):
        await wait_until(lambda: len(second.taken) == 2, timeout_s=30)
    assert sorted(message.payload for message in second.taken) == [b"lost", b"meanwhile"]


async def test_a_session_that_expires_at_once_keeps_nothing(mosquitto: Mosquitto) -> None:
    """The session expiry of the settings is what the broker is told."""
    broker = settings(mosquitto.url, protocol="5", session_expiry_s=0)
    async with running(link(broker, Inbox())):
        pass
    await publish(mosquitto, b"meanwhile")
    inbox = Inbox()
    async with running(link(broker, inbox)):
        await publish(mosquitto, b"after")
        await wait_until(lambda: inbox.taken, timeout_s=30)
    assert [message.payload for message in inbox.taken] == [b"after"]


async def test_a_version_that_the_broker_knows_is_found_and_remembered() -> None:
    """`auto`: 5 where it is known, else 3.1.1; the embedded broker leaves MQTT 5 unanswered."""
    inbox = Inbox()
    async with embedded_broker() as port:
        broker = settings(f"mqtt://127.0.0.1:{port}", timeout_s=1)
        async with running(link(broker, inbox)) as connection:
            assert connection.protocol == "3.1.1"
            await connection.publish("ven/ack/panel-1", b"heard")
            await wait_until(lambda: inbox.taken, timeout_s=30)
            assert connection._choice.version is V311
        with pytest.raises(BrokerUnreachable):
            await link(settings(broker.url, timeout_s=1, protocol="5"), inbox).__aenter__()


async def test_a_broker_that_knows_mqtt_5_is_spoken_to_in_it(mosquitto: Mosquitto) -> None:
    """And is sent no more at a time than it says it takes (Mosquitto: 20)."""
    async with running(link(settings(mosquitto.url, inflight=100), Inbox())) as connection:
        assert connection.protocol == "5"
        assert connection._client._client.max_inflight_messages == 20
        await asyncio.gather(*(connection.publish("ven/cmd/panel-1", b"{}") for _ in range(200)))


def test_nobody_reached_says_nothing_about_the_version() -> None:
    """A remembered 3.1.1 is forgotten with the broker that spoke it; a fixed version stays."""
    remembering, fixed = ProtocolChoice(remembers=True), ProtocolChoice("3.1.1")
    hung_up = BrokerUnreachable("closed")
    assert remembering.failed(hung_up, was_open=True)
    remembering.succeeded()
    versions = [remembering.version]
    remembering.failed(hung_up, was_open=False)
    versions.append(remembering.version)
    assert versions == [V311, V5]
    assert not fixed.failed(hung_up, was_open=True)
    assert fixed.version is V311


async def test_no_more_comes_than_may_wait_to_be_stored(mosquitto: Mosquitto) -> None:
    """R19: the broker is told how many messages may be unstored (receive maximum)."""
    inbox = Inbox()
    inbox.open.clear()
    async with running(link(settings(mosquitto.url, receive_maximum=30), inbox)) as connection:
        await publish(mosquitto, *(f"{n}".encode() for n in range(100)))

        def here() -> int:
            return len(inbox.taken) + int(connection._client.arrivals.qsize())

        await wait_until(lambda: here() >= 30, timeout_s=30)
        await connection.publish(
            "ven/cmd/panel-1", b"{}"
        )  # whatever the broker would still send comes before its receipt
        assert here() == 30
        inbox.open.set()
        await wait_until(lambda: len(inbox.taken) == 100, timeout_s=30)


async def test_of_a_very_long_payload_only_the_beginning_is_kept(mosquitto: Mosquitto) -> None:
    """R18: the memory that waiting messages take is bounded; with MQTT 5 the broker keeps back what is far too long."""
    inbox = Inbox()
    async with running(link(settings(mosquitto.url), inbox, longest=1000)):
        await publish(mosquitto, b"x" * 1_000_000, b"x" * 3000, b"short")
        await wait_until(lambda: len(inbox.taken) == 2, timeout_s=30)
    assert [len(message.payload) for message in inbox.taken] == [1000, 5]


@given(st.sampled_from(["", "site-7", "grid/north"]), TOPICS, LEVELS)
def test_topics_below_a_prefix_come_back_as_they_were(prefix: str, topic: str, group: str) -> None:
    topics = TopicPrefix(prefix)
    assert topics.inner(topics.outer(topic)) == topic
    assert topics.outer(topic) == (f"{prefix}/{topic}" if prefix else topic)
    assert topics.outer(f"$aws/{topic}") == f"$aws/{topic}"
    assert topics.outer(f"$share/{group}/{topic}") == f"$share/{group}/{topics.outer(topic)}"


async def test_all_topics_stand_below_the_prefix(mosquitto: Mosquitto) -> None:
    """Commands go out below it; what is not below it is not heard, but `$aws` is."""
    inbox = Inbox()
    filters = ["ven/ack/+", "$share/bridges/volttron/metering", "$aws/things/+/shadow/update"]
    async with running(link(settings(mosquitto.url), inbox, prefix="site-7/", filters=filters)) as connection:
        async with aiomqtt.Client(mosquitto.host, mosquitto.port) as client:
            await client.subscribe("#", qos=1)
            await connection.publish("ven/cmd/panel-1", b"{}")
            assert str((await anext(client.messages)).topic) == "site-7/ven/cmd/panel-1"
            for topic in (
                "ven/ack/panel-1",
                "site-7/ven/ack/panel-2",
                "site-7/volttron/metering",
                "$aws/things/panel-1/shadow/update",
            ):
                await client.publish(topic, b"x", qos=1)
        await wait_until(lambda: len(inbox.taken) == 3, timeout_s=30)
    assert {message.topic for message in inbox.taken} == {
        "ven/ack/panel-2",
        "volttron/metering",
        "$aws/things/panel-1/shadow/update",
    }


async def test_filters_can_change_and_an_old_session_forgets_what_is_not_wanted_any_more(mosquitto: Mosquitto) -> None:
    """A lasting session keeps every subscription until it is told otherwise."""
    inbox = Inbox()
    async with running(link(settings(mosquitto.url), inbox, filters=["ven/ack/+", "old/+"])) as connection:
        await connection.change_filters(["ven/ack/+", "new/+"])
        await connection.publish("old/1", b"dropped while connected")
        await connection.publish("new/1", b"new")
        await wait_until(lambda: inbox.taken, timeout_s=30)
        assert [message.payload for message in inbox.taken] == [b"new"]

    later = Inbox()
    async with running(link(settings(mosquitto.url), later, unwanted=["new/+", "never/+"])) as connection:
        await connection.publish("new/1", b"dropped by a later run")
        await connection.publish("ven/ack/panel-1", b"wanted")
        await wait_until(lambda: later.taken, timeout_s=30)
    assert [message.payload for message in later.taken] == [b"wanted"]


async def test_a_cloud_broker_on_port_443_is_reached_by_its_name_and_protocol(mosquitto: Mosquitto, pki: Pki) -> None:
    """TLS with client certificate, SNI and ALPN, as AWS IoT Core asks for on port 443."""
    ours = pki.client("bridge")
    tls = {"ca_file": ours.ca, "client_certificate": ours.certificate, "client_key": ours.key}
    inbox = Inbox()
    async with tls_front(
        mosquitto.host, mosquitto.port, files=pki.server("iot.example"), alpn="x-amzn-mqtt-ca"
    ) as front:
        url = f"mqtts://127.0.0.1:{front.port}"
        broker = settings(url, server_name="iot.example", alpn=["x-amzn-mqtt-ca"], **tls)
        async with running(link(broker, inbox)) as connection:
            await connection.publish("ven/ack/panel-1", b"heard")
            await wait_until(lambda: inbox.taken, timeout_s=30)
        assert (front.names[-1], front.protocols[-1]) == ("iot.example", "x-amzn-mqtt-ca")
        with pytest.raises(BrokerUnreachable):
            await link(settings(url, server_name="iot.example", **tls), Inbox()).__aenter__()
        assert front.protocols[-1] is None


async def test_a_new_certificate_is_used_without_a_restart(mosquitto_tls: Mosquitto, tmp_path: Path) -> None:
    """Half of a new pair leaves the old one in use; the session outlives the change."""
    pki = mosquitto_tls.pki
    assert pki is not None
    old, new = pki.client("bridge-old"), pki.client("bridge-new")
    certificate, key = tmp_path / "bridge.pem", tmp_path / "bridge.key"
    shutil.copy(old.certificate, certificate)
    shutil.copy(old.key, key)
    looked = 0

    async def soon(_: float) -> None:
        nonlocal looked
        looked += 1
        await asyncio.sleep(0.05)

    inbox = Inbox()
    broker = settings(mosquitto_tls.url, ca_file=old.ca, client_certificate=certificate, client_key=key)
    async with running(link(broker, inbox, sleep=soon)) as connection:
        shutil.copy(new.certificate, certificate)
        seen = looked
        await wait_until(lambda: looked > seen + 2, timeout_s=30)
        assert connection.reconnects == 0
        shutil.copy(new.key, key)
        await wait_until(lambda: connection.reconnects == 1, timeout_s=30)
        await connection.publish("ven/ack/panel-1", b"heard")
        await wait_until(lambda: inbox.taken, timeout_s=30)
        assert connection.certificate_expires_at == _end_of(new.certificate)
    assert "u'bridge-new'" in mosquitto_tls.log_text()


def test_the_end_of_a_certificate_is_read(pki: Pki, tmp_path: Path) -> None:
    """The same as a library for certificates reads; what is none has no end."""
    for file in (pki.ca, pki.client("x" * 60).certificate, pki.server().certificate):
        assert end_of_certificate(file) == _end_of(file)
    nothing = tmp_path / "nothing"
    assert end_of_certificate(nothing) is None
    nothing.write_text("-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n")
    assert end_of_certificate(nothing) is None


def _end_of(certificate: Path) -> datetime:
    return x509.load_pem_x509_certificate(certificate.read_bytes()).not_valid_after_utc


async def test_messages_that_the_broker_does_not_repeat_are_kept_up_to_so_many_bytes(mosquitto: Mosquitto) -> None:
    """One panel that publishes without end takes no more than 32 MiB, however few its messages are; others go on."""
    inbox = Inbox()
    inbox.open.clear()
    payload, number = b"x" * 250_000, 200
    async with running(link(settings(mosquitto.url), inbox, longest=262_145)) as connection:
        arrivals = connection._client.arrivals
        async with aiomqtt.Client(mosquitto.host, mosquitto.port) as client:
            await client.publish("ven/ack/panel-1", b"first", qos=1)
            await wait_until(lambda: inbox.taken, timeout_s=30)
            for _ in range(number):
                await client.publish("ven/ack/panel-1", payload, qos=0)
            await client.publish("ven/ack/panel-1", b"last", qos=1)
        await wait_until(lambda: arrivals.dropped and arrivals._queue[-1].payload == b"last", timeout_s=60)
        assert sum(len(message.payload) for message in arrivals._queue) <= 32 * 1024 * 1024 + len(b"last")
        inbox.open.set()
        await wait_until(lambda: inbox.taken[-1].payload == b"last", timeout_s=60)
        assert arrivals._bytes == 0


@pytest.mark.parametrize("qos", [0, 1])
async def test_a_broker_for_mqtt_5_does_not_send_what_is_far_too_long(mosquitto: Mosquitto, qos: int) -> None:
    """Of what is a little too long the beginning is kept, so that it can be refused; and the next message comes."""
    inbox = Inbox()
    async with running(link(settings(mosquitto.url, protocol="5"), inbox, longest=1_000)):
        async with aiomqtt.Client(mosquitto.host, mosquitto.port) as client:
            for length in (10_000, 2_000, 3):
                await client.publish("ven/ack/panel-1", b"x" * length, qos=qos)
        await wait_until(lambda: inbox.taken and len(inbox.taken[-1].payload) == 3, timeout_s=30)
    assert [len(message.payload) for message in inbox.taken] == [1_000, 3]


async def test_two_programs_with_one_client_id_are_told_so(mosquitto: Mosquitto) -> None:
    """A broker ends a connection when its client id comes again; the first loss may have other reasons."""
    with structlog.testing.capture_logs() as logs:
        async with running(link(settings(mosquitto.url, client_id="twice"), Inbox())) as one:
            async with aiomqtt.Client(mosquitto.host, mosquitto.port, identifier="twice"):
                await wait_until(lambda: one.reconnects == 1, timeout_s=30)
            async with aiomqtt.Client(mosquitto.host, mosquitto.port, identifier="twice"):
                await wait_until(lambda: one.reconnects == 2, timeout_s=30)
    lost = [each["problem"] for each in logs if each["event"] == "broker connection lost"]
    assert ["client id 'twice'" in each for each in lost[:2]] == [False, True]


async def test_a_message_that_the_broker_refuses_is_not_delivered_and_is_said_once_for_each_topic(
    tmp_path: Path,
) -> None:
    """MQTT 5, section 3.4.2.1: a reason code of 128 or more in PUBACK. In MQTT 3.1.1 a broker has no word for it."""
    broker = Mosquitto(
        tmp_path, accounts={"bridge": "a password"}, access_list="user bridge\ntopic write ven/cmd/mine\n"
    )
    broker.start()
    own = {"username": "bridge", "password": "a password"}

    async def is_refused(connection: MqttLink, topic: str) -> bool:
        """Try again while there is no connection: Mosquitto 2.0.11 hangs up after a refusal."""
        try:
            await connection.publish(topic, b"{}")
        except BrokerRefused as error:
            return topic in str(error)
        except (NotSent, Unconfirmed):
            return False
        raise AssertionError("the broker took it")

    try:
        with structlog.testing.capture_logs() as logs:
            async with running(link(settings(broker.url, **own), Inbox(), filters=[])) as connection:
                await connection.publish("ven/cmd/mine", b"{}")
                for _ in range(2):
                    await wait_until(lambda: is_refused(connection, "ven/cmd/one"))
                    await wait_until(lambda: is_refused(connection, "ven/cmd/two"))
                assert connection.refusals == 4
            async with running(link(settings(broker.url, protocol="3.1.1", **own), Inbox(), filters=[])) as old:
                with contextlib.suppress(NotSent, Unconfirmed):
                    await old.publish("ven/cmd/one", b"{}")
                assert old.refusals == 0
    finally:
        broker.stop()
    said = [(entry["topic"], entry["problem"]) for entry in logs if "refuses our message" in entry["event"]]
    assert said == [("ven/cmd/one", "Not authorized"), ("ven/cmd/two", "Not authorized")]
