"""Read prices, greenhouse gas and alerts as levels, by thresholds of the owner: the standard gives them no power.

Rules without I/O.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from openadr_profiles.fleet.numbers import PayloadNotUnderstood, number, shown
from openadr_profiles.v31 import EventPayloadType, Unit, Value

PRICE: Final = EventPayloadType.PRICE.value
GHG: Final = EventPayloadType.GHG.value

ALERTS: Final = tuple(each.value for each in EventPayloadType if each.startswith("ALERT_"))
"""The types of alerts (ENUM-001)."""

ALERT_LEVELS: Final[Mapping[str, int]] = {
    EventPayloadType.ALERT_GRID_EMERGENCY.value: 3,
    EventPayloadType.ALERT_BLACK_START.value: 3,
    EventPayloadType.ALERT_FLEX_ALERT.value: 1,
}
"""The alerts during which devices should use less, by the standard; the others only inform."""

_PER_KWH: Final[Mapping[str, Decimal]] = {"KWH": Decimal(1), "MWH": Decimal("0.001"), "WH": Decimal(1000)}
"""Prices per kWh of one price per each unit of energy."""
_GRAMS: Final = frozenset({Unit.GHG.value, "G/KWH"})
_MOST: Final = Decimal(10) ** 9


@dataclass(frozen=True)
class Thresholds:
    """Hold what asks for level 1, 2 and 3 (as of SIMPLE): the price per kWh, and g/kWh, from which on each is asked.

    ``prices`` and ``ghg`` rise, have three members at most, and ask for nothing if they are empty. ``currency`` is that
    of the prices; None: whatever currency comes. ``alerts`` are the levels (0 to 3) of types of alerts.
    """

    prices: Sequence[Decimal] = ()
    currency: str | None = None
    ghg: Sequence[Decimal] = ()
    alerts: Mapping[str, int] = field(default_factory=dict)

    def why_not(self, payload_type: str) -> str | None:
        """Return why a payload of these types asks for nothing, None if it can."""
        if payload_type == PRICE:
            return None if self.prices else "no threshold for prices is set"
        if payload_type == GHG:
            return None if self.ghg else "no threshold for greenhouse gas is set"
        return None if self.alerts.get(payload_type, 0) else "such an alert asks for nothing here"

    def level(self, payload_type: str, value: Value, units: str | None, currency: str | None) -> int:
        """Return the level (0 to 3) that a value asks for; raises PayloadNotUnderstood."""
        if payload_type == PRICE:
            return _reached(self.prices, self._price(value, units, currency))
        if payload_type == GHG:
            return _reached(self.ghg, _grams(value, units))
        return self.alerts.get(payload_type, 0)

    def _price(self, value: Value, units: str | None, currency: str | None) -> Decimal:
        per_kwh = price_per_kwh(value, units)
        if self.currency and currency and currency.upper() != self.currency.upper():
            raise PayloadNotUnderstood(
                f"PRICE in {shown(currency, quoted=False)}: the thresholds for prices are in {self.currency}"
            )
        return per_kwh


NO_THRESHOLDS: Final = Thresholds()
"""Prices, greenhouse gas and alerts ask for nothing."""


def price_per_kwh(value: Value, units: str | None) -> Decimal:
    """Return a price per kWh of one per ``units`` (None: KWH); raises PayloadNotUnderstood."""
    factor = _PER_KWH.get((units or Unit.KWH).upper())
    if factor is None:
        raise PayloadNotUnderstood(f"PRICE per {shown(units, quoted=False)}: only KWH, MWH and WH are understood")
    return _bounded(PRICE, value) * factor


def _grams(value: Value, units: str | None) -> Decimal:
    if (units or Unit.GHG).upper() not in _GRAMS:
        raise PayloadNotUnderstood(f"GHG in {shown(units, quoted=False)}: only GHG (g/kWh) is understood")
    return _bounded(GHG, value)


def _bounded(payload_type: str, value: Value) -> Decimal:
    found = number(payload_type, value)
    if abs(found) > _MOST:
        raise PayloadNotUnderstood(f"{payload_type} has the value {shown(value)}: expected at most {_MOST:,}")
    return found


def _reached(thresholds: Sequence[Decimal], value: Decimal) -> int:
    return sum(value >= each for each in thresholds)
