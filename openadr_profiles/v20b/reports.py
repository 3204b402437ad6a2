"""Data of 2.0b reports as OpenADR 3 reports (requirements 4.5, B-RPT-011 … B-RPT-016, B-RPT-022)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

from msgspec import Struct

from openadr_profiles.v20b.capabilities import LONGEST_NAME, Capability, UnusableReport
from openadr_profiles.v20b.codes import Code
from openadr_profiles.v20b.durations import ZERO_20B, Duration20b
from openadr_profiles.v20b.messages import (
    GreenButtonPayload,
    Interval,
    Report,
    ReportDescription,
    ReportPayload,
    ResourceStatus,
)
from openadr_profiles.v20b.report_losses import ReportLoss, ReportLossKind
from openadr_profiles.v20b.report_words import data_quality, payload_type, private, reading_type
from openadr_profiles.v20b.resource_states import state_payloads
from openadr_profiles.v20b.units import PRIVATE, CoreUnit, core_unit
from openadr_profiles.v31.common import Interval as CoreInterval
from openadr_profiles.v31.common import IntervalPeriod, ValuesMap
from openadr_profiles.v31.descriptors import ReportPayloadDescriptor
from openadr_profiles.v31.instant import Start
from openadr_profiles.v31.report import ReportRequest as CoreReportRequest
from openadr_profiles.v31.report import ReportResource
from openadr_profiles.v31.vocabulary import AGGREGATED_REPORT, ReportPayloadType

MOST_VALUES: Final = 20_000
"""Values of one report: what a message of 1 MiB can hold."""


class Translated(Struct, frozen=True):
    """Reports of OpenADR 3, usually one, and what was lost on the way."""

    requests: tuple[CoreReportRequest, ...]
    losses: tuple[ReportLoss, ...]


class Reading(Struct, frozen=True, kw_only=True):
    """One value with its time; ``description`` is what its VEN said of it when it registered the report."""

    start: datetime
    duration: Duration20b
    payload: ReportPayload
    description: ReportDescription


def readings(report: Report, offered: Capability, requested: frozenset[str] | None = None) -> tuple[Reading, ...]:
    """Return the values of a report, in its order, each with its description; raises UnusableReport.

    Names that do not fit what was registered and ``requested`` (the rIDs; None: any that was registered) are 452
    (B-RPT-011, B-RPT-012), and what has no time 454. An interval that does not say when begins where the last one ends.
    """
    where = f"report {report.report_request_id!r}"
    if report.report_specifier_id != offered.report_specifier_id:
        raise UnusableReport(
            Code.INVALID_ID,
            f"{where} is of reportSpecifierID {report.report_specifier_id!r}; expected {offered.report_specifier_id!r}",
        )
    described = {each.r_id: each for each in offered.descriptions}
    found: list[Reading] = []
    for start, duration, payload in _timed(report, where):
        if isinstance(payload, GreenButtonPayload):
            raise UnusableReport(Code.REPORT_NOT_SUPPORTED, f"{where} has Green Button data; expected values")
        description = described.get(payload.r_id)
        if description is None or (requested is not None and payload.r_id not in requested):
            raise UnusableReport(Code.INVALID_ID, f"{where}: rID {payload.r_id!r} was not asked for")
        found.append(Reading(start=start, duration=duration, payload=payload, description=description))
    if len(found) > MOST_VALUES:
        raise UnusableReport(Code.INVALID_DATA, f"{where} has {len(found)} values; expected at most {MOST_VALUES}")
    return tuple(found)


def _timed(report: Report, where: str) -> Iterator[tuple[datetime, Duration20b, ReportPayload | GreenButtonPayload]]:
    at = report.start
    for number, interval in enumerate(report.intervals):
        start = interval.start or at
        if start is None:
            raise UnusableReport(Code.INVALID_DATA, f"{where}: interval {number + 1} has no start, nor has the report")
        duration = interval.duration or (_only(report, interval) or ZERO_20B)
        if duration.is_negative:
            raise UnusableReport(
                Code.INVALID_DATA, f"{where}: interval {number + 1} has a negative duration; expected 0 or more"
            )
        at = duration.after(start)
        for payload in interval.payloads:
            if isinstance(payload, ReportPayload | GreenButtonPayload):
                yield start, duration, payload
            else:
                raise UnusableReport(Code.INVALID_DATA, f"{where}: signalPayload; expected oadrReportPayload")


def _only(report: Report, interval: Interval) -> Duration20b | None:
    """Return the length of the whole report for its only interval."""
    return report.duration if report.intervals == (interval,) else None


def translate(values: Sequence[Reading], offered: Capability, *, event_id: str, client_name: str) -> Translated:
    """Return values as reports on an event: a resource for each source, an interval for each value (4.5).

    Values of one payload type in two readings or units are in reports of their own, because OpenADR 3 describes a
    payload type once for a report. Raises UnusableReport for a resource whose name OpenADR 3 cannot hold (454).
    """
    losses: dict[ReportLoss, None] = {}
    groups: list[_Group] = []
    for value in values:
        kind = _Kind.of(value.description, value.payload)
        group = next((each for each in groups if each.takes(kind)), None)
        if group is None:
            groups.append(group := _Group())
        group.add(value, kind, losses)
    name = f"{offered.report_name}/{offered.report_specifier_id}"
    return Translated(
        tuple(
            group.request(event_id, client_name, name if number == 0 else f"{name}.{number + 1}")
            for number, group in enumerate(groups)
        ),
        tuple(losses),
    )


class _Kind(Struct, frozen=True):
    """Name what a value is in OpenADR 3."""

    payload_type: str
    reading_type: str | None
    unit: CoreUnit

    @staticmethod
    def of(description: ReportDescription, payload: ReportPayload) -> _Kind:
        if isinstance(payload.value, ResourceStatus):
            return _Kind(ReportPayloadType.OPERATING_STATE.value, None, CoreUnit(None))
        word = payload_type(description.report_type)
        if word == ReportPayloadType.OPERATING_STATE:  # a number is none of the standard's states
            word = private(description.report_type)
        reading = reading_type(description.report_type, description.reading_type)
        return _Kind(word, reading, core_unit(description.item_base))


class _Group:
    """Values that one report of OpenADR 3 can hold."""

    def __init__(self) -> None:
        self._kinds: dict[str, _Kind] = {}
        self._rids: dict[tuple[str, str], set[str]] = {}
        self._resources: dict[str, list[CoreInterval]] = {}
        self._quality: dict[str, tuple[float | None, int | None]] = {}
        self._private: dict[str, None] = {}

    def takes(self, kind: _Kind) -> bool:
        held = self._kinds.get(kind.payload_type)
        return held is None or held == kind

    def add(self, value: Reading, kind: _Kind, losses: dict[ReportLoss, None]) -> None:
        self._kinds[kind.payload_type] = kind
        resource, whole = source_of(value.description)
        _note(losses, value, kind, aggregated=whole)
        payloads = [*self._values(value, kind)]
        for payload in payloads:
            if payload.type != kind.payload_type:
                self._private[payload.type] = None
        intervals = self._resources.setdefault(resource, [])
        period = IntervalPeriod(start=Start.of(value.start), duration=value.duration.to_core())
        intervals.append(CoreInterval(id=len(intervals), interval_period=period, payloads=tuple(payloads)))

    def _values(self, value: Reading, kind: _Kind) -> Iterator[ValuesMap]:
        payload = value.payload
        if isinstance(payload.value, ResourceStatus):
            yield from state_payloads(payload.value)
        else:
            yield ValuesMap(type=kind.payload_type, values=(kind.unit.to_core(payload.value),))
        if payload.data_quality is not None:
            yield ValuesMap(type=ReportPayloadType.DATA_QUALITY.value, values=(data_quality(payload.data_quality),))
            yield ValuesMap(type=f"{PRIVATE}DATA_QUALITY", values=(payload.data_quality,))
        if payload.confidence is not None or payload.accuracy is not None:
            self._quality[kind.payload_type] = (payload.accuracy, payload.confidence)
            if payload.confidence is not None:
                yield ValuesMap(type=f"{PRIVATE}CONFIDENCE", values=(payload.confidence,))
            if payload.accuracy is not None:
                yield ValuesMap(type=f"{PRIVATE}ACCURACY", values=(payload.accuracy,))
        yield ValuesMap(type=f"{PRIVATE}RID", values=(payload.r_id,))

    def request(self, event_id: str, client_name: str, report_name: str) -> CoreReportRequest:
        described = []
        for kind in self._kinds.values():
            accuracy, confidence = self._quality.get(kind.payload_type, (None, None))
            described.append(
                ReportPayloadDescriptor(
                    payload_type=kind.payload_type,
                    reading_type=kind.reading_type,
                    units=kind.unit.unit,
                    accuracy=accuracy,
                    confidence=confidence,
                )
            )
        described += [ReportPayloadDescriptor(payload_type=each) for each in self._private]
        return CoreReportRequest(
            event_id=event_id,
            client_name=client_name,
            report_name=report_name,
            payload_descriptors=tuple(described),
            resources=tuple(
                ReportResource(resource_name=name, intervals=tuple(intervals))
                for name, intervals in self._resources.items()
            ),
        )


def source_of(description: ReportDescription) -> tuple[str, bool]:
    """Return the name of the resource that a value is of, and whether it stands for several that are not told apart.

    It is the only resource, device or meter that is named as the source, else as the subject, else all of the VEN.
    """
    for target in (description.report_data_source, description.report_subject):
        if target is None:
            continue
        for names in (target.resource_ids, target.end_device_assets, target.meter_assets):
            if len(names) == 1:
                if not 0 < len(names[0]) <= LONGEST_NAME:
                    raise UnusableReport(
                        Code.INVALID_DATA,
                        f"rID {description.r_id!r} is of {names[0][:40]!r}; expected 1 to {LONGEST_NAME} characters",
                    )
                return names[0], False
            if names:
                return AGGREGATED_REPORT, True
    return AGGREGATED_REPORT, False


def _note(losses: dict[ReportLoss, None], value: Reading, kind: _Kind, *, aggregated: bool) -> None:
    """Add what this value loses; each loss of a report is told once."""
    description, payload, base = value.description, value.payload, value.description.item_base
    found = []
    if isinstance(payload.value, ResourceStatus):
        found.append((ReportLossKind.STATE, "the state of a resource is one word"))
    elif kind.payload_type.startswith(PRIVATE):
        found.append((ReportLossKind.REPORT_TYPE, f"{description.report_type} is {kind.payload_type}"))
    if kind.reading_type is not None and kind.reading_type.startswith(PRIVATE):
        found.append((ReportLossKind.READING_TYPE, f"{description.reading_type} is {kind.reading_type}"))
    if kind.unit.is_private:
        found.append((ReportLossKind.UNIT, f"the unit is {kind.unit.unit}"))
    if base is not None and base.pulse_factor is not None:
        found.append((ReportLossKind.PULSE_FACTOR, "values are pulses"))
    if base is not None and base.power_attributes is not None:
        found.append((ReportLossKind.MAINS, "frequency and voltage of the mains"))
    if payload.confidence is not None or payload.accuracy is not None:
        found.append((ReportLossKind.PER_VALUE_QUALITY, "confidence and accuracy of each value"))
    if payload.data_quality is not None:
        found.append((ReportLossKind.DATA_QUALITY, f"{payload.data_quality} is {data_quality(payload.data_quality)}"))
    if aggregated:
        found.append((ReportLossKind.SOURCES, f"rID {description.r_id} has several sources"))
    losses.update(dict.fromkeys(ReportLoss(kind, detail) for kind, detail in found))
