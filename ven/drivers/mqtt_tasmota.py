"""Speak with Tasmota: commands at ``cmnd/…``, answers at ``stat/…``, telemetry at ``tele/…``.

Tasmota has no command that switches on again after a while: PulseTime is a lasting setting that would also undo what
the owner does. A rule of the owner can do it (``RuleTimer``), and only with one does this device end limits itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any, Final, Literal

from pydantic import Field, field_validator

from ven.drivers.mqtt_devices import DeviceOptions, Heard, Order, RelayDevice, measured, switch_word
from ven.drivers.quantities import number, object_of, text_of
from ven.panel.circuits import BranchCircuit

_STATUS_SENSORS: Final = "10"
_STATUS_STATE: Final = "11"
_LONGEST_RULE: Final = 2048


class TasmotaOptions(DeviceOptions):
    """Name a Tasmota device by its ``topic``, and which of its relays the circuit is at.

    ``expiry_timer`` is the number of a RuleTimer at whose end the rule ``expiry_rule`` of the device switches the relay
    on again. The owner puts the rule there: ``Rule1 ON Rules#Timer=1 DO Power1 1 ENDON`` and ``Rule1 1``.
    """

    device: Literal["tasmota"]
    channel: int = Field(default=1, ge=1, le=32)
    full_topic: str = Field(default="%prefix%/%topic%/", max_length=100)
    expiry_timer: int | None = Field(default=None, ge=1, le=8)
    expiry_rule: int = Field(default=1, ge=1, le=3)

    @field_validator("full_topic")
    @classmethod
    def _has_both(cls, text: str) -> str:
        if "%prefix%" not in text or "%topic%" not in text:
            raise ValueError("expected the device's FullTopic, with %prefix% and %topic% in it")
        return text if text.endswith("/") else f"{text}/"

    def device_for(self, circuit: BranchCircuit, *, client_id: str) -> RelayDevice:
        """Return what knows the device."""
        return Tasmota(circuit, self)


class Tasmota:
    """Know one relay of a Tasmota device."""

    can_switch = True

    def __init__(self, circuit: BranchCircuit, options: TasmotaOptions) -> None:
        self._circuit = circuit
        self._options = options
        self.label = f"tasmota {options.topic}"
        self.ends_limits = options.expiry_timer is not None
        self.unfit = "it has not told yet whether it has the rule" if self.ends_limits else None
        self._lwt = self._topic("tele", "LWT")
        self._power = self._topic("stat", f"POWER{options.channel}")
        self._plain = self._topic("stat", "POWER") if options.channel == 1 else self._power
        bodies = ("RESULT", f"STATUS{_STATUS_SENSORS}", f"STATUS{_STATUS_STATE}")
        self.filters = (
            self._lwt,
            *dict.fromkeys((self._plain, self._power)),
            *(self._topic("stat", body) for body in bodies),
            self._topic("tele", "STATE"),
            self._topic("tele", "SENSOR"),
        )

    def ask(self) -> Sequence[Order]:
        """Return commands that make the device tell what it measures, and then its relays."""
        command = self._topic("cmnd", "STATUS")
        rule = [Order(self._topic("cmnd", f"Rule{self._options.expiry_rule}"), "")] if self.unfit else []
        sensors = [Order(command, _STATUS_SENSORS)] if self._options.meter else []
        return [*rule, *sensors, Order(command, _STATUS_STATE)]

    def switch(self, *, on: bool, for_s: int | None = None) -> Sequence[Order]:
        """Return commands that set the timer of the rule, if there is one, and then switch."""
        power = Order(self._topic("cmnd", f"POWER{self._options.channel}"), "ON" if on else "OFF")
        if self._options.expiry_timer is None:
            return [power]
        timer = self._topic("cmnd", f"RuleTimer{self._options.expiry_timer}")
        return [Order(timer, str(0 if on or for_s is None else for_s)), power]

    def hear(self, topic: str, payload: bytes, *, retained: bool) -> Heard | None:
        """Return what a message tells; raises Implausible."""
        if topic == self._lwt:
            return Heard(is_there=text_of(payload) == "Online")
        if retained:
            return None
        if topic in {self._power, self._plain}:
            return Heard(is_on=switch_word(text_of(payload)))
        found = object_of(payload)
        is_answer = "StatusSTS" in found
        for wrapper in ("StatusSNS", "StatusSTS"):
            inner = found.get(wrapper)
            found = inner if isinstance(inner, dict) else found
        self._look_at_rule(found)
        told = replace(self._state(found), answers=is_answer)
        return told if told != Heard() else None

    def _state(self, found: Mapping[str, Any]) -> Heard:
        channel, timer = self._options.channel, self._options.expiry_timer
        word = found.get(f"POWER{channel}", found.get("POWER") if channel == 1 else None)
        left = found.get(f"T{timer}") if timer is not None else None
        refusal = "the device does not know this command" if found.get("Command") == "Unknown" else None
        energy = found.get("ENERGY")
        told = self._measured(energy) if isinstance(energy, dict) else Heard()
        return replace(
            told,
            is_on=None if word is None else switch_word(word),
            left_s=None if left is None else number(left),
            refusal=refusal,
        )

    def _look_at_rule(self, found: Mapping[str, Any]) -> None:
        """Note whether the rule that ends limits is there; newer versions put what they tell of it into an object."""
        told = found.get(f"Rule{self._options.expiry_rule}")
        if told is None or self._options.expiry_timer is None:
            return
        state, text = (told.get("State"), told.get("Rules")) if isinstance(told, dict) else (told, found.get("Rules"))
        relay = "1?" if self._options.channel == 1 else str(self._options.channel)
        wanted = rf"on\s+rules#timer={self._options.expiry_timer}\s+do\s+power{relay}\s+(1|on)\b"
        is_there = state == "ON" and isinstance(text, str) and re.search(wanted, text[:_LONGEST_RULE], re.IGNORECASE)
        self.unfit = None if is_there else self._missing_rule()

    def _missing_rule(self) -> str:
        rule, timer, channel = self._options.expiry_rule, self._options.expiry_timer, self._options.channel
        return (
            f"it has no rule that switches on again: enter  Rule{rule} ON Rules#Timer={timer} DO Power{channel} 1 ENDON"
            f"  and  Rule{rule} 1  in its console, or leave out expiry_timer"
        )

    def _measured(self, energy: Mapping[str, Any]) -> Heard:
        power, total = self._of_channel(energy.get("Power")), self._of_channel(energy.get("Total"))
        return measured(self._circuit, self._options, power=power, energy=total, per_kwh=Decimal(1))

    def _of_channel(self, value: object) -> object:
        """Return the value of our channel: a device that measures several relays gives a list."""
        if not isinstance(value, list):
            return value
        return value[self._options.channel - 1] if len(value) >= self._options.channel else None

    def _topic(self, prefix: str, name: str) -> str:
        filled = self._options.full_topic.replace("%prefix%", prefix).replace("%topic%", self._options.topic)
        return f"{filled}{name}"
