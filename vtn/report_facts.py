"""Read what one report says, by the rules of the reports of our own VENs and of meter readings. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final

from openadr_profiles.fleet.reports import count_unread, is_opt_report, is_status_report, read_opts, read_status
from openadr_profiles.v31 import Invalid, ReportRequest, decode
from vtn.performance.from_reports import Meter, Reported, add_readings
from vtn.performance.profile import MeteredEnergy
from vtn.store.facts.given import without_nul
from vtn.store.facts.said import OptWord, ReadEnergy, ReportText, Said, ShedWord
from vtn.store.facts.tables import BASELINE, DRAWN

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MS: Final = timedelta(milliseconds=1)
_LONGEST: Final = 2000


def read_report(report: ReportText, *, since: datetime, until: datetime) -> Said:
    """Return what a report says; one that cannot be read says nothing but why.

    Readings that begin before ``since`` or after ``until`` are left out.
    """
    try:
        request = decode(f"{{{report.members}}}", ReportRequest)
    except (Invalid, ValueError) as error:
        return Said(report, trouble=f"it is no report: {error}"[:_LONGEST])
    if is_opt_report(request.report_name, report.event_id):
        return Said(report, opts=tuple(_opts(request)))
    if is_status_report(request.report_name, report.event_id):
        unread = count_unread(request.resources)
        return Said(report, sheds=tuple(_sheds(request)), left_out=unread, trouble=_trouble(unread, 0))
    found = Reported()
    add_readings(found, report.client_id, request)
    readings = [*_readings(found.readings.items(), DRAWN), *_readings(found.baselines.items(), BASELINE)]
    first, last = (since - _EPOCH) // _MS, (until - _EPOCH) // _MS
    kept = [row for row in readings if first <= row.starts_at_ms <= last]
    misplaced = len(readings) - len(kept)
    return Said(
        report,
        readings=kept,
        left_out=found.unread + misplaced,
        assumed=found.assumed,
        trouble=_trouble(found.unread, misplaced),
    )


def _trouble(unread: int, misplaced: int) -> str | None:
    parts = []
    if unread:
        parts.append(f"{unread} values are no number, too large, or in a unit that is no power or energy")
    if misplaced:
        parts.append(f"{misplaced} readings are too old, or of a time to come")
    return "; ".join(parts) or None


def _readings(found: Iterable[tuple[Meter, Iterable[MeteredEnergy]]], kind: int) -> Iterator[ReadEnergy]:
    for (_, resource), energies in found:
        name = without_nul(resource)
        for energy in energies:
            length_ms = energy.length // _MS
            if length_ms > 0:
                start_ms = (energy.start - _EPOCH) // _MS
                yield ReadEnergy(name, kind, start_ms, length_ms, float(energy.kwh), energy.estimated)


def _opts(request: ReportRequest) -> Iterator[OptWord]:
    for opt in read_opts(request.resources):
        reason = None if opt.reason is None else without_nul(opt.reason)
        decided_at_ms = None if opt.decided_at is None else (opt.decided_at - _EPOCH) // _MS
        yield OptWord(without_nul(opt.resource_name), opt.opted_in, reason, opt.state.value, decided_at_ms)


def _sheds(request: ReportRequest) -> Iterator[ShedWord]:
    for interval in read_status(request.resources):
        start_ms = (interval.start - _EPOCH) // _MS
        end_ms = None if interval.end is None else (interval.end - _EPOCH) // _MS
        for shed in interval.sheds:
            yield ShedWord(
                without_nul(shed.resource_name),
                start_ms,
                interval.id,
                end_ms,
                _float(shed.requested_kw),
                _float(shed.original_kw),
                _float(shed.curtailed_kw),
                _float(shed.delivered_kw),
                _float(shed.gross_kw),
                _float(shed.final_kw),
                None if shed.state is None else shed.state.value,
            )


def _float(kw: Decimal | None) -> float | None:
    return None if kw is None else float(kw)
