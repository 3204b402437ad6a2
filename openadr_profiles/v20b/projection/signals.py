"""Say which signal of 2.0b a payload type of OpenADR 3 becomes: name, type, unit, and allowed values (4.1)."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from openadr_profiles.v20b.messages.common import ItemBase
from openadr_profiles.v20b.projection.losses import Loss, LossKind
from openadr_profiles.v20b.projection.policy import PREFIX, Policy20b
from openadr_profiles.v20b.projection.units import ENERGY, POWER, currency_per, item_base
from openadr_profiles.v31 import EventPayloadDescriptor, EventPayloadType, Unit, Value
from openadr_profiles.v31.descriptors import ProgramPayloadDescriptor

Descriptor = EventPayloadDescriptor | ProgramPayloadDescriptor
SIMPLE: Final = "SIMPLE"
LEVEL: Final = "level"
TEST_EVENT: Final = f"{PREFIX}TEST_EVENT"
"""Private payload: true makes the event a test (B-EVT-021)."""

_NONE: Final[frozenset[str]] = frozenset()
_TEMPERATURE: Final = frozenset({Unit.CELSIUS.value, Unit.FAHRENHEIT.value})


@dataclass(frozen=True, slots=True)
class SignalForm:
    """The form of a payload type: ``units`` are those it may have, ``priced`` says that they are per currency.

    ``needs_units`` refuses values whose units nobody states; ``default_units`` stand where the standard implies them.
    ``reduces`` says of a value that it asks for less load, so that a VEN that knows SIMPLE only is to act; None: none
    does. A setpoint does not say whether it is less than what the load would be.
    """

    name: str
    type: str
    units: frozenset[str] = _NONE
    priced: bool = False
    needs_units: bool = False
    default_units: str | None = None
    reduces: Callable[[float], bool] | None = None
    check: Callable[[float], bool] = math.isfinite
    expected: str = "a number"


def _integer(low: int, high: int) -> Callable[[float], bool]:
    return lambda value: value == int(value) and low <= value <= high


def _negative(value: float) -> bool:
    return value < 0


def _less_than_all(value: float) -> bool:
    return value < 1


def _priced(name: str, type_: str, *units: Unit) -> SignalForm:
    """Return the form of a price per one of these units, the first if none is stated."""
    return SignalForm(name, type_, units=frozenset(units), priced=True, default_units=units[0])


FORMS: Final[dict[str, SignalForm]] = {
    EventPayloadType.SIMPLE: SignalForm(SIMPLE, LEVEL, check=_integer(0, 3), expected="0, 1, 2 or 3"),
    EventPayloadType.PRICE: _priced("ELECTRICITY_PRICE", "price", Unit.KWH),
    EventPayloadType.PRICE_ALTERNATE: _priced("ENERGY_PRICE", "price", Unit.KWH, Unit.THERMS),
    f"{PREFIX}PRICE_RELATIVE": _priced("ELECTRICITY_PRICE", "priceRelative", Unit.KWH),
    f"{PREFIX}PRICE_MULTIPLIER": SignalForm("ELECTRICITY_PRICE", "priceMultiplier"),
    f"{PREFIX}ENERGY_PRICE_RELATIVE": _priced("ENERGY_PRICE", "priceRelative", Unit.KWH, Unit.THERMS),
    f"{PREFIX}ENERGY_PRICE_MULTIPLIER": SignalForm("ENERGY_PRICE", "priceMultiplier"),
    f"{PREFIX}DEMAND_CHARGE": _priced("DEMAND_CHARGE", "price", Unit.KW),
    f"{PREFIX}DEMAND_CHARGE_RELATIVE": _priced("DEMAND_CHARGE", "priceRelative", Unit.KW),
    f"{PREFIX}DEMAND_CHARGE_MULTIPLIER": SignalForm("DEMAND_CHARGE", "priceMultiplier"),
    f"{PREFIX}BID_PRICE": _priced("BID_PRICE", "price", Unit.KWH, Unit.KW),
    f"{PREFIX}BID_LOAD": SignalForm("BID_LOAD", "setpoint", units=POWER, needs_units=True),
    f"{PREFIX}BID_ENERGY": SignalForm("BID_ENERGY", "setpoint", units=ENERGY, needs_units=True),
    EventPayloadType.CHARGE_STATE_SETPOINT: SignalForm(
        "CHARGE_STATE", "setpoint", units=ENERGY | {Unit.PERCENT.value}, needs_units=True
    ),
    f"{PREFIX}CHARGE_STATE_DELTA": SignalForm("CHARGE_STATE", "delta", units=ENERGY, needs_units=True),
    f"{PREFIX}CHARGE_STATE_MULTIPLIER": SignalForm("CHARGE_STATE", "multiplier"),
    EventPayloadType.DISPATCH_SETPOINT: SignalForm("LOAD_DISPATCH", "setpoint", units=POWER, needs_units=True),
    EventPayloadType.DISPATCH_SETPOINT_RELATIVE: SignalForm(
        "LOAD_DISPATCH", "delta", units=POWER, needs_units=True, reduces=_negative
    ),
    f"{PREFIX}DISPATCH_MULTIPLIER": SignalForm("LOAD_DISPATCH", "multiplier", reduces=_less_than_all),
    f"{PREFIX}DISPATCH_LEVEL": SignalForm("LOAD_DISPATCH", LEVEL, reduces=lambda value: value > 0),
    f"{PREFIX}LOAD_CONTROL_CAPACITY": SignalForm(
        "LOAD_CONTROL",
        "x-loadControlCapacity",
        units=frozenset({Unit.PERCENT.value}),
        check=lambda value: 0 <= value <= 1,
        expected="a share of the full capacity, 0 to 1",
        reduces=_less_than_all,
    ),
    EventPayloadType.CONTROL_LEVEL_OFFSET: SignalForm(
        "LOAD_CONTROL",
        "x-loadControlLevelOffset",
        check=_integer(-10, 10),
        expected="an integer from -10 to 10",
        reduces=_negative,
    ),
    EventPayloadType.CONTROL_LEVEL_OFFSET_PERCENT: SignalForm(
        "LOAD_CONTROL",
        "x-loadControlPercentOffset",
        units=frozenset({Unit.PERCENT.value}),
        check=lambda value: -1 <= value <= 1,
        default_units=Unit.PERCENT.value,
        expected="-1 to 1, or -100 to 100 if OADR20B_PERCENT is hundred",
        reduces=_negative,
    ),
    EventPayloadType.CONTROL_SETPOINT: SignalForm(
        "LOAD_CONTROL",
        "x-loadControlSetpoint",
        units=_TEMPERATURE | POWER | {Unit.VOLTS.value, Unit.AMPS.value},
        needs_units=True,
    ),
}
"""The payload types that have a signal. ``simple`` is another spelling of SIMPLE in 2.0b."""

_BY_SIGNAL: Final = {(form.name, form.type): type_ for type_, form in reversed(FORMS.items())}


def form_of(payload_type: str, descriptor: Descriptor | None, policy: Policy20b) -> SignalForm | None:
    """Return the form of a payload type; None if it has none and the program does not send extensions."""
    form = FORMS.get(payload_type)
    if form is not None:
        if payload_type == EventPayloadType.PRICE and descriptor and descriptor.units == Unit.THERMS:
            return FORMS[EventPayloadType.PRICE_ALTERNATE]
        return form
    if payload_type.startswith(f"{PREFIX}X_") and len(payload_type) > len(PREFIX) + 2:
        return SignalForm(f"x-{payload_type.removeprefix(f'{PREFIX}X_')}", policy.extension_type)
    if policy.other_types == "extension" and not payload_type.startswith(("ALERT_", PREFIX)):
        return SignalForm(f"x-{payload_type}", policy.extension_type)
    return None


def payload_type_of(name: str, type_: str) -> str | None:
    """Return the payload type of OpenADR 3 for a signal of 2.0b; None if it has none (4.1, the way back)."""
    if name == "simple":
        name = SIMPLE
    if name.startswith("x-"):
        return f"{PREFIX}X_{name.removeprefix('x-')}"
    return _BY_SIGNAL.get((name, type_))


@dataclass(frozen=True, slots=True)
class Units:
    """The unit of a signal, if it has one; ``sends`` is False if it is not sent without, and ``lost`` says why."""

    base: ItemBase | None = None
    sends: bool = True
    lost: Loss | None = None


def units_for(payload_type: str, form: SignalForm, descriptor: Descriptor | None, policy: Policy20b) -> Units:
    """Return the unit of a signal (4.1: units and scale; values stay as they are)."""
    units = (descriptor.units if descriptor else None) or form.default_units
    if form.priced:
        return _price_units(payload_type, form, units or "", descriptor, policy)
    if units is None:
        lost = Loss(LossKind.UNITS, f"{payload_type} does not say its units; left out") if form.needs_units else None
        return Units(sends=not form.needs_units, lost=lost)
    if form.name.startswith("x-"):
        return Units(item_base(units, policy))
    if units.upper() not in form.units:
        what = "left out" if form.needs_units else "they are not told"
        return Units(sends=not form.needs_units, lost=Loss(LossKind.UNITS, f"{payload_type} has units {units}; {what}"))
    return Units(item_base(units, policy))  # percentages have no unit there


def _price_units(
    payload_type: str, form: SignalForm, units: str, descriptor: Descriptor | None, policy: Policy20b
) -> Units:
    if units.upper() not in form.units:
        return Units(sends=False, lost=Loss(LossKind.UNITS, f"{payload_type} is per {units}; left out"))
    currency = (descriptor.currency if descriptor else None) or policy.currency
    base = currency_per(units, currency or "")
    lost = Loss(LossKind.UNITS, f"{payload_type} has no currency of ISO 4217, but {currency}") if base is None else None
    return Units(base, lost=lost)


def is_percent(form: SignalForm, descriptor: Descriptor | None) -> bool:
    """Return True if the values of a signal are percentages, which its units say or the standard implies."""
    units = (descriptor.units if descriptor else None) or form.default_units or ""
    return units.upper() == Unit.PERCENT and Unit.PERCENT.value in form.units


def expected_of(form: SignalForm, value: float, *, percent: bool) -> str | None:
    """Return what was expected instead of a value; None if the signal may have it. Percentages are -1 to 1 (4.1)."""
    if not form.check(value):
        return form.expected
    if percent and not -1 <= value <= 1:
        return "a percentage as -1 to 1, or -100 to 100 if OADR20B_PERCENT is hundred"
    return None


def number(value: Value, policy: Policy20b, *, percent: bool) -> float | None:
    """Return a value as a number of 2.0b, in the scale of the signal; None if it is not a number of 32 bits.

    Percentages are a share of 1 there, which they are here too unless the program says ``hundred``.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        found = float(value)
        struct.pack("<f", found)
    except OverflowError:
        return None
    if not math.isfinite(found):
        return None
    if percent and policy.percent == "hundred":
        found /= 100
    return found


def is_precise(value: float) -> bool:
    """Return True if a receiver that keeps 32 bits gets back every digit."""
    kept: float = struct.unpack("<f", struct.pack("<f", value))[0]
    return kept == value or float(f"{kept:.7g}") == value or float(f"{kept:.6g}") == value
