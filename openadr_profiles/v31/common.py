"""The small types that every OpenADR 3.1 object is made of: identifiers, texts, values, periods, intervals, metadata.

Wire structs are frozen; each member states its wire name. An optional member that is absent is ``None`` and is left out
when written (GEN-018), so nothing is invented and what was sent comes back (COMPAT-047).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Final, Protocol, TypeAlias

from msgspec import Meta, Struct, field

from openadr_profiles.v31.duration import Duration
from openadr_profiles.v31.instant import Start

OBJECT_ID: Final = r"\A[a-zA-Z0-9_-]*\Z"
URI: Final = r"\A[A-Za-z][A-Za-z0-9+.-]*:\S+\Z"

ObjectID: TypeAlias = Annotated[str, Meta(min_length=1, max_length=128, pattern=OBJECT_ID)]
Name: TypeAlias = Annotated[str, Meta(min_length=1, max_length=128)]
Target: TypeAlias = Annotated[str, Meta(min_length=1, max_length=128)]
Text: TypeAlias = Annotated[str, Meta(max_length=4096)]  # OBJ-007: texts the schema leaves unlimited
Uri: TypeAlias = Annotated[str, Meta(min_length=2, max_length=8000, pattern=URI)]
Instant: TypeAlias = Annotated[datetime, Meta(tz=True)]
Int32: TypeAlias = Annotated[int, Meta(ge=-(2**31), le=2**31 - 1)]


class Wire(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Base of every wire struct. Frozen documents have no cycles, so the garbage collector need not look at them."""


class Point(Wire, frozen=True, kw_only=True):
    """A pair of numbers, for curves (OBJ-011)."""

    x: int | float
    y: int | float


Value: TypeAlias = int | float | str | bool | Point


class ValuesMap(Wire, frozen=True, kw_only=True):
    """A type and its values: a payload of an interval, or an attribute."""

    type: Name
    values: tuple[Value, ...]


class IntervalPeriod(Wire, frozen=True, kw_only=True):
    """Start, duration and randomization of an interval. Each member is inherited on its own (TIME-010)."""

    start: Start | None = None
    duration: Duration | None = None
    randomize_start: Duration | None = field(name="randomizeStart", default=None)


class Interval(Wire, frozen=True, kw_only=True):
    """An interval and its payloads. ``id`` is the client's own number, not a sequence (EVT-008)."""

    id: Int32
    interval_period: IntervalPeriod | None = field(name="intervalPeriod", default=None)
    payloads: tuple[ValuesMap, ...]


class Metadata(Protocol):
    """The members that the VTN writes into every stored object.

    Struct layouts cannot be mixed in, so each stored struct declares these four itself.
    """

    @property
    def id(self) -> str: ...
    @property
    def created_date_time(self) -> datetime: ...
    @property
    def modification_date_time(self) -> datetime: ...
    @property
    def object_type(self) -> str: ...


def distinct(targets: Iterable[str] | None) -> tuple[str, ...]:
    """Targets without repetitions, first position kept; ``[]`` and null are both "untargeted" (OBJ-010)."""
    return tuple(dict.fromkeys(targets or ()))
