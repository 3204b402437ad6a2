"""Write the messages that Home Assistant's MQTT integration understands, and read its commands. No I/O.

One retained message describes the device with all entities (discovery by device, Home Assistant 2024.12 and newer).
Every entity has a topic of its own for its state, retained, and some have one for attributes, in JSON. Whatever a VTN
or an owner has written is cut to a bounded length: Home Assistant keeps no attributes of more than 16 KiB.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

from openadr_profiles.v31 import format_instant
from ven.home_assistant.overview import Overview, ShownEvent, ShownPrice, VenState

ONLINE: Final = b"online"
_OFFLINE: Final = b"offline"
_UNKNOWN: Final = "None"
"""Tell what the integration reads as "unknown", of any sensor."""
_ORIGIN: Final = "OpenADR Fleet"
_LONGEST_PROBLEM: Final = 200
_LONGEST_SUMMARY: Final = 100
_LONGEST_REASON: Final = 120
_LONGEST_NAME: Final = 60
_LONGEST_LABEL: Final = 40
_HUNDREDTH: Final = Decimal("0.01")
_MILLIONTH: Final = Decimal("0.000001")
_MEASURED: Final = ("power", "shed")

_POWER: Final = {"device_class": "power", "unit_of_measurement": "kW", "suggested_display_precision": 2}
_ENTITIES: Final[Mapping[str, Mapping[str, Any]]] = {
    "state": {
        "platform": "sensor",
        "name": "State",
        "device_class": "enum",
        "options": [str(each) for each in VenState],
        "icon": "mdi:transmission-tower",
    },
    "next_event": {"platform": "sensor", "name": "Next event", "device_class": "timestamp"},
    "power": {"platform": "sensor", "name": "Power", "state_class": "measurement", **_POWER},
    "shed": {"platform": "sensor", "name": "Shed", "state_class": "measurement", **_POWER},
    "limit": {"platform": "sensor", "name": "Limit", **_POWER},
    "price": {"platform": "sensor", "name": "Price", "state_class": "measurement", "icon": "mdi:cash"},
    "next_price": {"platform": "sensor", "name": "Next price", "icon": "mdi:cash-clock"},
    "participate": {"platform": "switch", "name": "Participate", "icon": "mdi:handshake"},
    "restore": {"platform": "button", "name": "Restore", "icon": "mdi:restore"},
}
_PRICES: Final = ("price", "next_price")
_WITH_ATTRIBUTES: Final = ("state", "next_event", "limit", "price", "next_price")


class HomeCommand(StrEnum):
    """Name what Home Assistant can ask for."""

    PARTICIPATE = "participate"
    ABSTAIN = "abstain"
    RESTORE = "restore"


_COMMANDS: Final[Mapping[str, Mapping[bytes, HomeCommand]]] = {
    "participate": {b"ON": HomeCommand.PARTICIPATE, b"OFF": HomeCommand.ABSTAIN},
    "restore": {b"PRESS": HomeCommand.RESTORE},
}


@dataclass(frozen=True)
class ShownDevice:
    """Hold how a VEN appears: the name for people, where discovery and its own topics begin, and its version."""

    ven_name: str
    name: str
    discovery_prefix: str
    state_prefix: str
    version: str

    @property
    def id(self) -> str:
        """Return the id, made of the characters that are allowed in it; names that differ have ids that differ."""
        plain = re.sub(r"[^a-zA-Z0-9_-]+", "_", self.ven_name)
        if plain == self.ven_name:
            return plain
        return f"{plain[:64]}_{hashlib.sha256(self.ven_name.encode()).hexdigest()[:8]}"

    @property
    def config_topic(self) -> str:
        """Return the topic of the message that describes the device."""
        return f"{self.discovery_prefix}/device/openadr_{self.id}/config"

    @property
    def birth_topic(self) -> str:
        """Return the topic on which Home Assistant says ``online`` when it has started."""
        return f"{self.discovery_prefix}/status"

    @property
    def availability(self) -> str:
        """Return the topic that says whether the VEN is there."""
        return self.topic("availability")

    @property
    def will(self) -> tuple[str, bytes]:
        """Return topic and payload of what the broker says for us when we are gone."""
        return self.availability, _OFFLINE

    @property
    def command_topics(self) -> list[str]:
        """Return the topics on which Home Assistant commands."""
        return [self.topic(key, "set") for key in _COMMANDS]

    def topic(self, *names: str) -> str:
        """Return one of the device's own topics."""
        return "/".join((self.state_prefix, self.id, *names))

    def is_measured(self, topic: str) -> bool:
        """Return True if a topic tells a measured value, which changes all the time."""
        return topic in {self.topic(key) for key in _MEASURED}

    def command(self, topic: str, payload: bytes) -> HomeCommand:
        """Return what a message commands; raises ValueError saying what was expected, not what came."""
        for key, known in _COMMANDS.items():
            if topic == self.topic(key, "set"):
                if payload in known:
                    return known[payload]
                expected = " or ".join(each.decode() for each in known)
                raise ValueError(f"expected {expected}, got something else")
        raise ValueError("a topic that is none of ours")


