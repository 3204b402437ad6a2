"""Speak with Zigbee2MQTT: the state of a device is one JSON object at ``zigbee2mqtt/<name>``.

No order that is common to Zigbee plugs switches on again after a while, so such a device ends no limit by itself.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Literal

from pydantic import Field

from ven.drivers.mqtt_devices import DeviceOptions, Heard, Order, RelayDevice, measured, switch_word
from ven.drivers.quantities import object_of, text_of
from ven.panel.circuits import BranchCircuit


class Zigbee2MqttOptions(DeviceOptions):
    """Name a device by its whole topic, as ``zigbee2mqtt/Kitchen plug``; ``endpoint`` is one of several switches."""

    device: Literal["zigbee2mqtt"]
    endpoint: str | None = Field(default=None, pattern=r"^[A-Za-z0-9_]{1,20}$")

    def device_for(self, circuit: BranchCircuit, *, client_id: str) -> RelayDevice:
        """Return what knows the device."""
        return Zigbee2Mqtt(circuit, self)


class Zigbee2Mqtt:
    """Know one switch of a Zigbee device behind Zigbee2MQTT."""

    can_switch = True
    ends_limits = False
    unfit: str | None = None

    def __init__(self, circuit: BranchCircuit, options: Zigbee2MqttOptions) -> None:
        self._circuit = circuit
        self._options = options
        self.label = f"zigbee2mqtt {options.topic}"
        suffix = "" if options.endpoint is None else f"_{options.endpoint}"
        self._state, self._power, self._energy = (f"{name}{suffix}" for name in ("state", "power", "energy"))
        self._availability = f"{options.topic}/availability"
        self.filters: tuple[str, ...] = (options.topic, self._availability)

    def ask(self) -> Sequence[Order]:
        """Return the orders to read the power and then the switch from the device."""
        names = [self._power, self._state] if self._options.meter else [self._state]
        return [Order(f"{self._options.topic}/get", json.dumps({name: ""})) for name in names]

    def switch(self, *, on: bool, for_s: int | None = None) -> Sequence[Order]:
        """Return the order to switch."""
        return [Order(f"{self._options.topic}/set", json.dumps({self._state: "ON" if on else "OFF"}))]

    def hear(self, topic: str, payload: bytes, *, retained: bool) -> Heard | None:
        """Return what a message tells; raises Implausible."""
        if topic == self._availability:
            text = text_of(payload)  # older versions write the bare word
            return Heard(is_there=(object_of(payload).get("state") if text.startswith("{") else text) == "online")
        if retained:
            return None
        found = object_of(payload)
        state = found.get(self._state)
        power, energy = found.get(self._power), found.get(self._energy)
        return replace(
            measured(self._circuit, self._options, power=power, energy=energy, per_kwh=Decimal(1)),
            is_on=None if state is None else switch_word(state),
            answers=state is not None,
        )
