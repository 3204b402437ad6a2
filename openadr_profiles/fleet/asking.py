"""Tell what an event asks for, in words with units: one text for the command line and the console. Rules without I/O.

Units are those of the descriptor of the event, else of its program (VENCLIENT-022). VENs read a power without any as
kW, which the words say. Of many values, intervals and requests the first are told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Final

from openadr_profiles.fleet.cancellation import PLANNED_PERIOD, planned, planned_period
from openadr_profiles.fleet.charge import CHARGE, PERCENT
from openadr_profiles.fleet.power import EXPORT_LIMIT, IMPORT_LIMIT, OFFSET, OFFSET_PERCENT, RELATIVE, SETPOINT, SIMPLE
from openadr_profiles.fleet.status import state_of
from openadr_profiles.fleet.thresholds import ALERTS, GHG
from openadr_profiles.v31 import Event, EventPayloadType, EventRequest, Program, Unit, Value, ValuesMap
from openadr_profiles.v31.timeline import Timeline

MOST_INTERVALS: Final = 100
"""The intervals of an event that are told one by one."""
MOST_REQUESTS: Final = 100
"""The different requests of an event that are told."""
_VALUES: Final = 8
_WORDS: Final = 3
_LONGEST: Final = 200
_POWER: Final = {"KW": "kW", "W": "W", "MW": "MW"}
_SHORT: Final[Mapping[str, str]] = {
    **_POWER,
    "KWH": "kWh",
    "VOLTS": "V",
    "AMPS": "A",
    "CELSIUS": "°C",
    "FAHRENHEIT": "°F",
    "KVA": "kVA",
    "KVAR": "kvar",
    "KVAH": "kVAh",
    "KVARH": "kvarh",
}
_PRICES: Final = frozenset(each.value for each in EventPayloadType if each.value.endswith(("PRICE", "PRICE_ALTERNATE")))
_POWERS: Final[Mapping[str, str]] = {
    SETPOINT: "draw {}",
    IMPORT_LIMIT: "draw at most {}",
    EXPORT_LIMIT: "feed in at most {}",
}


@dataclass(frozen=True)
class AskedInterval:
    """One run of an interval: its time (``end`` None: open) and what it asks for. ``id`` is the interval's own."""

    id: int | None
    start: datetime
    end: datetime | None
    asks: tuple[str, ...]


@dataclass(frozen=True)
class EventOutline:
    """An event at a moment: its state, its time as planned, and what it asks for, each request once.

    ``start`` is None if the event was cancelled by a client that did not keep its plan; ``end`` None is open, unless
    ``start`` is None too. ``count`` is the number of its intervals.
    """

    state: str
    start: datetime | None
    end: datetime | None
    asks: tuple[str, ...]
    count: int
    cancelled_at: datetime | None = None

    @property
    def summary(self) -> str:
        """Return what it asks for in one line."""
        if not self.asks:
            return "asks for nothing"
        shown = "; ".join(self.asks[:_WORDS])
        return shown if len(self.asks) <= _WORDS else f"{shown}; and more"


class Wording:
    """Tells the payloads of one event in words. ``program`` is None if it is not known."""

    def __init__(self, event: EventRequest, program: Program | None = None) -> None:
        self._units: dict[str, str | None] = {}
        self._currency: dict[str, str | None] = {}
        for descriptors in (event.payload_descriptors, program.payload_descriptors if program else None):
            for each in descriptors or ():
                self._units.setdefault(each.payload_type, each.units)
                self._currency.setdefault(each.payload_type, each.currency)

    def of(self, payload: ValuesMap) -> str:
        """Return what a payload asks for."""
        type_ = payload.type
        words = _WORDINGS.get(type_, _plain)
        return words(type_, payload.values, self._units.get(type_), self._currency.get(type_))


def outline(event: Event, now: datetime, *, program: Program | None = None) -> EventOutline:
    """Return an event in words at a moment."""
    timeline = Timeline.of(event, anchor=event.modification_date_time)
    start, end = planned(event) or (timeline.start, timeline.end)
    known = not timeline.cancelled or planned(event) is not None
    wording = Wording(event, program)
    payloads = (payload for interval in event.intervals or () for payload in interval.payloads)
    return EventOutline(
        state=state_of(timeline, now),
        start=start if known else None,
        end=end if known else None,
        asks=_distinct(payloads, wording.of),
        count=len(event.intervals or ()),
        cancelled_at=event.modification_date_time if timeline.cancelled else None,
    )


def asked_intervals(
    event: Event, *, program: Program | None = None, most: int = MOST_INTERVALS
) -> tuple[AskedInterval, ...]:
    """Return the first runs of an event's intervals with what each asks for; of a cancelled event those planned."""
    wording = Wording(event, program)
    timeline = Timeline.of(event, anchor=event.modification_date_time)
    found = _as_planned(event, wording) if timeline.cancelled else _as_placed(timeline, wording)
    return tuple(islice(found, most))


def _as_placed(timeline: Timeline, wording: Wording) -> Iterator[AskedInterval]:
    for window in timeline.windows():
        asks = tuple(wording.of(payload) for payload in window.payloads)
        yield AskedInterval(window.interval_id, window.start, window.end, asks)


