"""Programs, events and reports on 3.0.1 beside 3.1: one store, two faces."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.vtn.harness import VtnUnderTest, unique

HOUR = {"start": "2026-07-01T00:00:00Z", "duration": "PT1H"}
INTERVALS = [{"id": 0, "payloads": [{"type": "PRICE", "values": [0.10]}]}]
GROUPS = [{"type": "GROUP", "values": ["north", "south"]}, {"type": "SERVICE_AREA", "values": ["north"]}]


def members(found: Any) -> Any:
    """An object without what the VTN writes."""
    written = {"id", "createdDateTime", "modificationDateTime", "objectType"}
    return {name: value for name, value in found.items() if name not in written}


async def test_a_program_has_members_for_what_the_core_calls_attributes(vtn: VtnUnderTest) -> None:
    """V301-010, V301-011: in both directions; the offset of the zone is a private attribute."""
    business = vtn.bl
    program = {
        "programName": unique("program"),
        "programLongName": "Time of use",
        "retailerName": "ACME",
        "retailerLongName": "ACME Electric",
        "programType": "PRICING_TARIFF",
        "country": "US",
        "principalSubdivision": "CO",
        "timeZoneOffset": "PT7H",
        "bindingEvents": False,
        "localPrice": True,
    }

    made = (await business.on_301.post("/programs", program)).ok(201)

    assert members(made) == program
    assert members((await business.on_301.get(f"/programs/{made['id']}")).ok()) == program
    shown = (await business.get(f"/programs/{made['id']}")).ok()
    assert shown["attributes"] == [
        {"type": "PROGRAM_LONG_NAME", "values": ["Time of use"]},
        {"type": "RETAILER_NAME", "values": ["ACME"]},
        {"type": "RETAILER_LONG_NAME", "values": ["ACME Electric"]},
        {"type": "PROGRAM_TYPE", "values": ["PRICING_TARIFF"]},
        {"type": "COUNTRY", "values": ["US"]},
        {"type": "PRINCIPAL_SUBDIVISION", "values": ["CO"]},
        {"type": "TIME_ZONE_OFFSET", "values": ["PT7H"]},
        {"type": "BINDING_EVENTS", "values": [False]},
        {"type": "LOCAL", "values": [True]},
    ]
    other = await business.program(attributes=shown["attributes"])
    of_31 = members((await business.on_301.get(f"/programs/{other['id']}")).ok())
    assert of_31 == program | {"programName": other["programName"]}


async def test_attributes_without_a_member_outlast_a_put_on_301(vtn: VtnUnderTest) -> None:
    """V301-012, V301-017: they are no members of 3.0.1; `attributes`, an extension there, shows and replaces them."""
    business = vtn.bl
    private = [{"type": "X_TARIFF", "values": ["A", 2]}, {"type": "COUNTRY", "values": ["US", "CA"]}]
    program = await business.program(attributes=[*private, {"type": "PROGRAM_TYPE", "values": ["OLD"]}])
    path, name = f"/programs/{program['id']}", program["programName"]

    shown = (await business.on_301.get(path)).ok()
    put = (await business.on_301.put(path, {"programName": name, "programType": "NEW"})).ok()

    assert shown["attributes"] == private
    assert shown["programType"] == "OLD"
    assert "country" not in shown
    assert (put["attributes"], put["programType"]) == (private, "NEW")
    stored = (await business.get(path)).ok()["attributes"]
    assert stored == [{"type": "PROGRAM_TYPE", "values": ["NEW"]}, *private]
    (await business.on_301.put(path, {"programName": name, "attributes": private[:1]})).ok()
    assert (await business.get(path)).ok()["attributes"] == private[:1]


async def test_targets_have_types_on_301_and_are_plain_on_31(vtn: VtnUnderTest) -> None:
    """V301-001, V301-002, V301-003, V301-006: one record for each type and value, each value once on 3.1."""
    business = vtn.bl
    program = await business.program()
    targets = [*GROUPS, {"type": "x-private", "values": [7, 1.50, True, "7"]}]
    event = {"programID": program["id"], "targets": targets, "intervals": INTERVALS}

    made = (await business.on_301.post("/events", event)).ok(201)

    assert made["targets"] == targets
    assert (await business.on_301.get(f"/events/{made['id']}")).ok()["targets"] == targets
    assert (await business.get(f"/events/{made['id']}")).ok()["targets"] == ["north", "south", "7", "1.5", "true"]
    plain = await business.event(program, targets=["north", "b"])
    assert (await business.on_301.get(f"/events/{plain['id']}")).ok()["targets"] == [
        {"type": "GROUP", "values": ["north", "b"]}
    ]


async def test_a_put_on_31_keeps_the_types_of_values_that_it_keeps(vtn: VtnUnderTest) -> None:
    """V301-004."""
    business = vtn.bl
    program = (await business.on_301.post("/programs", {"programName": unique("program"), "targets": GROUPS})).ok(201)
    path = f"/programs/{program['id']}"

    (await business.put(path, {"programName": program["programName"], "targets": ["new", "north"]})).ok()

    assert (await business.on_301.get(path)).ok()["targets"] == [
        {"type": "GROUP", "values": ["new", "north"]},
        {"type": "SERVICE_AREA", "values": ["north"]},
    ]
    (await business.put(path, {"programName": program["programName"], "targets": ["other"]})).ok()
    assert (await business.on_301.get(path)).ok()["targets"] == [{"type": "GROUP", "values": ["other"]}]


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ([("targetType", "GROUP"), ("targetValues", "a"), ("targetValues", "none")], {"typed", "plain"}),
        ([("targetType", "GROUP")], {"typed", "plain"}),
        ([("targetType", "VEN_NAME"), ("targetValues", "a")], {"named"}),
        ([("targetType", "VEN_NAME")], {"named"}),
        ([("targetType", "OTHER"), ("targetValues", "a")], set()),
        ([("targetValues", "a")], {"typed", "plain", "named"}),
        ([("targetType", "x"), ("targetValues", "7")], {"numbered"}),
        ([("targetValues", "7")], {"numbered"}),
        ([("targets", "a"), ("active", "maybe")], {"typed", "plain", "named", "numbered", "open"}),
    ],
)
async def test_target_filters(vtn: VtnUnderTest, parameters: list[tuple[str, str]], expected: set[str]) -> None:
    """V301-005, V301-033: by type, by value, or both; `targets` and `active` are nothing to 3.0.1."""
    business = vtn.bl
    program = await business.program()
    for name, targets in (
        ("typed", [{"type": "GROUP", "values": ["a", "b"]}]),
        ("named", [{"type": "VEN_NAME", "values": ["a"]}]),
        ("numbered", [{"type": "x", "values": [7]}]),
        ("open", None),
    ):
        event = {"programID": program["id"], "eventName": name, "targets": targets, "intervals": []}
        (await business.on_301.post("/events", event)).ok(201)
    await business.event(program, eventName="plain", targets=["a"])

    found = (await business.on_301.get("/events", parameters)).ok()

    assert {event["eventName"] for event in found} == expected


async def test_a_filter_tells_a_ven_nothing_of_targets_that_it_does_not_hold(vtn: VtnUnderTest) -> None:
    """V301-005, V301-007: it finds what it could see anyway, by what it is shown of it."""
    business, home = vtn.bl, vtn.home()
    await business.ven_for(home, ["mine"])
    program = await business.program()
    for name, values in (("both", ["mine", "hidden"]), ("other", ["hidden"])):
        targets = [{"type": "GROUP", "values": values}]
        event = {"programID": program["id"], "eventName": name, "targets": targets, "intervals": []}
        (await business.on_301.post("/events", event)).ok(201)

    async def found(**parameters: str) -> list[str]:
        return [one["eventName"] for one in (await home.on_301.get("/events", parameters)).ok()]

    assert await found() == ["both"]
    assert await found(targetType="GROUP") == ["both"]
    assert await found(targetValues="mine") == ["both"]
    assert await found(targetType="GROUP", targetValues="hidden") == []
    assert await found(targetValues="hidden") == []
    (shown,) = (await home.on_301.get("/events")).ok()
    assert shown["targets"] == [{"type": "GROUP", "values": ["mine"]}]


@pytest.mark.parametrize(
    ("path", "document", "member"),
    [
        ("/events", {"programID": "p"}, "intervals: required"),
        (
            "/events",
            {"programID": "p", "intervals": [], "intervalPeriod": {"duration": "PT1H"}},
            "intervalPeriod.start",
        ),
        (
            "/events",
            {"programID": "p", "intervals": [{"id": 0, "payloads": [], "intervalPeriod": {"duration": "PT1H"}}]},
            "intervals[0].intervalPeriod.start",
        ),
        ("/programs", {"programName": "x", "targets": ["a"]}, "targets[0]"),
        ("/programs", {"programName": "x", "targets": [{"type": "GROUP", "values": []}]}, "targets[0].values"),
        ("/programs", {"programName": "x", "targets": [{"type": "G", "values": [""]}]}, "targets[0].values[0]"),
        ("/programs", {"programName": "x", "timeZoneOffset": "7h"}, "timeZoneOffset"),
    ],
)
async def test_what_301_demands(vtn: VtnUnderTest, path: str, document: Any, member: str) -> None:
    """V301-013, V301-015: the answer names the member."""
    assert (await vtn.bl.on_301.post(path, document)).problem(400).startswith(member)


async def test_reports_and_subscriptions_name_their_program(vtn: VtnUnderTest) -> None:
    """V301-013, V301-023, V301-024: 400 without or with another; it comes from the event; no client is shown."""
    business, home = vtn.bl, vtn.home()
    program, other = await business.program(), await business.program()
    event = await business.event(program)
    report = {"eventID": event["id"], "clientName": "meter", "resources": []}

    assert (await home.on_301.post("/reports", report)).problem(400) == "programID: required, but missing"
    wrong = report | {"programID": other["id"]}
    assert (await home.on_301.post("/reports", wrong)).problem(400) == "programID: the event is not of this program"
    entries = [{"objects": ["EVENT"], "operations": ["POST"], "callbackUrl": "https://a.example/"}]
    subscription = {"clientName": "x", "objectOperations": entries}
    assert (await home.on_301.post("/subscriptions", subscription)).problem(400) == "programID: required, but missing"

    made = (await home.on_301.post("/reports", report | {"programID": program["id"]})).ok(201)
    path = f"/reports/{made['id']}"
    assert members(made) == report | {"programID": program["id"]}
    assert (await home.on_301.put(path, wrong)).problem(400) == "programID: the event is not of this program"
    shown = (await home.get(path)).ok()
    assert shown["clientID"] == home.client_id
    assert "programID" not in shown
    moved = {"programID": other["id"], "intervals": []}
    (await business.put(f"/events/{event['id']}", moved)).ok()
    assert (await home.on_301.get(path)).ok()["programID"] == other["id"]
    assert [one["programID"] for one in (await home.on_301.get("/reports")).ok()] == [other["id"]]
    assert (await home.on_301.delete(path)).ok()["programID"] == other["id"]


async def test_an_event_always_has_intervals_and_periods_always_start(vtn: VtnUnderTest) -> None:
    """V301-014, V301-016: a start that is not stored is where the intervals before it end."""
    business = vtn.bl
    program = await business.program()
    bare = await business.event(program)
    two_hours = {"duration": "PT2H"}
    event = await business.event(
        program,
        intervalPeriod=HOUR,
        intervals=[{"id": number, "intervalPeriod": two_hours, "payloads": []} for number in range(3)],
    )
    now = await business.event(
        program,
        intervalPeriod={"duration": "PT1H"},
        intervals=[{"id": 0, "payloads": []}, {"id": 1, "intervalPeriod": two_hours, "payloads": []}],
    )

    assert (await business.on_301.get(f"/events/{bare['id']}")).ok()["intervals"] == []
    shown = (await business.on_301.get(f"/events/{event['id']}")).ok()
    assert shown["intervalPeriod"] == HOUR
    assert [one["intervalPeriod"] for one in shown["intervals"]] == [
        {"start": f"2026-07-01T0{hour}:00:00.000Z", "duration": "PT2H"} for hour in (0, 2, 4)
    ]
    shown = (await business.on_301.get(f"/events/{now['id']}")).ok()
    assert shown["intervalPeriod"] == {"start": "0001-01-01T00:00:00Z", "duration": "PT1H"}
    second = datetime.fromisoformat(shown["intervals"][1]["intervalPeriod"]["start"])
    assert second - datetime.fromisoformat(shown["modificationDateTime"]) == timedelta(hours=1)


async def test_times_of_301_are_kept(vtn: VtnUnderTest) -> None:
    """V301-017, V301-019, V301-020, V301-021, V301-022: no infinity is guessed, and zero is the beginning of time."""
    business = vtn.bl
    program = await business.program()
    event = {
        "programID": program["id"],
        "duration": "P9999Y",
        "intervalPeriod": {"start": "0000-00-00", "duration": "PT0S"},
        "payloadDescriptors": [{"payloadType": "PRICE"}],
        "reportDescriptors": [{"payloadType": "USAGE", "reportIntervals": "INTERVALS"}],
        "intervals": [
            {"id": 0, "intervalPeriod": {"start": "0000-00-00T00:00:00Z", "duration": "P9999Y"}, "payloads": []}
        ],
    }
    begun = "0001-01-01T00:00:00Z"

    made = (await business.on_301.post("/events", event)).ok(201)

    for shown in (made, (await business.get(f"/events/{made['id']}")).ok()):
        assert shown["intervalPeriod"] == {"start": begun, "duration": "PT0S"}
        assert shown["intervals"][0]["intervalPeriod"] == {"start": begun, "duration": "P9999Y"}
        assert shown["duration"] == "P9999Y"
        assert shown["reportDescriptors"][0]["reportIntervals"] == "INTERVALS"
        assert shown["payloadDescriptors"] == [{"objectType": "EVENT_PAYLOAD_DESCRIPTOR", "payloadType": "PRICE"}]


async def test_targets_of_report_descriptors_have_types_too(vtn: VtnUnderTest) -> None:
    """V301-001, V301-002: whichever of them a reader may see."""
    business, home = vtn.bl, vtn.home()
    await business.ven_for(home, ["a"])
    program = await business.program()
    descriptors = [
        {"payloadType": "USAGE", "targets": [{"type": "VEN_NAME", "values": ["b"]}]},
        {"payloadType": "DEMAND"},
        {"payloadType": "BASELINE", "targets": [{"type": "VEN_NAME", "values": ["a"]}, {"type": "X", "values": ["b"]}]},
    ]
    event = {"programID": program["id"], "reportDescriptors": descriptors, "intervals": []}

    made = (await business.on_301.post("/events", event)).ok(201)

    assert made["reportDescriptors"] == descriptors
    assert "targets" not in made
    path = f"/events/{made['id']}"
    assert (await business.on_301.get(path)).ok()["reportDescriptors"] == descriptors
    assert [one.get("targets") for one in (await business.get(path)).ok()["reportDescriptors"]] == [
        ["b"],
        None,
        ["a", "b"],
    ]
    assert (await home.on_301.get(path)).ok()["reportDescriptors"] == [
        {"payloadType": "DEMAND"},
        {"payloadType": "BASELINE", "targets": [{"type": "VEN_NAME", "values": ["a"]}]},
    ]


async def test_what_301_does_not_have_is_not_there(vtn: VtnUnderTest) -> None:
    """V301-037."""
    for path in ("/auth/server", "/notifiers", "/notifiers/mqtt/topics/programs", "/resources", "/resource_groups"):
        (await vtn.bl.on_301.get(path)).problem(404)


async def test_pages_are_those_of_31(vtn: VtnUnderTest) -> None:
    """V301-039."""
    business = vtn.bl
    made = [(await business.program())["id"] for _ in range(3)]

    assert await business.on_301.ids("/programs", {"skip": "1", "limit": "1"}) == [made[1]]
    assert await business.on_301.ids("/programs", {"limit": "0"}) == []
    assert (await business.on_301.get("/programs", {"limit": "51"})).problem(400).startswith("limit")


async def test_answers_are_cached_and_tagged_on_both_faces(vtn: VtnUnderTest) -> None:
    """ETAG-001 … ETAG-004 on 3.0.1: a write on either face makes both change."""
    business = vtn.bl
    program = await business.program()
    path = f"/programs/{program['id']}"
    first = await business.on_301.get(path)
    other = await business.get(path)
    assert first.headers["ETag"] != other.headers["ETag"]
    assert (await business.on_301.get(path, if_none_match=first.headers["ETag"])).status == 304
    stale = first.headers["ETag"]

    document = {"programName": program["programName"], "country": "NO"}
    put = await business.on_301.ask("PUT", path, json=document, headers={"If-Match": stale})

    assert put.ok()["country"] == "NO"
    assert put.headers["ETag"] == (await business.on_301.get(path)).headers["ETag"]
    assert (await business.on_301.get(path, if_none_match=stale)).ok()["country"] == "NO"
    (await business.on_301.ask("PUT", path, json=document, headers={"If-Match": stale})).problem(412)
    (await business.put(path, {"programName": program["programName"]})).ok()
    assert "country" not in (await business.on_301.get(path)).ok()
