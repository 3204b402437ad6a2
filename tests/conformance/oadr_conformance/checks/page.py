"""PAGE: paging, order and filters of the six searches."""

from __future__ import annotations

from collections.abc import Callable

from oadr_conformance import bodies
from oadr_conformance.kinds import KINDS, Kind, needs_of
from oadr_conformance.moments import order
from oadr_conformance.probe import Probe
from oadr_conformance.registry import Area
from oadr_conformance.wire import Obj, Query

area = Area("Definition: Response filtering; API description: search operations")


def newest_first(objects: list[Obj]) -> list[str]:
    """The ids of objects in the order a search returns them."""

    newest = sorted(objects, key=lambda obj: (order(obj["createdDateTime"]), obj["id"]), reverse=True)
    return [obj["id"] for obj in newest]


async def found(t: Probe, kind: Kind, query: Query) -> list[str]:
    """The ids a search as business logic gives."""
    return (await t.bl.get(kind.path, query)).expect(200).ids()


async def in_order(t: Probe, kind: Kind, objects: list[Obj], query: Query) -> list[str]:
    """Their ids in the order of the whole search, which finds these and no others; the order is the VTN's (R-08)."""
    ids = [str(obj.get("id")) for obj in await t.all(t.bl, kind.path, query)]
    t.same("the ids of the whole search, sorted", sorted(ids), sorted(obj["id"] for obj in objects))
    return newest_first(objects) if t.profile.rulings else ids


@area.each("PAGE-001", KINDS, needs=needs_of)
async def paging_everywhere(t: Probe, kind: Kind) -> None:
    """skip and limit work on every search: with three matches, skip=1&limit=1 is exactly the second of them."""
    objects, query = await kind.several(t, 3)
    ids = await in_order(t, kind, objects, query)
    answer = await t.bl.get(kind.path, query | {"skip": "1", "limit": "1"})
    answer.same("the ids", answer.expect(200).ids(), ids[1:2])


@area.check("PAGE-002 COMPAT-070 COMPAT-071")
async def default_limit(t: Probe) -> None:
    """Without limit a page has 50 items, and without skip it starts at the first: 51 matches give the newest 50."""
    program = await t.program()
    events = [await t.event(program) for _ in range(51)]
    answer = await t.bl.get("/events", {"programID": program["id"]})
    answer.same("the number of items", len(answer.expect(200).array()), 50)
    answer.same("the ids", answer.ids(), newest_first(events)[:50])


@area.each("PAGE-003", KINDS, needs=needs_of)
async def limit_one(t: Probe, kind: Kind) -> None:
    """limit=1 gives exactly one item when at least one matches."""
    _, query = await kind.several(t, 2)
    answer = await t.bl.get(kind.path, query | {"limit": "1"})
    answer.same("the number of items", len(answer.expect(200).array()), 1)


@area.each("PAGE-004", KINDS, needs=needs_of)
async def skip_one(t: Probe, kind: Kind) -> None:
    """skip=1 on n matches gives the other n-1."""
    objects, query = await kind.several(t, 3)
    ids = await in_order(t, kind, objects, query)
    answer = await t.bl.get(kind.path, query | {"skip": "1"})
    got = answer.expect(200).ids()
    if got and not answer.binding:  # how many a page holds is the VTN's decision
        ids = ids[: 1 + len(got)]
    answer.same("the ids", got, ids[1:])


@area.check("PAGE-005")
async def second_item(t: Probe) -> None:
    """skip=1&limit=1 gives the second item only."""
    events, query = await KINDS["event"].several(t, 3)
    ids = await in_order(t, KINDS["event"], events, query)
    answer = await t.bl.get("/events", query | {"skip": "1", "limit": "1"})
    answer.same("the ids", answer.expect(200).ids(), ids[1:2])


@area.each("PAGE-006 MATRIX-006 COMPAT-041", KINDS, needs=needs_of)
async def beyond_the_end(t: Probe, kind: Kind) -> None:
    """skip beyond the last match gives 200 and an empty array."""
    _, query = await kind.several(t, 1)
    answer = await t.bl.get(kind.path, query | {"skip": "5"})
    answer.same("the body", answer.expect(200).json(), [])


