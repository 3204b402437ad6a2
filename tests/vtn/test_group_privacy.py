"""Show a VEN nothing of another's resources in resource groups (COMPAT-088, PRIV-010, PRIV-017)."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.vtn.conftest import StartVtn
from tests.vtn.harness import Session, VtnUnderTest, child_of, unique
from vtn.access import Role


@dataclass(frozen=True)
class Street:
    """Two neighbours with a resource each, and groups of both.

    ``mixed`` has both resources and the three others; ``of_first`` and ``of_second`` one resource each; ``empty`` none.
    """

    bl: Session
    first: Session
    second: Session
    pump: Any
    heater: Any
    of_first: Any
    of_second: Any
    empty: Any
    mixed: Any

    @classmethod
    async def build(cls, vtn: VtnUnderTest) -> Street:
        """Make all of it."""
        bl, first, second = vtn.bl, vtn.home(), vtn.home()
        pump, heater = await first.resource(await first.ven()), await second.resource(await second.ven())
        of_first, of_second, empty = await bl.group(pump), await bl.group(heater, targets=["secret"]), await bl.group()
        mixed = await bl.group(
            heater, of_second, empty, of_first, pump, targets=["street"], attributes=[{"type": "KW", "values": [5]}]
        )
        return cls(bl, first, second, pump, heater, of_first, of_second, empty, mixed)


async def test_a_ven_sees_groups_with_its_resources_and_in_them_only_these(vtn: VtnUnderTest) -> None:
    """In their order, with all targets and attributes of the group; by id and in lists alike."""
    street = await Street.build(vtn)

    seen = street.mixed | {"children": [child_of(street.of_first), child_of(street.pump)]}
    assert (await street.first.get("/resource_groups")).ok() == [seen, street.of_first]
    assert (await street.first.get(f"/resource_groups/{street.mixed['id']}")).ok() == seen
    other = street.mixed | {"children": [child_of(street.heater), child_of(street.of_second)]}
    assert (await street.second.get("/resource_groups")).ok() == [other, street.of_second]
    everything = [street.mixed, street.empty, street.of_second, street.of_first]
    assert (await street.bl.get("/resource_groups")).ok() == everything
    assert (await vtn.home().get("/resource_groups")).ok() == []


async def test_a_hidden_group_is_answered_as_one_that_does_not_exist(vtn: VtnUnderTest) -> None:
    """PRIV-010, PRIV-019: body and headers alike, for every method and with every condition."""
    street = await Street.build(vtn)
    tag = (await street.bl.get(f"/resource_groups/{street.of_second['id']}")).headers["ETag"]
    document = {"resourceGroupName": street.of_second["resourceGroupName"]}
    for method, body in (("GET", None), ("PUT", document), ("PUT", {"children": 1}), ("DELETE", None), ("POST", None)):
        for headers in ({}, {"If-Match": tag}, {"If-None-Match": tag}):
            answers = [
                await street.first.ask(method, f"/resource_groups/{object_id}", json=body, headers=headers)
                for object_id in (street.of_second["id"], street.empty["id"], "x" * len(street.of_second["id"]))
            ]
            told = [
                (answer.status, answer.body | {"instance": ""}, {**answer.headers, "X-Request-ID": "", "Date": ""})
                for answer in answers
            ]
            assert told[0] == told[1] == told[2]
            assert told[0][0] == {"GET": 404, "POST": 405}.get(method, 403)


async def test_filters_and_pages_count_what_is_visible_only(vtn: VtnUnderTest) -> None:
    """PAGE-009: the name and targets of a hidden group find nothing, and no page is shorter for it."""
    street = await Street.build(vtn)
    first = street.first

    hidden = street.of_second
    assert await first.ids("/resource_groups", {"resourceGroupName": hidden["resourceGroupName"]}) == []
    assert await first.ids("/resource_groups", {"targets": "secret"}) == []
    assert await first.ids("/resource_groups", {"targets": "street"}) == [street.mixed["id"]]
    assert await first.ids("/resource_groups", {"limit": "1"}) == [street.mixed["id"]]
    assert await first.ids("/resource_groups", {"skip": "1"}) == [street.of_first["id"]]
    assert await first.ids("/resource_groups", {"skip": "2"}) == []


async def test_what_happens_to_others_resources_changes_nothing(vtn: VtnUnderTest) -> None:
    """ETag, bytes and dates stay while another's resources and groups are changed, moved and deleted."""
    street = await Street.build(vtn)
    paths = ("/resource_groups", f"/resource_groups/{street.mixed['id']}", f"/resource_groups/{street.of_first['id']}")
    before = {path: await street.first.get(path) for path in paths}
    heater, other = street.heater, vtn.home()
    neighbour = await other.ven()
    document = {"resourceName": heater["resourceName"], "clientID": other.client_id, "venID": neighbour["id"]}

    for method, path, body in (
        ("PUT", f"/resource_groups/{street.of_second['id']}", {"resourceGroupName": "new", "children": []}),
        ("PUT", f"/resource_groups/{street.empty['id']}", {"resourceGroupName": "e", "children": [child_of(heater)]}),
        ("PUT", f"/resources/{heater['id']}", document),
        ("DELETE", f"/resource_groups/{street.of_second['id']}", None),
        ("DELETE", f"/resources/{heater['id']}", None),
        ("DELETE", f"/vens/{neighbour['id']}", None),
        ("DELETE", f"/resource_groups/{street.empty['id']}", None),
    ):
        (await street.bl.ask(method, path, json=body)).ok()
        for known, answer in before.items():
            tag = answer.headers["ETag"]
            assert (await street.first.get(known, if_none_match=tag)).status == 304, (method, path, known)
            again = await street.first.get(known)
            assert (again.raw, again.headers["ETag"]) == (answer.raw, tag)


