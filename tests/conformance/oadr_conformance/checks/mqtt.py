"""MQTT: what is published where, and who can read it there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from oadr_conformance import bodies
from oadr_conformance.broker import ANONYMOUS, TOKEN
from oadr_conformance.changes import CHANGES, CREATED, Change, create_event
from oadr_conformance.errors import Skipped
from oadr_conformance.moments import instant
from oadr_conformance.probe import Actor, Probe
from oadr_conformance.registry import Area
from oadr_conformance.told import Told, ToldInbox
from oadr_conformance.topics import TOPICS, TopicsRow, topics_of
from oadr_conformance.wire import Obj

area = Area("Definition: Notifications via Additional Protocols, MQTT; API description: notifierOperationsTopics")

_SOON_S: Final = 2.0
_EVENTS: Final = TOPICS["events for BL"]
_OF_VEN: Final = TOPICS["vens/{ven}/events for a VEN"]


@dataclass(frozen=True)
class Publication:
    """A change, and where it is told."""

    topics: TopicsRow
    change: Change


PUBLICATIONS: Final = {
    f"{topics.name}: {change.operation}": Publication(topics, change)
    for topics in TOPICS.values()
    for change in topics.changes()
}


class _Scene:
    """Hold what has to be there before a change that is told on some topics, and where they are."""

    def __init__(self, members: Obj, obj: Obj, found: dict[str, Any]) -> None:
        self.members = members
        self.obj = obj
        self.topics = found


async def _prepare(t: Probe, topics: TopicsRow, change: Change) -> _Scene:
    members: Obj = {}
    ven = None
    if topics.targeted:
        members["targets"] = [t.name("target")]
        ven = await t.enrol(t.ven, targets=members["targets"])
    elif topics.ven:
        await t.ready(t.ven)
    program = None
    if topics.path == "programs/{program}/events":
        program = await t.program()
        members["programID"] = program["id"]
    obj = await change.before(t, **members)
    if topics.path == "programs/{program}":
        program = obj
    if topics.kind == "ven" and change.operation != "CREATE":
        ven = obj
    _, found = await topics_of(t, topics, program=program, ven=ven)
    return _Scene(members, obj, found)


async def _read(topics: TopicsRow, t: Probe, change: Change, obj: Obj) -> Obj:
    """Return the object as the reader of the topics reads it; by its targets, as the Definition wants it of a VEN."""
    query = {"targets": obj["targets"]} if topics.targeted and topics.ven else {}
    return (await topics.reader(t).get(f"{change.kind.path}/{obj['id']}", query)).expect(200).object()


async def _publish(t: Probe, case: Publication, name: str = "", patience_s: float = 0) -> tuple[Told, Obj]:
    """Make the change; return what came on its topic (or another of the endpoint), and what its reader reads."""
    topics, change = case.topics, case.change
    scene = await _prepare(t, topics, change)
    inbox = await t.listen(topics.reader(t), scene.topics[name or change.operation])
    inbox.patience_s = min(inbox.patience_s, patience_s or inbox.patience_s)
    shown = await _read(topics, t, change, scene.obj) if change.operation == "DELETE" else {}
    made = await change.make(t, scene.obj, **scene.members)
    told = await inbox.told_of(made["id"], change.operation)
    return told, shown or await _read(topics, t, change, made)


@area.each("MQTT-021 MQTT-013 MQTT-015 MQTT-037", PUBLICATIONS, needs="ven notifiers")
async def published(t: Probe, case: Publication) -> None:
    """A change arrives on the topic that was named for it, with the object as it is read."""
    told, shown = await _publish(t, case)
    told.is_of(case.change.kind.object_type, case.change.operation)
    told.has_object(shown, case.change.operation)


@area.each(
    "MQTT-013 MQTT-008", {name: topics for name, topics in TOPICS.items() if not topics.disputed}, needs="ven notifiers"
)
async def all_together(t: Probe, topics: TopicsRow) -> None:
    """The filter ALL hears the changes of its endpoint."""
    case = Publication(topics, CHANGES[f"{topics.kind} UPDATE"])
    told, _ = await _publish(t, case, "ALL")
    told.is_of(case.change.kind.object_type, "UPDATE")


@area.each(
    "MQTT-029",
    {kind: TOPICS[f"{kind}s for BL"] for kind in ("program", "event", "report", "ven", "resource", "subscription")},
    needs="ven notifiers",
)
async def soon(t: Probe, topics: TopicsRow) -> None:
    """Every PUT is published within two seconds."""
    await _publish(t, Publication(topics, CHANGES[f"{topics.kind} UPDATE"]), patience_s=_SOON_S)


@area.check("MQTT-028", needs="notifiers")
async def payload(t: Probe) -> None:
    """A message is one JSON object, encoded once: a notification."""
    told, _ = await _publish(t, Publication(_EVENTS, CREATED))
    told.object()
    told.is_of("EVENT", "CREATE")


@area.check("MQTT-030", needs="notifiers")
async def dates(t: Probe) -> None:
    """The dates of a published object are RFC 3339 and not null."""
    told, _ = await _publish(t, Publication(_EVENTS, CREATED))
    obj = told.subject()
    for name in ("createdDateTime", "modificationDateTime"):
        value = obj.get(name)
        right = isinstance(value, str) and instant(value) is not None and (value.endswith("Z") or not told.binding)
        told.true(right, f"{name} as RFC 3339", value)


@area.check("MQTT-031", needs="ven notifiers")
async def reads(t: Probe) -> None:
    """Reads are published to nobody."""
    _, found = await topics_of(t, _EVENTS)
    inbox = await t.listen(t.bl, found["ALL"])
    event = await t.event()
    await inbox.told_of(event["id"], "CREATE")
    before = len(inbox.about(event["id"]))
    (await t.ven.get(f"/events/{event['id']}")).expect(200)
    last = await create_event(t, await t.program())
    await inbox.told_of(last["id"])
    t.same("messages about the event after the read", len(inbox.about(event["id"])), before)


@area.check("MQTT-032", needs="ven notifiers")
async def subscriptions_apart(t: Probe) -> None:
    """Subscriptions by REST do not narrow what is published to their owner."""
    targets = [t.name("target"), t.name("target")]
    await t.enrol(t.ven, targets=targets)
    await t.subscription(t.ven, targets=targets[:1])
    _, found = await topics_of(t, _OF_VEN)
    inbox = await t.listen(t.ven, found["CREATE"])
    event = await create_event(t, await t.program(), targets=targets[1:])
    await inbox.told_of(event["id"], "CREATE")


@area.check("MQTT-033", needs="notifiers")
async def quality(t: Probe) -> None:
    """Messages come at least once (QoS 1), and are not kept for those who subscribe later."""
    told, _ = await _publish(t, Publication(_EVENTS, CREATED))
    told.same("QoS", told.exchange.request_headers["QoS"], "1")
    event_id = told.subject()["id"]
    later = await t.listen(t.bl, told.exchange.request_headers["Topic"])
    await later.quiet_about(event_id)


# Privacy


async def _hears_own(t: Probe, actor: Actor, *, targets: list[str]) -> ToldInbox:
    """Return what arrives for a VEN that was granted these targets, on the topics of its ven's events."""
    ven = await t.enrol(actor, targets=targets)
    answer = await actor.get(f"/notifiers/mqtt/topics/vens/{ven['id']}/events")
    return await t.listen(actor, answer.expect(200).object()["topics"]["CREATE"])


