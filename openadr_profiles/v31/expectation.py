"""The expected type and limits of a member, in words for the author of the document.

They are read from the wire types themselves, so that each limit is defined in one place.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Final

from msgspec import inspect

from openadr_profiles.v31.common import OBJECT_ID, URI
from openadr_profiles.v31.duration import Duration
from openadr_profiles.v31.instant import Start

_STEP: Final = re.compile(r"\.([^.\[\]]+)|\[")
_INSTANT: Final = "an RFC 3339 instant with offset such as 2026-01-31T16:00:00Z"
_PATTERNS: Final = {
    OBJECT_ID: "1 to 128 letters, digits, - or _",
    URI: "an absolute URI such as https://example.com/page",
}
_CUSTOM: Final = {Duration: "an ISO 8601 duration such as PT1H", Start: _INSTANT}
_PLAIN: Final[dict[type[inspect.Type], str]] = {
    inspect.FloatType: "a number",
    inspect.BoolType: "a boolean",
    inspect.DateTimeType: _INSTANT,
    inspect.ListType: "a list",
    inspect.VarTupleType: "a list",
    inspect.DictType: "an object",
}
_JSON: Final = {
    "int": "an integer",
    "float": "a decimal number",
    "str": "a string",
    "bool": "a boolean",
    "array": "a list",
    "list": "a list",
    "object": "an object",
    "dict": "an object",
}


def expected(type_: Any, path: str) -> str | None:
    """Describe what is expected at ``path`` (``.intervals[0].id``) in a document of this type; None if unknown."""
    found: list[inspect.Type] = [_type_info(type_)]
    for member in _STEP.findall(path):
        found = [inner for outer in found for inner in _inside(outer, member)]
    words = [_words(type_) for type_ in found]
    return _either([word for word in words if word])


def received(json_type: str) -> str:
    """Return the JSON name of the type that was received, from the decoder's name for it."""
    return _JSON.get(json_type, json_type)


@lru_cache(maxsize=128)
def _type_info(type_: Any) -> inspect.Type:
    return inspect.type_info(type_)


def _inside(outer: inspect.Type, member: str) -> list[inspect.Type]:
    """The types of a member of an object, or of the items of a list if ``member`` is empty."""
    match outer:
        case inspect.UnionType(types=types):
            return [inner for type_ in types for inner in _inside(type_, member)]
        case inspect.StructType(tag_field=tag_field, tag=tag) if member and tag_field == member:
            return [inspect.LiteralType((tag,))]
        case inspect.StructType(fields=fields):
            return [field.type for field in fields if field.encode_name == member]
        case inspect.ListType(item_type=item) | inspect.VarTupleType(item_type=item) if not member:
            return [item]
        case inspect.DictType(value_type=value):
            return [value]
        case _:
            return []


def _words(type_: inspect.Type) -> str | None:
    match type_:
        case inspect.UnionType(types=types):
            number = any(isinstance(inner, inspect.FloatType) for inner in types)
            shown = [inner for inner in types if not (number and isinstance(inner, inspect.IntType))]
            return _either([word for word in map(_words, shown) if word])
        case inspect.LiteralType() | inspect.EnumType():
            return _either(_choices(type_))
        case inspect.StrType() | inspect.IntType():
            return _limits(type_)
        case inspect.StructType(fields=fields):
            required = [field.encode_name for field in fields if field.required]
            return f"an object with {' and '.join(required)}" if required else "an object"
        case inspect.CustomType(cls=cls):
            return next((_CUSTOM[one] for one in cls.__mro__ if one in _CUSTOM), None)
        case _:
            return _PLAIN.get(type(type_))


def _choices(type_: inspect.LiteralType | inspect.EnumType) -> list[str]:
    values = type_.values if isinstance(type_, inspect.LiteralType) else [one.value for one in type_.cls]
    return [str(value) for value in values]


def _limits(type_: inspect.StrType | inspect.IntType) -> str:
    if isinstance(type_, inspect.IntType):
        least, most = type_.ge, type_.le
        if least is None:
            return "an integer"
        return f"an integer of {least} or more" if most is None else f"an integer from {least} to {most}"
    if type_.pattern in _PATTERNS:
        return _PATTERNS[type_.pattern]
    if type_.max_length is None:
        return "a string"
    return f"a string of {type_.min_length or 0} to {type_.max_length} characters"


def _either(words: list[str]) -> str | None:
    distinct = list(dict.fromkeys(words))
    return " or ".join([", ".join(distinct[:-1]), distinct[-1]] if len(distinct) > 1 else distinct) or None
