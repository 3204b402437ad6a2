"""Build the reports that events ask for: their values, and the names under which they are kept and sent.

`report_schedule` computes when they are due. What is written here is built once, from readings
that were kept, and handed to the store.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

import msgspec
import structlog

from openadr_profiles.fleet.reports import number
from openadr_profiles.v31 import (
    AGGREGATED_REPORT,
    DataQuality,
    DueReport,
    Interval,
    ReadingType,
    ReportDescriptor,
    ReportPayloadDescriptor,
    ReportPayloadType,
    ReportRequest,
    ReportResource,
    Unit,
    Value,
    ValuesMap,
    Window,
    asks_about,
    format_instant,
    interval_periods,
    payload_descriptor,
    with_quality,
)
from ven.panel.circuits import BranchCircuit, operating_state
from ven.panel.curtailment import sheddable_kw
from ven.panel.meter import Measurement, PowerReading, measure, power_of_all

_log = structlog.get_logger(__name__)

_COVERED_WELL: Final = 0.95
_HOUR: Final = timedelta(hours=1)
_US: Final = timedelta(microseconds=1)

_UNITS: Final[Mapping[str, str]] = {
    ReportPayloadType.READING: Unit.KW,
    ReportPayloadType.USAGE: Unit.KWH,
    ReportPayloadType.DEMAND: Unit.KW,
    ReportPayloadType.BASELINE: Unit.KW,
    ReportPayloadType.DELTA_USAGE: Unit.KWH,
    ReportPayloadType.USAGE_FORECAST: Unit.KWH,
    ReportPayloadType.LOAD_SHED_DELTA_AVAILABLE: Unit.KW,
}
"""The quantities we can report, and their units where the request names none."""

_WORDS: Final = frozenset({ReportPayloadType.OPERATING_STATE.value, ReportPayloadType.SIMPLE_LEVEL.value})
"""Payload types we can report that are not quantities."""

_PER_KW: Final[Mapping[str, Decimal]] = {"W": Decimal(1000), "KW": Decimal(1), "MW": Decimal("0.001")}
_PER_KWH: Final[Mapping[str, Decimal]] = {"WH": Decimal(1000), "KWH": Decimal(1), "MWH": Decimal("0.001")}


def report_name(group: Sequence[DueReport]) -> str:
    """Return the name of a report: the same whenever the same is asked about the same intervals (RDESC-021)."""
    asked = sorted(
        f"{d.payload_type}/{d.reading_type}/{d.units}/{d.aggregate}/{d.targets}/{d.historical is not False}"
        for d in (report.descriptor for report in group)
    )
    covered = [f"{id_}/{format_instant(start)}/{end and format_instant(end)}" for id_, start, end in group[0].coverage]
    digest = hashlib.sha256("\n".join((*asked, *covered)).encode()).hexdigest()[:16]
    types = "+".join(report.descriptor.payload_type for report in group)
    return f"report-{types}-{digest}"


def can_report(descriptor: ReportDescriptor) -> bool:
    """Return True if we can report what is asked for; if not, there is no report (and a warning)."""
    if descriptor.payload_type in _WORDS:
        return True
    units = (descriptor.units or _UNITS.get(descriptor.payload_type, "")).upper()
    return descriptor.payload_type in _UNITS and (units in _PER_KW or units in _PER_KWH)


@dataclass(frozen=True)
class Facts:
    """Hold the data from which the reports of one event are built.

    ``targets`` are the targets of our resources at the VTN, by name; ``baseline_kw`` is frozen at the event's start and
    ``expected_kw`` is what the circuits are expected to draw; ``curtailed`` tells whether a circuit was limited for
    this event at any time of a span; ``level`` is the SIMPLE level that we followed at a moment.
    """

    event_id: str
    client_name: str
    circuits: tuple[BranchCircuit, ...]
    targets: Mapping[str, Sequence[str]]
    baseline_kw: Mapping[str, Decimal]
    expected_kw: Mapping[str, Decimal]
    opted_out: bool
    hold: timedelta
    samples: Callable[[datetime, datetime], Awaitable[Sequence[PowerReading]]]
    curtailed: Callable[[str, datetime, datetime | None], bool]
    level: Callable[[datetime], int]


async def build(group: Sequence[DueReport], facts: Facts) -> list[tuple[str, ReportRequest]]:
    """Build the reports for descriptors that are due together; return them with their names.

    Normally that is one. If a value is missing it must be marked, which the standard allows only beside a single value:
    then each descriptor gets a report of its own (RDESC-018, RDESC-020).
    """
    group = tuple(report for report in group if can_report(report.descriptor))
    if not group or not _asked_about(group[0].descriptor, facts):
        return []
    built = await _build_one(group, facts)
    if built is not None:
        return [(report_name(group), built)]
    singles = [(report_name((one,)), await _build_one((one,), facts)) for one in group]
    return [(name, report) for name, report in singles if report is not None]


async def _build_one(group: Sequence[DueReport], facts: Facts) -> ReportRequest | None:
    """Build one report, or return None if a value is missing among several."""
    asked = group[0].descriptor
    circuits = _asked_about(asked, facts)
    entries: list[tuple[str, tuple[BranchCircuit, ...]]] = [(AGGREGATED_REPORT, circuits)]
    if not asked.aggregate:
        entries = [*((circuit.id, (circuit,)) for circuit in circuits), *entries]
    common, own = interval_periods(group[0].windows)
    intervals: dict[str, list[Interval]] = {name: [] for name, _ in entries}
    for interval_id, window, period in zip(group[0].interval_ids, group[0].windows, own, strict=True):
        samples = await facts.samples(window.start, window.end) if window.end else ()
        for name, members in entries:
            scene = _ResourceWindow(facts, members, window, samples)
            said = [scene.payload(report.descriptor) for report in group]
            payloads = tuple(payload for payload, _ in said)
            if len(said) > 1:
                if any(quality is DataQuality.MISSING for _, quality in said):
                    return None
            elif (quality := said[0][1]) is not None:
                payloads = with_quality(payloads[0], quality)
            intervals[name].append(Interval(id=interval_id, interval_period=period, payloads=payloads))
    return ReportRequest(
        event_id=facts.event_id,
        client_name=facts.client_name,
        payload_descriptors=tuple(_descriptor(report.descriptor) for report in group),
        resources=tuple(
            ReportResource(resource_name=name, interval_period=common, intervals=tuple(intervals[name]))
            for name, _ in entries
        ),
        report_name=report_name(group),
    )


def _asked_about(asked: ReportDescriptor, facts: Facts) -> tuple[BranchCircuit, ...]:
    return tuple(each for each in facts.circuits if asks_about(asked, facts.targets.get(each.id, ())))


@dataclass(frozen=True)
class _ResourceWindow:
    """Hold one resource (a circuit, or several together) in one window."""

    facts: Facts
    circuits: tuple[BranchCircuit, ...]
    window: Window
    samples: Sequence[PowerReading]

    def payload(self, asked: ReportDescriptor) -> tuple[ValuesMap, DataQuality | None]:
        """Return a payload, and its data quality if that must be reported (None: it is good)."""
        if asked.payload_type in _WORDS:
            word = self._state() if asked.payload_type == ReportPayloadType.OPERATING_STATE else self._level()
            return ValuesMap(type=asked.payload_type, values=(word,)), None
        measured = self._measured()
        power_kw = self._power_kw(asked, measured)
        if power_kw is None:
            return ValuesMap(type=asked.payload_type, values=(0,)), DataQuality.MISSING
        estimated = measured is not None and measured.covered < _COVERED_WELL and asked.historical is not False
        value = ValuesMap(type=asked.payload_type, values=(self._in_units(asked, power_kw),))
        return value, DataQuality.ESTIMATED if estimated else None

    def _power_kw(self, asked: ReportDescriptor, measured: Measurement | None) -> Decimal | None:
        if asked.payload_type == ReportPayloadType.BASELINE:
            return self._sum(self.facts.baseline_kw)
        if asked.payload_type == ReportPayloadType.LOAD_SHED_DELTA_AVAILABLE:
            return sheddable_kw(self.circuits, self.facts.expected_kw)
        if asked.payload_type == ReportPayloadType.USAGE_FORECAST or asked.historical is False:
            return self._sum(self.facts.expected_kw)
        return None if measured is None else self._measured_kw(asked, measured)

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

    def _measured(self) -> Measurement | None:
        if self.window.end is None or not self.circuits:
            return None
        power = power_of_all(circuit.id for circuit in self.circuits)
        return measure(self.samples, self.window.start, self.window.end, power=power, hold=self.facts.hold)

    def _sum(self, kw: Mapping[str, Decimal]) -> Decimal | None:
        if not all(circuit.id in kw for circuit in self.circuits):
            return None
        return sum((kw[circuit.id] for circuit in self.circuits), Decimal(0))

    def _in_units(self, asked: ReportDescriptor, power_kw: Decimal) -> float:
        units = (asked.units or _UNITS[asked.payload_type]).upper()
        if units in _PER_KW:
            return number(power_kw * _PER_KW[units])
        end = self.window.end or self.window.start
        hours = Decimal((end - self.window.start) // _US) / (_HOUR // _US)
        return number(power_kw * hours * _PER_KWH[units])

    def _state(self) -> Value:
        measured = self._measured()
        start, end = self.window.start, self.window.end
        curtailed = any(self.facts.curtailed(circuit.id, start, end) for circuit in self.circuits)
        power_kw = measured.mean_kw if measured else None
        return operating_state(power_kw, curtailed=curtailed, opted_out=self.facts.opted_out).value

    def _level(self) -> Value:
        return 0 if self.facts.opted_out else self.facts.level(self.window.start)


def _descriptor(asked: ReportDescriptor) -> ReportPayloadDescriptor:
    """Return the payload descriptor of the values as requested, completed where the request is silent (RDESC-019)."""
    said = payload_descriptor(asked)
    if asked.payload_type == ReportPayloadType.DEMAND and asked.reading_type is None:
        said = msgspec.structs.replace(said, reading_type=ReadingType.MEAN)
    return said if said.units else msgspec.structs.replace(said, units=_UNITS.get(asked.payload_type))


def warn_about_unknown(event_id: str, descriptors: Iterable[ReportDescriptor]) -> None:
    """Say in the log what is asked for and cannot be reported."""
    for asked in descriptors:
        if not can_report(asked):
            _log.warning(
                "event asks for a report that this VEN cannot make",
                event_id=event_id,
                payload_type=asked.payload_type,
                units=asked.units,
            )
