"""Describe chargers of electric vehicles: their options, and what they say. No I/O.

A current below 6 A cannot be signalled to a car (IEC 61851-1): a lower limit pauses the charger.
"""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from ven.drivers.mqtt_devices import WATT, Topic
from ven.drivers.options import DriverOptions
from ven.drivers.quantities import Implausible, energy_kwh, number, object_of, power_kw, text_of
from ven.panel.circuits import BranchCircuit

LEAST_A: Final = 6
GOE_KEYS: Final = ("amp", "frc", "nrg", "eto")
"""Keys of a go-e charger: current set, forced state (0 neutral, 1 off, 2 on), measured values, total energy in Wh."""
_GOE_TOTAL_POWER: Final = 11


@dataclass(frozen=True, slots=True)
class ChargerNews:
    """Hold what a charger says; None is "nothing of it". ``word`` is its state in its own words."""

    current_a: Decimal | None = None
    word: str | None = None
    power_kw: Decimal | None = None
    energy_kwh: Decimal | None = None
    soc_percent: Decimal | None = None
    problem: str | None = None


class ChargerOptions(DriverOptions):
    """Be the base of a charger's options.

    It charges on ``phases`` at ``voltage_v`` each, with at most ``max_current_a``. ``normal_current_a`` is what it is
    set to after a limit, if the VEN does not remember what it was before.
    """

    phases: int = Field(default=3, ge=1, le=3)
    voltage_v: Decimal = Field(default=Decimal(230), ge=100, le=300)
    max_current_a: int = Field(default=16, ge=LEAST_A, le=80)
    normal_current_a: int | None = Field(default=None, ge=LEAST_A, le=80)
    capacity_kwh: Decimal | None = Field(default=None, gt=0, le=10_000)

    @model_validator(mode="after")
    def _within(self) -> Self:
        if self.normal_current_a is not None and self.normal_current_a > self.max_current_a:
            raise ValueError("normal_current_a is more than max_current_a")
        return self

    @property
    def normal_a(self) -> int:
        """Return the current in A without a limit."""
        return self.normal_current_a or self.max_current_a

    @property
    def words(self) -> tuple[str, str]:
        """Return the charger's words for charging and for pausing."""
        return "0", "1"

    def kw(self, current_a: Decimal) -> Decimal:
        """Return the power in kW at a current."""
        return current_a * self.voltage_v * self.phases / WATT

    def amperes(self, kw: Decimal) -> int:
        """Return the largest whole current in A that draws no more, 0 if that is below 6 A."""
        current_a = min(int(kw * WATT / (self.voltage_v * self.phases)), self.max_current_a)
        return current_a if current_a >= LEAST_A else 0


