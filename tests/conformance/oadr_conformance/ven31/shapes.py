"""The shape of what a VEN writes, as the OpenAPI document of 3.1 has it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, TypeAlias

from oadr_conformance.moments import instant

_Rule: TypeAlias = Callable[[Any], bool]
_OPERATIONS: Final = {"CREATE", "READ", "UPDATE", "DELETE"}
_OBJECTS: Final = {"PROGRAM", "EVENT", "REPORT", "SUBSCRIPTION", "VEN", "RESOURCE"}


def _name(value: Any) -> bool:
    return isinstance(value, str) and 1 <= len(value) <= 128


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _instant(value: Any) -> bool:
    return isinstance(value, str) and instant(value) is not None


def _duration(value: Any) -> bool:
    return isinstance(value, str) and value.lstrip("-+").startswith("P")


def _number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _word(*words: str) -> _Rule:
    return lambda value: value in words


def _anything(_value: Any) -> bool:
    return True


_Shape: TypeAlias = Mapping[str, "tuple[_Rule, str] | tuple[str, _Shape]"]
_NAME: Final = (_name, "a text of 1 to 128 characters")
_TEXT: Final = (_text, "a text")
_PERIOD: Final[_Shape] = {
    "start!": (_instant, "an instant (RFC 3339)"),
    "duration": (_duration, "a duration (ISO 8601)"),
}
_VALUES_MAP: Final[_Shape] = {"type!": _NAME, "values![]": (_anything, "values")}
_INTERVAL: Final[_Shape] = {
    "id!": (_number, "a whole number"),
    "intervalPeriod": ("object", _PERIOD),
    "payloads![]": ("object", _VALUES_MAP),
}
_RESOURCE: Final[_Shape] = {
    "resourceName!": _NAME,
    "intervalPeriod": ("object", _PERIOD),
    "intervals![]": ("object", _INTERVAL),
}
_SHAPES: Final[Mapping[str, _Shape]] = {
    "reports": {
        "eventID!": _NAME,
        "clientName!": _NAME,
        "reportName": _TEXT,
        "payloadDescriptors[]": ("object", {"payloadType!": _NAME, "readingType": _TEXT, "units": _TEXT}),
        "resources![]": ("object", _RESOURCE),
    },
    "vens": {
        "objectType!": (_word("VEN_VEN_REQUEST"), "VEN_VEN_REQUEST"),
        "venName!": _NAME,
        "attributes[]": ("object", _VALUES_MAP),
    },
    "resources": {
        "objectType!": (_word("VEN_RESOURCE_REQUEST"), "VEN_RESOURCE_REQUEST"),
        "resourceName!": _NAME,
        "venID!": _NAME,
        "attributes[]": ("object", _VALUES_MAP),
    },
    "subscriptions": {
        "clientName!": _NAME,
        "objectOperations![]": (
            "object",
            {
                "objects![]": (_word(*_OBJECTS), "a word for objects"),
                "operations![]": (_word(*_OPERATIONS), "a word for operations"),
                "callbackUrl!": _TEXT,
            },
        ),
    },
}


def problems_of(kind: str, value: Any) -> list[str]:
    """Return what is wrong with a body, each with its member and what was expected; unknown members are none."""
    return list(_wrong(_SHAPES[kind], value, ""))


def _wrong(shape: _Shape, value: Any, path: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{path.rstrip('.') or 'the body'}: expected an object"
        return
    for key, rule in shape.items():
        name = key.removesuffix("[]").removesuffix("!")
        here = f"{path}{name}"
        given = value.get(name)
        if given is None:
            if "!" in key:
                yield f"{here}: missing"
        elif not key.endswith("[]"):
            yield from _wrong_value(rule, given, here)
        elif not isinstance(given, list):
            yield f"{here}: expected a list"
        else:
            for position, item in enumerate(given):
                yield from _wrong_value(rule, item, f"{here}[{position}]")


def _wrong_value(rule: tuple[Any, Any], value: Any, path: str) -> Iterator[str]:
    first, second = rule
    if first == "object":
        yield from _wrong(second, value, f"{path}.")
    elif not first(value):
        yield f"{path}: expected {second}"