@area.each("PAGE-007", KINDS, needs=needs_of)
async def limit_zero(t: Probe, kind: Kind) -> None:
    """limit=0 is allowed and gives 200 with an empty array."""
    _, query = await kind.several(t, 1)
    answer = await t.bl.get(kind.path, query | {"limit": "0"})
    answer.same("the body", answer.expect(200).json(), [])


BAD_PAGING = {
    f"{text or 'limit='}{'' if kind == 'event' else f' of {kind}s'}": (kind, text)
    for kind in KINDS
    for text in (
        ["limit=51", "limit=-1", "skip=-1", "limit=abc", "limit=1.5", "limit=", "limit=2147483648", "skip=2147483648"]
        if kind == "event"
        else ["limit=51", "skip=-1"]
    )
}


@area.each("PAGE-008", BAD_PAGING)
async def bad_paging(t: Probe, case: tuple[str, str]) -> None:
    """A limit above 50, a negative number, a text, a fraction, an empty value or one beyond 32 bits is 400."""
    kind, text = case
    name, _, value = text.partition("=")
    (await t.bl.get(bodies.COLLECTIONS[kind], {name: value})).expect(400)


@area.each("PAGE-009", {"event": "/events", "program": "/programs"}, needs="ven")
async def privacy_before_paging(t: Probe, path: str) -> None:
    """Privacy comes before skip and limit: a VEN's page is full although hidden objects lie between visible ones."""
    hidden, mine = t.name("target"), t.name("target")
    await t.enrol(t.ven, targets=[mine])
    program = await t.program()
    visible = []
    for _ in range(3):
        for targets in ([mine], [hidden]):
            obj = await (t.event(program, targets=targets) if path == "/events" else t.program(targets=targets))
            visible += [obj] if targets == [mine] else []
    asked: dict[str, str | list[str]] = {"targets": [mine, hidden]}  # of which the VEN holds one
    query = asked | ({"programID": program["id"]} if path == "/events" else {})
    answer = await t.ven.get(path, query | {"limit": "2"})
    first = answer.expect(200).ids()
    answer.same("the number of items on the first page", len(first), 2)
    answer = await t.ven.get(path, query | {"limit": "1", "skip": "2"})
    both = [*first, *answer.expect(200).ids()]
    wanted = newest_first(visible)
    answer.same("the ids of both pages", *((both, wanted) if answer.binding else (sorted(both), sorted(wanted))))


@area.each("PAGE-010 COMPAT-072", KINDS, needs=needs_of)
async def newest_come_first(t: Probe, kind: Kind) -> None:
    """Every search gives the newest first (createdDateTime descending, then id descending), the same each time."""
    objects, query = await kind.several(t, 4)
    answer = await t.bl.get(kind.path, query)
    answer.same("the ids", answer.expect(200).ids(), newest_first(objects))
    pages = [await found(t, kind, query | {"skip": str(skip), "limit": "1"}) for skip in range(4)]
    answer.same("the ids page by page", [page[0] for page in pages], newest_first(objects))


@area.check("PAGE-010")
async def an_update_does_not_move(t: Probe) -> None:
    """The order is that of creation: a change moves nothing."""
    events, query = await KINDS["event"].several(t, 3)
    (await t.bl.put(f"/events/{events[0]['id']}", bodies.event(events[0]["programID"], eventName="x"))).expect(200)
    answer = await t.bl.get("/events", query)
    answer.same("the ids", answer.expect(200).ids(), newest_first(events))


@area.check("PAGE-011")
async def filters_narrow_together(t: Probe) -> None:
    """Different filters narrow together: an item satisfies each of them."""
    target = t.name("target")
    program, other = await t.program(), await t.program()
    wanted = await t.event(program, targets=[target])
    await t.event(program)
    await t.event(other, targets=[target])
    answer = await t.bl.get("/events", {"programID": program["id"], "targets": target})
    answer.same("the ids", answer.expect(200).ids(), [wanted["id"]])


