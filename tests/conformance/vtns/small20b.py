"""A small 2.0b VTN in memory that does everything right: mutations run over it, and the suite must find nothing wrong.

It shares with the suite how elements are written, and nothing else. Its events come from `small20b_events.py`.
"""

from __future__ import annotations

import hashlib
import math
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from lxml import etree
from oadr_conformance.moments import instant
from oadr_conformance.v20b.tree import (
    NAMESPACES,
    SCHEMA_VERSION,
    Element,
    el,
    flaws,
    local,
    maybe,
    message,
    parsed,
    payload,
)
from oadr_conformance.v20b.views import seconds_of
from signxml.verifier import SignatureConfiguration, XMLVerifier

from vtns.small20b_events import SmallEvents

VTN_ID = "SmallVTN"
_MOST_BYTES = 1_048_576
_SERVICE_OF = {
    "oadrQueryRegistration": "EiRegisterParty",
    "oadrCreatePartyRegistration": "EiRegisterParty",
    "oadrCancelPartyRegistration": "EiRegisterParty",
    "oadrCanceledPartyRegistration": "EiRegisterParty",
    "oadrRequestEvent": "EiEvent",
    "oadrCreatedEvent": "EiEvent",
    "oadrRegisterReport": "EiReport",
    "oadrRegisteredReport": "EiReport",
    "oadrCreateReport": "EiReport",
    "oadrCreatedReport": "EiReport",
    "oadrUpdateReport": "EiReport",
    "oadrCanceledReport": "EiReport",
    "oadrCreateOpt": "EiOpt",
    "oadrCancelOpt": "EiOpt",
    "oadrPoll": "OadrPoll",
}
SERVICES = frozenset(_SERVICE_OF.values())
_ANSWER_OF = {
    "oadrQueryRegistration": "oadrCreatedPartyRegistration",
    "oadrCreatePartyRegistration": "oadrCreatedPartyRegistration",
    "oadrCancelPartyRegistration": "oadrCanceledPartyRegistration",
    "oadrRequestEvent": "oadrDistributeEvent",
    "oadrRegisterReport": "oadrRegisteredReport",
    "oadrCreateReport": "oadrCreatedReport",
    "oadrUpdateReport": "oadrUpdatedReport",
    "oadrCreateOpt": "oadrCreatedOpt",
    "oadrCancelOpt": "oadrCanceledOpt",
}
_ADDRESS = "oadr:oadrTransportAddress"
_ACKNOWLEDGED = {
    "oadrRequestReregistration": "oadrResponse",
    "oadrCancelPartyRegistration": "oadrCanceledPartyRegistration",
    "oadrCreateReport": "oadrCreatedReport",
    "oadrCancelReport": "oadrCanceledReport",
}
_REPORT_NAMES = ("TELEMETRY_USAGE", "TELEMETRY_STATUS", "HISTORY_USAGE", "HISTORY_GREENBUTTON")
_UNITS = {"demand": "powerReal", "usage": "energyReal"}


class Http(Exception):
    """A body that is no message, or comes another way than by POST."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Denied(Exception):
    """A message that is refused by its code."""

    def __init__(self, code: str, why: str = "") -> None:
        super().__init__(code)
        self.code, self.why = code, why


class Misplaced(Denied):
    """A message at a service that it is not for."""


@dataclass
class SmallVen:
    """One VEN that the VTN knows."""

    ven_id: str
    registration: str = ""
    report_only: bool = False
    own_reports_due: bool = False
    push_url: str = ""
    """Where to push to; empty for a VEN that polls."""
    orders: list[Element] = field(default_factory=list)
    """What waits for the VEN beside reports and events of the VTN, oldest first."""
    offered: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """reportSpecifierID -> rIDs of the reports that it registered."""
    requests: dict[str, tuple[str, tuple[str, ...]]] = field(default_factory=dict)
    """reportRequestID -> reportSpecifierID and rIDs."""
    opts: dict[str, Element] = field(default_factory=dict)


@dataclass(frozen=True)
class Asked20b:
    """A request as it reaches the VTN."""

    service: str
    method: str
    content_type: str | None
    body: bytes
    certificate: bytes = b""
    """The peer's certificate, DER."""


