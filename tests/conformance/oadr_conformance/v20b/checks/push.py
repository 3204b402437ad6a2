"""Push: what a VTN sends by itself to a VEN that listens (B-TRN-005, and what other areas say of pushes)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final

from oadr_conformance.errors import Mismatch, Skipped
from oadr_conformance.registry import Area
from oadr_conformance.v20b import messages
from oadr_conformance.v20b.answers import PARTY, REPORT
from oadr_conformance.v20b.probe import Probe20b, StrangerVen, specifier_of
from oadr_conformance.v20b.push_listener import PushResponse, ToldPush
from oadr_conformance.v20b.pushed import DISTRIBUTION
from oadr_conformance.v20b.tree import NAMESPACES, SCHEMA_LOCATION, SCHEMA_VERSION, payload
from oadr_conformance.v20b.views import ToldEvent, events_in

area = Area("2.0b, push", always="push")

CREATED: Final = "oadrCreatedPartyRegistration"
_CANCELED: Final = "oadrCanceledPartyRegistration"


def _about(view: ToldEvent) -> Callable[[ToldPush], bool]:
    """Tell whether a push has an event."""
    return lambda told: any(one.id == view.id for one in events_in(told.message))


@area.check("B-TRN-001", needs="operator")
async def event_is_pushed(probe: Probe20b) -> None:
    """A new event is POSTed, as XML of a length that is told, to EiEvent below the address that the VEN registered."""
    ven = await probe.pushed_to()
    told, _ = await ven.got_event(await probe.new_event(ven.ven))
    told.posted_to("EiEvent")


@area.check("B-GEN-013 B-GEN-002 B-GEN-003 B-GEN-004 B-EVT-007", needs="operator")
async def pushed_message_is_valid(probe: Probe20b) -> None:
    """A pushed message is valid by the schema, has its version and no schemaLocation, a requestID and the one vtnID."""
    ven = await probe.pushed_to()
    told, _ = await ven.got_event(await probe.new_event(ven.ven))
    told.valid()
    version = told.message.get(SCHEMA_VERSION)
    told.true(version == "2.0b", "schemaVersion 2.0b", version or "none")
    told.true(not [one for one in told.root.iter() if SCHEMA_LOCATION in one.attrib], "no schemaLocation", "one")
    told.true(told.value("pyld:requestID").strip(), "a requestID", "an empty one")
    ids = {told.value("ei:vtnID")} | probe.session.vtn_ids
    told.true(len(ids) == 1, "one vtnID", ", ".join(sorted(ids)))


@area.check("B-EVT-001 B-POL-003", needs="operator")
async def all_events_are_pushed(probe: Probe20b) -> None:
    """A pushed oadrDistributeEvent has all events of the VEN, also the one that was answered, as it would be polled."""
    ven = await probe.pushed_to()
    earlier = await probe.new_event(ven.ven)
    first, view = await ven.got_event(earlier)
    await ven.ven.answer_events([view], first.value("pyld:requestID"))
    second = await probe.new_event(ven.ven)
    told, pushed = await ven.got_event(second)
    told.same("modificationNumber", pushed.number, second.number)
    ids = {one.id for one in events_in(told.message)}
    told.true({earlier.id, second.id} <= ids, "both events, also the one that was answered", sorted(ids))


@area.check("B-EVT-006", needs="operator")
async def response_of_a_push(probe: Probe20b) -> None:
    """A pushed oadrDistributeEvent has no eiResponse: there is no request to answer."""
    ven = await probe.pushed_to()
    told, _ = await ven.got_event(await probe.new_event(ven.ven))
    told.true(told.find("ei:eiResponse") is None, "no eiResponse", told.text[:300])


@area.check("B-EVT-009 B-EVT-010 B-EVT-016", needs="operator")
async def changes_are_pushed(probe: Probe20b) -> None:
    """A change of an event is pushed with the next modificationNumber, and so is its cancellation."""
    ven = await probe.pushed_to()
    event, view = await probe.both(ven.ven)
    await ven.got_event(view)
    await probe.operator.change(event, priority=3)
    await ven.got_event(view, lambda one: one.number == view.number + 1)
    await probe.operator.cancel(event)
    told, last = await ven.got_event(view, lambda one: one.status == "cancelled")
    told.same("modificationNumber", last.number, view.number + 2)


@area.check("B-POL-004 B-CRE-001", needs="operator")
async def pushed_once(probe: Probe20b) -> None:
    """The VEN's oadrResponse is its answer to the push, it posts oadrCreatedEvent, and the event comes no more."""
    ven = await probe.pushed_to()
    told, view = await ven.got_event(await probe.new_event(ven.ven))
    answer = await ven.ven.answer_events([view], told.value("pyld:requestID"))
    if answer is not None:
        answer.ok("oadrResponse")
    await ven.quiet()
    before = len(ven.everything)
    await ven.quiet()
    second = await probe.new_event(ven.ven)
    last, _ = await ven.got_event(second)
    await ven.ven.answer_events(events_in(last.message), last.value("pyld:requestID"))
    await ven.quiet()
    again = [one for one in ven.everything[before:] if view.id in one.text and second.id not in one.text]
    if len(again) > 1:  # one may have been under way when the answer came
        raise again[0].fail("an event that was answered with other events only", f"{len(again)} more pushes of it")


