"""JSON text to typed objects and back, the one place where a document is validated (decision: once, at decode)."""

from __future__ import annotations

import re
from collections.abc import Hashable
from functools import lru_cache
from typing import Any, Final, TypeVar, cast

import msgspec

from openadr_profiles.v31.duration import Duration
from openadr_profiles.v31.errors import Invalid
from openadr_profiles.v31.instant import Start

T = TypeVar("T")

_AT: Final = re.compile(r"^(?P<problem>.*?)(?: - at `(?:key in )?\$(?P<path>[^`]*)`)?$", re.DOTALL)
_MISSING: Final = re.compile(r"missing required field `([^`]+)`")


def decode(data: bytes | str, type_: type[T]) -> T:
    """Read one JSON document as ``type_``; raises Invalid naming the member, its problem and what was expected.

    Members the schema does not define are ignored at every level (GEN-011); null for an optional member is absence
    (GEN-014); numbers keep their kind (GEN-017).
    """
    try:
        result: T = _decoder(cast(Hashable, type_)).decode(data)
    except msgspec.ValidationError as error:
        raise _invalid(str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Invalid("", f"not readable JSON: {error}") from None
    return result


def encode(value: object) -> bytes:
    """Write an object as compact UTF-8 JSON with the standard's member names; absent members are left out."""
    return _ENCODER.encode(value)


def _decode_extension(type_: type, value: Any) -> Any:
    if type_ is Duration or type_ is Start:
        if not isinstance(value, str):
            raise ValueError(f"Expected `str`, got `{type(value).__name__}`")
        return type_.parse(value)
    raise NotImplementedError(type_)


def _encode_extension(value: object) -> object:
    if isinstance(value, Duration | Start):
        return value.text
    raise NotImplementedError(type(value))


@lru_cache(maxsize=128)
def _decoder(type_: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(type_, dec_hook=_decode_extension)


_ENCODER: Final = msgspec.json.Encoder(enc_hook=_encode_extension)


def _invalid(message: str) -> Invalid:
    match = _AT.match(message)
    if match is None:  # the pattern takes any text
        return Invalid("", message)
    member, problem = (match["path"] or "").lstrip("."), match["problem"]
    if missing := _MISSING.search(problem):
        return Invalid(f"{member}.{missing[1]}" if member else missing[1], "required, but missing")
    return Invalid(member, problem[:1].lower() + problem[1:])
