"""Read meter readings and reported baselines out of OpenADR reports.

What counts is energy (USAGE) and mean power (DEMAND, which is not said to be a direct reading), in W, kW or MW and
their hours. A value whose DATA_QUALITY is MISSING or BAD does not count, ESTIMATED is an estimate. Reports that say
what was done for an event are no readings of a meter.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final

from openadr_profiles.fleet.reports import is_opt_report, is_status_report, read_status
from openadr_profiles.v31 import AGGREGATED_REPORT, Interval, Report, ReportRequest, ReportResource
from vtn.performance.profile import MeteredEnergy
from vtn.performance.result import RequestedPower

_HOUR: Final = timedelta(hours=1)
_US: Final = timedelta(microseconds=1)
_KW_PER: Final[Mapping[str, Decimal]] = {"KW": Decimal(1), "W": Decimal("0.001"), "MW": Decimal(1000)}
_KWH_PER: Final[Mapping[str, Decimal]] = {f"{unit}H": factor for unit, factor in _KW_PER.items()}
_MOST: Final = Decimal(10) ** 12
_USELESS: Final = frozenset({"MISSING", "BAD"})

Meter = tuple[str, str]
"""The client id of a VEN, and the name of a resource."""


@dataclass(slots=True)
class Reported:
    """Hold what reports say: readings and baselines of each meter, and what each was asked for.

    ``unread`` counts values that are no number, too large, or in a unit that is no power or energy; ``assumed`` counts
    those without a unit, which are taken as kWh or kW.
    """

    readings: dict[Meter, list[MeteredEnergy]] = field(default_factory=lambda: defaultdict(list))
    baselines: dict[Meter, list[MeteredEnergy]] = field(default_factory=lambda: defaultdict(list))
    asked: dict[Meter, list[RequestedPower]] = field(default_factory=lambda: defaultdict(list))
    unread: int = 0
    assumed: int = 0


def read(reports: Iterable[Report], *, event_id: str) -> Reported:
    """Return the readings of all reports, and what the reports of one event say was asked; older reports first."""
    found = Reported()
    for report in sorted(reports, key=lambda one: one.modification_date_time):
        if is_opt_report(report.report_name, report.event_id):
            continue
        if is_status_report(report.report_name, report.event_id):
            if report.event_id == event_id:
                _add_asked(found, report)
            continue
        add_readings(found, report.client_id, report)
    return found


def add_readings(found: Reported, client_id: str, report: ReportRequest) -> None:
    """Add the readings of one report of a client, which is no opt report and no status report."""
    units = {each.payload_type: (each.units or "").upper() for each in report.payload_descriptors or ()}
    direct = {each.payload_type for each in report.payload_descriptors or () if each.reading_type == "DIRECT_READ"}
    for resource in report.resources:
        for start, length, interval in _placed(resource):
            _add(found, (client_id, resource.resource_name), start, length, interval, units, direct)


def _add(
    found: Reported,
    meter: Meter,
    start: datetime,
    length: timedelta,
    interval: Interval,
    units: Mapping[str, str],
    direct: Iterable[str],
) -> None:
    values = {payload.type: payload.values for payload in interval.payloads}
    quality = {str(value) for value in values.get("DATA_QUALITY", ())}
    if quality & _USELESS:
        return
    for type_, usual, into in (
        ("USAGE", "KWH", found.readings),
        ("DEMAND", "KW", found.readings),
        ("BASELINE", "KW", found.baselines),
    ):
        if not (said := values.get(type_)) or (type_ == "DEMAND" and ("USAGE" in values or type_ in direct)):
            continue
        unit = units.get(type_)
        kwh = _kwh(said[0], unit or usual, length)
        if kwh is None:
            found.unread += 1
        else:
            found.assumed += not unit
            into[meter].append(MeteredEnergy(start, length, kwh, "ESTIMATED" in quality))


def _kwh(value: object, unit: str, length: timedelta) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return None
    number = Decimal(str(value))
    if not number.is_finite() or abs(number) > _MOST:
        return None
    if unit in _KWH_PER:
        return number * _KWH_PER[unit]
    if unit in _KW_PER:
        return number * _KW_PER[unit] * (length // _US) / (_HOUR // _US)
    return None


def _placed(resource: ReportResource) -> Iterator[tuple[datetime, timedelta, Interval]]:
    """Yield the intervals of a resource with their starts and lengths; those without either are left out."""
    at: datetime | None = None
    for interval in resource.intervals:
        own, default = interval.interval_period, resource.interval_period
        start = own.start.at if own and own.start else at or (default.start.at if default and default.start else None)
        duration = (own.duration if own else None) or (default.duration if default else None)
        at = None
        if start is None or duration is None:
            continue
        end = duration.after(start)
        if end is None or end <= start:
            continue
        at = end
        yield start.astimezone(UTC), end - start, interval


def _add_asked(found: Reported, report: Report) -> None:
    """Take what a status report says was asked; of a resource that is in several, the last one to change counts."""
    said: dict[Meter, list[RequestedPower]] = defaultdict(list)
    for interval in read_status(report.resources):
        for shed in interval.sheds:
            if shed.requested_kw is not None:
                meter = (report.client_id, shed.resource_name)
                said[meter].append(RequestedPower(interval.start, interval.end, shed.requested_kw))
    found.asked.update(said)


def meters_of(readings: Iterable[Meter], *, circuits: bool) -> tuple[Meter, ...]:
    """Return the meters whose sum is the fleet: of each VEN its total if it reports one, else all it reports.

    With ``circuits`` each of what it reports but the total. Panels behind a bridge, whose circuits are named
    ``panel/circuit``, count once.
    """
    by_ven: dict[str, set[str]] = defaultdict(set)
    for client_id, name in readings:
        by_ven[client_id].add(name)
    chosen: list[Meter] = []
    for client_id, names in sorted(by_ven.items()):
        parts = names - {AGGREGATED_REPORT}
        if circuits or not parts:
            wanted = parts or names
        else:
            whole = {name for name in parts if "/" not in name or name.split("/")[0] not in parts}
            wanted = {AGGREGATED_REPORT} if AGGREGATED_REPORT in names else whole
        chosen += [(client_id, name) for name in sorted(wanted)]
    return tuple(chosen)
