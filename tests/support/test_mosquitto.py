"""The broker that the other tests rely on."""

import socket
import ssl
from datetime import UTC, datetime
from pathlib import Path

import aiomqtt
import pytest

from bench.support import processes
from tests.support.mosquitto import Mosquitto
from tests.support.pki import Pki, client_context
from tests.support.waiting import wait_until


async def test_a_message_reaches_a_subscriber(mosquitto: Mosquitto) -> None:
    """It is a real broker."""
    async with aiomqtt.Client(mosquitto.host, mosquitto.port) as client:
        await client.subscribe("ven/ack/+", qos=1)
        await client.publish("ven/ack/a", b"hello", qos=1)
        message = await anext(client.messages)

    assert message.payload == b"hello"


async def test_a_queued_message_outlives_a_restart(mosquitto: Mosquitto) -> None:
    """Persistent sessions are kept over stop and start, at the same port."""
    async with aiomqtt.Client(mosquitto.host, mosquitto.port, identifier="panel", clean_session=False) as panel:
        await panel.subscribe("ven/cmd/panel", qos=1)
    async with aiomqtt.Client(mosquitto.host, mosquitto.port) as bridge:
        await bridge.publish("ven/cmd/panel", b"shed", qos=1)

    mosquitto.restart()

    async with aiomqtt.Client(mosquitto.host, mosquitto.port, identifier="panel", clean_session=False) as panel:
        message = await anext(panel.messages)
    assert message.payload == b"shed"


async def test_a_stopped_broker_refuses_and_a_started_one_answers(mosquitto: Mosquitto) -> None:
    """Fault tests take the broker away and give it back."""
    mosquitto.stop()
    with pytest.raises(aiomqtt.MqttError):
        async with aiomqtt.Client(mosquitto.host, mosquitto.port):
            pass

    mosquitto.start()

    async with aiomqtt.Client(mosquitto.host, mosquitto.port):
        assert mosquitto.running
    mosquitto.kill()
    assert not mosquitto.running


async def test_the_log_shows_who_connected(mosquitto: Mosquitto) -> None:
    """A test can ask the broker what it saw."""
    async with aiomqtt.Client(mosquitto.host, mosquitto.port, identifier="panel-17"):
        await wait_until(lambda: "panel-17" in mosquitto.log_text())


def test_a_missing_program_is_an_error_with_the_command_that_installs_it() -> None:
    """A test that needs a server never passes without it."""
    with pytest.raises(RuntimeError, match="apt-get install no-such-package"):
        processes.find_program("no-such-program", debian_package="no-such-package")


async def test_a_client_with_a_certificate_is_known_by_its_common_name(mosquitto_tls: Mosquitto, pki: Pki) -> None:
    """As brokers for panels do: the certificate says who it is."""
    context = client_context(pki.ca, mosquitto_tls.client_files("panel-17"))
    async with aiomqtt.Client(mosquitto_tls.host, mosquitto_tls.port, tls_context=context) as client:
        await client.subscribe("ven/cmd/panel-17")
        await wait_until(lambda: "u'panel-17'" in mosquitto_tls.log_text())
    assert mosquitto_tls.url.startswith("mqtts://")


def test_a_client_without_a_certificate_is_refused(mosquitto_tls: Mosquitto, pki: Pki) -> None:
    """Encryption alone is not enough."""
    with pytest.raises(ssl.SSLError, match="alert"):
        _handshake(mosquitto_tls, client_context(pki.ca))


def test_a_client_with_a_certificate_of_somebody_else_is_refused(
    mosquitto_tls: Mosquitto, pki: Pki, tmp_path: Path
) -> None:
    """The same name from another authority is worth nothing."""
    stranger = Pki(tmp_path, now=lambda: datetime.now(UTC)).client("panel-17")
    with pytest.raises(ssl.SSLError, match="alert"):
        _handshake(mosquitto_tls, client_context(pki.ca, stranger))

    _handshake(mosquitto_tls, client_context(pki.ca, pki.client("panel-17")))


def _handshake(broker: Mosquitto, context: ssl.SSLContext) -> None:
    """With TLS 1.2 a client learns of its refusal in the handshake, with 1.3 only when it waits for an answer."""
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with (
        socket.create_connection((broker.host, broker.port), timeout=5) as connection,
        context.wrap_socket(connection, server_hostname=broker.host),
    ):
        pass
