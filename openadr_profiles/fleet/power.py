"""The meaning of an event's payloads in kW: one reading for the VEN, the bridge and everything that issues events.

==========================  ==========================================================================================
Payload                     Meaning
==========================  ==========================================================================================
DISPATCH_SETPOINT_RELATIVE  change of power; the standard does not say which sign asks for less (ENUM-020), so it is a
                            rule per program name, negative by default
DISPATCH_SETPOINT           power to be drawn; below 0 counts as 0, and more than is drawn asks for nothing
IMPORT_CAPACITY_LIMIT       power that may be drawn at most; below 0 counts as 0
EXPORT_CAPACITY_LIMIT       power that may be fed in at most; below 0 counts as 0
SIMPLE                      level 0 to 3: a share of what can be shed
CONTROL_LEVEL_OFFSET        -10 to 10: tenths of what can be shed; below 0 asks for more use, which is for nobody here
CONTROL_LEVEL_OFFSET_…      PERCENT, -1 to 1: a share of what can be shed; the standard contradicts itself about the
                            sign, so without a rule of the owner it asks for nothing
CHARGE_STATE_SETPOINT       storage is charged up to it and no further (``charge``): no power of its own
PRICE, GHG, ALERT_…         a level of SIMPLE by thresholds of the owner; without any they ask for nothing
==========================  ==========================================================================================

Units are KW, W or MW in any case: those of the event's descriptor, else of the program's (VENCLIENT-022), else KW.
Rules without I/O.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from functools import cached_property
from typing import Final

from openadr_profiles.fleet.charge import CHARGE, PERCENT, charge_setpoint
from openadr_profiles.fleet.numbers import Distinct, first, number, shown, whole
from openadr_profiles.fleet.numbers import PayloadNotUnderstood as PayloadNotUnderstood  # noqa: PLC0414 - raised here, so found here
from openadr_profiles.fleet.thresholds import ALERTS, GHG, NO_THRESHOLDS, PRICE, Thresholds, price_per_kwh
from openadr_profiles.v31 import EventPayloadType, EventRequest, Program, Unit, Value, ValuesMap

SIMPLE: Final = EventPayloadType.SIMPLE.value
RELATIVE: Final = EventPayloadType.DISPATCH_SETPOINT_RELATIVE.value
SETPOINT: Final = EventPayloadType.DISPATCH_SETPOINT.value
IMPORT_LIMIT: Final = EventPayloadType.IMPORT_CAPACITY_LIMIT.value
EXPORT_LIMIT: Final = EventPayloadType.EXPORT_CAPACITY_LIMIT.value
OFFSET: Final = EventPayloadType.CONTROL_LEVEL_OFFSET.value
OFFSET_PERCENT: Final = EventPayloadType.CONTROL_LEVEL_OFFSET_PERCENT.value

KW_PER: Final[Mapping[str, Decimal]] = {"KW": Decimal(1), "W": Decimal("0.001"), "MW": Decimal(1000)}
"""kW of one of each unit of power; units are compared without regard to case."""

MOST_KW: Final = Decimal(10) ** 9
"""The largest power that is read, in kW: more than any grid has."""

_NOTHING: Final = Decimal(0)
_LARGEST_OFFSET: Final = 10


class Sign(StrEnum):
    """The sign of DISPATCH_SETPOINT_RELATIVE that asks for less consumption (ENUM-020)."""

    NEGATIVE_SHEDS = "negative_sheds"
    POSITIVE_SHEDS = "positive_sheds"
    ANY_SHEDS = "any_sheds"


@dataclass(frozen=True)
class Signs:
    """The sign that sheds: ``default``, and what differs from it by the name of the program.

    ``percent_offset`` is that of CONTROL_LEVEL_OFFSET_PERCENT; None: nobody has said which, so it asks for nothing.
    """

    default: Sign = Sign.NEGATIVE_SHEDS
    by_program: Mapping[str, Sign] = field(default_factory=dict)
    percent_offset: Sign | None = None

    def of(self, program_name: str | None) -> Sign:
        """Return the sign that sheds in a program; the default if its name is not known."""
        return self.by_program.get(program_name or "", self.default)


class RequestKind(StrEnum):
    """The ways in which an event can ask for less power."""

    SHED = "shed"  # so many kW less
    SETPOINT = "setpoint"  # so many kW, if more is drawn
    LIMIT = "limit"  # at most so many kW
    EXPORT = "export limit"  # at most so many kW fed in
    LEVEL = "level"  # a step from 0 to 3
    SHARE = "share"  # a share of what can be shed, 0 to 1
    CHARGE = "charge"  # storage is charged no further


KINDS: Final[Mapping[str, RequestKind]] = {
    RELATIVE: RequestKind.SHED,
    SETPOINT: RequestKind.SETPOINT,
    IMPORT_LIMIT: RequestKind.LIMIT,
    EXPORT_LIMIT: RequestKind.EXPORT,
    SIMPLE: RequestKind.LEVEL,
    OFFSET: RequestKind.SHARE,
    OFFSET_PERCENT: RequestKind.SHARE,
    CHARGE: RequestKind.CHARGE,
    **dict.fromkeys((PRICE, GHG, *ALERTS), RequestKind.LEVEL),
}
"""The payload types that can ask for less power; where an event holds several at once, the first of these counts."""


@dataclass(frozen=True)
class PowerRequest:
    """A request for less power: the kW (0 or more) asked for, or the level (0 to 3) or share (0 to 1)."""

    kind: RequestKind
    value: Decimal

    def __str__(self) -> str:
        return f"{self.kind} {self.value.normalize():f}"

    def reduction_kw(self, *, used_kw: Decimal, sheddable_kw: Decimal, level_shares: Sequence[Decimal]) -> Decimal:
        """Return the reduction in kW, 0 or more.

        ``used_kw`` is what would be drawn without the event (negative: fed in), ``sheddable_kw`` the most that can be
        shed, and ``level_shares`` the shares of it (0 to 1) that levels 0 to 3 ask for. Of EXPORT it is the reduction
        of what is fed in.
        """
        match self.kind:
            case RequestKind.SHED:
                return self.value
            case RequestKind.LIMIT | RequestKind.SETPOINT:
                return max(used_kw - self.value, _NOTHING)
            case RequestKind.EXPORT:
                return max(-used_kw - self.value, _NOTHING)
            case RequestKind.LEVEL:
                return sheddable_kw * level_shares[int(self.value)]
            case RequestKind.SHARE:
                return sheddable_kw * self.value
            case RequestKind.CHARGE:
                return _NOTHING


@dataclass(frozen=True)
class PayloadReader:
    """Read the payloads of one event. ``program`` is None if we may not see it.

    ``signs`` and ``thresholds`` are the owner's rules; ``stores`` says that there is storage whose charge is known, and
    ``feeds_in`` that there are circuits whose feeding in can be limited.
    """

    event: EventRequest
    program: Program | None = None
    signs: Signs = Signs()
    thresholds: Thresholds = NO_THRESHOLDS
    stores: bool = False
    feeds_in: bool = False

    @property
    def program_name(self) -> str | None:
        """Return the program's name, None if we may not see the program."""
        return self.program.program_name if self.program else None

    @property
    def asks_for_reduction(self) -> bool:
        """Return True if the event has any payload that can ask for less power."""
        return any(self.why_not(payload.type) is None for payload in _payloads(self.event))

    @property
    def payload_types(self) -> Collection[str]:
        """Return the types of the payloads of the event."""
        return self._distinct.keys()

    def price(self, values: Sequence[Value]) -> tuple[Decimal, str | None]:
        """Return the price per kWh that a payload of PRICE tells, and its currency (None: nobody says).

        Raises:
            PayloadNotUnderstood: there is no value, or it or its units have no meaning for a price.
        """
        units, currency = self._described(PRICE)
        return price_per_kwh(first(PRICE, values), units), currency

    def why_not(self, payload_type: str) -> str | None:
        """Return why a payload type can never ask for less power here, None if it can."""
        if payload_type not in KINDS:
            return "such payloads mean nothing here"
        if payload_type == CHARGE:
            return None if self.stores else "no circuit is said to store energy"
        if payload_type == EXPORT_LIMIT:
            return None if self.feeds_in else "no circuit can be limited in what it feeds in"
        if payload_type == OFFSET_PERCENT:
            return None if self.signs.percent_offset else "nobody has said which sign of it sheds"
        by_threshold = KINDS[payload_type] is RequestKind.LEVEL and payload_type != SIMPLE
        return self.thresholds.why_not(payload_type) if by_threshold else None

    def units(self, payload_type: str) -> str | None:
        """Return the units of a payload type: the event's descriptor says, else the program's, else nobody."""
        return self._described(payload_type)[0]

    def request(self, payload_type: str, values: Sequence[Value]) -> PowerRequest:
        """Return what a payload of one of ``KINDS`` asks for with its first value.

        Raises:
            PayloadNotUnderstood: there is no value, or it or its units have no meaning for this payload type.
        """
        kind, units = KINDS[payload_type], self.units(payload_type)
        if kind is RequestKind.LEVEL:
            return PowerRequest(kind, Decimal(self._level(payload_type, values)))
        if kind is RequestKind.CHARGE:
            charge_setpoint(values, units)
            return PowerRequest(kind, _NOTHING)
        value = first(payload_type, values)
        if payload_type == OFFSET_PERCENT:
            return PowerRequest(kind, _percent_share(value, units, self.signs.percent_offset or Sign.ANY_SHEDS))
        if kind is RequestKind.SHARE:
            offset = whole(payload_type, value, -_LARGEST_OFFSET, _LARGEST_OFFSET)
            return PowerRequest(kind, Decimal(max(offset, 0)) / _LARGEST_OFFSET)
        kw = _in_kw(payload_type, value, units)
        if kind is not RequestKind.SHED:
            return PowerRequest(kind, min(max(kw, _NOTHING), MOST_KW))
        if abs(kw) > MOST_KW:
            raise PayloadNotUnderstood(f"{payload_type} has the value {shown(value)}: expected at most {MOST_KW:,} kW")
        return PowerRequest(kind, reduction_kw(kw, self.signs.of(self.program_name)))

    def largest_stated_kw(self) -> Decimal:
        """Return the largest reduction that the event states in kW by itself (relative setpoints), 0 if none.

        Raises:
            PayloadNotUnderstood: any payload that can ask for less power has no meaning; says which and why.
        """
        requests = [request for payload_type in self._distinct for request in self._requests(payload_type)]
        return max((each.value for each in requests if each.kind is RequestKind.SHED), default=_NOTHING)

    def not_acted_on(self) -> dict[str, str]:
        """Return the payload types of the event that can change nothing here, each with the reason for people.

        The values must be understood (``largest_stated_kw``).
        """
        reasons = {payload_type: self.why_not(payload_type) for payload_type in self._distinct}
        for payload_type in reasons.keys() & {RELATIVE, OFFSET, OFFSET_PERCENT}:
            if reasons[payload_type] is not None:
                continue
            if any(self._distinct[payload_type].numbers) and not any(r.value for r in self._requests(payload_type)):
                reasons[payload_type] = "it asks for more use"
        return {payload_type: why for payload_type, why in reasons.items() if why is not None}

    def _level(self, payload_type: str, values: Sequence[Value]) -> int:
        """Return the level (0 to 3) that a payload asks for; an alert needs no value."""
        if payload_type in ALERTS:
            return self.thresholds.alerts.get(payload_type, 0)
        value = first(payload_type, values)
        if payload_type == SIMPLE:
            return whole(SIMPLE, value, 0, 3)
        return self.thresholds.level(payload_type, value, *self._described(payload_type))

    def _requests(self, payload_type: str) -> list[PowerRequest]:
        """Return what the values of a type ask for, those between the least and the largest left out."""
        if self.why_not(payload_type) is not None:
            return []
        is_continuous = payload_type not in {SIMPLE, OFFSET}
        payloads = self._distinct[payload_type].telling(is_continuous=is_continuous)
        return [self.request(payload_type, values) for values in payloads]

    @cached_property
    def _distinct(self) -> dict[str, Distinct]:
        """Hold the distinct values by payload type, in the order of the event."""
        found: dict[str, list[Value]] = {}
        empty = set()
        for interval in self.event.intervals or ():
            for payload in interval.payloads:
                values = payload.values
                try:
                    found[payload.type] += values
                except KeyError:
                    found[payload.type] = [*values]
                if not values:
                    empty.add(payload.type)
        return {type_: Distinct.of(values, is_empty_once=type_ in empty) for type_, values in found.items()}

    def _described(self, payload_type: str) -> tuple[str | None, str | None]:
        """Return the units and the currency of a payload type (VENCLIENT-022)."""
        for descriptor in self.event.payload_descriptors or ():
            if descriptor.payload_type == payload_type:
                return descriptor.units, descriptor.currency
        for default in (self.program.payload_descriptors if self.program else None) or ():
            if default.payload_type == payload_type:
                return default.units, default.currency
        return None, None


