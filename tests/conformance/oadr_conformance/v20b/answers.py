"""Answers of a VEN to what a VTN sends it: by a message of its own after a poll, or in the HTTP response to a push."""

from __future__ import annotations

from collections.abc import Sequence

from oadr_conformance.v20b import messages
from oadr_conformance.v20b.reply import VtnReply
from oadr_conformance.v20b.session import VenAtVtn
from oadr_conformance.v20b.tree import NAMESPACES, Element
from oadr_conformance.v20b.views import ToldEvent, events_in

EVENT, OPT, REPORT, PARTY, POLL = "EiEvent", "EiOpt", "EiReport", "EiRegisterParty", "OadrPoll"


def answer_to(ven: VenAtVtn, asked: VtnReply) -> tuple[str, Element] | None:
    """Return the service and the message to answer with; None where nothing is to be answered.

    What the VTN asks for is remembered: report requests, and the end of the registration.
    """
    request_id = asked.value_or_none("pyld:requestID") or ""
    answer: tuple[str, Element] | None = None
    match asked.name:
        case "oadrDistributeEvent":
            events = created_event(ven, events_in(asked.message), request_id)
            answer = None if events is None else (EVENT, events)
        case "oadrRegisterReport":
            answer = REPORT, messages.registered_report(ven.ven_id, request_id)
        case "oadrCreateReport":
            open_requests(ven, asked)
            answer = REPORT, messages.created_report(ven.ven_id, ven.requests, request_id)
        case "oadrCancelReport":
            for one in asked.all("ei:reportRequestID"):
                ven.requests.pop(one.text or "", None)
            answer = REPORT, messages.canceled_report(ven.ven_id, ven.requests, request_id)
        case "oadrRequestReregistration":
            ven.id = ""
            answer = PARTY, messages.response(ven.ven_id)
        case "oadrCancelPartyRegistration":
            ven.id = ""
            told = asked.value("ei:registrationID")
            answer = PARTY, messages.canceled_party(ven.ven_id, told, request_id=request_id)
    return answer


def response_to(ven: VenAtVtn, pushed: VtnReply) -> Element:
    """Return what the HTTP response to a push holds: of events only that they came, for they are answered later."""
    request_id = pushed.value_or_none("pyld:requestID") or ""
    if pushed.name == "oadrDistributeEvent":
        return messages.response(ven.ven_id, request_id)
    answer = answer_to(ven, pushed)
    return messages.response(ven.ven_id, request_id, "453") if answer is None else answer[1]


def created_event(
    ven: VenAtVtn, views: Sequence[ToldEvent], request_id: str, opt: str = "optIn", code: str = "200"
) -> Element | None:
    """Return oadrCreatedEvent for the events that need an answer; None if none does."""
    answers = [messages.event_response(one.id, one.number, request_id, opt, code) for one in views if one.needs_answer]
    return messages.created_event(ven.ven_id, answers) if answers else None


def open_requests(ven: VenAtVtn, asked: VtnReply) -> None:
    """Remember the report requests of a message."""
    for one in asked.all("oadr:oadrReportRequest"):
        ven.requests[one.findtext("ei:reportRequestID", "", NAMESPACES)] = one