@area.check("MQTT-025 MQTT-021", needs="ven ven2 notifiers")
async def not_granted(t: Probe) -> None:
    """An event is published to the vens that hold one of its targets, and to no other."""
    await t.binding(t.ven)
    granted, other = t.name("target"), t.name("target")
    own, foreign = await _hears_own(t, t.ven, targets=[granted]), await _hears_own(t, t.ven2, targets=[other])
    event = await create_event(t, await t.program(), targets=[granted])
    await own.told_of(event["id"], "CREATE")
    await foreign.quiet_about(event["id"])


@area.check("MQTT-024 PRIV-014", needs="ven ven2 notifiers")
async def hidden_targets(t: Probe) -> None:
    """Each ven is shown of an event's targets those that it holds."""
    await t.binding(t.ven)
    words = [t.name("target"), t.name("target")]
    boxes = [await _hears_own(t, actor, targets=[word]) for actor, word in zip((t.ven, t.ven2), words, strict=True)]
    event = await create_event(t, await t.program(), targets=words)
    for inbox, word, other in zip(boxes, words, reversed(words), strict=True):
        told = await inbox.told_of(event["id"], "CREATE")
        told.same("targets", told.subject().get("targets"), [word])
        told.true(other not in told.text, "no target that was not granted", told.text)


@area.check("MQTT-022", needs="ven ven2 notifiers")
async def never_public(t: Probe) -> None:
    """Never publish what has targets where every VEN may listen."""
    await t.binding(t.ven)
    target, program = t.name("target"), await t.program()
    await t.own_ven(t.ven2)
    own = await _hears_own(t, t.ven, targets=[target])
    paths = ("programs", f"programs/{program['id']}", f"programs/{program['id']}/events")
    found = [
        (await t.ven2.get(f"/notifiers/mqtt/topics/{path}")).expect(200).object()["topics"]["ALL"] for path in paths
    ]
    public = await t.listen(t.ven2, *found)
    event = await create_event(t, program, targets=[target])
    hidden = (await t.bl.post("/programs", bodies.program(t.name("program"), targets=[target]))).expect(201).object()
    await own.told_of(event["id"], "CREATE")
    await public.quiet_about(event["id"], hidden["id"])


