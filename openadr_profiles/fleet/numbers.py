"""Read the numbers in payloads, or refuse them with a text that names payload, problem and expectation. No I/O."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from operator import ne
from typing import Final, cast

from openadr_profiles.v31 import Value

_SHOWN: Final = 40
_ALL_OF_THEM: Final = 32
_NUMBERS: Final = frozenset({int, float})


class PayloadNotUnderstood(ValueError):
    """A payload has no meaning for its type; the text names it, what is wrong with it, and what was expected."""


@dataclass(frozen=True)
class Distinct:
    """Hold the distinct values of one payload type of an event; of those that are no numbers the first is enough."""

    numbers: dict[int | float, None] = field(default_factory=dict)
    others: tuple[Value, ...] = ()
    is_empty_once: bool = False

    @staticmethod
    def of(values: Sequence[Value], *, is_empty_once: bool) -> Distinct:
        """Take in all values of the type, a hundred thousand maybe; ``is_empty_once``: some payload has none."""
        if set(map(type, values)) <= _NUMBERS:
            numbers = cast("dict[int | float, None]", dict.fromkeys(values))
            if not any(map(ne, numbers, numbers)):  # only NaN differs from itself
                return Distinct(numbers, (), is_empty_once)
        numbers, others = {}, []
        for value in values:
            if type(value) in _NUMBERS and not ne(value, value):
                numbers[cast("int | float", value)] = None
            else:
                others.append(value)
        return Distinct(numbers, tuple(others[:1]), is_empty_once)

    def telling(self, *, is_continuous: bool) -> list[tuple[Value, ...]]:
        """Return few payloads that tell about all: many numbers of a continuous quantity lie between two of them."""
        numbers = list(self.numbers)
        if is_continuous and len(numbers) > _ALL_OF_THEM:
            numbers = [min(numbers), max(numbers)]
        return [*((each,) for each in (*self.others, *numbers)), *([()] if self.is_empty_once else [])]


def first(payload_type: str, values: Sequence[Value]) -> Value:
    """Return the first value of a payload; raises PayloadNotUnderstood if there is none."""
    if not values:
        raise PayloadNotUnderstood(f"{payload_type} has no value: expected one")
    return values[0]


def number(payload_type: str, value: Value) -> Decimal:
    """Return a value as a number of any size; raises PayloadNotUnderstood."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not _is_finite(value):
        raise PayloadNotUnderstood(f"{payload_type} has the value {shown(value)}: expected a number")
    return Decimal(value) if isinstance(value, int) else Decimal(str(value))


def whole(payload_type: str, value: Value, least: int, most: int) -> int:
    """Return a value as a whole number from ``least`` to ``most``; raises PayloadNotUnderstood."""
    if not isinstance(value, bool) and isinstance(value, int | float) and value in range(least, most + 1):
        return int(value)
    expected = "0, 1, 2 or 3" if (least, most) == (0, 3) else f"a whole number from {least} to {most}"
    raise PayloadNotUnderstood(f"{payload_type} has the value {shown(value)}: expected {expected}")


def shown(value: object, *, quoted: bool = True) -> str:
    """Return a value for an error text, at most 40 characters of it; what cannot be printed is quoted too."""
    if isinstance(value, int) and value.bit_length() > 128:
        return f"of {value.bit_length()} bits"
    text = str(value)
    if quoted or not text.isprintable():
        text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _is_finite(value: float) -> bool:
    return -math.inf < value < math.inf  # also for whole numbers that no float can hold; False for NaN
