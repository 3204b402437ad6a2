"""PROG: programs."""

from __future__ import annotations

from oadr_conformance import bodies
from oadr_conformance.bodies import EVENT_DESCRIPTOR, NOBODYS_ID, REPORT_DESCRIPTOR
from oadr_conformance.moments import from_now
from oadr_conformance.probe import Probe
from oadr_conformance.registry import SHOULD, Area
from oadr_conformance.wire import Obj

area = Area("API description: programRequest; Definition: Object names")


@area.check("PROG-001")
async def create(t: Probe) -> None:
    """A name is all a program needs: 201 with the object."""
    name = t.name("program")
    answer = await t.bl.post("/programs", {"programName": name})
    answer.expect(201)
    answer.has(programName=name, objectType="PROGRAM")


@area.check("PROG-002")
async def duplicate_name(t: Probe) -> None:
    """A second program with the same name is 409 and the first stays as it was."""
    program = await t.program()
    (await t.bl.post("/programs", bodies.program(program["programName"]))).expect(409)
    answer = await t.bl.get(f"/programs/{program['id']}")
    answer.same("the first program", answer.expect(200).object(), program)


@area.check("PROG-003")
async def rename_to_a_taken_name(t: Probe) -> None:
    """PUT with another program's name is 409 and changes nothing."""
    program, other = await t.program(), await t.program()
    (await t.bl.put(f"/programs/{program['id']}", bodies.program(other["programName"]))).expect(409, allowed=(400,))
    answer = await t.bl.get(f"/programs/{program['id']}")
    answer.same("the program", answer.expect(200).object(), program)


@area.check("PROG-003")
async def keep_the_name(t: Probe) -> None:
    """PUT with the program's own name is 200."""
    program = await t.program()
    (await t.bl.put(f"/programs/{program['id']}", bodies.program(program["programName"]))).expect(200)


@area.check("PROG-004")
async def names_differ_by_case(t: Probe) -> None:
    """Names that differ in case only are two names."""
    program = await t.program()
    (await t.bl.post("/programs", bodies.program(program["programName"].upper()))).expect(201)


@area.check("PROG-005")
async def empty_program(t: Probe) -> None:
    """A program without a name is 400."""
    (await t.bl.post("/programs", {})).expect(400)


async def comes_back(t: Probe, members: Obj) -> None:
    """POST and GET return the members as they were sent."""
    answer = await t.bl.post("/programs", bodies.program(t.name("program"), **members))
    obj = answer.expect(201).object()
    answer.has(**members)
    answer = await t.bl.get(f"/programs/{obj['id']}")
    answer.expect(200)
    answer.has(**members)


@area.check("PROG-006")
async def event_descriptor(t: Probe) -> None:
    """Payload descriptors come back member for member."""
    await comes_back(t, {"payloadDescriptors": [EVENT_DESCRIPTOR]})


@area.check("PROG-007")
async def mixed_descriptors(t: Probe) -> None:
    """Event and report descriptors may be mixed in one list; order and kind are kept."""
    await comes_back(t, {"payloadDescriptors": [REPORT_DESCRIPTOR, EVENT_DESCRIPTOR]})


@area.check("PROG-015", SHOULD)
async def attributes(t: Probe) -> None:
    """Long name, retailer, country and the like are carried as attributes."""
    values = {"PROGRAM_LONG_NAME": "Time of use", "COUNTRY": "NL", "BINDING_EVENTS": True}
    await comes_back(t, {"attributes": [{"type": key, "values": [value]} for key, value in values.items()]})


@area.check("PROG-008")
async def give_targets(t: Probe) -> None:
    """PUT may give a program targets."""
    program = await t.program()
    answer = await t.bl.put(f"/programs/{program['id']}", bodies.program(program["programName"], targets=["group1"]))
    answer.expect(200)
    answer.has(targets=["group1"])


@area.check("PROG-009", needs="ven")
async def take_targets_away(t: Probe) -> None:
    """PUT without targets makes a targeted program untargeted, and so visible to every VEN."""
    program = await t.program(targets=[t.name("target")])
    (await t.bl.put(f"/programs/{program['id']}", bodies.program(program["programName"]))).expect(200)
    (await t.ven.get(f"/programs/{program['id']}")).expect(200)


