"""Messages that a VEN sends, as elements. A part that is None is left out, so that a check can leave out anything."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from oadr_conformance.v20b.tree import Element, el, maybe, message

SPECIFIER: Final = "conformance-telemetry"
RID: Final = "conformance-rid-1"
MARKET: Final = "http://conformance.example/market"


def instant(**after: float) -> str:
    """Return an instant this long from now, in whole seconds and with Z."""
    return (datetime.now(UTC) + timedelta(**after)).strftime("%Y-%m-%dT%H:%M:%SZ")


def query_registration(request_id: str = "q") -> Element:
    """Return oadrQueryRegistration."""
    return message("oadr:oadrQueryRegistration", el("pyld:requestID", request_id))


def create_party(
    request_id: str = "c",
    *,
    registration_id: str | None = None,
    ven_id: str | None = None,
    profile: str = "2.0b",
    transport: str = "simpleHttp",
    address: str | None = None,
    report_only: bool = False,
    signature: bool = False,
    name: str | None = "conformance VEN",
    pull: bool | None = True,
) -> Element:
    """Return oadrCreatePartyRegistration."""
    return message(
        "oadr:oadrCreatePartyRegistration",
        el("pyld:requestID", request_id),
        maybe("ei:registrationID", registration_id),
        maybe("ei:venID", ven_id),
        el("oadr:oadrProfileName", profile),
        el("oadr:oadrTransportName", transport),
        maybe("oadr:oadrTransportAddress", address),
        el("oadr:oadrReportOnly", _bool(report_only)),
        el("oadr:oadrXmlSignature", _bool(signature)),
        maybe("oadr:oadrVenName", name),
        maybe("oadr:oadrHttpPullModel", None if pull is None else _bool(pull)),
    )


def cancel_party(registration_id: str, ven_id: str | None, request_id: str = "x") -> Element:
    """Return oadrCancelPartyRegistration."""
    return message(
        "oadr:oadrCancelPartyRegistration",
        el("pyld:requestID", request_id),
        el("ei:registrationID", registration_id),
        maybe("ei:venID", ven_id),
    )


def canceled_party(ven_id: str, registration_id: str, code: str = "200", *, request_id: str = "") -> Element:
    """Return oadrCanceledPartyRegistration."""
    return message(
        "oadr:oadrCanceledPartyRegistration",
        response_part(request_id, code),
        el("ei:registrationID", registration_id),
        el("ei:venID", ven_id),
    )


def poll(ven_id: str) -> Element:
    """Return oadrPoll."""
    return message("oadr:oadrPoll", el("ei:venID", ven_id))


def response_part(request_id: str = "", code: str = "200", description: str | None = None) -> Element:
    """Return eiResponse."""
    return el(
        "ei:eiResponse",
        el("ei:responseCode", code),
        maybe("ei:responseDescription", description),
        el("pyld:requestID", request_id),
    )


def response(ven_id: str | None, request_id: str = "", code: str = "200") -> Element:
    """Return oadrResponse."""
    return message("oadr:oadrResponse", response_part(request_id, code), maybe("ei:venID", ven_id))


def request_event(ven_id: str, request_id: str = "e", reply_limit: int | None = None) -> Element:
    """Return oadrRequestEvent."""
    return message(
        "oadr:oadrRequestEvent",
        el(
            "pyld:eiRequestEvent",
            el("pyld:requestID", request_id),
            el("ei:venID", ven_id),
            maybe("pyld:replyLimit", None if reply_limit is None else str(reply_limit)),
        ),
    )


def event_response(
    event_id: str, number: int, request_id: str, opt: str = "optIn", code: str = "200", description: str | None = None
) -> Element:
    """Return one eventResponse."""
    return el(
        "ei:eventResponse",
        el("ei:responseCode", code),
        maybe("ei:responseDescription", description),
        el("pyld:requestID", request_id),
        qualified(event_id, number),
        el("ei:optType", opt),
    )


def qualified(event_id: str, number: int) -> Element:
    """Return qualifiedEventID."""
    return el("ei:qualifiedEventID", el("ei:eventID", event_id), el("ei:modificationNumber", str(number)))


def created_event(ven_id: str, responses: Iterable[Element], *, request_id: str = "", code: str = "200") -> Element:
    """Return oadrCreatedEvent; without responses it has no eventResponses."""
    answers = list(responses)
    return message(
        "oadr:oadrCreatedEvent",
        el(
            "pyld:eiCreatedEvent",
            response_part(request_id, code),
            el("ei:eventResponses", *answers) if answers else None,
            el("ei:venID", ven_id),
        ),
    )


def target(**parts: str) -> Element:
    """Return eiTarget; parts are named as in the schema."""
    return el("ei:eiTarget", *(el(f"ei:{name}", text) for name, text in parts.items()))


def available(start: str, duration: str = "PT1H") -> Element:
    """Return vavailability with one stretch of time."""
    properties = el(
        "xcal:properties",
        el("xcal:dtstart", el("xcal:date-time", start)),
        el("xcal:duration", el("xcal:duration", duration)),
    )
    return el("xcal:vavailability", el("xcal:components", el("xcal:available", properties)))


def create_opt(
    ven_id: str,
    opt_id: str,
    *,
    opt: str = "optOut",
    reason: str = "notParticipating",
    market: str | None = None,
    availability: Element | None = None,
    created: str | None = None,
    request_id: str = "o",
    event: Element | None = None,
    to: Element | None = None,
    device_class: Element | None = None,
) -> Element:
    """Return oadrCreateOpt."""
    return message(
        "oadr:oadrCreateOpt",
        el("ei:optID", opt_id),
        el("ei:optType", opt),
        el("ei:optReason", reason),
        maybe("emix:marketContext", market),
        el("ei:venID", ven_id),
        availability,
        el("ei:createdDateTime", created or instant()),
        el("pyld:requestID", request_id),
        event,
        el("ei:eiTarget") if to is None else to,
        None if device_class is None else el("oadr:oadrDeviceClass", device_class),
    )


def cancel_opt(ven_id: str, opt_id: str, request_id: str = "oc") -> Element:
    """Return oadrCancelOpt."""
    return message(
        "oadr:oadrCancelOpt", el("pyld:requestID", request_id), el("ei:optID", opt_id), el("ei:venID", ven_id)
    )


def power_real() -> Element:
    """Return the unit kW at 50 Hz, 230 V."""
    attributes = el(
        "power:powerAttributes", el("power:hertz", "50"), el("power:voltage", "230"), el("power:ac", "true")
    )
    return el(
        "power:powerReal",
        el("power:itemDescription", "RealPower"),
        el("power:itemUnits", "W"),
        el("scale:siScaleCode", "k"),
        attributes,
    )


def energy_real() -> Element:
    """Return the unit kWh."""
    return el(
        "power:energyReal",
        el("power:itemDescription", "RealEnergy"),
        el("power:itemUnits", "Wh"),
        el("scale:siScaleCode", "k"),
    )


def description(
    rid: str = RID,
    type_: str = "usage",
    *,
    unit: Element | None = None,
    reading: str = "Direct Read",
    market: str | None = None,
    resource: str = "conformance-resource",
    subject: Element | None = None,
    rate: bool = True,
) -> Element:
    """Return oadrReportDescription of one measured quantity."""
    sampling = el(
        "oadr:oadrSamplingRate",
        el("oadr:oadrMinPeriod", "PT1M"),
        el("oadr:oadrMaxPeriod", "PT1H"),
        el("oadr:oadrOnChange", "false"),
    )
    return el(
        "oadr:oadrReportDescription",
        el("ei:rID", rid),
        subject,
        el("ei:reportDataSource", el("ei:resourceID", resource)),
        el("ei:reportType", type_),
        (energy_real() if unit is None else unit) if type_ != "x-resourceStatus" else None,
        el("ei:readingType", reading),
        maybe("emix:marketContext", market),
        sampling if rate else None,
    )


def metadata(
    descriptions: Sequence[Element] | None = None,
    *,
    specifier: str = SPECIFIER,
    name: str = "METADATA_TELEMETRY_USAGE",
    created: str | None = None,
) -> Element:
    """Return oadrReport that says what a VEN can report."""
    return el(
        "oadr:oadrReport",
        el("xcal:duration", el("xcal:duration", "PT4H")),
        *([description()] if descriptions is None else descriptions),
        el("ei:reportRequestID", "0"),
        el("ei:reportSpecifierID", specifier),
        el("ei:reportName", name),
        el("ei:createdDateTime", created or instant()),
    )


def register_report(
    ven_id: str | None,
    reports: Sequence[Element] | None = None,
    request_id: str = "r",
    report_request_id: str | None = None,
) -> Element:
    """Return oadrRegisterReport."""
    return message(
        "oadr:oadrRegisterReport",
        el("pyld:requestID", request_id),
        *([metadata()] if reports is None else reports),
        maybe("ei:venID", ven_id),
        maybe("ei:reportRequestID", report_request_id),
    )


def registered_report(ven_id: str, request_id: str) -> Element:
    """Return oadrRegisteredReport, without requests."""
    return message("oadr:oadrRegisteredReport", response_part(request_id), el("ei:venID", ven_id))


def created_report(ven_id: str, pending: Iterable[str], request_id: str = "") -> Element:
    """Return oadrCreatedReport."""
    ids = (el("ei:reportRequestID", one) for one in pending)
    return message(
        "oadr:oadrCreatedReport",
        response_part(request_id),
        el("oadr:oadrPendingReports", *ids),
        el("ei:venID", ven_id),
    )


def canceled_report(ven_id: str, pending: Iterable[str], request_id: str = "") -> Element:
    """Return oadrCanceledReport."""
    ids = (el("ei:reportRequestID", one) for one in pending)
    return message(
        "oadr:oadrCanceledReport",
        response_part(request_id),
        el("oadr:oadrPendingReports", *ids),
        el("ei:venID", ven_id),
    )


def create_report(ven_id: str, request_id: str = "cr", specifier: str = "some-specifier") -> Element:
    """Return oadrCreateReport, as a VEN that wants a report of the VTN."""
    wanted = el(
        "ei:reportSpecifier",
        el("ei:reportSpecifierID", specifier),
        el("xcal:granularity", el("xcal:duration", "PT15M")),
        el("ei:reportBackDuration", el("xcal:duration", "PT15M")),
        el("ei:specifierPayload", el("ei:rID", RID), el("ei:readingType", "Direct Read")),
    )
    asked = el("oadr:oadrReportRequest", el("ei:reportRequestID", "conformance-rr"), wanted)
    return message("oadr:oadrCreateReport", el("pyld:requestID", request_id), asked, el("ei:venID", ven_id))


def measured(
    rid: str = RID,
    value: str = "1.5",
    *,
    start: str | None = None,
    quality: str | None = "Quality Good - Non Specific",
    confidence: str | None = "95",
    accuracy: str | None = "0.5",
) -> Element:
    """Return one interval of a report with one measured value."""
    return el(
        "ei:interval",
        el("xcal:dtstart", el("xcal:date-time", start or instant(minutes=-1))),
        el("xcal:duration", el("xcal:duration", "PT1M")),
        el(
            "oadr:oadrReportPayload",
            el("ei:rID", rid),
            maybe("ei:confidence", confidence),
            maybe("ei:accuracy", accuracy),
            el("ei:payloadFloat", el("ei:value", value)),
            maybe("oadr:oadrDataQuality", quality),
        ),
    )


def status_interval(rid: str = RID) -> Element:
    """Return one interval of a report with the state of a resource."""
    state = el("oadr:oadrPayloadResourceStatus", el("oadr:oadrOnline", "true"), el("oadr:oadrManualOverride", "false"))
    return el(
        "ei:interval",
        el("xcal:dtstart", el("xcal:date-time", instant(minutes=-1))),
        el("oadr:oadrReportPayload", el("ei:rID", rid), state),
    )


def data_report(
    report_request_id: str,
    intervals: Sequence[Element] | None = None,
    *,
    specifier: str = SPECIFIER,
    name: str | None = "TELEMETRY_USAGE",
    start: str | None = None,
    created: str | None = None,
) -> Element:
    """Return oadrReport with data."""
    values = [measured()] if intervals is None else intervals
    return el(
        "oadr:oadrReport",
        el("xcal:dtstart", el("xcal:date-time", start or instant(minutes=-1))),
        el("strm:intervals", *values),
        el("ei:eiReportID", "conformance-report"),
        el("ei:reportRequestID", report_request_id),
        el("ei:reportSpecifierID", specifier),
        maybe("ei:reportName", name),
        el("ei:createdDateTime", created or instant()),
    )


def update_report(ven_id: str, reports: Iterable[Element], request_id: str = "u") -> Element:
    """Return oadrUpdateReport."""
    return message("oadr:oadrUpdateReport", el("pyld:requestID", request_id), *reports, el("ei:venID", ven_id))


def distribute_event(vtn_id: str) -> Element:
    """Return an empty oadrDistributeEvent, which only a VTN sends."""
    return message("oadr:oadrDistributeEvent", el("pyld:requestID", "d"), el("ei:vtnID", vtn_id))


def _bool(value: bool) -> str:
    return "true" if value else "false"
