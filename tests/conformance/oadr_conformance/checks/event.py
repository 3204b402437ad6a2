"""EVT: events."""

from __future__ import annotations

from typing import Any

from oadr_conformance import bodies
from oadr_conformance.bodies import NOBODYS_ID
from oadr_conformance.moments import from_now
from oadr_conformance.probe import Probe
from oadr_conformance.registry import Area
from oadr_conformance.wire import Obj

area = Area("API description: eventRequest; User Guide 7 and 8")


@area.check("EVT-001 COMPAT-040")
async def create(t: Probe) -> None:
    """A program, a period and an interval make an event: 201 with the object."""
    program, period = await t.program(), bodies.period()
    intervals = [{"id": 0, "payloads": [{"type": "PRICE", "values": [1.5]}]}]
    body = {"programID": program["id"], "intervalPeriod": period, "intervals": intervals}
    answer = await t.bl.post("/events", body)
    answer.expect(201)
    answer.has(objectType="EVENT", programID=program["id"], intervalPeriod=period, intervals=intervals)


SPARSE: dict[str, Obj] = {
    "neither": {},
    "no period": {"intervals": [bodies.interval()]},
    "no intervals": {"intervalPeriod": bodies.PERIOD},
    "no duration": {"intervalPeriod": {"start": "2030-01-01T00:00:00Z"}, "intervals": [bodies.interval()]},
}


@area.each("EVT-002", SPARSE)
async def create_without(t: Probe, members: Obj) -> None:
    """An event needs neither intervals nor a period."""
    program = await t.program()
    (await t.bl.post("/events", {"programID": program["id"], **members})).expect(201)


@area.check("EVT-003 CONF-005")
async def unknown_program(t: Probe) -> None:
    """An event of an unknown program is 400, and the detail names programID."""
    answer = await t.bl.post("/events", bodies.event(NOBODYS_ID))
    detail = str(answer.expect(400).object().get("detail"))
    answer.true("programID" in detail, "a detail that names programID", detail)


@area.check("EVT-004")
async def no_program(t: Probe) -> None:
    """An event without programID is 400."""
    body = {"intervalPeriod": bodies.period(), "intervals": [bodies.interval()]}
    (await t.bl.post("/events", body)).expect(400)


@area.check("EVT-005")
async def same_name_twice(t: Probe) -> None:
    """Event names need not be unique: two events of one name are both 201."""
    event = await t.event(eventName="peak")
    body = bodies.event(event["programID"], eventName="peak", intervals=[bodies.interval(0, 0.25)])
    (await t.bl.post("/events", body)).expect(201)


@area.each("EVT-006", {"negative": -1, "a fraction": 1.5, "a text": "1"})
async def bad_priority(t: Probe, priority: object) -> None:
    """A priority is a whole number of 0 or more; anything else is 400."""
    program = await t.program()
    (await t.bl.post("/events", bodies.event(program["id"], priority=priority))).expect(400)


@area.each("EVT-006", {"0": 0, "1": 1, "null": None})
async def good_priority(t: Probe, priority: int | None) -> None:
    """Priority 0 is the highest; no priority is allowed."""
    program = await t.program()
    answer = await t.bl.post("/events", bodies.event(program["id"], priority=priority))
    answer.same("priority", answer.expect(201).object().get("priority"), priority)


@area.each("EVT-007", {"id": "id", "payloads": "payloads"})
async def incomplete_interval(t: Probe, member: str) -> None:
    """An interval without id or without payloads is 400."""
    program = await t.program()
    interval = {key: value for key, value in bodies.interval().items() if key != member}
    (await t.bl.post("/events", bodies.event(program["id"], intervals=[interval]))).expect(400)


EMPTY: dict[str, list[Obj]] = {"no intervals": [], "no payloads": [{"id": 0, "payloads": []}]}


