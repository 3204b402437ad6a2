"""vens and resources on 3.0.1: one form for both roles, resources below their ven and in it."""

from __future__ import annotations

from typing import Any

import pytest
from structlog.testing import capture_logs

from tests.vtn.conftest import StartVtn
from tests.vtn.harness import VtnUnderTest, unique
from vtn.access import Role

GROUP_A = [{"type": "GROUP", "values": ["a"]}]


def members(found: Any) -> Any:
    """An object without what the VTN writes."""
    written = {"id", "createdDateTime", "modificationDateTime", "objectType"}
    return {name: value for name, value in found.items() if name not in written}


async def test_a_ven_of_a_ven_is_its_own(vtn: VtnUnderTest) -> None:
    """V301-025, V301-024, V301-028, V301-032: bound to its client, which is not shown; resources are always there."""
    home = vtn.home()
    name = unique("ven")

    made = (await home.on_301.post("/vens", {"venName": name})).ok(201)

    assert members(made) == {"venName": name, "resources": []}
    assert made["objectType"] == "VEN"
    assert (await home.get(f"/vens/{made['id']}")).ok()["clientID"] == home.client_id
    assert (await home.on_301.post("/vens", {"venName": unique("ven")})).problem(409).startswith("clientID")
    other = vtn.home()
    assert (await other.on_301.post("/vens", {"venName": name})).problem(409).startswith("venName")
    assert (await other.on_301.get(f"/vens/{made['id']}")).problem(404)


async def test_a_ven_of_business_logic_waits_for_its_client(vtn: VtnUnderTest) -> None:
    """V301-025, V301-026: its placeholder is nobody's; the client that comes gets the resources too."""
    business, home = vtn.bl, vtn.home()
    document = {"venName": unique("ven"), "targets": GROUP_A, "resources": [{"resourceName": "r", "targets": GROUP_A}]}
    made = (await business.on_301.post("/vens", document)).ok(201)
    ven_id = made["id"]
    placeholder = f"unassigned-{ven_id}"
    assert (await business.get(f"/vens/{ven_id}")).ok()["clientID"] == placeholder

    forged = vtn.caller(Role.VEN, client_id=placeholder)
    (await forged.get(f"/vens/{ven_id}")).problem(401)
    (await forged.on_301.get(f"/vens/{ven_id}")).problem(401)
    assert await home.on_301.ids("/vens") == []

    put = {"venName": document["venName"], "targets": GROUP_A, "clientID": home.client_id}
    (await business.on_301.put(f"/vens/{ven_id}", put)).ok()

    (mine,) = (await home.on_301.get("/vens")).ok()
    assert [one["resourceName"] for one in mine["resources"]] == ["r"]
    (resource,) = (await home.get("/resources")).ok()
    assert resource["clientID"] == home.client_id
    again = {"venName": document["venName"], "targets": GROUP_A}
    (await business.on_301.put(f"/vens/{ven_id}", again)).ok()
    assert (await business.get(f"/vens/{ven_id}")).ok()["clientID"] == home.client_id


async def test_a_ven_that_is_handed_over_shows_nothing_of_the_client_before(vtn: VtnUnderTest) -> None:
    """V301-028, PRIV-017: in no answer, nor in a tag; a PUT by business logic leaves a resource whose it was."""
    business, old, new = vtn.bl, vtn.home(), vtn.home()
    ven = await business.ven_for(old, ["g"])
    theirs = await old.resource(ven, resourceName="bedroom-meter")
    path = f"/vens/{ven['id']}"
    put = {"objectType": "BL_VEN_REQUEST", "clientID": new.client_id, "venName": ven["venName"], "targets": ["g"]}
    (await business.put(path, put)).ok()

    first = await new.on_301.get(path)
    assert first.ok()["resources"] == []
    assert [one["resources"] for one in (await new.on_301.get("/vens")).ok()] == [[]]
    assert await new.on_301.ids(f"{path}/resources") == []
    (all_of_it,) = (await business.on_301.get("/vens")).ok()
    assert [one["id"] for one in all_of_it["resources"]] == [theirs["id"]]
    answer = await new.on_301.ask("PUT", path, json=first.body, headers={"If-Match": first.headers["ETag"]})
    assert answer.ok()["resources"] == []

    (await business.on_301.put(f"{path}/resources/{theirs['id']}", {"resourceName": "meter", "targets": GROUP_A})).ok()
    assert (await business.get(f"/resources/{theirs['id']}")).ok()["clientID"] == old.client_id
    assert await new.ids("/resources") == []

    assert (await new.on_301.delete(path)).ok()["resources"] == []


