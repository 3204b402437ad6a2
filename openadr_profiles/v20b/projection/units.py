"""Units of OpenADR 3 and the unit elements (itemBase) and scales of 2.0b they become, without changing a value.

OpenADR 3 names kilo units; 2.0b has a base unit and a scale (``k``). Other scales of the same units are read too, since
business logic uses W and MW. No element here needs lxml.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from openadr_profiles.v20b.messages.common import ItemBase, PowerAttributes
from openadr_profiles.v20b.projection.policy import Policy20b
from openadr_profiles.v31 import Unit

_ISO_4217: Final = """
AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BOV BRL BSD BTN BWP BYR BZD CAD CDF
CHE CHF CHW CLF CLP CNY COP COU CRC CUC CUP CVE CZK DJF DKK DOP DZD EEK EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD
GNF GTQ GWP GYD HKD HNL HRK HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP
LKR LRD LSL LTL LVL LYD MAD MDL MGA MKD MMK MNT MOP MRO MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB
PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLL SOS SRD STD SVC SYP SZL THB TJS TMT TND
TOP TRY TTD TWD TZS UAH UGX USD USN USS UYI UYU UZS VEF VND VUV WST XAF XAG XAU XBA XBB XBC XBD XCD XDR XFU XOF XPD
XPF XPT XTS XXX YER ZAR ZMK ZWL
"""
CURRENCIES: Final = frozenset(_ISO_4217.split())
"""The currencies of ISO 4217 that the schema of 2.0b lists."""


_BASES: Final = {
    "W": ("powerReal", "RealPower", "W"),
    "VA": ("powerApparent", "ApparentPower", "VA"),
    "VAR": ("powerReactive", "ReactivePower", "VAR"),
    "WH": ("energyReal", "RealEnergy", "Wh"),
    "VAH": ("energyApparent", "ApparentEnergy", "VAh"),
    "VARH": ("energyReactive", "ReactiveEnergy", "VARh"),
}
_SCALES: Final = {"": "none", "K": "k", "M": "M", "G": "G"}
_OTHERS: Final = {
    Unit.VOLTS.value: ItemBase(name="voltage", description="Voltage", units="V"),
    Unit.AMPS.value: ItemBase(name="current", description="Current", units="A"),
    Unit.CELSIUS.value: ItemBase(name="temperature", description="temperature", units="celsius"),
    Unit.FAHRENHEIT.value: ItemBase(name="temperature", description="temperature", units="fahrenheit"),
    Unit.THERMS.value: ItemBase(name="Therm", description="Therm", units="thm"),
}
_SCALED: Final = {scale + base: (scale, base) for base in _BASES for scale in _SCALES}
POWER: Final = frozenset(scale + base for base in ("W", "VA", "VAR") for scale in _SCALES)
"""Units of power, with their scales."""
ENERGY: Final = frozenset(scale + base for base in ("WH", "VAH", "VARH") for scale in _SCALES)
"""Units of energy, with their scales."""


def item_base(units: str, policy: Policy20b) -> ItemBase | None:
    """Return the unit of 2.0b that a unit of OpenADR 3 is; None if there is none."""
    word = units.upper()
    if word in _SCALED:
        scale, base = _SCALED[word]
        element, description, base_units = _BASES[base]
        return ItemBase(
            name=element,
            description=description,
            units=base_units,
            scale=_SCALES[scale],
            power_attributes=_mains(policy) if word in POWER else None,
        )
    return _OTHERS.get(word)


def _mains(policy: Policy20b) -> PowerAttributes:
    return PowerAttributes(hertz=Decimal(str(policy.hertz)), voltage=Decimal(str(policy.voltage)), ac=policy.ac)


def currency_per(units: str, currency: str) -> ItemBase | None:
    """Return the price unit for a currency and what it buys; None if 2.0b has none."""
    element = _PRICED.get(units.upper())
    if element is None or currency not in CURRENCIES:
        return None
    # The schema of 2.0b has no description for prices per therm (section 1.1).
    return ItemBase(name=element, description="currency" if element == "currencyPerThm" else element, units=currency)


_PRICED: Final = {
    Unit.KWH.value: "currencyPerKWh",
    Unit.KW.value: "currencyPerKW",
    Unit.THERMS.value: "currencyPerThm",
}


def units_of(base: ItemBase) -> tuple[str | None, str | None]:
    """Return units and currency of OpenADR 3 for a unit of 2.0b; None for what it does not state."""
    for units, element in _PRICED.items():
        if base.name == element:
            return units, base.units
    for units, other in _OTHERS.items():
        if (base.name, base.units) == (other.name, other.units):
            return units, None
    scales = {code: letter for letter, code in _SCALES.items()}
    for word, (element, _, _) in _BASES.items():
        if base.name == element and base.scale in scales:
            return scales[base.scale] + word, None
    return None, None
