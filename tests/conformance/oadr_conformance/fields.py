"""The members of request bodies in one table: which are required, what they take and what they refuse."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from oadr_conformance.wire import Obj

LONG: Final = "x" * 129
ABSENT: Final = object()


@dataclass(frozen=True)
class Type:
    """The values that a member refuses; `rule` is the requirement that says so."""

    rule: str
    bad: Mapping[str, Any]


NAME = Type("OBJ-001", {"empty": "", "129 characters": LONG, "a number": 5})
ID = Type("OBJ-001", {"no id": "not an id", "empty": "", "129 characters": LONG, "a number": 5})
TEXT = Type("OBJ-007", {"4097 characters": "x" * 4097, "a number": 5})
INT32 = Type("OBJ-001", {"a string": "1", "a fraction": 1.5, "true": True, "beyond 32 bits": 2**31})
NATURAL = Type("OBJ-001", {"a string": "1", "a fraction": 1.5, "negative": -1})
PERCENT = Type("OBJ-001", {"a string": "90", "a fraction": 1.5, "101": 101, "negative": -1})
NUMBER = Type("OBJ-001", {"a string": "1", "an object": {}})
BOOL = Type("OBJ-001", {"a string": "true", "a number": 1})
LIST = Type("OBJ-001", {"an object": {}, "a string": "x"})
OBJECT = Type("OBJ-001", {"a list": [], "a string": "x"})
DURATION = Type("OBJ-001", {"no duration": "1H", "a number": 3600})
INSTANT = Type("OBJ-001", {"no instant": "yesterday", "a number": 5})
URI = Type("OBJ-012", {"without scheme": "www.example.com/x", "relative": "/x", "empty": "", "a number": 5})
WORD = Type("OBJ-003", {"an unknown word": "NONSENSE", "a number": 5})
ANY = Type("", {})
POINT = Type("OBJ-011", {"without y": {"x": 1.0}, "without x": {"y": 1.0}, "a text as x": {"x": "1", "y": 1.0}})


@dataclass(frozen=True)
class Field:
    """One member; `path` leads through members and list positions: `intervals.0.id`."""

    path: str
    type: Type
    required: bool = False
    default: Any = None
    steps: tuple[str | int, ...] = field(init=False)

    def __post_init__(self) -> None:
        parts = tuple(int(part) if part.isdecimal() else part for part in self.path.split("."))
        object.__setattr__(self, "steps", parts)

    @property
    def optional(self) -> bool:
        """Return True if the member may be left out; an element of a list is neither optional nor required."""
        return not self.required and isinstance(self.steps[-1], str)

    def put(self, body: Obj, value: Any) -> Obj:
        """Return a copy of the body with this value there; `ABSENT` takes the member out."""
        changed: Any = copy.deepcopy(body)
        holder = changed
        for step in self.steps[:-1]:
            holder = holder[step]
        if value is ABSENT:
            del holder[self.steps[-1]]
        else:
            holder[self.steps[-1]] = copy.deepcopy(value)
        return dict(changed)

    def get(self, body: Obj) -> Any:
        """Return the value in the body, `ABSENT` if the member or one above it is missing."""
        value: Any = body
        for step in self.steps:
            try:
                value = value[step]
            except (KeyError, IndexError, TypeError):
                return ABSENT
        return value


def _below(path: str, *fields: Field) -> tuple[Field, ...]:
    return tuple(Field(f"{path}.{one.path}", one.type, one.required, one.default) for one in fields)


_PERIOD = (Field("start", INSTANT), Field("duration", DURATION), Field("randomizeStart", DURATION))
_VALUES_MAP = (Field("type", NAME, required=True), Field("values", LIST, required=True), Field("values.0", POINT))
_INTERVAL = (
    Field("id", INT32, required=True),
    Field("payloads", LIST, required=True),
    *_below("payloads.0", *_VALUES_MAP),
    Field("intervalPeriod", OBJECT),
    *_below("intervalPeriod", *_PERIOD),
)
_DESCRIPTOR = (Field("objectType", WORD), Field("payloadType", NAME, required=True), Field("units", NAME))
_EVENT_DESCRIPTOR = (*_DESCRIPTOR, Field("currency", TEXT))
_REPORT_DESCRIPTOR = (
    *_DESCRIPTOR,
    Field("readingType", NAME),
    Field("accuracy", NUMBER),
    Field("confidence", PERCENT),
)
_TARGETS = (Field("targets", LIST), Field("targets.0", NAME))
_ATTRIBUTES = (Field("attributes", LIST), *_below("attributes.0", *_VALUES_MAP))

FIELDS: Final[Mapping[str, tuple[Field, ...]]] = {
    "program": (
        Field("programName", NAME, required=True),
        Field("intervalPeriod", OBJECT),
        *_below("intervalPeriod", *_PERIOD),
        Field("programDescriptions", LIST),
        Field("programDescriptions.0.URL", URI, required=True),
        Field("payloadDescriptors", LIST),
        *_below("payloadDescriptors.0", *_EVENT_DESCRIPTOR),
        *_below("payloadDescriptors.1", *_REPORT_DESCRIPTOR),
        *_ATTRIBUTES,
        *_TARGETS,
    ),
    "event": (
        Field("programID", ID, required=True),
        Field("eventName", TEXT),
        Field("duration", DURATION, default="PT0S"),
        Field("priority", NATURAL),
        Field("reportDescriptors", LIST),
        *_below(
            "reportDescriptors.0",
            Field("payloadType", NAME, required=True),
            Field("readingType", NAME),
            Field("units", NAME),
            *_TARGETS,
            Field("aggregate", BOOL, default=False),
            Field("startInterval", INT32, default=-1),
            Field("numIntervals", INT32, default=-1),
            Field("historical", BOOL, default=True),
            Field("frequency", INT32, default=-1),
            Field("repeat", INT32, default=1),
            Field("reportIntervals", WORD, default="INTERVALS"),
        ),
        Field("payloadDescriptors", LIST),
        *_below("payloadDescriptors.0", *_EVENT_DESCRIPTOR),
        Field("intervalPeriod", OBJECT),
        *_below("intervalPeriod", *_PERIOD),
        Field("intervals", LIST),
        *_below("intervals.0", *_INTERVAL),
        *_TARGETS,
    ),
    "report": (
        Field("eventID", ID, required=True),
        Field("clientName", NAME, required=True),
        Field("reportName", TEXT),
        Field("payloadDescriptors", LIST),
        *_below("payloadDescriptors.0", *_REPORT_DESCRIPTOR),
        Field("resources", LIST, required=True),
        *_below(
            "resources.0",
            Field("resourceName", NAME, required=True),
            Field("intervalPeriod", OBJECT),
            *_below("intervalPeriod", *_PERIOD),
            Field("intervals", LIST, required=True),
            *_below("intervals.0", *_INTERVAL),
        ),
    ),
    "subscription": (
        Field("clientName", NAME, required=True),
        Field("programID", ID),
        Field("objectOperations", LIST, required=True),
        *_below(
            "objectOperations.0",
            Field("objects", LIST, required=True),
            Field("objects.0", WORD),
            Field("operations", LIST, required=True),
            Field("operations.0", WORD),
            Field("callbackUrl", URI, required=True),
            Field("bearerToken", TEXT),
        ),
        *_TARGETS,
    ),
    "ven": (
        Field("objectType", WORD),
        Field("clientID", NAME, required=True),
        Field("venName", NAME, required=True),
        *_ATTRIBUTES,
        *_TARGETS,
    ),
    "resource": (
        Field("objectType", WORD),
        Field("clientID", NAME),
        Field("venID", ID, required=True),
        Field("resourceName", NAME, required=True),
        *_ATTRIBUTES,
        *_TARGETS,
    ),
}
"""Kind -> its members. `objectType` counts as optional: without it the VTN infers what is meant."""


def each_field() -> Iterator[tuple[str, Field]]:
    """Yield every member of every kind."""
    for kind, members in FIELDS.items():
        for member in members:
            yield kind, member


def needs_of(kind: str) -> str:
    """Return the needs of a check that writes a complete body of this kind."""
    return {"report": "ven", "subscription": "ven callback"}.get(kind, "")
