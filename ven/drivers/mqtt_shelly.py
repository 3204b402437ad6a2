"""Speak with Shelly: JSON-RPC for the second and later generations, plain topics for the first.

A switch of a later generation undoes an order by itself (``toggle_after``). One of the first generation does not when
it is told by MQTT.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any, Final, Literal

from pydantic import Field

from ven.drivers.mqtt_devices import WATT, DeviceOptions, Heard, Order, RelayDevice, measured, switch_word
from ven.drivers.quantities import Implausible, number, object_of, text_of
from ven.panel.circuits import BranchCircuit

_BY_HAND: Final = frozenset({"button", "switch", "input", "ui", "ws_in", "http", "http_in", "shc", "ble", "local"})
"""Hold what ``source`` of a switch says when a person moved it: at the device, in its app or on its page."""
_METERS: Final = {
    "switch": ("Switch", "apower"),
    "pm1": ("PM1", "apower"),
    "em": ("EM", "total_act_power"),
    "em1": ("EM1", "act_power"),
}
"""For each kind of component the methods' prefix and the member with the power in W."""
_WATT_MINUTES: Final = Decimal(60_000)


class ShellyOptions(DeviceOptions):
    """Name a Shelly of generation 2 or later by its MQTT prefix, and the component (as ``switch:0``) of the circuit."""

    device: Literal["shelly"]
    component: Literal["switch", "pm1", "em", "em1"] = "switch"
    channel: int = Field(default=0, ge=0, le=31)

    def device_for(self, circuit: BranchCircuit, *, client_id: str) -> RelayDevice:
        """Return what knows the device."""
        return Shelly(circuit, self, client_id)


class Shelly:
    """Know one component of a Shelly of generation 2 or later. Answers to our questions have a topic of our own."""

    def __init__(self, circuit: BranchCircuit, options: ShellyOptions, client_id: str) -> None:
        self._circuit = circuit
        self._options = options
        self.label = f"shelly {options.topic}"
        self.can_switch = options.component == "switch"
        self.ends_limits = self.can_switch
        self.unfit: str | None = None
        self._source = f"openadr/{client_id}/{options.topic}/{options.component}-{options.channel}"
        self._answers = f"{self._source}/rpc"
        self._online = f"{options.topic}/online"
        self._status = f"{options.topic}/status/{options.component}:{options.channel}"
        self.filters: tuple[str, ...] = (self._answers, self._online, self._status)
        self._numbers = itertools.count(1)
        self._namespace, self._power = _METERS[options.component]

    def ask(self) -> Sequence[Order]:
        """Return the question for the component's status."""
        return [self._call("GetStatus", {})]

    def switch(self, *, on: bool, for_s: int | None = None) -> Sequence[Order]:
        """Return the order to switch; without ``for_s`` a timer that still runs ends."""
        timer = {} if for_s is None else {"toggle_after": for_s}
        return [self._call("Set", {"on": on, **timer})]

    def hear(self, topic: str, payload: bytes, *, retained: bool) -> Heard | None:
        """Return what a message tells; raises Implausible."""
        if topic == self._online:
            return Heard(is_there=text_of(payload) == "true")
        if retained:
            return None
        found = object_of(payload)
        if topic == self._status:
            return self._state(found)
        error = found.get("error")
        if isinstance(error, dict):
            return Heard(refusal=f"{error.get('message')} ({error.get('code')})"[:100])
        result = found.get("result")
        if not isinstance(result, dict):
            raise Implausible("expected an answer with a result")
        return Heard(done=True) if "was_on" in result else replace(self._state(result), answers=True)

    def _state(self, found: Mapping[str, Any]) -> Heard:
        output = found.get("output")
        if self.can_switch and not isinstance(output, bool):
            raise Implausible("expected true or false as output")
        energy = found.get("aenergy")
        total = energy.get("total") if isinstance(energy, dict) else None
        left = found.get("timer_duration")
        return replace(
            measured(self._circuit, self._options, power=found.get(self._power), energy=total),
            is_on=output if self.can_switch else None,
            taken_over=str(found.get("source")).lower() in _BY_HAND,
            left_s=Decimal(0) if left is None else number(left),
        )

    def _call(self, method: str, params: Mapping[str, Any]) -> Order:
        call = {
            "id": next(self._numbers),
            "src": self._source,
            "method": f"{self._namespace}.{method}",
            "params": {"id": self._options.channel, **params},
        }
        return Order(f"{self._options.topic}/rpc", json.dumps(call))


class ShellyGen1Options(DeviceOptions):
    """Name a Shelly of the first generation by its id (``shelly1pm-BA1936``), and the relay or meter of the circuit."""

    device: Literal["shelly-gen1"]
    component: Literal["relay", "emeter"] = "relay"
    channel: int = Field(default=0, ge=0, le=31)

    def device_for(self, circuit: BranchCircuit, *, client_id: str) -> RelayDevice:
        """Return what knows the device."""
        return ShellyGen1(circuit, self)


class ShellyGen1:
    """Know one relay or meter of a Shelly of the first generation."""

    ends_limits = False
    unfit: str | None = None

    def __init__(self, circuit: BranchCircuit, options: ShellyGen1Options) -> None:
        self._circuit = circuit
        self._options = options
        self.label = f"shelly {options.topic}"
        self.can_switch = options.component == "relay"
        root = f"shellies/{options.topic}"
        self._orders = f"{root}/command"
        self._online = f"{root}/online"
        self._own = f"{root}/{options.component}/{options.channel}"
        self._power = f"{self._own}/power"
        self._energy, self._per_kwh = (
            (f"{self._own}/energy", _WATT_MINUTES) if self.can_switch else (f"{self._own}/total", WATT)
        )
        measured = (self._power, self._energy) if options.meter else ()
        self.filters: tuple[str, ...] = (self._online, *measured, *((self._own,) if self.can_switch else ()))

    def ask(self) -> Sequence[Order]:
        """Return the order to tell everything again."""
        return [Order(self._orders, "update")]

    def switch(self, *, on: bool, for_s: int | None = None) -> Sequence[Order]:
        """Return the order to switch."""
        return [Order(f"{self._own}/command", "on" if on else "off")]

    def hear(self, topic: str, payload: bytes, *, retained: bool) -> Heard | None:
        """Return what a message tells; raises Implausible."""
        text = text_of(payload)
        if topic == self._online:
            return Heard(is_there=text == "true")
        if retained:
            return None
        if topic == self._power:
            return measured(self._circuit, self._options, power=text)
        if topic == self._energy:
            return measured(self._circuit, self._options, energy=text, per_kwh=self._per_kwh)
        return Heard(is_on=False if text == "overpower" else switch_word(text), answers=True)
