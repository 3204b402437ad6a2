"""Ask one Modbus device or gateway, one question after the other, over a connection that is made when it is needed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Sequence
from typing import Final, Literal

from openadr_client.errors import LibraryMissing
from ven.errors import DriverFailed

try:
    from pymodbus import FramerType, ModbusException
    from pymodbus.client import AsyncModbusTcpClient
    from pymodbus.pdu import ModbusPDU
except ModuleNotFoundError as missing:
    raise LibraryMissing(
        f"Modbus needs the library {missing.name}: install it with  pip install 'openadr-fleet[modbus]'",
        name=missing.name,
    ) from missing

logging.getLogger("pymodbus.logging").setLevel(logging.CRITICAL)  # what fails is an error of ours, said once

_FRAMERS: Final = {"tcp": FramerType.SOCKET, "rtu": FramerType.RTU}


class ModbusLink:
    """Hold the connection to a device; whatever goes wrong with a question closes it, for the next to begin anew."""

    def __init__(
        self, name: str, host: str, port: int, *, framing: Literal["tcp", "rtu"] = "tcp", answer_s: float
    ) -> None:
        self._name = f"{name} ({host}:{port})"
        self._host = host
        self._port = port
        self._framing = framing
        self._answer_s = answer_s
        self._client: AsyncModbusTcpClient | None = None
        self._turn = asyncio.Lock()

    async def read(
        self, table: Literal["coil", "holding", "input"], address: int, count: int, *, unit: int
    ) -> Sequence[int]:
        """Return registers, or a coil as 0 or 1; raises DriverFailed."""
        async with self._turn:
            client = await self._connected()
            if table == "coil":
                answer = await self._answer(client.read_coils(address, count=count, device_id=unit))
                return [int(bit) for bit in answer.bits[:count]]
            ask = client.read_holding_registers if table == "holding" else client.read_input_registers
            answer = await self._answer(ask(address, count=count, device_id=unit))
            return list(answer.registers)

    async def write(
        self, table: Literal["coil", "holding", "input"], address: int, words: Sequence[int], *, unit: int
    ) -> None:
        """Write registers, or a coil; raises DriverFailed."""
        async with self._turn:
            client = await self._connected()
            if table == "coil":
                await self._answer(client.write_coil(address, bool(words[0]), device_id=unit))
            elif len(words) == 1:  # many relays know only this one
                await self._answer(client.write_register(address, words[0], device_id=unit))
            else:
                await self._answer(client.write_registers(address, list(words), device_id=unit))

    def close(self) -> None:
        """Close the connection, if there is one."""
        client, self._client = self._client, None
        if client is not None:
            client.close()

    async def _connected(self) -> AsyncModbusTcpClient:
        if self._client is None or not self._client.connected:
            self.close()
            client = AsyncModbusTcpClient(
                self._host,
                port=self._port,
                framer=_FRAMERS[self._framing],
                timeout=self._answer_s,
                retries=0,
                reconnect_delay=0,
            )
            self._client = client
            try:
                is_connected = await client.connect()
            except BaseException:
                self.close()
                raise
            if not is_connected:
                self.close()
                raise DriverFailed(f"the device {self._name} cannot be reached")
        return self._client

    async def _answer(self, question: Awaitable[ModbusPDU]) -> ModbusPDU:
        """Return an answer that is none of the device's errors; raises DriverFailed."""
        try:
            answer = await question
        except (ModbusException, OSError) as error:
            self.close()
            raise DriverFailed(f"the device {self._name} does not answer: {str(error)[:100]}") from error
        except BaseException:
            self.close()  # a late answer must not be taken for that of the next question
            raise
        if answer.isError():
            raise DriverFailed(f"the device {self._name} refuses: {str(answer)[:100]}")
        return answer
