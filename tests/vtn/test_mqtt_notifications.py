"""Test what is published when objects are written: with a VTN, a database and a broker (MQTT-013 … MQTT-036)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, MutableMapping
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import structlog
from sqlalchemy import func, select
from structlog.testing import capture_logs

from tests.support.mosquitto import Mosquitto
from tests.support.waiting import wait_until
from tests.vtn.conftest import StartVtn
from tests.vtn.harness import Session, VtnUnderTest
from tests.vtn.mqtt_broker import Ear, Heard, listening
from vtn.errors import BadCertificate
from vtn.notify.upkeep import OutboxUpkeep
from vtn.store.outbox.queue import Outbox
from vtn.store.tables import deliveries

DELIVERS = {"dispatch": True}


class World:
    """A server that publishes to a broker, and all that is heard there."""

    def __init__(self, vtn: VtnUnderTest, ear: Ear) -> None:
        self.vtn = vtn
        self.bl = vtn.bl
        self.ear = ear
        self._seen = 0

    async def settle(self) -> list[Heard]:
        """Return what was published since it was asked last, once all of it is here."""
        last = await self.bl.program()
        (await self.bl.delete(f"/programs/{last['id']}")).ok()
        ends = f"openadr3/programs/{last['id']}/delete"
        heard = await self.ear.until(lambda heard: any(each.topic == ends for each in heard[self._seen :]))
        new, self._seen = heard[self._seen :], len(heard)
        return [each for each in new if each.body["object"]["id"] != last["id"]]

    async def new(self) -> dict[str, Any]:
        """The same by topic without prefix, none of them twice."""
        new = await self.settle()
        topics = [each.topic.removeprefix("openadr3/") for each in new]
        assert len(set(topics)) == len(topics)
        for each in new:
            assert each.body["operation"] == each.topic.rpartition("/")[2].upper()
            assert each.body["objectType"] == each.body["object"]["objectType"]
            assert (each.qos, each.retained) == (1, False)
        return {topic: each.body["object"] for topic, each in zip(topics, new, strict=True)}


@pytest_asyncio.fixture(loop_scope="session")
async def world(start_vtn: StartVtn, mosquitto: Mosquitto) -> AsyncIterator[World]:
    """A server and an ear."""
    async with listening(mosquitto.url) as ear:
        yield World(await start_vtn(notify=DELIVERS, mqtt={"url": mosquitto.url}), ear)


def named(trees: list[str], operation: str, *, not_created: tuple[str, ...] = ()) -> set[str]:
    """The topics of trees; those of single objects are not told of a creation."""
    all_ = trees if operation == "create" else [*trees, *not_created]
    return {f"{tree}/{operation}" for tree in all_}


async def changes(caller: Session, path: str, document: Any, changed: Any) -> Any:
    """Create, update and delete an object; give each answer with what happened."""
    created = (await caller.post(path, document)).ok(201)
    yield_ = [("create", created)]
    yield_.append(("update", (await caller.put(f"{path}/{created['id']}", changed)).ok()))
    yield_.append(("delete", (await caller.delete(f"{path}/{created['id']}")).ok()))
    return yield_


async def check(world: World, done: Any, trees: list[str], not_created: tuple[str, ...] = ()) -> None:
    """Each change is on its topics and on no other, and every message has the object as it was answered."""
    expected = {
        topic: answer for operation, answer in done for topic in named(trees, operation, not_created=not_created)
    }
    assert await world.new() == expected


async def test_a_program_that_everybody_may_see(world: World) -> None:
    """MQTT-021, first row; MQTT-028 … MQTT-030: the object as it was answered."""
    done = await changes(world.bl, "/programs", {"programName": "p"}, {"programName": "q"})
    p = done[0][1]["id"]

    await check(world, done, ["programs", "public/programs"], (f"programs/{p}", f"public/programs/{p}"))


async def test_a_program_with_targets(world: World) -> None:
    """MQTT-021, second row; MQTT-022, MQTT-023, MQTT-025: to a ven without targets by its own id, to no other ven."""
    ven, _ = await world.vtn.home().ven(), await world.vtn.home().ven()
    await world.settle()
    targets = [ven["id"]]
    program = {"programName": "p", "targets": targets}
    done = await changes(world.bl, "/programs", program, program | {"country": "DE"})
    p, v = done[0][1]["id"], ven["id"]

    await check(world, done, ["programs", f"vens/{v}/programs"], (f"programs/{p}", f"vens/{v}/programs/{p}"))


async def test_an_event_that_everybody_may_see(world: World) -> None:
    """MQTT-021, third row."""
    p = (await world.bl.program())["id"]
    await world.settle()
    done = await changes(world.bl, "/events", {"programID": p}, {"programID": p, "eventName": "e"})

    await check(world, done, ["events", f"events/programs/{p}", f"public/events/programs/{p}"])


@pytest.mark.parametrize("of_the_program", [False, True])
async def test_an_event_with_targets_or_in_a_program_with_targets(world: World, *, of_the_program: bool) -> None:
    """MQTT-021, fourth row; MQTT-022, MQTT-023, PRIV-016."""
    v = (await world.vtn.home().ven())["id"]
    await world.vtn.home().ven()
    p = (await world.bl.program(targets=[v] if of_the_program else []))["id"]
    await world.settle()
    event = {"programID": p, "targets": [] if of_the_program else [v]}
    done = await changes(world.bl, "/events", event, event | {"eventName": "e"})

    await check(world, done, ["events", f"events/programs/{p}", f"vens/{v}/events", f"vens/{v}/programs/{p}/events"])


async def test_a_report(world: World) -> None:
    """MQTT-021, fifth row: to business logic only."""
    home = world.vtn.home()
    e = (await world.bl.event(await world.bl.program()))["id"]
    await world.settle()
    report = {"eventID": e, "clientName": "meter", "resources": []}
    done = await changes(home, "/reports", report, report | {"reportName": "r"})

    await check(world, done, ["reports"])


async def test_a_subscription(world: World) -> None:
    """MQTT-021, sixth row; R-26, SUBS-011: business logic is not told the token."""
    subscription = {"clientName": "c", "objectOperations": []}
    done = await changes(world.vtn.home(), "/subscriptions", subscription, subscription | {"targets": ["t"]})

    await check(world, done, ["subscriptions"])


async def test_a_token_of_a_subscription_is_not_published(start_vtn: StartVtn, mosquitto: Mosquitto) -> None:
    """R-26, SUBS-011; MQTT-032: and what a subscription asks for has no influence here."""
    lab = {"verify_echo": False, "require_https": False, "allow_private_addresses": True}
    async with listening(mosquitto.url) as ear:
        world = World(await start_vtn(notify=DELIVERS, mqtt={"url": mosquitto.url}, webhook=lab), ear)
        entry = {"objects": ["VEN"], "operations": ["CREATE"], "callbackUrl": "http://127.0.0.1:1/x"}
        subscription = {"clientName": "c", "objectOperations": [entry | {"bearerToken": "a-token-of-a-subscriber"}]}
        stored = (await world.vtn.home().post("/subscriptions", subscription)).ok(201)

        told = (await world.new())["subscriptions/create"]

    assert told["id"] == stored["id"]
    assert told["objectOperations"] == [entry | {"bearerToken": None}]


async def test_a_ven(world: World) -> None:
    """MQTT-021, seventh row: its own topics tell of changes, business logic of all."""
    ven = {"objectType": "VEN_VEN_REQUEST", "venName": "v"}
    done = await changes(world.vtn.home(), "/vens", ven, ven | {"venName": "w"})

    await check(world, done, ["vens"], (f"vens/{done[0][1]['id']}",))


async def test_a_resource(world: World) -> None:
    """MQTT-021, last row: with all of its targets (PRIV-015)."""
    home = world.vtn.home()
    v = (await home.ven())["id"]
    await world.settle()
    resource = {"objectType": "BL_RESOURCE_REQUEST", "resourceName": "r", "venID": v, "clientID": home.client_id}
    done = await changes(world.bl, "/resources", resource, resource | {"targets": ["t", "u"]})

    await check(world, done, ["resources", f"vens/{v}/resources"])


async def test_a_resource_of_another_client(world: World) -> None:
    """R-23: it gives its ven nothing, so nothing of it is told there."""
    v = (await world.vtn.home().ven())["id"]
    await world.settle()
    resource = {"objectType": "BL_RESOURCE_REQUEST", "resourceName": "r", "venID": v, "clientID": "somebody"}
    done = await changes(world.bl, "/resources", resource, resource | {"targets": ["t"]})

    await check(world, done, ["resources"])


async def test_each_ven_is_shown_its_own_targets(world: World) -> None:
    """MQTT-024, MQTT-025, PRIV-014: as GET shows them to it; business logic sees all."""
    homes = [world.vtn.home() for _ in range(3)]
    held = (["a"], ["a", "b"], ["c"])
    vens = [(await world.bl.ven_for(home, targets))["id"] for home, targets in zip(homes, held, strict=True)]
    program = await world.bl.program()
    await world.settle()
    event = await world.bl.event(program, targets=["b", "x", "a"])

    told = await world.new()

    assert told["events/create"]["targets"] == ["b", "x", "a"]
    assert told[f"vens/{vens[0]}/events/create"]["targets"] == ["a"]
    assert told[f"vens/{vens[1]}/events/create"]["targets"] == ["b", "a"]
    assert not [topic for topic in told if vens[2] in topic]
    for home, ven_id in zip(homes[:2], vens[:2], strict=True):
        shown = (await home.get(f"/events/{event['id']}")).ok()
        assert told[f"vens/{ven_id}/events/create"] == shown
        assert told[f"vens/{ven_id}/programs/{program['id']}/events/create"] == shown


async def test_descriptors_for_others_are_not_in_what_everybody_is_told(world: World) -> None:
    """EVT-020, MQTT-022: a public event may ask single vens for reports."""
    home = world.vtn.home()
    await world.bl.ven_for(home, ["a"])
    program = await world.bl.program()
    await world.settle()
    descriptors = [{"payloadType": "USAGE"}, {"payloadType": "DEMAND", "targets": ["b"]}]
    event = await world.bl.event(program, reportDescriptors=descriptors)

    told = await world.new()

    public = told[f"public/events/programs/{program['id']}/create"]
    assert [each["payloadType"] for each in public["reportDescriptors"]] == ["USAGE"]
    assert public == (await world.vtn.home().get(f"/events/{event['id']}")).ok()
    assert len(told["events/create"]["reportDescriptors"]) == 2


async def test_who_loses_sight_of_a_program_is_told_of_its_removal(world: World) -> None:
    """MQTT-027, SUBS-027: public, then for one ven, then for another, then public again."""
    first, second = [(await world.vtn.home().ven())["id"] for _ in range(2)]
    program = await world.bl.program()
    p = program["id"]
    everybody = {f"programs/{p}/update", "programs/update"}

    async def put(targets: list[str]) -> set[str]:
        await world.settle()
        document = {"programName": program["programName"], "targets": targets}
        (await world.bl.put(f"/programs/{p}", document)).ok()
        return set(await world.new()) - everybody

    assert await put([first]) == {
        *("public/programs/delete", f"public/programs/{p}/delete"),
        *(f"vens/{first}/programs/update", f"vens/{first}/programs/{p}/update"),
    }
    assert await put([second]) == {
        *(f"vens/{first}/programs/delete", f"vens/{first}/programs/{p}/delete"),
        *(f"vens/{second}/programs/update", f"vens/{second}/programs/{p}/update"),
    }
    assert {"public/programs/update", f"public/programs/{p}/update"} <= await put([])


async def test_what_goes_with_a_program_is_told_of_too(world: World) -> None:
    """SUBS-028, PROG-012: children first."""
    home = world.vtn.home()
    program = await world.bl.program()
    event = await world.bl.event(program)
    report = await home.report(event)
    await world.settle()
    before = len(world.ear.messages)
    await world.bl.delete(f"/programs/{program['id']}")

    told = await world.new()

    assert {"reports/delete", "events/delete", "programs/delete"} <= set(told)
    ids = [each.body["object"]["id"] for each in world.ear.messages[before:]]
    assert ids.index(report["id"]) < ids.index(event["id"]) < ids.index(program["id"])


async def test_every_topic_that_is_discovered_tells_something(world: World) -> None:
    """MQTT-013, MQTT-008: `ALL` matches what the single names match."""
    home = world.vtn.home()
    v = (await home.ven())["id"]
    hidden, public = await world.bl.program(targets=[v]), await world.bl.program()
    paths = ["programs", f"vens/{v}", *(f"vens/{v}/{kind}" for kind in ("events", "programs", "resources"))]
    for program in (hidden, public):
        paths += [f"programs/{program['id']}", f"programs/{program['id']}/events"]
    found: set[str] = set()
    for caller, more in ((home, []), (world.bl, ["events", "reports", "subscriptions", "vens", "resources"])):
        for path in [*paths, *more]:
            topics = (await caller.get(f"/notifiers/mqtt/topics/{path}")).ok()["topics"]
            found |= {topic for operation, topic in topics.items() if operation != "ALL"}

    await changes(home, "/resources", {"resourceName": "r"}, {"resourceName": "s"})
    for program in (hidden, public):
        event = {"programID": program["id"]}
        await changes(world.bl, "/events", event, event)
        await world.bl.put(f"/programs/{program['id']}", {**program, "country": "DE"})
        await world.bl.delete(f"/programs/{program['id']}")
    event = await world.bl.event(await world.bl.program())
    report = {"eventID": event["id"], "clientName": "c", "resources": []}
    await changes(home, "/reports", report, report)
    subscription = {"clientName": "c", "objectOperations": []}
    await changes(home, "/subscriptions", subscription, subscription)
    await home.put(f"/vens/{v}", {"objectType": "VEN_VEN_REQUEST", "venName": "again"})
    await home.delete(f"/vens/{v}")

    heard = await world.ear.until(lambda heard: found <= {each.topic for each in heard})
    assert found <= {each.topic for each in heard}


# The broker comes and goes.


@pytest.fixture
def own_broker(tmp_path: Path) -> Iterator[Mosquitto]:
    """A broker of this test alone, which is not running."""
    broker = Mosquitto(tmp_path)
    yield broker
    broker.stop()


async def test_a_broker_that_is_down_delays_no_write(start_vtn: StartVtn, own_broker: Mosquitto) -> None:
    """GEN-020, MQTT-035: at the start and later; what was written meanwhile follows in order, once it is back.

    The operator is told of each outage, once.
    """
    vtn = await start_vtn(notify=DELIVERS, mqtt={"url": own_broker.url})
    for _ in range(2):
        with capture_logs() as logs:
            programs = [await vtn.bl.program() for _ in range(5)]
            assert await _waiting(vtn, 5)
            await wait_until(lambda: _outages(logs), what="a warning")
            vtn.now.pass_(minutes=1)
        (outage,) = _outages(logs)
        assert "cannot be reached" in outage["reason"]
        own_broker.start()
        async with listening(own_broker.url, "openadr3/programs/create") as ear:
            await wait_until(lambda: _a_minute_later(vtn, ear, 5))
            assert [each.body["object"] for each in ear.messages] == programs
            await wait_until(lambda: _waiting(vtn, 0))
        own_broker.stop()


def _outages(logs: list[MutableMapping[str, Any]]) -> list[MutableMapping[str, Any]]:
    return [each for each in logs if each["event"] == "notifications wait for the MQTT broker"]


def _a_minute_later(vtn: VtnUnderTest, ear: Ear, count: int) -> bool:
    """Let time pass, and return True once so many messages came."""
    vtn.now.pass_(minutes=1)
    return len(ear.messages) >= count


async def _waiting(vtn: VtnUnderTest, count: int) -> bool:
    waiting = select(func.count().label("count")).where(deliveries.c.ended_at.is_(None))
    row = await vtn.server._database.row(waiting)
    assert row is not None
    return bool(row["count"] == count)


async def test_a_server_that_has_no_broker_any_more(start_vtn: StartVtn, own_broker: Mosquitto) -> None:
    """Drop what waits with a warning, and record nothing more."""
    vtn = await start_vtn(mqtt={"url": own_broker.url}, notify={"dispatch": False})
    await vtn.bl.program()
    assert await _waiting(vtn, 1)

    with structlog.testing.capture_logs() as log:
        other = await start_vtn()

    (warning,) = [each for each in log if each["log_level"] == "warning" and "broker" in each["event"]]
    assert warning["dropped"] == 1
    await other.bl.program()
    assert await _waiting(other, 0)


async def test_a_broker_that_is_away_for_longer_than_anybody_waits(start_vtn: StartVtn, own_broker: Mosquitto) -> None:
    """MQTT-036: the oldest are dropped, with a warning; what is newer waits on."""
    vtn = await start_vtn(mqtt={"url": own_broker.url})
    await vtn.bl.program()
    vtn.now.pass_(hours=23)
    await vtn.bl.program()
    vtn.now.pass_(hours=2)

    server = vtn.server
    upkeep = OutboxUpkeep(Outbox(server._database, server._stamps, server._vault), server.settings.notify)
    with structlog.testing.capture_logs() as log:
        await upkeep.tidy()

    assert await _waiting(vtn, 1)
    assert [(each["log_level"], each["count"]) for each in log] == [("warning", 1)]


async def test_a_server_does_not_start_with_files_that_cannot_be_read(start_vtn: StartVtn, tmp_path: Path) -> None:
    """The operator is told at once, and not by notifications that stay away."""
    with pytest.raises(BadCertificate, match=r"mqtt\.ca_file: cannot read the authorities in .*none\.pem"):
        await start_vtn(mqtt={"url": "mqtts://localhost", "ca_file": tmp_path / "none.pem"})


async def test_what_is_written_on_301_is_told_as_on_31(world: World) -> None:
    """V301-044: topics have one form, whichever version an object is written on."""
    program = await world.bl.program()
    await world.settle()
    targets = [{"type": "GROUP", "values": ["nobody-holds-it"]}, {"type": "x", "values": [7]}]
    event = {"programID": program["id"], "targets": targets, "intervals": []}

    made = (await world.bl.on_301.post("/events", event)).ok(201)

    shown = (await world.bl.get(f"/events/{made['id']}")).ok()
    assert shown["targets"] == ["nobody-holds-it", "7"]
    assert await world.new() == dict.fromkeys(["events/create", f"events/programs/{program['id']}/create"], shown)
