"""Messages of the service EiReport."""

from __future__ import annotations

from datetime import datetime

from openadr_profiles.v20b.durations import Duration20b
from openadr_profiles.v20b.messages.common import EiResponse, Interval, ItemBase, Part, Period, Target


class SamplingRate(Part, frozen=True, kw_only=True):
    """Describe how often a value can be reported (B-RPT-017)."""

    min_period: Duration20b
    max_period: Duration20b
    on_change: bool


class ReportDescription(Part, frozen=True, kw_only=True):
    """A value that a report can have, by its ``r_id``."""

    r_id: str
    report_subject: Target | None = None
    report_data_source: Target | None = None
    report_type: str
    item_base: ItemBase | None = None
    reading_type: str
    market_context: str | None = None
    sampling_rate: SamplingRate | None = None


class Report(Part, frozen=True, kw_only=True):
    """A report: metadata with descriptions and a buffer length, or data with intervals (B-RPT-002, B-RPT-013)."""

    start: datetime | None = None
    duration: Duration20b | None = None
    intervals: tuple[Interval, ...] = ()
    ei_report_id: str | None = None
    descriptions: tuple[ReportDescription, ...] = ()
    report_request_id: str
    report_specifier_id: str
    report_name: str | None = None
    created_date_time: datetime


class SpecifierPayload(Part, frozen=True, kw_only=True):
    """A value that is asked for."""

    r_id: str
    item_base: ItemBase | None = None
    reading_type: str


class ReportSpecifier(Part, frozen=True, kw_only=True):
    """Say what is asked for: how fine (0: as recorded), how often (0: once), of which time (B-RPT-008, B-RPT-009)."""

    report_specifier_id: str
    granularity: Duration20b
    report_back_duration: Duration20b
    report_interval: Period | None = None
    payloads: tuple[SpecifierPayload, ...]


class ReportRequest(Part, frozen=True, kw_only=True):
    """A report that is asked for."""

    report_request_id: str
    specifier: ReportSpecifier


class RegisterReport(Part, frozen=True, kw_only=True):
    """Say which reports there are, in place of all that was said before (B-RPT-004)."""

    request_id: str
    reports: tuple[Report, ...] = ()
    ven_id: str | None = None
    report_request_id: str | None = None


class RegisteredReport(Part, frozen=True, kw_only=True):
    """Answer a list of reports, and ask for some at once (B-RPT-005)."""

    response: EiResponse
    report_requests: tuple[ReportRequest, ...] = ()
    ven_id: str | None = None


class CreateReport(Part, frozen=True, kw_only=True):
    """Ask for reports."""

    request_id: str
    report_requests: tuple[ReportRequest, ...]
    ven_id: str | None = None


class CreatedReport(Part, frozen=True, kw_only=True):
    """Answer requests with all that are open (B-RPT-010)."""

    response: EiResponse
    pending_reports: tuple[str, ...] = ()
    ven_id: str | None = None


class UpdateReport(Part, frozen=True, kw_only=True):
    """Send data."""

    request_id: str
    reports: tuple[Report, ...] = ()
    ven_id: str | None = None


class CancelReport(Part, frozen=True, kw_only=True):
    """End requests, with or without a last report (B-RPT-015)."""

    request_id: str
    report_request_ids: tuple[str, ...]
    report_to_follow: bool
    ven_id: str | None = None


class UpdatedReport(Part, frozen=True, kw_only=True):
    """Answer data, and end requests at once (B-RPT-014)."""

    response: EiResponse
    cancel_report: CancelReport | None = None
    ven_id: str | None = None


class CanceledReport(Part, frozen=True, kw_only=True):
    """Answer the end of requests with those that are still open."""

    response: EiResponse
    pending_reports: tuple[str, ...] = ()
    ven_id: str | None = None