_FAILURES: Final = {
    "status 503": PushResponse(503),
    "no answer": PushResponse(cut=True),
    "no XML": PushResponse(body=b"no XML"),
    "a refusal": PushResponse(body=payload(messages.response(None, "", "454"))),
}


@area.each("B-TRN-005 B-POL-004", _FAILURES, needs="operator")
async def sent_again(probe: Probe20b, failure: PushResponse) -> None:
    """A push that failed is sent again; how soon is the VTN's affair."""
    ven = await probe.pushed_to()
    with ven.answering(lambda told: failure if told.name_if_any == DISTRIBUTION else None):
        view = await probe.new_event(ven.ven)
        await ven.got_event(view)
    await ven.got(DISTRIBUTION, _about(view), count=len(ven.told(DISTRIBUTION, _about(view))) + 1)


@area.check("B-TRN-005", needs="operator")
async def one_at_a_time(probe: Probe20b) -> None:
    """While the VEN has not answered a push it gets no other one; what came up meanwhile follows."""
    ven = await probe.pushed_to()
    held = asyncio.Event()
    waiting: list[ToldPush] = []

    def hold(told: ToldPush) -> PushResponse:
        waiting.append(told)
        return PushResponse(held=held)

    with ven.answering(hold):
        try:
            await probe.new_event(ven.ven)
            told = await ven.got("", lambda told: told in waiting)  # of this event, or of what came up before it
            second = await probe.new_event(ven.ven)
            await ven.quiet()
        finally:
            held.set()
    early = [one for one in waiting if one is not told]
    if early:
        raise early[0].fail("no push before the answer to the one before", early[0].name_if_any or early[0].text[:100])
    await ven.got_event(second)


async def _pulls(ven: StrangerVen) -> None:
    (await ven.register("pull", again=True)).ok(CREATED)


async def _cancels(ven: StrangerVen) -> None:
    (await ven.cancel()).of(_CANCELED, "oadrResponse")


@area.each("B-TRN-005", {"who pulls": _pulls, "who is not registered": _cancels}, needs="operator")
async def not_pushed_to(probe: Probe20b, leave: Callable[[StrangerVen], Awaitable[None]]) -> None:
    """Nothing is pushed to a VEN that pulls, or that is no longer registered."""
    ven = await probe.pushed_to()
    await leave(ven.ven)
    before = {one.id for one in await ven.ven.events()} if ven.ven.registration.id else set()
    event = await probe.operator.event()
    await ven.quiet()
    if not ven.ven.registration.id:
        (await ven.ven.register("after")).ok(CREATED)
    view = await probe.as_told(ven.ven, event, before)
    await ven.quiet()
    for one in ven.everything:
        one.true(view.id not in one.text, "no push of an event to a VEN that polls", one.text[:300])


@area.check("B-REG-014 B-RPT-001 B-RPT-003")
async def reports_of_the_vtn_are_pushed(probe: Probe20b) -> None:
    """After a registration the VTN pushes oadrRegisterReport to EiReport, once: the response is the VEN's answer."""
    found = await probe.registered()
    (await found.cancel()).ok(_CANCELED)
    ven = await probe.pushed_to()
    told = (await ven.got("oadrRegisterReport")).posted_to("EiReport").valid()
    await ven.quiet()
    told.same("pushes of oadrRegisterReport", len(ven.told("oadrRegisterReport")), 1)


