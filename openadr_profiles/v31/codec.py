"""JSON text to typed objects and back, the one place where a document is validated (decision: once, at decode)."""

from __future__ import annotations

import re
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable
from functools import lru_cache
from itertools import accumulate
from typing import Any, Final, TypeVar, cast

import msgspec

from openadr_profiles.v31.duration import Duration
from openadr_profiles.v31.errors import Invalid
from openadr_profiles.v31.expectation import expected, received
from openadr_profiles.v31.instant import Start
from openadr_profiles.v31.numbers import WrittenNumber

T = TypeVar("T")

_AT: Final = re.compile(r"(?P<problem>.*?)(?: - at `(?:key in )?\$(?P<path>[^`]*)`)?", re.DOTALL)
_MISSING: Final = re.compile(r"Object missing required field `([^`]+)`")
_WRONG_TYPE: Final = re.compile(r"Expected `[^`]+`, got `([^`]+)`")
_UNKNOWN: Final = re.compile(r"Invalid (?:enum )?value (.*)", re.DOTALL)
_PROBLEMS: Final = (
    ("Expected `str` of length >=", "too short"),
    ("Expected `str` of length <=", "too long"),
    ("Expected `str` matching regex", "malformed"),
    ("Expected `str`", "not a string"),
    ("Expected `int` >=", "too small"),
    ("Expected `int` <=", "too large"),
    ("Integer value out of range", "out of range"),
    ("Number out of range", "out of range"),
    ("Invalid RFC3339 encoded datetime", "malformed"),
    ("Expected `datetime` with a timezone component", "without offset"),
)
"""Messages of the decoder, which says what is wrong in no other form, and the problem that each reports in words."""
_SHOWN: Final = 40
_NOT_UTF8: Final = "not readable JSON: it is not UTF-8"
_TOO_DEEP: Final = "not readable JSON: it is nested too deeply"
_MAX_DEPTH: Final = 1000
_PYTHON_BOUNDS_DEPTH: Final = sys.version_info < (3, 14)
"""Until 3.13 the interpreter counts the calls of the decoder and ends it; later it goes on while the stack lasts."""
_STEPS: Final = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")
_NO_BRACKETS: Final = bytes(set(range(256)) - set(b"[{]}"))
_PARSERS: Final[dict[type, Callable[[str], object]]] = {Duration: Duration.parse, Start: Start.parse}
"""Readers of texts that are more than texts; a type of another version has a method ``parse`` of its own."""


class JsonText(ABC):
    """Hold something as the JSON text that is written for it."""

    __slots__ = ()

    @property
    @abstractmethod
    def text(self) -> bytes:
        """Return the text."""


def decode(data: bytes | memoryview | msgspec.Raw | str, type_: type[T]) -> T:
    """Read one JSON document as ``type_``; raises Invalid naming the member, its problem and what was expected.

    Members the schema does not define are ignored at every level (GEN-011); null for an optional member is absence
    (GEN-014); numbers keep their kind (GEN-017).
    """
    if not _PYTHON_BOUNDS_DEPTH and depth(data if isinstance(data, str) else bytes(data)) > _MAX_DEPTH:
        raise Invalid("", _TOO_DEEP)
    try:
        result: T = _decoder(cast(Hashable, type_)).decode(data)
    except msgspec.ValidationError as error:
        raise _invalid(str(error), type_) from None
    except msgspec.DecodeError as error:
        raise Invalid("", _unreadable(str(error), data)) from None
    except UnicodeError:
        raise Invalid("", _NOT_UTF8) from None  # a text with half a surrogate pair
    except RecursionError:
        raise Invalid("", _TOO_DEEP) from None
    return result


def depth(data: bytes | str) -> int:
    """Return an upper bound of the levels of a JSON document: exact from 1,000 on (GEN-005).

    Takes time in proportion to the size; a text that is not JSON gives some number.
    """
    text = data.encode(errors="replace") if isinstance(data, str) else data
    brackets = text.count(b"[") + text.count(b"{")
    if brackets <= _MAX_DEPTH:
        return brackets
    unescaped = text.replace(b"\\\\", b"").replace(b'\\"', b"")
    outside_strings = b"".join(unescaped.split(b'"')[::2])
    steps = memoryview(outside_strings.translate(_STEPS, _NO_BRACKETS)).cast("b")
    return max(accumulate(steps), default=0)


def decoder(type_: type[T]) -> msgspec.json.Decoder[T]:
    """Return what `decode` reads with, for many small documents; it raises the library's errors."""
    return msgspec.json.Decoder(type_, dec_hook=_decode_extension)


def encode(value: object) -> bytes:
    """Write an object as compact UTF-8 JSON with the standard's member names; absent members are left out."""
    return _ENCODER.encode(value)


def _decode_extension(type_: type, value: Any) -> Any:
    parse = _PARSERS.get(type_) or getattr(type_, "parse", None)
    if parse is None:
        raise NotImplementedError(type_)
    if not isinstance(value, str):
        raise ValueError(f"Expected `str`, got `{type(value).__name__}`")
    return parse(value)


def _encode_extension(value: object) -> object:
    if isinstance(value, Duration | Start):
        return value.text
    if isinstance(value, JsonText):
        return msgspec.Raw(value.text)
    if isinstance(value, WrittenNumber):
        return msgspec.Raw(value.text.encode())
    if isinstance(value, str):  # a text that knows more than its letters
        return str(value)
    raise NotImplementedError(type(value))


@lru_cache(maxsize=128)
def _decoder(type_: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(type_, dec_hook=_decode_extension)


_ENCODER: Final = msgspec.json.Encoder(enc_hook=_encode_extension)


def _invalid(message: str, type_: Any) -> Invalid:
    match = _AT.fullmatch(message)
    problem, path = (match["problem"], match["path"] or "") if match else (message, "")
    if missing := _MISSING.fullmatch(problem):
        return Invalid(f"{path}.{missing[1]}".lstrip("."), "required, but missing")
    return Invalid(path.lstrip("."), _in_words(problem, expected(type_, path)))


def _in_words(problem: str, expectation: str | None) -> str:
    if expectation is None:
        return problem[:1].lower() + problem[1:]
    if wrong := _WRONG_TYPE.fullmatch(problem):
        return f"expected {expectation}, got {received(wrong[1])}"
    if unknown := _UNKNOWN.fullmatch(problem):
        return f"{unknown[1][:_SHOWN]} is not allowed; expected {expectation}"
    for said, meant in _PROBLEMS:
        if problem.startswith(said):
            return f"{meant}; expected {expectation}"
    return problem  # a duration or start: its own type says what is wrong


def _unreadable(message: str, data: bytes | memoryview | msgspec.Raw | str) -> str:
    """Say why a document is none. Releases of the decoder differ in what they raise for bytes that are not UTF-8."""
    try:
        text = data if isinstance(data, str) else bytes(data).decode()
    except UnicodeDecodeError:
        return _NOT_UTF8
    if not text.strip():
        return "empty; expected a JSON document"
    reason = message.removeprefix("JSON is malformed: ")
    return "not readable JSON: " + ("it ends too early" if reason == "Input data was truncated" else reason)
