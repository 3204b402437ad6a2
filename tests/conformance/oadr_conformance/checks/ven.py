"""VEN: ven objects."""

from __future__ import annotations

from oadr_conformance import bodies
from oadr_conformance.bodies import ATTRIBUTE
from oadr_conformance.kinds import KINDS
from oadr_conformance.probe import Probe
from oadr_conformance.registry import Area
from oadr_conformance.wire import Obj

area = Area("API description: venRequest; Definition: Object names, VEN created object privacy")


@area.check("VEN-001 COMPAT-075", needs="ven")
async def register(t: Probe) -> None:
    """A VEN registers itself: 201 with the clientID of the token and no targets."""
    name = t.name("ven")
    answer = await t.ven.post("/vens", bodies.ven_ven(name))
    answer.expect(201)
    obj = answer.has(venName=name, clientID=t.ven.client_id)
    KINDS["ven"].check_type(answer, obj)
    answer.true(not obj.get("targets"), "no targets", obj.get("targets"))


@area.check("VEN-002 COMPAT-048")
async def enrol(t: Probe) -> None:
    """Business logic creates a ven for a client, with targets."""
    name, client, target = t.name("ven"), t.name("client"), t.name("target")
    answer = await t.bl.post("/vens", bodies.bl_ven(client, name, targets=[target]))
    answer.expect(201)
    obj = answer.has(venName=name, clientID=client, targets=[target])
    KINDS["ven"].check_type(answer, obj)


@area.check("VEN-003 COMPAT-062", needs="ven")
async def one_ven_per_client(t: Probe) -> None:
    """A client has one ven: a second is 409, by business logic as by the VEN itself."""
    ven = await t.enrol(t.ven)
    (await t.bl.post("/vens", bodies.bl_ven(ven["clientID"], t.name("ven")))).expect(409)
    (await t.ven.post("/vens", bodies.ven_ven(t.name("ven")))).expect(409)


@area.check("VEN-004 COMPAT-062")
async def names_are_unique(t: Probe) -> None:
    """A venName is given once: a second is 409."""
    ven = await t.some_ven()
    (await t.bl.post("/vens", bodies.bl_ven(t.name("client"), ven["venName"]))).expect(409, allowed=(400,))


@area.each("VEN-005", {"venName": "venName", "clientID": "clientID"})
async def change_to_a_duplicate(t: Probe, member: str) -> None:
    """PUT that would give a ven another's name or client is 409 and changes nothing."""
    ven, other = await t.some_ven(), await t.some_ven()
    body = bodies.bl_ven(ven["clientID"], ven["venName"]) | {member: other[member]}
    (await t.bl.put(f"/vens/{ven['id']}", body)).expect(409, allowed=(400,))
    answer = await t.bl.get(f"/vens/{ven['id']}")
    answer.same("the ven", answer.expect(200).object(), ven)


@area.check("VEN-006", needs="ven")
async def a_ven_with_the_bl_form(t: Probe) -> None:
    """A VEN that sends the form of business logic is 403."""
    (await t.ven.post("/vens", bodies.bl_ven(t.ven.client_id, t.name("ven")))).expect(403)


@area.check("VEN-006")
async def business_logic_with_the_ven_form(t: Probe) -> None:
    """Business logic that sends the VEN's form is 400: there is no client to bind."""
    (await t.bl.post("/vens", bodies.ven_ven(t.name("ven")))).expect(400)


@area.check("VEN-007 PRIV-002", needs="ven ven2")
async def a_ven_takes_no_targets(t: Probe) -> None:
    """targets and clientID in a VEN's own registration are ignored."""
    body = bodies.ven_ven(t.name("ven"), targets=[t.name("target")], clientID=t.ven2.client_id)
    answer = await t.ven.post("/vens", body)
    if answer.status in {400, 403} and not answer.binding:
        return  # what the schema does not have may be refused
    obj = answer.expect(201).object()
    answer.same("clientID", obj["clientID"], t.ven.client_id)
    answer.true(not obj.get("targets"), "no targets", obj.get("targets"))


@area.check("VEN-008 COMPAT-029", needs="ven")
async def form_of_a_ven_is_inferred(t: Probe) -> None:
    """Without objectType the role of the caller says which form is meant: a VEN registers itself."""
    answer = await t.ven.post("/vens", {"venName": t.name("ven")})
    answer.expect(201)
    answer.has(clientID=t.ven.client_id)


@area.check("VEN-008 COMPAT-029")
async def form_of_business_logic_is_inferred(t: Probe) -> None:
    """Without objectType business logic means its own form."""
    client, target = t.name("client"), t.name("target")
    answer = await t.bl.post("/vens", {"venName": t.name("ven"), "clientID": client, "targets": [target]})
    answer.expect(201)
    answer.has(clientID=client, targets=[target])


@area.check("VEN-008")
async def unknown_form(t: Probe) -> None:
    """An unknown objectType is 400."""
    body = bodies.bl_ven(t.name("client"), t.name("ven"), objectType="PANEL")
    (await t.bl.post("/vens", body)).expect(400)


@area.check("VEN-009", needs="ven")
async def object_type(t: Probe) -> None:
    """Answers say VEN as objectType, whatever form the request had."""
    ven = await t.enrol(t.ven)
    for actor in (t.bl, t.ven):
        answer = await actor.get(f"/vens/{ven['id']}")
        answer.expect(200)
        answer.has(objectType="VEN")


