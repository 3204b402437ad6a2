"""Say what can be reported, and give the value of one resource in one window. No I/O."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final

import msgspec

from openadr_profiles.v31 import (
    DataQuality,
    ReadingType,
    ReportDescriptor,
    ReportPayloadDescriptor,
    ReportPayloadType,
    Unit,
    Value,
    ValuesMap,
    Window,
    payload_descriptor,
)
from ven.panel.circuits import BranchCircuit, operating_state
from ven.panel.curtailment import sheddable_kw
from ven.panel.meter import Measurement

_COVERED_WELL: Final = 0.95
_HOUR: Final = timedelta(hours=1)
_US: Final = timedelta(microseconds=1)
_WATT: Final = Decimal("0.001")
_FOUR_DIGITS: Final = Decimal("0.0001")
_NOTHING: Final = Decimal(0)

_POWERS: Final[Mapping[str, str]] = {
    ReportPayloadType.READING: Unit.KW,
    ReportPayloadType.USAGE: Unit.KWH,
    ReportPayloadType.DEMAND: Unit.KW,
    ReportPayloadType.BASELINE: Unit.KW,
    ReportPayloadType.DELTA_USAGE: Unit.KWH,
    ReportPayloadType.USAGE_FORECAST: Unit.KWH,
    ReportPayloadType.LOAD_SHED_DELTA_AVAILABLE: Unit.KW,
    ReportPayloadType.STORAGE_MAX_CHARGE_POWER: Unit.KW,
    ReportPayloadType.STORAGE_MAX_DISCHARGE_POWER: Unit.KW,
    ReportPayloadType.STORAGE_DISPATCH_FORECAST: Unit.KWH,
}
"""Quantities that are a power, or its energy over a window, and their units where the request names none."""

_CHARGES: Final[Mapping[str, str]] = {
    ReportPayloadType.STORAGE_CHARGE_LEVEL: Unit.PERCENT,
    ReportPayloadType.STORAGE_USABLE_CAPACITY: Unit.KWH,
}
"""Quantities that are an energy at one time."""

_WORDS: Final = frozenset({ReportPayloadType.OPERATING_STATE.value, ReportPayloadType.SIMPLE_LEVEL.value})
"""Payload types that are not quantities."""

_FORECASTS: Final = frozenset(
    {ReportPayloadType.USAGE_FORECAST.value, ReportPayloadType.STORAGE_DISPATCH_FORECAST.value}
)

_PER_KW: Final[Mapping[str, Decimal]] = {"W": Decimal(1000), "KW": Decimal(1), "MW": Decimal("0.001")}
_PER_KWH: Final[Mapping[str, Decimal]] = {"WH": Decimal(1000), "KWH": Decimal(1), "MWH": Decimal("0.001")}


def can_report(asked: ReportDescriptor) -> bool:
    """Return True if we can report what is asked for; if not, there is no report (and a warning)."""
    type_, units = asked.payload_type, _units(asked)
    if type_ in _CHARGES:
        return units in _PER_KWH or (units == Unit.PERCENT and type_ == ReportPayloadType.STORAGE_CHARGE_LEVEL)
    return type_ in _WORDS or (type_ in _POWERS and (units in _PER_KW or units in _PER_KWH))


def is_about_storage(asked: ReportDescriptor) -> bool:
    """Return True if only circuits that store energy can be reported on."""
    return asked.payload_type.startswith("STORAGE_")


def described(asked: ReportDescriptor) -> ReportPayloadDescriptor:
    """Return the payload descriptor of the values as requested, completed where the request is silent (RDESC-019).

    What has not happened yet is a forecast, whatever the payload type (ENUM-003).
    """
    said = payload_descriptor(asked)
    if asked.reading_type is None and (asked.historical is False or asked.payload_type in _FORECASTS):
        said = msgspec.structs.replace(said, reading_type=ReadingType.FORECAST)
    elif asked.payload_type == ReportPayloadType.DEMAND and asked.reading_type is None:
        said = msgspec.structs.replace(said, reading_type=ReadingType.MEAN)
    return said if said.units else msgspec.structs.replace(said, units=_units(asked) or None)


def _units(asked: ReportDescriptor) -> str:
    given = asked.units or _POWERS.get(asked.payload_type) or _CHARGES.get(asked.payload_type, "")
    return "PERCENT" if given.upper() == "PERCENTAGE" else given.upper()  # ENUM-008


@dataclass(frozen=True)
class Facts:
    """Hold the data from which the reports of one event are built.

    ``targets`` are the targets of our resources at the VTN, by name; ``baseline_kw`` is frozen at the event's start and
    ``expected_kw`` is what the circuits are expected to draw. ``measured`` tells what circuits drew together in a span;
    ``curtailed`` whether a circuit was limited at any time of it, for whichever event; ``level`` the SIMPLE level that
    was or will be followed in it. ``storages`` are the ids of circuits that store energy.
    """

    event_id: str
    client_name: str
    circuits: tuple[BranchCircuit, ...]
    targets: Mapping[str, Sequence[str]]
    baseline_kw: Mapping[str, Decimal]
    expected_kw: Mapping[str, Decimal]
    opted_out: bool
    measured: Callable[[tuple[str, ...], datetime, datetime], Measurement | None]
    curtailed: Callable[[str, datetime, datetime | None], bool]
    level: Callable[[datetime, datetime | None], int]
    storages: frozenset[str] = frozenset()


@dataclass(frozen=True)
class ResourceWindow:
    """Hold one resource (a circuit, or several together) in one window."""

    facts: Facts
    circuits: tuple[BranchCircuit, ...]
    window: Window

    def payload(self, asked: ReportDescriptor) -> tuple[ValuesMap, DataQuality | None]:
        """Return a payload, and its data quality if that must be reported (None: it is good)."""
        if asked.payload_type in _WORDS:
            word = self._state() if asked.payload_type == ReportPayloadType.OPERATING_STATE else self._level()
            return ValuesMap(type=asked.payload_type, values=(word,)), None
        measured = self._measured()
        value = self._charge(asked, measured) if asked.payload_type in _CHARGES else self._quantity(asked, measured)
        if value is None:
            return ValuesMap(type=asked.payload_type, values=(0,)), DataQuality.MISSING
        estimated = measured is not None and measured.covered < _COVERED_WELL and asked.historical is not False
        quality = DataQuality.ESTIMATED if estimated else None
        return ValuesMap(type=asked.payload_type, values=(float(value),)), quality

    def _quantity(self, asked: ReportDescriptor, measured: Measurement | None) -> Decimal | None:
        """Return a power or energy in the units that are asked for, exact to the watt or watt-hour."""
        units = _units(asked)
        if asked.payload_type == ReportPayloadType.READING and units in _PER_KWH:
            counter_kwh = None if measured is None else measured.counter_kwh
            return None if counter_kwh is None else _exact(counter_kwh) * _PER_KWH[units]
        power_kw = self._power_kw(asked, measured)
        if power_kw is None:
            return None
        if units in _PER_KW:
            return _exact(power_kw) * _PER_KW[units]
        end = self.window.end or self.window.start
        hours = Decimal((end - self.window.start) // _US) / (_HOUR // _US)
        return _exact(power_kw * hours) * _PER_KWH[units]

    def _power_kw(self, asked: ReportDescriptor, measured: Measurement | None) -> Decimal | None:
        given = self._known_kw(asked)
        if given is not None:
            return given()
        if asked.payload_type == ReportPayloadType.USAGE_FORECAST or asked.historical is False:
            return self._sum(self.facts.expected_kw)
        return None if measured is None else self._measured_kw(asked, measured)

    def _known_kw(self, asked: ReportDescriptor) -> Callable[[], Decimal | None] | None:
        """Return what gives a power that need not be measured; None if it must be."""
        facts, circuits = self.facts, self.circuits
        quantities: dict[str, Callable[[], Decimal | None]] = {
            ReportPayloadType.BASELINE: lambda: self._sum(facts.baseline_kw),
            ReportPayloadType.LOAD_SHED_DELTA_AVAILABLE: lambda: sheddable_kw(circuits, facts.expected_kw),
            ReportPayloadType.STORAGE_MAX_CHARGE_POWER: lambda: sum((each.rated_kw for each in circuits), _NOTHING),
            ReportPayloadType.STORAGE_MAX_DISCHARGE_POWER: lambda: sum((each.export_kw for each in circuits), _NOTHING),
            ReportPayloadType.STORAGE_DISPATCH_FORECAST: lambda: _negative(self._sum(facts.expected_kw)),
        }
        return quantities.get(asked.payload_type)

    def _measured_kw(self, asked: ReportDescriptor, measured: Measurement) -> Decimal | None:
        if asked.payload_type == ReportPayloadType.DELTA_USAGE:
            baseline_kw = self._sum(self.facts.baseline_kw)
            return None if baseline_kw is None else measured.mean_kw - baseline_kw
        if asked.reading_type == ReadingType.PEAK:
            return measured.peak_kw
        at_the_end = asked.reading_type == ReadingType.DIRECT_READ and asked.payload_type == ReportPayloadType.DEMAND
        if at_the_end or asked.payload_type == ReportPayloadType.READING:
            return measured.last_kw
        return measured.mean_kw

    def _charge(self, asked: ReportDescriptor, measured: Measurement | None) -> Decimal | None:
        """Return the stored energy or the capacity; PERCENT is a fraction from 0 to 1 (ENUM-009)."""
        if measured is None:
            return None
        if _units(asked) == Unit.PERCENT:
            return self._charge_share()
        charge_kwh, capacity_kwh = measured.charge_kwh, measured.capacity_kwh
        if asked.payload_type == ReportPayloadType.STORAGE_USABLE_CAPACITY:
            return None if capacity_kwh is None else _exact(capacity_kwh) * _PER_KWH[_units(asked)]
        return None if charge_kwh is None else _exact(charge_kwh) * _PER_KWH[_units(asked)]

    def _charge_share(self) -> Decimal | None:
        """Return the share of the capacity that is stored, of the circuits of which both are known."""
        end, charge_kwh, capacity_kwh = self.window.end, _NOTHING, _NOTHING
        for circuit in self.circuits:
            one = None if end is None else self.facts.measured((circuit.id,), self.window.start, end)
            if one is not None and one.charge_kwh is not None and one.capacity_kwh is not None:
                charge_kwh += one.charge_kwh
                capacity_kwh += one.capacity_kwh
        return (charge_kwh / capacity_kwh).quantize(_FOUR_DIGITS, ROUND_HALF_EVEN) if capacity_kwh else None

    def _measured(self) -> Measurement | None:
        if self.window.end is None or not self.circuits:
            return None
        return self.facts.measured(tuple(circuit.id for circuit in self.circuits), self.window.start, self.window.end)

    def _sum(self, kw: Mapping[str, Decimal]) -> Decimal | None:
        if not all(circuit.id in kw for circuit in self.circuits):
            return None
        return sum((kw[circuit.id] for circuit in self.circuits), _NOTHING)

    def _state(self) -> Value:
        """Return the state that was: a circuit that was limited for another event is curtailed, not opted out."""
        measured = self._measured()
        start, end = self.window.start, self.window.end
        curtailed = any(self.facts.curtailed(circuit.id, start, end) for circuit in self.circuits)
        power_kw = measured.mean_kw if measured else None
        opted_out = self.facts.opted_out and not curtailed
        return operating_state(power_kw, curtailed=curtailed, opted_out=opted_out).value

    def _level(self) -> Value:
        return self.facts.level(self.window.start, self.window.end)


def _exact(value: Decimal) -> Decimal:
    return value.quantize(_WATT, ROUND_HALF_EVEN)


def _negative(kw: Decimal | None) -> Decimal | None:
    return None if kw is None else -kw
