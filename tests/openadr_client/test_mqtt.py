"""The connection to the broker: what is refused, what is trusted, what is acknowledged."""

import asyncio
import contextlib
import gc
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiomqtt
import pytest

from bench.support.net import free_port
from bridge_mqtt.settings import Broker
from openadr_client.errors import BadCertificateFile, BrokerRefused, BrokerUnreachable, BrokerUntrusted
from openadr_client.mqtt import MqttLink, Received
from tests.support.mosquitto import Mosquitto
from tests.support.pki import Pki
from tests.support.waiting import wait_until


class Inbox:
    """Collects what is handed over; can refuse to be done with it."""

    def __init__(self) -> None:
        self.taken: list[Received] = []
        self.open = asyncio.Event()
        self.open.set()

    async def take(self, batch: Sequence[Received]) -> None:
        """Keep a batch, and return when the inbox is open."""
        self.taken.extend(batch)
        await self.open.wait()


def link(broker: Broker, inbox: Inbox) -> MqttLink:
    """A link that subscribes to acknowledgments."""
    return MqttLink(broker, filters=["ven/ack/+"], take=inbox.take, now=lambda: datetime.now(UTC))


def settings(url: str, **more: Any) -> Broker:
    """Broker settings that give up quickly."""
    return Broker.model_validate({"url": url, "timeout_s": 2, "reconnect_least_s": 0.05} | more)


async def publish(broker: Mosquitto, *payloads: bytes) -> None:
    """Publish acknowledgments of a panel."""
    async with aiomqtt.Client(broker.host, broker.port) as client:
        for payload in payloads:
            await client.publish("ven/ack/panel-1", payload, qos=1)


@contextlib.asynccontextmanager
async def running(link: MqttLink) -> Any:
    """A link that is connected and hands over messages."""
    async with link:
        task = asyncio.create_task(link.run())
        try:
            yield link
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def test_a_message_that_was_not_stored_comes_again_and_one_that_was_does_not(mosquitto: Mosquitto) -> None:
    """R19: acknowledged only when the taker is done, and kept by the broker for our client id meanwhile."""
    first = Inbox()
    async with running(link(settings(mosquitto.url), first)):
        await publish(mosquitto, b"stored")
        await wait_until(lambda: [m.payload for m in first.taken] == [b"stored"])
        first.open.clear()
        await publish(mosquitto, b"lost")
        await wait_until(lambda: len(first.taken) == 2)
    await publish(mosquitto, b"meanwhile")

    second = Inbox()
    async with running(link(settings(mosquitto.url), second)):
        await wait_until(lambda: len(second.taken) == 2)

    assert sorted(m.payload for m in second.taken) == [b"lost", b"meanwhile"]


async def test_while_nothing_is_stored_the_broker_keeps_the_rest(mosquitto: Mosquitto) -> None:
    """R19: an unstored batch stops the reading; nothing is lost."""
    inbox = Inbox()
    inbox.open.clear()
    async with running(link(settings(mosquitto.url), inbox)):
        await publish(mosquitto, *(f"{n}".encode() for n in range(100)))
        await wait_until(lambda: inbox.taken)
        assert len(inbox.taken) < 100
        inbox.open.set()
        await wait_until(lambda: len(inbox.taken) == 100)

    assert [m.payload for m in inbox.taken] == [f"{n}".encode() for n in range(100)]


async def test_the_link_comes_back_after_the_broker_has_restarted(mosquitto: Mosquitto) -> None:
    """Degrades visibly and reconnects."""
    inbox = Inbox()
    async with running(link(settings(mosquitto.url), inbox)) as connection:
        mosquitto.stop()
        await wait_until(lambda: connection.connected_since is None)
        assert "lost" in connection.problem or "reached" in connection.problem
        mosquitto.start()
        await wait_until(lambda: connection.connected_since is not None)
        await publish(mosquitto, b"after")
        await wait_until(lambda: inbox.taken)

    assert connection.reconnects == 1


async def test_nobody_there_is_unreachable() -> None:
    """One clear error that names the address."""
    port = free_port()
    with pytest.raises(BrokerUnreachable, match=str(port)):
        await link(settings(f"mqtt://127.0.0.1:{port}"), Inbox()).__aenter__()


