"""Model Modbus devices of a home with pymodbus' own server: relays with loads behind them, meters and power limits."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from pymodbus.constants import ExcCodes
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from bench.support.net import free_port

COIL, POWER, ENERGY, LIMIT, EXPIRY = 0, 10, 12, 20, 30
REGISTERS = 40


def words(format_: str, value: float, *, little: bool = False) -> list[int]:
    """The 16-bit words of a number."""
    packed = struct.pack(f">{format_}", value)
    found = [int.from_bytes(packed[place : place + 2], "big") for place in range(0, len(packed), 2)]
    return found[::-1] if little else found


@dataclass
class ModbusModel:
    """One unit: a coil, a meter in the input registers (float32, W; uint32, Wh), a limit (int16, W) and its expiry (s).

    `welded`: the relay does not open. `stubborn`: it takes writes and changes nothing. `mute`: it does not answer.
    `power` replaces the words of its power.
    """

    unit: int
    wants_w: float = 2000.0
    unlimited_w: int = 7200
    is_on: bool = True
    limit_w: int = 7200
    expiry_s: int = 0
    welded: bool = False
    stubborn: bool = False
    mute: bool = False
    power: list[int] | None = None
    written: list[tuple[int, int]] = field(default_factory=list)

    def drawn_w(self) -> float:
        """Return what it draws."""
        return min(self.wants_w, self.limit_w) if self.is_on or self.welded else 0.0

    def pass_time(self, seconds: float) -> None:
        """Let its expiry run."""
        if self.expiry_s:
            self.expiry_s = max(self.expiry_s - int(seconds), 0)
            if not self.expiry_s:
                self.is_on, self.limit_w = True, self.unlimited_w

    async def act(
        self,
        function_code: int,
        start: int,
        address: int,
        count: int,
        current: list[int],
        values: list[int] | list[bool] | None,
    ) -> ExcCodes | None:
        """Answer a request of the server."""
        if self.mute:
            await asyncio.Event().wait()  # for ever
        if values is not None:
            self.written.append((function_code, address))
            if self.stubborn:
                values[:] = self._now(function_code)[address : address + len(values)]  # type: ignore[assignment] # the library names fewer types than it takes
            elif function_code == 5:
                self.is_on = bool(values[0])
            elif address == LIMIT:
                self.limit_w = int(values[0])
            elif address == EXPIRY:
                self.expiry_s = int(values[0])
        else:
            current[:] = self._now(function_code)
        return None

    def _now(self, function_code: int) -> list[int]:
        if function_code in {1, 5}:
            return [int(self.is_on)]
        registers = [0] * REGISTERS
        registers[POWER : POWER + 2] = self.power or words("f", self.drawn_w())
        registers[ENERGY : ENERGY + 2] = words("I", 123_456)
        registers[LIMIT] = self.limit_w
        registers[EXPIRY] = self.expiry_s
        return registers

    def device(self) -> SimDevice:
        """Return what the server is given."""
        registers = [SimData(0, count=REGISTERS, values=0, datatype=DataType.REGISTERS)]
        coils = [SimData(0, values=[True] * 16, datatype=DataType.BITS)]
        return SimDevice(self.unit, (coils, coils, registers, registers), action=self.act)


@asynccontextmanager
async def modbus_home(models: Sequence[ModbusModel], port: int | None = None) -> AsyncIterator[int]:
    """Serve these units; gives the port."""
    port = port or free_port()
    server = ModbusTcpServer([model.device() for model in models], address=("127.0.0.1", port))
    await server.listen()
    try:
        yield port
    finally:
        await server.shutdown()  # type: ignore[no-untyped-call] # pymodbus leaves it without types