@area.each("EVT-007", EMPTY)
async def empty_lists(t: Probe, intervals: list[Obj]) -> None:
    """intervals: [] and payloads: [] are accepted, for events that only ask for reports."""
    program = await t.program()
    answer = await t.bl.post("/events", bodies.event(program["id"], intervals=intervals))
    answer.same("intervals", answer.expect(201).object().get("intervals", []), intervals)


@area.check("EVT-008")
async def odd_interval_ids(t: Probe) -> None:
    """Interval ids are the client's: duplicate, negative and unordered ones come back as sent."""
    program = await t.program()
    intervals = [bodies.interval(number) for number in (7, -3, 7, 0, 2**31 - 1)]
    answer = await t.bl.post("/events", bodies.event(program["id"], intervals=intervals))
    answer.same("intervals", answer.expect(201).object()["intervals"], intervals)


@area.check("EVT-009")
async def two_prices(t: Probe) -> None:
    """Two price intervals come back with their ids and values."""
    program = await t.program()
    intervals = [bodies.interval(0, 0.15), bodies.interval(1, 0.25)]
    event = await t.event(program, intervals=intervals)
    answer = await t.bl.get(f"/events/{event['id']}")
    answer.same("intervals", answer.expect(200).object()["intervals"], intervals)


@area.check("EVT-010")
async def change(t: Probe) -> None:
    """PUT changes name and intervals."""
    event = await t.event(eventName="before")
    intervals = [bodies.interval(3, 0.5)]
    body = bodies.event(event["programID"], eventName="after", intervals=intervals)
    answer = await t.bl.put(f"/events/{event['id']}", body)
    answer.expect(200)
    answer.has(eventName="after", intervals=intervals)
    answer = await t.bl.get(f"/events/{event['id']}")
    answer.expect(200)
    answer.has(eventName="after", intervals=intervals)


@area.check("EVT-010")
async def move(t: Probe) -> None:
    """PUT may move an event to another program, but not to an unknown one (400)."""
    event, program = await t.event(), await t.program()
    answer = await t.bl.put(f"/events/{event['id']}", bodies.event(program["id"]))
    moved = answer.expect(200).object()
    answer.has(programID=program["id"])
    (await t.bl.put(f"/events/{event['id']}", bodies.event(NOBODYS_ID))).expect(400, allowed=(404, 409))
    answer = await t.bl.get(f"/events/{event['id']}")
    answer.same("the event after the refused PUT", answer.expect(200).object(), moved)


@area.check("EVT-011")
async def change_an_unknown_one(t: Probe) -> None:
    """PUT of a valid body to an unknown event is 404."""
    program = await t.program()
    (await t.bl.put(f"/events/{NOBODYS_ID}", bodies.event(program["id"]))).expect(404, allowed=(400,))


@area.check("EVT-012", needs="ven")
async def delete(t: Probe) -> None:
    """DELETE returns the event and removes its reports."""
    event = await t.event()
    report, other = await t.report(t.ven, event), await t.report(t.ven)
    answer = await t.bl.delete(f"/events/{event['id']}")
    answer.same("the body", answer.expect(200).object(), event)
    (await t.bl.get(f"/reports/{report['id']}")).expect(404)
    (await t.bl.get(f"/reports/{other['id']}")).expect(200)


@area.check("EVT-013")
async def of_one_program(t: Probe) -> None:
    """A search with programID gives the events of that program only."""
    event = await t.event()
    await t.event()
    answer = await t.bl.get("/events", {"programID": event["programID"]})
    answer.same("the ids", answer.expect(200).ids(), [event["id"]])


@area.each("EVT-014", {method: method for method in ("POST", "PUT", "DELETE")}, needs="ven")
async def vens_write_no_events(t: Probe, method: str) -> None:
    """A VEN creates, changes and deletes no event: 403."""
    event = await t.event()
    path = "/events" if method == "POST" else f"/events/{event['id']}"
    body = None if method == "DELETE" else bodies.event(event["programID"])
    (await t.ven.send(method, path, body=body)).expect(403, allowed=(401,))
    answer = await t.bl.get(f"/events/{event['id']}")
    answer.same("the event", answer.expect(200).object(), event)


