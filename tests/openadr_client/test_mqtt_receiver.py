"""Notifications from the broker that a VTN announces, with the real Mosquitto."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Sequence
from random import Random
from typing import Any, cast

import aiomqtt
import pytest
from cryptography.hazmat.primitives import serialization
from paho.mqtt.client import MQTTv5, MQTTv311
from pydantic import SecretStr

from openadr_client import (
    BrokerRefused,
    BrokerUnreachable,
    BrokerUntrusted,
    Hints,
    ManualClock,
    MqttReceiver,
    NoWay,
    PushReceiver,
    PushSettings,
    ReadAgain,
    VtnClient,
    VtnError,
)
from openadr_client.mqtt_bounded import BoundedConnector, BoundedQueue
from openadr_client.mqtt_receiver import _credentials, _Session
from openadr_client.notifications import MAX_NOTIFICATION
from openadr_client.settings import BrokerSettings
from openadr_client.tokens import AccessToken
from openadr_profiles.v31 import MqttAuthentication
from tests.openadr_client.announced import Announcing, Ear, announcing, background, publish
from tests.openadr_client.test_notifications import EVENT, PLAIN, SNAKES
from tests.support.mosquitto import Mosquitto
from tests.support.pki import client_context
from tests.support.waiting import wait_until

CONNECTED = "connected to the broker"
TOKEN = AccessToken("secret", None)


@pytest.fixture
async def there() -> AsyncIterator[Announcing]:
    async with announcing(Announcing) as found:
        yield found


@pytest.fixture
async def vtn(there: Announcing) -> AsyncIterator[VtnClient]:
    async with VtnClient(base_url=there.vtn.base_url, client_id="home-1", client_secret="x") as client:
        yield client


async def test_a_ven_hears_what_the_topics_that_the_vtn_tells_say(
    there: Announcing, vtn: VtnClient, mosquitto: Mosquitto
) -> None:
    """VENCLIENT-014, R-34: none of the names is put together here, and every form of a notification is read."""
    there.announce(mosquitto.url)
    there.add_program("p1")
    ear = Ear()
    async with background(MqttReceiver(vtn, ven_id="v1").receive(ear)):
        await ear.hears(CONNECTED)
        await publish(mosquitto, "odd/mine/e/create", PLAIN, EVENT, SNAKES)
        await publish(mosquitto, "odd/everybody/e-of-p1/delete", {**PLAIN, "operation": "DELETE"})
        await publish(mosquitto, "odd/mine/r/create", {"operation": "CREATE", "object": {"id": "r1"}})
        await publish(mosquitto, "vens/v1/events/create", PLAIN)
        await publish(
            mosquitto, "odd/mine/p/u", {"objectType": "PROGRAM", "operation": "UPDATE", "object": {"id": "p1"}}
        )
        await wait_until(lambda: len(ear.notifications) == 6)
    assert ear.notifications == [
        ("CREATE", "EVENT", "e1"),
        ("UPDATE", "EVENT", "e1"),
        ("CREATE", "EVENT", "e1"),
        ("DELETE", "EVENT", "e1"),
        ("CREATE", "", "r1"),
        ("UPDATE", "PROGRAM", "p1"),
    ]
    assert there.vtn.paths.count("GET /notifiers") == 1


async def test_business_logic_hears_of_the_kinds_that_it_wants(
    there: Announcing, vtn: VtnClient, mosquitto: Mosquitto
) -> None:
    there.announce(mosquitto.url)
    there.topics = {"events": {"ALL": "x/events/+"}, "vens": {"ALL": "x/vens/+"}}
    ear = Ear()
    async with background(MqttReceiver(vtn, objects=("EVENT",)).receive(ear)):
        await ear.hears(CONNECTED)
        await publish(mosquitto, "x/vens/update", {"operation": "UPDATE", "object": {"id": "v"}})
        await publish(mosquitto, "x/events/update", PLAIN)
        await wait_until(lambda: ear.notifications)
    assert ear.notifications == [("CREATE", "EVENT", "e1")]


async def test_what_cannot_be_read_is_a_reason_to_read_again(
    there: Announcing, vtn: VtnClient, mosquitto: Mosquitto
) -> None:
    """A push is only a hint: a wrong one changes nothing, and what it may have been about is asked for."""
    there.announce(mosquitto.url)
    ear = Ear()
    async with background(MqttReceiver(vtn, ven_id="v1").receive(ear)):
        await ear.hears(CONNECTED)
        await publish(mosquitto, "odd/mine/e/create", b"\xff", b"", b"[" * 100_000, [1], {"operation": "CREATE"}, PLAIN)
        await wait_until(lambda: ear.notifications)
    assert ear.read_again == [CONNECTED, *["a message that could not be read"] * 5]


async def test_a_new_program_brings_a_new_topic(there: Announcing, vtn: VtnClient, mosquitto: Mosquitto) -> None:
    """The events of everybody's programs have a topic for each program, which is asked for when there is one more."""
    there.announce(mosquitto.url)
    ear = Ear()
    async with background(MqttReceiver(vtn, ven_id="v1", settings=PushSettings(spread_s=0)).receive(ear)):
        await ear.hears(CONNECTED)
        there.add_program("late")
        await publish(mosquitto, "odd/everybody/p/create", {**PLAIN, "objectType": "PROGRAM"})
        await ear.hears(CONNECTED, "there are new topics")
        await publish(mosquitto, "odd/everybody/e-of-late/create", PLAIN)
        await wait_until(lambda: ("CREATE", "EVENT", "e1") in ear.notifications)
    assert there.vtn.paths.count("GET /notifiers/mqtt/topics/programs/late/events") == 1
    assert there.vtn.paths.count("GET /notifiers/mqtt/topics/programs") == 1


