"""Resources over HTTP (RES)."""

from __future__ import annotations

from tests.vtn.harness import VtnUnderTest, unique


async def test_a_ven_adds_a_resource(vtn: VtnUnderTest) -> None:
    """RES-001, RES-009, RES-010, COMPAT-030: targets are not its to say, and its own ven is understood."""
    home = vtn.home()
    ven = await home.ven()

    for extra in ({"venID": ven["id"], "objectType": "VEN_RESOURCE_REQUEST"}, {}, {"venID": None}):
        document = {"resourceName": unique("r"), "targets": ["all"], "clientID": "other"} | extra
        resource = (await home.post("/resources", document)).ok(201)
        assert resource["objectType"] == "RESOURCE"
        assert resource["clientID"] == home.client_id
        assert resource["venID"] == ven["id"]
        assert resource["targets"] == []


async def test_business_logic_adds_a_resource(vtn: VtnUnderTest) -> None:
    """RES-002, RES-006, COMPAT-030: without clientID it takes its ven's."""
    bl, home = vtn.bl, vtn.home()
    ven = await home.ven()

    document = {"objectType": "BL_RESOURCE_REQUEST", "venID": ven["id"], "resourceName": "r", "targets": ["g"]}
    assert (await bl.post("/resources", document)).ok(201)["clientID"] == home.client_id
    named = document | {"clientID": "other", "resourceName": "s"}
    assert (await bl.post("/resources", named)).ok(201)["clientID"] == "other"


async def test_a_name_is_given_once_within_a_ven(vtn: VtnUnderTest) -> None:
    """RES-003: by POST and by PUT."""
    home, other = vtn.home(), vtn.home()
    ven, neighbour = await home.ven(), await other.ven()
    await home.resource(ven, resourceName="pump")
    heater = await home.resource(ven, resourceName="heater")
    await other.resource(neighbour, resourceName="pump")

    document = {"objectType": "VEN_RESOURCE_REQUEST", "venID": ven["id"], "resourceName": "pump"}
    assert (await home.post("/resources", document)).problem(409).startswith("resourceName:")
    assert (await home.put(f"/resources/{heater['id']}", document)).problem(409).startswith("resourceName:")


async def test_a_ven_that_is_missing_or_anothers_is_not_found(vtn: VtnUnderTest) -> None:
    """RES-004, RES-005, RES-015: the same answer for all."""
    bl, home = vtn.bl, vtn.home()
    foreign = await vtn.home().ven()
    missing = "venID: there is no such ven"

    for caller, ven_id in ((bl, "unknown"), (home, "unknown"), (home, foreign["id"]), (home, None)):
        answer = await caller.post("/resources", {"resourceName": "r", "venID": ven_id})
        assert answer.problem(404) == missing
    ven = await home.ven()
    resource = await home.resource(ven)
    for caller, ven_id in ((bl, "unknown"), (home, "unknown"), (home, foreign["id"])):
        document = {"resourceName": "r", "venID": ven_id}
        assert (await caller.put(f"/resources/{resource['id']}", document)).problem(404) == missing
    assert (await home.get(f"/resources/{resource['id']}")).ok() == resource


async def test_each_role_writes_its_own_form(vtn: VtnUnderTest) -> None:
    """RES-008."""
    home = vtn.home()
    ven = await home.ven()
    business = {"objectType": "BL_RESOURCE_REQUEST", "clientID": "c", "venID": ven["id"], "resourceName": "r"}
    own = {"objectType": "VEN_RESOURCE_REQUEST", "venID": ven["id"], "resourceName": "r"}

    (await home.post("/resources", business)).problem(403)
    assert (await vtn.bl.post("/resources", own)).problem(400).startswith("objectType:")
    assert await vtn.bl.ids("/resources") == []


async def test_what_a_ven_writes_keeps_targets_and_client(vtn: VtnUnderTest) -> None:
    """RES-009: and, without venID, the ven."""
    bl, home = vtn.bl, vtn.home()
    ven = await home.ven()
    resource = await bl.resource(ven, objectType="BL_RESOURCE_REQUEST", clientID=home.client_id, targets=["g"])

    document = {"resourceName": "new", "targets": ["all"], "attributes": [{"type": "AREA", "values": [1]}]}
    changed = (await home.put(f"/resources/{resource['id']}", document)).ok()

    expected = resource | {"resourceName": "new", "attributes": document["attributes"]}
    assert changed | {"modificationDateTime": ""} == expected | {"modificationDateTime": ""}


async def test_business_logic_moves_a_resource_to_another_ven(vtn: VtnUnderTest) -> None:
    """RES-012: unless the name is taken there."""
    bl, home, other = vtn.bl, vtn.home(), vtn.home()
    ven, neighbour = await home.ven(), await other.ven()
    resource = await home.resource(ven, resourceName="pump")
    document = {"objectType": "BL_RESOURCE_REQUEST", "venID": neighbour["id"], "resourceName": "pump"}

    moved = (await bl.put(f"/resources/{resource['id']}", document)).ok()
    assert moved["venID"] == neighbour["id"]
    assert moved["clientID"] == other.client_id
    assert await home.ids("/resources") == []

    twin = await home.resource(ven, resourceName="pump")
    assert (await bl.put(f"/resources/{twin['id']}", document)).problem(409).startswith("resourceName:")
