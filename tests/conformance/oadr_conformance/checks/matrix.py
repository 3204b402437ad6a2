"""MATRIX: every operation for every caller: business logic, VEN, foreign VEN, no token, bad token, missing scope."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from oadr_conformance import bodies
from oadr_conformance.kinds import KINDS, Kind, needs_of
from oadr_conformance.probe import Actor, Probe
from oadr_conformance.registry import SHOULD, Area
from oadr_conformance.wire import Obj, VtnAnswer

area = Area("API description: security of each operation; Definition: Endpoints")

_READ_TARGETS: Final = "read_targets"
_READ_VEN_OBJECTS: Final = "read_ven_objects"


@dataclass(frozen=True)
class EndpointOperation:
    """One row of the matrix: what success is, and for whom."""

    row: str
    kind: str
    method: str
    bl: int
    ven: int
    """Status for the VEN whose object it is, or to whom it is visible."""
    foreign: int
    """Status for another VEN; 0 where no object decides."""
    scope: str
    """One scope that is enough, as a VEN or as business logic."""

    @property
    def single(self) -> bool:
        """Return True if the path names one object."""
        return self.row in _SINGLE_ROWS

    @property
    def name(self) -> str:
        """As in the catalogue: `M03 GET /programs/{id}`."""
        return f"{self.row} {self.method} {bodies.COLLECTIONS[self.kind]}{'/{id}' if self.single else ''}"


def _rows() -> list[EndpointOperation]:
    rows: list[EndpointOperation] = []
    number = 1
    # kind, BL writes, VEN writes, scope of reading, scope of writing, what a VEN without claim to it gets
    for kind, bl, ven, reading, writing, hidden in (
        ("program", True, False, _READ_TARGETS, "write_programs", True),
        ("event", True, False, _READ_TARGETS, "write_events", True),
        ("report", False, True, _READ_VEN_OBJECTS, "write_reports", True),
        ("subscription", True, True, _READ_VEN_OBJECTS, "write_subscriptions", True),
        ("ven", True, True, _READ_VEN_OBJECTS, "write_vens", True),
        ("resource", True, True, _READ_VEN_OBJECTS, "write_vens", True),
    ):
        write_bl, write_ven = (200 if bl else 403), (200 if ven else 403)
        foreign = 404 if ven else 403
        for method, bl_status, ven_status, foreign_status, scope in (
            ("GET", 200, 200, 0, reading),
            ("POST", 201 if bl else 403, 201 if ven else 403, 0, writing),
            ("GET", 200, 200, 404 if hidden else 200, reading),
            ("PUT", write_bl, write_ven, foreign, writing),
            ("DELETE", write_bl, write_ven, foreign, writing),
        ):
            rows.append(EndpointOperation(f"M{number:02}", kind, method, bl_status, ven_status, foreign_status, scope))
            number += 1
    return rows


_SINGLE_ROWS: Final = {f"M{number:02}" for number in range(1, 31) if number % 5 in {3, 4, 0}}
OPERATIONS: Final = {row.name: row for row in _rows()}


@dataclass(frozen=True)
class MatrixScene:
    """The object of the row and bodies that would be right for each role."""

    obj: Obj
    bl_body: Obj
    ven_body: Obj


async def _set_up(t: Probe, row: EndpointOperation) -> MatrixScene:
    """An object that the first VEN owns or may see and the second may not, and a right body for POST or PUT."""
    target = t.name("target")
    ven = await t.enrol(t.ven, targets=[target]) if row.kind in {"program", "event", "ven", "resource"} else {}
    obj: Obj
    if row.kind == "program":
        obj = await t.program(targets=[target])
        body = bodies.program(obj["programName"] if row.single else t.name("program"))
        return MatrixScene(obj, body, body)
    if row.kind == "event":
        obj = await t.event(targets=[target])
        body = bodies.event(obj["programID"], eventName="changed")
        return MatrixScene(obj, body, body)
    if row.kind == "report":
        obj = await t.report(t.ven)
        body = bodies.report(obj["eventID"], reportName="changed")
        return MatrixScene(obj, body, body)
    if row.kind == "subscription":
        obj = await t.subscription(t.ven)
        body = t.subscription_body()
        return MatrixScene(obj, body, body)
    name = t.name(row.kind)
    if row.kind == "resource":
        obj = await t.resource(ven)
        return MatrixScene(
            obj, bodies.bl_resource(ven["clientID"], ven["id"], name), bodies.ven_resource(ven["id"], name)
        )
    client = ven["clientID"] if row.single else t.name("client")
    return MatrixScene(ven, bodies.bl_ven(client, name), bodies.ven_ven(name))


async def ask(actor: Actor, row: EndpointOperation, scene: MatrixScene, body: Obj) -> VtnAnswer:
    """Carry out the row's operation."""
    path = bodies.COLLECTIONS[row.kind] + (f"/{scene.obj['id']}" if row.single else "")
    return await actor.send(row.method, path, body=body if row.method in {"POST", "PUT"} else None)


