"""Which events a VEN is told of, in which message and in which order (B-EVT-001 to 007, 016 to 022, 035, 036, 040)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from oadr_conformance.errors import Skipped
from oadr_conformance.moments import from_now
from oadr_conformance.registry import Area
from oadr_conformance.v20b.probe import Probe20b
from oadr_conformance.v20b.views import events_in

area = Area("2.0b, EiEvent", always="")


@area.check("B-EVT-001", needs="operator")
async def all_events(probe: Probe20b) -> None:
    """Every oadrDistributeEvent has all far, near and active events of the VEN."""
    ven = await probe.registered()
    first = await probe.new_event(ven)
    await ven.drain()
    second = await probe.new_event(ven)
    reply = await ven.polled("oadrDistributeEvent", holds=lambda one: second.id in one.text)
    told = {one.id for one in events_in(reply.message)}
    reply.true({first.id, second.id} <= told, "both events, also the one that was answered", sorted(told))


@area.check("B-EVT-002", needs="operator")
async def order(probe: Probe20b) -> None:
    """Active events come first, and others by their start."""
    ven = await probe.registered()
    late = await probe.new_event(ven, intervalPeriod={"start": from_now(hours=9), "duration": "PT1H"})
    early = await probe.new_event(ven, intervalPeriod={"start": from_now(hours=5), "duration": "PT1H"})
    active = await probe.new_event(ven, intervalPeriod={"start": from_now(minutes=-5), "duration": "PT1H"})
    reply = (await ven.request_events()).of("oadrDistributeEvent")
    ours = {late.id, early.id, active.id}
    told = [one.id for one in events_in(reply.message) if one.id in ours]
    reply.same("order of events", told, [active.id, early.id, late.id])


@area.check("B-EVT-002 B-EVT-022", needs="operator")
async def order_of_active_events(probe: Probe20b) -> None:
    """Among active events the priority decides: 1 is the first, and 0, which is none, the last."""
    ven = await probe.registered()
    period = {"start": from_now(minutes=-5), "duration": "PT1H"}
    views = [
        await probe.new_event(ven, intervalPeriod=period, **({} if priority is None else {"priority": priority}))
        for priority in (None, 7, 1)
    ]
    reply = (await ven.request_events()).of("oadrDistributeEvent")
    found = {one.id: one.priority for one in events_in(reply.message)}
    none, low, high = (found[one.id] for one in views)
    reply.true(none == 0 and 0 < high < low, "priorities 0, and the greater the less important", (none, low, high))
    told = [one.id for one in events_in(reply.message) if one.id in {each.id for each in views}]
    reply.same("order of active events", told, [views[2].id, views[1].id, views[0].id])


@area.check("B-EVT-003", needs="operator")
async def reply_limit(probe: Probe20b) -> None:
    """replyLimit gives so many events, the first of the usual order."""
    ven = await probe.registered()
    for hours in (3, 4):
        await probe.new_event(ven, intervalPeriod={"start": from_now(hours=hours), "duration": "PT1H"})
    everything = [one.id for one in await ven.events()]
    for limit in (1, 2):
        reply = (await ven.request_events(limit)).of("oadrDistributeEvent")
        reply.same(f"events at replyLimit {limit}", [one.id for one in events_in(reply.message)], everything[:limit])


@area.check("B-EVT-016 B-EVT-010 B-EVT-004", needs="operator")
async def cancelled_is_told(probe: Probe20b) -> None:
    """A cancelled event is told as such, with a modificationNumber one above, and does not just vanish."""
    ven = await probe.registered()
    event, view = await probe.both(ven)
    await ven.drain()
    await probe.operator.cancel(event)
    reply = await ven.polled("oadrDistributeEvent", holds=lambda one: view.id in one.text)
    told = next(one for one in events_in(reply.message) if one.id == view.id)
    reply.same("eventStatus", told.status, "cancelled")
    reply.same("modificationNumber", told.number, view.number + 1)


@area.check("B-EVT-016 B-CRE-008 B-EVT-015", needs="operator")
async def cancelled_until_answered(probe: Probe20b) -> None:
    """A cancelled event is told again until the VEN answers, and stays cancelled."""
    ven = await probe.registered()
    event, view = await probe.both(ven)
    await ven.drain()
    await probe.operator.cancel(event)
    for _ in range(2):
        reply = await ven.polled("oadrDistributeEvent", holds=lambda one: view.id in one.text)
        told = next(one for one in events_in(reply.message) if one.id == view.id)
        reply.same("eventStatus", told.status, "cancelled")
    await ven.answer(reply)
    reply = await ven.poll()
    if reply.name == "oadrDistributeEvent":
        reply.true(view.id not in reply.text, "no more of a cancelled event that was answered", reply.text[:300])


@area.check("B-EVT-005 B-EVT-006")
async def no_events(probe: Probe20b) -> None:
    """A request for events where there is none is answered with an empty oadrDistributeEvent that has eiResponse."""
    ven = await probe.registered()
    reply = (await ven.request_events(request_id="none")).of("oadrDistributeEvent", "oadrResponse")
    if events_in(reply.message):
        raise Skipped("applies where the VTN has no event for this VEN")
    reply.ok("oadrDistributeEvent")
    reply.same("requestID", reply.request_id, "none")


@area.check("B-EVT-006 B-GEN-007", needs="operator")
async def response_of_a_request(probe: Probe20b) -> None:
    """oadrDistributeEvent has an eiResponse that repeats the requestID where it answers a request."""
    ven = await probe.registered()
    await probe.new_event(ven)
    reply = (await ven.request_events(request_id="conformance-events")).ok("oadrDistributeEvent")
    reply.same("requestID", reply.request_id, "conformance-events")


@area.check("B-EVT-006", needs="operator")
async def response_of_a_poll(probe: Probe20b) -> None:
    """oadrDistributeEvent has no eiResponse where a poll brings it: there is no request to answer."""
    ven = await probe.registered()
    await probe.new_event(ven)
    reply = await ven.polled("oadrDistributeEvent")
    reply.true(reply.find("ei:eiResponse") is None, "no eiResponse", reply.text[:300])


@area.check("B-EVT-007", needs="operator")
async def request_id_of_a_distribution(probe: Probe20b) -> None:
    """oadrDistributeEvent always has a requestID that is not empty."""
    ven = await probe.registered()
    await probe.new_event(ven)
    for reply in (await ven.polled("oadrDistributeEvent"), await ven.request_events()):
        reply.true(reply.value("pyld:requestID").strip(), "a requestID", "an empty one")


@area.check("B-EVT-018 B-EVT-024", needs="operator")
async def start_after(probe: Probe20b) -> None:
    """startafter is passed on, and an event is told until it may be over for every VEN."""
    ven = await probe.registered()
    period = {"start": from_now(seconds=-1), "duration": "PT3S", "randomizeStart": "PT30M"}
    view = await probe.new_event(ven, seconds=3, intervalPeriod=period)
    reply = await ven.request_events()
    reply.same("startafter, in seconds", view.start_after_s, 1800)
    while datetime.now(UTC) < view.start + timedelta(seconds=view.duration_s + 1):
        await probe.pause()
    reply = (await ven.request_events()).of("oadrDistributeEvent", "oadrResponse")
    told = [one.status for one in events_in(reply.message) if one.id == view.id]
    reply.true(told and told[0] != "cancelled", "the event until startafter has passed too", told)


@area.check("B-EVT-020", needs="operator")
async def response_required(probe: Probe20b) -> None:
    """An event says whether it needs an answer, and usually it does."""
    ven = await probe.registered()
    view = await probe.new_event(ven)
    reply = (await ven.request_events()).of("oadrDistributeEvent")
    told = view.text("oadr:oadrResponseRequired")
    reply.true(told in ({"always"} if probe.binding else {"always", "never"}), "oadrResponseRequired always", told)


@area.check("B-EVT-021", needs="operator")
async def no_test(probe: Probe20b) -> None:
    """An event that is none for a test says nothing of a test, or `false`."""
    ven = await probe.registered()
    view = await probe.new_event(ven)
    reply = (await ven.request_events()).of("oadrDistributeEvent")
    reply.true(view.test in {None, "false"}, "testEvent false", view.test)


@area.check("B-EVT-035", needs="operator")
async def targets(probe: Probe20b) -> None:
    """An event names the VEN that it is sent to, or nobody, and never another VEN."""
    ven = await probe.registered()
    view = await probe.new_event(ven)
    reply = (await ven.request_events()).of("oadrDistributeEvent")
    others = [text for kind, text in view.targets if kind == "venID" and text != ven.id]
    reply.true(not others, "no other VEN among the targets", others)
    if probe.binding:
        reply.true(("venID", ven.id) in view.targets, "this VEN among the targets", view.targets)


@area.check("B-EVT-036", needs="operator")
async def market_context(probe: Probe20b) -> None:
    """An event has one market context, which stays the same over its changes; another program has another one."""
    ven = await probe.registered()
    event, view = await probe.both(ven)
    other = await probe.new_event(ven)
    await probe.operator.change(event, priority=3)
    told = await ven.until(view, lambda one: one.number > view.number, "a change of an event")
    reply = await ven.request_events()
    reply.same("marketContext", told.market, view.market)
    reply.true(view.market.strip() and view.market != other.market, "a market context per program", view.market)


@area.check("B-EVT-040", needs="operator")
async def access_lost(probe: Probe20b) -> None:
    """A VEN that an event is no longer meant for gets it as cancelled."""
    ven = await probe.registered()
    event, view = await probe.both(ven)
    await ven.drain()
    await probe.operator.change(event, targets=[probe.session.name("group")])
    reply = await ven.polled("oadrDistributeEvent", holds=lambda one: view.id in one.text)
    told = next(one for one in events_in(reply.message) if one.id == view.id)
    reply.same("eventStatus", told.status, "cancelled")
    reply.same("modificationNumber", told.number, view.number + 1)
