"""Drive meters, relays and power limits in the registers of Modbus devices, over TCP.

Nothing is believed that is not read back. Devices are asked one question after the other, and a device that does not
answer is the failure of its circuits alone.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from types import TracebackType
from typing import Annotated, Final, Literal, Self

import structlog
from pydantic import Field, model_validator

from openadr_client.clock import Clock
from ven.drivers.assignment import check_assignment
from ven.drivers.complaints import Complaints
from ven.drivers.interface import CircuitState
from ven.drivers.modbus_link import ModbusLink
from ven.drivers.modbus_registers import Register, Switch
from ven.drivers.options import DriverOptions, with_options
from ven.drivers.quantities import Implausible, energy_kwh, power_kw
from ven.errors import BadDriverOptions, DriverFailed
from ven.panel.circuits import BranchCircuit

_log = structlog.get_logger(__name__)

_NOTHING: Final = Decimal(0)
_LONGEST_EXPIRY_S: Final = 86_400
_QUESTIONS_LONG: Final = 3
"""Unanswered questions for which the circuits of one device may keep a reading waiting."""


class ModbusDevice(DriverOptions):
    """Name a device or a gateway: ``framing`` ``rtu`` is for gateways that pass on the frames of a serial line."""

    host: str = Field(min_length=1, max_length=255)
    port: int = Field(default=502, ge=1, le=65_535)
    framing: Literal["tcp", "rtu"] = "tcp"


class ModbusCircuit(DriverOptions):
    """Name the registers of a circuit at ``unit`` of ``device``.

    ``power`` and ``energy`` are read. ``switch`` is a relay. ``limit`` is a register for the most it may draw, and
    ``unlimited_kw`` (default: what the circuit is rated) its value without a limit. In ``expiry`` the device takes the
    seconds after which it ends a limit by itself.
    """

    device: str
    unit: int = Field(default=1, ge=0, le=255)
    power: Register | None = None
    energy: Register | None = None
    switch: Switch | None = None
    limit: Register | None = None
    unlimited_kw: Decimal | None = Field(default=None, gt=0, le=100_000)
    expiry: Register | None = None
    feeds_in: bool = False

    @model_validator(mode="after")
    def _fitting(self) -> Self:
        if self.power is None and self.switch is None and self.limit is None:
            raise ValueError("expected at least one of power, switch and limit")
        units = {"power": ("kW", "W"), "limit": ("kW", "W"), "energy": ("kWh", "Wh"), "expiry": ("s",)}
        for name, allowed in units.items():
            register: Register | None = getattr(self, name)
            if register is not None and register.unit not in allowed:
                raise ValueError(f"{name}: expected the unit {' or '.join(allowed)}, not {register.unit}")
        for name in ("limit", "expiry"):
            register = getattr(self, name)
            if register is not None and register.table != "holding":
                raise ValueError(f"{name}: expected a holding register, for others cannot be written")
        if self.expiry is not None and self.switch is None and self.limit is None:
            raise ValueError("expiry needs a switch or a limit that it ends")
        return self


class ModbusOptions(DriverOptions):
    """Name the devices, and for each circuit its registers.

    A device has ``answer_s`` real seconds for an answer. ``settle_s`` after a relay is off the circuit may not draw
    more than ``off_below_kw``.
    """

    devices: Annotated[dict[str, ModbusDevice], Field(min_length=1)]
    circuits: Annotated[dict[str, ModbusCircuit], Field(min_length=1)]
    answer_s: float = Field(default=1.0, gt=0, le=30)
    settle_s: float = Field(default=10.0, ge=0, le=3600)
    off_below_kw: Decimal = Field(default=Decimal("0.05"), ge=0, le=100)


class ModbusPoint:
    """Hold one circuit: its registers, and whether its limit is ours."""

    def __init__(self, circuit: BranchCircuit, options: ModbusCircuit, link: ModbusLink) -> None:
        self.circuit = circuit
        self.options = options
        self.link = link
        self.off_since: datetime | None = None
        self.failed = False

    @property
    def unlimited_kw(self) -> Decimal:
        """Return the value of the limit register that limits nothing."""
        circuit = self.circuit
        return self.options.unlimited_kw or (circuit.export_kw if circuit.limits_feed_in else circuit.rated_kw)

    async def number_in(self, register: Register) -> Decimal:
        """Read a register; raises DriverFailed or Implausible."""
        words = await self.link.read(register.table, register.address, register.count, unit=self.options.unit)
        return register.value(words)

    async def is_on(self) -> bool | None:
        """Read the relay, None if there is none; raises DriverFailed or Implausible."""
        switch = self.options.switch
        if switch is None:
            return None
        (word,) = await self.link.read(switch.table, switch.address, 1, unit=self.options.unit)
        if word not in {switch.on, switch.off}:
            raise Implausible(f"expected {switch.on} or {switch.off} as the switch, not {word}")
        return word == switch.on

    async def limit_kw(self) -> Decimal | None:
        """Read the limit that is in the device, None if it has none; raises DriverFailed or Implausible."""
        register = self.options.limit
        if register is None:
            return None
        kw = power_kw(await self.number_in(register), self.circuit, per_kw=register.per_kilo, feeds_in=True)
        return kw if kw < self.unlimited_kw else None

    async def set_switch(self, *, on: bool) -> None:
        """Move the relay and read it back; raises DriverFailed."""
        switch = self.options.switch
        if switch is None:
            return
        word = switch.on if on else switch.off
        await self.link.write(switch.table, switch.address, [word], unit=self.options.unit)
        if await self.is_on() is not on:
            raise DriverFailed(f"circuit {self.circuit.id}: its relay is still {'off' if on else 'on'}")

    async def set_number(self, register: Register, value: Decimal) -> None:
        """Write a register; raises DriverFailed or Implausible."""
        words = register.registers(value)
        await self.link.write(register.table, register.address, words, unit=self.options.unit)

    async def set_limit(self, kw: Decimal) -> None:
        """Write the limit register and read it back; raises DriverFailed or Implausible."""
        register = self.options.limit
        if register is None:
            return
        words = register.registers(kw * register.per_kilo)
        await self.link.write(register.table, register.address, words, unit=self.options.unit)
        found = await self.number_in(register)
        if found != register.value(words):
            raise DriverFailed(f"circuit {self.circuit.id}: the device keeps a limit of {found} {register.unit}")


class ModbusPanel:
    """Switch and measure the circuits of a home by the registers of its devices.

    The limit register of a circuit that is limited in what it feeds in is that of its inverter.
    """

    limits_feed_in = True

    def __init__(self, circuits: Sequence[BranchCircuit], options: ModbusOptions, clock: Clock) -> None:
        check_assignment("modbus", circuits, options.circuits)
        unknown = sorted({each.device for each in options.circuits.values()} - options.devices.keys())
        if unknown:
            raise BadDriverOptions(
                f"options of the driver 'modbus': circuits name the device {', '.join(unknown)}, "
                f"which is not in devices; expected {', '.join(options.devices)}"
            )
        for circuit in circuits:
            given = options.circuits[circuit.id]
            if circuit.limits_feed_in and given.switch is None and given.limit is None:
                raise BadDriverOptions(
                    f"options of the driver 'modbus': circuits.{circuit.id} has neither limit nor switch, and is to be "
                    "limited in what it feeds in (limits_feed_in)"
                )
        self._clock = clock
        self._answer_s = options.answer_s
        self._settle = timedelta(seconds=options.settle_s)
        self._off_below_kw = options.off_below_kw
        self._complaints = Complaints(_log)
        self._links = {
            name: ModbusLink(name, device.host, device.port, framing=device.framing, answer_s=options.answer_s)
            for name, device in options.devices.items()
        }
        self._points = {
            circuit.id: ModbusPoint(circuit, given, self._links[given.device])
            for circuit in circuits
            for given in (options.circuits[circuit.id],)
        }

    @property
    def enforces_expiry(self) -> bool:
        """Return True if each device that limits takes an expiry."""
        limiting = [
            p.options for p in self._points.values() if p.options.switch is not None or p.options.limit is not None
        ]
        return all(options.expiry is not None for options in limiting)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for link in self._links.values():
            link.close()

    async def read(self) -> Mapping[str, CircuitState]:
        """Return the state of the circuits whose devices answer."""
        by_link: dict[ModbusLink, list[ModbusPoint]] = {}
        for point in self._points.values():
            by_link.setdefault(point.link, []).append(point)
        found = await asyncio.gather(*(self._read_device(points) for points in by_link.values()))
        return {id_: state for states in found for id_, state in states.items()}

    async def limit(self, circuit_id: str, limit_kw: Decimal, *, expires_at: datetime) -> None:
        """Limit a circuit, or switch it off, and read back that it is so; raises DriverFailed."""
        point = self._point(circuit_id)
        options = point.options
        if options.switch is None and options.limit is None:
            raise DriverFailed(f"circuit {circuit_id} is only measured")
        if limit_kw > 0 and options.limit is None:
            raise DriverFailed(f"circuit {circuit_id} can only be switched off, not limited to {limit_kw} kW")
        try:
            if options.expiry is not None:
                left_s = math.ceil((expires_at - self._clock.now()).total_seconds())
                await point.set_number(options.expiry, Decimal(min(max(left_s, 1), _LONGEST_EXPIRY_S)))
            if options.limit is not None:
                await point.set_limit(min(limit_kw, point.unlimited_kw))
            if options.switch is not None and (limit_kw == 0 or await point.is_on() is False):
                await point.set_switch(on=limit_kw > 0)
        except Implausible as error:
            raise DriverFailed(f"circuit {circuit_id}: {error}") from error
        if options.switch is not None:
            point.off_since = None if limit_kw > 0 else point.off_since or self._clock.now()
        if point.off_since is not None and options.power is not None:
            state = await self._read(point)
            if state is not None and state.limit_kw is None:
                raise DriverFailed(f"circuit {circuit_id}: {self._lie(point, state.power_kw)}")

    async def release(self, circuit_id: str, *, switch_on: bool) -> None:
        """End the limit of a circuit; raises DriverFailed."""
        point = self._point(circuit_id)
        try:
            if point.options.limit is not None and await point.limit_kw() is not None:
                await point.set_limit(point.unlimited_kw)
            if point.options.switch is not None and switch_on and await point.is_on() is False:
                await point.set_switch(on=True)
            if point.options.expiry is not None:
                await point.set_number(point.options.expiry, _NOTHING)
        except Implausible as error:
            raise DriverFailed(f"circuit {circuit_id}: {error}") from error
        point.off_since = None

    async def _read_device(self, points: Sequence[ModbusPoint]) -> dict[str, CircuitState]:
        """Read the circuits at one device; those that failed last time come last, so that they take no other's time."""
        states: dict[str, CircuitState] = {}
        try:
            async with asyncio.timeout(_QUESTIONS_LONG * self._answer_s):
                for point in sorted(points, key=lambda point: point.failed):
                    state = await self._read(point)
                    if state is not None:
                        states[point.circuit.id] = state
        except TimeoutError:
            for point in points:
                if point.circuit.id not in states:
                    self._complaints.say(point.circuit.id, point.options.device, "there was no time left to read it")
        return states

    async def _read(self, point: ModbusPoint) -> CircuitState | None:
        options, id_ = point.options, point.circuit.id
        point.failed = True
        try:
            is_on, limit_kw = await point.is_on(), await point.limit_kw()
            power, counter, problem = await self._measured(point)
        except (DriverFailed, Implausible) as error:
            self._complaints.say(id_, options.device, str(error))
            return None
        point.failed = False
        if is_on is not False:
            point.off_since = None
        lie = self._lie(point, power)
        if lie or problem:
            self._complaints.say(id_, options.device, lie or problem or "")
        else:
            self._complaints.clear(id_)
        if lie is not None:
            return CircuitState(power_kw=power, energy_kwh=counter)
        limit_kw = _NOTHING if point.off_since is not None else limit_kw
        return CircuitState(power_kw=power, limit_kw=limit_kw, is_on=is_on, energy_kwh=counter)

    async def _measured(self, point: ModbusPoint) -> tuple[Decimal | None, Decimal | None, str | None]:
        """Return power, counter, and what is wrong with one of them: that leaves the switch as it was read."""
        power, energy = point.options.power, point.options.energy
        kw = kwh = problem = None
        try:
            if energy is not None:
                kwh = energy_kwh(await point.number_in(energy), per_kwh=energy.per_kilo)
            if power is not None:
                value = await point.number_in(power)
                kw = power_kw(value, point.circuit, per_kw=power.per_kilo, feeds_in=point.options.feeds_in)
        except Implausible as error:
            problem = str(error)
        return kw, kwh, problem

    def _lie(self, point: ModbusPoint, power: Decimal | None) -> str | None:
        if point.off_since is None or power is None or abs(power) <= self._off_below_kw:
            return None
        if self._clock.now() < point.off_since + self._settle:
            return None
        return f"its relay says that it is off, and it draws {power} kW"

    def _point(self, circuit_id: str) -> ModbusPoint:
        if circuit_id not in self._points:
            raise DriverFailed(f"there are no registers for a circuit {circuit_id}")
        return self._points[circuit_id]


create = with_options("modbus", ModbusOptions, ModbusPanel)
