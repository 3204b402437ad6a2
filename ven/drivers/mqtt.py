"""Drive relays and meters that speak MQTT: Tasmota, Shelly and Zigbee2MQTT, each circuit at a device of its own.

What a device acknowledges is not believed: after each order it is asked for its state, and a device that says it is
off and goes on drawing power is found out. A device that fails is the failure of its circuit alone.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from types import TracebackType
from typing import Annotated, Final, Self

import structlog
from pydantic import Field

from openadr_client import Clock, Received
from ven.drivers.assignment import check_assignment
from ven.drivers.complaints import Complaints
from ven.drivers.interface import CircuitState
from ven.drivers.mqtt_devices import Heard
from ven.drivers.mqtt_link import HomeLink
from ven.drivers.mqtt_relay import Relay
from ven.drivers.mqtt_shelly import ShellyGen1Options, ShellyOptions
from ven.drivers.mqtt_tasmota import TasmotaOptions
from ven.drivers.mqtt_zigbee import Zigbee2MqttOptions
from ven.drivers.options import DriverOptions, with_options
from ven.drivers.quantities import Implausible
from ven.errors import BadDriverOptions, DriverFailed
from ven.home_broker import HomeBroker
from ven.panel.circuits import BranchCircuit

_log = structlog.get_logger(__name__)

_LONGEST_TIMER_S: Final = 86_400

AnyDevice = Annotated[
    TasmotaOptions | ShellyOptions | ShellyGen1Options | Zigbee2MqttOptions, Field(discriminator="device")
]


class MqttOptions(DriverOptions):
    """Name the broker, and for each circuit its device.

    A device that has told nothing for ``refresh_s`` is asked; what it told is believed for ``stale_s``. It has
    ``answer_s`` real seconds for an answer. ``settle_s`` after it said that it is off it may not draw more than
    ``off_below_kw``.
    """

    broker: HomeBroker = Field(default_factory=lambda: HomeBroker.model_validate({}))
    circuits: dict[str, AnyDevice] = Field(min_length=1)
    refresh_s: float = Field(default=10.0, ge=0, le=3600)
    stale_s: float = Field(default=60.0, gt=0, le=3600)
    answer_s: float = Field(default=2.0, gt=0, le=30)
    settle_s: float = Field(default=10.0, ge=0, le=3600)
    off_below_kw: Decimal = Field(default=Decimal("0.05"), ge=0, le=100)


class MqttRelays:
    """Switch and measure the circuits of a home through its MQTT broker."""

    limits_feed_in = True

    def __init__(self, circuits: Sequence[BranchCircuit], options: MqttOptions, clock: Clock) -> None:
        check_assignment("mqtt", circuits, options.circuits)
        self._clock = clock
        self._refresh = timedelta(seconds=options.refresh_s)
        self._answer_s = options.answer_s
        self._complaints = Complaints(_log)
        self._relays = {circuit.id: self._relay_for(circuit, options) for circuit in circuits}
        self._by_topic: dict[str, list[Relay]] = {}
        for relay in self._relays.values():
            for topic in relay.device.filters:
                self._by_topic.setdefault(topic, []).append(relay)
        self._link = HomeLink(options.broker, clock, filters=self._by_topic, take=self._hear)

    @property
    def enforces_expiry(self) -> bool:
        """Return True if each device that can be switched ends its limits by itself."""
        devices = [relay.device for relay in self._relays.values()]
        return all(device.ends_limits for device in devices if device.can_switch)

    async def __aenter__(self) -> Self:
        await self._link.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._link.__aexit__(kind, error, trace)

    async def read(self) -> Mapping[str, CircuitState]:
        """Return the state of the circuits whose devices are there; raises DriverFailed without a broker."""
        if not self._link.is_connected:
            raise DriverFailed(f"there is no connection to the broker {self._link.url}")
        now = self._clock.now()
        due = [relay for relay in self._relays.values() if relay.is_due(now, self._refresh)]
        marks = [(relay, relay.mark()) for relay in due]
        await asyncio.gather(*(self._link.send(relay.device.ask()) for relay in due), return_exceptions=True)
        awaited = [(relay, mark) for relay, mark in marks if relay.answers]
        await self._link.until(
            lambda: all(relay.told_all_since(mark) for relay, mark in awaited), within_s=self._answer_s
        )
        for relay, mark in marks:
            relay.answers = relay.told_all_since(mark)
        return self._states()

    async def limit(self, circuit_id: str, limit_kw: Decimal, *, expires_at: datetime) -> None:
        """Switch a circuit off until `expires_at`; raises DriverFailed."""
        relay = self._relay(circuit_id)
        device = relay.device
        if not device.can_switch:
            raise DriverFailed(f"circuit {circuit_id}: {device.label} only measures")
        if limit_kw != 0:
            raise DriverFailed(
                f"circuit {circuit_id}: {device.label} can only be switched off, not limited to {limit_kw} kW"
            )
        if device.unfit is not None:
            await self._link.send(device.ask())
            await self._link.until(lambda: device.unfit is None, within_s=self._answer_s)
        if device.unfit is not None:
            raise DriverFailed(f"circuit {circuit_id}: {device.label} is not switched off, for {device.unfit}")
        if device.ends_limits or not relay.is_limited:
            left_s = math.ceil((expires_at - self._clock.now()).total_seconds())
            relay.ordered_off()
            await self._switch(
                relay, on=False, for_s=min(max(left_s, 1), _LONGEST_TIMER_S) if device.ends_limits else None
            )
        if (lie := relay.lie(self._clock.now())) is not None:
            raise DriverFailed(f"circuit {circuit_id}: {device.label}: {lie}")

    async def release(self, circuit_id: str, *, switch_on: bool) -> None:
        """Switch a circuit on again, or leave it off without a timer; raises DriverFailed."""
        relay = self._relay(circuit_id)
        now = self._clock.now()
        is_ours = relay.is_limited
        if switch_on and relay.device.can_switch and not (relay.is_known(now) and relay.is_on):
            await self._switch(relay, on=True)
        elif not switch_on and is_ours and relay.device.ends_limits:
            await self._switch(relay, on=False)
        relay.forget_limit()

    async def _switch(self, relay: Relay, *, on: bool, for_s: int | None = None) -> None:
        """Give an order, wait until it is taken, then ask for the state: an acknowledgment alone proves nothing."""
        device, mark = relay.device, relay.mark()
        what = f"circuit {relay.id}: {device.label}"
        await self._link.send(device.switch(on=on, for_s=for_s))
        await self._link.until(
            lambda: relay.told_switch_since(mark, on=on) or relay.took_order_since(mark), within_s=self._answer_s
        )
        if relay.took_order_since(mark) and relay.refusal is not None:
            raise DriverFailed(f"{what} refuses to switch {_word(on)}: {relay.refusal}")
        asked = relay.mark()
        await self._link.send(device.ask())
        is_so = await self._link.until(
            lambda: relay.has_answered_since(asked) and relay.is_on is on, within_s=self._answer_s
        )
        if not is_so:
            answered = relay.has_answered_since(asked)
            raise DriverFailed(f"{what} {f'is still {_word(not on)}' if answered else 'does not answer'}")
        if for_s is not None and not relay.has_timer_since(mark):
            await self._link.send(device.switch(on=True))
            raise DriverFailed(f"{what} does not switch on again by itself, as it should; it is left on")

    def _states(self) -> dict[str, CircuitState]:
        now = self._clock.now()
        states = {}
        for id_, relay in self._relays.items():
            state = relay.state(now)
            if state is not None:
                states[id_] = state
            problem = relay.lie(now) or (None if state is not None else self._why_unknown(relay))
            if problem is not None:
                self._complaints.say(id_, relay.device.label, problem)
            elif not relay.problem:
                self._complaints.clear(id_)
        return states

    @staticmethod
    def _why_unknown(relay: Relay) -> str:
        return "it is not connected to the broker" if relay.is_there is False else "it does not answer"

    def _hear(self, message: Received) -> None:
        for relay in self._by_topic.get(message.topic, ()):
            try:
                told = relay.device.hear(message.topic, message.payload, retained=message.retained)
            except Implausible as error:
                told = Heard(problem=str(error))
            if told is not None:
                relay.note(told, self._clock.now())
                if told.problem is not None:
                    self._complaints.say(relay.id, relay.device.label, told.problem)

    def _relay(self, circuit_id: str) -> Relay:
        if circuit_id not in self._relays:
            raise DriverFailed(f"there is no device for a circuit {circuit_id}")
        return self._relays[circuit_id]

    @staticmethod
    def _relay_for(circuit: BranchCircuit, options: MqttOptions) -> Relay:
        given = options.circuits[circuit.id]
        device = given.device_for(circuit, client_id=options.broker.client_id)
        if circuit.limits_feed_in and not (circuit.on_off and device.can_switch):
            raise BadDriverOptions(
                f"driver 'mqtt': circuit {circuit.id} is to be limited in what it feeds in (limits_feed_in): "
                "give it on_off = true, and a device that can be switched"
            )
        return Relay(
            circuit,
            device,
            meter=given.meter,
            stale=timedelta(seconds=options.stale_s),
            settle=timedelta(seconds=options.settle_s),
            off_below_kw=options.off_below_kw,
        )


def _word(on: bool) -> str:
    return "on" if on else "off"


create = with_options("mqtt", MqttOptions, MqttRelays)