@area.check("VEN-010 COMPAT-075", needs="ven")
async def change_by_the_ven(t: Probe) -> None:
    """A VEN changes name and attributes of its ven; targets and clientID stay."""
    target, name = t.name("target"), t.name("ven")
    ven = await t.enrol(t.ven, targets=[target])
    others = {"targets": ["other"], "clientID": "other"} if t.profile.rulings else {}
    body = bodies.ven_ven(name, attributes=[ATTRIBUTE], **others)
    (await t.ven.put(f"/vens/{ven['id']}", body)).expect(200)
    answer = await t.bl.get(f"/vens/{ven['id']}")
    answer.expect(200)
    answer.has(venName=name, attributes=[ATTRIBUTE], targets=[target], clientID=ven["clientID"])


@area.check("VEN-011")
async def change_by_business_logic(t: Probe) -> None:
    """Business logic replaces everything, also targets and clientID."""
    ven = await t.some_ven(targets=["before"], attributes=[ATTRIBUTE])
    client, target = t.name("client"), t.name("target")
    answer = await t.bl.put(f"/vens/{ven['id']}", bodies.bl_ven(client, ven["venName"], targets=[target]))
    answer.expect(200)
    obj = answer.has(clientID=client, targets=[target])
    answer.true(not obj.get("attributes"), "no attributes", obj.get("attributes"))


@area.check("VEN-012", needs="ven")
async def delete_own(t: Probe) -> None:
    """A VEN may delete its own ven."""
    ven = await t.enrol(t.ven)
    (await t.ven.delete(f"/vens/{ven['id']}")).expect(200)


@area.check("VEN-013 OBJ-014", needs="ven")
async def delete_takes_resources_along(t: Probe) -> None:
    """DELETE of a ven removes its resources; reports and subscriptions of the client stay."""
    ven = await t.enrol(t.ven)
    resource = await t.resource(ven)
    report, subscription = await t.report(t.ven), await t.subscription(t.ven)
    (await t.bl.delete(f"/vens/{ven['id']}")).expect(200)
    (await t.bl.get(f"/resources/{resource['id']}")).expect(404)
    for path in (f"/reports/{report['id']}", f"/subscriptions/{subscription['id']}"):
        (await t.bl.get(path)).expect(200)


@area.check("VEN-014", needs="ven")
async def register_again(t: Probe) -> None:
    """After deletion the client registers again and gets a new id."""
    ven = await t.enrol(t.ven)
    (await t.ven.delete(f"/vens/{ven['id']}")).expect(200)
    answer = await t.ven.post("/vens", bodies.ven_ven(ven["venName"]))
    answer.true(answer.expect(201).object()["id"] != ven["id"], "a new id", ven["id"])


@area.check("VEN-015 PRIV-017", needs="ven ven2")
async def own_only(t: Probe) -> None:
    """A VEN's search gives its own ven or nothing; no filter widens that."""
    answer = await t.ven.get("/vens")
    answer.same("vens before registration", answer.expect(200).json(), [])
    ven, other = await t.enrol(t.ven), await t.enrol(t.ven2, targets=[t.name("target")])
    answer = await t.ven.get("/vens")
    answer.same("the ids", answer.expect(200).ids(), [ven["id"]])
    for query in ({"venName": other["venName"]}, {"targets": other["targets"][0]}):
        answer = await t.ven.get("/vens", query)
        answer.same(f"vens for {query}", answer.expect(200).json(), [])


@area.each("VEN-016", {method: method for method in ("GET", "PUT", "DELETE")}, needs="ven ven2")
async def of_another_client(t: Probe, method: str) -> None:
    """The ven of another client is 404 to a VEN."""
    other = await t.enrol(t.ven2)
    body = bodies.ven_ven(t.name("ven")) if method == "PUT" else None
    (await t.ven.send(method, f"/vens/{other['id']}", body=body)).expect(404, allowed=(403,))
    answer = await t.bl.get(f"/vens/{other['id']}")
    answer.same("the ven", answer.expect(200).object(), other)


@area.check("VEN-017")
async def attributes(t: Probe) -> None:
    """Attributes come back as they were put."""
    ven = await t.some_ven()
    attributes: list[Obj] = [ATTRIBUTE, {"type": "LOCATION", "values": [4.9, 52.4]}]
    answer = await t.bl.put(f"/vens/{ven['id']}", bodies.bl_ven(ven["clientID"], ven["venName"], attributes=attributes))
    answer.expect(200)
    answer.has(attributes=attributes)


@area.check("VEN-018")
async def no_nested_resources(t: Probe) -> None:
    """A ven has no resources inside: ignored in requests, absent from answers."""
    body = bodies.bl_ven(t.name("client"), t.name("ven"), resources=[{"resourceName": "r"}])
    answer = await t.bl.post("/vens", body)
    answer.true("resources" not in answer.expect(201).object(), "no resources", answer.text)


@area.check("VEN-019 PRIV-015", needs="ven")
async def sees_its_targets(t: Probe) -> None:
    """A VEN sees all targets that its ven was granted; nothing is hidden there."""
    targets = [t.name("target"), t.name("target")]
    ven = await t.enrol(t.ven, targets=targets)
    answer = await t.ven.get(f"/vens/{ven['id']}")
    answer.expect(200)
    answer.has(targets=targets)