async def test_wrong_credentials_are_refused(tmp_path: Path) -> None:
    """One clear error that names the client and the user, never the password."""
    broker = Mosquitto(tmp_path)
    configuration = tmp_path / "mosquitto.conf"
    (tmp_path / "passwords").touch(mode=0o600)
    text = configuration.read_text().replace("allow_anonymous true", "allow_anonymous false")
    configuration.write_text(f"{text}password_file {tmp_path / 'passwords'}\n")
    broker.start()
    try:
        with pytest.raises(BrokerRefused, match="user 'bridge'") as caught:
            await link(settings(broker.url, username="bridge", password="secret-1"), Inbox()).__aenter__()
        assert "secret-1" not in str(caught.value)
    finally:
        broker.stop()


async def test_a_broker_with_tls_is_reached_with_a_client_certificate(mosquitto_tls: Mosquitto) -> None:
    """TLS 1.2 or newer, server verified, our certificate shown."""
    files = mosquitto_tls.client_files("bridge")
    broker = settings(mosquitto_tls.url, ca_file=files.ca, client_certificate=files.certificate, client_key=files.key)
    async with running(link(broker, Inbox())) as connection:
        assert connection.connected_since is not None
        await connection.publish("ven/cmd/panel-1", b"{}")


async def test_the_name_to_verify_can_be_another_than_the_host(mosquitto_tls: Mosquitto) -> None:
    """The server name setting is used: a right one is verified instead of the host, a wrong one is not trusted."""
    files = mosquitto_tls.client_files("bridge")
    tls = {"ca_file": files.ca, "client_certificate": files.certificate, "client_key": files.key}
    async with running(link(settings(mosquitto_tls.url, server_name="localhost", **tls), Inbox())) as connection:
        assert connection.connected_since is not None
    with pytest.raises(BrokerUntrusted, match="elsewhere"):
        await link(settings(mosquitto_tls.url, server_name="elsewhere", **tls), Inbox()).__aenter__()


async def test_a_broker_of_an_unknown_authority_is_not_trusted(mosquitto_tls: Mosquitto, tmp_path: Path) -> None:
    """Certificates are verified."""
    other = Pki(tmp_path, now=lambda: datetime.now(UTC), name="another CA").client("bridge")
    broker = settings(mosquitto_tls.url, ca_file=other.ca, client_certificate=other.certificate, client_key=other.key)
    with pytest.raises(BrokerUntrusted, match="no TLS with"):
        await link(broker, Inbox()).__aenter__()


async def test_without_our_certificate_the_broker_does_not_let_us_in(mosquitto_tls: Mosquitto) -> None:
    """Mutual TLS."""
    ca = mosquitto_tls.client_files("bridge").ca
    with pytest.raises((BrokerUntrusted, BrokerUnreachable)):
        await link(settings(mosquitto_tls.url, ca_file=ca), Inbox()).__aenter__()


def test_a_certificate_file_that_is_none_is_named(tmp_path: Path) -> None:
    """The setting and the file are in the message."""
    wrong = tmp_path / "ca.pem"
    wrong.write_text("nothing")
    with pytest.raises(BadCertificateFile, match=r"the broker's ca_file"):
        link(settings("mqtts://127.0.0.1:1", ca_file=wrong), Inbox())


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"url": "http://broker"}, "mqtt://HOST:PORT"),
        ({"url": "mqtt://"}, "mqtt://HOST:PORT"),
        ({"url": "mqtt://host:99999"}, "mqtt://HOST:PORT"),
        ({"url": "mqtt://user:secret@host"}, "mqtt://HOST:PORT"),
        ({"password": "x"}, "without username"),
        ({"server_name": "x"}, "mqtts://"),
        ({"url": "mqtts://host", "client_key": "x"}, "belong together"),
    ],
)
def test_broker_settings_that_cannot_work_say_why(values: dict[str, str], problem: str) -> None:
    """Checked when the program starts, not when it connects."""
    with pytest.raises(ValueError, match=problem):
        Broker.model_validate(values)


async def test_a_connection_that_breaks_before_it_is_used_leaves_no_complaint(mosquitto: Mosquitto) -> None:
    """A start that fails for another reason (a wrong secret at the VTN) says that reason and nothing else."""
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    broken = link(settings(mosquitto.url), Inbox())
    async with broken:
        client = broken._client
        assert client is not None
        mosquitto.kill()
        await wait_until(client._disconnected.done, what="the client has noticed")
    del broken, client
    gc.collect()
    await asyncio.sleep(0)
    assert complaints == []
