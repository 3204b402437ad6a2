"""Model the MQTT integration of Home Assistant: what it demands of discovery, states and attributes.

Written from its pages (MQTT: discovery, device discovery payload; MQTT sensor, switch and button; Sensor: device
classes), not from our messages.
"""

from __future__ import annotations

import asyncio
import json
import math
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, Final

import aiomqtt

from openadr_client import stop_if_cancelled
from tests.support.mosquitto import Mosquitto
from tests.support.waiting import wait_until

UNKNOWN: Final = "None"
MOST_ATTRIBUTES: Final = 16_384
LONGEST_STATE: Final = 255
_CONFIG: Final = re.compile(r"homeassistant/device/([a-zA-Z0-9_-]+)/config")
_SHARED: Final = {"availability_topic", "device", "origin", "components", "qos", "encoding", "state_topic"}
_DEVICE: Final = {"identifiers", "name", "manufacturer", "model", "sw_version", "hw_version", "serial_number"}
_ENTITY: Final = {"platform", "name", "unique_id", "icon", "json_attributes_topic", "state_topic"}
_OPTIONS: Final = {
    "sensor": _ENTITY
    | {"device_class", "options", "state_class", "unit_of_measurement", "suggested_display_precision"},
    "switch": _ENTITY | {"command_topic", "payload_on", "payload_off"},
    "button": (_ENTITY | {"command_topic", "payload_press"}) - {"state_topic"},
}
_NEEDED: Final = {
    "sensor": {"unique_id", "state_topic"},
    "switch": {"unique_id", "command_topic"},
    "button": {"unique_id", "command_topic"},
}
_POWER_UNITS: Final = {"mW", "W", "kW", "MW", "GW", "TW"}


def check_discovery(topic: str, payload: bytes) -> dict[str, dict[str, Any]]:
    """Return the components of a discovery message; raises AssertionError if Home Assistant would not take it."""
    assert _CONFIG.fullmatch(topic), topic
    config = json.loads(payload)
    assert config.keys() <= _SHARED, config.keys() - _SHARED
    device = config["device"]
    assert device.keys() <= _DEVICE, device.keys() - _DEVICE
    assert device["identifiers"]
    assert device["name"]
    assert config["origin"]["name"]
    _is_topic(config["availability_topic"])
    components: dict[str, dict[str, Any]] = config["components"]
    for component in components.values():
        _check_component(component)
    ids = [each["unique_id"] for each in components.values()]
    assert len(set(ids)) == len(ids)
    return {key: {**component, "availability": config["availability_topic"]} for key, component in components.items()}


def _check_component(component: Mapping[str, Any]) -> None:
    platform = component["platform"]
    assert component.keys() >= _NEEDED[platform], component
    assert component.keys() <= _OPTIONS[platform], component.keys() - _OPTIONS[platform]
    for name in ("state_topic", "command_topic", "json_attributes_topic"):
        if name in component:
            _is_topic(component[name])
    kind = component.get("device_class")
    if kind == "enum":
        assert component["options"]
        assert not component.keys() & {"state_class", "unit_of_measurement"}
    elif kind == "timestamp":
        assert not component.keys() & {"state_class", "unit_of_measurement", "options"}
    elif kind == "power":
        assert component["unit_of_measurement"] in _POWER_UNITS
    assert component.get("state_class") in (None, "measurement")


def _is_topic(topic: str) -> None:
    assert topic
    assert not set("+#\x00") & set(topic)


def check_state(component: Mapping[str, Any], payload: bytes) -> str:
    """Return a state as text; raises AssertionError if Home Assistant would not take it."""
    text = payload.decode()
    assert len(text) <= LONGEST_STATE
    if component["platform"] == "switch":
        assert text in {component.get("payload_on", "ON"), component.get("payload_off", "OFF")}
    elif text != UNKNOWN:
        if component.get("device_class") == "enum":
            assert text in component["options"]
        elif component.get("device_class") == "timestamp":
            assert datetime.fromisoformat(text).tzinfo is not None
        elif component.keys() & {"state_class", "unit_of_measurement"}:
            assert math.isfinite(float(text))
    return text


def check_attributes(payload: bytes) -> dict[str, Any]:
    """Return attributes; raises AssertionError if Home Assistant would not take or not keep them."""
    attributes = json.loads(payload.decode())
    assert isinstance(attributes, dict)
    assert len(payload) <= MOST_ATTRIBUTES
    return attributes


class HomeAssistantModel:
    """Home Assistant at a broker. `seen` has every message, in order; `kept` the last of each topic."""

    def __init__(self, client: aiomqtt.Client) -> None:
        self._client = client
        self.seen: list[tuple[str, bytes]] = []
        self.kept: dict[str, bytes] = {}

    async def listen(self) -> None:
        """Take note of everything, and reject what is not right, until cancelled."""
        async for message in self._client.messages:
            topic, payload = str(message.topic), bytes(message.payload)
            self.seen.append((topic, payload))
            self.kept[topic] = payload
            stop_if_cancelled()

    @property
    def components(self) -> dict[str, dict[str, Any]]:
        """The entities that were discovered, by key; empty before."""
        topics = [topic for topic in self.kept if topic.endswith("/config") and self.kept[topic]]
        return {key: each for topic in topics for key, each in check_discovery(topic, self.kept[topic]).items()}

    def state(self, key: str) -> str | None:
        """Return the state of an entity; None if there is none yet, ``unavailable`` if nobody is there."""
        component = self.components.get(key)
        if component is None:
            return None
        if self.kept.get(component["availability"]) != b"online":
            return "unavailable"
        payload = self.kept.get(component["state_topic"])
        return None if payload is None else check_state(component, payload)

    def attributes(self, key: str) -> dict[str, Any]:
        """Return the attributes of an entity."""
        return check_attributes(self.kept[self.components[key]["json_attributes_topic"]])

    async def shows(self, **states: str) -> None:
        """Wait until entities have these states."""

        def is_so() -> bool:
            return {key: self.state(key) for key in states} == states

        await wait_until(is_so, what=f"{states}")

    async def command(self, key: str, payload: bytes | str, *, retain: bool = False) -> None:
        """Publish to the command topic of an entity, as a switch or a button does."""
        await self.say(self.components[key]["command_topic"], payload, retain=retain)

    async def start_anew(self) -> None:
        """Say what Home Assistant says when it has started."""
        await self.say("homeassistant/status", "online")

    async def say(self, topic: str, payload: bytes | str, *, retain: bool = False) -> None:
        """Publish."""
        await self._client.publish(topic, payload, qos=1, retain=retain)

    def count(self, ending: str) -> int:
        """Return how many messages came on topics with this ending."""
        return sum(topic.endswith(ending) for topic, _ in self.seen)


@asynccontextmanager
async def home_assistant_at(broker: Mosquitto, **connection: Any) -> AsyncIterator[HomeAssistantModel]:
    """Connect to a broker."""
    async with aiomqtt.Client(broker.host, broker.port, **connection) as client:
        model = HomeAssistantModel(client)
        await client.subscribe("#", qos=1)
        task = asyncio.create_task(model.listen())
        try:
            yield model
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