async def test_a_ven_and_its_resources_are_made_together_or_not_at_all(vtn: VtnUnderTest) -> None:
    """V301-027, V301-031: a resource that cannot be leaves no ven; a PUT leaves the resources as they are."""
    home = vtn.home()
    twice = {"venName": unique("ven"), "resources": [{"resourceName": "a"}, {"resourceName": "a"}]}
    assert (await home.on_301.post("/vens", twice)).problem(409).startswith("resourceName")
    assert await home.on_301.ids("/vens") == []

    named = {"venName": unique("ven"), "resources": [{"resourceName": "a", "venID": "x"}, {"resourceName": "b"}]}
    made = (await home.on_301.post("/vens", named)).ok(201)

    assert {one["resourceName"] for one in made["resources"]} == {"a", "b"}
    assert {one["venID"] for one in made["resources"]} == {made["id"]}
    put = (await home.on_301.put(f"/vens/{made['id']}", {"venName": "other", "resources": []})).ok()
    assert len(put["resources"]) == 2
    assert (await home.on_301.get("/vens")).ok() == [put]
    assert (await home.on_301.delete(f"/vens/{made['id']}")).ok() == put


async def test_resources_live_below_their_ven(vtn: VtnUnderTest) -> None:
    """V301-029, V301-030, V301-031, V301-032: an unknown or foreign ven, or a resource of another one, is 404."""
    business, home, other = vtn.bl, vtn.home(), vtn.home()
    mine, theirs = (await home.ven())["id"], (await other.ven())["id"]
    path = f"/vens/{mine}/resources"

    answer = await home.on_301.post(path, {"resourceName": "pool", "venID": theirs})

    made = answer.ok(201)
    assert members(made) == {"resourceName": "pool", "venID": mine}
    assert made["objectType"] == "RESOURCE"
    one = f"{path}/{made['id']}"
    assert answer.headers["Location"].endswith(one)
    assert (await home.on_301.get(one)).ok() == made
    assert (await business.on_301.get(path, {"resourceName": "pool"})).ok() == [made]
    assert (await home.on_301.post(path, {"resourceName": "pool"})).problem(409).startswith("resourceName")
    for whose in (theirs, "unknown"):
        (await home.on_301.get(f"/vens/{whose}/resources")).problem(404)
        (await home.on_301.post(f"/vens/{whose}/resources", {"resourceName": "x"})).problem(404)
    for caller in (home, business):
        wrong = f"/vens/{theirs}/resources/{made['id']}"
        (await caller.on_301.get(wrong)).problem(404)
        (await caller.on_301.put(wrong, {"resourceName": "x"})).problem(404)
        (await caller.on_301.delete(wrong)).problem(404)
    (await home.on_301.get(f"/vens/{'a' * 129}/resources")).problem(400)
    put = (await home.on_301.put(one, {"resourceName": "spa"})).ok()
    assert put["resourceName"] == "spa"
    assert (await home.on_301.delete(one)).ok() == put
    assert (await home.on_301.get(path)).ok() == []
    assert (await home.on_301.get(f"/vens/{mine}")).ok()["resources"] == []


async def test_what_a_ven_writes_as_targets_describes_it_and_grants_nothing(vtn: VtnUnderTest) -> None:
    """V301-008: shown on 3.0.1, invisible on 3.1, of no effect; to put back what was read does not change that."""
    business, home = vtn.bl, vtn.home()
    program = await business.program()
    await business.event(program, targets=["secret"])
    own = [{"type": "GROUP", "values": ["secret"]}]
    document = {"venName": unique("ven"), "targets": own, "resources": [{"resourceName": "r", "targets": own}]}
    made = (await home.on_301.post("/vens", document)).ok(201)
    path = f"/vens/{made['id']}"

    assert made["targets"] == own
    assert made["resources"][0]["targets"] == own
    assert (await home.get(path)).ok()["targets"] == []
    assert (await home.get("/resources")).ok()[0]["targets"] == []
    assert await home.on_301.ids("/events") == await home.ids("/events") == []
    assert await business.on_301.ids("/vens", {"targetType": "GROUP", "targetValues": "secret"}) == [made["id"]]
    assert await business.on_301.ids("/vens", {"targetValues": "secret"}) == [made["id"]]

    read = (await business.on_301.get(path)).ok()
    (await business.on_301.put(path, read | {"targets": [*own, {"type": "x", "values": ["b"]}]})).ok()
    assert (await home.get(path)).ok()["targets"] == ["b"]
    assert await home.ids("/events") == []

    shown = (await home.on_301.get(path)).ok()
    assert shown["targets"] == [{"type": "x", "values": ["b"]}, *own]
    (await home.on_301.put(path, shown)).ok()
    assert (await home.on_301.get(path)).ok()["targets"] == shown["targets"]
    put = {"objectType": "BL_VEN_REQUEST", "venName": made["venName"], "clientID": home.client_id, "targets": ["b"]}
    (await business.put(path, put)).ok()
    assert (await home.on_301.get(path)).ok()["targets"] == shown["targets"]
    (await home.on_301.put(path, {"venName": made["venName"]})).ok()
    assert (await home.on_301.get(path)).ok()["targets"] == [{"type": "x", "values": ["b"]}]