@area.check("B-TRN-001 B-RPT-007 B-RPT-015", needs="operator")
async def report_request_is_pushed(probe: Probe20b) -> None:
    """oadrCreateReport, and oadrCancelReport if it comes, are pushed to EiReport, about what the VEN registered."""
    ven = await probe.pushed_to()
    reply = (await ven.ven.register_reports()).ok("oadrRegisteredReport")
    if reply.all("oadr:oadrReportRequest"):
        await ven.ven.ask(REPORT, messages.created_report(ven.ven.id, ven.ven.registration.requests, "reports"))
    wanted = [{"payloadType": "USAGE", "readingType": "DIRECT_READ", "units": "KWH"}]
    event = await probe.operator.event(reportDescriptors=wanted)
    try:
        told = await ven.got("oadrCreateReport")
    except Mismatch:
        raise Skipped("applies where the VTN pushes oadrCreateReport, as for reportDescriptors of events") from None
    told.posted_to("EiReport").valid()
    for asked in told.all("oadr:oadrReportRequest"):
        told.same("reportSpecifierID", specifier_of(asked), messages.SPECIFIER)
        rids = {one.text for one in asked.iterfind("ei:reportSpecifier/ei:specifierPayload/ei:rID", NAMESPACES)}
        told.same("rIDs", sorted(map(str, rids)), [messages.RID])
    names = {one.text for one in told.all("oadr:oadrReportRequest/ei:reportRequestID")}
    await probe.operator.cancel(event)
    try:
        last = await ven.got("oadrCancelReport")
    except Mismatch:
        return  # nothing says that a report ends with its event
    last.posted_to("EiReport").valid()
    cancelled = {one.text for one in last.all("ei:reportRequestID")}
    last.true(cancelled <= names, "report requests that were pushed", sorted(map(str, cancelled)))


@area.check("B-REG-010", needs="order")
async def reregistration_is_pushed(probe: Probe20b) -> None:
    """oadrRequestReregistration is pushed to EiRegisterParty, once: the VEN's oadrResponse is in the HTTP response."""
    ven = await probe.pushed_to()
    await probe.order("reregister")
    told = (await ven.got("oadrRequestReregistration")).posted_to("EiRegisterParty").valid()
    told.same("venID", told.value("ei:venID"), ven.ven.id)
    await ven.quiet()
    told.same("pushes of oadrRequestReregistration", len(ven.told("oadrRequestReregistration")), 1)
    (await ven.register("reregistration")).ok(CREATED)


@area.check("B-REG-013", needs="order")
async def cancellation_is_pushed(probe: Probe20b) -> None:
    """oadrCancelPartyRegistration is pushed to EiRegisterParty; the HTTP response ends the registration."""
    ven = await probe.pushed_to()
    registered = ven.ven.registration.id
    await probe.order("unregister")
    told = (await ven.got("oadrCancelPartyRegistration")).posted_to("EiRegisterParty").valid()
    told.same("registrationID", told.value("ei:registrationID"), registered)
    until = time.monotonic() + probe.session.subject.patience_s
    while True:
        reply = await ven.ven.ask(PARTY, messages.query_registration("ended"))
        if not reply.value_or_none("ei:registrationID"):
            return
        if time.monotonic() > until:
            raise reply.fail("no registration any more", reply.text[:300])
        await probe.pause()


@area.check("B-SEC-004", needs="operator certificates")
async def certificate_of_pushes(probe: Probe20b) -> None:
    """The VTN shows a certificate of an authority that the VEN trusts when it pushes."""
    ven = await probe.pushed_to()
    told, _ = await ven.got_event(await probe.new_event(ven.ven))
    told.true(told.certificate, "a certificate of the VTN's client", "none")


@area.check("B-SEC-004 B-SEC-006", needs="operator certificates")
async def nothing_is_pushed_to_a_stranger(probe: Probe20b) -> None:
    """Who has a certificate of nobody at the address of a VEN is sent nothing."""
    ven = await probe.pushed_to()
    with ven.as_impostor():
        calls = ven.calls
        view = await probe.new_event(ven.ven)
        await ven.called(calls)
        await ven.quiet()
        for one in ven.everything:
            one.true(view.id not in one.text, "no connection, or none with a message", one.text[:300])
