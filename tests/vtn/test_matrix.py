"""Access rights: one case for every operation and every kind of caller (requirements section 1)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from tests.vtn.harness import Answer, Session, VtnUnderTest, unique
from vtn.access import Role, Scope

READ_TARGETED = {Scope.READ_TARGETS, Scope.READ_ALL, Scope.READ_BL}
READ_OWNED = {Scope.READ_VEN_OBJECTS, Scope.READ_ALL, Scope.READ_BL}
UNKNOWN = "nonexistent-id-12345"


@dataclass(frozen=True)
class World:
    """One object of every kind; those that have an owner belong to `home`."""

    vtn: VtnUnderTest
    home: Session
    ids: dict[str, str]

    def document(self, collection: str, role: Role) -> dict[str, Any]:
        """Something that may be written."""
        report = {"eventID": self.ids["events"], "clientName": "c", "resources": []}
        ven = {"objectType": f"{role}_VEN_REQUEST", "clientID": unique("client"), "venName": unique("ven")}
        resource = {"objectType": f"{role}_RESOURCE_REQUEST", "venID": self.ids["vens"], "resourceName": unique("r")}
        documents: dict[str, dict[str, Any]] = {
            "programs": {"programName": unique("program")},
            "events": {"programID": self.ids["programs"]},
            "reports": report,
            "subscriptions": {"clientName": "c", "objectOperations": []},
            "vens": ven,
            "resources": resource | {"clientID": self.home.client_id},
            "resource_groups": {"resourceGroupName": unique("group")},
        }
        return documents[collection]


@dataclass(frozen=True)
class Row:
    """One operation: who may do it, and what a caller of each role gets."""

    number: str
    method: str
    collection: str
    one: bool
    scopes: frozenset[Scope]
    bl: int
    ven: int

    def __str__(self) -> str:
        return f"{self.number}-{self.method}-{self.collection}{'-one' if self.one else ''}"


def _rows() -> list[Row]:
    rows = []
    numbers = (*(f"M{number:02}" for number in range(1, 31)), *(f"COMPAT-088-{number}" for number in range(1, 6)))
    number = iter(numbers)
    for collection, read, write in (
        ("programs", READ_TARGETED, {Scope.WRITE_PROGRAMS}),
        ("events", READ_TARGETED, {Scope.WRITE_EVENTS}),
        ("reports", READ_OWNED, {Scope.WRITE_REPORTS}),
        ("subscriptions", READ_OWNED, {Scope.WRITE_SUBSCRIPTIONS}),
        ("vens", READ_OWNED, {Scope.WRITE_VENS}),
        ("resources", READ_OWNED, {Scope.WRITE_VENS}),
        ("resource_groups", READ_OWNED, {Scope.WRITE_VENS}),
    ):
        bl_writes = collection != "reports"
        ven_writes = collection not in {"programs", "events", "resource_groups"}
        for method, one in (("GET", False), ("POST", False), ("GET", True), ("PUT", True), ("DELETE", True)):
            reads, done = method == "GET", 201 if method == "POST" else 200
            rows.append(
                Row(
                    number=next(number),
                    method=method,
                    collection=collection,
                    one=one,
                    scopes=frozenset(read if reads else write),
                    bl=done if reads or bl_writes else 403,
                    ven=done if reads or ven_writes else 403,
                )
            )
    return rows


ROWS = _rows()
each_row = pytest.mark.parametrize("row", ROWS, ids=str)


async def a_world(vtn: VtnUnderTest) -> World:
    """Untargeted objects, so that every VEN may see what roles let it see."""
    bl, home = vtn.bl, vtn.home()
    program = await bl.program()
    event = await bl.event(program)
    report = await home.report(event)
    subscription = (await home.post("/subscriptions", {"clientName": "c", "objectOperations": []})).ok(201)
    ven = await home.ven()
    resource = await home.resource(ven)
    ids = {
        "programs": program["id"],
        "events": event["id"],
        "reports": report["id"],
        "subscriptions": subscription["id"],
        "vens": ven["id"],
        "resources": resource["id"],
        "resource_groups": (await bl.group(resource))["id"],
    }
    return World(vtn, home, ids)


async def attempt(world: World, row: Row, caller: Session, *, role: Role, object_id: str | None = None) -> Answer:
    """Do the operation as a caller, to the object there is or to another."""
    path = f"/{row.collection}" + (f"/{object_id or world.ids[row.collection]}" if row.one else "")
    document = world.document(row.collection, role) if row.method in {"POST", "PUT"} else None
    return await caller.ask(row.method, path, json=document)


@each_row
async def test_business_logic(vtn: VtnUnderTest, row: Row) -> None:
    """MATRIX-001, column BL; PROG-014, EVT-014, REPORT-003, REPORT-004, RES-011."""
    world = await a_world(vtn)

    answer = await attempt(world, row, vtn.bl, role=Role.BL)

    assert answer.status == row.bl, answer.raw
    if row.bl == 403:
        answer.problem(403)


@each_row
async def test_ven(vtn: VtnUnderTest, row: Row) -> None:
    """MATRIX-001, column VEN, for objects that are its own or everybody's; VEN-012, REPORT-009."""
    world = await a_world(vtn)
    newcomer = row.collection == "vens" and row.method == "POST"

    answer = await attempt(world, row, vtn.home() if newcomer else world.home, role=Role.VEN)

    assert answer.status == row.ven, answer.raw
    if row.ven == 403:
        answer.problem(403)