async def test_a_broker_that_went_away_is_come_back_to(there: Announcing, vtn: VtnClient, mosquitto: Mosquitto) -> None:
    """VENCLIENT-010: after every connection what matters is read again."""
    there.announce(mosquitto.url)
    ear = Ear()
    async with background(PushReceiver(vtn, PushSettings(), name="home-1").run(ear, ven_id="v1")):
        await ear.hears(CONNECTED)
        await asyncio.to_thread(mosquitto.restart)
        await ear.hears(CONNECTED, CONNECTED)
        await publish(mosquitto, "odd/mine/e/create", PLAIN)
        await wait_until(lambda: ear.notifications)


async def test_a_connection_ends_with_its_token_and_the_next_one_has_the_next_token(
    there: Announcing, vtn: VtnClient, mosquitto: Mosquitto
) -> None:
    """VENCLIENT-015."""
    there.vtn.expires_in = 2
    there.announce(mosquitto.url, method="OAUTH2_BEARER_TOKEN", username="{clientID}")
    ear = Ear()
    receiver = MqttReceiver(vtn, ven_id="v1")
    await asyncio.wait_for(receiver.receive(ear), 30)
    assert len(there.vtn.token_forms) == 2
    async with background(receiver.receive(ear)):
        await ear.hears(CONNECTED, CONNECTED)
    assert mosquitto.log_text().count("u'home-1'") == 2


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"method": "OAUTH2_BEARER_TOKEN", "username": "{clientID}"}, ("home-1", "secret")),
        ({"method": "OAUTH2_BEARER_TOKEN", "username": "all"}, ("all", "secret")),
        ({"method": "OAUTH2_BEARER_TOKEN"}, ("home-1", "secret")),
        ({"method": "OAUTH2_BEARER_TOKEN", "username": "ven-1", "password": "made"}, ("ven-1", "made")),
        ({"method": "ANONYMOUS"}, (None, None)),
        ({"method": "CERTIFICATE"}, (None, None)),
    ],
)
def test_the_broker_is_told_what_the_binding_says(members: dict[str, Any], expected: tuple[str | None, str]) -> None:
    """MQTT-039, MQTT-047, R-45."""
    assert _credentials(MqttAuthentication(**members), "home-1", TOKEN) == expected


@pytest.mark.parametrize(
    ("members", "token", "problem"),
    [
        ({"method": "OAUTH2_BEARER_TOKEN", "username": "a"}, None, "access token"),
        ({"method": "OAUTH2_BEARER_TOKEN"}, TOKEN, "client id"),
        ({"method": "KERBEROS"}, TOKEN, "KERBEROS"),
    ],
)
def test_a_binding_that_cannot_be_met_is_said_to_be_none(
    members: dict[str, Any], token: AccessToken | None, problem: str
) -> None:
    with pytest.raises(NoWay, match=problem):
        _credentials(MqttAuthentication(**members), None, token)


async def test_a_broker_with_tls_is_shown_the_certificate_that_the_vtn_gave(
    there: Announcing, vtn: VtnClient, mosquitto_tls: Mosquitto
) -> None:
    """MQTT-004; the address with TLS comes first, though it is listed last (COMPAT-082)."""
    files = mosquitto_tls.client_files("home-1")
    there.announce(
        "mqtt://127.0.0.1:1",
        mosquitto_tls.url.replace("mqtts:", "ssl:"),
        method="CERTIFICATE",
        caCert=files.ca.read_text(),
        clientCert=files.certificate.read_text(),
        clientKey=files.key.read_text(),
    )
    ear = Ear()
    async with background(MqttReceiver(vtn, ven_id="v1").receive(ear)):
        await ear.hears(CONNECTED)
        await publish(mosquitto_tls, "odd/mine/e/create", PLAIN, tls_context=client_context(files.ca, files))
        await wait_until(lambda: ear.notifications)


