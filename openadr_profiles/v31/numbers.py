"""Numbers that keep the text they came with: ``0.10``, ``1e3``, twenty digits (GEN-017).

A double cannot give these texts back. They are rare, so a document is looked through for them first, and is left as it
is where there are none.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final, Self, TypeVar

from msgspec import Struct
from msgspec.structs import force_setattr

from openadr_profiles.v31.common import Point

T = TypeVar("T")

_FRACTION: Final = re.compile(rb"\.\d++(?=[],}\s])(?:(?<=[^.]0)|(?<=[\d.]{16}))")
"""A fraction that ends in an insignificant zero, or a number of many digits."""
_KINDS: Final = bytes.maketrans(b"0123456789E]}\t\n\r ", b"1111111111e,,,,,,")
_EXPONENTS: Final = (b"e1,", b"e11,", b"e111,", b"e1111", b"e-1,", b"e-11,", b"e-111,", b"e-1111", b"e+")
_NEGATIVE_ZERO: Final = (b"-0,", b"-0]", b"-0}", b"-0 ", b"-0\n", b"-0\r", b"-0\t")
_SMALL: Final = b".0000"


class WrittenNumber(float):
    """A number with the text it was written with."""

    __slots__ = ("text",)

    text: str

    def __new__(cls, text: str) -> Self:
        """Read a number of JSON."""
        number = super().__new__(cls, text)
        number.text = text
        return number


def as_written(document: T, raw: bytes) -> T:
    """Give the numbers of a document that was decoded from ``raw`` their texts; it is changed in place.

    Payload values, points and other members that need not be integers keep their text.
    """
    if _may_alter(raw):
        _restored(document, json.loads(raw, parse_float=WrittenNumber, parse_int=_integer), free=False)
    return document


def _may_alter(raw: bytes) -> bool:
    """Return True if a document may have a number that would be written otherwise; quick, it runs for each report."""
    if _SMALL in raw or _FRACTION.search(raw) or any(text in raw for text in _NEGATIVE_ZERO):
        return True
    kinds = raw.translate(_KINDS)
    return any(text in kinds for text in _EXPONENTS)


def _integer(text: str) -> WrittenNumber | None:
    """An integer keeps its digits anyway, except a zero with a sign."""
    return WrittenNumber(text) if text == "-0" else None


def _restored(value: Any, plain: Any, *, free: bool) -> Any:
    """The value with the numbers of its plain form; ``free`` says that it may be a number of any kind."""
    if isinstance(plain, WrittenNumber):
        return plain if type(value) is float or (free and type(value) is int) else value
    if isinstance(value, Struct) and isinstance(plain, dict):
        for name, wire_name in zip(value.__struct_fields__, value.__struct_encode_fields__, strict=True):
            if wire_name in plain:
                before = getattr(value, name)
                after = _restored(before, plain[wire_name], free=isinstance(value, Point))
                if after is not before:
                    force_setattr(value, name, after)
    elif isinstance(value, tuple) and isinstance(plain, list):
        items = tuple(_restored(item, given, free=True) for item, given in zip(value, plain, strict=False))
        if len(items) == len(value) and any(new is not old for new, old in zip(items, value, strict=True)):
            return items
    return value
