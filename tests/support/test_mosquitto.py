"""The broker that the other tests rely on."""

import aiomqtt
import pytest

from tests.support import processes
from tests.support.mosquitto import Mosquitto
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