@pytest.mark.parametrize("object_type", ["VEN", "RESOURCE"])
async def test_what_business_logic_names_in_vain_is_logged(vtn: VtnUnderTest, object_type: str) -> None:
    """V301-008: with the ven and the value; what is not named, or is granted, is not. On 3.1 it is granted."""
    business, home = vtn.bl, vtn.home()
    event = await business.event(await business.program(), targets=["north"])
    own = [{"type": "GROUP", "values": ["north", "mine"]}]
    named = {"venName" if object_type == "VEN" else "resourceName": unique("own")}
    ven = named if object_type == "VEN" else {"venName": unique("ven")}
    made = (await home.on_301.post("/vens", ven | {"targets": own})).ok(201)
    path = on_31 = f"/vens/{made['id']}"
    if object_type == "RESOURCE":
        made = (await home.on_301.post(f"{path}/resources", named | {"targets": own})).ok(201)
        path, on_31 = f"{path}/resources/{made['id']}", f"/resources/{made['id']}"
    wanted = [{"type": "GROUP", "values": ["north"]}, {"type": "x", "values": ["new"]}]

    with capture_logs() as logs:
        (await business.on_301.put(path, named | {"targets": wanted, "clientID": home.client_id})).ok()

    (told,) = (each for each in logs if each["event"].startswith("business logic named targets"))
    assert (told["kind"], told["id"], told["name"]) == (object_type, made["id"], *named.values())
    assert (told["targets"], told["how_many"], told["log_level"]) == (("north",), 1, "warning")
    assert await home.ids("/events") == []
    put = {"objectType": f"BL_{object_type}_REQUEST", "clientID": home.client_id, "targets": ["north"], **named}
    (await business.put(on_31, put | ({"venID": made["venID"]} if object_type == "RESOURCE" else {}))).ok()
    assert await home.ids("/events") == [event["id"]]


async def test_vens_with_many_resources_are_read_one_by_one(vtn: VtnUnderTest) -> None:
    """V301-028: all resources, however many bytes they are; a change of one is a change of the answer."""
    business, home = vtn.bl, vtn.home()
    ven = await home.ven()
    long = [{"type": "X", "values": ["y" * 60_000]}]
    for number in range(40):
        await home.resource(ven, resourceName=f"r{number}", attributes=long)
    path = f"/vens/{ven['id']}"

    first = await business.on_301.get(path)

    assert len(first.ok()["resources"]) == 40
    assert (await business.on_301.get("/vens")).ok() == [first.body]
    tag = first.headers["ETag"]
    assert (await business.on_301.get(path, if_none_match=tag)).status == 304
    resource = first.body["resources"][7]
    longer = [{"type": "X", "values": ["z" * 60_000]}]
    one = f"{path}/resources/{resource['id']}"
    (await home.on_301.put(one, {"resourceName": resource["resourceName"], "attributes": longer})).ok()
    assert (await business.on_301.get(path, if_none_match=tag)).status == 200


async def test_no_more_resources_with_a_ven_than_allowed(start_vtn: StartVtn) -> None:
    """V301-027: with the number in the answer."""
    vtn = await start_vtn(v301={"max_nested_resources": 1})
    document = {"venName": unique("ven"), "resources": [{"resourceName": "a"}, {"resourceName": "b"}]}

    problem = (await vtn.home().on_301.post("/vens", document)).problem(400)

    assert problem == "resources: expected at most 1; make the others one by one"


@pytest.mark.parametrize("path", ["/vens/{id}", "/vens/{id}/resources/{resource}"])
async def test_if_match_means_what_was_read(vtn: VtnUnderTest, path: str) -> None:
    """ETAG-004 on 3.0.1: the tag of an answer with resources in it."""
    home = vtn.home()
    ven = await home.ven()
    resource = await home.resource(ven)
    path = path.format(id=ven["id"], resource=resource["id"])
    read = await home.on_301.get(path)
    stale = {"If-Match": read.headers["ETag"]}

    (await home.on_301.ask("PUT", path, json=read.body, headers=stale)).ok()

    (await home.on_301.ask("DELETE", path, headers=stale)).problem(412)
    fresh = {"If-Match": (await home.on_301.get(path)).headers["ETag"]}
    (await home.on_301.ask("DELETE", path, headers=fresh)).ok()
