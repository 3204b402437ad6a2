"""Polling (B-POL)."""

from __future__ import annotations

from oadr_conformance.registry import SHOULD, Area
from oadr_conformance.v20b.probe import Probe20b
from oadr_conformance.v20b.tree import NAMESPACES
from oadr_conformance.v20b.views import events_in

area = Area("2.0b, OadrPoll", always="")


@area.check("B-POL-001", needs="operator")
async def one_message_per_poll(probe: Probe20b) -> None:
    """A poll brings exactly one message, with nothing beside it."""
    ven = await probe.registered()
    await probe.new_event(ven)
    reply = await ven.polled("oadrDistributeEvent")
    found = len(reply.root.findall(".//oadr:oadrSignedObject/*", NAMESPACES))
    reply.true(found == 1, "one message", f"{found} messages")


@area.check("B-POL-002")
async def nothing_pending(probe: Probe20b) -> None:
    """Where nothing is pending, a poll brings oadrResponse 200 with the venID."""
    ven = await probe.registered()
    reply = (await ven.poll()).ok("oadrResponse")
    reply.same("venID", reply.value_or_none("ei:venID"), ven.id)


@area.check("B-POL-003", needs="operator")
async def what_a_poll_brings(probe: Probe20b) -> None:
    """A poll brings a new event as oadrDistributeEvent, complete, as a push would."""
    ven = await probe.registered()
    view = await probe.new_event(ven)
    reply = await ven.polled("oadrDistributeEvent", holds=lambda one: view.id in one.text)
    found = next(one for one in events_in(reply.message) if one.id == view.id)
    reply.same("modificationNumber", found.number, view.number)


@area.check("B-POL-004 B-CRE-012", needs="operator")
async def offered_until_answered(probe: Probe20b) -> None:
    """An event that needs an answer is offered again until the answer comes, and then no more."""
    ven = await probe.registered()
    view = await probe.new_event(ven)
    for _ in range(2):
        reply = await ven.polled("oadrDistributeEvent", holds=lambda one: view.id in one.text)
    await ven.answer(reply)
    (await ven.poll()).ok("oadrResponse")


@area.check("B-POL-005", SHOULD)
async def fast_polls(probe: Probe20b) -> None:
    """A few polls faster than asked for are tolerated."""
    ven = await probe.registered()
    for _ in range(3):
        (await ven.poll()).ok("oadrResponse")


@area.check("B-POL-006", needs="operator")
async def early_poll(probe: Probe20b) -> None:
    """A poll before the answer to an event is no error."""
    ven = await probe.registered()
    await probe.new_event(ven)
    for _ in range(3):
        (await ven.poll()).of("oadrDistributeEvent", "oadrResponse").valid()
