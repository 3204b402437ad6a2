"""Answers to events: oadrCreatedEvent (B-CRE)."""

from __future__ import annotations

from typing import Any

from oadr_conformance.registry import Area
from oadr_conformance.v20b import messages
from oadr_conformance.v20b.answers import EVENT
from oadr_conformance.v20b.probe import Probe20b, StrangerVen
from oadr_conformance.v20b.reply import VtnReply
from oadr_conformance.v20b.views import ToldEvent

area = Area("2.0b, oadrCreatedEvent", always="")


async def _told(probe: Probe20b) -> tuple[StrangerVen, dict[str, Any], ToldEvent, str]:
    """A VEN with a new event, and the requestID that told it."""
    ven = await probe.registered()
    event, view = await probe.both(ven)
    reply = await ven.request_events()
    return ven, event, view, reply.value("pyld:requestID")


async def _answer(ven: StrangerVen, view: ToldEvent, request_id: str, **parts: Any) -> VtnReply:
    number = parts.pop("number", view.number)
    one = messages.event_response(view.id, number, request_id, **parts)
    return await ven.ask(EVENT, messages.created_event(ven.id, [one]))


@area.each("B-CRE-001", {"optIn": "optIn", "optOut": "optOut"}, needs="operator")
async def opt(probe: Probe20b, opt_type: str) -> None:
    """optIn and optOut are taken, and the event is not offered again."""
    ven, _, view, request_id = await _told(probe)
    (await _answer(ven, view, request_id, opt=opt_type)).ok("oadrResponse")
    (await ven.poll()).ok("oadrResponse")


@area.check("B-CRE-002", needs="operator")
async def changed_mind(probe: Probe20b) -> None:
    """A later oadrCreatedEvent that nobody asked for changes the opt."""
    ven, _, view, request_id = await _told(probe)
    for opt_type in ("optIn", "optOut", "optIn"):
        (await _answer(ven, view, request_id, opt=opt_type)).ok("oadrResponse")


@area.check("B-CRE-003", needs="operator")
async def another_request_id(probe: Probe20b) -> None:
    """A requestID that the VTN did not give is no reason to refuse an answer."""
    ven, _, view, _ = await _told(probe)
    (await _answer(ven, view, "conformance-unknown")).ok("oadrResponse")


@area.check("B-CRE-004", needs="operator")
async def empty_overall_request_id(probe: Probe20b) -> None:
    """The requestID of eiResponse may be empty where there are eventResponses."""
    ven, _, view, request_id = await _told(probe)
    one = messages.event_response(view.id, view.number, request_id)
    (await ven.ask(EVENT, messages.created_event(ven.id, [one], request_id=""))).ok("oadrResponse")


@area.check("B-CRE-005")
async def nothing_said(probe: Probe20b) -> None:
    """An oadrCreatedEvent without eventResponses is refused, unless its eiResponse reports an error."""
    ven = await probe.registered()
    (await ven.ask(EVENT, messages.created_event(ven.id, [], code="469"))).ok("oadrResponse")
    (await ven.ask(EVENT, messages.created_event(ven.id, []))).refused("oadrResponse", "454", "459")


@area.check("B-CRE-006")
async def unknown_event(probe: Probe20b) -> None:
    """An answer to an event that the VTN does not know is refused."""
    ven = await probe.registered()
    one = messages.event_response("conformance-unknown", 0, "x")
    (await ven.ask(EVENT, messages.created_event(ven.id, [one]))).refused("oadrResponse", "452", "450")


@area.check("B-CRE-006", needs="operator")
async def wrong_number(probe: Probe20b) -> None:
    """An answer to another modificationNumber is refused."""
    ven, _, view, request_id = await _told(probe)
    (await _answer(ven, view, request_id, number=view.number + 5)).refused("oadrResponse", "454", "452")


@area.check("B-CRE-006", needs="operator")
async def the_others_count(probe: Probe20b) -> None:
    """Where one answer of a message is refused, the others count."""
    ven, _, view, request_id = await _told(probe)
    answers = [
        messages.event_response("conformance-unknown", 0, request_id),
        messages.event_response(view.id, view.number, request_id),
    ]
    (await ven.ask(EVENT, messages.created_event(ven.id, answers))).of("oadrResponse")
    reply = await ven.poll()
    reply.true(view.id not in reply.text, "no more of an event that was answered", reply.name)


@area.check("B-CRE-007 B-CRE-008", needs="operator")
async def answer_to_a_cancelled_event(probe: Probe20b) -> None:
    """An answer to an event that has been cancelled meanwhile is taken."""
    ven, event, view, request_id = await _told(probe)
    await probe.operator.cancel(event)
    (await _answer(ven, view, request_id)).ok("oadrResponse")


@area.check("B-CRE-009", needs="operator")
async def rejected(probe: Probe20b) -> None:
    """A VEN may refuse an event by its code; that is taken, and the event is not offered again."""
    ven, _, view, request_id = await _told(probe)
    parts = {"opt": "optOut", "code": "460", "description": "no such signal here"}
    (await _answer(ven, view, request_id, **parts)).ok("oadrResponse")
    (await ven.poll()).ok("oadrResponse")


@area.check("B-CRE-010", needs="operator")
async def answer_nobody_needs(probe: Probe20b) -> None:
    """An answer that is not needed, as a second one, is taken."""
    ven, _, view, request_id = await _told(probe)
    for _ in range(2):
        (await _answer(ven, view, request_id)).ok("oadrResponse")


@area.check("B-CRE-011", needs="operator")
async def several_answers(probe: Probe20b) -> None:
    """Answers may come in one message or in several."""
    ven, _, first, _ = await _told(probe)
    second, third = await probe.new_event(ven), await probe.new_event(ven)
    reply = await ven.request_events()
    request_id = reply.value("pyld:requestID")
    both = [messages.event_response(one.id, one.number, request_id) for one in (first, second)]
    (await ven.ask(EVENT, messages.created_event(ven.id, both))).ok("oadrResponse")
    (await _answer(ven, third, request_id)).ok("oadrResponse")
    (await ven.poll()).ok("oadrResponse")


@area.check("B-CRE-001", needs="operator")
async def opt_reaches_business_logic(probe: Probe20b) -> None:
    """What a VEN answered is stored: business logic finds it as a report on the event."""
    ven, event, view, request_id = await _told(probe)
    (await _answer(ven, view, request_id, opt="optOut")).ok("oadrResponse")
    for _ in range(40):
        found = [str(one) for one in await probe.operator.reports(eventID=event["id"])]
        if any("optOut" in one for one in found):
            return
        await probe.pause()
    raise VtnReply(probe.log[-1]).fail("a report with optOut on the event", found or "none")
