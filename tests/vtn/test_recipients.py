"""Compare who is told of a change, and what, with what each client can GET (SUBS-020 … SUBS-028)."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import insert, select

from tests.vtn.conftest import StartVtn
from tests.vtn.harness import Session, VtnUnderTest, unique
from tests.vtn.outbox import LAB, Recorded, message, subscribe, with_mqtt
from vtn.access import Role
from vtn.store.outbox.rows import Delivery
from vtn.store.outbox.subscribers import endpoint_id_of
from vtn.store.tables import notifications, vens

TARGETS = ("g1", "g2", "g3")
URL = "https://127.0.0.1:1/hook"


@dataclass
class Subscriber:
    """A subscription, and all that decides of what its client is told."""

    id: str
    client: Session
    is_bl: bool
    targets: tuple[str, ...]
    program_id: str | None
    operations: tuple[str, ...]

    @property
    def endpoint(self) -> str:
        """Return the id of its endpoint."""
        return endpoint_id_of(self.id, URL)


class World:
    """A VTN with vens, programs, events and subscriptions, all at random."""

    def __init__(self, vtn: VtnUnderTest, seed: int) -> None:
        self.vtn, self.bl, self.random = vtn, vtn.bl, random.Random(seed)
        self.recorded = Recorded(vtn)
        self.clients: list[Session] = []
        self.vens: dict[str, Session] = {}
        self.programs: list[str] = []
        self.events: list[str] = []
        self.subscribers: list[Subscriber] = []

    def some(self, most: int = 2) -> list[str]:
        """Return some targets, often none."""
        return self.random.sample(TARGETS, self.random.choice((0, 0, *range(1, most + 1))))

    async def populate(self) -> None:
        """Make clients with vens and resources, programs and subscriptions."""
        for number in range(4):
            client = self.vtn.home()
            self.clients.append(client)
            if number == 3:
                continue  # it has no ven
            ven = await self.bl.ven_for(client, self.some())
            self.vens[ven["id"]] = client
            for _ in range(number):
                resource = {"resourceName": unique("r"), "venID": ven["id"], "clientID": client.client_id}
                (await self.bl.post("/resources", {**resource, "targets": self.some()})).ok(201)
        for _ in range(3):
            self.programs.append((await self.bl.program(targets=self.some()))["id"])
        readers = [*self.clients, *self.clients, self.bl, self.bl]
        for client in readers:
            await self._subscribe(client)

    async def _subscribe(self, client: Session) -> None:
        is_bl = client is self.bl
        targets = tuple(self.some())
        visible = [one for one in self.programs if (await client.get(f"/programs/{one}")).status == 200]
        program_id = self.random.choice([None, None, *visible])
        operations = tuple(self.random.sample(("CREATE", "UPDATE", "DELETE"), self.random.choice((2, 3, 3))))
        members = {"targets": list(targets)} if targets else {}
        if program_id is not None:
            members["programID"] = program_id  # type: ignore[assignment]
        made = await subscribe(client, objects=["PROGRAM", "EVENT"], operations=operations, url=URL, **members)
        self.subscribers.append(Subscriber(made, client, is_bl, targets, program_id, operations))

    async def views(self, path: str) -> dict[str, Any]:
        """Return what every client is shown of an object, by client id; None where it is hidden or not there."""
        views = {}
        for client in (*self.clients, self.bl):
            answer = await client.get(path)
            views[client.client_id] = answer.body if answer.status == 200 else None
        return views

    def document(self) -> dict[str, Any]:
        """Return an event at random, sometimes with targets inside."""
        named = self.some()
        own = [self.random.choice(list(self.vens))] if self.random.random() < 0.3 else []
        document: dict[str, Any] = {
            "programID": self.random.choice(self.programs),
            "targets": [*named, *own],
            "intervals": [{"id": 0, "payloads": [{"type": "PRICE", "values": [1.50]}]}],
        }
        if self.random.random() < 0.3:
            document["reportDescriptors"] = [{"payloadType": "USAGE", "targets": [self.random.choice(TARGETS)]}]
        return document


def _expected(
    operation: str, subscriber: Subscriber, before: dict[str, Any], after: dict[str, Any]
) -> tuple[str, Any] | None:
    """Return what a subscriber is told of a change, and with which object; None if nothing."""
    old, new = before[subscriber.client.client_id], after[subscriber.client.client_id]

    def matches(view: Any) -> bool:
        if view is None or (view["objectType"] == "EVENT" and subscriber.program_id not in (None, view["programID"])):
            return False
        return not subscriber.targets or not set(subscriber.targets).isdisjoint(view.get("targets") or ())

    told: tuple[str, Any] | None = None
    if operation == "CREATE":
        told = ("CREATE", new) if matches(new) else None
    elif operation == "DELETE":
        told = ("DELETE", old) if matches(old) else None
    elif new is not None and (matches(new) or matches(old)):
        told = ("UPDATE", new)
    elif matches(old) and new is None:
        told = ("DELETE", old)
    return told if told is not None and told[0] in subscriber.operations else None


def _is_public(event: Any, programs: dict[str, Any]) -> bool:
    program = event if event["objectType"] == "PROGRAM" else programs[event["programID"]]
    return not event.get("targets") and not program.get("targets")


async def _step(world: World, path: str, operation: str, document: Any = None) -> None:
    """Make one change through the API, and compare all that was recorded with what everybody can GET."""
    programs = {one: (await world.bl.get(f"/programs/{one}")).ok() for one in world.programs}
    if operation == "CREATE":
        before: dict[str, Any] = dict.fromkeys([*(client.client_id for client in world.clients), world.bl.client_id])
        made = (await world.bl.post(path, document)).ok(201)
        path = f"{path}/{made['id']}"
    else:
        before = await world.views(path)
        if operation == "UPDATE":
            (await world.bl.put(path, document)).ok()
        else:
            (await world.bl.delete(path)).ok()
    after = await world.views(path)
    deliveries = await world.recorded.new()
    told: dict[str, list[Delivery]] = {}
    for delivery in deliveries:
        told.setdefault(delivery.endpoint_id, []).append(delivery)
    for subscriber in world.subscribers:
        expected = _expected(operation, subscriber, before, after)
        found = [(one.operation.value, message(one)["object"]) for one in told.get(subscriber.endpoint, ())]
        assert found == ([] if expected is None else [expected]), (operation, path, subscriber)
    if path.startswith("/programs"):
        programs[path.removeprefix("/programs/")] = after[world.bl.client_id] or before[world.bl.client_id]
    _compare_ven_topics(world, operation, before, after, told["mqtt"], programs)
    if operation == "CREATE":
        (world.events if path.startswith("/events") else world.programs).append(path.rpartition("/")[2])


def _compare_ven_topics(
    world: World,
    operation: str,
    before: dict[str, Any],
    after: dict[str, Any],
    deliveries: list[Delivery],
    programs: dict[str, Any],
) -> None:
    """MQTT-021 … MQTT-027: each ven is told once, with its own view, of what it sees by its targets."""
    static = [one for one in deliveries if one.vens is None]
    assert [one.operation for one in static] == [operation]
    now = message(static[0])["object"]
    assert now == (after if operation != "DELETE" else before)[world.bl.client_id]
    inside = any(
        descriptor.get("targets")
        for view in (before[world.bl.client_id], after[world.bl.client_id])
        if view is not None
        for descriptor in view.get("reportDescriptors") or ()
    )
    if inside:
        return  # told to all who hold anything, whose views are compared for webhooks
    for ven_id, client in world.vens.items():
        found = [(one.operation.value, message(one)["object"]) for one in deliveries if ven_id in (one.vens or ())]
        old, new = before[client.client_id], after[client.client_id]
        whole_old, whole_new = before[world.bl.client_id], after[world.bl.client_id]
        was_public = whole_old is not None and _is_public(whole_old, programs)
        expected: list[tuple[str, Any]] = []
        if operation == "DELETE":
            expected = [("DELETE", old)] if old is not None and not was_public else []
        elif new is not None and (not _is_public(whole_new, programs) or (old is not None and not was_public)):
            expected = [(operation, new)]
        elif new is None and old is not None and not was_public:
            expected = [("DELETE", old)]
        assert found == expected, (operation, ven_id)


@pytest.mark.parametrize("seed", range(6))
async def test_everybody_is_told_what_it_can_get_and_nobody_else(start_vtn: StartVtn, seed: int) -> None:
    """WEBHOOK-012, PRIV-014, SUBS-020 … SUBS-027: random grants, targets, filters and changes."""
    vtn = await start_vtn(webhook=LAB)
    world = World(vtn, seed)
    await world.populate()
    await with_mqtt(vtn)
    await world.recorded.new()
    for _ in range(25):
        kind = world.random.choice(("CREATE", "CREATE", "UPDATE", "UPDATE", "DELETE", "PROGRAM"))
        if kind == "PROGRAM":
            # Its events change for their readers, too, but are no change themselves.
            chosen = world.random.choice(world.programs)
            now = (await vtn.bl.get(f"/programs/{chosen}")).ok()
            document = {"programName": now["programName"], "targets": world.some()}
            await _step(world, f"/programs/{chosen}", "UPDATE", document)
        elif kind == "CREATE" or not world.events:
            await _step(world, "/events", "CREATE", world.document())
        else:
            chosen = world.random.choice(world.events)
            if kind == "DELETE":
                world.events.remove(chosen)
            await _step(world, f"/events/{chosen}", kind, world.document() if kind == "UPDATE" else None)


KINDS = ["PROGRAM", "EVENT", "REPORT", "SUBSCRIPTION", "VEN", "RESOURCE"]


def _told(deliveries: list[Delivery], subscription: str) -> list[tuple[str, str, str]]:
    """Return operation, type and id of what a subscription is told, in order."""
    endpoint = endpoint_id_of(subscription, URL)
    return [
        (one.operation.value, one.notification.object_type, one.notification.object_id)
        for one in deliveries
        if one.endpoint_id == endpoint
    ]


async def test_owners_and_business_logic_are_told_of_objects_of_vens(start_vtn: StartVtn) -> None:
    """SUBS-023, SUBS-028: of a removed program its reports, events and subscriptions are announced, children first."""
    vtn = await start_vtn(webhook=LAB)
    bl, one, other = vtn.bl, vtn.home(), vtn.home()
    all_of_it, mine, foreign = [await subscribe(client, objects=KINDS, url=URL) for client in (bl, one, other)]
    recorded = Recorded(vtn)
    await recorded.new()

    ven = (await one.post("/vens", {"objectType": "VEN_VEN_REQUEST", "venName": unique("ven")})).ok(201)
    resource = (
        await one.post("/resources", {"objectType": "VEN_RESOURCE_REQUEST", "resourceName": "r", "venID": ven["id"]})
    ).ok(201)
    program = await bl.program()
    event = await bl.event(program)
    report = await one.report(event)
    its_own = await subscribe(one, objects=[], programID=program["id"])
    created = await recorded.new()

    public = [("CREATE", "PROGRAM", program["id"]), ("CREATE", "EVENT", event["id"])]
    own = [("CREATE", "VEN", ven["id"]), ("CREATE", "RESOURCE", resource["id"])]
    its = [("CREATE", "REPORT", report["id"]), ("CREATE", "SUBSCRIPTION", its_own)]
    assert _told(created, all_of_it) == _told(created, mine) == [*own, *public, *its]
    assert _told(created, foreign) == public

    (await bl.delete(f"/programs/{program['id']}")).ok()
    (await one.delete(f"/vens/{ven['id']}")).ok()
    removed = await recorded.new()

    cascade = [
        ("DELETE", "REPORT", report["id"]),
        ("DELETE", "EVENT", event["id"]),
        ("DELETE", "SUBSCRIPTION", its_own),
        ("DELETE", "PROGRAM", program["id"]),
        ("DELETE", "RESOURCE", resource["id"]),
        ("DELETE", "VEN", ven["id"]),
    ]
    assert _told(removed, all_of_it) == _told(removed, mine) == cascade
    assert _told(removed, foreign) == [cascade[1], cascade[3]]
    last = {one.notification.object_type: message(one)["object"] for one in removed}
    assert last["REPORT"] == report
    assert last["EVENT"] == event


async def test_many_reports_are_announced_when_their_event_goes(
    start_vtn: StartVtn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SUBS-028: also those that are removed some at a time, before the event."""
    monkeypatch.setattr("vtn.store.objects._AT_ONCE", 2)
    vtn = await start_vtn(webhook=LAB)
    bl, home = vtn.bl, vtn.home()
    event = await bl.event(await bl.program())
    reports = [(await home.report(event))["id"] for _ in range(7)]
    subscription = await subscribe(bl, objects=["REPORT", "EVENT"], url=URL)
    recorded = Recorded(vtn)
    await recorded.new()

    (await bl.delete(f"/events/{event['id']}")).ok()

    told = [object_id for _, _, object_id in _told(await recorded.new(), subscription)]
    assert sorted(told[:-1]) == sorted(reports)
    assert told[-1] == event["id"]