def reduction_kw(kw: Decimal, sign: Sign) -> Decimal:
    """Return the reduction (in kW, or as a share) that a relative value asks for; 0 if it asks for more use."""
    if sign is Sign.ANY_SHEDS:
        return abs(kw)
    return max(kw if sign is Sign.POSITIVE_SHEDS else -kw, _NOTHING)


def _percent_share(value: Value, units: str | None, sign: Sign) -> Decimal:
    """Return the share of what can be shed that an offset in percent asks for; above 1 it is read as 0 to 100."""
    if (units or Unit.PERCENT).upper() not in PERCENT:
        raise PayloadNotUnderstood(f"{OFFSET_PERCENT} in {shown(units, quoted=False)}: only PERCENT is understood")
    found = number(OFFSET_PERCENT, value)
    share = found if abs(found) <= 1 else found / 100
    if abs(share) > 1:
        raise PayloadNotUnderstood(
            f"{OFFSET_PERCENT} has the value {shown(value)}: expected -1 to 1, or -100 to 100, PERCENT"
        )
    return reduction_kw(share, sign)


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
        raise PayloadNotUnderstood(f"{payload_type} in {shown(units, quoted=False)}: only KW, W and MW are understood")
    return number(payload_type, value) * factor


def _payloads(event: EventRequest) -> Iterator[ValuesMap]:
    for interval in event.intervals or ():
        yield from interval.payloads
