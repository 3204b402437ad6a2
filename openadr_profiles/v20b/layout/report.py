"""Tables of the messages of EiReport."""

from __future__ import annotations

from typing import Final

from openadr_profiles.v20b.layout.common import (
    A_BOOLEAN,
    A_DURATION,
    A_TOKEN,
    A_URI,
    AN_ID,
    AN_INSTANT,
    DTSTART,
    EI_RESPONSE,
    INTERVALS,
    ITEM_BASE,
    LENGTH,
    PERIOD,
    TARGET,
)
from openadr_profiles.v20b.layout.elements import Inside, Layout, Named, Slot, Wrap
from openadr_profiles.v20b.messages.report import (
    CanceledReport,
    CancelReport,
    CreatedReport,
    CreateReport,
    RegisteredReport,
    RegisterReport,
    Report,
    ReportDescription,
    ReportRequest,
    ReportSpecifier,
    SamplingRate,
    SpecifierPayload,
    UpdatedReport,
    UpdateReport,
)

_REQUEST_ID: Final = Slot("request_id", "pyld:requestID", AN_ID)
_RESPONSE: Final = Slot("response", "ei:eiResponse", EI_RESPONSE)
_VEN_ID: Final = Slot("ven_id", "ei:venID", AN_ID)

_SAMPLING_RATE: Final = Layout(
    SamplingRate,
    Slot("min_period", "oadr:oadrMinPeriod", A_DURATION),
    Slot("max_period", "oadr:oadrMaxPeriod", A_DURATION),
    Slot("on_change", "oadr:oadrOnChange", A_BOOLEAN),
)

_DESCRIPTION: Final = Layout(
    ReportDescription,
    Slot("r_id", "ei:rID", AN_ID),
    Slot("report_subject", "ei:reportSubject", TARGET),
    Slot("report_data_source", "ei:reportDataSource", TARGET),
    Slot("report_type", "ei:reportType", A_TOKEN),
    Named("item_base", ITEM_BASE),
    Slot("reading_type", "ei:readingType", A_TOKEN),
    Slot("market_context", "emix:marketContext", A_URI),
    Slot("sampling_rate", "oadr:oadrSamplingRate", _SAMPLING_RATE),
)

_REPORT: Final = Layout(
    Report,
    Slot("start", "xcal:dtstart", DTSTART),
    Slot("duration", "xcal:duration", LENGTH),
    INTERVALS,
    Slot("ei_report_id", "ei:eiReportID", AN_ID),
    Slot("descriptions", "oadr:oadrReportDescription", _DESCRIPTION, many=True),
    Slot("report_request_id", "ei:reportRequestID", AN_ID),
    Slot("report_specifier_id", "ei:reportSpecifierID", AN_ID),
    Slot("report_name", "ei:reportName", A_TOKEN),
    Slot("created_date_time", "ei:createdDateTime", AN_INSTANT),
)

_SPECIFIER_PAYLOAD: Final = Layout(
    SpecifierPayload,
    Slot("r_id", "ei:rID", AN_ID),
    Named("item_base", ITEM_BASE),
    Slot("reading_type", "ei:readingType", A_TOKEN),
)

_SPECIFIER: Final = Layout(
    ReportSpecifier,
    Slot("report_specifier_id", "ei:reportSpecifierID", AN_ID),
    Slot("granularity", "xcal:granularity", LENGTH),
    Slot("report_back_duration", "ei:reportBackDuration", LENGTH),
    Slot("report_interval", "ei:reportInterval", Inside("xcal:properties", PERIOD)),
    Slot("payloads", "ei:specifierPayload", _SPECIFIER_PAYLOAD, many=True),
)

_REPORT_REQUEST: Final = Layout(
    ReportRequest,
    Slot("report_request_id", "ei:reportRequestID", AN_ID),
    Slot("specifier", "ei:reportSpecifier", _SPECIFIER),
)

_REPORTS: Final = Slot("reports", "oadr:oadrReport", _REPORT, many=True)
_REPORT_REQUESTS: Final = Slot("report_requests", "oadr:oadrReportRequest", _REPORT_REQUEST, many=True)
_PENDING: Final = Wrap(
    "oadr:oadrPendingReports", (Slot("pending_reports", "ei:reportRequestID", AN_ID, many=True),), always=True
)

REGISTER_REPORT: Final = Layout(
    RegisterReport,
    _REQUEST_ID,
    _REPORTS,
    _VEN_ID,
    Slot("report_request_id", "ei:reportRequestID", AN_ID),
)
REGISTERED_REPORT: Final = Layout(RegisteredReport, _RESPONSE, _REPORT_REQUESTS, _VEN_ID)
CREATE_REPORT: Final = Layout(CreateReport, _REQUEST_ID, _REPORT_REQUESTS, _VEN_ID)
CREATED_REPORT: Final = Layout(CreatedReport, _RESPONSE, _PENDING, _VEN_ID)
UPDATE_REPORT: Final = Layout(UpdateReport, _REQUEST_ID, _REPORTS, _VEN_ID)
CANCEL_REPORT: Final = Layout(
    CancelReport,
    _REQUEST_ID,
    Slot("report_request_ids", "ei:reportRequestID", AN_ID, many=True),
    Slot("report_to_follow", "pyld:reportToFollow", A_BOOLEAN),
    _VEN_ID,
)
UPDATED_REPORT: Final = Layout(
    UpdatedReport, _RESPONSE, Slot("cancel_report", "oadr:oadrCancelReport", CANCEL_REPORT), _VEN_ID
)
CANCELED_REPORT: Final = Layout(CanceledReport, _RESPONSE, _PENDING, _VEN_ID)