def _status_of_success(row: EndpointOperation, t: Probe, status: int) -> int:
    """BL may delete reports where a switch says so."""
    return 200 if row.row == "M15" and t.profile.bl_may_delete else status


@area.each("MATRIX-001 AUTH-004 PRIV-001", OPERATIONS, needs="ven")
async def business_logic(t: Probe, row: EndpointOperation) -> None:
    """What business logic may do: everything but write reports."""
    scene = await _set_up(t, row)
    answer = await ask(t.bl, row, scene, scene.bl_body)
    status = _status_of_success(row, t, row.bl)
    answer.expect(status, allowed=(401,) if status == 403 else ())
    if row.method == "GET" and not row.single:
        await _finds(t, t.bl, row, scene)


async def _finds(t: Probe, actor: Actor, row: EndpointOperation, scene: MatrixScene) -> None:
    """A search finds the object; what is targeted is asked for by its targets, as the Definition wants it of a VEN."""
    targets = scene.obj.get("targets") if row.kind in {"program", "event"} else None
    found = await t.all(actor, bodies.COLLECTIONS[row.kind], {"targets": targets} if targets else {})
    t.same("whether the object is found", scene.obj["id"] in [obj["id"] for obj in found], True)


@area.each("MATRIX-001 AUTH-004", OPERATIONS, needs="ven ven2")
async def a_ven(t: Probe, row: EndpointOperation) -> None:
    """What a VEN may do: read what it may see, write reports, subscriptions and its own ven and resources."""
    scene = await _set_up(t, row)
    actor = t.ven2 if row.row == "M22" else t.ven  # registering: the first VEN has its ven already
    answer = await ask(actor, row, scene, scene.ven_body)
    answer.expect(row.ven, allowed=(401,) if row.ven == 403 else ())
    if row.method == "GET" and not row.single:
        await _finds(t, actor, row, scene)


@area.each(
    "MATRIX-001 PRIV-010 PRIV-018",
    {name: row for name, row in OPERATIONS.items() if row.foreign},
    needs="ven ven2",
)
async def another_ven(t: Probe, row: EndpointOperation) -> None:
    """What belongs to another VEN, or is hidden, is 404 for a VEN, as if it did not exist; it stays as it was."""
    scene = await _set_up(t, row)
    (await ask(t.stranger, row, scene, scene.ven_body)).expect(row.foreign, allowed=(401, 403, 404))
    answer = await t.bl.get(f"{bodies.COLLECTIONS[row.kind]}/{scene.obj['id']}")
    answer.same("the object afterwards", answer.expect(200).object(), scene.obj)


@area.each(
    "MATRIX-001 PRIV-017",
    {name: row for name, row in OPERATIONS.items() if row.method == "GET" and not row.single},
    needs="ven ven2",
)
async def another_ven_searches(t: Probe, row: EndpointOperation) -> None:
    """A search by another VEN leaves out what it may not see."""
    scene = await _set_up(t, row)
    found = await t.all(t.stranger, bodies.COLLECTIONS[row.kind])
    t.same("whether the foreign object is found", scene.obj["id"] in [obj["id"] for obj in found], False)


async def _refused(t: Probe, row: EndpointOperation, actor: Actor, status: int) -> None:
    scene = await _set_up(t, row)
    (await ask(actor, row, scene, scene.bl_body)).expect(status, allowed=(401, 403))
    answer = await t.bl.get(f"{bodies.COLLECTIONS[row.kind]}/{scene.obj['id']}")
    answer.same("the object afterwards", answer.expect(200).object(), scene.obj)


@area.each("MATRIX-001 MATRIX-007 AUTH-001 AUTH-002", OPERATIONS, needs="ven")
async def no_token(t: Probe, row: EndpointOperation) -> None:
    """Without a token every operation on objects is 401 (or 403, where rulings are not binding)."""
    await _refused(t, row, t.nobody, 401)