@area.check("PAGE-012 COMPAT-025")
async def any_of_several_targets(t: Probe) -> None:
    """A repeated targets parameter is any-of: an item with one of them is found."""
    first, second, third = t.name("target"), t.name("target"), t.name("target")
    program = await t.program()
    events = [await t.event(program, targets=[target]) for target in (first, second, third)]
    answer = await t.bl.get("/events", {"targets": [first, second]})
    answer.same("the ids", answer.expect(200).ids(), newest_first(events[:2]))


@area.check("PAGE-012", needs="ven callback")
async def any_of_several_objects(t: Probe) -> None:
    """A repeated objects parameter is any-of: subscriptions naming one of the types are found."""
    client = t.name("client")
    made = []
    for word in ("EVENT", "PROGRAM", "VEN"):
        entry = bodies.operation(t.callback_url, objects=[word])
        made.append(await t.subscription(t.ven, clientName=client, objectOperations=[entry]))
    answer = await t.bl.get("/subscriptions", {"clientName": client, "objects": ["EVENT", "PROGRAM"]})
    answer.same("the ids", answer.expect(200).ids(), newest_first(made[:2]))


@area.check("PAGE-013")
async def commas_belong_to_the_value(t: Probe) -> None:
    """Lists in the query are repeated keys; a comma belongs to the value."""
    first, second = t.name("target"), t.name("target")
    await t.event(targets=[first, second])
    answer = await t.bl.get("/events", {"targets": f"{first},{second}"})
    if answer.binding or answer.status != 400:  # the VTN may refuse a target with a comma
        answer.same("the body", answer.expect(200).json(), [])


@area.each("PAGE-014 COMPAT-023", KINDS, needs=needs_of)
async def unknown_parameters(t: Probe, kind: Kind) -> None:
    """Query parameters that the standard does not know are ignored."""
    objects, query = await kind.several(t, 1)
    extra = {"dateStart": "2024-01-01", "targetType": "GROUP", "colour": "blue"}
    answer = await t.bl.get(kind.path, query | extra)
    answer.same("the ids", answer.expect(200).ids(), [objects[0]["id"]])


TWICE = {
    "limit": ("/events", "1"),
    "skip": ("/events", "0"),
    "programID": ("/events", bodies.NOBODYS_ID),
    "active": ("/events", "true"),
    "clientName": ("/reports", "x"),
    "venName": ("/vens", "x"),
    "resourceName": ("/resources", "x"),
}


@area.each("PAGE-015", {name: (path, name, value) for name, (path, value) in TWICE.items()})
async def a_scalar_twice(t: Probe, case: tuple[str, str, str]) -> None:
    """A parameter that takes one value and is given twice is 400."""
    path, name, value = case
    (await t.bl.get(path, [(name, value), (name, value)])).expect(400)


_LONG = "x" * 129
BAD_FILTERS = {
    "empty clientName": ("/reports", "clientName", ""),
    "long clientName": ("/subscriptions", "clientName", _LONG),
    "empty venName": ("/vens", "venName", ""),
    "long venName": ("/vens", "venName", _LONG),
    "empty resourceName": ("/resources", "resourceName", ""),
    "long resourceName": ("/resources", "resourceName", _LONG),
    "empty target of events": ("/events", "targets", ""),
    "long target of events": ("/events", "targets", _LONG),
    "empty target of programs": ("/programs", "targets", ""),
    "long target of programs": ("/programs", "targets", _LONG),
    "long target of vens": ("/vens", "targets", _LONG),
    "long target of resources": ("/resources", "targets", _LONG),
    "bad programID of events": ("/events", "programID", "not an id"),
    "bad programID of reports": ("/reports", "programID", "not/an/id"),
    "bad programID of subscriptions": ("/subscriptions", "programID", "ä"),
    "bad eventID": ("/reports", "eventID", "not an id"),
    "long venID": ("/resources", "venID", _LONG),
    "empty venID": ("/resources", "venID", ""),
}