async def test_no_broker_is_trusted_whose_authority_is_not(
    there: Announcing, vtn: VtnClient, mosquitto_tls: Mosquitto
) -> None:
    """VENCLIENT-024."""
    there.announce(mosquitto_tls.url)
    with pytest.raises(BrokerUntrusted, match="certificate verify failed"):
        await MqttReceiver(vtn, ven_id="v1").receive(Ear())


async def test_an_authority_of_the_settings_is_trusted(
    there: Announcing, vtn: VtnClient, mosquitto_tls: Mosquitto
) -> None:
    """Complain only of the certificate that this broker wants and we do not have."""
    assert mosquitto_tls.pki is not None
    there.announce(mosquitto_tls.url)
    settings = PushSettings(broker_ca_file=mosquitto_tls.pki.ca)
    with pytest.raises(BrokerUnreachable, match="another client certificate"):
        await MqttReceiver(vtn, ven_id="v1", settings=settings).receive(Ear())


@contextlib.asynccontextmanager
async def older_than_5(broker: Mosquitto, refusal: bytes) -> AsyncIterator[str]:
    """Give the address of a broker that knows MQTT 3.1.1 only, and says so, or hangs up with an empty refusal."""
    connections: list[asyncio.StreamWriter] = []

    async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            writer.write(data)
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(writer)
        connect = await reader.read(65_536)
        level = connect[connect.index(b"MQTT") + 4]
        if level > 4:
            writer.write(refusal)
            writer.close()
            return
        there, back = await asyncio.open_connection(broker.host, broker.port)
        connections.append(back)
        back.write(connect)
        await asyncio.gather(pipe(reader, back), pipe(there, writer))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"mqtt://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for each in connections:
            each.close()
        await asyncio.gather(*(each.wait_closed() for each in connections), return_exceptions=True)


@pytest.mark.parametrize("refusal", [b"\x20\x02\x00\x01", b"\x20\x02\x00\x84", b""], ids=["1", "132", "hangs up"])
async def test_an_older_broker_is_spoken_to_in_mqtt_3_1_1(
    there: Announcing, vtn: VtnClient, mosquitto: Mosquitto, refusal: bytes
) -> None:
    """MQTT-037."""
    ear = Ear()
    async with older_than_5(mosquitto, refusal) as url:
        there.announce(url)
        async with background(PushReceiver(vtn, PushSettings(), name="home-1").run(ear, ven_id="v1")):
            await ear.hears(CONNECTED)
            await publish(mosquitto, "odd/mine/e/create", PLAIN)
            await wait_until(lambda: ear.notifications)


async def test_an_outage_does_not_take_the_bound_from_a_broker_that_knows_mqtt_5(mosquitto: Mosquitto) -> None:
    """Where nobody was reached nobody said that MQTT 5 is not known; in 3.1.1 no longest message could be told."""
    broker = BrokerSettings(url=mosquitto.url, client_id="a")
    connector = BoundedConnector(longest=100)
    mosquitto.stop()
    with pytest.raises(BrokerUnreachable):
        async with connector.connected(broker, tls=None):
            pass
    mosquitto.start()
    async with connector.connected(broker, tls=None) as client:
        assert client._client._protocol == MQTTv5


async def test_every_outage_begins_with_mqtt_5(mosquitto: Mosquitto) -> None:
    """A broker of old may be another one when it comes back."""
    connector = BoundedConnector(longest=100)
    async with older_than_5(mosquitto, b"\x20\x02\x00\x01") as url:
        old = BrokerSettings(url=url, client_id="a")
        for _ in range(2):
            with pytest.raises(BrokerRefused):
                async with connector.connected(old, tls=None):
                    pass
            async with connector.connected(old, tls=None) as client:
                assert client._client._protocol == MQTTv311
    async with connector.connected(BrokerSettings(url=mosquitto.url, client_id="a"), tls=None) as client:
        assert client._client._protocol == MQTTv5


