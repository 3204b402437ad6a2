"""Describe the registers of a Modbus device: where a value is, how it is encoded, and in which unit. No I/O."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from decimal import ROUND_FLOOR, Decimal
from typing import Final, Literal, Self

from pydantic import Field, model_validator

from ven.drivers.options import DriverOptions
from ven.drivers.quantities import Implausible, number

_ENCODINGS: Final = {
    "int16": "h",
    "uint16": "H",
    "int32": "i",
    "uint32": "I",
    "int64": "q",
    "uint64": "Q",
    "float32": "f",
    "float64": "d",
}
_PER_KILO: Final = {"kW": Decimal(1), "W": Decimal(1000), "kWh": Decimal(1), "Wh": Decimal(1000)}


class Register(DriverOptions):
    """Say where a number is: ``address`` counts from 0, as in the message; a table that begins at 40001 is 1 less.

    The value is the number in the registers times ``scale``, in ``unit``. In ``little`` word order the lowest 16 bits
    come first.
    """

    address: int = Field(ge=0, le=65_535)
    table: Literal["holding", "input"] = "holding"
    type: Literal["int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64"] = "uint16"
    word_order: Literal["big", "little"] = "big"
    scale: Decimal = Decimal(1)
    unit: Literal["kW", "W", "kWh", "Wh", "s"] = "W"

    @model_validator(mode="after")
    def _usable(self) -> Self:
        if not self.scale.is_finite() or not 0 < abs(self.scale) <= 10**6:
            raise ValueError("expected a scale other than 0, at most 1000000")
        if self.address + self.count > 65_536:
            raise ValueError(f"{self.type} at {self.address} ends beyond the last register")
        return self

    @property
    def count(self) -> int:
        """Return how many registers the number takes."""
        return struct.calcsize(f">{_ENCODINGS[self.type]}") // 2

    @property
    def per_kilo(self) -> Decimal:
        """Return how many of its units are a kW or kWh."""
        return _PER_KILO[self.unit]

    def value(self, registers: Sequence[int]) -> Decimal:
        """Return the number in registers, in the unit; raises Implausible."""
        if len(registers) != self.count:
            raise Implausible(f"expected {self.count} registers, not {len(registers)}")
        words = registers if self.word_order == "big" else registers[::-1]
        packed = b"".join(word.to_bytes(2, "big") for word in words)
        (found,) = struct.unpack(f">{_ENCODINGS[self.type]}", packed)
        return number(found) * self.scale

    def registers(self, value: Decimal) -> list[int]:
        """Return the registers for a value in the unit, rounded down to what they can hold; raises Implausible."""
        scaled = value / self.scale
        whole = self.type not in {"float32", "float64"}
        try:
            packed = struct.pack(
                f">{_ENCODINGS[self.type]}", int(scaled.to_integral_value(ROUND_FLOOR)) if whole else float(scaled)
            )
        except (struct.error, OverflowError) as error:
            raise Implausible(f"{value} {self.unit} does not fit into {self.type} at {self.address}") from error
        words = [int.from_bytes(packed[place : place + 2], "big") for place in range(0, len(packed), 2)]
        return words if self.word_order == "big" else words[::-1]


class Switch(DriverOptions):
    """Say where a relay is: a coil, or a holding register with a value for on and one for off."""

    address: int = Field(ge=0, le=65_535)
    table: Literal["coil", "holding"] = "coil"
    on: int = Field(default=1, ge=0, le=65_535)
    off: int = Field(default=0, ge=0, le=65_535)

    @model_validator(mode="after")
    def _different(self) -> Self:
        if self.on == self.off:
            raise ValueError("on and off are the same value")
        if self.table == "coil" and {self.on, self.off} != {0, 1}:
            raise ValueError("expected 0 and 1 as on and off of a coil")
        return self
