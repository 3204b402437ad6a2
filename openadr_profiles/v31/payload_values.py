"""Payload values that do not suit their type (OBJ-005, OBJ-006): how many there may be, of which kind, in which range.

Only types the standard names are looked at; private ones may hold anything. DISPATCH_SETPOINT_RELATIVE and USAGE may be
negative (ENUM-020).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from openadr_profiles.v31.common import Interval, Point, Value
from openadr_profiles.v31.event import EventRequest
from openadr_profiles.v31.report import ReportRequest
from openadr_profiles.v31.vocabulary import DataQuality, OperatingState

_NUMBERS: Final = frozenset(
    {
        "PRICE",
        "PRICE_ALTERNATE",
        "CHARGE_STATE_SETPOINT",
        "DISPATCH_SETPOINT",
        "DISPATCH_SETPOINT_RELATIVE",
        "EXPORT_PRICE",
        "GHG",
        "IMPORT_CAPACITY_SUBSCRIPTION",
        "IMPORT_CAPACITY_RESERVATION",
        "IMPORT_CAPACITY_RESERVATION_FEE",
        "IMPORT_CAPACITY_AVAILABLE",
        "IMPORT_CAPACITY_AVAILABLE_PRICE",
        "EXPORT_CAPACITY_SUBSCRIPTION",
        "EXPORT_CAPACITY_RESERVATION",
        "EXPORT_CAPACITY_RESERVATION_FEE",
        "EXPORT_CAPACITY_AVAILABLE",
        "EXPORT_CAPACITY_AVAILABLE_PRICE",
        "IMPORT_CAPACITY_LIMIT",
        "EXPORT_CAPACITY_LIMIT",
        "READING",
        "USAGE",
        "DEMAND",
        "DELTA_USAGE",
        "BASELINE",
        "UP_REGULATION_AVAILABLE",
        "DOWN_REGULATION_AVAILABLE",
        "REGULATION_SETPOINT",
        "STORAGE_USABLE_CAPACITY",
        "STORAGE_MAX_DISCHARGE_POWER",
        "STORAGE_MAX_CHARGE_POWER",
        "USAGE_FORECAST",
        "STORAGE_DISPATCH_FORECAST",
        "LOAD_SHED_DELTA_AVAILABLE",
        "GENERATION_DELTA_AVAILABLE",
        "IMPORT_RESERVATION_CAPACITY",
        "IMPORT_RESERVATION_FEE",
        "EXPORT_RESERVATION_CAPACITY",
        "EXPORT_RESERVATION_FEE",
    }
)
_INTEGERS: Final = {
    "SIMPLE": (0, 3),
    "SIMPLE_LEVEL": (0, 3),
    "CONTROL_LEVEL_OFFSET": (-10, 10),
    "CTA2045_REBOOT": (0, 1),
    "CTA2045_SET_OVERRIDE_STATUS": (0, 1),
}
_FRACTIONS: Final = {"CONTROL_LEVEL_OFFSET_PERCENT": (-1, 1), "STORAGE_CHARGE_LEVEL": (0, 1)}
_WORDS: Final = {
    "OPERATING_STATE": frozenset(OperatingState) | {"AGGREGATED_REPORT"},
    "DATA_QUALITY": frozenset(DataQuality),
}


@dataclass(frozen=True, slots=True)
class Unsuitable:
    """A payload whose values do not suit its type: the member of the document, the type, and what was expected."""

    member: str
    payload_type: str
    expected: str


def unsuitable(document: EventRequest | ReportRequest) -> Iterator[Unsuitable]:
    """Find the payloads whose values do not suit their type, in the order of the document."""
    if isinstance(document, EventRequest):
        yield from _in_intervals(document.intervals or (), "intervals")
        return
    for number, resource in enumerate(document.resources):
        yield from _in_intervals(resource.intervals, f"resources[{number}].intervals")


def _in_intervals(intervals: Iterable[Interval], member: str) -> Iterator[Unsuitable]:
    for number, interval in enumerate(intervals):
        for position, payload in enumerate(interval.payloads):
            values = payload.values
            if payload.type in _NUMBERS and len(values) == 1 and type(values[0]) in {int, float}:
                continue  # nearly all of them
            expected = _expected(payload.type, values)
            if expected is not None:
                yield Unsuitable(f"{member}[{number}].payloads[{position}].values", payload.type, expected)


def _expected(payload_type: str, values: tuple[Value, ...]) -> str | None:
    """Describe the expected values of a type if the given ones do not suit it, else return None."""
    one = values[0] if len(values) == 1 else None
    if payload_type in _NUMBERS:
        return None if _is_number(one) else "one number"
    if payload_type in _INTEGERS or payload_type in _FRACTIONS:
        low, high = _INTEGERS.get(payload_type) or _FRACTIONS[payload_type]
        kind = "integer" if payload_type in _INTEGERS else "number"
        suits = isinstance(one, int | float) and _is_number(one) and low <= one <= high
        whole = kind == "number" or (isinstance(one, int | float) and float(one).is_integer())
        return None if suits and whole else f"one {kind} from {low} to {high}"
    if payload_type in _WORDS:
        words = _WORDS[payload_type]
        return None if isinstance(one, str) and one in words else f"one of {', '.join(sorted(words))}"
    if payload_type == "CURVE":
        return None if all(isinstance(value, Point) for value in values) else "points, {x, y} each"
    return None


def _is_number(value: Value | None) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