async def test_a_delete_that_is_refused_announces_nothing(start_vtn: StartVtn) -> None:
    """WEBHOOK-022: what is not committed nobody hears of."""
    vtn = await start_vtn(webhook=LAB)
    bl, home = vtn.bl, vtn.home()
    await subscribe(bl, objects=KINDS, url=URL)
    program = await bl.program()
    event = await bl.event(program)
    recorded = Recorded(vtn)
    await recorded.new()

    (await home.delete(f"/events/{event['id']}")).problem(403)
    (await bl.post("/events", {"programID": "unknown", "intervals": []})).problem(400)
    (await bl.ask("DELETE", f"/events/{event['id']}", headers={"If-Match": '"no"'})).problem(412)
    (await bl.put(f"/programs/{program['id']}", {"programName": (await bl.program())["programName"]})).problem(409)

    assert [one.notification.object_type for one in await recorded.new()] == ["PROGRAM"]


async def test_a_token_is_in_no_notification(start_vtn: StartVtn) -> None:
    """SUBS-011: its owner reads it by GET, a notification of the subscription shows null."""
    vtn = await start_vtn(webhook=LAB)
    bl = vtn.bl
    await subscribe(bl, objects=["SUBSCRIPTION"], url=URL)
    recorded = Recorded(vtn)
    await recorded.new()
    entry = {"objects": ["EVENT"], "operations": ["CREATE"], "callbackUrl": URL, "bearerToken": "wX3-very-own-token"}

    (await bl.post("/subscriptions", {"clientName": "c", "objectOperations": [entry]})).ok(201)

    (delivery,) = await recorded.new()
    assert message(delivery)["object"]["objectOperations"][0]["bearerToken"] is None
    assert "wX3" not in delivery.notification.now.members