async def test_a_broker_without_tls_is_not_used_beside_a_vtn_with_tls(there: Announcing) -> None:
    """VENCLIENT-024: neither the token nor what is said shall be read on the way, unless the operator allows it."""
    there.announce("mqtt://broker.example:1883", method="OAUTH2_BEARER_TOKEN")

    async with VtnClient(base_url=there.vtn.base_url, token="x") as vtn:
        found = await vtn.notifiers()
        assert found is not None
        assert found.mqtt is not None
        vtn.base_url = "https://vtn.example"
        with pytest.raises(NoWay, match="allow_plain_mqtt"):
            MqttReceiver(vtn, ven_id="v1")._broker(found.mqtt, TOKEN)
        allowed = MqttReceiver(vtn, settings=PushSettings(allow_plain_mqtt=True))
        with pytest.raises(NoWay, match="client id"):
            allowed._broker(found.mqtt, TOKEN)


@pytest.mark.parametrize(
    ("uris", "problem"),
    [
        ((), "there are none"),
        (("amqp://a",), "amqp://a"),
        (("mqtts://[broker",), r"can be used: mqtts://\[broker"),
        (("mqtt://user:hush@broker.example",), "expected mqtt://"),
        (("amqp://user:hush@a",), "amqp://a"),
        (("mqtt://broker.example:0",), "expected mqtt://"),
    ],
)
async def test_an_address_that_cannot_be_used_is_named(
    there: Announcing, vtn: VtnClient, uris: tuple[str, ...], problem: str
) -> None:
    there.announce(*uris)
    with pytest.raises(NoWay, match=problem) as raised:
        await MqttReceiver(vtn, ven_id="v1").receive(Ear())
    assert "hush" not in str(raised.value)


async def test_a_vtn_without_topics_for_us_is_said_to_have_none(
    there: Announcing, vtn: VtnClient, mosquitto: Mosquitto
) -> None:
    there.announce(mosquitto.url)
    there.topics = {}
    with pytest.raises(BrokerRefused, match="no topics"):
        await MqttReceiver(vtn, ven_id="v1").receive(Ear())


async def test_a_vtn_without_broker_is_said_to_have_none(there: Announcing, vtn: VtnClient) -> None:
    with pytest.raises(NoWay, match="no MQTT broker"):
        await MqttReceiver(vtn).receive(Ear())
    there.notifiers = {"WEBHOOK": "perhaps"}
    with pytest.raises(VtnError):
        await MqttReceiver(vtn).receive(Ear())


async def test_a_topic_that_no_broker_takes_is_left_out(
    there: Announcing, vtn: VtnClient, mosquitto: Mosquitto
) -> None:
    there.announce(mosquitto.url)
    there.topics["vens/v1"] = {"ALL": "odd/#/mine"}
    ear = Ear()
    async with background(MqttReceiver(vtn, ven_id="v1").receive(ear)):
        await ear.hears(CONNECTED)
        await publish(mosquitto, "odd/mine/e/create", PLAIN)
        await wait_until(lambda: ear.notifications)


