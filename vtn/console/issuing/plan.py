"""Read what was typed as an event: every mistake with its field, what is wrong, and what was expected."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo
from decimal import Decimal, InvalidOperation
from typing import Final

from msgspec.structs import replace

from openadr_profiles.fleet.building import REPORTS, shed_setpoint_kw
from openadr_profiles.fleet.division import Basis
from openadr_profiles.fleet.event_text import UnreadableEvent, event_from_csv
from openadr_profiles.fleet.quantities import length, moment, power_kw
from openadr_profiles.v31 import (
    Duration,
    EventPayloadDescriptor,
    EventPayloadType,
    EventRequest,
    Interval,
    IntervalPeriod,
    Invalid,
    Start,
    Unit,
    Value,
    ValuesMap,
    decode,
    encode,
)
from vtn.console.issuing.typed import KINDS, MOST_NAMES, TypedEvent, lines

NO_PROGRAM: Final = "-"
"""The program of an event whose program is not there yet."""
MOST_INTERVALS: Final = 3000
TEST_EVENT: Final = "OADR20B_TEST_EVENT"
"""The payload that marks a test; VENs of OpenADR 2.0b are told by it that it is one."""
_MOST_PRICE: Final = Decimal(10) ** 9
_TYPES: Final[Mapping[str, EventPayloadType]] = {
    "shed": EventPayloadType.DISPATCH_SETPOINT_RELATIVE,
    "total": EventPayloadType.DISPATCH_SETPOINT_RELATIVE,
    "level": EventPayloadType.SIMPLE,
    "price": EventPayloadType.PRICE,
    "import": EventPayloadType.IMPORT_CAPACITY_LIMIT,
    "export": EventPayloadType.EXPORT_CAPACITY_LIMIT,
    "setpoint": EventPayloadType.DISPATCH_SETPOINT,
}
_POWERS: Final = frozenset({"shed", "total", "import", "export", "setpoint"})


@dataclass(frozen=True)
class FormProblem:
    """Hold what is wrong with a field of the form."""

    field: str
    text: str


@dataclass(frozen=True)
class NamesMeant:
    """Hold what names in a form stand for: ids of vens, targets of resources by name, the program's id if any."""

    vens: Mapping[str, str] = field(default_factory=dict)
    resources: Mapping[str, Sequence[tuple[str, ...]]] = field(default_factory=dict)
    program_id: str | None = None


@dataclass(frozen=True)
class EventPlan:
    """An event that was typed without mistakes. ``total_kw`` is to be shared out, one for each interval, if it is."""

    event: EventRequest
    total_kw: tuple[Decimal, ...] | None = None
    share: Basis = "capacity"

    def part(self, values: Sequence[Value], _: EventPayloadType, targets: Sequence[str]) -> EventRequest:
        """Return the event with other values, one for each interval, and other targets."""
        intervals = tuple(
            replace(interval, payloads=(replace(interval.payloads[0], values=(value,)), *interval.payloads[1:]))
            for interval, value in zip(self.event.intervals or (), values, strict=True)
        )
        return replace(self.event, intervals=intervals, targets=tuple(targets) or None)


def read_plan(
    typed: TypedEvent, known: NamesMeant, *, now: datetime, zone: tzinfo
) -> EventPlan | tuple[FormProblem, ...]:
    """Return the event that was typed, local times read in a zone; or everything that is wrong with it."""
    return _Reader(typed, known, now, zone).plan()


def as_test(event: EventRequest, ven_id: str, *, now: datetime, minutes: int) -> EventRequest:
    """Return a short event for one VEN alone that asks for what the first interval does, and says that it is a test."""
    first = (event.intervals or (Interval(id=0, payloads=()),))[0]
    mark = ValuesMap(type=TEST_EVENT, values=(True,))
    period = IntervalPeriod(start=Start.of(now), duration=Duration.of(timedelta(minutes=minutes)))
    return replace(
        event,
        event_name=f"TEST {event.event_name or ''}".strip()[:128],
        targets=(ven_id,),
        duration=None,
        interval_period=period,
        intervals=(Interval(id=0, payloads=(*first.payloads, mark)),),
    )