async def test_a_put_keeps_what_waits_for_urls_that_stay(start_vtn: StartVtn) -> None:
    """SUBS-010, SUBS-015: the pending deliveries of a URL that goes are dropped with it."""
    vtn = await start_vtn(webhook=LAB)
    bl = vtn.bl
    entries = [{"objects": ["EVENT"], "operations": ["CREATE"], "callbackUrl": url} for url in (URL, URL + "/two", URL)]
    made = (await bl.post("/subscriptions", {"clientName": "c", "objectOperations": entries})).ok(201)
    event = await bl.event(await bl.program())
    recorded = Recorded(vtn)
    assert len(await recorded.new()) == 2  # the same pair and URL twice is one (SUBS-008)

    (await bl.put(f"/subscriptions/{made['id']}", {"clientName": "c", "objectOperations": entries[:1]})).ok()

    (kept,) = await Recorded(vtn).new()
    assert kept.notification.object_id == event["id"]
    assert kept.endpoint_id == endpoint_id_of(made["id"], URL)


async def test_nothing_is_recorded_that_nobody_wants_to_hear_of(start_vtn: StartVtn) -> None:
    """A VTN without subscribers keeps no copies of its objects."""
    vtn = await start_vtn(webhook=LAB)
    bl = vtn.bl
    await subscribe(bl, objects=["REPORT"], url=URL)
    program = await bl.program()
    event = await bl.event(program)
    (await bl.delete(f"/events/{event['id']}")).ok()

    rows = await vtn.server._database.rows(select(notifications))

    assert rows == []