def messages(device: ShownDevice, overview: Overview, currency: str | None) -> dict[str, bytes]:
    """Return all messages that the broker has to keep, in the order to publish them: that we are there comes last.

    ``currency`` is that of prices (three letters), None if it is not known.
    """
    config = {device.config_topic: _json(_config(device, currency))}
    states = {device.topic(key): text.encode() for key, text in _states(overview).items()}
    attributes = {device.topic(key, "attributes"): _json(each) for key, each in _attributes(overview).items()}
    return config | attributes | states | {device.availability: ONLINE}


def currency_of(price: ShownPrice | None) -> str | None:
    """Return the currency of a price if it is one: three letters."""
    text = price.currency if price is not None else None
    return text.upper() if text is not None and re.fullmatch("[A-Za-z]{3}", text) else None


def _config(device: ShownDevice, currency: str | None) -> dict[str, Any]:
    return {
        "device": {
            "identifiers": [f"openadr_{device.id}"],
            "name": device.name,
            "manufacturer": _ORIGIN,
            "model": "OpenADR 3 VEN",
            "sw_version": device.version,
        },
        "origin": {"name": _ORIGIN, "sw_version": device.version},
        "components": {key: _component(device, key, currency) for key in _ENTITIES},
        "availability_topic": device.availability,
    }


def _component(device: ShownDevice, key: str, currency: str | None) -> dict[str, Any]:
    component = {**_ENTITIES[key], "unique_id": f"openadr_{device.id}_{key}"}
    if component["platform"] != "button":
        component["state_topic"] = device.topic(key)
    if key in _COMMANDS:
        component["command_topic"] = device.topic(key, "set")
    if key in _WITH_ATTRIBUTES:
        component["json_attributes_topic"] = device.topic(key, "attributes")
    if key in _PRICES and currency is not None:
        component["unit_of_measurement"] = f"{currency}/kWh"
    return component


def _states(overview: Overview) -> dict[str, str]:
    return {
        "state": str(overview.state),
        "next_event": _instant(overview.next_start) or _UNKNOWN,
        "power": _kw(overview.power_kw),
        "shed": _kw(overview.shed_kw),
        "limit": _kw(overview.limit_kw),
        "price": _price(overview.price),
        "next_price": _price(overview.next_price),
        "participate": "ON" if overview.participates else "OFF",
    }


def _attributes(overview: Overview) -> dict[str, dict[str, Any]]:
    coming = next((each for each in overview.events if each.start == overview.next_start), None)
    return {
        "state": {"problems": [_short(each, _LONGEST_PROBLEM) for each in overview.problems]},
        "next_event": {
            **(_event(coming) if coming is not None else {}),
            "events": [_event(each) for each in overview.events],
        },
        "limit": {
            "circuits": [
                {
                    "name": _short(each.name, _LONGEST_LABEL),
                    "limit_kw": float(each.limit_kw),
                    "limits_feed_in": each.limits_feed_in,
                }
                for each in overview.limits
            ]
        },
        "price": _when(overview.price),
        "next_price": _when(overview.next_price),
    }


def _event(event: ShownEvent) -> dict[str, Any]:
    """Return an event with the members of a calendar's, and with our decision."""
    described = [f"Program: {_short(event.program_name, _LONGEST_NAME)}"] if event.program_name else []
    decided = "takes part" if event.opted_in else "opted out"
    described.append(f"{decided}: {_short(event.reason, _LONGEST_REASON)}" if event.reason else decided)
    return {
        "summary": _short(event.summary, _LONGEST_SUMMARY),
        "description": "; ".join(described),
        "start": _instant(event.start),
        "end": _instant(event.end),
        "opted_in": event.opted_in,
    }


def _when(price: ShownPrice | None) -> dict[str, Any]:
    if price is None:
        return {}
    return {"start": _instant(price.start), "end": _instant(price.end)}


def _price(price: ShownPrice | None) -> str:
    return _UNKNOWN if price is None else f"{price.per_kwh.quantize(_MILLIONTH).normalize():f}"


def _kw(kw: Decimal | None) -> str:
    return _UNKNOWN if kw is None else f"{kw.quantize(_HUNDREDTH) + 0:f}"


def _instant(at: datetime | None) -> str | None:
    return None if at is None else format_instant(at)


def _short(text: str, longest: int) -> str:
    """Return a text of somebody else on one line, and not too much of it."""
    cut = text if len(text) <= longest else f"{text[: longest - 1]}…"
    return "".join(each if each.isprintable() else " " for each in cut)


def _json(content: object) -> bytes:
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")


class Published:
    """Hold what the broker has, and find what it has to be told; measured values alone only every ``measured_s``."""

    def __init__(self, device: ShownDevice, *, measured_s: float) -> None:
        self._device = device
        self._measured_s = measured_s
        self._there: dict[str, bytes] = {}
        self._next_s = 0.0

    def forget(self) -> None:
        """Have everything published again."""
        self._there.clear()

    def due(self, wanted: Mapping[str, bytes], at_s: float) -> dict[str, bytes]:
        """Return what differs from what the broker has; ``at_s`` is the time by a clock that is never set."""
        news = {topic: payload for topic, payload in wanted.items() if self._there.get(topic) != payload}
        if at_s < self._next_s and all(self._device.is_measured(topic) for topic in news):
            return {}
        if news:
            self._next_s = at_s + self._measured_s
        return news

    def put(self, topic: str, payload: bytes) -> None:
        """Take note of what the broker has taken."""
        self._there[topic] = payload