async def test_what_a_ven_sees_follows_its_resources_at_once(vtn: VtnUnderTest) -> None:
    """ETAG-003: a resource that gets another client, or goes, takes the sight of its groups with it."""
    street = await Street.build(vtn)
    bl, first, second, pump = street.bl, street.first, street.second, street.pump
    groups = {street.mixed["id"], street.of_first["id"]}
    path = f"/resource_groups/{street.of_first['id']}"
    assert set(await first.ids("/resource_groups")) == groups
    assert (await first.get(path)).status == 200
    assert (await second.get(path)).status == 404

    document = {"resourceName": pump["resourceName"], "venID": pump["venID"], "clientID": second.client_id}
    (await bl.put(f"/resources/{pump['id']}", document)).ok()
    assert await first.ids("/resource_groups") == []
    (await first.get(path)).problem(404)
    assert groups < set(await second.ids("/resource_groups"))
    assert (await second.get(path)).ok()["children"] == [child_of(pump)]

    (await first.delete(f"/vens/{pump['venID']}")).ok()
    (await second.get(path)).problem(404)
    seen = (await second.get(f"/resource_groups/{street.mixed['id']}")).ok()["children"]
    assert seen == [child_of(street.heater), child_of(street.of_second)]


async def test_a_ven_cannot_reach_a_group_by_names_it_chooses(vtn: VtnUnderTest) -> None:
    """PRIV-004: not by its client id, nor names and targets that are those of the group or of its members."""
    bl, home = vtn.bl, vtn.home()
    pump = await home.resource(await home.ven(venName="house"), resourceName="pump")
    group = await bl.group(pump, targets=["t"], resourceGroupName="pump-group")

    intruder = vtn.home()
    await bl.ven_for(intruder, ["t", group["id"], pump["id"]], venName="pump-group")
    ven = (await intruder.get("/vens")).ok()[0]
    await intruder.resource(ven, resourceName="pump")
    await bl.resource(ven, resourceName=pump["id"], targets=["t"])
    assert (await intruder.get("/resource_groups")).ok() == []
    (await intruder.get(f"/resource_groups/{group['id']}")).problem(404)
    assert (await vtn.caller(Role.VEN, client_id="' OR 1=1 --").get("/resource_groups")).ok() == []