class SmallVtn20b:
    """The VTN; certificates are enrolled before it is asked."""

    def __init__(self, *, signed: bool = False) -> None:
        self.vens: dict[str, SmallVen] = {}
        self.events = SmallEvents(VTN_ID)
        self._signed = signed
        self._nonces: set[str] = set()

    def enrol(self, der: bytes, ven_id: str) -> None:
        """Know a certificate from now on."""
        self.vens[hashlib.sha256(der).hexdigest()] = SmallVen(ven_id)

    def answer(self, asked: Asked20b, *, verify: bool = True) -> tuple[int, bytes]:
        """Return status and body of the answer; unless it verifies, a signature counts for nothing."""
        try:
            return 200, self._answered(asked, verify=verify)
        except Http as error:
            return error.status, b""

    def _answered(self, asked: Asked20b, *, verify: bool) -> bytes:
        if asked.service not in SERVICES:
            raise Http(404)
        if asked.method != "POST":
            raise Http(405)
        if (asked.content_type or "").partition(";")[0].strip().lower() != "application/xml":
            raise Http(415)
        if len(asked.body) > _MOST_BYTES:
            raise Http(413)
        root = _document(asked.body)
        if self._signed and verify:
            root = self._verified(root, asked)
        found = root.findall("oadr:oadrSignedObject/*", NAMESPACES)
        if len(found) != 1 or etree.QName(found[0]).namespace != NAMESPACES["oadr"]:
            raise Http(400)
        request, name = found[0], local(found[0])
        if name not in _SERVICE_OF and name not in {"oadrResponse", "oadrDistributeEvent"}:
            raise Http(400)
        ven = self.vens.get(hashlib.sha256(asked.certificate).hexdigest())
        try:
            answer = self._handled(asked.service, name, request, flaws(root), ven)
        except Denied as refusal:
            answer = self._refusal(name, request, refusal)
        return b"" if answer is None else payload(answer)

    def _handled(
        self, service: str, name: str, request: Element, wrong: list[str], ven: SmallVen | None
    ) -> Element | None:
        _check_message(request, wrong)
        if name == "oadrResponse":
            if ven is not None:
                self.acknowledged(ven, name)
            return None
        if _SERVICE_OF.get(name) != service:
            raise Misplaced("453", f"{name} is not for {service}")
        if name == "oadrQueryRegistration":
            return self._registration(_text(request, "pyld:requestID"), ven)
        if ven is None:
            raise Denied("463", "nobody enrolled this certificate")
        told = (
            request.find(".//ei:venID", NAMESPACES) if name != "oadrCreateOpt" else request.find("ei:venID", NAMESPACES)
        )
        if told is not None and told.text != ven.ven_id:
            raise Denied("452", "another VEN")
        if name == "oadrCreatePartyRegistration":
            return self._create_party(request, ven)
        if not ven.registration:
            if name == "oadrPoll":
                return message("oadr:oadrRequestReregistration", el("ei:venID", ven.ven_id))
            raise Denied("463", "not registered")
        if ven.report_only and service in {"EiEvent", "EiOpt"}:
            raise Denied("451", "a VEN that only reports")
        handlers: dict[str, Callable[[Element, SmallVen], Element]] = {
            "oadrCancelPartyRegistration": self._cancel_party,
            "oadrCanceledPartyRegistration": self._thanks,
            "oadrPoll": self._poll,
            "oadrRequestEvent": self._request_event,
            "oadrCreatedEvent": self._created_event,
            "oadrRegisterReport": self._register_report,
            "oadrRegisteredReport": self._thanks,
            "oadrCreateReport": self._create_report,
            "oadrCreatedReport": self._created_report,
            "oadrCanceledReport": self._thanks,
            "oadrUpdateReport": self._update_report,
            "oadrCreateOpt": self._create_opt,
            "oadrCancelOpt": self._cancel_opt,
        }
        return handlers[name](request, ven)

    def _refusal(self, name: str, request: Element, why: Denied) -> Element:
        part = _response(_text(request, "pyld:requestID") or _text(request, ".//pyld:requestID"), why.code, why.why)
        answer = "oadrResponse" if isinstance(why, Misplaced) else _ANSWER_OF.get(name, "oadrResponse")
        if answer == "oadrCreatedPartyRegistration":
            return message(f"oadr:{answer}", part, el("ei:vtnID", VTN_ID), _profiles())
        if answer == "oadrDistributeEvent":
            return message(f"oadr:{answer}", part, el("pyld:requestID", secrets.token_hex(4)), el("ei:vtnID", VTN_ID))
        if answer in {"oadrCreatedOpt", "oadrCanceledOpt"}:
            return message(f"oadr:{answer}", part, el("ei:optID", _text(request, "ei:optID")))
        if answer == "oadrCreatedReport":
            return message(f"oadr:{answer}", part, el("oadr:oadrPendingReports"))
        return message(f"oadr:{answer}", part)

    def _registration(self, request_id: str, ven: SmallVen | None, code: str = "200") -> Element:
        known = ven is not None and ven.registration
        return message(
            "oadr:oadrCreatedPartyRegistration",
            _response(request_id, code),
            maybe("ei:registrationID", ven.registration if ven and known else None),
            maybe("ei:venID", ven.ven_id if ven and known else None),
            el("ei:vtnID", VTN_ID),
            _profiles(),
            el("oadr:oadrRequestedOadrPollFreq", el("xcal:duration", "PT10S")),
        )

    def _create_party(self, request: Element, ven: SmallVen) -> Element:
        chosen = _text(request, "oadr:oadrProfileName"), _text(request, "oadr:oadrTransportName")
        if chosen != ("2.0b", "simpleHttp") or _text(request, "oadr:oadrXmlSignature") == (
            "false" if self._signed else "true"
        ):
            raise Denied("469", "not offered")
        pushes, address = _text(request, "oadr:oadrHttpPullModel") == "false", _text(request, _ADDRESS)
        if pushes and not address.startswith("https://"):
            raise Denied("454", "oadrTransportAddress is https")
        told = _text(request, "ei:registrationID")
        if told and told != ven.registration:
            raise Denied("452", "another registrationID")
        if not told:
            ven.registration = secrets.token_hex(8)
            ven.requests.clear()
            ven.orders.clear()
            self.events.forget(ven.ven_id)
            ven.own_reports_due = True
        ven.push_url = address if pushes else ""
        ven.report_only = _text(request, "oadr:oadrReportOnly") == "true"
        return self._registration(_text(request, "pyld:requestID"), ven)

    def _cancel_party(self, request: Element, ven: SmallVen) -> Element:
        old = ven.registration
        if _text(request, "ei:registrationID") != old:
            raise Denied("452", "another registrationID")
        self.end(ven)
        return message(
            "oadr:oadrCanceledPartyRegistration",
            _response(_text(request, "pyld:requestID")),
            el("ei:registrationID", old),
            el("ei:venID", ven.ven_id),
        )

    def end(self, ven: SmallVen) -> None:
        """End a registration."""
        ven.registration = ven.push_url = ""
        for held in (ven.requests, ven.opts, ven.orders):
            held.clear()

    def order(self, ven: SmallVen, order: str) -> None:
        """Have a VEN asked to `reregister` or `unregister`."""
        ven.orders.append(
            message("oadr:oadrRequestReregistration", el("ei:venID", ven.ven_id))
            if order == "reregister"
            else message(
                "oadr:oadrCancelPartyRegistration",
                el("pyld:requestID", secrets.token_hex(4)),
                el("ei:registrationID", ven.registration),
                el("ei:venID", ven.ven_id),
            )
        )

    def ask_for_reports(self) -> None:
        """Ask VENs for what events want reports of, and no more when the event is gone."""
        for ven in self.vens.values():
            for event in self.events.events.values():
                name, wanted = f"rr-{event.id}", bool(event.body.get("reportDescriptors")) and not event.gone
                if wanted and ven.offered and name not in ven.requests:
                    specifier, rids = next(iter(ven.offered.items()))
                    ven.requests[name] = specifier, rids
                    asked = _report_request(name, specifier, rids)
                    ven.orders.append(self._of_reports("oadr:oadrCreateReport", ven, asked))
                elif not wanted and name in ven.requests:
                    del ven.requests[name]
                    parts = el("ei:reportRequestID", name), el("pyld:reportToFollow", "false")
                    ven.orders.append(self._of_reports("oadr:oadrCancelReport", ven, *parts))

    def _of_reports(self, name: str, ven: SmallVen, *parts: Element) -> Element:
        return message(name, el("pyld:requestID", secrets.token_hex(4)), *parts, el("ei:venID", ven.ven_id))

    def _thanks(self, request: Element, ven: SmallVen) -> Element:
        self.acknowledged(ven, local(request))
        told = _text(request, "ei:eiResponse/pyld:requestID")
        return message("oadr:oadrResponse", _response(told), el("ei:venID", ven.ven_id))

    def due(self, ven: SmallVen, *, pushed: bool = False) -> Element | None:
        """Return what waits for a VEN, the first of it; what was pushed need not be answered to be told."""
        if ven.orders:
            return ven.orders[0]
        if ven.own_reports_due:
            return self._of_reports("oadr:oadrRegisterReport", ven)
        return None if ven.report_only else self.events.due(ven.ven_id, pushed=pushed)

    def acknowledged(self, ven: SmallVen, answer: str) -> None:
        """Take the name of an answer: what it belongs to waits no more."""
        if answer == "oadrRegisteredReport":
            ven.own_reports_due = False
        elif ven.orders and answer == _ACKNOWLEDGED[local(ven.orders[0])]:
            order = local(ven.orders.pop(0))
            if order == "oadrCancelPartyRegistration":
                self.end(ven)

    def _poll(self, request: Element, ven: SmallVen) -> Element:
        due = self.due(ven)
        return self._thanks(request, ven) if due is None else due

    def _request_event(self, request: Element, ven: SmallVen) -> Element:
        limit = _text(request, ".//pyld:replyLimit")
        part = _response(_text(request, ".//pyld:requestID"))
        return self.events.distribution(ven.ven_id, part, int(limit) if limit else None)

    def _created_event(self, request: Element, ven: SmallVen) -> Element:
        answers = request.findall(".//ei:eventResponse", NAMESPACES)
        code = _text(request, ".//ei:eiResponse/ei:responseCode")
        if not answers and code.startswith("2"):
            raise Denied("459", "no eventResponses")
        refused = ""
        for one in answers:
            event_id = _text(one, "ei:qualifiedEventID/ei:eventID")
            number = int(_text(one, "ei:qualifiedEventID/ei:modificationNumber"))
            refused = self.events.answered(ven.ven_id, event_id, number, _text(one, "ei:optType")) or refused
        if refused:
            raise Denied(refused, "an event or its number is not known")
        return message(
            "oadr:oadrResponse",
            _response(_text(request, ".//ei:eiResponse/pyld:requestID")),
            el("ei:venID", ven.ven_id),
        )

    def _register_report(self, request: Element, ven: SmallVen) -> Element:
        reports = request.findall("oadr:oadrReport", NAMESPACES)
        offered: dict[str, tuple[str, ...]] = {}
        for report in reports:
            name = _text(report, "ei:reportName").removeprefix("METADATA_")
            if name not in _REPORT_NAMES and not name.startswith("x-"):
                raise Denied("461", "an unknown report")
            for described in report.iterfind("oadr:oadrReportDescription", NAMESPACES):
                unit = _UNITS.get(_text(described, "ei:reportType"))
                if unit and described.find(f"power:{unit}", NAMESPACES) is None:
                    raise Denied("461", "another unit")
            rids = tuple(one.text or "" for one in report.iterfind("oadr:oadrReportDescription/ei:rID", NAMESPACES))
            offered[_text(report, "ei:reportSpecifierID")] = rids
        ven.offered = offered
        ven.requests = {name: (spec, rids) for name, (spec, rids) in ven.requests.items() if offered.get(spec) == rids}
        asked = []
        for specifier, rids in list(offered.items())[:20]:
            if (specifier, rids) not in ven.requests.values():
                name = secrets.token_hex(6)
                ven.requests[name] = specifier, rids
                asked.append(_report_request(name, specifier, rids))
        return message(
            "oadr:oadrRegisteredReport", _response(_text(request, "pyld:requestID")), *asked, el("ei:venID", ven.ven_id)
        )

    def _create_report(self, _request: Element, _ven: SmallVen) -> Element:
        raise Denied("461", "this VTN has no reports")

    def _created_report(self, request: Element, ven: SmallVen) -> Element:
        for one in request.iterfind("oadr:oadrPendingReports/ei:reportRequestID", NAMESPACES):
            if one.text not in ven.requests:
                raise Denied("452", "an unknown reportRequestID")
        return self._thanks(request, ven)

    def _update_report(self, request: Element, ven: SmallVen) -> Element:
        refused = ""
        for report in request.iterfind("oadr:oadrReport", NAMESPACES):
            specifier, rids = ven.requests.get(_text(report, "ei:reportRequestID"), ("", ()))
            told = {one.text for one in report.iterfind(".//ei:rID", NAMESPACES)}
            if specifier != _text(report, "ei:reportSpecifierID") or not told <= set(rids):
                refused = "452"
            values = (float(one.text or "nan") for one in report.iterfind(".//ei:payloadFloat/ei:value", NAMESPACES))
            if not all(map(math.isfinite, values)):
                refused = "454"
        if refused:
            raise Denied(refused, "a report that nobody asked for, or a value that is none")
        return message(
            "oadr:oadrUpdatedReport", _response(_text(request, "pyld:requestID")), el("ei:venID", ven.ven_id)
        )

    def _create_opt(self, request: Element, ven: SmallVen) -> Element:
        event, schedule = (request.find(name, NAMESPACES) for name in ("ei:qualifiedEventID", "xcal:vavailability"))
        if (event is None) == (schedule is None):
            raise Denied("454", "an event or a schedule")
        if event is not None:
            number = self.events.number(_text(event, "ei:eventID"))
            if number is None:
                raise Denied("452", "an unknown event")
            if number != int(_text(event, "ei:modificationNumber")):
                raise Denied("454", "another modificationNumber")
        for one in request.iterfind(".//xcal:available", NAMESPACES):
            start = instant(_text(one, ".//xcal:date-time").strip())
            length_s = (
                seconds_of(_text(one, ".//xcal:duration/xcal:duration"))
                if "Y" not in _text(one, ".//xcal:duration/xcal:duration")
                else 1
            )
            if start is None or length_s <= 0 or start[0] < datetime.now(UTC) - timedelta(days=1):
                raise Denied("454", "a stretch without length, or long ago")
        market = request.find("emix:marketContext", NAMESPACES)
        if market is not None and market.text not in self.events.markets:
            raise Denied("453", "an unknown market context")
        target = request.find("ei:eiTarget/ei:venID", NAMESPACES)
        if target is not None and target.text != ven.ven_id:
            raise Denied("462", "another VEN")
        classes = request.findall("oadr:oadrDeviceClass/*", NAMESPACES)
        if any(local(one) != "endDeviceAsset" for one in classes):
            raise Denied("454", "classes of devices only")
        name = _text(request, "ei:optID")
        ven.opts[name] = request
        return message("oadr:oadrCreatedOpt", _response(_text(request, "pyld:requestID")), el("ei:optID", name))

    def _cancel_opt(self, request: Element, ven: SmallVen) -> Element:
        name = _text(request, "ei:optID")
        if ven.opts.pop(name, None) is None:
            raise Denied("452", "an unknown optID")
        return message("oadr:oadrCanceledOpt", _response(_text(request, "pyld:requestID")), el("ei:optID", name))

    def _verified(self, root: Element, asked: Asked20b) -> Element:
        """Return the document with nothing but the message that the signature covers."""
        if [local(one) for one in root] != ["Signature", "oadrSignedObject"]:
            raise Http(403)
        certificate = x509.load_der_x509_certificate(asked.certificate)
        try:
            found = XMLVerifier().verify(
                root,
                x509_cert=certificate.public_bytes(Encoding.PEM).decode(),
                expect_config=SignatureConfiguration(expect_references=2, location="./"),
            )
        except Exception as error:  # the library has many kinds; each is a signature that does not hold
            raise Http(403) from error
        results = found if isinstance(found, list) else [found]
        covered = [one.signed_xml for one in results if one.signed_xml is not None]
        objects = [one for one in covered if local(one) == "oadrSignedObject"]
        replay = next((one for one in covered if local(one) == "SignatureProperty"), None)
        if len(objects) != 1 or replay is None:
            raise Http(403)
        moment = instant(_text(replay, ".//dsp:timestamp"))
        nonce = _text(replay, ".//dsp:nonce")
        if moment is None or abs((moment[0] - datetime.now(UTC)).total_seconds()) > 60 or nonce in self._nonces:
            raise Http(403)
        self._nonces.add(nonce)
        return el("oadr:oadrPayload", objects[0])


