"""The meaning of an event's payloads in kW: one reading for the VEN, the bridge and everything that issues events.

==========================  ==========================================================================================
Payload                     Meaning
==========================  ==========================================================================================
DISPATCH_SETPOINT_RELATIVE  change of power; the standard does not say which sign asks for less (ENUM-020), so it is a
                            rule per program name, negative by default
IMPORT_CAPACITY_LIMIT       power that may be drawn at most; below 0 counts as 0
SIMPLE                      level 0 to 3: a share of what can be shed
==========================  ==========================================================================================

Units are KW, W or MW in any case: those of the event's descriptor, else of the program's (VENCLIENT-022), else KW.
Rules without I/O.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Final

from openadr_profiles.v31 import EventPayloadType, EventRequest, Program, Unit, Value, ValuesMap

SIMPLE: Final = EventPayloadType.SIMPLE.value
RELATIVE: Final = EventPayloadType.DISPATCH_SETPOINT_RELATIVE.value
IMPORT_LIMIT: Final = EventPayloadType.IMPORT_CAPACITY_LIMIT.value

KW_PER: Final[Mapping[str, Decimal]] = {"KW": Decimal(1), "W": Decimal("0.001"), "MW": Decimal(1000)}
"""kW of one of each unit of power; units are compared without regard to case."""

MOST_KW: Final = Decimal(10) ** 9
"""The largest power that is read, in kW: more than any grid has."""

_NOTHING: Final = Decimal(0)
_SHOWN: Final = 40


class PayloadNotUnderstood(ValueError):
    """A payload has no meaning in kW; the text names it, what is wrong with it, and what was expected."""


class Sign(StrEnum):
    """The sign of DISPATCH_SETPOINT_RELATIVE that asks for less consumption (ENUM-020)."""

    NEGATIVE_SHEDS = "negative_sheds"
    POSITIVE_SHEDS = "positive_sheds"
    ANY_SHEDS = "any_sheds"


@dataclass(frozen=True)
class Signs:
    """The sign that sheds: ``default``, and what differs from it by the name of the program."""

    default: Sign = Sign.NEGATIVE_SHEDS
    by_program: Mapping[str, Sign] = field(default_factory=dict)

    def of(self, program_name: str | None) -> Sign:
        """Return the sign that sheds in a program; the default if its name is not known."""
        return self.by_program.get(program_name or "", self.default)


class RequestKind(StrEnum):
    """The three ways an event can ask for less power."""

    SHED = "shed"  # so many kW less
    LIMIT = "limit"  # at most so many kW
    LEVEL = "level"  # a step from 0 to 3


KINDS: Final[Mapping[str, RequestKind]] = {
    RELATIVE: RequestKind.SHED,
    IMPORT_LIMIT: RequestKind.LIMIT,
    SIMPLE: RequestKind.LEVEL,
}
"""The payload types that ask for less power; where an event holds several at once, the first of these counts."""


@dataclass(frozen=True)
class PowerRequest:
    """A request for less power: kW (0 or more) of SHED and LIMIT, the level (0 to 3) of LEVEL."""

    kind: RequestKind
    value: Decimal

    def __str__(self) -> str:
        return f"{self.kind} {self.value.normalize():f}"

    def reduction_kw(self, *, used_kw: Decimal, sheddable_kw: Decimal, level_shares: Sequence[Decimal]) -> Decimal:
        """Return the reduction in kW, 0 or more.

        ``used_kw`` is what would be drawn without the event, ``sheddable_kw`` the most that can be shed, and
        ``level_shares`` the shares of it (0 to 1) that levels 0 to 3 ask for.
        """
        match self.kind:
            case RequestKind.SHED:
                return self.value
            case RequestKind.LIMIT:
                return max(used_kw - self.value, _NOTHING)
            case RequestKind.LEVEL:
                return sheddable_kw * level_shares[int(self.value)]


@dataclass(frozen=True)
class PayloadReader:
    """Read the payloads of one event. ``program`` is None if we may not see it; ``signs`` is the owner's rule."""

    event: EventRequest
    program: Program | None = None
    signs: Signs = Signs()

    @property
    def program_name(self) -> str | None:
        """Return the program's name, None if we may not see the program."""
        return self.program.program_name if self.program else None

    @property
    def asks_for_reduction(self) -> bool:
        """Return True if the event has any payload that can ask for less power."""
        return any(payload.type in KINDS for payload in _payloads(self.event))

    def units(self, payload_type: str) -> str | None:
        """Return the units of a payload type: the event's descriptor says, else the program's, else nobody."""
        for descriptor in self.event.payload_descriptors or ():
            if descriptor.payload_type == payload_type:
                return descriptor.units
        for default in (self.program.payload_descriptors if self.program else None) or ():
            if default.payload_type == payload_type:
                return default.units
        return None

    def request(self, payload_type: str, values: Sequence[Value]) -> PowerRequest:
        """Return what a payload of one of ``KINDS`` asks for with its first value.

        Raises:
            PayloadNotUnderstood: there is no value, or it or its units have no meaning for this payload type.
        """
        if not values:
            raise PayloadNotUnderstood(f"{payload_type} has no value: expected one")
        kind = KINDS[payload_type]
        if kind is RequestKind.LEVEL:
            return PowerRequest(kind, Decimal(_level(values[0])))
        kw = _in_kw(payload_type, values[0], self.units(payload_type))
        if kind is RequestKind.LIMIT:
            return PowerRequest(kind, min(max(kw, _NOTHING), MOST_KW))
        if abs(kw) > MOST_KW:
            raise PayloadNotUnderstood(
                f"{payload_type} has the value {_shown(values[0])}: expected at most {MOST_KW:,} kW"
            )
        return PowerRequest(kind, reduction_kw(kw, self.signs.of(self.program_name)))

    def largest_stated_kw(self) -> Decimal:
        """Return the largest reduction that the event states in kW by itself (relative setpoints), 0 if none.

        Raises:
            PayloadNotUnderstood: any payload that can ask for less power has no meaning; says which and why.
        """
        largest = _NOTHING
        for payload in _payloads(self.event):
            if payload.type not in KINDS:
                continue
            requests = [self.request(payload.type, (value,)) for value in payload.values]
            if not requests:
                self.request(payload.type, ())
            if payload.type == RELATIVE:
                largest = max(largest, *(request.value for request in requests))
        return largest