class _Reader:
    def __init__(self, typed: TypedEvent, known: NamesMeant, now: datetime, zone: tzinfo) -> None:
        self._typed, self._known, self._now, self._zone = typed, known, now, zone
        self._problems: list[FormProblem] = []

    def plan(self) -> EventPlan | tuple[FormProblem, ...]:
        typed = self._typed
        if typed.kind not in KINDS:
            return (FormProblem("kind", f"{typed.kind!r} is none; expected one of {', '.join(KINDS)}"),)
        targets = self._targets()
        common = {
            "program_id": self._known.program_id or NO_PROGRAM,
            "event_name": typed.name.strip() or None,
            "priority": self._priority(),
            "targets": targets or None,
            "report_descriptors": REPORTS if typed.report else None,
        }
        if not typed.program.strip():
            self._wrong("program", "missing; expected the name of a program")
        event = self._from_csv() if typed.shape == "csv" else self._from_fields()
        if self._problems or event is None:
            return tuple(self._problems)
        event = replace(event, **common)
        try:
            event = decode(encode(event), EventRequest)
        except Invalid as error:
            return (FormProblem(_FIELDS.get(str(error).partition(":")[0].partition("[")[0], "value"), str(error)),)
        total = None
        if typed.kind == "total" and typed.shape != "csv":
            values = [interval.payloads[0].values[0] for interval in event.intervals or ()]
            total = tuple(Decimal(str(value)) for value in values)
        return EventPlan(event, total, "equal" if typed.share == "equal" else "capacity")

    def _wrong(self, field_: str, text: str) -> None:
        self._problems.append(FormProblem(field_, text))

    def _priority(self) -> int | None:
        text = self._typed.priority.strip()
        if not text:
            return None
        if not (text.isascii() and text.isdigit() and len(text) < 10):
            self._wrong("priority", f"{text!r} is none; expected a whole number, 0 for the highest, or nothing")
            return None
        return int(text)

    def _targets(self) -> tuple[str, ...]:
        typed = self._typed
        named, vens, resources = lines(typed.targets), lines(typed.vens), lines(typed.resources)
        if typed.who == "everybody":
            if typed.group or named or vens or resources:
                self._wrong("who", "everybody is chosen, and somebody is named as well; expected one or the other")
            return ()
        if typed.who != "some":
            self._wrong("who", "nobody is chosen; expected a group, a target, a VEN or a resource, or everybody")
            return ()
        if len(named) + len(vens) + len(resources) + len(typed.group) > MOST_NAMES:
            self._wrong("targets", f"more than {MOST_NAMES:,} are named; expected a group that they hold together")
            return ()
        found = [*typed.group, *named]
        for name in vens:
            if name in self._known.vens:
                found.append(self._known.vens[name])
            else:
                self._wrong("vens", f"there is no VEN {name!r}; expected names or ids, one in each line")
        for name in resources:
            found += self._of_resource(name)
        if not found and not self._problems:
            self._wrong("who", "some are chosen, and nobody is named; expected a group, a target, a VEN or a resource")
        return tuple(dict.fromkeys(found))

    def _of_resource(self, name: str) -> list[str]:
        """Return the target that stands for a resource: the one of its name, else its only one."""
        held = self._known.resources.get(name)
        if not held:
            self._wrong("resources", f"there is no resource {name!r}; expected names, one in each line")
            return []
        own = {target for targets in held for target in targets if target in {name, f"resource:{name}"}}
        found = own or ({target for targets in held for target in targets} if all(len(e) == 1 for e in held) else set())
        if len(found) != 1:
            self._wrong(
                "resources",
                f"resource {name!r} has no target of its own; expected one as resource:{name}, given with the resource",
            )
            return []
        return list(found)

    def _from_csv(self) -> EventRequest | None:
        try:
            event = event_from_csv(self._typed.csv, now=self._now, program_id=NO_PROGRAM, zone=self._zone)
        except UnreadableEvent as error:
            self._wrong("csv", str(error))
            return None
        if len(event.intervals or ()) > MOST_INTERVALS:
            self._wrong("csv", f"has {len(event.intervals or ()):,} lines; expected at most {MOST_INTERVALS:,}")
        return event

    def _from_fields(self) -> EventRequest | None:
        start = self._moment("start", "now, 18:00, tomorrow 18:00")
        steps = self._table(start) if self._typed.shape == "table" else self._one(start)
        if start is None or steps is None or self._problems:
            return None
        type_, descriptor = self._payload_type()
        if self._problems:
            return None
        lengths = [each for each, _ in steps]
        equal = len(set(lengths)) == 1
        intervals = tuple(
            Interval(
                id=number,
                interval_period=None if equal else IntervalPeriod(duration=Duration.of(each)),
                payloads=() if value is None else (ValuesMap(type=type_, values=(value,)),),
            )
            for number, (each, value) in enumerate(steps)
        )
        return EventRequest(
            program_id=NO_PROGRAM,
            interval_period=IntervalPeriod(start=Start.of(start), duration=Duration.of(lengths[0]) if equal else None),
            payload_descriptors=None if descriptor is None else (descriptor,),
            intervals=intervals,
        )

    def _moment(self, field_: str, expected: str) -> datetime | None:
        text = getattr(self._typed, field_).strip()
        if not text:
            self._wrong(field_, f"missing; expected a time such as {expected}")
            return None
        try:
            return moment(text, now=self._now, zone=self._zone)
        except ValueError as error:
            self._wrong(field_, str(error))
            return None

    def _one(self, start: datetime | None) -> list[tuple[timedelta, Value | None]] | None:
        typed, whole = self._typed, None
        if typed.ends == "until":
            end = self._moment("end", "19:00, tomorrow 19:00")
            if end is not None and start is not None:
                if end <= start:
                    self._wrong("end", "is not after the start; expected a later time")
                else:
                    whole = end - start
        else:
            whole = self._length("length", typed.length)
        value = self._value("value", typed.value)
        return None if whole is None or self._problems else [(whole, value)]

    def _table(self, start: datetime | None) -> list[tuple[timedelta, Value | None]] | None:
        found: list[tuple[timedelta, Value | None]] = []
        typed = self._typed
        for number, (long, what) in enumerate(zip(typed.row_length, typed.row_value, strict=False), start=1):
            if not long.strip() and not what.strip():
                continue
            whole = self._length("rows", long, f"row {number}, how long: ")
            value = self._value("rows", what, f"row {number}, value: ")
            if whole is not None:
                found.append((whole, value))
        if not found and not self._problems:
            self._wrong("rows", "the table is empty; expected at least one row with a length and a value")
        return None if self._problems or start is None else found

    def _length(self, field_: str, text: str, where: str = "") -> timedelta | None:
        try:
            if not text.strip():
                raise ValueError("missing; expected a length of time such as 1h or 15m")
            return length(text)
        except ValueError as error:
            self._wrong(field_, f"{where}{error}")
            return None

    def _value(self, field_: str, text: str, where: str = "") -> Value | None:
        kind, text = self._typed.kind, text.strip()
        if kind == "blank":
            return None
        try:
            if not text:
                raise ValueError(f"missing; expected {_EXPECTED[kind]}")
            if kind in _POWERS:
                kw = power_kw(text)
                return shed_setpoint_kw(kw) if kind == "shed" else float(kw)
            if kind == "level":
                if text not in {"0", "1", "2", "3"}:
                    raise ValueError(f"{text!r} is no level; expected 0, 1, 2 or 3")
                return int(text)
            return _price(text) if kind == "price" else _scalar(text)
        except ValueError as error:
            self._wrong(field_, f"{where}{error}")
            return None

    def _payload_type(self) -> tuple[str, EventPayloadDescriptor | None]:
        typed = self._typed
        type_: str | None = _TYPES.get(typed.kind)
        if typed.kind == "blank":
            return "", None
        units = typed.units.strip().upper() or None
        if typed.kind == "payload":
            type_ = typed.payload_type.strip()
            if not type_:
                self._wrong("payload_type", "missing; expected the name of a payload type such as CONTROL_LEVEL_OFFSET")
        if typed.kind in _POWERS:
            return str(type_), EventPayloadDescriptor(payload_type=str(type_), units=Unit.KW)
        if typed.kind == "price":
            currency = typed.currency.strip().upper() or None
            return str(type_), EventPayloadDescriptor(payload_type=str(type_), units=Unit.KWH, currency=currency)
        has_units = typed.kind == "payload" and units is not None
        return str(type_), EventPayloadDescriptor(payload_type=str(type_), units=units) if has_units else None


def _price(text: str) -> float:
    try:
        price = Decimal(text)
    except InvalidOperation:
        raise ValueError(f"{text!r} is no price; expected a number such as 0.32") from None
    if not price.is_finite() or abs(price) > _MOST_PRICE:
        raise ValueError(f"{text!r} is no price; expected a number of at most {_MOST_PRICE:,}")
    return float(price)


def _scalar(text: str) -> Value:
    """Return a number, true or false as such, and any other text as it is."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return text
    if isinstance(found, bool):
        return found
    if isinstance(found, int | float):
        if not math.isfinite(found) or abs(found) > 10**18:
            raise ValueError(f"{text!r} is too large; expected a number of at most 10^18")
        return found
    return text


_EXPECTED: Final[Mapping[str, str]] = {
    **dict.fromkeys(_POWERS, "a power such as 5kW"),
    "level": "0, 1, 2 or 3",
    "price": "a number such as 0.32",
    "payload": "a number or a text",
}
_FIELDS: Final[Mapping[str, str]] = {
    "eventName": "name",
    "priority": "priority",
    "targets": "targets",
    "programID": "program",
    "payloadDescriptors": "units",
}