def _as_planned(event: Event, wording: Wording) -> Iterator[AskedInterval]:
    for interval in event.intervals or ():
        for payload in interval.payloads:
            if (period := planned_period(payload)) is not None:
                asks = tuple(wording.of(each) for each in interval.payloads if each.type != PLANNED_PERIOD)
                yield AskedInterval(interval.id, *period, asks)


def _distinct(payloads: Iterable[ValuesMap], words: Callable[[ValuesMap], str]) -> tuple[str, ...]:
    """Return the first requests that differ, in the order of the event."""
    seen: dict[tuple[str, tuple[Value, ...]], str] = {}
    for payload in payloads:
        key = payload.type, tuple(payload.values)
        if payload.type != PLANNED_PERIOD and key not in seen:
            seen[key] = words(payload)
            if len(seen) >= MOST_REQUESTS:
                break
    return tuple(dict.fromkeys(seen.values()))


def _relative(_: str, values: Sequence[Value], units: str | None, __: str | None) -> str:
    unit = _power_unit(units)
    numbers = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
    if len(numbers) == len(values) and all(value <= 0 for value in numbers):
        return f"shed {_listed([-value for value in numbers], unit)}"
    return f"change by {_listed(values, unit, signed=True)}"


def _power(type_: str, values: Sequence[Value], units: str | None, _: str | None) -> str:
    return _POWERS[type_].format(_listed(values, _power_unit(units)))


def _level(_: str, values: Sequence[Value], __: str | None, ___: str | None) -> str:
    return f"level {_listed(values)} of 3"


def _price(type_: str, values: Sequence[Value], units: str | None, currency: str | None) -> str:
    return f"{_named(type_)} {_listed(values, _price_unit(units, currency))}"


def _ghg(_: str, values: Sequence[Value], units: str | None, __: str | None) -> str:
    return f"greenhouse gas {_listed(values, 'g/kWh' if units in {None, Unit.GHG} else units)}"


def _charge(_: str, values: Sequence[Value], units: str | None, __: str | None) -> str:
    return f"charge to {_listed(*_as_percent(values, units))}"


def _offset(_: str, values: Sequence[Value], __: str | None, ___: str | None) -> str:
    return f"level offset {_listed(values)} of 10"


def _offset_percent(_: str, values: Sequence[Value], units: str | None, __: str | None) -> str:
    return f"level offset {_listed(*_as_percent(values, units or Unit.PERCENT))}"


def _alert(type_: str, values: Sequence[Value], _: str | None, __: str | None) -> str:
    said = _listed(values)
    return f"alert: {_named(type_.removeprefix('ALERT_'))}" + (f", {said}" if said else "")


def _plain(type_: str, values: Sequence[Value], units: str | None, _: str | None) -> str:
    return f"{_named(type_)} {_listed(values, None if units is None else _SHORT.get(units.upper(), units))}".rstrip()


_WORDINGS: Final[Mapping[str, Callable[[str, Sequence[Value], str | None, str | None], str]]] = {
    RELATIVE: _relative,
    **dict.fromkeys(_POWERS, _power),
    SIMPLE: _level,
    **dict.fromkeys(_PRICES, _price),
    GHG: _ghg,
    CHARGE: _charge,
    OFFSET: _offset,
    OFFSET_PERCENT: _offset_percent,
    **dict.fromkeys(ALERTS, _alert),
}
"""Hold what tells the values of a payload type in words, from the type, the values, their units and currency."""


def _power_unit(unit: str | None) -> str:
    return "kW (no unit stated)" if unit is None else _POWER.get(unit.upper(), unit)


def _price_unit(unit: str | None, currency: str | None) -> str:
    per = "" if unit is None else f"/{_SHORT.get(unit.upper(), unit)}"
    return f"{currency or '(no currency stated)'}{per}"


def _as_percent(values: Sequence[Value], unit: str | None) -> tuple[Sequence[Value], str | None]:
    """Return shares as percent: 0 to 1 in the standard, and above 1 taken as written (ENUM-009)."""
    if unit is None or unit.upper() not in PERCENT:
        return values, None if unit is None else _SHORT.get(unit.upper(), unit)
    numbers = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
    shares = len(numbers) == len(values) and all(abs(value) <= 1 for value in numbers)
    return [value * 100 for value in numbers] if shares else values, "%"


def _listed(values: Sequence[Value], unit: str | None = None, *, signed: bool = False) -> str:
    """Return the first values with their unit, one after the other."""
    shown = [f"{_text(value, signed=signed)}{f' {unit}' if unit else ''}" for value in values[:_VALUES]]
    if len(values) > _VALUES:
        shown.append(f"and {len(values) - _VALUES:,} more")
    return ", ".join(shown)


def _text(value: Value, *, signed: bool) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        text = str(value)
        return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
    if isinstance(value, int) and value.bit_length() > 128:
        return f"a number of {value.bit_length()} bits"
    return f"{value + 0:{'+' if signed else ''}.12g}"


def _named(payload_type: str) -> str:
    return payload_type.lower().replace("_", " ")
