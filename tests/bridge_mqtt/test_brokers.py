"""An event from start to end on each broker that the bridge is meant for."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from oadr.demo.broker import broker as embedded_broker
from tests.bridge_mqtt.conftest import World, an_event
from tests.support.mosquitto import Mosquitto
from tests.support.pki import Pki
from tests.support.tls_front import tls_front
from tests.support.waiting import wait_until

_ALPN = "x-amzn-mqtt-ca"


@pytest.fixture(params=["mosquitto 5", "mosquitto 3.1.1", "mosquitto behind TLS on a name", "amqtt", "amqtt TLS"])
async def broker(
    request: pytest.FixtureRequest, mosquitto: Mosquitto, pki: Pki
) -> AsyncIterator[tuple[str, dict[str, Any], str]]:
    """The URL of a broker, the settings that it needs, and the version of MQTT that is spoken with it."""
    ours, server = pki.client("bridge-under-test"), pki.server()
    tls = {"ca_file": ours.ca, "client_certificate": ours.certificate, "client_key": ours.key}
    match request.param:
        case "mosquitto 5":
            yield mosquitto.url, {}, "5"
        case "mosquitto 3.1.1":
            yield mosquitto.url, {"protocol": "3.1.1"}, "3.1.1"
        case "mosquitto behind TLS on a name":
            files = pki.server("iot.example")
            async with tls_front(mosquitto.host, mosquitto.port, files=files, alpn=_ALPN) as front:
                yield f"mqtts://127.0.0.1:{front.port}", tls | {"server_name": "iot.example", "alpn": [_ALPN]}, "5"
        case "amqtt":
            async with embedded_broker() as port:
                yield f"mqtt://127.0.0.1:{port}", {"timeout_s": 3}, "3.1.1"
        case _:
            async with embedded_broker(tls=(server.ca, server.certificate, server.key)) as port:
                yield f"mqtts://127.0.0.1:{port}", tls | {"protocol": "3.1.1"}, "3.1.1"


async def test_an_event_is_carried_out(
    broker: tuple[str, dict[str, Any], str], mosquitto: Mosquitto, sqlite_url: str
) -> None:
    """Shed and restore, each acknowledged, whatever the broker speaks."""
    url, settings, protocol = broker
    async with AsyncExitStack() as stack:
        world = World(mosquitto, sqlite_url, stack)
        world.broker_settings = settings | {"url": url}
        panel = await world.add_panel("panel-1")
        bridge = await world.start()
        assert bridge._link.protocol == protocol
        await world.post(an_event(shed_kw=4, length_s=600))
        await world.until(
            "/api/events/evt-1", lambda e: e["panels"] and e["panels"][0]["actualShedKw"] == 4 and panel.model.event_id
        )
        await world.withdraw("evt-1")
        await wait_until(lambda: panel.model.event_id is None, timeout_s=30)
        await world.until("/api/events/evt-1", lambda e: e["isFinal"])
        assert panel.model.sheds == 1
