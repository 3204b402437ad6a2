"""PRIV: who sees which programs and events, and which of their targets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from oadr_conformance import bodies
from oadr_conformance.bodies import NOBODYS_ID
from oadr_conformance.errors import Skipped
from oadr_conformance.probe import Actor, Probe
from oadr_conformance.profile import Profile
from oadr_conformance.registry import Area
from oadr_conformance.wire import Obj

area = Area("Definition: Object privacy, Target hiding; User Guide 8.13")

KINDS: Final = {"events": "/events", "programs": "/programs"}


@dataclass
class WorkedExample:
    """The worked example: six objects for three clients, and what the VEN's own side looks like."""

    path: str
    program: Obj
    ven: Obj
    resource: Obj
    targets: dict[str, str]
    objects: dict[str, Obj] = field(default_factory=dict)

    def labels(self, found: list[Obj]) -> dict[str, list[str]]:
        """Our objects among those found, with the targets they show, both by their names in the example."""
        by_id = {obj["id"]: label for label, obj in self.objects.items()}
        words = {target: word for word, target in self.targets.items()}
        return {
            by_id[obj["id"]]: [words.get(target, target) for target in obj.get("targets") or []]
            for obj in found
            if obj["id"] in by_id
        }


async def _scene(t: Probe, path: str) -> WorkedExample:
    targets = {word: t.name(word) for word in ("g1", "g2", "g9", "areaX", "r1")}
    ven = await t.enrol(t.ven, targets=[targets["g1"], targets["areaX"]])
    resource = await t.resource(ven, targets=[targets["r1"]])
    targets["V1"] = ven["id"]
    program = await t.program()
    scene = WorkedExample(path, program, ven, resource, targets)
    for label, words in {
        "E0": (),
        "E1": ("g1",),
        "E2": ("g1", "g2"),
        "E3": ("g2",),
        "E4": ("r1",),
        "E5": ("V1",),
    }.items():
        members: dict[str, Any] = {"targets": [targets[word] for word in words]} if words else {}
        made = await (t.event(program, **members) if path == "/events" else t.program(**members))
        scene.objects[label] = made
    return scene


async def _seen(t: Probe, scene: WorkedExample, actor: Actor, words: tuple[str, ...] = ()) -> dict[str, list[str]]:
    """Return the results of a client's search, in the labels of the example."""
    query: dict[str, Any] = {"targets": [scene.targets[word] for word in words]} if words else {}
    if scene.path == "/events":
        query["programID"] = scene.program["id"]
    return scene.labels(await t.all(actor, scene.path, query))


Shown = Mapping[str, list[str]]
ALL_SHOWN: Shown = {"E0": [], "E1": ["g1"], "E2": ["g1", "g2"], "E3": ["g2"], "E4": ["r1"], "E5": ["V1"]}
GRANTED: Shown = {"E0": [], "E1": ["g1"], "E2": ["g1"], "E4": ["r1"], "E5": ["V1"]}


def granted(profile: Profile, shown: Shown = GRANTED) -> Shown:
    """Without the implicit target the object targeted at the ven's own id is hidden."""
    return (
        shown if profile.implicit_ven_id_target else {label: words for label, words in shown.items() if label != "E5"}
    )


@dataclass(frozen=True)
class SearchRow:
    """One row of the worked example that is a single search."""

    number: int
    who: str
    query: tuple[str, ...]
    expected: Shown | None
    """None: `GRANTED`, everything the first VEN holds a target of."""

    @property
    def requirement(self) -> str:
        """`PRIV-EX-04`."""
        return f"PRIV-EX-{self.number:02}"

    @property
    def words(self) -> str:
        """The row as a sentence about the worked example."""
        query = f"asking for {' and '.join(self.query)}" if self.query else "asking for no targets"
        shown = GRANTED if self.expected is None else self.expected
        gets = ", ".join(f"{label}[{' '.join(words)}]" for label, words in shown.items()) or "nothing"
        return f"{self.who}, {query}, gets {gets}"


