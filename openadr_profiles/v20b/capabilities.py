"""Read what a VEN says it can report, and how it is asked for it (B-RPT-002 … -009, B-RPT-017, -020, -021)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final

from msgspec import Struct

from openadr_profiles.v20b.codes import Code
from openadr_profiles.v20b.durations import ZERO_20B, Duration20b
from openadr_profiles.v20b.messages import (
    Period,
    Report,
    ReportDescription,
    ReportRequest,
    ReportSpecifier,
    SpecifierPayload,
)
from openadr_profiles.v20b.report_words import payload_type, reading_type
from openadr_profiles.v20b.units import core_unit
from openadr_profiles.v20b.vocabulary import METADATA, ReportName, ReportType
from openadr_profiles.v31.descriptors import ReportDescriptor
from openadr_profiles.v31.event import Event
from openadr_profiles.v31.report_schedule import ReportPlan, asks_about
from openadr_profiles.v31.timeline import Timeline
from openadr_profiles.v31.vocabulary import ReadingType

LONGEST_NAME: Final = 128
"""Characters of a name in OpenADR 3."""
_POWER: Final = frozenset({"powerReal", "powerApparent", "powerReactive"})
_ENERGY: Final = frozenset({"energyReal", "energyApparent", "energyReactive", "Therm", "pulseCount"})
_UNITS_OF_TYPES: Final = {
    ReportType.USAGE.value: _ENERGY,
    ReportType.AVG_USAGE.value: _ENERGY,
    ReportType.DELTA_USAGE.value: _ENERGY,
    ReportType.STORED_ENERGY.value: _ENERGY,
    ReportType.TARGET_ENERGY_STORAGE.value: _ENERGY,
    ReportType.AVAILABLE_ENERGY_STORAGE.value: _ENERGY,
    ReportType.DEMAND.value: _POWER,
    ReportType.AVG_DEMAND.value: _POWER,
    ReportType.DELTA_DEMAND.value: _POWER,
    ReportType.UP_REGULATION_CAPACITY_AVAILABLE.value: _POWER,
    ReportType.DOWN_REGULATION_CAPACITY_AVAILABLE.value: _POWER,
    ReportType.REGULATION_SETPOINT.value: _POWER,
}
_AVERAGES: Final = {ReadingType.AVERAGE.value: ReadingType.MEAN.value}
_SUPPORTED: Final = frozenset({ReportName.HISTORY_USAGE, ReportName.TELEMETRY_USAGE, ReportName.TELEMETRY_STATUS})


class Capability(Struct, frozen=True, kw_only=True):
    """A report that a VEN can make; it can be kept as JSON. ``report_name`` has no ``METADATA_``."""

    report_specifier_id: str
    report_name: str
    buffer: Duration20b | None = None
    descriptions: tuple[ReportDescription, ...]

    def description(self, r_id: str) -> ReportDescription | None:
        """Return what is said of a value; None if it is not in the report."""
        return next((each for each in self.descriptions if each.r_id == r_id), None)


class UnusableReport(ValueError):
    """A report that is not taken, with the response code and the reason for its sender."""

    def __init__(self, code: Code, description: str) -> None:
        self.code = code
        self.description = description
        super().__init__(f"{code}: {description}")


def capability(report: Report) -> Capability:
    """Read one report of an oadrRegisterReport; raises UnusableReport.

    Green Button and names of the VEN's own are refused (461), and what contradicts itself (459): no name of metadata,
    data in place of it, the same rID twice, or units that are not those of the type.
    """
    where = f"report {report.report_specifier_id!r}"
    name = report.report_name or ""
    if not name.startswith(METADATA):
        raise UnusableReport(Code.COMPLIANCE_ERROR, f"{where} is called {name!r}; expected a name with {METADATA}")
    if report.intervals:
        raise UnusableReport(Code.COMPLIANCE_ERROR, f"{where} has intervals; expected metadata without data")
    plain = name.removeprefix(METADATA)
    if plain not in _SUPPORTED:
        raise UnusableReport(
            Code.REPORT_NOT_SUPPORTED, f"{where} is {plain[:80]!r}; expected one of {', '.join(sorted(_SUPPORTED))}"
        )
    seen: set[str] = set()
    for description in report.descriptions:
        if description.r_id in seen:
            raise UnusableReport(Code.COMPLIANCE_ERROR, f"{where} describes rID {description.r_id!r} twice")
        seen.add(description.r_id)
        _check(description, where)
    return Capability(
        report_specifier_id=report.report_specifier_id,
        report_name=plain,
        buffer=report.duration,
        descriptions=report.descriptions,
    )


def _check(description: ReportDescription, where: str) -> None:
    base = description.item_base
    fitting = _UNITS_OF_TYPES.get(description.report_type)
    if base is not None and fitting is not None and base.name not in fitting:
        raise UnusableReport(
            Code.COMPLIANCE_ERROR,
            f"{where}, rID {description.r_id!r}: {description.report_type} in {base.name}; expected one of "
            f"{', '.join(sorted(fitting))}",
        )
    if len(payload_type(description.report_type)) > LONGEST_NAME or len(description.reading_type) > LONGEST_NAME:
        raise UnusableReport(Code.REPORT_NOT_SUPPORTED, f"{where}: a type has over {LONGEST_NAME} characters")
    rate = description.sampling_rate
    if rate is not None and (rate.min_period.is_negative or rate.max_period.seconds < rate.min_period.seconds):
        raise UnusableReport(Code.COMPLIANCE_ERROR, f"{where}: oadrSamplingRate ends before it begins")


def request_all(
    offered: Capability, *, report_request_id: str, granularity: Duration20b, report_back: Duration20b
) -> ReportRequest:
    """Ask for every value of a report until it is cancelled.

    The granularity is moved into what all its values can be sampled at, and the report comes no more often (B-RPT-008,
    B-RPT-017).
    """
    return _request(
        offered,
        offered.descriptions,
        report_request_id=report_request_id,
        granularity=granularity,
        report_back=report_back,
        interval=None,
    )


def requests_for(
    event: Event,
    offers: Iterable[Capability],
    *,
    now: datetime,
    granularity: Duration20b,
    ids: Iterator[str],
    targets_of: Mapping[str, Collection[str]] | None = None,
) -> tuple[ReportRequest, ...]:
    """Ask for what an event's report descriptors ask for, as far as a VEN offers it.

    One request for each descriptor and report that has such values. ``granularity`` holds where the event's intervals
    have no usable length; ``ids`` gives a name to each request; ``targets_of`` are the targets that the VEN's resources
    hold, by their names.
    """
    timeline = Timeline.of(event, anchor=now)
    found = []
    for descriptor in event.report_descriptors or ():
        times = _times(timeline, ReportPlan.of(timeline, descriptor), granularity)
        for offered in offers:
            wanted = [each for each in offered.descriptions if _is_asked_for(each, descriptor, targets_of or {})]
            if wanted and (offered.report_name == ReportName.HISTORY_USAGE) == times.are_past(now):
                found.append(
                    _request(
                        offered,
                        wanted,
                        report_request_id=next(ids),
                        granularity=times.granularity,
                        report_back=times.report_back,
                        interval=times.interval,
                    )
                )
    return tuple(found)


class _Times(Struct, frozen=True):
    granularity: Duration20b
    report_back: Duration20b
    interval: Period | None

    def are_past(self, now: datetime) -> bool:
        """Tell whether all of it is over, so that only what was recorded can be reported."""
        if self.interval is None or self.interval.duration.is_zero:
            return False
        end = self.interval.duration.after(self.interval.start)
        return end is not None and end <= now


def _times(timeline: Timeline, plan: ReportPlan, default: Duration20b) -> _Times:
    """Return when to report, in durations: OpenADR 3 counts intervals; the length of the first one is taken (4.5)."""
    before = plan.num_intervals - 1 if plan.historical else 0
    first = timeline.window(max(0, plan.start_interval - before))
    if first is None:
        return _Times(default, default, None)
    length = default if first.end is None else Duration20b.of(first.end - first.start)
    if length.is_zero:
        length = default
    covered = Duration20b(length.seconds * plan.num_intervals)
    if plan.repeat == 1:
        return _Times(length, ZERO_20B, Period(start=first.start, duration=covered))
    back = Duration20b(length.seconds * plan.frequency) if plan.frequency > 0 else covered
    total = ZERO_20B if plan.repeat is None else Duration20b(back.seconds * plan.repeat)
    return _Times(length, back, Period(start=first.start, duration=total))


def _is_asked_for(
    description: ReportDescription, descriptor: ReportDescriptor, targets_of: Mapping[str, Collection[str]]
) -> bool:
    """Tell whether a value is what a descriptor names: type, reading, unit, and resources if it names some."""
    if payload_type(description.report_type) != descriptor.payload_type:
        return False
    offered = reading_type(description.report_type, description.reading_type)
    wanted = descriptor.reading_type or (ReadingType.FORECAST if descriptor.historical is False else None)
    if wanted is not None and offered is not None and _AVERAGES.get(offered, offered) != _AVERAGES.get(wanted, wanted):
        return False
    if wanted is None and offered == ReadingType.FORECAST:
        return False
    unit = core_unit(description.item_base).unit
    if descriptor.units is not None and unit is not None and descriptor.units.upper() != unit:
        return False
    source = description.report_data_source
    resources = source.resource_ids if source is not None else ()
    return not descriptor.targets or any(
        asks_about(descriptor, {*targets_of.get(name, ()), f"resource:{name}"}) for name in resources
    )


def _request(
    offered: Capability,
    descriptions: Sequence[ReportDescription],
    *,
    report_request_id: str,
    granularity: Duration20b,
    report_back: Duration20b,
    interval: Period | None,
) -> ReportRequest:
    length = _within_rates(granularity, descriptions)
    back = report_back if report_back.is_zero or report_back.seconds > length.seconds else length
    return ReportRequest(
        report_request_id=report_request_id,
        specifier=ReportSpecifier(
            report_specifier_id=offered.report_specifier_id,
            granularity=length,
            report_back_duration=back,
            report_interval=interval,
            payloads=tuple(
                SpecifierPayload(r_id=each.r_id, item_base=each.item_base, reading_type=each.reading_type)
                for each in descriptions
            ),
        ),
    )


def _within_rates(granularity: Duration20b, descriptions: Sequence[ReportDescription]) -> Duration20b:
    """Return the granularity that is nearest to the wanted one and possible for all values (B-RPT-017)."""
    rates = [each.sampling_rate for each in descriptions if each.sampling_rate is not None]
    seconds = granularity.seconds
    longest = [rate.max_period.seconds for rate in rates if rate.max_period.seconds > 0]
    if longest:
        seconds = min(seconds, *longest)
    return Duration20b(max([seconds, *(rate.min_period.seconds for rate in rates)]))