@area.each("PAGE-016", BAD_FILTERS)
async def bad_filters(t: Probe, case: tuple[str, str, str]) -> None:
    """A filter value that is empty, longer than 128 characters or no possible id is 400."""
    path, name, value = case
    (await t.bl.get(path, {name: value})).expect(400)


FILTERS = {
    "programID of events": ("event", "programID", "program"),
    "programID of reports": ("report", "programID", "program"),
    "eventID of reports": ("report", "eventID", "event"),
    "programID of subscriptions": ("subscription", "programID", "program"),
    "venID of resources": ("resource", "venID", "ven"),
}


@area.each("PAGE-017 COMPAT-041", FILTERS, needs="ven")
async def nothing_matches(t: Probe, case: tuple[str, str, str]) -> None:
    """A well-formed filter value that matches nothing gives 200 and an empty array, never 404 (R-10 for venID)."""
    kind, name, other = case
    await KINDS[kind].make(t)
    answer = await t.bl.get(KINDS[kind].path, {name: (await KINDS[other].make(t))["id"]})
    answer.same("the body", answer.expect(200).json(), [])


@area.each("PAGE-017 COMPAT-041", FILTERS, needs="ven")
async def nothing_has_the_id(t: Probe, case: tuple[str, str, str]) -> None:
    """An id that no object has matches nothing either: 200 and an empty array."""
    kind, name, _ = case
    await KINDS[kind].make(t)
    answer = await t.bl.get(KINDS[kind].path, {name: bodies.NOBODYS_ID})
    answer.same("the body", answer.expect(200).json(), [])


@area.each(
    "PAGE-018 COMPAT-076",
    {"venName": "ven", "resourceName": "resource", "clientName": "subscription"},
    needs="ven",
)
async def names_compare_exactly(t: Probe, name: str) -> None:
    """Names in filters compare exactly: neither another case nor a part of the name matches."""
    kind = KINDS[name]
    obj = await kind.make(t)
    others = [obj[kind.text][:-1]]
    if t.profile.rulings:  # whether case and blanks count, the standard does not say
        others += [obj[kind.text].upper(), f"{obj[kind.text]} "]
    for text in others:
        answer = await t.bl.get(kind.path, {kind.text: text})
        answer.true(obj["id"] not in answer.expect(200).ids(), f"nothing for {text!r}", "an object of another name")
    answer = await t.bl.get(kind.path, {kind.text: obj[kind.text]})
    answer.same("the ids for the exact name", answer.expect(200).ids(), [obj["id"]])


@area.each("PAGE-019", {name: name for name in ("programID", "eventID", "clientName")}, needs="ven")
async def report_filters(t: Probe, name: str) -> None:
    """Reports can be searched by programID (that of their event), by eventID and by clientName."""
    client = t.name("client")
    event = await t.event()
    wanted = await t.report(t.ven, event, clientName=client)
    await t.report(t.ven, clientName=t.name("client"))
    value = {"programID": event["programID"], "eventID": event["id"], "clientName": client}[name]
    answer = await t.bl.get("/reports", {name: value})
    answer.same("the ids", answer.expect(200).ids(), [wanted["id"]])


@area.each("PAGE-020", {"programID": "programID", "targets": "targets"})
async def event_filters(t: Probe, name: str) -> None:
    """Events can be searched by programID and by targets."""
    target = t.name("target")
    wanted = await t.event(targets=[target])
    await t.event(targets=[t.name("target")])
    answer = await t.bl.get("/events", {name: {"programID": wanted["programID"], "targets": target}[name]})
    answer.same("the ids", answer.expect(200).ids(), [wanted["id"]])


@area.check("PAGE-021")
async def program_filters(t: Probe) -> None:
    """Programs can be searched by targets."""
    target = t.name("target")
    wanted = await t.program(targets=[target])
    await t.program(targets=[t.name("target")])
    answer = await t.bl.get("/programs", {"targets": target})
    answer.same("the ids", answer.expect(200).ids(), [wanted["id"]])