ROWS: Final = (
    SearchRow(1, "BL", (), ALL_SHOWN),
    SearchRow(2, "BL", ("g2",), {"E2": ["g1", "g2"], "E3": ["g2"]}),
    SearchRow(3, "c1", (), None),
    SearchRow(4, "c1", ("g1",), {"E1": ["g1"], "E2": ["g1"]}),
    SearchRow(5, "c1", ("g2",), {}),
    SearchRow(6, "c1", ("g1", "g2"), {"E1": ["g1"], "E2": ["g1"]}),
    SearchRow(7, "c1", ("areaX",), {}),
    SearchRow(8, "c1", ("r1",), {"E4": ["r1"]}),
    SearchRow(11, "c2", (), {"E0": []}),
    SearchRow(12, "c2", ("g1",), {}),
    SearchRow(13, "c3", (), {"E0": []}),
)
_ALSO: Final = {
    1: "PRIV-001",
    2: "PRIV-020",
    3: "PRIV-003 PRIV-006 PRIV-012 PRIV-013 COMPAT-073",
    4: "PRIV-007 PRIV-013",
    5: "PRIV-008",
    6: "PRIV-007 PRIV-012",
    7: "PRIV-008",
    8: "PRIV-003",
    11: "PRIV-005 PRIV-006",
    12: "PRIV-008",
    13: "PRIV-005 PRIV-009",
}


def _search(row: SearchRow) -> None:
    async def search(t: Probe, path: str) -> None:
        scene = await _scene(t, path)
        if row.who == "c2":
            await t.enrol(t.ven2)
        actor = {"BL": t.bl, "c1": t.ven, "c2": t.ven2, "c3": t.stranger}[row.who]
        seen = await _seen(t, scene, actor, row.query)
        expected = granted(t.profile) if row.expected is None else row.expected
        t.same("what is seen, with targets", seen, dict(expected))

    search.__name__ = f"{row.who}_searches"
    search.__doc__ = f"""
        A search gives exactly the objects the caller is granted, and shows a VEN only targets that it holds:
        {row.words}.
    """
    area.each(f"{row.requirement} {_ALSO[row.number]} PRIV-022", KINDS, needs="ven ven2")(search)


for _row in ROWS:
    _search(_row)


@area.each("PRIV-EX-09 PRIV-010 PRIV-013 PRIV-022", KINDS, needs="ven")
async def by_id(t: Probe, path: str) -> None:
    """By id a VEN gets a visible object, with no other targets than those it holds."""
    scene = await _scene(t, path)
    answer = await t.ven.get(f"{path}/{scene.objects['E2']['id']}")
    answer.expect(200)
    answer.has(targets=[scene.targets["g1"]])


@area.each("PRIV-EX-10 PRIV-010 PRIV-022", KINDS, needs="ven")
async def hidden_by_id(t: Probe, path: str) -> None:
    """By id a hidden object is 404, in the same words as one that does not exist (R-10a; else it may be 403)."""
    scene = await _scene(t, path)
    hidden = scene.objects["E3"]["id"]
    answer = await t.ven.get(f"{path}/{hidden}")
    got = _without_instance(answer.expect(404, allowed=(403,)).object())
    if t.profile.rulings:  # R-10a
        unknown = await t.ven.get(f"{path}/{NOBODYS_ID}")
        expected = _without_instance(unknown.expect(404).object())
        answer.same("the body", str(got).replace(hidden, NOBODYS_ID), str(expected))


def _without_instance(body: Obj) -> Obj:
    return {key: value for key, value in body.items() if key != "instance"}


@area.each("PRIV-EX-14 PRIV-003 PRIV-022", KINDS, needs="ven")
async def other_targets_of_the_ven(t: Probe, path: str) -> None:
    """When business logic changes the targets of a ven, the next request of that VEN sees by the new ones."""
    scene = await _scene(t, path)
    await _seen(t, scene, t.ven)
    ven = scene.ven
    body = bodies.bl_ven(ven["clientID"], ven["venName"], targets=[scene.targets["g2"]])
    (await t.bl.put(f"/vens/{ven['id']}", body)).expect(200)
    expected = granted(t.profile, {"E0": [], "E2": ["g2"], "E3": ["g2"], "E4": ["r1"], "E5": ["V1"]})
    t.same("what is seen, with targets", await _seen(t, scene, t.ven), dict(expected))


