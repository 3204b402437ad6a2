"""vens over HTTP (VEN)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.vtn.harness import VtnUnderTest, unique


@pytest.mark.parametrize("form", ["VEN_VEN_REQUEST", None, ...])
async def test_a_ven_registers_itself(vtn: VtnUnderTest, form: object) -> None:
    """VEN-001, VEN-007, VEN-009, VEN-018, COMPAT-029, COMPAT-075: what is not a VEN's to say is ignored."""
    home = vtn.home()
    document: dict[str, Any] = {} if form is ... else {"objectType": form}
    document |= {"venName": "v", "targets": ["all"], "clientID": "other", "resources": [{"resourceName": "r"}]}

    ven = (await home.post("/vens", document)).ok(201)

    assert ven["objectType"] == "VEN"
    assert ven["clientID"] == home.client_id
    assert ven["targets"] == []
    assert "resources" not in ven
    assert await vtn.bl.ids("/resources") == []


async def test_business_logic_enrols_a_ven(vtn: VtnUnderTest) -> None:
    """VEN-002, COMPAT-029: its form is understood without objectType, too."""
    bl = vtn.bl
    for extra in ({"objectType": "BL_VEN_REQUEST"}, {}, {"objectType": None}):
        document = {"clientID": unique("c"), "venName": unique("v"), "targets": ["g"]}
        ven = (await bl.post("/vens", document | extra)).ok(201)
        assert {name: ven[name] for name in document} == document


async def test_a_client_has_one_ven(vtn: VtnUnderTest) -> None:
    """VEN-003: whoever makes the second one."""
    home = vtn.home()
    await home.ven()

    again = await home.post("/vens", {"objectType": "VEN_VEN_REQUEST", "venName": unique("v")})
    assert again.problem(409).startswith("clientID:")
    document = {"objectType": "BL_VEN_REQUEST", "clientID": home.client_id, "venName": unique("v")}
    assert (await vtn.bl.post("/vens", document)).problem(409).startswith("clientID:")


async def test_a_name_is_given_once(vtn: VtnUnderTest) -> None:
    """VEN-004, PROBLEM-007: the answer to a VEN does not tell whose name it is."""
    first = await vtn.home().ven(venName="taken")

    answer = await vtn.home().post("/vens", {"objectType": "VEN_VEN_REQUEST", "venName": "taken"})

    assert answer.problem(409).startswith("venName:")
    assert first["id"] not in answer.raw.decode()
    assert first["clientID"] not in answer.raw.decode()


async def test_a_change_may_not_cause_a_duplicate(vtn: VtnUnderTest) -> None:
    """VEN-005."""
    bl, home, other = vtn.bl, vtn.home(), vtn.home()
    ven, neighbour = await home.ven(), await other.ven()
    document = {"objectType": "BL_VEN_REQUEST", "clientID": home.client_id, "venName": ven["venName"]}

    for member in ("clientID", "venName"):
        answer = await bl.put(f"/vens/{ven['id']}", document | {member: neighbour[member]})
        assert answer.problem(409).startswith(f"{member}:")
    rename = {"objectType": "VEN_VEN_REQUEST", "venName": neighbour["venName"]}
    (await home.put(f"/vens/{ven['id']}", rename)).problem(409)
    assert (await home.get(f"/vens/{ven['id']}")).ok() == ven


async def test_each_role_writes_its_own_form(vtn: VtnUnderTest) -> None:
    """VEN-006, VEN-008."""
    home = vtn.home()
    ven = await home.ven()
    business = {"objectType": "BL_VEN_REQUEST", "clientID": home.client_id, "venName": unique("v"), "targets": ["g"]}
    own = {"objectType": "VEN_VEN_REQUEST", "venName": unique("v")}

    (await home.put(f"/vens/{ven['id']}", business)).problem(403)
    (await vtn.home().post("/vens", business)).problem(403)
    assert (await vtn.bl.post("/vens", own)).problem(400).startswith("objectType:")
    assert (await vtn.bl.put(f"/vens/{ven['id']}", own)).problem(400).startswith("objectType:")
    (await home.put("/vens/unknown", business)).problem(404)
    assert (await vtn.bl.get("/vens")).ok() == [ven]


async def test_what_a_ven_writes_keeps_its_targets_and_its_client(vtn: VtnUnderTest) -> None:
    """VEN-010."""
    home = vtn.home()
    ven = await vtn.bl.ven_for(home, ["g"])
    attributes = [{"type": "LOCATION", "values": ["here"]}]

    document = {"objectType": "VEN_VEN_REQUEST", "venName": "renamed", "attributes": attributes, "targets": ["all"]}
    changed = (await home.put(f"/vens/{ven['id']}", document)).ok()

    assert changed["venName"] == "renamed"
    assert changed["attributes"] == attributes
    assert changed["targets"] == ["g"]
    assert changed["clientID"] == home.client_id


async def test_business_logic_replaces_everything(vtn: VtnUnderTest) -> None:
    """VEN-011, VEN-017: also the client, whose ven it then is."""
    bl, home, heir = vtn.bl, vtn.home(), vtn.home()
    ven = await bl.ven_for(home, ["g"], attributes=[{"type": "AREA", "values": [1]}])

    document = {"objectType": "BL_VEN_REQUEST", "clientID": heir.client_id, "venName": ven["venName"]}
    changed = (await bl.put(f"/vens/{ven['id']}", document)).ok()

    assert changed["clientID"] == heir.client_id
    assert changed["targets"] == []
    assert "attributes" not in changed
    assert await home.ids("/vens") == []
    assert await heir.ids("/vens") == [ven["id"]]


async def test_a_ven_goes_with_its_resources_and_can_come_back(vtn: VtnUnderTest) -> None:
    """VEN-012, VEN-013, VEN-014: reports stay."""
    home = vtn.home()
    ven = await home.ven()
    await home.resource(ven)
    report = await home.report(await vtn.bl.event(await vtn.bl.program()))

    (await home.delete(f"/vens/{ven['id']}")).ok()

    assert await vtn.bl.ids("/resources") == []
    assert await home.ids("/reports") == [report["id"]]
    assert (await home.ven())["id"] != ven["id"]
