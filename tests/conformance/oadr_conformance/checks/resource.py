"""RES: resource objects."""

from __future__ import annotations

from oadr_conformance import bodies
from oadr_conformance.bodies import ATTRIBUTE, NOBODYS_ID
from oadr_conformance.kinds import KINDS
from oadr_conformance.probe import Probe
from oadr_conformance.registry import SHOULD, Area
from oadr_conformance.wire import Obj

area = Area("API description: resourceRequest; Definition: Object names, VEN created object privacy")


@area.check("RES-001 PRIV-002", needs="ven")
async def create_by_the_ven(t: Probe) -> None:
    """A VEN creates resources of its ven: 201 with the clientID of the token."""
    ven, name = await t.enrol(t.ven), t.name("resource")
    answer = await t.ven.post("/resources", bodies.ven_resource(ven["id"], name))
    answer.expect(201)
    obj = answer.has(resourceName=name, venID=ven["id"], clientID=t.ven.client_id)
    KINDS["resource"].check_type(answer, obj)


@area.check("RES-002 COMPAT-048")
async def create_by_business_logic(t: Probe) -> None:
    """Business logic creates resources of any ven, with targets."""
    ven, name, target = await t.some_ven(), t.name("resource"), t.name("target")
    answer = await t.bl.post("/resources", bodies.bl_resource(ven["clientID"], ven["id"], name, targets=[target]))
    answer.expect(201)
    answer.has(resourceName=name, venID=ven["id"], clientID=ven["clientID"], targets=[target])


@area.check("RES-003 COMPAT-062")
async def names_are_unique_in_a_ven(t: Probe) -> None:
    """A resourceName is given once per ven: a second is 409 on POST and PUT; under another ven it is free."""
    ven, other = await t.some_ven(), await t.some_ven()
    first, second = await t.resource(ven), await t.resource(ven)
    body = bodies.bl_resource(ven["clientID"], ven["id"], first["resourceName"])
    (await t.bl.post("/resources", body)).expect(409, allowed=(400,))
    (await t.bl.put(f"/resources/{second['id']}", body)).expect(409, allowed=(400,))
    free = bodies.bl_resource(other["clientID"], other["id"], first["resourceName"])
    (await t.bl.post("/resources", free)).expect(201)


@area.check("RES-004")
async def unknown_ven(t: Probe) -> None:
    """An unknown venID in the body is 404, and the detail names venID."""
    answer = await t.bl.post("/resources", bodies.bl_resource(t.name("client"), NOBODYS_ID, t.name("resource")))
    detail = str(answer.expect(404).object().get("detail"))
    answer.true("venID" in detail, "a detail that names venID", detail)


@area.check("RES-005", needs="ven ven2")
async def ven_of_another_client(t: Probe) -> None:
    """A VEN that names another client's ven gets the same 404 as for an unknown one."""
    await t.enrol(t.ven)
    other = await t.enrol(t.ven2)
    unknown = await t.ven.post("/resources", bodies.ven_resource(NOBODYS_ID, t.name("resource")))
    detail = str(unknown.expect(404).object().get("detail"))
    answer = await t.ven.post("/resources", bodies.ven_resource(other["id"], t.name("resource")))
    got = str(answer.expect(404).object().get("detail")).replace(other["id"], NOBODYS_ID)
    answer.same("the detail", got, detail)


@area.check("RES-006 PRIV-003", needs="ven ven2")
async def another_client_than_its_ven(t: Probe) -> None:
    """A resource may name another client than its ven; that client sees it, and its targets grant the ven nothing."""
    target = t.name("target")
    ven = await t.enrol(t.ven)
    answer = await t.bl.post(
        "/resources", bodies.bl_resource(t.ven2.client_id, ven["id"], t.name("resource"), targets=[target])
    )
    resource = answer.expect(201).object()
    answer.same("clientID", resource["clientID"], t.ven2.client_id)
    (await t.ven2.get(f"/resources/{resource['id']}")).expect(200)
    (await t.ven.get(f"/resources/{resource['id']}")).expect(404)
    event = await t.event(targets=[target])
    (await t.ven.get(f"/events/{event['id']}")).expect(404)