async def test_a_key_that_needs_a_password_is_refused_and_nobody_is_asked(
    there: Announcing, vtn: VtnClient, mosquitto_tls: Mosquitto, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Let OpenSSL ask on the terminal of a service for no password."""
    files = mosquitto_tls.client_files("home-1")
    key = serialization.load_pem_private_key(files.key.read_bytes(), None)
    encrypted = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"hush"),
    )
    binding = {"method": "CERTIFICATE", "clientCert": files.certificate.read_text()}
    there.announce(mosquitto_tls.url, **binding, clientKey=encrypted.decode())
    with pytest.raises(NoWay, match="certificates"):
        await MqttReceiver(vtn, ven_id="v1").receive(Ear())
    there.announce(mosquitto_tls.url, **binding, clientKey=files.key.read_text())
    monkeypatch.setattr("tempfile.tempdir", "/does/not/exist")
    with pytest.raises(NoWay, match="does/not/exist"):
        await MqttReceiver(vtn, ven_id="v1").receive(Ear())


async def test_nothing_stays_open_of_a_connection_that_is_given_up(there: Announcing, vtn: VtnClient) -> None:
    """Give up while a broker is silent: when cancelled, and when the time is over."""
    asked = asyncio.Event()
    gone = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        asked.set()
        with contextlib.suppress(ConnectionError):
            while await reader.read(1000):
                pass
        gone.set()
        writer.close()

    async with await asyncio.start_server(silent, "127.0.0.1", 0) as server:
        there.announce(f"mqtt://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        before = asyncio.all_tasks()
        task = asyncio.create_task(MqttReceiver(vtn, ven_id="v1").receive(Ear()))
        await asked.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert task.cancelled()
        await asyncio.wait_for(gone.wait(), 10)
        await wait_until(lambda: not {each for each in asyncio.all_tasks() - before if "misc" in repr(each)})


async def test_nothing_stays_open_of_a_connection_that_is_cancelled_while_it_opens(
    there: Announcing, vtn: VtnClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Close what the thread that connects brings, though nobody waits for it any more."""
    begun, go_on = threading.Event(), threading.Event()
    connect = aiomqtt.Client._client_connect
    gone = asyncio.Event()

    def held(client: aiomqtt.Client) -> None:
        begun.set()
        go_on.wait()
        connect(client)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while await reader.read(1000):
                pass
        gone.set()
        writer.close()

    monkeypatch.setattr(aiomqtt.Client, "_client_connect", held)
    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        there.announce(f"mqtt://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        task = asyncio.create_task(MqttReceiver(vtn, ven_id="v1").receive(Ear()))
        await wait_until(begun.is_set)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        go_on.set()
        await asyncio.wait_for(gone.wait(), 10)


async def test_a_suback_of_another_length_is_a_refusal(there: Announcing, vtn: VtnClient) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1000)
        writer.write(b"\x20\x03\x00\x00\x00")
        subscribe = await reader.read(1000)
        begin = subscribe.index(b"\x82") + 2
        writer.write(b"\x90\x04" + subscribe[begin : begin + 2] + b"\x00\x01")
        with contextlib.suppress(ConnectionError):
            while await reader.read(1000):
                pass
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        there.announce(f"mqtt://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        there.topics = {"programs": {"CREATE": "a", "UPDATE": "b"}}
        with pytest.raises(BrokerRefused, match="2 subscriptions with 1"):
            await MqttReceiver(vtn, ven_id="v1").receive(Ear())


async def test_a_token_that_is_over_at_once_is_asked_for_once_a_second(there: Announcing) -> None:
    """A VTN whose tokens are past their time when they come, and are always the same one, is not asked without end."""
    clock = ManualClock()
    async with VtnClient(base_url=there.vtn.base_url, client_id="home-1", client_secret="x", clock=clock) as vtn:
        over = AccessToken("the same", clock.now())
        asked: list[AccessToken] = []

        async def access_token() -> AccessToken:
            asked.append(over)
            return over

        vtn.access_token = access_token  # type: ignore[method-assign] # the edge that is replaced
        broker = BrokerSettings(client_id="a", username="u", password=SecretStr("the same"))
        async with background(MqttReceiver(vtn)._token_ends(broker, over)):
            await clock.asleep()
            await clock.advance(10)
            assert len(asked) == 10


async def test_a_cancellation_that_the_library_loses_ends_the_topics_all_the_same() -> None:
    """On Python 3.11 asyncio.wait_for may lose a cancellation."""
    began = asyncio.Event()

    class Losing:
        async def subscribe_to(self, names: Sequence[str]) -> list[str]:
            began.set()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.Event().wait()
            return []

    class Topics:
        def forget(self) -> None:
            pass

        async def filters(self) -> tuple[str, ...]:
            return ("a",)

    async with VtnClient(base_url="http://127.0.0.1:1") as vtn:
        hints = Hints(vtn.clock, spread_s=0, chance=Random(1))
        session = _Session(
            cast(Any, Losing()),
            BrokerSettings(client_id="a"),
            cast(Any, Topics()),
            tell=Ear(),
            hints=hints,
            chance=Random(1),
        )
        hints.tell(ReadAgain("x", "mqtt"))
        task = asyncio.create_task(session.keep_topics(vtn))
        await began.wait()
        task.cancel()
        ended, _ = await asyncio.wait({task}, timeout=60)
        assert ended
        assert task.cancelled()


def test_what_waits_is_bounded_in_bytes() -> None:
    """Of 100 messages of 5 MiB six are kept, and of a longer one only that it came."""
    queue = BoundedQueue(most=100, longest=MAX_NOTIFICATION, most_bytes=32 * 1024 * 1024)
    for _ in range(7):
        queue.put_nowait(a_message(bytes(MAX_NOTIFICATION)))
    assert (queue.qsize(), queue.overflowed) == (6, True)
    queue.get_nowait()
    queue.overflowed = False
    queue.put_nowait(a_message(bytes(MAX_NOTIFICATION + 1)))
    queue.put_nowait(a_message(bytes(MAX_NOTIFICATION)))
    assert (queue.qsize(), queue.overflowed) == (7, False)
    lengths = [len(queue.get_nowait().payload) for _ in range(7)]
    assert lengths == [*[MAX_NOTIFICATION] * 5, 0, MAX_NOTIFICATION]


def a_message(payload: bytes) -> aiomqtt.Message:
    return aiomqtt.Message("a", payload, 0, False, 1, None)
