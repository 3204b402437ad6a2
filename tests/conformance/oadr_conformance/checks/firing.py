"""SUBS: when a subscription fires, and who hears of what."""

from __future__ import annotations

from typing import Final

from oadr_conformance import bodies
from oadr_conformance.callbacks import LabCallback
from oadr_conformance.changes import CHANGED, CHANGES, CREATED, REMOVED, Change, create_event, entry
from oadr_conformance.probe import Actor, Probe
from oadr_conformance.registry import SHOULD, Area

area = Area("Definition: Subscriptions, program and event objects - targeting, Object Privacy")

_EVENT: Final = (CREATED, CHANGED, REMOVED)


async def _listening(t: Probe, actor: Actor, *changes: Change, **members: object) -> LabCallback:
    """Return the callback of a new subscription to these changes."""
    callback = t.callback()
    await t.subscription(actor, objectOperations=[entry(callback, *changes)], **members)
    return callback


@area.check("SUBS-008", needs="ven receiver")
async def entries(t: Probe) -> None:
    """Each entry of a subscription is told at its own URL of its own objects and operations."""
    created, removed, programs = t.callback(), t.callback(), t.callback()
    listed = [entry(created, CREATED), entry(removed, REMOVED), entry(programs, CHANGES["program CREATE"])]
    await t.subscription(t.ven, objectOperations=listed)
    program = (await t.bl.post("/programs", bodies.program(t.name("program")))).expect(201).object()
    event = await create_event(t, program)
    (await t.bl.delete(f"/events/{event['id']}")).expect(200)
    (await created.told(event["id"], "CREATE")).is_of("EVENT", "CREATE")
    (await removed.told(event["id"], "DELETE")).is_of("EVENT", "DELETE")
    (await programs.told(program["id"], "CREATE")).is_of("PROGRAM", "CREATE")
    for callback, wanted in ((created, {event["id"]}), (removed, {event["id"]}), (programs, {program["id"]})):
        t.same("the objects that came", {told.subject()["id"] for told in callback.inbox.told} == wanted, True)


@area.check("SUBS-008 SUBS-021", needs="ven receiver")
async def one_url_twice(t: Probe) -> None:
    """A URL that stands in two entries for the same change is told once."""
    callback, other = t.callback(), t.callback()
    listed = [entry(callback, CREATED), entry(callback, CREATED, REMOVED), entry(other, CREATED)]
    await t.subscription(t.ven, objectOperations=listed)
    event = await create_event(t, await t.program())
    await callback.told(event["id"])
    await other.told(event["id"])
    last = await create_event(t, await t.program())
    await callback.told(last["id"])
    t.same("notifications of one change", len(callback.inbox.about(event["id"])), 1)


@area.check("SUBS-020", needs="ven receiver")
async def nothing_else(t: Probe) -> None:
    """A subscription is told of the objects and operations it names, and of no others."""
    callback = await _listening(t, t.ven, CHANGED)
    program = (await t.bl.post("/programs", bodies.program(t.name("program")))).expect(201).object()
    event = await CREATED.kind.seed(t, bodies.event(program["id"]))
    changed = bodies.program(t.name("program"))
    (await t.bl.put(f"/programs/{program['id']}", changed)).expect(200)
    (await t.bl.put(f"/events/{event['id']}", CHANGED.kind.as_request(event, eventName="changed"))).expect(200)
    (await callback.told(event["id"])).is_of("EVENT", "UPDATE")
    (await t.bl.delete(f"/events/{event['id']}")).expect(200)
    await callback.inbox.quiet_about(program["id"])
    for told in callback.inbox.told:
        told.is_of("EVENT", "UPDATE")


@area.check("SUBS-021", needs="ven receiver")
async def once(t: Probe) -> None:
    """One change is told once to a callback that takes it."""
    callback = await _listening(t, t.ven, CREATED)
    program = await t.program()
    events = [await create_event(t, program) for _ in range(3)]
    await callback.told(events[-1]["id"])
    await callback.inbox.quiet_about()
    t.same("notifications of each", [len(callback.inbox.about(event["id"])) for event in events], [1, 1, 1])


@area.check("SUBS-020", needs="ven receiver")
async def refused_writes(t: Probe) -> None:
    """A write that is refused is told to nobody."""
    callback = await _listening(t, t.ven, *_EVENT)
    program = await t.program()
    event = await CREATED.kind.seed(t, bodies.event(program["id"]))
    (await t.bl.put(f"/events/{event['id']}", {"eventName": "without a program"})).expect(400, allowed=(422,))
    await t.ven.delete(f"/events/{event['id']}")
    last = await create_event(t, program)
    await callback.told(last["id"])
    await callback.inbox.quiet_about()
    operations = [told.notification()["operation"] for told in callback.inbox.about(event["id"])]
    t.same("operations told", [word for word in operations if word not in {"CREATE", "POST"}], [])


