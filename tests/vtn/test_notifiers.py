"""`/notifiers` and the topics of MQTT: who is told what (MQTT-001 … MQTT-015, COMPAT-080 … COMPAT-082)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
import pytest_asyncio

from tests.vtn.conftest import StartVtn, settings_for
from tests.vtn.harness import Answer, Session, VtnUnderTest
from vtn.access import Role, Scope

READING = {Scope.READ_TARGETS, Scope.READ_VEN_OBJECTS, Scope.READ_ALL, Scope.READ_BL}
EVERYTHING = {Scope.READ_ALL, Scope.READ_BL}
OWNED = {Scope.READ_VEN_OBJECTS, Scope.READ_ALL, Scope.READ_BL}
TOPICS = "/notifiers/mqtt/topics"
BROKER = {"url": "mqtt://127.0.0.1:1883"}
UNKNOWN = "nonexistent-id-12345"


@dataclass(frozen=True)
class Row:
    """One endpoint: what it gives business logic and a VEN, `{p}` an untargeted program and `{v}` the VEN's own ven."""

    number: str
    path: str
    scopes: set[Scope]
    bl: str
    ven: str | None
    """None: it is refused."""
    no_create: bool = False

    def __str__(self) -> str:
        return self.number


ROWS = [
    Row("M34", "programs", READING, "programs", "public/programs"),
    Row("M35", "programs/{p}", READING, "programs/{p}", "public/programs/{p}", no_create=True),
    Row("M36", "programs/{p}/events", READING, "events/programs/{p}", "public/events/programs/{p}"),
    Row("M37", "events", EVERYTHING, "events", None),
    Row("M38", "reports", EVERYTHING, "reports", None),
    Row("M39", "subscriptions", EVERYTHING, "subscriptions", None),
    Row("M40", "vens", EVERYTHING, "vens", None),
    Row("M41", "resources", EVERYTHING, "resources", None),
    Row("M42", "vens/{v}", OWNED, "vens/{v}", "vens/{v}", no_create=True),
    Row("M43", "vens/{v}/events", OWNED, "vens/{v}/events", "vens/{v}/events"),
    Row("M44", "vens/{v}/programs", OWNED, "vens/{v}/programs", "vens/{v}/programs"),
    Row("M45", "vens/{v}/resources", OWNED, "vens/{v}/resources", "vens/{v}/resources"),
]
each_row = pytest.mark.parametrize("row", ROWS, ids=str)
OF_ONE = [row for row in ROWS if "{" in row.path]


@dataclass(frozen=True)
class World:
    """A server with a broker, a VEN with its ven, and a program that everybody may see."""

    vtn: VtnUnderTest
    home: Session
    ids: dict[str, str]

    async def ask(self, caller: Session, row: Row) -> Answer:
        """The answer to a caller."""
        return await caller.get(f"{TOPICS}/{row.path.format(**self.ids)}")

    def topics(self, row: Row, tree: str, prefix: str = "openadr3/") -> dict[str, str]:
        """Return what is expected."""
        base = prefix + tree.format(**self.ids)
        names = {"CREATE": f"{base}/create", "UPDATE": f"{base}/update", "DELETE": f"{base}/delete", "ALL": f"{base}/+"}
        if row.no_create:
            del names["CREATE"]
        return names


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def server(shared_url: str) -> AsyncIterator[VtnUnderTest]:
    """A server that publishes to a broker; nobody connects to it here."""
    server = VtnUnderTest(settings_for(shared_url, mqtt=BROKER))
    await server.start()
    yield server
    await server.stop()


@pytest_asyncio.fixture(loop_scope="session")
async def world(vtn: VtnUnderTest, server: VtnUnderTest) -> World:
    """Objects of this test only, in an empty database."""
    server.now.at = vtn.now.at
    return await a_world(server)


async def a_world(vtn: VtnUnderTest) -> World:
    """Make what the table names."""
    home = vtn.home()
    return World(vtn, home, {"p": (await vtn.bl.program())["id"], "v": (await home.ven())["id"]})


@each_row
async def test_business_logic_is_told_of_everything(world: World, row: Row) -> None:
    """MQTT-007, MQTT-008, MQTT-015."""

    answer = await world.ask(world.vtn.bl, row)

    assert answer.ok() == {"topics": world.topics(row, row.bl)}
    assert answer.headers["Cache-Control"] == "no-store"