@area.each("PAGE-022", {"programID": "programID", "clientName": "clientName"}, needs="ven")
async def subscription_filters(t: Probe, name: str) -> None:
    """Subscriptions can be searched by programID and by clientName."""
    program = await t.program()
    wanted = await t.subscription(t.ven, programID=program["id"])
    await t.subscription(t.ven)
    answer = await t.bl.get("/subscriptions", {name: wanted[name]})
    answer.same("the ids", answer.expect(200).ids(), [wanted["id"]])


@area.check("PAGE-022 SUBS-013", needs="ven callback")
async def subscriptions_by_objects(t: Probe) -> None:
    """objects=EVENT finds the subscriptions that name EVENT in any of their entries, and no others."""
    client = t.name("client")
    entries = [bodies.operation(t.callback_url, objects=["VEN"]), bodies.operation(t.callback_url, objects=["EVENT"])]
    wanted = await t.subscription(t.ven, clientName=client, objectOperations=entries)
    await t.subscription(t.ven, clientName=client, objectOperations=entries[:1])
    answer = await t.bl.get("/subscriptions", {"clientName": client, "objects": "EVENT"})
    answer.same("the ids", answer.expect(200).ids(), [wanted["id"]])


@area.check("PAGE-022")
async def unknown_object_type(t: Probe) -> None:
    """An unknown word in the objects filter is 400."""
    (await t.bl.get("/subscriptions", {"objects": "PANEL"})).expect(400)


@area.each("PAGE-023", {"venName": "venName", "targets": "targets"})
async def ven_filters(t: Probe, name: str) -> None:
    """vens can be searched by venName, which finds exactly one, and by targets."""
    target = t.name("target")
    wanted = await t.some_ven(targets=[target])
    await t.some_ven(targets=[t.name("target")])
    answer = await t.bl.get("/vens", {name: {"venName": wanted["venName"], "targets": target}[name]})
    answer.same("the ids", answer.expect(200).ids(), [wanted["id"]])


@area.each("PAGE-024", {name: name for name in ("resourceName", "venID", "targets")})
async def resource_filters(t: Probe, name: str) -> None:
    """Resources can be searched by resourceName, venID and targets."""
    target = t.name("target")
    wanted = await t.resource(await t.some_ven(), targets=[target])
    await t.resource(await t.some_ven(), targets=[t.name("target")])
    value = {"resourceName": wanted["resourceName"], "venID": wanted["venID"], "targets": target}[name]
    answer = await t.bl.get("/resources", {name: value})
    answer.same("the ids", answer.expect(200).ids(), [wanted["id"]])


@area.each("PAGE-025 PRIV-020", {name: KINDS[name] for name in ("program", "event", "ven", "resource")})
async def targets_drop_the_untargeted(t: Probe, kind: Kind) -> None:
    """For business logic a targets filter keeps objects that share a target with it; untargeted ones are dropped."""
    target = t.name("target")
    wanted = await kind.make(t, targets=[t.name("target"), target])
    plain = await kind.make(t)
    answer = await t.bl.get(kind.path, {"targets": target})
    answer.same("the ids", answer.expect(200).ids(), [wanted["id"]])
    answer.true(plain["id"] not in answer.ids(), "no untargeted object", "one")


VARIANTS: dict[str, Callable[[str], str]] = {
    "another case": str.upper,
    "a part of it": lambda text: text[:-1],
    "a blank after it": lambda text: f"{text} ",
}


@area.each("PAGE-026", VARIANTS)
async def targets_compare_exactly(t: Probe, variant: Callable[[str], str]) -> None:
    """Targets compare as exact strings: case counts, nothing is trimmed, a prefix is no match."""
    target = t.name("target")
    await t.event(targets=[target])
    answer = await t.bl.get("/events", {"targets": variant(target)})
    answer.same("the body", answer.expect(200).json(), [])


@area.each("PAGE-027", {word: word for word in ("yes", "1", "TRUE", "")})
async def bad_active(t: Probe, word: str) -> None:
    """active takes true or false; anything else is 400."""
    (await t.bl.get("/events", {"active": word})).expect(400)
