"""Units of values: those of OpenADR 2.0b (a base unit and an SI scale) as those of OpenADR 3, and the factor between.

OpenADR 3 has kilo units only. What it has no unit for keeps the name of its 2.0b element after ``OADR20B_``, and its
values are in the base unit (requirements 4.1, B-RPT-021).
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from msgspec import Struct

from openadr_profiles.v20b.messages.common import ItemBase
from openadr_profiles.v31.vocabulary import Unit

PRIVATE: Final = "OADR20B_"
SCALES: Final = {
    "p": Decimal("1e-12"),
    "n": Decimal("1e-9"),
    "micro": Decimal("1e-6"),
    "m": Decimal("1e-3"),
    "c": Decimal("1e-2"),
    "d": Decimal("1e-1"),
    "none": Decimal(1),
    "k": Decimal("1e3"),
    "M": Decimal("1e6"),
    "G": Decimal("1e9"),
    "T": Decimal("1e12"),
}
"""SI scale codes of the schema, and what a value is to be multiplied with."""

_KILO: Final = Decimal("1e-3")
_UNITS: Final = {
    "powerReal": (Unit.KW, _KILO),
    "powerApparent": (Unit.KVA, _KILO),
    "powerReactive": (Unit.KVAR, _KILO),
    "energyReal": (Unit.KWH, _KILO),
    "energyApparent": (Unit.KVAH, _KILO),
    "energyReactive": (Unit.KVARH, _KILO),
    "voltage": (Unit.VOLTS, Decimal(1)),
    "current": (Unit.AMPS, Decimal(1)),
    "Therm": (Unit.THERMS, Decimal(1)),
}
_TEMPERATURES: Final = {"celsius": Unit.CELSIUS, "fahrenheit": Unit.FAHRENHEIT}


class CoreUnit(Struct, frozen=True):
    """A unit of OpenADR 3 (None: values have none), and the factor from a 2.0b value to one in it."""

    unit: str | None
    factor: Decimal = Decimal(1)

    @property
    def is_private(self) -> bool:
        """True if OpenADR 3 has no such unit."""
        return self.unit is not None and self.unit.startswith(PRIVATE)

    def to_core(self, value: float) -> float:
        """Return a value of 2.0b in this unit. The digits that were sent are multiplied, so 12.3 W are 0.0123 kW."""
        return float(Decimal(repr(value)) * self.factor)

    def from_core(self, value: float) -> float:
        """Return a value in this unit as 2.0b has it."""
        return float(Decimal(repr(value)) / self.factor)


def core_unit(base: ItemBase | None) -> CoreUnit:
    """Return the unit of OpenADR 3 for one of 2.0b."""
    if base is None:
        return CoreUnit(None)
    scale = SCALES.get(base.scale or "none", Decimal(1))
    if base.name in _UNITS:
        unit, factor = _UNITS[base.name]
        return CoreUnit(unit.value, factor * scale)
    if base.name == "temperature" and base.units in _TEMPERATURES:
        return CoreUnit(_TEMPERATURES[base.units].value, scale)
    if base.name.startswith("currency"):
        return CoreUnit(f"{PRIVATE}{base.name}_{base.units}", scale)
    return CoreUnit(f"{PRIVATE}{base.units or base.name}"[:128], scale)