@area.check("MQTT-023", needs="ven notifiers")
async def own_id(t: Probe) -> None:
    """The id of a ven is a target of its own."""
    if not t.profile.implicit_ven_id_target:
        raise Skipped("applies where privacy.implicit_ven_id_target is on")
    ven = await t.own_ven(t.ven)
    _, found = await topics_of(t, _OF_VEN, ven=ven)
    inbox = await t.listen(t.ven, found["CREATE"])
    event = await create_event(t, await t.program(), targets=[ven["id"]])
    await inbox.told_of(event["id"], "CREATE")


@area.each("MQTT-027 SUBS-027", {"hidden": True, "shown": False}, needs="ven notifiers")
async def changed_visibility(t: Probe, hides: bool) -> None:
    """A ven that sees an event no more is told that it is gone; one that sees it now, that it changed."""
    granted, other = t.name("target"), t.name("target")
    ven = await t.enrol(t.ven, targets=[granted])
    _, found = await topics_of(t, _OF_VEN, ven=ven)
    before, after = ([granted], [other]) if hides else ([other], [granted])
    program = await t.program()
    event = await CREATED.kind.seed(t, bodies.event(program["id"], targets=before))
    inbox = await t.listen(t.ven, found["DELETE" if hides else "UPDATE"])
    (await t.bl.put(f"/events/{event['id']}", CREATED.kind.as_request(event, targets=after))).expect(200)
    told = await inbox.told_of(event["id"], "DELETE" if hides else "UPDATE")
    told.same("targets", told.subject().get("targets"), [granted])


# Access at the broker


async def _guarded(t: Probe, actor: Actor) -> Obj:
    """Return what a client, a VEN with its ven, is told of a broker that knows its clients."""
    if actor is not t.bl:
        await t.own_ven(actor)
    binding = await t.binding(actor)
    if binding["authentication"]["method"] == ANONYMOUS:
        raise Skipped("applies where the broker knows its clients; this one admits anybody (ANONYMOUS)")
    return binding


FILTERS: Final = {"topics of another ven": "own", "everything": "#", "all of one level": "+", "topics of BL": "BL"}


@area.each("MQTT-018 MQTT-019 MQTT-016", FILTERS, needs="ven ven2 notifiers")
async def eavesdropping(t: Probe, filters: str) -> None:
    """A VEN hears nothing of what is not for it, whatever it subscribes to."""
    await _guarded(t, t.ven2)
    target = t.name("target")
    ven = await t.enrol(t.ven, targets=[target])
    _, mine = await topics_of(t, _OF_VEN, ven=ven)
    _, everything = await topics_of(t, _EVENTS)
    own = await t.listen(t.ven, mine["CREATE"])
    levels = "/".join("+" for _ in mine["CREATE"].split("/"))
    named = {"own": mine["CREATE"], "#": "#", "+": levels, "BL": everything["CREATE"]}[filters]
    foreign = await t.eavesdrop(t.ven2, named)
    event = await create_event(t, await t.program(), targets=[target])
    await own.told_of(event["id"], "CREATE")
    await foreign.quiet_about(event["id"])


@area.each("MQTT-016 MQTT-017", {"a VEN": "ven", "BL": ""}, needs="ven notifiers")
async def publishing(t: Probe, who: str) -> None:
    """Clients publish nothing."""
    actor = t.ven if who else t.bl
    await _guarded(t, actor)
    _, found = await topics_of(t, _EVENTS)
    inbox = await t.listen(t.bl, found["CREATE"])
    link = await t.link(actor)
    if not await link.refused():
        forged = bytes(
            f'{{"objectType":"EVENT","operation":"CREATE","object":{{"id":"{actor.name}-forged"}}}}', "ascii"
        )
        await link.publish(found["CREATE"], forged)
    last = await create_event(t, await t.program())
    await inbox.told_of(last["id"])
    await inbox.quiet_about(f"{actor.name}-forged")


@area.check("MQTT-039 MQTT-042", needs="ven notifiers")
async def wrong_password(t: Probe) -> None:
    """Admit whoever has the right password, and nobody with another one."""
    binding = await _guarded(t, t.ven)
    if binding["authentication"]["method"] != TOKEN:
        raise Skipped(f"applies where the broker asks for a password ({TOKEN})")
    await (await t.link(t.ven)).connect()
    link = await t.link(t.ven, password="not-the-password")
    refused = await link.refused()
    t.same("whether the broker refuses another password", refused, True)


@area.check("MQTT-042", needs="ven notifiers")
async def nobody(t: Probe) -> None:
    """Admit nobody who does not say who it is."""
    binding = await _guarded(t, t.ven)
    link = await t.link(t.ven, binding=binding | {"authentication": {"method": ANONYMOUS}})
    refused = await link.refused()
    t.same("whether the broker refuses somebody without a name", refused, True)


@area.check("MQTT-044 MQTT-045", needs="ven ven2 notifiers")
async def own_accounts(t: Probe) -> None:
    """Each client gets an account of its own; business logic never that of a ven."""
    seen = []
    for actor in (t.bl, t.ven, t.ven2):
        binding = await _guarded(t, actor)
        link = await t.link(actor, binding=binding)
        seen.append(link.identity)
    t.same("different accounts", len(set(seen)), len(seen))