@area.check("RES-008", needs="ven")
async def a_ven_with_the_bl_form(t: Probe) -> None:
    """A VEN that sends the form of business logic is 403."""
    ven = await t.enrol(t.ven)
    body = bodies.bl_resource(ven["clientID"], ven["id"], t.name("resource"))
    (await t.ven.post("/resources", body)).expect(403)


@area.check("RES-008")
async def business_logic_with_the_ven_form(t: Probe) -> None:
    """Business logic that sends the VEN's form is 400."""
    ven = await t.some_ven()
    (await t.bl.post("/resources", bodies.ven_resource(ven["id"], t.name("resource")))).expect(400)


@area.check("RES-009", needs="ven")
async def a_ven_takes_no_targets(t: Probe) -> None:
    """targets in a VEN's resource are ignored, and its PUT keeps those that business logic gave."""
    ven, target = await t.enrol(t.ven), t.name("target")
    answer = await t.ven.post("/resources", bodies.ven_resource(ven["id"], t.name("resource"), targets=["x"]))
    if answer.binding or answer.status not in {400, 403}:  # what the schema does not have may be refused
        answer.true(not answer.expect(201).object().get("targets"), "no targets", answer.text)
    resource = await t.resource(ven, targets=[target])
    name, other = t.name("resource"), {"targets": ["x"]} if answer.binding else {}
    answer = await t.ven.put(f"/resources/{resource['id']}", bodies.ven_resource(ven["id"], name, **other))
    answer.expect(200)
    answer.has(resourceName=name, targets=[target])


@area.check("RES-010", needs="ven")
async def object_type(t: Probe) -> None:
    """Answers say RESOURCE as objectType, whatever form the request had."""
    resource = await t.own_resource(t.ven, await t.enrol(t.ven))
    for actor in (t.bl, t.ven):
        answer = await actor.get(f"/resources/{resource['id']}")
        answer.expect(200)
        answer.has(objectType="RESOURCE")


@area.each("RES-011", {"the VEN": "ven", "BL": "bl"}, needs="ven")
async def change_and_delete(t: Probe, who: str) -> None:
    """The VEN whose resource it is, and business logic, change and delete it."""
    ven = await t.enrol(t.ven)
    resource = await t.own_resource(t.ven, ven)
    name = t.name("resource")
    body: Obj = bodies.ven_resource(ven["id"], name, attributes=[ATTRIBUTE])
    if who == "bl":
        body = bodies.bl_resource(ven["clientID"], ven["id"], name, attributes=[ATTRIBUTE])
    actor = t.bl if who == "bl" else t.ven
    answer = await actor.put(f"/resources/{resource['id']}", body)
    answer.expect(200)
    answer.has(resourceName=name, attributes=[ATTRIBUTE])
    (await actor.delete(f"/resources/{resource['id']}")).expect(200)


@area.check("RES-012")
async def move(t: Probe) -> None:
    """Business logic moves a resource to another ven, unless the name is taken there (409) or the ven unknown (404)."""
    ven, other, third = await t.some_ven(), await t.some_ven(), await t.some_ven()
    resource = await t.resource(ven)
    await t.resource(third, resourceName=resource["resourceName"])

    def to(ven_id: str) -> Obj:
        return bodies.bl_resource(ven["clientID"], ven_id, resource["resourceName"])

    answer = await t.bl.put(f"/resources/{resource['id']}", to(other["id"]))
    answer.expect(200)
    answer.has(venID=other["id"])
    (await t.bl.put(f"/resources/{resource['id']}", to(third["id"]))).expect(409)
    (await t.bl.put(f"/resources/{resource['id']}", to(NOBODYS_ID))).expect(404)