@area.each("PRIV-EX-15 PRIV-003 PRIV-022", KINDS, needs="ven")
async def resource_gone(t: Probe, path: str) -> None:
    """When a resource is deleted, the VEN no longer sees what was targeted at it."""
    scene = await _scene(t, path)
    await _seen(t, scene, t.ven)
    (await t.bl.delete(f"/resources/{scene.resource['id']}")).expect(200)
    expected = {label: words for label, words in granted(t.profile).items() if label != "E4"}
    t.same("what is seen, with targets", await _seen(t, scene, t.ven), expected)


@area.check("PRIV-EX-16 PRIV-016 PRIV-022", needs="ven")
async def program_hidden(t: Probe) -> None:
    """When a program gets targets a VEN does not hold, its events are hidden too (unless configured otherwise)."""
    scene = await _scene(t, "/events")
    await _seen(t, scene, t.ven)
    body = bodies.program(scene.program["programName"], targets=[scene.targets["g9"]])
    (await t.bl.put(f"/programs/{scene.program['id']}", body)).expect(200)
    follows = t.profile.events_follow_program
    t.same("what is seen", await _seen(t, scene, t.ven), {} if follows else dict(granted(t.profile)))
    (await t.ven.get(f"/events/{scene.objects['E0']['id']}")).expect(*((404,) if follows else (200,)))


@area.each("PRIV-EX-17 PRIV-022", KINDS, needs="ven")
async def no_implicit_target(t: Probe, path: str) -> None:
    """Where a ven's own id is no target, an object targeted at it is hidden."""
    if t.profile.implicit_ven_id_target:
        raise Skipped("applies where privacy.implicit_ven_id_target is off")
    scene = await _scene(t, path)
    expected = {label: words for label, words in GRANTED.items() if label != "E5"}
    t.same("what is seen, with targets", await _seen(t, scene, t.ven), expected)


@area.each("PRIV-003", KINDS, needs="ven")
async def new_resource_grants(t: Probe, path: str) -> None:
    """Targets of a new resource of a ven are the VEN's from the next request on."""
    target = t.name("target")
    ven = await t.enrol(t.ven)
    obj = await (t.event(targets=[target]) if path == "/events" else t.program(targets=[target]))
    (await t.ven.get(f"{path}/{obj['id']}")).expect(404, allowed=(403,))
    await t.resource(ven, targets=[target])
    (await t.ven.get(f"{path}/{obj['id']}")).expect(200)


NAMES: dict[str, Callable[[Obj, Obj], str]] = {
    "venName": lambda ven, _resource: ven["venName"],
    "resourceName": lambda _ven, resource: resource["resourceName"],
    "clientID": lambda ven, _resource: ven["clientID"],
}


@area.each("PRIV-004", NAMES, needs="ven")
async def names_are_no_targets(t: Probe, name: Callable[[Obj, Obj], str]) -> None:
    """A VEN chooses its names, so they open nothing: an object targeted at a name is hidden from its bearer."""
    ven = await t.enrol(t.ven)
    event = await t.event(targets=[name(ven, await t.own_resource(t.ven, ven))])
    (await t.ven.get(f"/events/{event['id']}")).expect(404, allowed=(403,))
    answer = await t.ven.get("/events", {"programID": event["programID"]})
    answer.same("the search", answer.expect(200).json(), [])


UNTARGETED: dict[str, tuple[str, bool]] = {
    f"{name} with{'' if enrolled else 'out'} a ven": (path, enrolled)
    for name, path in KINDS.items()
    for enrolled in (True, False)
}


@area.each("PRIV-005 COMPAT-074", UNTARGETED, needs="ven ven2")
async def untargeted_is_public(t: Probe, case: tuple[str, bool]) -> None:
    """Objects without targets are visible to every VEN, with or without a ven."""
    path, enrolled = case
    await t.enrol(t.ven)
    obj = await (t.event() if path == "/events" else t.program())
    (await (t.ven if enrolled else t.stranger).get(f"{path}/{obj['id']}")).expect(200)


@area.each("PRIV-009", KINDS, needs="ven2")
async def without_a_ven(t: Probe, path: str) -> None:
    """A VEN without a ven holds no target: whatever it asks for gives an empty array."""
    target = t.name("target")
    obj = await (t.event(targets=[target]) if path == "/events" else t.program(targets=[target]))
    answer = await t.stranger.get(path, {"targets": target})
    answer.same("the search", answer.expect(200).json(), [])
    (await t.stranger.get(f"{path}/{obj['id']}")).expect(404, allowed=(403,))