@area.check("PROG-010", needs="ven")
async def a_past_period_hides_nothing(t: Probe) -> None:
    """A program's period is information: it comes back, and a past one hides neither program nor events."""
    period = {"start": "2001-01-01T00:00:00Z", "duration": "PT1H"}
    program = await t.program(intervalPeriod=period)
    answer = await t.ven.get(f"/programs/{program['id']}")
    answer.expect(200)
    answer.has(intervalPeriod=period)
    event = await t.event(program)
    answer = await t.ven.get("/events", {"programID": program["id"], "active": "true"})
    answer.same("the ids of active events", answer.expect(200).ids(), [event["id"]])


@area.check("PROG-010")
async def period_is_not_inherited(t: Probe) -> None:
    """Events do not inherit the period of their program."""
    program = await t.program(intervalPeriod={"start": from_now(hours=1), "duration": "PT1H"})
    answer = await t.bl.post("/events", {"programID": program["id"], "intervals": [bodies.interval()]})
    answer.true("intervalPeriod" not in answer.expect(201).object(), "no intervalPeriod", answer.text)


@area.check("PROG-011 COMPAT-047")
async def descriptors_are_not_copied(t: Probe) -> None:
    """Descriptors of a program are defaults for readers; the VTN does not copy them into events."""
    program = await t.program(payloadDescriptors=[EVENT_DESCRIPTOR])
    answer = await t.bl.post("/events", bodies.event(program["id"]))
    answer.true(not answer.expect(201).object().get("payloadDescriptors"), "no payloadDescriptors", answer.text)


@area.check("PROG-012 OBJ-014", needs="ven")
async def delete_takes_all_along(t: Probe) -> None:
    """DELETE of a program removes its events, their reports and the subscriptions bound to it."""
    program, bystander = await t.program(), await t.program()
    event, other = await t.event(program), await t.event(bystander)
    report = await t.report(t.ven, event)
    bound = await t.subscription(t.ven, programID=program["id"])
    free = await t.subscription(t.ven)
    answer = await t.bl.delete(f"/programs/{program['id']}")
    answer.expect(200)
    answer.has(id=program["id"], programName=program["programName"])
    for path in (f"/events/{event['id']}", f"/reports/{report['id']}", f"/subscriptions/{bound['id']}"):
        (await t.bl.get(path)).expect(404)
    for path in (f"/programs/{bystander['id']}", f"/events/{other['id']}", f"/subscriptions/{free['id']}"):
        (await t.bl.get(path)).expect(200)


@area.check("PROG-013")
async def delete_twice(t: Probe) -> None:
    """DELETE of an unknown or already deleted program is 404."""
    (await t.bl.delete(f"/programs/{NOBODYS_ID}")).expect(404, allowed=(400,))
    program = await t.program()
    (await t.bl.delete(f"/programs/{program['id']}")).expect(200)
    (await t.bl.delete(f"/programs/{program['id']}")).expect(404, allowed=(410,))


@area.each("PROG-014", {method: method for method in ("POST", "PUT", "DELETE")}, needs="ven")
async def vens_write_no_programs(t: Probe, method: str) -> None:
    """A VEN creates, changes and deletes no program: 403."""
    program = await t.program()
    path = "/programs" if method == "POST" else f"/programs/{program['id']}"
    body = None if method == "DELETE" else bodies.program(t.name("program"))
    (await t.ven.send(method, path, body=body)).expect(403, allowed=(401,))
    answer = await t.bl.get(f"/programs/{program['id']}")
    answer.same("the program", answer.expect(200).object(), program)


@area.check("PROG-016")
async def members_of_version_3_0(t: Probe) -> None:
    """programLongName and other members of version 3.0 are ignored."""
    body = bodies.program(t.name("program"), programLongName="x", bindingEvents="?", timeZoneOffset=5)
    answer = await t.bl.post("/programs", body)
    strays = {"programLongName", "bindingEvents", "timeZoneOffset"} & answer.expect(201).object().keys()
    answer.true(not strays, "none of these members", sorted(strays))