@each_row
async def test_a_ven_is_told_of_what_it_may_see(world: World, row: Row) -> None:
    """MQTT-010, MQTT-011, MQTT-015, R-33."""

    answer = await world.ask(world.home, row)

    if row.ven is None:
        answer.problem(403)
    else:
        assert answer.ok() == {"topics": world.topics(row, row.ven)}


async def test_a_ven_that_sees_a_targeted_program_has_its_own_topics(world: World) -> None:
    """MQTT-015, MQTT-022: nothing of such a program is in the public tree."""
    program = await world.vtn.bl.program(targets=[world.ids["v"]])
    ids = {"v": world.ids["v"], "p": program["id"]}

    one = (await world.home.get(f"{TOPICS}/programs/{program['id']}")).ok()
    events = (await world.home.get(f"{TOPICS}/programs/{program['id']}/events")).ok()

    assert one["topics"]["UPDATE"] == "openadr3/vens/{v}/programs/{p}/update".format(**ids)
    assert events["topics"]["CREATE"] == "openadr3/vens/{v}/programs/{p}/events/create".format(**ids)


async def test_events_that_do_not_follow_their_program_are_public_if_they_have_no_targets(start_vtn: StartVtn) -> None:
    """PRIV-016 switched off: an event without targets is everybody's, whatever its program is."""
    vtn = await start_vtn(mqtt=BROKER, privacy={"events_follow_program": False})
    home = vtn.home()
    program = await vtn.bl.program(targets=[(await home.ven())["id"]])

    events = (await home.get(f"{TOPICS}/programs/{program['id']}/events")).ok()

    assert events["topics"]["CREATE"] == f"openadr3/public/events/programs/{program['id']}/create"


async def test_a_hidden_program_is_not_found(world: World) -> None:
    """MQTT-009, PRIV-010: with and without a ven."""
    program = await world.vtn.bl.program(targets=["elsewhere"])

    for caller in (world.home, world.vtn.home()):
        for path in (f"{TOPICS}/programs/{program['id']}", f"{TOPICS}/programs/{program['id']}/events"):
            (await caller.get(path)).problem(404)


@pytest.mark.parametrize("row", [row for row in OF_ONE if "{v}" in row.path], ids=str)
async def test_another_ven_is_not_found(world: World, row: Row) -> None:
    """MQTT-009: whether it has a ven or not."""
    other = world.vtn.home()

    (await world.ask(other, row)).problem(404)
    await other.ven()
    (await world.ask(other, row)).problem(404)


@pytest.mark.parametrize("row", OF_ONE, ids=str)
async def test_ids_that_nobody_knows(world: World, row: Row) -> None:
    """MQTT-009: unknown is not found, impossible is malformed, for both roles."""

    for caller in (world.vtn.bl, world.home):
        for id_, status in ((UNKNOWN, 404), ("a%20b", 400), ("x" * 129, 400), ("%2B", 400)):
            path = row.path.format(p=id_, v=id_)
            (await caller.ask("GET", f"{TOPICS}/{path}")).problem(status)


@each_row
async def test_tokens_and_scopes(world: World, row: Row) -> None:
    """MATRIX-001, MQTT-012, AUTH-014, AUTH-015: each scope that opens it alone, and all others together."""

    for scope in row.scopes:
        (await world.ask(world.vtn.caller(Role.BL, scopes={scope}), row)).ok()
    (await world.ask(world.vtn.caller(Role.BL, scopes=set(Scope) - row.scopes), row)).problem(403)
    (await world.ask(world.vtn.nobody, row)).problem(401)
    (await world.ask(world.vtn.with_token("bad_token"), row)).problem(401)


@each_row
async def test_no_scope_makes_business_logic_of_a_ven(world: World, row: Row) -> None:
    """AUTH-039, MQTT-010."""
    mighty = world.vtn.caller(Role.VEN, scopes=set(Scope), client_id=world.home.client_id)

    answer = await world.ask(mighty, row)

    if row.ven is None:
        answer.problem(403)
    else:
        assert answer.ok() == {"topics": world.topics(row, row.ven)}


async def test_a_bad_token_is_answered_as_the_deployment_says(start_vtn: StartVtn) -> None:
    """MQTT-012, R-01."""
    vtn = await start_vtn(mqtt=BROKER, auth={"invalid_token_status": 403})

    for row in ROWS:
        (await vtn.with_token("bad_token").get(f"{TOPICS}/{row.path.format(p='p', v='v')}")).problem(403)


