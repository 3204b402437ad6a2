"""OBJ: members of objects, their limits and vocabularies, uniqueness and deletion."""

from __future__ import annotations

import asyncio
from typing import Any

from oadr_conformance import bodies
from oadr_conformance.fields import ABSENT, ANY, Field, each_field, needs_of
from oadr_conformance.kinds import KINDS, Kind, plain_with
from oadr_conformance.kinds import needs_of as needs_of_kind
from oadr_conformance.probe import Probe
from oadr_conformance.registry import Area
from oadr_conformance.wire import Obj

area = Area("API description: schemas; Definition: Required and optional properties")

Case = tuple[str, Field, Any]


def refused(rule: str) -> dict[str, Case]:
    """Every wrong value for the members whose type names this rule."""
    return {
        f"{kind}.{member.path} {name}": (kind, member, value)
        for kind, member in each_field()
        if member.type.rule == rule
        for name, value in member.type.bad.items()
    }


def needs_of_case(case: Case) -> str:
    """Return the needs of a check of this case."""
    return needs_of(case[0])


async def is_refused(t: Probe, case: Case) -> None:
    """POST with the wrong value creates nothing, PUT with it changes nothing; both are 400."""
    name, member, value = case
    kind = KINDS[name]
    good = await plain_with(t, kind, member.path)
    wrong = member.put(good, value)
    (await kind.create(t, wrong)).expect(400)
    obj = await kind.seed(t, good)
    before = await kind.read(t, obj)
    (await kind.replace(t, obj, wrong)).expect(400)
    answer = await t.bl.get(kind.at(obj))
    answer.same("the object after the refused PUT", answer.expect(200).object(), before)


REQUIRED: dict[str, Case] = {
    f"{kind}.{member.path} {name}": (kind, member, value)
    for kind, member in each_field()
    if member.required
    for name, value in (("missing", ABSENT), ("null", None))
}


@area.each("GEN-015 OBJ-001", REQUIRED, needs=needs_of_case)
async def required_members(t: Probe, case: Case) -> None:
    """A required member that is missing or null is 400 on POST and PUT; nothing is created or changed."""
    await is_refused(t, case)


@area.each("OBJ-001", refused("OBJ-001"), needs=needs_of_case)
async def outside_the_limits(t: Probe, case: Case) -> None:
    """A value of the wrong type or outside its limits is 400 on POST and PUT; nothing is created or changed."""
    await is_refused(t, case)


@area.each("OBJ-003", refused("OBJ-003"), needs=needs_of_case)
async def closed_words(t: Probe, case: Case) -> None:
    """The words that steer the protocol are closed sets: any other word is 400."""
    await is_refused(t, case)


@area.each("OBJ-007", refused("OBJ-007"), needs=needs_of_case)
async def unlimited_texts(t: Probe, case: Case) -> None:
    """Texts for which the standard names no limit take up to 4096 characters; longer ones are 400."""
    await is_refused(t, case)


LONG_TEXTS = {f"{kind}.{member.path}": (kind, member) for kind, member in each_field() if member.type.rule == "OBJ-007"}


@area.each("OBJ-007", LONG_TEXTS, needs=lambda case: needs_of(case[0]))
async def longest_of_these(t: Probe, case: tuple[str, Field]) -> None:
    """Texts for which the standard names no limit take 4096 characters and give them back."""
    name, member = case
    kind, text = KINDS[name], "x" * 4096
    answer = await kind.create(t, member.put(await kind.full(t), text))
    answer.same(member.path, member.get(answer.expect(201).object()), text)


@area.each("OBJ-011", refused("OBJ-011"), needs=needs_of_case)
async def broken_points(t: Probe, case: Case) -> None:
    """A point needs both x and y as numbers."""
    await is_refused(t, case)


@area.each("OBJ-012 COMPAT-055", refused("OBJ-012"), needs=needs_of_case)
async def broken_uris(t: Probe, case: Case) -> None:
    """URLs in bodies are absolute URIs with a scheme."""
    await is_refused(t, case)


@area.each("GEN-015", KINDS, needs=needs_of_kind)
async def nothing_is_created(t: Probe, kind: Kind) -> None:
    """After a refused POST a search finds nothing new."""
    await kind.make(t)
    before = {obj["id"] for obj in await t.all(t.bl, kind.path)}
    (await kind.create(t, {})).expect(400)
    new = {obj["id"] for obj in await t.all(t.bl, kind.path)} - before
    t.same("what is new in a search afterwards", sorted(new), [])