@area.check("RES-012", needs="ven ven2")
async def move_to_a_foreign_ven(t: Probe) -> None:
    """A VEN cannot move its resource to another client's ven: 404."""
    ven, other = await t.enrol(t.ven), await t.enrol(t.ven2)
    resource = await t.own_resource(t.ven, ven)
    body = bodies.ven_resource(other["id"], resource["resourceName"])
    (await t.ven.put(f"/resources/{resource['id']}", body)).expect(404)


@area.check("RES-013 PRIV-017", needs="ven ven2")
async def of_a_ven(t: Probe) -> None:
    """venID lists the resources of a ven: all for business logic, those with its clientID for the VEN."""
    ven = await t.enrol(t.ven)
    mine = [await t.own_resource(t.ven, ven), await t.resource(ven)]
    await t.resource(await t.enrol(t.ven2))
    all_ = list(mine)
    if t.profile.rulings:  # that a resource names another client than its ven is R-23
        body = bodies.bl_resource(t.ven2.client_id, ven["id"], t.name("resource"))
        all_.append(await t.seed(t.bl, "/resources", body))
    answer = await t.bl.get("/resources", {"venID": ven["id"]})
    answer.same("the ids for BL", sorted(answer.expect(200).ids()), sorted(one["id"] for one in all_))
    answer = await t.ven.get("/resources", {"venID": ven["id"]})
    answer.same("the ids for the VEN", sorted(answer.expect(200).ids()), sorted(one["id"] for one in mine))


@area.check("RES-014")
async def change_an_unknown_one(t: Probe) -> None:
    """PUT to an unknown resource with an incomplete body is 404."""
    (await t.bl.put(f"/resources/{NOBODYS_ID}", {"resourceName": "r"})).expect(404)


@area.check("RES-015", needs="ven ven2")
async def without_a_ven(t: Probe) -> None:
    """A VEN that has no ven creates no resources: any venID is 404."""
    other = await t.enrol(t.ven2)
    for ven_id in (other["id"], NOBODYS_ID):
        (await t.ven.post("/resources", bodies.ven_resource(ven_id, t.name("resource")))).expect(404)


@area.check("RES-016")
async def no_nested_path(t: Probe) -> None:
    """/vens/{venID}/resources, a path of version 3.0, is 404."""
    ven = await t.some_ven()
    (await t.bl.get(f"/vens/{ven['id']}/resources")).expect(404)


@area.check("COMPAT-030", SHOULD)
async def client_of_the_ven(t: Probe) -> None:
    """A resource by business logic without clientID takes that of its ven."""
    ven = await t.some_ven()
    answer = await t.bl.post("/resources", {"venID": ven["id"], "resourceName": t.name("resource")})
    answer.expect(201)
    answer.has(clientID=ven["clientID"])


@area.check("COMPAT-030", SHOULD, needs="ven")
async def ven_of_the_caller(t: Probe) -> None:
    """A resource by a VEN without venID belongs to the caller's ven."""
    ven = await t.enrol(t.ven)
    answer = await t.ven.post("/resources", {"resourceName": t.name("resource")})
    answer.expect(201)
    answer.has(venID=ven["id"])


@area.check("RES-017 COMPAT-029", needs="ven")
async def form_is_inferred(t: Probe) -> None:
    """Without objectType the role of the caller says which form of a resource is meant."""
    ven = await t.enrol(t.ven)
    answer = await t.ven.post("/resources", {"venID": ven["id"], "resourceName": t.name("resource")})
    answer.expect(201)
    answer.has(clientID=ven["clientID"])
    body = bodies.bl_resource(ven["clientID"], ven["id"], t.name("resource"), targets=["x"])
    answer = await t.bl.post("/resources", {key: value for key, value in body.items() if key != "objectType"})
    answer.expect(201)
    answer.has(targets=["x"])