@area.each("MATRIX-001 AUTH-006", OPERATIONS, needs="ven")
async def bad_token(t: Probe, row: EndpointOperation) -> None:
    """With a token that cannot be verified every operation is refused with the configured status (401 unless said)."""
    await _refused(t, row, t.impostor, t.profile.invalid_token_status)


@area.each(
    "MATRIX-001 AUTH-004 AUTH-015",
    OPERATIONS,
    needs="ven secret",
)
async def wrong_scope(t: Probe, row: EndpointOperation) -> None:
    """A valid token that holds no accepted scope is 403: writing scopes open no reads, reading scopes no writes."""
    writes = row.method != "GET"
    client = t.ven if row.kind == "report" else t.bl
    others = {"program": "write_events", "event": "write_programs"}.get(row.kind, "write_programs")
    scope = "read_targets" if row.kind == "report" and writes else "read_all" if writes else others
    if client is t.ven and not writes:
        scope = "write_vens"
    await _refused(t, row, t.scoped(client, scope), 403)


CALLERS: dict[str, Callable[[Probe], Actor]] = {
    "BL": lambda t: t.bl,
    "a VEN": lambda t: t.ven,
    "no token": lambda t: t.nobody,
    "a bad token": lambda t: t.impostor,
}


@area.each("MATRIX-001 AUTH-018", CALLERS, needs="ven")
async def auth_server_is_public(t: Probe, who: Callable[[Probe], Actor]) -> None:
    """GET /auth/server answers everybody, also without or with a bad token."""
    (await who(t).get("/auth/server")).expect(200)


_TOPICS: Final = "/notifiers/mqtt/topics"


@dataclass(frozen=True)
class Topic:
    """A notifier row."""

    row: str
    path: str
    ven: int
    foreign: int = 0

    @property
    def name(self) -> str:
        """As in the catalogue."""
        return f"{self.row} GET {self.path}"


TOPICS: Final = {
    topic.name: topic
    for topic in (
        Topic("M33", "/notifiers", 200),
        Topic("M34", f"{_TOPICS}/programs", 200),
        Topic("M35", f"{_TOPICS}/programs/{{program}}", 200, 404),
        Topic("M36", f"{_TOPICS}/programs/{{program}}/events", 200, 404),
        Topic("M37", f"{_TOPICS}/events", 403),
        Topic("M38", f"{_TOPICS}/reports", 403),
        Topic("M39", f"{_TOPICS}/subscriptions", 403),
        Topic("M40", f"{_TOPICS}/vens", 403),
        Topic("M41", f"{_TOPICS}/resources", 403),
        Topic("M42", f"{_TOPICS}/vens/{{ven}}", 200, 404),
        Topic("M43", f"{_TOPICS}/vens/{{ven}}/events", 200, 404),
        Topic("M44", f"{_TOPICS}/vens/{{ven}}/programs", 200, 404),
        Topic("M45", f"{_TOPICS}/vens/{{ven}}/resources", 200, 404),
    )
}


async def _topic_path(t: Probe, topic: Topic) -> str:
    if "{program}" in topic.path:
        target = t.name("target")
        await t.enrol(t.ven, targets=[target])
        return topic.path.replace("{program}", (await t.program(targets=[target]))["id"])
    if "{ven}" in topic.path:
        return topic.path.replace("{ven}", (await t.enrol(t.ven))["id"])
    return topic.path


async def _has_broker(t: Probe) -> bool:
    """Return True if the VTN offers MQTT; without a broker all topics are 404 for those who may ask."""
    return "MQTT" in (await t.bl.get("/notifiers")).expect(200).object()


@area.each("MATRIX-001 AUTH-014 MQTT-006 MQTT-007", TOPICS, needs="ven notifiers")
async def topics_for_business_logic(t: Probe, topic: Topic) -> None:
    """Business logic may ask for every topic; without a broker they are 404."""
    path = await _topic_path(t, topic)
    status = 200 if topic.row == "M33" or await _has_broker(t) else 404
    (await t.bl.get(path)).expect(status)


@area.each("MATRIX-001 AUTH-014 MQTT-010 MQTT-011", TOPICS, needs="ven notifiers")
async def topics_for_a_ven(t: Probe, topic: Topic) -> None:
    """A VEN may ask for the topics of programs and of its own ven, not for those of whole collections."""
    path = await _topic_path(t, topic)
    status = topic.ven if topic.row == "M33" or topic.ven == 403 or await _has_broker(t) else 404
    (await t.ven.get(path)).expect(status)