TEXTS = {
    "program.programName": ("program", "programName"),
    "event.targets": ("event", "targets.0"),
    "event.payload type": ("event", "intervals.0.payloads.0.type"),
    "event.units": ("event", "payloadDescriptors.0.units"),
    "report.clientName": ("report", "clientName"),
    "report.resourceName": ("report", "resources.0.resourceName"),
    "ven.venName": ("ven", "venName"),
    "ven.clientID": ("ven", "clientID"),
    "resource.resourceName": ("resource", "resourceName"),
}
_FILLERS = {"ASCII": "x", "accents": "é", "emoji": "🔌"}


@area.each(
    "OBJ-002",
    {f"{name} {filler}": (*where, _FILLERS[filler]) for name, where in TEXTS.items() for filler in _FILLERS},
    needs=lambda case: needs_of(case[0]),
)
async def longest_texts(t: Probe, case: tuple[str, str, str]) -> None:
    """Limits count characters, not bytes: 128 of them pass and come back, 129 are 400."""
    name, path, filler = case
    kind, member = KINDS[name], Field(path, ANY)
    body = await kind.full(t)
    text = t.name("long")
    text += filler * (128 - len(text))
    if t.profile.rulings:  # what is checked besides required members is the VTN's decision
        (await kind.create(t, member.put(body, text + filler))).expect(400)
    answer = await kind.create(t, member.put(body, text))
    answer.same(path, member.get(answer.expect(201).object()), text)


OPEN_WORDS = {
    "valuesMap.type": ("event", "intervals.0.payloads.0.type", "MY_OWN_TYPE"),
    "payloadType": ("event", "payloadDescriptors.0.payloadType", "MY_OWN_TYPE"),
    "payloadType with blanks": ("event", "payloadDescriptors.0.payloadType", "my own type"),
    "readingType": ("event", "reportDescriptors.0.readingType", "GUESSED"),
    "units": ("event", "payloadDescriptors.0.units", "FURLONGS"),
    "currency": ("event", "payloadDescriptors.0.currency", "beads"),
    "target": ("event", "targets.0", "a target, with: commas/and ünicode"),
    "attribute": ("ven", "attributes.0.type", "COLOUR"),
    "report payload": ("report", "resources.0.intervals.0.payloads.0.type", "MOOD"),
}


@area.each("OBJ-004 ENUM-017", OPEN_WORDS, needs=lambda case: needs_of(case[0]))
async def open_words(t: Probe, case: tuple[str, str, str]) -> None:
    """Vocabularies of meaning are open: private strings are accepted and come back unchanged."""
    name, path, word = case
    kind, member = KINDS[name], Field(path, ANY)
    answer = await kind.create(t, member.put(await plain_with(t, kind, path), word))
    answer.same(path, member.get(answer.expect(201).object()), word)


ODD_VALUES: dict[str, Obj] = {
    "a text as PRICE": {"type": "PRICE", "values": ["cheap"]},
    "SIMPLE beyond 3": {"type": "SIMPLE", "values": [17]},
    "no value": {"type": "PRICE", "values": []},
    "several values": {"type": "GHG", "values": [1.5, 2.5, -1.0]},
}


@area.each("OBJ-005", ODD_VALUES)
async def values_are_the_clients_business(t: Probe, payload: Obj) -> None:
    """What payload values mean is not checked: values that do not suit their type are stored and returned."""
    program = await t.program()
    answer = await t.bl.post("/events", bodies.event(program["id"], intervals=[{"id": 0, "payloads": [payload]}]))
    answer.same("the payload", answer.expect(201).object()["intervals"][0]["payloads"], [payload])


@area.each("OBJ-008 MATRIX-002 MQTT-020 COMPAT-032 COMPAT-043", KINDS, needs=needs_of_kind)
async def ids(t: Probe, kind: Kind) -> None:
    """Ids are unique texts of letters, digits, _ and -; a possible id that no object has is 404."""
    made = [await kind.make(t) for _ in range(2)]
    answer = await t.bl.get(kind.at(made[0]))
    first, second = answer.expect(200).object(), await kind.read(t, made[1])
    for obj in (first, second):
        good = isinstance(obj["id"], str) and 0 < len(obj["id"]) <= 128 and obj["id"] != "null"
        clean = good and all(
            character.isascii() and (character.isalnum() or character in "_-") for character in obj["id"]
        )
        answer.true(clean, "an id of 1..128 letters, digits, _ and -", obj["id"])
    answer.true(first["id"] != second["id"], "different ids", first["id"])
    for unknown in ("nonexistent-id-12345", bodies.NOBODYS_ID):
        (await t.bl.get(f"{kind.path}/{unknown}")).expect(404, allowed=(400,))  # what ids look like is the VTN's choice