@area.check("SUBS-022", needs="ven receiver")
async def of_one_program(t: Probe) -> None:
    """programID restricts events to those of the program."""
    program, other = await t.program(), await t.program()
    callback = await _listening(t, t.ven, CREATED, programID=program["id"])
    foreign, own = await create_event(t, other), await create_event(t, program)
    await callback.told(own["id"])
    await callback.inbox.quiet_about(foreign["id"])


@area.check("SUBS-022", needs="ven receiver")
async def reports_of_one_program(t: Probe) -> None:
    """programID restricts reports to those of events of the program."""
    await t.ready(t.ven)
    events = [await t.event(), await t.event()]
    callback = await _listening(t, t.ven, CHANGES["report CREATE"], programID=events[0]["programID"])
    foreign, own = [
        (await t.ven.post("/reports", bodies.report(event["id"]))).expect(201).object() for event in reversed(events)
    ]
    await callback.told(own["id"])
    await callback.inbox.quiet_about(foreign["id"])


@area.check("SUBS-022", needs="ven receiver")
async def other_programs(t: Probe) -> None:
    """programID does not restrict what is told of programs."""
    callback = await _listening(t, t.ven, CHANGES["program CREATE"], programID=(await t.program())["id"])
    program = (await t.bl.post("/programs", bodies.program(t.name("program")))).expect(201).object()
    await callback.told(program["id"])


FOREIGN: Final = {name: CHANGES[f"{name} CREATE"] for name in ("report", "subscription", "resource")}


@area.each("SUBS-023 PRIV-017", FOREIGN, needs="ven ven2 receiver")
async def of_other_vens(t: Probe, change: Change) -> None:
    """Tell of what a VEN makes to that VEN and to no other."""
    callback, own = await _listening(t, t.ven2, change), await _listening(t, t.ven, change)
    made = await change.make(t, {})
    await own.told(made["id"])
    await callback.inbox.quiet_about(made["id"])


@area.check("SUBS-023", needs="ven ven2 receiver")
async def other_vens(t: Probe) -> None:
    """A ven is told of to its own client and to no other."""
    change = CHANGES["ven UPDATE"]
    ven = await t.own_ven(t.ven)
    callback, own = await _listening(t, t.ven2, change), await _listening(t, t.ven, change)
    await change.make(t, ven)
    await own.told(ven["id"])
    await callback.inbox.quiet_about(ven["id"])


@area.each(
    "SUBS-023",
    {name: CHANGES[f"{name} CREATE"] for name in ("program", "event", "report", "resource")},
    needs="ven receiver",
)
async def business_logic_hears_all(t: Probe, change: Change) -> None:
    """Business logic is told of everything, with all targets."""
    callback = await _listening(t, t.bl, change)
    target = t.name("target")
    await t.own_ven(t.ven)
    if change.kind.name in {"program", "event"}:
        body = await change.kind.plain(t, targets=[target])
        made = (await t.bl.post(change.kind.path, body)).expect(201).object()
    else:
        made = await change.make(t, {})
    told = await callback.told(made["id"])
    answer = await t.bl.get(f"{change.kind.path}/{made['id']}")
    told.has_object(answer.expect(200).object(), "CREATE")


@area.check("SUBS-023", needs="ven receiver")
async def business_logic_filters(t: Probe) -> None:
    """Targets of a subscription of business logic are a plain filter: any of them."""
    wanted, other = t.name("target"), t.name("target")
    callback = await _listening(t, t.bl, CREATED, targets=[wanted, t.name("target")])
    program = await t.program()
    left_out = await create_event(t, program, targets=[other])
    matching = await create_event(t, program, targets=[wanted, other])
    await callback.told(matching["id"])
    await callback.inbox.quiet_about(left_out["id"])


@area.check("SUBS-025 SUBS-023", needs="ven receiver")
async def granted_targets(t: Probe) -> None:
    """A VEN is told of an event with a target that it subscribes to and was granted."""
    target = t.name("target")
    await t.enrol(t.ven, targets=[target])
    callback = await _listening(t, t.ven, CREATED, targets=[target])
    event = await create_event(t, await t.program(), targets=[target])
    (await callback.told(event["id"])).is_of("EVENT", "CREATE")


@area.each(
    "SUBS-025 SUBS-023 PRIV-014",
    {"of a subscription with targets": True, "of one without": False},
    needs="ven ven2 receiver",
)
async def targets_not_granted(t: Probe, targeted: bool) -> None:
    """A VEN is not told of an event with targets that it was not granted."""
    granted, other = t.name("target"), t.name("target")
    await t.enrol(t.ven, targets=[granted])
    await t.enrol(t.ven2, targets=[other])
    members = {"targets": [granted]} if targeted else {}
    callback = await _listening(t, t.ven, CREATED, **members)
    entitled = await _listening(t, t.ven2, CREATED, targets=[other])
    event = await create_event(t, await t.program(), targets=[other])
    await entitled.told(event["id"])
    await callback.inbox.quiet_about(event["id"])