class GoeHttpOptions(ChargerOptions):
    """Name a go-e charger by its address; its local HTTP API v2 must be switched on in its app."""

    charger: Literal["go-e-http"]
    url: str = Field(max_length=200)

    @field_validator("url")
    @classmethod
    def _address(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or "@" in parts.netloc:
            raise ValueError("expected the charger's address, as http://192.168.1.40")
        return url.rstrip("/")


class MqttChargerOptions(ChargerOptions):
    """Be the base of chargers by MQTT; ``soc_topic`` tells how full the battery is in percent, whoever publishes it."""

    soc_topic: Topic | None = None

    @property
    @abstractmethod
    def filters(self) -> tuple[str, ...]:
        """Return the topics to subscribe to."""

    @abstractmethod
    def order(self, *, current_a: int | None, word: str | None) -> dict[str, str]:
        """Return the payloads that set current and state, by topic."""

    def hear(self, circuit: BranchCircuit, topic: str, payload: bytes) -> ChargerNews:
        """Return what a message tells; raises Implausible."""
        if topic == self.soc_topic:
            percent = number(text_of(payload))
            if not 0 <= percent <= 100:
                raise Implausible(f"expected a percentage, not {str(percent)[:20]}")
            return ChargerNews(soc_percent=percent)
        return self.hear_own(circuit, topic, payload)

    @abstractmethod
    def hear_own(self, circuit: BranchCircuit, topic: str, payload: bytes) -> ChargerNews:
        """Return what a message of the charger itself tells; raises Implausible."""


class GoeMqttOptions(MqttChargerOptions):
    """Name a go-e charger by its topic, as ``go-eCharger/222819``; writing by MQTT must be allowed in its app."""

    charger: Literal["go-e-mqtt"]
    topic: Topic

    @property
    def filters(self) -> tuple[str, ...]:
        """Return its topics, among them the time since its start, which it tells every second."""
        soc = () if self.soc_topic is None else (self.soc_topic,)
        return (*(f"{self.topic}/{key}" for key in (*GOE_KEYS, "rbt")), *soc)

    def order(self, *, current_a: int | None, word: str | None) -> dict[str, str]:
        """Return the payloads that set current and state."""
        wanted = {"amp": current_a, "frc": word}
        return {f"{self.topic}/{key}/set": str(value) for key, value in wanted.items() if value is not None}

    def hear_own(self, circuit: BranchCircuit, topic: str, payload: bytes) -> ChargerNews:
        """Return what a message of the charger tells; raises Implausible."""
        key = topic.rpartition("/")[2]
        if key not in GOE_KEYS:
            return ChargerNews()
        try:
            found = object_of(f'{{"{key}": {text_of(payload)}}}'.encode())
        except Implausible as error:
            if key == "nrg":  # what it measured before is no measurement of now
                return ChargerNews(problem=str(error))
            raise
        return goe_news(circuit, found)


class TopicChargerOptions(MqttChargerOptions):
    """Name the topics of any charger: current in A and power in W as plain numbers, its state as one of its words."""

    charger: Literal["mqtt"]
    current_topic: Topic
    set_current_topic: Topic
    state_topic: Topic
    set_state_topic: Topic
    power_topic: Topic | None = None
    on: str = Field(default="on", min_length=1, max_length=50)
    off: str = Field(default="off", min_length=1, max_length=50)

    @property
    def filters(self) -> tuple[str, ...]:
        """Return its topics."""
        topics = (self.current_topic, self.state_topic, self.power_topic, self.soc_topic)
        return tuple(topic for topic in topics if topic is not None)

    @property
    def words(self) -> tuple[str, str]:
        """Return the charger's words for charging and for pausing."""
        return self.on, self.off

    def order(self, *, current_a: int | None, word: str | None) -> dict[str, str]:
        """Return the payloads that set current and state."""
        wanted = {self.set_current_topic: current_a, self.set_state_topic: word}
        return {topic: str(value) for topic, value in wanted.items() if value is not None}

    def hear_own(self, circuit: BranchCircuit, topic: str, payload: bytes) -> ChargerNews:
        """Return what a message of the charger tells; raises Implausible."""
        text = text_of(payload)
        if topic == self.current_topic:
            return ChargerNews(current_a=_current(text))
        if topic == self.state_topic:
            return ChargerNews(word=text[:50])
        return _measured(circuit, text, None)


def goe_news(circuit: BranchCircuit, found: Mapping[str, Any]) -> ChargerNews:
    """Return what keys of a go-e charger tell; raises Implausible."""
    force, measured = found.get("frc"), found.get("nrg")
    if force is not None and (isinstance(force, bool) or force not in {0, 1, 2}):
        raise Implausible(f"expected 0, 1 or 2 as frc, not {json.dumps(force)[:20]}")
    power = measured[_GOE_TOTAL_POWER] if isinstance(measured, list) and len(measured) > _GOE_TOTAL_POWER else None
    news = _measured(circuit, power, found.get("eto"))
    current = found.get("amp")
    return ChargerNews(
        current_a=None if current is None else _current(current),
        word=None if force is None else str(force),
        power_kw=news.power_kw,
        energy_kwh=news.energy_kwh,
        problem=news.problem,
    )


def _current(value: object) -> Decimal:
    current_a = number(value)
    if not 0 <= current_a <= 100:
        raise Implausible(f"expected a current from 0 to 100 A, not {str(current_a)[:20]}")
    return current_a


def _measured(circuit: BranchCircuit, power: object, energy: object) -> ChargerNews:
    """Return power in W and counter in Wh; one that cannot be is a problem and leaves the rest as it is."""
    try:
        return ChargerNews(
            power_kw=None if power is None else power_kw(power, circuit, per_kw=WATT, feeds_in=False),
            energy_kwh=None if energy is None else energy_kwh(energy, per_kwh=WATT),
        )
    except Implausible as error:
        return ChargerNews(problem=str(error))