@area.each(
    "OBJ-009",
    {f"{kind} {name}": (kind, text) for kind in KINDS for name, text in (("blank", "a%20b"), ("long", "x" * 129))},
)
async def impossible_ids(t: Probe, case: tuple[str, str]) -> None:
    """An id in the path that no object can have (another character, more than 128 of them) is 400."""
    kind, text = case
    (await t.bl.get(f"{KINDS[kind].path}/{text}")).expect(400)


@area.each(
    "OBJ-010",
    {name: KINDS[name] for name in ("program", "event", "ven", "resource", "subscription")},
    needs=needs_of_kind,
)
async def no_targets(t: Probe, kind: Kind) -> None:
    """targets: [] means untargeted: the object comes back with no targets."""
    obj = await kind.make(t, targets=[])
    answer = await t.bl.get(kind.at(obj))
    got = answer.expect(200).object().get("targets")
    answer.true(got in (None, []), "no targets", got)


@area.check("OBJ-010", needs="ven")
async def an_empty_list_hides_nothing(t: Probe) -> None:
    """An event with targets: [] is visible to every VEN, as if it had none."""
    event = await t.event(targets=[])
    (await t.ven.get(f"/events/{event['id']}")).expect(200)


@area.check("OBJ-010")
async def duplicate_targets(t: Probe) -> None:
    """Targets named twice are kept once, at their first position."""
    program = await t.program()
    answer = await t.bl.post("/events", bodies.event(program["id"], targets=["b", "a", "b", "c", "a"]))
    answer.expect(201)
    answer.has(targets=["b", "a", "c"])


@area.check("OBJ-011")
async def points_with_more(t: Probe) -> None:
    """Further members of a point are ignored."""
    program = await t.program()
    point = {"x": 1.5, "y": 2.5, "z": 3.5}
    answer = await t.bl.post("/events", bodies.event(program["id"], intervals=[bodies.interval(0, point, "CURVE")]))
    got = answer.expect(201).object()["intervals"][0]["payloads"][0]["values"]
    answer.same("the values", got, [{"x": 1.5, "y": 2.5}])


@area.each("OBJ-013", KINDS, needs=lambda kind: needs_of(kind.name))
async def read_back_and_put(t: Probe, kind: Kind) -> None:
    """What was read can be put back unchanged: 200, and the same object afterwards."""
    obj = await kind.seed(t, await kind.full(t))
    before = (await kind.writer(t).get(kind.at(obj))).expect(200).object()
    answer = await kind.replace(t, obj, before)
    after = answer.expect(200).object()
    kept = before | {"modificationDateTime": after.get("modificationDateTime")}
    answer.same("the object", after, kept)


UNIQUE = {name: KINDS[name] for name in ("program", "ven", "resource")}


@area.each("OBJ-014 COMPAT-062", UNIQUE)
async def one_of_many(t: Probe, kind: Kind) -> None:
    """Of identical creations sent at the same time exactly one is 201, all others are 409."""
    body = await kind.plain(t)
    answers = await asyncio.gather(*(kind.create(t, body) for _ in range(8)))
    statuses = sorted(answer.status for answer in answers)
    allowed = [409] if t.profile.rulings else [400, 409]
    right = statuses[0] == 201 and all(status in allowed for status in statuses[1:])
    answers[0].true(right, "the statuses 201 and seven times 409", statuses)


@area.each("OBJ-014", {name: KINDS[name] for name in ("event", "report", "subscription")}, needs=needs_of_kind)
async def never_a_conflict(t: Probe, kind: Kind) -> None:
    """Events, reports and subscriptions may be stored twice: the same body is 201 both times, with two ids."""
    obj = await kind.make(t)
    answer = await kind.create(t, kind.as_request(obj))
    answer.true(answer.expect(201).object()["id"] != obj["id"], "a new id", obj["id"])


@area.each("OBJ-015 PROG-013 COMPAT-040", KINDS, needs=needs_of_kind)
async def deleted_is_gone(t: Probe, kind: Kind) -> None:
    """A deleted object is 404 to GET and to a second DELETE, and no search finds it from then on."""
    objects, query = await kind.several(t, 2)
    await kind.read(t, objects[0])
    (await t.bl.get(kind.path, query)).expect(200)
    (await kind.writer(t).delete(kind.at(objects[0]))).expect(200)
    (await t.bl.get(kind.at(objects[0]))).expect(404, allowed=(410,))
    answer = await t.bl.get(kind.path, query)
    answer.same("the ids", answer.expect(200).ids(), [objects[1]["id"]])
    (await kind.writer(t).delete(kind.at(objects[0]))).expect(404, allowed=(403, 410))
