"""Read the state of charge that an event asks of storage: a battery, or a car while it is plugged in. No I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from openadr_profiles.fleet.numbers import PayloadNotUnderstood, first, number, shown
from openadr_profiles.v31 import EventPayloadType, Unit, Value

CHARGE: Final = EventPayloadType.CHARGE_STATE_SETPOINT.value

_KWH_PER: Final[Mapping[str, Decimal]] = {"KWH": Decimal(1), "WH": Decimal("0.001"), "MWH": Decimal(1000)}
PERCENT: Final = frozenset({Unit.PERCENT.value, "PERCENTAGE"})
"""The names of the unit of parts of a whole (ENUM-008)."""
_MOST_KWH: Final = Decimal(10) ** 9
_ALL: Final = Decimal(1)


@dataclass(frozen=True)
class ChargeSetpoint:
    """Hold a state of charge to be reached: a ``share`` of the capacity (0 to 1), or so many ``kwh`` all together."""

    share: Decimal | None = None
    kwh: Decimal | None = None

    def share_of(self, capacity_kwh: Decimal) -> Decimal:
        """Return the share of the capacity (0 to 1) that storage of so many kWh should have."""
        if self.share is not None:
            return self.share
        return min((self.kwh or Decimal(0)) / capacity_kwh, _ALL) if capacity_kwh > 0 else _ALL


def charge_setpoint(values: Sequence[Value], units: str | None) -> ChargeSetpoint:
    """Return what a CHARGE_STATE_SETPOINT asks for; PERCENT is 0 to 1, and above 1 is read as 0 to 100 (ENUM-009).

    Raises:
        PayloadNotUnderstood: no value, no number, out of range, or units other than PERCENT and KWH, WH, MWH.
    """
    value = first(CHARGE, values)
    found, named = number(CHARGE, value), (units or "").upper()
    if named in PERCENT:
        share = found if found <= 1 else found / 100
        if not 0 <= share <= 1:
            raise PayloadNotUnderstood(f"{CHARGE} has the value {shown(value)}: expected 0 to 1, or up to 100, PERCENT")
        return ChargeSetpoint(share=share)
    if named not in _KWH_PER:
        which = f"in {shown(units, quoted=False)}" if units else "without units"
        raise PayloadNotUnderstood(f"{CHARGE} {which}: only PERCENT, KWH, WH and MWH are understood")
    kwh = found * _KWH_PER[named]
    if not 0 <= kwh <= _MOST_KWH:
        raise PayloadNotUnderstood(f"{CHARGE} has the value {shown(value)}: expected 0 to {_MOST_KWH:,} kWh")
    return ChargeSetpoint(kwh=kwh)
