"""REPORT: reports."""

from __future__ import annotations

from oadr_conformance import bodies
from oadr_conformance.bodies import NOBODYS_ID, REPORT_DESCRIPTOR
from oadr_conformance.probe import Probe
from oadr_conformance.registry import Area

area = Area("API description: reportRequest; Definition: VEN created object privacy")


@area.check("REPORT-001 PRIV-002 COMPAT-048", needs="ven")
async def create(t: Probe) -> None:
    """A VEN reports for an event: 201 with the clientID of the caller."""
    await t.ready(t.ven)
    event, resources = await t.event(), [bodies.reported()]
    body = {"eventID": event["id"], "clientName": "conformance", "resources": resources}
    answer = await t.ven.post("/reports", body)
    answer.expect(201)
    answer.has(objectType="REPORT", eventID=event["id"], clientID=t.ven.client_id, resources=resources)


@area.check("REPORT-001", needs="ven")
async def nothing_to_report(t: Probe) -> None:
    """A report may have no resources."""
    event = await t.event()
    answer = await t.ven.post("/reports", bodies.report(event["id"], resources=[]))
    answer.expect(201)
    answer.has(resources=[])


@area.check("REPORT-002 COMPAT-028", needs="ven ven2")
async def client_of_the_token(t: Probe) -> None:
    """A clientID in the body is replaced by that of the token."""
    await t.ready(t.ven)
    event = await t.event()
    answer = await t.ven.post("/reports", bodies.report(event["id"], clientID=t.ven2.client_id))
    answer.expect(201, allowed=(400, 403))  # what the schema does not have may be refused
    if answer.status == 201:
        answer.has(clientID=t.ven.client_id)


@area.check("REPORT-003", needs="ven")
async def business_logic_writes_none(t: Probe) -> None:
    """Business logic writes no reports: POST and PUT are 403."""
    report = await t.report(t.ven)
    (await t.bl.post("/reports", bodies.report(report["eventID"]))).expect(403, allowed=(401,))
    path = f"/reports/{report['id']}"
    (await t.bl.put(path, bodies.report(report["eventID"]))).expect(403, allowed=(401,))


@area.check("REPORT-004 CONF-005", needs="ven")
async def business_logic_deletes(t: Probe) -> None:
    """Business logic deletes no reports (403) unless the VTN is configured so."""
    report = await t.report(t.ven)
    (await t.bl.delete(f"/reports/{report['id']}")).expect(200 if t.profile.bl_may_delete else 403)


@area.check("REPORT-005", needs="ven")
async def unknown_event(t: Probe) -> None:
    """A report for an unknown event is 400 naming eventID; for an event the VEN may not see, with the same text."""
    unknown = await t.ven.post("/reports", bodies.report(NOBODYS_ID))
    detail = str(unknown.expect(400).object().get("detail"))
    unknown.true("eventID" in detail, "a detail that names eventID", detail)
    hidden = await t.event(targets=[t.name("target")])
    answer = await t.ven.post("/reports", bodies.report(hidden["id"]))
    got = str(answer.expect(400).object().get("detail")).replace(hidden["id"], NOBODYS_ID)
    answer.same("the detail for a hidden event", got, detail)


@area.check("REPORT-006", needs="ven")
async def not_asked_for(t: Probe) -> None:
    """A report for an event that asks for none is accepted."""
    event = await t.event()
    (await t.ven.post("/reports", bodies.report(event["id"]))).expect(201)


@area.check("REPORT-007", needs="ven")
async def same_report_twice(t: Probe) -> None:
    """The same report twice is 201 both times, as two objects."""
    first = await t.report(t.ven, reportName="battery")
    answer = await t.ven.post("/reports", bodies.report(first["eventID"], reportName="battery"))
    answer.true(answer.expect(201).object()["id"] != first["id"], "a second report", first["id"])