def reduction_kw(kw: Decimal, sign: Sign) -> Decimal:
    """Return the reduction in kW that a relative setpoint asks for; 0 if it asks for more use."""
    if sign is Sign.ANY_SHEDS:
        return abs(kw)
    return max(kw if sign is Sign.POSITIVE_SHEDS else -kw, _NOTHING)


def asked_kw(request: EventRequest) -> Decimal | None:
    """Return the largest change of power that an event asks of each VEN, in kW without sign; None if not in kW."""
    found = [_relative_kw(request, interval.payloads) for interval in request.intervals or ()]
    return max((abs(kw) for values in found for kw in values), default=None)


def asked_by_ven_kw(request: EventRequest, payloads: Iterable[ValuesMap]) -> Decimal | None:
    """Return the shed that the payloads of an interval ask of each VEN, in kW; None if they ask for none in kW.

    Several values share the interval's time equally (TIME-029), so their mean counts.
    """
    values = _relative_kw(request, payloads)
    return None if not values else -sum(values, _NOTHING) / len(values)


def relative_units(request: EventRequest) -> str | None:
    """Return the units of relative setpoints by the event's own descriptors; None if it leaves them to its program."""
    units = {each.payload_type: each.units for each in request.payload_descriptors or ()}
    return units.get(RELATIVE)


def unreadable_power(request: EventRequest) -> str | None:
    """Return why a VEN could not read a relative setpoint whose units it knows, None if it can read all."""
    reader = PayloadReader(request)
    if (reader.units(RELATIVE) or Unit.KW).upper() not in KW_PER:
        return None
    for payload in _payloads(request):
        for value in payload.values if payload.type == RELATIVE else ():
            try:
                reader.request(RELATIVE, (value,))
            except PayloadNotUnderstood as error:
                return str(error)
    return None


def _relative_kw(request: EventRequest, payloads: Iterable[ValuesMap]) -> list[Decimal]:
    """Return the relative setpoints in kW, with their sign; those that cannot be read are left out."""
    units = relative_units(request)
    found = []
    for payload in payloads:
        for value in payload.values if payload.type == RELATIVE else ():
            try:
                found.append(_in_kw(RELATIVE, value, units))
            except PayloadNotUnderstood:
                continue
    return [kw for kw in found if abs(kw) <= MOST_KW]


def _in_kw(payload_type: str, value: Value, units: str | None) -> Decimal:
    """Return a power in kW, of any size; raises PayloadNotUnderstood."""
    factor = KW_PER.get((units or Unit.KW).upper())
    if factor is None:
        raise PayloadNotUnderstood(f"{payload_type} in {_shown(units, quoted=False)}: only KW, W and MW are understood")
    if isinstance(value, bool) or not isinstance(value, int | float) or not _is_finite(value):
        raise PayloadNotUnderstood(f"{payload_type} has the value {_shown(value)}: expected a number")
    return (Decimal(value) if isinstance(value, int) else Decimal(str(value))) * factor


def _is_finite(value: float) -> bool:
    return -math.inf < value < math.inf  # also for whole numbers that no float can hold; False for NaN


def _level(value: Value) -> int:
    if not isinstance(value, bool) and isinstance(value, int | float) and value in {0, 1, 2, 3}:
        return int(value)
    raise PayloadNotUnderstood(f"SIMPLE has the value {_shown(value)}: expected 0, 1, 2 or 3")


def _shown(value: object, *, quoted: bool = True) -> str:
    """Return a value for an error text, at most 40 characters of it."""
    if isinstance(value, int) and value.bit_length() > 128:
        return f"of {value.bit_length()} bits"
    text = repr(value) if quoted else str(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _payloads(event: EventRequest) -> Iterator[ValuesMap]:
    for interval in event.intervals or ():
        yield from interval.payloads
