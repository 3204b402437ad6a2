"""Resource groups over HTTP, an extension (COMPAT-088)."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from tests.vtn.conftest import StartVtn
from tests.vtn.harness import Session, VtnUnderTest, child_of, unique
from vtn.access import Role, Scope

NONE_SUCH = "x" * 24


async def a_home(vtn: VtnUnderTest, resources: int = 1) -> tuple[Session, Any, list[Any]]:
    """A VEN, its ven and its resources."""
    home = vtn.home()
    ven = await home.ven()
    return home, ven, [await home.resource(ven) for _ in range(resources)]


async def shown(caller: Session, group: Any) -> list[str] | None:
    """Return the ids of the children of a group that the caller is shown, None if it does not see the group."""
    answer = await caller.get(f"/resource_groups/{group['id']}")
    if answer.status == 404:
        assert group["id"] not in await caller.ids("/resource_groups")
        return None
    one = answer.ok()
    assert one in (await caller.get("/resource_groups")).ok()
    return [child["id"] for child in one["children"]]


async def put(caller: Session, group: Any, *children: Any, **members: Any) -> Any:
    """Give a group other children."""
    document = {"resourceGroupName": group["resourceGroupName"], "children": [child_of(child) for child in children]}
    return await caller.put(f"/resource_groups/{group['id']}", document | members)


@pytest.mark.parametrize("object_type", [None, "RESOURCE_GROUP", "BL_RESOURCE_GROUP_REQUEST"])
async def test_a_group_is_made_read_changed_and_removed(vtn: VtnUnderTest, object_type: str | None) -> None:
    """COMPAT-088, COMPAT-029: in the form of both clients; what is read can be sent back."""
    bl = vtn.bl
    _, _, (pump, heater) = await a_home(vtn, 2)
    inner = await bl.group(heater)
    document = {
        "objectType": object_type,
        "resourceGroupName": unique("north"),
        "attributes": [{"type": "BASELINE_KW", "values": [1.50]}],
        "targets": ["north", "north", "street"],
        "children": [child_of(pump), child_of(inner)],
    }

    answer = await bl.post("/resource_groups", document)
    group = answer.ok(201)
    assert answer.headers["Location"].endswith(f"/resource_groups/{group['id']}")
    given = {name: value for name, value in group.items() if name not in {"id", "createdDateTime"}}
    at = given.pop("modificationDateTime")
    assert at == group["createdDateTime"]
    assert given == document | {"objectType": "RESOURCE_GROUP", "targets": ["north", "street"]}
    assert (await bl.get(f"/resource_groups/{group['id']}")).ok() == group
    assert (await bl.get("/resource_groups")).ok() == [group, inner]

    back = (await bl.put(f"/resource_groups/{group['id']}", group)).ok()
    assert back.pop("modificationDateTime") > group["modificationDateTime"]
    assert back == {name: value for name, value in group.items() if name != "modificationDateTime"}

    bare = (await bl.put(f"/resource_groups/{group['id']}", {"resourceGroupName": "bare"})).ok()
    assert (bare["children"], bare["targets"], "attributes" in bare) == ([], [], False)
    assert (await bl.delete(f"/resource_groups/{group['id']}")).ok() == bare
    (await bl.get(f"/resource_groups/{group['id']}")).problem(404)
    assert await bl.ids("/resource_groups") == [inner["id"]]


async def test_children_keep_their_order(vtn: VtnUnderTest) -> None:
    """Beyond ten of them too, by POST and by PUT."""
    bl = vtn.bl
    _, _, resources = await a_home(vtn, 12)
    groups = [await bl.group() for _ in range(3)]
    children = [*resources[6:], *groups, *resources[:6]]

    group = await bl.group(*children)
    assert await shown(bl, group) == [one["id"] for one in children]
    (await put(bl, group, *reversed(children))).ok()
    assert await shown(bl, group) == [one["id"] for one in reversed(children)]


async def test_a_name_is_given_once(vtn: VtnUnderTest) -> None:
    """By POST and by PUT; it is free again when the group is gone, and a name is found exactly."""
    bl = vtn.bl
    first, second = await bl.group(resourceGroupName="north"), await bl.group(resourceGroupName="north-2")

    assert (
        (await bl.post("/resource_groups", {"resourceGroupName": "north"}))
        .problem(409)
        .startswith("resourceGroupName:")
    )
    assert (await put(bl, second, resourceGroupName="north")).problem(409).startswith("resourceGroupName:")
    assert await bl.ids("/resource_groups", {"resourceGroupName": "north"}) == [first["id"]]
    assert await bl.ids("/resource_groups", {"resourceGroupName": "nort"}) == []
    (await bl.delete(f"/resource_groups/{first['id']}")).ok()
    (await put(bl, second, resourceGroupName="north")).ok()


async def test_lists_are_filtered_and_paged(vtn: VtnUnderTest) -> None:
    """Targets are alternatives; the newest come first."""
    bl = vtn.bl
    groups = [await bl.group(targets=[f"t{number}", "all"]) for number in range(5)]
    newest = [group["id"] for group in reversed(groups)]

    assert await bl.ids("/resource_groups", [("targets", "t1"), ("targets", "t3"), ("targets", "no")]) == [
        newest[1],
        newest[3],
    ]
    assert await bl.ids("/resource_groups", {"skip": "1", "limit": "2"}) == newest[1:3]
    assert await bl.ids("/resource_groups", {"targets": "all", "skip": "4"}) == newest[4:]
    assert await bl.ids("/resource_groups", {"limit": "0"}) == []
    for bad in ({"resourceGroupName": ""}, {"targets": "t" * 129}, {"limit": "51"}):
        (await bl.get("/resource_groups", bad)).problem(400)


@pytest.mark.parametrize(
    ("member", "value", "problem"),
    [
        ("resourceGroupName", None, "resourceGroupName:"),
        ("resourceGroupName", "n" * 129, "resourceGroupName: too long"),
        ("objectType", "RESOURCE", "objectType:"),
        ("children", {}, "children:"),
        ("children", [{"type": "ven", "id": "x"}], "children[0].type:"),
        ("children", [{"type": "ven_resource"}], "children[0].id:"),
        ("children", [{"type": "resource_group", "id": "no id"}], "children[0].id:"),
        ("children", [{"type": "resource_group", "id": "x" * 129}], "children[0].id:"),
        ("targets", ["t" * 129], "targets[0]:"),
        ("attributes", [{"type": "A"}], "attributes[0].values:"),
    ],
)
async def test_a_bad_document_is_refused(vtn: VtnUnderTest, member: str, value: Any, problem: str) -> None:
    """GEN-015: 400 with the member, by POST and by PUT, and nothing is stored."""
    bl = vtn.bl
    group = await bl.group()
    document = {"resourceGroupName": unique("g")} | {member: value}

    for answer in (
        await bl.post("/resource_groups", document),
        await bl.put(f"/resource_groups/{group['id']}", document),
    ):
        assert answer.problem(400).startswith(problem)
    assert (await bl.get("/resource_groups")).ok() == [group]


async def test_a_child_that_does_not_exist_is_named(vtn: VtnUnderTest) -> None:
    """404, also for an id of the other kind; then nothing is stored and the group is as it was."""
    bl = vtn.bl
    _, _, (pump, heater) = await a_home(vtn, 2)
    group, inner = await bl.group(pump), await bl.group(heater)
    for type_, object_id, what in (
        ("ven_resource", NONE_SUCH, "resource"),
        ("resource_group", NONE_SUCH, "resource group"),
        ("ven_resource", inner["id"], "resource"),
        ("resource_group", pump["id"], "resource group"),
    ):
        children = [child_of(pump), child_of(inner), {"type": type_, "id": object_id}]
        document = {"resourceGroupName": unique("g"), "children": children}
        for answer in (
            await bl.post("/resource_groups", document),
            await bl.put(f"/resource_groups/{group['id']}", document),
        ):
            assert answer.problem(404) == f"children[2].id: there is no such {what}"
    assert (await bl.get("/resource_groups")).ok() == [inner, group]


async def test_a_child_is_named_once(vtn: VtnUnderTest) -> None:
    """400; a resource and a group are different things."""
    bl = vtn.bl
    _, _, (pump,) = await a_home(vtn)

    answer = await bl.post("/resource_groups", {"resourceGroupName": "g", "children": [child_of(pump), child_of(pump)]})
    assert answer.problem(400) == "children[1].id: named more than once"


async def test_no_group_is_in_itself(vtn: VtnUnderTest) -> None:
    """409 with the child, directly and through others; nothing changes."""
    bl = vtn.bl
    _, _, (pump,) = await a_home(vtn)
    low = await bl.group(pump)
    middle = await bl.group(low)
    top = await bl.group(middle, low)
    before = (await bl.get("/resource_groups")).ok()

    for child in (low, middle, top):
        problem = (await put(bl, low, pump, child)).problem(409)
        assert problem == "children[1].id: the group would be in itself"
    assert (await bl.get("/resource_groups")).ok() == before
    (await put(bl, top, pump)).ok()
    (await put(bl, low, top)).ok()
    assert (await put(bl, top, middle)).problem(409).startswith("children[0].id:")


@pytest.mark.parametrize("length", [2, 5])
async def test_changes_that_would_close_a_circle_together_do_not(
    vtn: VtnUnderTest, start_vtn: StartVtn, length: int
) -> None:
    """Each is right by itself; made at once, through two servers, one of them at least is refused."""
    bl = vtn.bl
    other = await start_vtn()
    elsewhere = other.with_token(bl.headers["Authorization"].removeprefix("Bearer "))
    _, _, (pump,) = await a_home(vtn)
    for _ in range(3):
        groups = [await bl.group(pump) for _ in range(length)]

        answers = await asyncio.gather(
            *(
                put((bl, elsewhere)[number % 2], group, pump, groups[(number + 1) % length])
                for number, group in enumerate(groups)
            )
        )

        assert Counter(answer.status for answer in answers) == {200: length - 1, 409: 1}
        links = {
            group["id"]: [child["id"] for child in group["children"] if child["type"] == "resource_group"]
            for group in (await bl.get("/resource_groups")).ok()
        }
        assert not in_a_circle(links)
        for group in groups:
            (await bl.delete(f"/resource_groups/{group['id']}")).ok()


def in_a_circle(links: dict[str, list[str]]) -> bool:
    """Return True unless taking away groups without groups again and again leaves nothing."""
    while links:
        done = {group for group, inner in links.items() if not inner}
        if not done:
            return True
        links = {
            group: [one for one in inner if one not in done] for group, inner in links.items() if group not in done
        }
    return False


async def test_what_a_reading_can_cost_is_bounded(start_vtn: StartVtn) -> None:
    """Children of a group, groups of a child, nesting, and groups in groups: one more is refused, with the child."""
    limits = {"max_children": 3, "max_groups_each": 4, "max_depth": 3, "max_nested": 6}
    vtn = await start_vtn(resource_groups=limits)
    bl = vtn.bl
    _, _, resources = await a_home(vtn, 4)
    group = await bl.group(*resources[:3])
    answer = await put(bl, group, *resources)
    assert answer.problem(400) == "children: 4 of them; expected 3 at most"

    middle = await bl.group(group)
    top = await bl.group(middle)
    for refused in (
        await bl.post("/resource_groups", {"resourceGroupName": "g", "children": [child_of(middle), child_of(top)]}),
        await put(bl, await bl.group(), group, top),
    ):
        assert refused.problem(409) == "children[1].id: groups would be nested more than 3 deep"
    assert (await put(bl, group, await bl.group())).problem(409).startswith("children[0].id: groups would be nested")

    for _ in range(3):
        await bl.group(resources[0])
    full = [child_of(resources[1]), child_of(resources[0])]
    answer = await bl.post("/resource_groups", {"resourceGroupName": "g", "children": full})
    assert answer.problem(409) == "children[1].id: this resource is in 4 groups already"
    (await put(bl, group, resources[0])).ok()  # it is one of the four

    lows = [await bl.group() for _ in range(3)]
    await bl.group(*lows)
    await bl.group(lows[0])
    assert (await put(bl, await bl.group(), lows[1])).problem(409).startswith("children: more than 6 places")
    (await put(bl, middle, lows[1])).ok()  # in the place of another


async def test_what_is_deleted_leaves_its_groups(vtn: VtnUnderTest) -> None:
    """Resources, vens with theirs, and groups; the groups that held them stay and are as old as before."""
    bl = vtn.bl
    home, _, (pump, heater) = await a_home(vtn, 2)
    _, ven, (boiler, panel) = await a_home(vtn, 2)
    inner = await bl.group(boiler)
    group = await bl.group(pump, boiler, inner, heater, panel)

    (await home.delete(f"/resources/{pump['id']}")).ok()
    assert await shown(bl, group) == [one["id"] for one in (boiler, inner, heater, panel)]
    (await bl.delete(f"/vens/{ven['id']}")).ok()
    assert await shown(bl, group) == [inner["id"], heater["id"]]
    assert await shown(bl, inner) == []
    (await bl.delete(f"/resource_groups/{inner['id']}")).ok()
    assert await shown(bl, group) == [heater["id"]]
    now = (await bl.get(f"/resource_groups/{group['id']}")).ok()
    assert now == group | {"children": [child_of(heater)]}
    assert await home.ids("/resources") == [heater["id"]]
    (await bl.delete(f"/resource_groups/{group['id']}")).ok()
    assert await home.ids("/resources") == [heater["id"]]


async def test_a_resource_that_is_deleted_while_it_is_put_into_groups(vtn: VtnUnderTest, start_vtn: StartVtn) -> None:
    """Whole vens too, through two servers: every request is answered, and nobody waits for the other for ever."""
    bl = vtn.bl
    other = await start_vtn()
    elsewhere = other.with_token(bl.headers["Authorization"].removeprefix("Bearer "))
    for _ in range(3):
        homes = [await a_home(vtn, 4) for _ in range(3)]
        resources = [one for _, _, theirs in homes for one in theirs]
        groups = [await bl.group(*resources), await bl.group(*reversed(resources)), await bl.group()]

        answers = await asyncio.gather(
            *(put(elsewhere, group, *resources) for group in groups),
            *(bl.delete(f"/vens/{ven['id']}") for _, ven, _ in homes[:2]),
            *(put(elsewhere, group, *reversed(resources), targets=["t"]) for group in groups),
            bl.delete(f"/resources/{resources[-1]['id']}"),
        )

        assert {answer.status for answer in answers} <= {200, 404}
        left = {one["id"] for one in resources[8:-1]}
        for group in groups:
            assert set(await shown(bl, group) or ()) <= left


async def test_a_change_can_be_tied_to_a_version(vtn: VtnUnderTest) -> None:
    """ETAG-004: the version is that of the children too."""
    bl = vtn.bl
    home, _, (pump, heater) = await a_home(vtn, 2)
    group = await bl.group(pump, heater)
    path = f"/resource_groups/{group['id']}"
    tag = (await bl.get(path)).headers["ETag"]
    assert (await bl.get(path, if_none_match=tag)).status == 304

    (await home.delete(f"/resources/{heater['id']}")).ok()
    document = {"resourceGroupName": "g"}
    for method in ("PUT", "DELETE"):
        (await bl.ask(method, path, json=document, headers={"If-Match": tag})).problem(412)
    assert (await bl.get(path, if_none_match=tag)).ok()["children"] == [child_of(pump)]

    changed = await bl.ask("PUT", path, json=document, headers={"If-Match": (await bl.get(path)).headers["ETag"]})
    assert (await bl.get(path)).headers["ETag"] == changed.headers["ETag"]
    (await bl.ask("DELETE", path, headers={"If-Match": changed.headers["ETag"]})).ok()


async def test_groups_are_no_resources_and_grant_nothing(vtn: VtnUnderTest) -> None:
    """COMPAT-042: they are in no other list, nobody subscribes to them, and their targets are not held by members."""
    bl = vtn.bl
    home, _, (pump,) = await a_home(vtn)
    group = await bl.group(pump, targets=["granted?"])
    event = await bl.event(await bl.program(), targets=["granted?"])

    for who in (bl, home):
        assert await who.ids("/resources") == [pump["id"]]
        (await who.get(f"/resources/{group['id']}")).problem(404)
    assert await home.ids("/events") == []
    (await home.get(f"/events/{event['id']}")).problem(404)
    entry = {"objects": ["RESOURCE_GROUP"], "operations": ["CREATE"], "callbackUrl": "https://example.com/"}
    document = {"clientName": "c", "objectOperations": [entry]}
    assert (await bl.post("/subscriptions", document)).problem(400).startswith("objectOperations[0].objects[0]:")


async def test_who_may_do_what(vtn: VtnUnderTest) -> None:
    """AUTH-011: business logic writes with write_vens; a VEN never, whether it sees the group or not; nobody: 401."""
    bl = vtn.bl
    home, _, (pump,) = await a_home(vtn)
    group, hidden = await bl.group(pump), await bl.group()
    everything = frozenset(Scope)
    document = {"resourceGroupName": "mine", "children": [child_of(pump)]}
    for object_id in (group["id"], hidden["id"], NONE_SUCH):
        path = f"/resource_groups/{object_id}"
        for caller, status in (
            (home, 403),
            (vtn.caller(Role.VEN, client_id=home.client_id, scopes=everything), 403),
            (vtn.caller(Role.BL, scopes=everything - {Scope.WRITE_VENS}), 403),
            (vtn.nobody, 401),
        ):
            refused = [
                await caller.post("/resource_groups", document),
                await caller.put(path, document),
                await caller.put(path, {}),
                await caller.delete(path),
            ]
            assert len({answer.problem(status) for answer in refused}) == 1
        for path_ in ("/resource_groups", path):
            (await vtn.nobody.get(path_)).problem(401)
            (await vtn.caller(Role.VEN, scopes={Scope.READ_TARGETS}).get(path_)).problem(403)
    assert (await bl.get("/resource_groups")).ok() == [hidden, group]


async def test_public_programs_open_no_groups(start_vtn: StartVtn) -> None:
    """COMPAT-017: the switch is for programs and their events."""
    vtn = await start_vtn(public={"programs": ["tariff"]})
    group = await vtn.bl.group()

    for path in ("/resource_groups", f"/resource_groups/{group['id']}"):
        (await vtn.nobody.get(path)).problem(401)