PLACES: dict[str, Any] = {
    "event duration": {"duration": "1H"},
    "start": {"intervalPeriod": {"start": "tomorrow"}},
    "duration": {"intervalPeriod": {"start": "2030-01-01T00:00:00Z", "duration": "1 hour"}},
    "randomizeStart": {"intervalPeriod": {"randomizeStart": "5M"}},
    "start of an interval": {"intervals": [bodies.interval(intervalPeriod={"start": "2030-13-01T00:00:00Z"})]},
    "duration of an interval": {"intervals": [bodies.interval(intervalPeriod={"duration": "PT"})]},
    "randomizeStart of an interval": {"intervals": [bodies.interval(intervalPeriod={"randomizeStart": "P"})]},
}


@area.each("EVT-015", PLACES)
async def malformed_times(t: Probe, members: Obj) -> None:
    """A malformed duration or instant anywhere in an event is 400."""
    program = await t.program()
    (await t.bl.post("/events", bodies.event(program["id"]) | members)).expect(400)


def _at(start: str, duration: str = "PT1H") -> Obj:
    return {"start": start, "duration": duration}


ODD_TIMES: dict[str, list[Obj]] = {
    "overlapping": [bodies.interval(i, intervalPeriod=_at("2030-01-01T00:00:00Z")) for i in (0, 1)],
    "gapped": [bodies.interval(i, intervalPeriod=_at(f"2030-01-0{i + 1}T00:00:00Z")) for i in (0, 1)],
    "past": [bodies.interval(0, intervalPeriod=_at("2001-01-01T00:00:00Z"))],
    "backwards": [bodies.interval(i, intervalPeriod=_at(f"2030-01-0{9 - i}T00:00:00Z")) for i in (0, 1)],
}


@area.each("EVT-016", ODD_TIMES)
async def odd_times(t: Probe, intervals: list[Obj]) -> None:
    """Times are not checked against each other: overlapping, gapped and past intervals are stored as sent."""
    program = await t.program()
    answer = await t.bl.post("/events", bodies.event(program["id"], intervals=intervals))
    answer.same("intervals", answer.expect(201).object()["intervals"], intervals)


@area.check("EVT-017")
async def misspelled_report_request(t: Probe) -> None:
    """A report descriptor without payloadType, for instance with payLoadType instead, is 400."""
    program = await t.program()
    body = bodies.event(program["id"], reportDescriptors=[{"payLoadType": "USAGE"}])
    (await t.bl.post("/events", body)).expect(400)


@area.check("EVT-019")
async def cancel(t: Probe) -> None:
    """Cancelling an event by PUT to the beginning of time with PT0S is an ordinary change; it is then over."""
    event = await t.event(intervalPeriod=_at(from_now(hours=1)))
    period = _at("0001-01-01", "PT0S")
    answer = await t.bl.put(f"/events/{event['id']}", bodies.event(event["programID"], intervalPeriod=period))
    answer.expect(200)
    answer.has(intervalPeriod=period)
    answer = await t.bl.get("/events", {"programID": event["programID"], "active": "true"})
    answer.same("the active events", answer.expect(200).json(), [])


@area.check("EVT-020", needs="ven", section="Definition: Target hiding")
async def targets_of_report_requests(t: Probe) -> None:
    """Targets of report descriptors come back to business logic as written and to a VEN reduced to those it holds."""
    mine, other = t.name("target"), t.name("target")
    await t.enrol(t.ven, targets=[mine])
    event = await t.event(reportDescriptors=[{"payloadType": "USAGE", "targets": [other, mine]}])
    answer = await t.bl.get(f"/events/{event['id']}")
    answer.same("targets for BL", answer.expect(200).object()["reportDescriptors"][0]["targets"], [other, mine])
    answer = await t.ven.get(f"/events/{event['id']}")
    answer.same("targets for the VEN", answer.expect(200).object()["reportDescriptors"][0].get("targets"), [mine])
