"""Texts of elements: which kinds there are, and how they are read and written."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from openadr_profiles.v20b.durations import Duration20b
from openadr_profiles.v20b.instants import format_instant_20b, parse_instant_20b
from openadr_profiles.v31.errors import Invalid

MAX_ID: Final = 255
"""Characters of an id: what is looked up is kept short, so that any database can index it."""
MAX_URI: Final = 600
MAX_TEXT: Final = 4096
LARGEST_FLOAT: Final = 3.4028234663852886e38
"""The largest number of 32 bits, in which the schema counts."""
_MAX_UNSIGNED: Final = 2**31 - 1
_SPECIAL: Final = re.compile("[&<>\r]|[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_ESCAPES: Final = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;"}


@dataclass(frozen=True, slots=True)
class TextKind:
    """A kind of text: ``read`` raises Invalid with what was expected; ``write`` gives text that needs no escaping."""

    read: Callable[[str], Any]
    write: Callable[[Any], str]


def escape(text: str) -> str:
    """Return a text as the content of an element (B-GEN-015).

    Characters that XML cannot hold, such as most control characters, become U+FFFD.
    """
    return _SPECIAL.sub(_escaped, text) if _SPECIAL.search(text) else text


def _escaped(match: re.Match[str]) -> str:
    return _ESCAPES.get(match[0], "\ufffd")


def _limited(limit: int) -> Callable[[str], str]:
    def read(text: str) -> str:
        if len(text) > limit:
            raise Invalid("", f"{len(text)} characters are too long; expected at most {limit}")
        return text

    return read


def _collapsed(limit: int) -> Callable[[str], str]:
    read = _limited(limit)
    return lambda text: read(" ".join(text.split()))


def _read_boolean(text: str) -> bool:
    return text.strip() in {"true", "1"}


def _read_unsigned(text: str) -> int:
    digits = text.strip().removeprefix("+").lstrip("0") or "0"
    value = int(digits) if len(digits) <= 10 and digits.isdecimal() else _MAX_UNSIGNED + 1
    if value > _MAX_UNSIGNED:
        raise Invalid("", f"{text[:40]!r} is out of range; expected a whole number from 0 to {_MAX_UNSIGNED}")
    return value


def read_float(text: str) -> float:
    """Read a number of 32 bits; NaN, INF and what is larger than such numbers can be are none (requirements 1.1)."""
    try:
        value = float(text)
    except ValueError:  # "INF" and "NaN" are numbers to Python too
        value = math.nan
    if not abs(value) <= LARGEST_FLOAT:
        raise Invalid("", f"{text.strip()[:40]!r} is no usable number; expected a finite one of 32 bits (up to 3.4e38)")
    return value


def write_float(value: float) -> str:
    """Write a number with as few digits as tell it from others; raises Invalid for one that 32 bits do not hold."""
    if not abs(value) <= LARGEST_FLOAT:
        raise Invalid("", f"{value!r} is no usable number; expected a finite one of 32 bits (up to 3.4e38)")
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(float(value))


def _read_decimal(text: str) -> Decimal:
    stripped = text.strip()
    if len(stripped) > 40:
        raise Invalid("", f"{stripped[:40]!r}... has too many digits; expected at most 40")
    return Decimal(stripped)


def _read_floats(text: str) -> tuple[float, ...]:
    return tuple(read_float(each) for each in text.split())


def _write_unsigned(value: int) -> str:
    if not 0 <= value <= _MAX_UNSIGNED:
        raise Invalid("", f"{value} is out of range; expected a whole number from 0 to {_MAX_UNSIGNED}")
    return str(value)


ID: Final = TextKind(_limited(MAX_ID), escape)
TEXT: Final = TextKind(_limited(MAX_TEXT), escape)
TOKEN: Final = TextKind(_collapsed(MAX_ID), escape)
URI: Final = TextKind(_collapsed(MAX_URI), escape)
BOOLEAN: Final = TextKind(_read_boolean, lambda value: "true" if value else "false")
UNSIGNED: Final = TextKind(_read_unsigned, _write_unsigned)
FLOAT: Final = TextKind(read_float, write_float)
FLOATS: Final = TextKind(_read_floats, lambda values: " ".join(map(write_float, values)))
DECIMAL: Final = TextKind(_read_decimal, lambda value: f"{value:f}")
INSTANT: Final = TextKind(parse_instant_20b, format_instant_20b)
DURATION: Final = TextKind(Duration20b.parse, lambda value: value.text)