def _document(body: bytes) -> Element:
    try:
        root = parsed(body)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise Http(400) from error
    before = root.getprevious()
    if (
        root.getroottree().docinfo.doctype
        or before is not None
        or any(not isinstance(one.tag, str) for one in root.iter())
    ):
        raise Http(400)
    if root.tag != f"{{{NAMESPACES['oadr']}}}oadrPayload":
        raise Http(400)
    return root


def _check_message(request: Element, wrong: list[str]) -> None:
    if request.get(SCHEMA_VERSION, "2.0b") != "2.0b":
        raise Denied("459", "schemaVersion is 2.0b")
    if wrong:
        raise Denied("454", wrong[0][:200])
    for one in request.iter():
        if local(one) in {"date-time", "createdDateTime"} and not (one.text or "").strip().endswith("Z"):
            raise Denied("454", "times end with Z")


def _text(element: Element, path: str) -> str:
    return element.findtext(path, "", NAMESPACES)


def _response(request_id: str, code: str = "200", why: str | None = None) -> Element:
    return el(
        "ei:eiResponse",
        el("ei:responseCode", code),
        maybe("ei:responseDescription", why),
        el("pyld:requestID", request_id),
    )


def _profiles() -> Element:
    transports = el("oadr:oadrTransports", el("oadr:oadrTransport", el("oadr:oadrTransportName", "simpleHttp")))
    return el("oadr:oadrProfiles", el("oadr:oadrProfile", el("oadr:oadrProfileName", "2.0b"), transports))


def _report_request(name: str, specifier: str, rids: tuple[str, ...]) -> Element:
    wanted = (el("ei:specifierPayload", el("ei:rID", rid), el("ei:readingType", "x-notApplicable")) for rid in rids)
    return el(
        "oadr:oadrReportRequest",
        el("ei:reportRequestID", name),
        el(
            "ei:reportSpecifier",
            el("ei:reportSpecifierID", specifier),
            el("xcal:granularity", el("xcal:duration", "PT15M")),
            el("ei:reportBackDuration", el("xcal:duration", "PT15M")),
            *wanted,
        ),
    )