@area.check("PRIV-014 SUBS-023", needs="ven receiver")
async def hidden_targets(t: Probe) -> None:
    """A notification shows a VEN of an object's targets those that it was granted and asked for."""
    granted, other = t.name("target"), t.name("target")
    await t.enrol(t.ven, targets=[granted])
    callback = await _listening(t, t.ven, CREATED, targets=[granted])
    event = await create_event(t, await t.program(), targets=[other, granted])
    told = await callback.told(event["id"])
    told.same("targets", told.subject().get("targets"), [granted])
    told.true(other not in told.text, "no target that was not granted", told.text)


@area.check("SUBS-024", needs="ven receiver")
async def targeted_subscription(t: Probe) -> None:
    """A subscription with targets is not told of events without any."""
    target = t.name("target")
    await t.enrol(t.ven, targets=[target])
    callback = await _listening(t, t.ven, CREATED, targets=[target])
    program = await t.program()
    plain, targeted = await create_event(t, program), await create_event(t, program, targets=[target])
    await callback.told(targeted["id"])
    await callback.inbox.quiet_about(plain["id"])


@area.check("SUBS-014 SUBS-023", needs="ven receiver")
async def without_ven(t: Probe) -> None:
    """Without its ven a client is told of events without targets only."""
    target = t.name("target")
    ven = await t.enrol(t.ven, targets=[target])
    callback = await _listening(t, t.ven, CREATED)
    program = await t.program()
    await callback.told((await create_event(t, program, targets=[target]))["id"])
    (await t.bl.delete(f"/vens/{ven['id']}")).expect(200)
    targeted, plain = await create_event(t, program, targets=[target]), await create_event(t, program)
    await callback.told(plain["id"])
    await callback.inbox.quiet_about(targeted["id"])


@area.check("SUBS-026", needs="ven receiver")
async def removed_while_visible(t: Probe) -> None:
    """Tell of a removal to whoever could see the object, as it was, and to nobody else."""
    granted, other = t.name("target"), t.name("target")
    await t.enrol(t.ven, targets=[granted])
    callback = await _listening(t, t.ven, REMOVED)
    program = await t.program()
    hidden = await CREATED.kind.seed(t, bodies.event(program["id"], targets=[other]))
    shown = await CREATED.kind.seed(t, bodies.event(program["id"], targets=[granted, other]))
    for event in (hidden, shown):
        (await t.bl.delete(f"/events/{event['id']}")).expect(200)
    told = await callback.told(shown["id"])
    told.same("targets", told.is_of("EVENT", "DELETE").get("targets"), [granted])
    await callback.inbox.quiet_about(hidden["id"])


@area.each("SUBS-027", {"hidden": True, "shown": False}, SHOULD, needs="ven receiver")
async def changed_visibility(t: Probe, hides: bool) -> None:
    """Tell whoever sees an event no more that it is gone, as it was shown; whoever sees it now, that it changed."""
    granted, other = t.name("target"), t.name("target")
    await t.enrol(t.ven, targets=[granted])
    callback = await _listening(t, t.ven, *_EVENT)
    program = await t.program()
    before, after = ([granted], [other]) if hides else ([other], [granted])
    event = await CREATED.kind.seed(t, bodies.event(program["id"], targets=before))
    body = CHANGED.kind.as_request(event, targets=after)
    (await t.bl.put(f"/events/{event['id']}", body)).expect(200)
    told = await callback.told(event["id"], "DELETE" if hides else "UPDATE")
    told.same("targets", told.subject().get("targets"), [granted])
    told.true(other not in told.text, "no target that was not granted", told.text)


@area.check("SUBS-028", SHOULD, needs="ven receiver")
async def cascades(t: Probe) -> None:
    """Removing a program is told for each of its events, and then for the program."""
    callback = await _listening(t, t.ven, REMOVED, CHANGES["program DELETE"])
    program = await t.program()
    events = [await CREATED.kind.seed(t, bodies.event(program["id"])) for _ in range(2)]
    (await t.bl.delete(f"/programs/{program['id']}")).expect(200)
    await callback.told(program["id"], "DELETE")
    came = [told.subject()["id"] for told in callback.inbox.told]
    t.same(
        "objects told, children first",
        [sorted(came[:-1]), came[-1:]],
        [sorted(e["id"] for e in events), [program["id"]]],
    )


@area.check("SUBS-029", SHOULD, needs="ven ven2 receiver")
async def reads(t: Probe) -> None:
    """Tell a subscriber to READ when another client reads the object, not when it does so itself."""
    callback = t.callback()
    reading = bodies.operation(callback.url, objects=["EVENT"], operations=["READ"])
    await t.subscription(t.ven, objectOperations=[reading])
    own, other = await t.event(), await t.event()
    (await t.ven.get(f"/events/{own['id']}")).expect(200)
    (await t.bl.get(f"/events/{other['id']}")).expect(200)
    (await callback.told(other["id"], "READ")).is_of("EVENT", "READ")
    await callback.inbox.quiet_about(own["id"])
