"""Programs over HTTP (PROG)."""

from __future__ import annotations

from tests.vtn.harness import VtnUnderTest, unique
from vtn.store.stamps import stamp


async def test_business_logic_makes_a_program(vtn: VtnUnderTest) -> None:
    """PROG-001, MATRIX-004, MATRIX-005, GEN-018: the answer is the whole object with its metadata."""
    answer = await vtn.bl.post("/programs", {"programName": "P"})

    program = answer.ok(201)
    assert program["objectType"] == "PROGRAM"
    assert program["programName"] == "P"
    assert program["targets"] == []
    assert program["createdDateTime"] == program["modificationDateTime"] == stamp(vtn.now.at)
    assert answer.headers["Location"] == f"/openadr3/3.1.0/programs/{program['id']}"
    assert (await vtn.bl.get(f"/programs/{program['id']}")).ok() == program


async def test_a_name_is_given_once(vtn: VtnUnderTest) -> None:
    """PROG-002, PROG-004, PROBLEM-007: compared exactly; the first program stays as it is."""
    bl = vtn.bl
    first = await bl.program(programName="Peak")

    assert (await bl.post("/programs", {"programName": "Peak"})).problem(409).startswith("programName:")
    await bl.program(programName="peak")

    assert (await bl.get(f"/programs/{first['id']}")).ok() == first


async def test_a_program_may_keep_its_name_but_not_take_anothers(vtn: VtnUnderTest) -> None:
    """PROG-003."""
    bl = vtn.bl
    first, second = await bl.program(), await bl.program()

    (await bl.put(f"/programs/{second['id']}", {"programName": first["programName"]})).problem(409)
    (await bl.put(f"/programs/{second['id']}", {"programName": second["programName"]})).ok()

    assert (await bl.get(f"/programs/{second['id']}")).ok()["programName"] == second["programName"]


async def test_a_name_can_be_used_again_after_its_program_is_gone(vtn: VtnUnderTest) -> None:
    """PROG-012: clients that make the same programs on every run depend on it."""
    bl = vtn.bl
    program = await bl.program(programName="again")
    await bl.event(program)
    (await bl.delete(f"/programs/{program['id']}")).ok()

    assert (await bl.program(programName="again"))["id"] != program["id"]


async def test_targets_are_given_and_taken_away(vtn: VtnUnderTest) -> None:
    """PROG-008, PROG-009."""
    bl = vtn.bl
    program = await bl.program()
    document = {"programName": program["programName"]}

    changed = (await bl.put(f"/programs/{program['id']}", document | {"targets": ["group1"]})).ok()
    assert changed["targets"] == ["group1"]
    assert (await bl.put(f"/programs/{program['id']}", document)).ok()["targets"] == []


async def test_a_program_goes_with_its_events_and_their_reports_only(vtn: VtnUnderTest) -> None:
    """PROG-012, OBJ-014: in one go, and never refused."""
    bl, home = vtn.bl, vtn.home()
    doomed, kept = await bl.program(), await bl.program()
    for program in (doomed, kept):
        await home.report(await bl.event(program))

    (await bl.delete(f"/programs/{doomed['id']}")).ok()

    events = (await bl.get("/events")).ok()
    assert [event["programID"] for event in events] == [kept["id"]]
    assert [report["eventID"] for report in (await bl.get("/reports")).ok()] == [events[0]["id"]]


async def test_the_period_of_a_program_hides_nothing_and_is_inherited_by_nothing(vtn: VtnUnderTest) -> None:
    """PROG-010, PROG-011: neither the period nor the descriptors are copied into events."""
    bl = vtn.bl
    program = await bl.program(
        programName=unique("long over"),
        intervalPeriod={"start": "2001-01-01T00:00:00Z", "duration": "PT1H"},
        payloadDescriptors=[{"payloadType": "PRICE", "units": "KWH"}],
    )
    event = await bl.event(program)

    assert {"intervalPeriod", "payloadDescriptors"}.isdisjoint(event)
    assert await vtn.home().ids("/programs") == [program["id"]]
    assert await vtn.home().ids("/events", {"active": "true"}) == [event["id"]]


async def test_a_descriptor_without_a_type_gets_it(vtn: VtnUnderTest) -> None:
    """R-30, COMPAT-053: in a program's list, which may hold both kinds."""
    program = await vtn.bl.program(payloadDescriptors=[{"payloadType": "PRICE"}, {"payloadType": "USAGE"}])

    kinds = [descriptor["objectType"] for descriptor in program["payloadDescriptors"]]
    assert kinds == ["EVENT_PAYLOAD_DESCRIPTOR", "REPORT_PAYLOAD_DESCRIPTOR"]


async def test_members_of_older_versions_are_ignored(vtn: VtnUnderTest) -> None:
    """PROG-016."""
    program = await vtn.bl.program(descriptions=["x"], programLongName="long")

    assert {"descriptions", "programLongName"}.isdisjoint(program)