@area.each(
    "MATRIX-001 MQTT-009",
    {name: one for name, one in TOPICS.items() if one.foreign},
    needs="ven ven2 notifiers",
)
async def topics_for_another_ven(t: Probe, topic: Topic) -> None:
    """Topics of a hidden program or of another ven are 404."""
    (await t.stranger.get(await _topic_path(t, topic))).expect(404)


@area.each("MATRIX-001 MATRIX-007", TOPICS, needs="ven notifiers")
async def topics_without_token(t: Probe, topic: Topic) -> None:
    """Without a token all notifier paths are 401."""
    (await t.nobody.get(await _topic_path(t, topic))).expect(401)


@area.each("MATRIX-001 MQTT-012", TOPICS, needs="ven notifiers")
async def topics_with_bad_token(t: Probe, topic: Topic) -> None:
    """With a token that cannot be verified all notifier paths are refused."""
    (await t.impostor.get(await _topic_path(t, topic))).expect(t.profile.invalid_token_status)


@area.each(
    "MATRIX-001 AUTH-015",
    {name: one for name, one in TOPICS.items() if one.row != "M33"},
    needs="ven secret notifiers",
)
async def topics_without_scope(t: Probe, topic: Topic) -> None:
    """A token without any reading scope opens no topic."""
    (await t.scoped(t.bl, "write_programs").get(await _topic_path(t, topic))).expect(403)


@area.each(
    "MATRIX-002",
    {f"{method} {kind}": (method, KINDS[kind]) for kind in KINDS for method in ("GET", "PUT", "DELETE")},
    needs=lambda case: case[1].needs,
)
async def unknown_ids(t: Probe, case: tuple[str, Kind]) -> None:
    """A well-formed id that no object has is 404 to GET, PUT and DELETE.

    What an id looks like is the VTN's decision, so where rulings are not binding it is one that an object had.
    """
    method, kind = case
    obj = await kind.make(t)
    body = kind.as_request(obj)
    actor = t.bl if method == "GET" else kind.writer(t)
    path = f"{kind.path}/{bodies.NOBODYS_ID}"
    if not t.profile.rulings:
        path = kind.at(obj)
        (await kind.writer(t).delete(path)).expect(200)
    (await actor.send(method, path, body=body if method == "PUT" else None)).expect(404, allowed=(403, 410))


@area.each("MATRIX-004 COMPAT-040", KINDS, needs=needs_of)
async def delete_returns_the_object(t: Probe, kind: Kind) -> None:
    """DELETE is 200 with the representation that the object had."""
    obj = await kind.make(t)
    before = await kind.read(t, obj)
    answer = await kind.writer(t).delete(kind.at(obj))
    told = answer.expect(200).object()
    if not answer.binding:  # deleting may count as a change
        before.pop("modificationDateTime", None)
    answer.same("the body", told, before)


@area.each("MATRIX-004", KINDS, needs=needs_of)
async def post_returns_the_object(t: Probe, kind: Kind) -> None:
    """POST is 201 and PUT 200, both with the object as GET returns it to the same client."""
    obj = await kind.make(t)
    answer = await kind.writer(t).get(kind.at(obj))
    answer.same("the object", answer.expect(200).object(), obj)
    body = kind.as_request(obj)
    put = (await kind.replace(t, obj, body)).expect(200).object()
    answer = await kind.writer(t).get(kind.at(obj))
    answer.same("the object", answer.expect(200).object(), put)


@area.each("MATRIX-005", KINDS, SHOULD, needs=needs_of)
async def location(t: Probe, kind: Kind) -> None:
    """201 says where the object is: Location leads to it."""
    answer = await kind.create(t, await kind.plain(t))
    path = urlsplit(answer.expect(201).header("Location")).path
    expected = urlsplit(t.session.base).path + kind.at(answer.object())
    answer.same("the path of Location", path, expected)


@area.each("MATRIX-006 COMPAT-041", KINDS, needs=needs_of)
async def searches_are_arrays(t: Probe, kind: Kind) -> None:
    """A search answers with a plain array of objects of that kind."""
    objects, query = await kind.several(t, 2)
    answer = await t.bl.get(kind.path, query)
    answer.same("the number of objects", len(answer.expect(200).array()), len(objects))
    for obj in answer.array():
        kind.check_type(answer, obj)