@dataclass
class Model:
    """The rule of who sees what, in the plainest words."""

    clients: dict[str, str] = field(default_factory=dict)
    """The client of each resource."""
    groups: dict[str, list[str]] = field(default_factory=dict)
    """The ids of the resources and groups in each group, the oldest group first."""

    def sees(self, client_id: str, one: str) -> bool:
        """A resource is seen by its client, a group by who sees something in it that is or leads to a resource."""
        if one in self.clients:
            return self.clients[one] == client_id
        return any(self.sees(client_id, child) for child in self.groups[one])

    def shown(self, client_id: str | None) -> dict[str, list[str]]:
        """Return all visible groups with their visible children; None for business logic."""
        return {
            group: [child for child in children if client_id is None or self.sees(client_id, child)]
            for group, children in reversed(self.groups.items())
            if client_id is None or self.sees(client_id, group)
        }

    def holds(self, group: str, other: str) -> bool:
        """Return True if a group is another one or has it in it."""
        return group == other or any(self.holds(child, other) for child in self.groups.get(group, ()))

    def drop(self, one: str) -> None:
        """Take something out of everything."""
        self.clients.pop(one, None)
        self.groups.pop(one, None)
        for children in self.groups.values():
            children[:] = [child for child in children if child != one]


@pytest.mark.parametrize("seed", range(2))
async def test_every_answer_is_what_the_rule_says(vtn: VtnUnderTest, start_vtn: StartVtn, seed: int) -> None:
    """Whatever is written, through two servers: lists and single groups, and no byte about what is hidden."""
    chance, model, bl = random.Random(seed), Model(), vtn.bl
    other = await start_vtn()
    vens = {home: await home.ven() for home in (vtn.home() for _ in range(3))}

    def there(caller: Session) -> Session:
        """The same caller at one of the two servers."""
        where = chance.choice([vtn, other])
        return where.with_token(caller.headers["Authorization"].removeprefix("Bearer "), caller.client_id)

    def document() -> dict[str, Any]:
        candidates = [*model.clients, *model.groups]
        children = chance.sample(candidates, min(len(candidates), chance.randrange(5)))
        return {
            "resourceGroupName": unique("g"),
            "children": [
                {"type": "ven_resource" if one in model.clients else "resource_group", "id": one} for one in children
            ],
        }

    async def write() -> None:
        what = chance.choice(["resource", "move", "delete resource", "group", "group", "put", "put", "delete group"])
        home = chance.choice(list(vens))
        match what:
            case "resource":
                resource = await there(home).resource(vens[home])
                model.clients[resource["id"]] = home.client_id
            case "move" if model.clients:
                moved = chance.choice(list(model.clients))
                changed = {"resourceName": unique("r"), "venID": vens[home]["id"]}
                (await there(bl).put(f"/resources/{moved}", changed)).ok()
                model.clients[moved] = home.client_id
            case "delete resource" if model.clients:
                gone = chance.choice(list(model.clients))
                (await there(bl).delete(f"/resources/{gone}")).ok()
                model.drop(gone)
            case "group":
                sent = document()
                made = (await there(bl).post("/resource_groups", sent)).ok(201)
                model.groups[made["id"]] = [child["id"] for child in sent["children"]]
            case "put" if model.groups:
                group, sent = chance.choice(list(model.groups)), document()
                answer = await there(bl).put(f"/resource_groups/{group}", sent)
                circle = any(model.holds(child["id"], group) for child in sent["children"])
                assert answer.status == (409 if circle else 200), answer.raw
                if not circle:
                    model.groups[group] = [child["id"] for child in sent["children"]]
            case "delete group" if model.groups:
                gone = chance.choice(list(model.groups))
                (await there(bl).delete(f"/resource_groups/{gone}")).ok()
                model.drop(gone)

    for _ in range(25):
        vtn.now.pass_(seconds=1)  # or two servers would give the same date to what they make one after the other
        await write()
        for caller in (bl, *chance.sample(list(vens), 2)):
            shown = model.shown(None if caller is bl else caller.client_id)
            answer = await there(caller).get("/resource_groups")
            groups = answer.ok()
            assert {group["id"]: [child["id"] for child in group["children"]] for group in groups} == shown
            assert [group["id"] for group in groups] == list(shown)
            if caller is bl:
                continue
            hidden = {one for one in (*model.clients, *model.groups) if not model.sees(caller.client_id, one)}
            assert not [one for one in hidden if one.encode() in answer.raw]
            for object_id in chance.sample(list(model.groups), min(2, len(model.groups))):
                one = await there(caller).get(f"/resource_groups/{object_id}")
                assert one.status == (200 if object_id in shown else 404)
                assert one.status == 404 or one.body in groups