async def test_a_waiter_is_told_by_every_server_of_the_database(start_vtn: StartVtn) -> None:
    """At once by its own process, and by another one that shares the database."""
    here, there = await start_vtn(webhook=LAB), await start_vtn(webhook=LAB)
    await subscribe(here.bl, objects=["PROGRAM"], url=URL)
    waiter = here.server._database.recorded.waiter()
    for vtn in (here, there):
        await vtn.bl.program()

        assert await waiter.wait(30)


async def test_nobody_is_woken_for_a_change_that_nobody_hears_of(
    start_vtn: StartVtn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A VTN without subscribers to it has nothing to deliver."""
    vtn = await start_vtn(webhook=LAB)
    await subscribe(vtn.bl, objects=["PROGRAM"], url=URL)
    told: list[object] = []
    monkeypatch.setattr(vtn.server._database.recorded, "tell", lambda: told.append(None))

    await vtn.bl.ven_for(vtn.home())
    assert told == []
    await vtn.bl.program()
    assert told


async def test_vens_that_are_shown_the_same_share_a_delivery(start_vtn: StartVtn) -> None:
    """MQTT-024: one for all vens that hold the same of an event's targets, whatever else they hold; 1,000 at most."""
    vtn = await start_vtn()
    await with_mqtt(vtn)
    bl, recorded = vtn.bl, Recorded(vtn)
    made = [[(await bl.ven_for(vtn.home(), held))["id"] for _ in range(2)] for held in (["a"], ["a", "b"], ["a", "x"])]
    program = await bl.program()
    await recorded.new()
    await bl.event(program, targets=["a", "b"])

    shared = {(one.held, frozenset(one.vens)) for one in await recorded.new() if one.vens is not None}

    only_a, both, a_and_more = made
    assert shared == {(("a",), frozenset((*only_a, *a_and_more))), (("a", "b"), frozenset(both))}


async def test_a_delivery_has_no_more_vens_than_may_be_sent_again(start_vtn: StartVtn) -> None:
    """MQTT-035: what a dispatcher sends again when it was killed in the middle is bounded."""
    vtn = await start_vtn()
    await with_mqtt(vtn)
    at = "2026-01-01T00:00:00.000000Z"
    row = {"created_at": at, "modified_at": at, "targets": ("a",), "members": "{}"}
    many = [{"id": f"v{number}", "client_id": f"c{number}", "name": f"n{number}", **row} for number in range(2001)]
    async with vtn.server._database.write() as connection:
        await connection.execute(insert(vens), many)
    recorded = Recorded(vtn)
    program = await vtn.bl.program()
    await recorded.new()
    await vtn.bl.event(program, targets=["a"])

    parts = [one.vens for one in await recorded.new() if one.vens is not None]

    assert sorted(len(part) for part in parts) == [1, 1000, 1000]
    assert {ven_id for part in parts for ven_id in part} == {ven["id"] for ven in many}


@pytest.mark.parametrize("in_between", ["owner", "somebody else"])
async def test_business_logic_stays_business_logic_when_its_entries_were_gone(
    start_vtn: StartVtn, in_between: str
) -> None:
    """SUBS-006, SUBS-010: an empty list is stored, and whoever fills it again, its client sees what it saw."""
    vtn = await start_vtn(webhook=LAB)
    await vtn.server.clients.add("utility", Role.BL, secret="pQ4-of-a-utility")
    owner = vtn.caller(Role.BL, client_id="utility")
    made = (await owner.post("/subscriptions", {"clientName": "c", "objectOperations": []})).ok(201)
    entry = {"objects": ["EVENT"], "operations": ["CREATE"], "callbackUrl": URL}
    writer = owner if in_between == "owner" else vtn.bl

    (await writer.put(f"/subscriptions/{made['id']}", {"clientName": "c", "objectOperations": [entry]})).ok()

    event = await vtn.bl.event(await vtn.bl.program(), targets=["for somebody"])
    (told,) = await Recorded(vtn).new()
    assert told.notification.object_id == event["id"]
    assert told.held is None


async def test_a_program_with_many_events_goes_some_at_a_time(
    start_vtn: StartVtn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SUBS-028: each event is told, its reports first; no statement looks at all of them with a whole fleet's eyes."""
    monkeypatch.setattr("vtn.store.objects._EVENTS_AT_ONCE", 3)
    monkeypatch.setattr("vtn.store.outbox.notes._LOOKED_AT_ONCE", 2)
    vtn = await start_vtn(webhook=LAB)
    bl, home = vtn.bl, vtn.home()
    await bl.ven_for(home, ["g"])
    await with_mqtt(vtn)
    program = await bl.program()
    events = [await bl.event(program, targets=["g"]) for _ in range(8)]
    reports = {event["id"]: (await home.report(event))["id"] for event in events}
    subscription = await subscribe(home, objects=["PROGRAM", "EVENT", "REPORT"], url=URL)
    recorded = Recorded(vtn)
    await recorded.new()

    (await bl.delete(f"/programs/{program['id']}")).ok()

    deliveries = await recorded.new()
    told = [object_id for _, _, object_id in _told(deliveries, subscription)]
    assert sorted(told[:-1]) == sorted([*reports, *reports.values()])
    assert told[-1] == program["id"]
    for event_id, report_id in reports.items():
        assert told.index(report_id) < told.index(event_id)
    by_topic = [one.notification.object_id for one in deliveries if one.vens is not None]
    assert sorted(by_topic) == sorted(reports)
