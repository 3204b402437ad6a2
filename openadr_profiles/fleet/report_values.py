"""Read a report value by value: when each holds, in which unit, and how good it is.

An interval without a period of its own follows the one before it, or begins where its resource says (RDESC-019).
DATA_QUALITY in an interval is the quality of the other values beside it (RDESC-020).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from openadr_profiles.v31 import Duration, Interval, Point, Report, ReportPayloadType, ReportRequest, ReportResource
from openadr_profiles.v31.common import Value


@dataclass(frozen=True, slots=True)
class ReportValue:
    """One value of a report. ``start`` and ``duration`` are None if the report does not say them; ``end`` follows.

    ``units``, ``reading_type`` and ``quality`` are the report's own words, empty where it has none.
    """

    resource: str
    interval_id: int
    start: datetime | None
    duration: Duration | None
    payload_type: str
    value: Value
    units: str
    reading_type: str
    quality: str

    @property
    def end(self) -> datetime | None:
        """Return when it ends; None if that is not said."""
        return None if self.start is None or self.duration is None else self.duration.after(self.start)

    @property
    def number(self) -> float | None:
        """Return the value as a number; None if it is none, or too large for one."""
        return as_number(self.value)


def as_number(value: object) -> float | None:
    """Return a value as a number; None if it is none, or too large for one."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:
        return None


def report_values(report: ReportRequest) -> Iterator[ReportValue]:
    """Yield every value of a report, in its order; values of one payload follow each other."""
    units = {each.payload_type: each.units or "" for each in report.payload_descriptors or ()}
    readings = {each.payload_type: each.reading_type or "" for each in report.payload_descriptors or ()}
    for resource in report.resources:
        for start, duration, interval in placed(resource):
            quality = ", ".join(
                str(value)
                for payload in interval.payloads
                if payload.type == ReportPayloadType.DATA_QUALITY
                for value in payload.values
            )
            for payload in interval.payloads:
                for value in payload.values:
                    yield ReportValue(
                        resource=resource.resource_name,
                        interval_id=interval.id,
                        start=start,
                        duration=duration,
                        payload_type=payload.type,
                        value=value,
                        units=units.get(payload.type, ""),
                        reading_type=readings.get(payload.type, ""),
                        quality="" if payload.type == ReportPayloadType.DATA_QUALITY else quality,
                    )


def placed(resource: ReportResource) -> Iterator[tuple[datetime | None, Duration | None, Interval]]:
    """Yield the intervals of a resource with their starts and durations, None where they are not said."""
    at: datetime | None = None
    for interval in resource.intervals:
        own, default = interval.interval_period, resource.interval_period
        start = own.start.at if own and own.start else at or (default.start.at if default and default.start else None)
        duration = (own.duration if own else None) or (default.duration if default else None)
        yield start, duration, interval
        at = duration.after(start) if duration and start else None


EXPORTED: Final = (
    "report_id",
    "event_id",
    "client_id",
    "client_name",
    "report_name",
    "created",
    "modified",
    "resource",
    "interval_id",
    "start",
    "duration",
    "type",
    "value",
    "units",
    "reading_type",
    "quality",
)
"""The columns of an export: a row for each value."""


def exported(report: Report) -> Iterator[tuple[str | int | float | bool, ...]]:
    """Yield the rows of a report in an export. Instants are UTC; what is not said is an empty text.

    A text that a spreadsheet would take for a formula (it begins with =, +, - or @) gets an apostrophe in front, and
    control characters are spelled out.
    """
    created, modified = _utc(report.created_date_time), _utc(report.modification_date_time)
    texts = (report.id, report.event_id, report.client_id, report.client_name, report.report_name or "")
    head = (*map(harmless, texts), created, modified)
    for each in report_values(report):
        value = each.value if isinstance(each.value, bool | int | float) else harmless(_text(each.value))
        yield (
            *head,
            harmless(each.resource),
            each.interval_id,
            "" if each.start is None else _utc(each.start),
            "" if each.duration is None else str(each.duration),
            harmless(each.payload_type),
            value,
            harmless(each.units),
            harmless(each.reading_type),
            harmless(each.quality),
        )


def harmless(text: str) -> str:
    """Return a text that neither a terminal nor a spreadsheet acts on; its line ends stay."""
    spelled = "".join(
        each if each.isprintable() or each == "\n" else each.encode("unicode_escape").decode() for each in text
    )
    return f"'{spelled}" if spelled[:1] in {"=", "+", "-", "@"} else spelled


def _text(value: str | Point) -> str:
    return f"{value.x};{value.y}" if isinstance(value, Point) else value


def _utc(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
