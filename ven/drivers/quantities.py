"""Check what devices say: numbers that are none, that no circuit can have, or that have the wrong sign. No I/O."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from ven.panel.circuits import BranchCircuit

MOST_BYTES: Final = 65_536
"""Longest message of a device that is looked at; status messages of relays and chargers have a few thousand."""
_LONGEST_NUMBER: Final = 32
_MOST_KWH: Final = Decimal(10**9)
_NOISE_SHARE: Final = Decimal("0.02")
_TIMES_RATED: Final = 10
_WATT: Final = Decimal("0.001")
_NOTHING: Final = Decimal(0)


class Implausible(ValueError):
    """Say of a value from a device what is wrong with it."""


def number(value: object) -> Decimal:
    """Return a finite number that a device gave as a JSON number or as text; raises Implausible."""
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        raise Implausible(f"expected a number, not {_shown(value)}")
    text = str(value).strip()
    if len(text) > _LONGEST_NUMBER:
        raise Implausible(f"expected a number, not {_shown(text)}")
    try:
        found = Decimal(text)
    except InvalidOperation as error:
        raise Implausible(f"expected a number, not {_shown(text)}") from error
    if not found.is_finite():
        raise Implausible(f"expected a finite number, not {_shown(text)}")
    return found


def power_kw(value: object, circuit: BranchCircuit, *, per_kw: Decimal, feeds_in: bool) -> Decimal:
    """Return a power in kW, to the watt, of which `per_kw` units are one kW; raises Implausible.

    More than ten times what is rated is no reading of this circuit. Below zero is an error of wiring unless the circuit
    `feeds_in`, or is limited in that; noise about zero is 0.
    """
    most = max(circuit.rated_kw, circuit.export_kw, Decimal(1)) * _TIMES_RATED
    kw = _scaled(number(value), per_kw, most=most, unit="kW")
    if kw < 0 and not (feeds_in or circuit.limits_feed_in):
        if -kw > max(circuit.rated_kw, Decimal(1)) * _NOISE_SHARE:
            raise Implausible(
                f"{kw} kW is below zero: turn the current clamp round, or set feeds_in if the circuit can feed in"
            )
        return _NOTHING
    return kw


def energy_kwh(value: object, *, per_kwh: Decimal) -> Decimal:
    """Return the kWh of a counter that only rises, of which `per_kwh` units are one kWh; raises Implausible."""
    kwh = _scaled(number(value), per_kwh, most=_MOST_KWH, unit="kWh")
    if kwh < 0:
        raise Implausible(f"{kwh} kWh is below zero, and a counter only rises")
    return kwh


def object_of(payload: bytes) -> Mapping[str, Any]:
    """Return the JSON object in a message; raises Implausible."""
    if len(payload) > MOST_BYTES:
        raise Implausible(f"a message of {len(payload)} bytes is longer than {MOST_BYTES}")
    try:
        found = json.loads(payload, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise Implausible(f"expected a JSON object, not {_shown(payload[:40].decode(errors='replace'))}") from error
    if not isinstance(found, dict):
        raise Implausible(f"expected a JSON object, not {_shown(found)}")
    return found


def text_of(payload: bytes) -> str:
    """Return the text of a short message; raises Implausible."""
    if len(payload) > MOST_BYTES:
        raise Implausible(f"a message of {len(payload)} bytes is longer than {MOST_BYTES}")
    return payload.decode(errors="replace").strip()


def _scaled(found: Decimal, per_unit: Decimal, *, most: Decimal, unit: str) -> Decimal:
    if abs(found) > most * abs(per_unit):
        raise Implausible(f"{_shown(found)} is more than {most} {unit}, which cannot be")
    return (found / per_unit).quantize(_WATT)


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no number of JSON")


def _shown(value: object) -> str:
    text = repr(value) if not isinstance(value, Decimal) else str(value)
    return text if len(text) <= _LONGEST_NUMBER else f"{text[:_LONGEST_NUMBER]}…"