@each_row
async def test_without_a_broker_there_are_no_topics(vtn: VtnUnderTest, row: Row) -> None:
    """MQTT-006: 404 for who may ask; who may not is refused as ever."""
    home = vtn.home()
    ids = {"p": (await vtn.bl.program())["id"], "v": (await home.ven())["id"]}
    path = f"{TOPICS}/{row.path.format(**ids)}"

    assert "no MQTT broker" in (await vtn.bl.get(path)).problem(404)
    (await home.get(path)).problem(403 if row.ven is None else 404)
    (await vtn.nobody.get(path)).problem(401)


async def test_without_a_broker_only_webhooks_are_listed(vtn: VtnUnderTest) -> None:
    """MQTT-001, MQTT-002, MQTT-006."""
    for caller in (vtn.bl, vtn.home()):
        answer = await caller.get("/notifiers")
        assert answer.ok()["WEBHOOK"] is True
        assert "MQTT" not in answer.body
        assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("role", Role)
async def test_the_broker_is_listed(start_vtn: StartVtn, role: Role) -> None:
    """MQTT-001, MQTT-003 … MQTT-005, MQTT-039, COMPAT-080: for any token, whatever its scopes (M33)."""
    vtn = await start_vtn(mqtt=BROKER)

    for scopes in (None, frozenset[Scope](), {Scope.WRITE_VENS}):
        answer = await vtn.caller(role, scopes=scopes).get("/notifiers")
        assert answer.ok()["MQTT"] == {
            "URIS": ["mqtt://127.0.0.1:1883"],
            "serialization": "JSON",
            "authentication": {"method": "OAUTH2_BEARER_TOKEN", "username": "{clientID}"},
        }
        assert answer.headers["Cache-Control"] == "no-store"
    (await vtn.nobody.get("/notifiers")).problem(401)
    (await vtn.with_token("bad_token").get("/notifiers")).problem(401)


async def test_an_anonymous_broker_asks_for_nothing(start_vtn: StartVtn) -> None:
    """MQTT-004."""
    vtn = await start_vtn(mqtt=BROKER | {"access": {"method": "ANONYMOUS"}})

    assert (await vtn.home().get("/notifiers")).ok()["MQTT"]["authentication"] == {"method": "ANONYMOUS"}


async def test_clients_are_told_the_addresses_that_they_can_reach(start_vtn: StartVtn) -> None:
    """COMPAT-082, MQTT-003: several, in the order of the settings; what is missing is filled in for our own only."""
    public = ("mqtts://broker.example", "mqtts://broker.example:443", "wss://broker.example/mqtt")
    vtn = await start_vtn(mqtt={"url": "mqtt://localhost", "public_urls": public})

    assert (await vtn.home().get("/notifiers")).ok()["MQTT"]["URIS"] == list(public)


@pytest.mark.parametrize("prefix", ["", "a/", "utility-1/dr/"])
async def test_the_prefix_is_a_setting(start_vtn: StartVtn, prefix: str) -> None:
    """MQTT-015."""
    world = await a_world(await start_vtn(mqtt=BROKER | {"prefix": prefix}))

    answer = await world.ask(world.home, ROWS[0])

    assert answer.ok() == {"topics": world.topics(ROWS[0], "public/programs", prefix)}


async def test_without_a_token_only_what_is_public_is_told(start_vtn: StartVtn) -> None:
    """COMPAT-017, AUTH-037."""
    vtn = await start_vtn(mqtt=BROKER, public={"programs": ["tariff"]})
    tariff, other = await vtn.bl.program(programName="tariff"), await vtn.bl.program()
    base = "openadr3/public/programs"

    assert (await vtn.nobody.get("/notifiers")).ok()["WEBHOOK"] is True
    assert (await vtn.nobody.get(f"{TOPICS}/programs")).ok()["topics"]["CREATE"] == f"{base}/create"
    found = (await vtn.nobody.get(f"{TOPICS}/programs/{tariff['id']}")).ok()
    assert found["topics"]["UPDATE"] == f"{base}/{tariff['id']}/update"
    for path in (f"programs/{other['id']}", f"programs/{other['id']}/events", "events", f"vens/{UNKNOWN}"):
        (await vtn.nobody.get(f"{TOPICS}/{path}")).problem(401)