@pytest.mark.parametrize("row", [row for row in ROWS if row.collection not in {"programs", "events"}], ids=str)
async def test_another_ven(vtn: VtnUnderTest, row: Row) -> None:
    """MATRIX-001, "own": to another VEN the objects do not exist (PRIV-017, REPORT-008, VEN-016, RES-005)."""
    world = await a_world(vtn)
    stranger = vtn.home()

    answer = await attempt(world, row, stranger, role=Role.VEN)

    if row.ven == 403:
        answer.problem(403)
    elif row.one:
        assert answer.problem(404) == (await stranger.get(f"/{row.collection}/{UNKNOWN}")).problem(404)
        assert world.ids[row.collection] in await vtn.bl.ids(f"/{row.collection}")
    elif row.method == "GET":
        assert answer.ok() == []
    elif row.collection == "resources":
        answer.problem(404)
    else:
        answer.ok(201)


@each_row
async def test_no_token(vtn: VtnUnderTest, row: Row) -> None:
    """MATRIX-001, column "no token"; AUTH-002."""
    world = await a_world(vtn)

    answer = await attempt(world, row, vtn.nobody, role=Role.BL)

    answer.problem(401)
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="VTN"'


@each_row
async def test_bad_token(vtn: VtnUnderTest, row: Row) -> None:
    """MATRIX-001, column "bad token"; AUTH-006."""
    world = await a_world(vtn)

    answer = await attempt(world, row, vtn.with_token("bad_token"), role=Role.BL)

    answer.problem(401)
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="VTN", error="invalid_token"'


@each_row
@pytest.mark.parametrize("role", [Role.BL, Role.VEN])
async def test_wrong_scope(vtn: VtnUnderTest, row: Row, role: Role) -> None:
    """MATRIX-001, column "wrong scope"; AUTH-004, AUTH-015: every other scope together opens nothing."""
    world = await a_world(vtn)
    caller = vtn.caller(role, scopes=set(Scope) - row.scopes, client_id=world.home.client_id)

    (await attempt(world, row, caller, role=role)).problem(403)


@each_row
async def test_any_one_accepted_scope_is_enough(vtn: VtnUnderTest, row: Row) -> None:
    """MATRIX-001, AUTH-012, COMPAT-016: scopes open operations, not the name of the role."""
    world = await a_world(vtn)

    for scope in row.scopes:
        if row.method == "DELETE":
            world = await a_world(vtn)
        answer = await attempt(world, row, vtn.caller(Role.BL, scopes={scope}), role=Role.BL)
        assert answer.status == (201 if row.method == "POST" else 200), (scope, answer.raw)


@pytest.mark.parametrize("row", [row for row in ROWS if row.one], ids=str)
async def test_an_unknown_id_is_not_found(vtn: VtnUnderTest, row: Row) -> None:
    """MATRIX-002, OBJ-008, COMPAT-032, PROG-013, EVT-011: also with an id that is no UUID, and with a valid body."""
    world = await a_world(vtn)
    caller = vtn.caller(Role.BL, scopes=set(Scope))

    (await attempt(world, row, caller, role=Role.BL, object_id=UNKNOWN)).problem(404)


@pytest.mark.parametrize("row", [row for row in ROWS if row.one and row.ven == 403], ids=str)
async def test_the_role_is_judged_before_existence(vtn: VtnUnderTest, row: Row) -> None:
    """MATRIX-003, GEN-009."""
    world = await a_world(vtn)

    (await attempt(world, row, world.home, role=Role.VEN, object_id=UNKNOWN)).problem(403)


@pytest.mark.parametrize(
    "caller", [lambda vtn: vtn.bl, lambda vtn: vtn.home(), lambda vtn: vtn.nobody, lambda vtn: vtn.with_token("x")]
)
async def test_anybody_may_ask_for_the_token_endpoint(
    vtn: VtnUnderTest, caller: Callable[[VtnUnderTest], Session]
) -> None:
    """M31, AUTH-018, AUTH-019, COMPAT-001."""
    assert (await caller(vtn).get("/auth/server")).ok() == {"tokenURL": f"{vtn.base_url}/auth/token"}


@pytest.mark.parametrize("row", [row for row in ROWS if row.method == "GET"], ids=str)
async def test_the_alias_answers_as_the_main_prefix_does(vtn: VtnUnderTest, row: Row) -> None:
    """GEN-001, GEN-002: both prefixes are doors to the same objects."""
    world = await a_world(vtn)
    path = f"/{row.collection}" + (f"/{world.ids[row.collection]}" if row.one else "")

    alias = await vtn.ask("GET", f"{vtn.origin}/openadr3/3.1.1{path}", headers=world.home.headers)

    assert alias.ok() == (await world.home.get(path)).ok() != []


async def test_no_path_of_later_standards_or_older_ones_is_half_there(vtn: VtnUnderTest) -> None:
    """GEN-007, RES-016: what is not offered is not found, whoever asks."""
    ven = await vtn.home().ven()
    for caller in (vtn.bl, vtn.nobody):
        (await caller.get(f"/vens/{ven['id']}/resources")).problem(404)