@area.each("REPORT-008 PRIV-017", {method: method for method in ("GET", "PUT", "DELETE")}, needs="ven ven2")
async def of_another_client(t: Probe, method: str) -> None:
    """A report of another client is 404 to a VEN, and stays as it was."""
    report = await t.report(t.ven)
    body = bodies.report(report["eventID"]) if method == "PUT" else None
    (await t.ven2.send(method, f"/reports/{report['id']}", body=body)).expect(404, allowed=(403,))
    answer = await t.bl.get(f"/reports/{report['id']}")
    answer.same("the report", answer.expect(200).object(), report)


@area.check("REPORT-009", needs="ven")
async def change(t: Probe) -> None:
    """The owner changes its report; clientID stays."""
    report = await t.report(t.ven)
    other = {"clientID": "somebody"} if t.profile.rulings else {}
    body = bodies.report(report["eventID"], reportName="changed", **other)
    answer = await t.ven.put(f"/reports/{report['id']}", body)
    answer.expect(200)
    answer.has(reportName="changed", clientID=report["clientID"])


@area.each("REPORT-010", {"resourceName": "resourceName", "intervals": "intervals"}, needs="ven")
async def incomplete_resource(t: Probe, member: str) -> None:
    """An entry of resources without resourceName or intervals is 400."""
    await t.ready(t.ven)
    event = await t.event()
    entry = {key: value for key, value in bodies.reported().items() if key != member}
    (await t.ven.post("/reports", bodies.report(event["id"], resources=[entry]))).expect(400)


@area.check("REPORT-010", needs="ven")
async def unknown_resource_name(t: Probe) -> None:
    """Resource names in reports refer to nothing: unknown ones and AGGREGATED_REPORT are accepted."""
    event = await t.event()
    entries = [{"resourceName": name, "intervals": []} for name in (t.name("r"), "AGGREGATED_REPORT")]
    answer = await t.ven.post("/reports", bodies.report(event["id"], resources=entries))
    answer.expect(201)
    answer.has(resources=entries)


@area.check("REPORT-011", needs="ven")
async def descriptors_inside_resources(t: Probe) -> None:
    """payloadDescriptors inside an entry of resources are unknown there and dropped."""
    event = await t.event()
    entry = {"resourceName": "r", "intervals": []}
    body = bodies.report(event["id"], resources=[entry | {"payloadDescriptors": [REPORT_DESCRIPTOR]}])
    answer = await t.ven.post("/reports", body)
    answer.expect(201)
    answer.has(resources=[entry])


@area.check("REPORT-012 PRIV-017", needs="ven ven2")
async def who_lists_what(t: Probe) -> None:
    """A VEN's search gives its own reports, that of business logic all of them."""
    event = await t.event()
    mine, other = await t.report(t.ven, event), await t.report(t.ven2, event)
    answer = await t.ven.get("/reports", {"eventID": event["id"]})
    answer.same("the ids for the VEN", answer.expect(200).ids(), [mine["id"]])
    answer = await t.bl.get("/reports", {"eventID": event["id"]})
    answer.same("the ids for BL", sorted(answer.expect(200).ids()), sorted([mine["id"], other["id"]]))


@area.check("REPORT-013", needs="ven")
async def move(t: Probe) -> None:
    """A report may be moved to another event the VEN sees, but not to an unknown or hidden one (400)."""
    report, event = await t.report(t.ven), await t.event()
    hidden = await t.event(targets=[t.name("target")])
    answer = await t.ven.put(f"/reports/{report['id']}", bodies.report(event["id"]))
    answer.expect(200)
    answer.has(eventID=event["id"])
    for nowhere in (NOBODYS_ID, hidden["id"]):
        (await t.ven.put(f"/reports/{report['id']}", bodies.report(nowhere))).expect(400)


@area.check("REPORT-015", needs="ven")
async def of_a_program(t: Probe) -> None:
    """A search with programID gives exactly the reports whose event belongs to the program."""
    program = await t.program()
    first, second = await t.event(program), await t.event(program)
    wanted = [await t.report(t.ven, first), await t.report(t.ven, second)]
    await t.report(t.ven)
    answer = await t.bl.get("/reports", {"programID": program["id"]})
    answer.same("the ids", sorted(answer.expect(200).ids()), sorted(report["id"] for report in wanted))