@area.each("PRIV-011", KINDS, needs="ven")
async def targets_by_id_are_ignored(t: Probe, path: str) -> None:
    """A targets parameter on a read by id is ignored: it neither opens nor hides."""
    mine, other = t.name("target"), t.name("target")
    await t.enrol(t.ven, targets=[mine])
    visible = await (t.event(targets=[mine]) if path == "/events" else t.program(targets=[mine]))
    hidden = await (t.event(targets=[other]) if path == "/events" else t.program(targets=[other]))
    (await t.ven.get(f"{path}/{visible['id']}", {"targets": other})).expect(200)
    (await t.ven.get(f"{path}/{hidden['id']}", {"targets": other})).expect(404, allowed=(403,))


@area.each("PRIV-013", KINDS, needs="ven")
async def hiding_keeps_the_order(t: Probe, path: str) -> None:
    """The targets a VEN is shown keep the order they have on the object."""
    held = [t.name("target") for _ in range(3)]
    await t.enrol(t.ven, targets=sorted(held))
    targets = [held[2], t.name("other"), held[0], t.name("other"), held[1]]
    obj = await (t.event(targets=targets) if path == "/events" else t.program(targets=targets))
    answer = await t.ven.get(f"{path}/{obj['id']}")
    answer.expect(200)
    answer.has(targets=[held[2], held[0], held[1]])


@area.check("PRIV-015", needs="ven")
async def own_objects_hide_nothing(t: Probe) -> None:
    """Resources and subscriptions show their owner all of their targets."""
    targets = [t.name("target"), t.name("target")]
    resource = await t.resource(await t.enrol(t.ven), targets=targets)
    subscription = await t.subscription(t.ven, targets=targets)
    for path in (f"/resources/{resource['id']}", f"/subscriptions/{subscription['id']}"):
        answer = await t.ven.get(path)
        answer.expect(200)
        answer.has(targets=targets)


@area.check("PRIV-016", needs="ven")
async def reports_follow_too(t: Probe) -> None:
    """For an event whose program is hidden a VEN cannot report: it does not exist for it."""
    if not t.profile.events_follow_program:
        raise Skipped("applies where privacy.events_follow_program is on")
    program = await t.program(targets=[t.name("target")])
    event = await t.event(program)
    (await t.ven.get(f"/events/{event['id']}")).expect(404, allowed=(403,))
    (await t.ven.post("/reports", bodies.report(event["id"]))).expect(400)


@area.check("PRIV-016", needs="ven")
async def program_granted(t: Probe) -> None:
    """An untargeted event of a program that a VEN is granted is visible to it."""
    target = t.name("target")
    await t.enrol(t.ven, targets=[target])
    event = await t.event(await t.program(targets=[target]))
    (await t.ven.get(f"/events/{event['id']}")).expect(200)


@area.check("PRIV-018", needs="ven ven2")
async def foreign_changes_change_nothing(t: Probe) -> None:
    """A VEN's PUT and DELETE of what belongs to another is 404 and leaves it as it was."""
    ven = await t.enrol(t.ven2)
    resource = await t.own_resource(t.ven2, ven)
    path = f"/resources/{resource['id']}"
    (await t.ven.put(path, bodies.ven_resource(ven["id"], t.name("resource")))).expect(404, allowed=(403,))
    (await t.ven.delete(path)).expect(404, allowed=(403,))
    answer = await t.bl.get(path)
    answer.same("the resource", answer.expect(200).object(), resource)


@area.check("PRIV-019", needs="ven")
async def pages_disclose_nothing(t: Probe) -> None:
    """Hidden objects take no place in a VEN's pages: skip counts visible objects only."""
    mine = t.name("target")
    await t.enrol(t.ven, targets=[mine])
    program = await t.program()
    visible = await t.event(program, targets=[mine])
    hidden = t.name("hidden")
    for _ in range(2):
        await t.event(program, targets=[hidden])
    query = {"programID": program["id"], "targets": [mine, hidden]}  # of which the VEN holds one
    answer = await t.ven.get("/events", query | {"limit": "1"})
    answer.same("the first page", answer.expect(200).ids(), [visible["id"]])
    answer = await t.ven.get("/events", query | {"skip": "1"})
    answer.same("what lies behind it", answer.expect(200).json(), [])
