"""Events made over OpenADR 3, as VENs of 2.0b are told of them over TLS."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import insert

from openadr_profiles.v20b import projection
from tests.support.pki import Pki
from tests.vtn.harness import VtnUnderTest
from tests.vtn.v20b.conftest import Enrol
from tests.vtn.v20b.scripted_ven import element, of
from tests.vtn.v20b.telling import accept, answer, at, levels, polled, response, told
from vtn.api.v20b import event_issues
from vtn.store.v20b.tables import oadr20b_carriers


async def test_an_event_reaches_a_ven_on_its_next_poll_and_not_again(vtn20: VtnUnderTest, ven20: Enrol) -> None:
    """B-EVT-006, B-EVT-007, B-EVT-008, B-EVT-036, B-POL-002, B-POL-004."""
    ven = await ven20(vtn20)
    assert await polled(ven) == []
    program = await vtn20.bl.program()
    made = await vtn20.bl.event(program, **levels(vtn20, 1, 2))
    reply = await ven.poll()
    assert reply.text("ei:eiResponse") is None
    (event,) = told(reply)
    assert (event.id, event.number, event.status) == (made["id"], 0, "far")
    assert event.values == {"SIMPLE": [1, 2]}
    assert event.text(".//emix:marketContext") == f"http://OpenADR-Fleet/programs/{program['id']}"
    assert event.text("oadr:oadrResponseRequired") == "always"
    assert event.texts("ei:eiEvent/ei:eiTarget/*") == [ven.ven_id]
    assert event.text(".//ei:modificationDateTime") is None
    await accept(ven, [event])
    assert await polled(ven) == []


async def test_every_message_has_all_events_in_their_order(vtn20: VtnUnderTest, ven20: Enrol) -> None:
    """B-EVT-001, B-EVT-002, B-EVT-003, B-EVT-005, B-EVT-014, B-EVT-030."""
    ven = await ven20(vtn20)
    reply = await ven.request_events()
    assert (reply.name, reply.code, reply.request_id, told(reply)) == ("oadrDistributeEvent", "200", "e1", [])
    programs = [await vtn20.bl.program() for _ in range(3)]
    later = await vtn20.bl.event(programs[0], **levels(vtn20, 1, minutes=60))
    assert [event.id for event in await polled(ven)] == [later["id"]]
    low = await vtn20.bl.event(programs[1], **levels(vtn20, 2, minutes=0))
    high = await vtn20.bl.event(programs[2], **levels(vtn20, 3, minutes=-10, priority=0))
    events = await polled(ven)
    assert [event.id for event in events] == [high["id"], low["id"], later["id"]]
    assert [(event.status, event.current["SIMPLE"]) for event in events] == [("active", 3), ("active", 2), ("far", 0)]
    limited = of("pyld:requestID", "e2") + of("ei:venID", ven.ven_id) + of("pyld:replyLimit", 2)
    reply = await ven.send(
        "EiEvent", element("oadrRequestEvent", f"<pyld:eiRequestEvent>{limited}</pyld:eiRequestEvent>")
    )
    assert [event.id for event in told(reply)] == [high["id"], low["id"]]


async def test_a_change_adds_one_to_the_number_and_what_nobody_sees_adds_nothing(
    vtn20: VtnUnderTest, ven20: Enrol
) -> None:
    """B-EVT-009, B-EVT-012."""
    ven, bl = await ven20(vtn20), vtn20.bl
    program = await bl.program()
    made = await bl.event(program, **levels(vtn20, 1))
    await accept(ven, await polled(ven))
    base = {"programID": program["id"]}
    (await bl.put(f"/events/{made['id']}", base | levels(vtn20, 1, eventName="only a name"))).ok()
    assert await polled(ven) == []
    vtn20.now.pass_(seconds=60)
    (await bl.put(f"/events/{made['id']}", base | levels(vtn20, 3, minutes=59))).ok()
    (event,) = await polled(ven)
    assert (event.number, event.values, event.text(".//ei:modificationDateTime")) == (1, {"SIMPLE": [3]}, at(vtn20))
    await accept(ven, [event])
    vtn20.now.pass_(hours=1)
    assert await polled(ven) == []
    (again,) = told(await ven.request_events())
    assert (again.number, again.status) == (1, "active")
    assert again.without_clock() == event.without_clock()


async def test_an_event_that_is_deleted_is_cancelled_until_that_is_confirmed(vtn20: VtnUnderTest, ven20: Enrol) -> None:
    """B-EVT-010, B-EVT-016, B-CRE-008, B-EVT-004."""
    ven, bl = await ven20(vtn20), vtn20.bl
    made = await bl.event(await bl.program(), **levels(vtn20, 1))
    (before,) = await polled(ven)
    await accept(ven, [before])
    (await bl.delete(f"/events/{made['id']}")).ok()
    (event,) = await polled(ven)
    assert (event.id, event.number, event.status, event.values) == (made["id"], 1, "cancelled", before.values)
    assert await polled(ven) == []
    vtn20.now.pass_(seconds=31)
    (again,) = await polled(ven)
    assert (again.number, again.status, again.without_clock()) == (1, "cancelled", event.without_clock())
    assert (await answer(ven, response(again, "optOut"))).code == "200"
    vtn20.now.pass_(seconds=300)
    assert await polled(ven) == []
    assert told(await ven.request_events()) == []


async def test_an_event_called_off_over_openadr_3_is_cancelled(vtn20: VtnUnderTest, ven20: Enrol) -> None:
    """B-EVT-010, EVT-019; what takes its place later has another eventID (B-EVT-015)."""
    ven, bl = await ven20(vtn20), vtn20.bl
    program = await bl.program()
    made = await bl.event(program, **levels(vtn20, 1))
    await accept(ven, await polled(ven))
    off = {"programID": program["id"], "intervalPeriod": {"start": "0001-01-01T00:00:00Z", "duration": "PT0S"}}
    (await bl.put(f"/events/{made['id']}", off | {"intervals": [{"id": 0, "payloads": []}]})).ok()
    (event,) = await polled(ven)
    assert (event.number, event.status) == (1, "cancelled")
    await accept(ven, [event])
    (await bl.put(f"/events/{made['id']}", {"programID": program["id"]} | levels(vtn20, 2))).ok()
    (event,) = await polled(ven)
    assert (event.id, event.number, event.status) == (f"{made['id']}-1", 0, "far")


async def test_who_loses_an_event_is_told_that_it_is_cancelled_and_nobody_else(
    vtn20: VtnUnderTest, ven20: Enrol
) -> None:
    """B-EVT-040, B-EVT-035: and it learns nothing of what the event became."""
    north, south = await ven20(vtn20, targets=("north",)), await ven20(vtn20, targets=("south",))
    bl = vtn20.bl
    program = await bl.program()
    made = await bl.event(program, **levels(vtn20, 1, targets=["north", "south"]))
    for ven, target in ((north, "north"), (south, "south")):
        (event,) = await polled(ven)
        assert event.texts("ei:eiEvent/ei:eiTarget/*") == [target, ven.ven_id]
        await accept(ven, [event])
    changed = {"programID": program["id"], "targets": ["south"]} | levels(vtn20, 3)
    (await bl.put(f"/events/{made['id']}", changed)).ok()
    (event,) = await polled(north)
    assert (event.id, event.number, event.status, event.values) == (made["id"], 1, "cancelled", {"SIMPLE": [1]})
    (event,) = await polled(south)
    assert (event.id, event.number, event.status, event.values) == (made["id"], 1, "far", {"SIMPLE": [3]})
    (await bl.put(f"/events/{made['id']}", changed | {"targets": ["south", "north"]})).ok()
    events = await polled(north)
    assert [(event.id, event.number, event.status) for event in events if event.status != "cancelled"] == [
        (f"{made['id']}-1", 0, "far")
    ]


async def test_an_event_of_another_program_is_another_event(vtn20: VtnUnderTest, ven20: Enrol) -> None:
    """B-EVT-036."""
    ven, bl = await ven20(vtn20), vtn20.bl
    first, second = await bl.program(), await bl.program()
    made = await bl.event(first, **levels(vtn20, 1))
    (before,) = await polled(ven)
    (await bl.put(f"/events/{made['id']}", {"programID": second["id"]} | levels(vtn20, 1))).ok()
    moved, cancelled = await polled(ven)
    assert (moved.id, moved.number, moved.status) == (f"{made['id']}-1", 0, "far")
    assert (cancelled.id, cancelled.number, cancelled.status) == (made["id"], 1, "cancelled")
    assert cancelled.text(".//emix:marketContext") == before.text(".//emix:marketContext")
    assert moved.text(".//emix:marketContext") != before.text(".//emix:marketContext")


async def test_what_is_not_answered_is_offered_again(vtn20: VtnUnderTest, ven20: Enrol) -> None:
    """B-POL-004, B-CRE-012: later and later, under the same number."""
    ven = await ven20(vtn20)
    await vtn20.bl.event(await vtn20.bl.program(), **levels(vtn20, 1, minutes=500))
    for pause_s in (30, 60, 120):
        (event,) = await polled(ven)
        assert event.number == 0
        vtn20.now.pass_(seconds=pause_s - 1)
        assert await polled(ven) == []
        vtn20.now.pass_(seconds=1)
    await accept(ven, await polled(ven))
    vtn20.now.pass_(hours=2)
    assert await polled(ven) == []


async def test_an_event_that_needs_no_answer_is_sent_three_times_and_so_is_its_cancellation(
    vtn20: VtnUnderTest, ven20: Enrol, capsys: Any
) -> None:
    """B-EVT-016, B-EVT-020, B-EVT-021, B-CRE-010: one that is lost with its message would never be missed."""
    ven, bl = await ven20(vtn20), vtn20.bl
    attributes = [
        {"type": "OADR20B_RESPONSE_REQUIRED", "values": ["never"]},
        {"type": "OADR20B_TEST_EVENT", "values": [True]},
    ]
    made = await bl.event(await bl.program(attributes=attributes), **levels(vtn20, 1, minutes=60))
    for _ in range(3):
        (event,) = await polled(ven)
        assert (event.text("oadr:oadrResponseRequired"), event.text(".//ei:testEvent")) == ("never", "true")
        assert event.number == 0
        assert await polled(ven) == []
        vtn20.now.pass_(seconds=300)
    assert await polled(ven) == []
    assert (await bl.get("/reports", {"eventID": made["id"]})).ok() == []  # no silence is told
    assert (await answer(ven, response(event))).code == "200"
    assert "answers an event that needs no answer" in capsys.readouterr().out
    (await bl.delete(f"/events/{made['id']}")).ok()
    for _ in range(3):
        (event,) = await polled(ven)
        assert (event.status, event.number) == ("cancelled", 1)
        assert await polled(ven) == []
        vtn20.now.pass_(seconds=300)
    assert await polled(ven) == []
    assert told(await ven.request_events()) == []


async def test_an_event_is_gone_after_its_last_possible_end(vtn20: VtnUnderTest, ven20: Enrol) -> None:
    """B-EVT-017, B-EVT-018."""
    ven, bl = await ven20(vtn20), vtn20.bl
    period = {"start": at(vtn20), "duration": "PT30M", "randomizeStart": "PT5M"}
    await bl.event(await bl.program(), **levels(vtn20, 1, intervalPeriod=period))
    (event,) = await polled(ven)
    assert (event.status, event.text(".//xcal:startafter")) == ("active", "PT5M")
    await accept(ven, [event])
    vtn20.now.pass_(minutes=30)
    assert [event.status for event in told(await ven.request_events())] == ["completed"]
    late = await ven20(vtn20)
    assert told(await late.request_events()) == []
    vtn20.now.pass_(minutes=5)
    assert told(await ven.request_events()) == []


async def test_an_event_that_is_over_and_comes_again_is_another_one(vtn20: VtnUnderTest, ven20: Enrol) -> None:
    """B-EVT-015: completed is final."""
    ven, bl = await ven20(vtn20), vtn20.bl
    program = await bl.program()
    made = await bl.event(program, **levels(vtn20, 1, minutes=0))
    await accept(ven, await polled(ven))
    vtn20.now.pass_(hours=1)
    assert await polled(ven) == []
    (await vtn20.bl.put(f"/events/{made['id']}", {"programID": program["id"]} | levels(vtn20, 1))).ok()
    (event,) = await polled(ven)
    assert (event.id, event.number, event.status) == (f"{made['id']}-1", 0, "far")


async def test_an_event_without_a_form_is_not_sent_and_said_so(vtn20: VtnUnderTest, ven20: Enrol, capsys: Any) -> None:
    """4.1, 4.7: an operator sees the reason; VENs that had it are told that it is cancelled."""
    ven, bl = await ven20(vtn20), vtn20.bl
    program = await bl.program()
    made = await bl.event(program, **levels(vtn20, 7))
    assert await polled(ven) == []
    said = capsys.readouterr()
    assert made["id"] in said.out + said.err
    assert "LEVEL: SIMPLE is 7" in said.out + said.err
    (await bl.put(f"/events/{made['id']}", {"programID": program["id"]} | levels(vtn20, 2))).ok()
    (event,) = await polled(ven)
    assert (event.id, event.number) == (made["id"], 0)
    (await bl.put(f"/events/{made['id']}", {"programID": program["id"]} | levels(vtn20, 7))).ok()
    (event,) = await polled(ven)
    assert (event.id, event.number, event.status) == (made["id"], 1, "cancelled")


async def test_losses_are_logged_with_event_and_ven(vtn20: VtnUnderTest, ven20: Enrol, capsys: Any) -> None:
    """4.7."""
    ven = await ven20(vtn20)
    made = await vtn20.bl.event(await vtn20.bl.program(), **levels(vtn20, 1, eventName="peak"))
    capsys.readouterr()
    assert len(await polled(ven)) == 1
    said = capsys.readouterr()
    (line,) = [line for line in (said.out + said.err).splitlines() if "EVENT_NAME" in line]
    assert made["id"] in line
    assert "home20b" in line


async def test_numbers_and_answers_survive_the_process(vtn20: VtnUnderTest, ven20: Enrol, pki: Pki) -> None:
    """B-EVT-011, B-EVT-041: another process on the same database goes on where the first one was."""
    files = pki.client("surviving")
    ven, bl = await ven20(vtn20, files=files), vtn20.bl
    program = await bl.program()
    made = await bl.event(program, **levels(vtn20, 1))
    (await bl.put(f"/events/{made['id']}", {"programID": program["id"]} | levels(vtn20, 2))).ok()
    other = VtnUnderTest(vtn20.server.settings, vtn20.now)
    await other.start()
    again = await ven20(other, files=files, enrolled=False)
    again.ven_id = ven.ven_id
    (event,) = await polled(ven)
    (await bl.put(f"/events/{made['id']}", {"programID": program["id"]} | levels(vtn20, 3))).ok()
    (changed,) = await polled(again)
    assert (event.number, changed.number, changed.values) == (0, 1, {"SIMPLE": [3]})
    await accept(again, [changed])
    assert await polled(ven) == []
    (same,) = told(await ven.request_events())
    assert same.without_clock() == changed.without_clock()
    await other.stop()


async def test_a_new_registration_is_offered_all_events_again(vtn20: VtnUnderTest, ven20: Enrol) -> None:
    """B-REG-009, B-REG-014."""
    ven = await ven20(vtn20)
    await vtn20.bl.event(await vtn20.bl.program(), **levels(vtn20, 1))
    (event,) = await polled(ven)
    await accept(ven, [event])
    assert await polled(ven) == []
    assert (await ven.create(request_id="lost")).code == "200"
    (again,) = await polled(ven)
    assert (again.id, again.number) == (event.id, 0)


async def test_repetitions_roll_on_under_the_next_number(vtn20: VtnUnderTest, ven20: Enrol) -> None:
    """4.2: an endless loop is told a horizon ahead."""
    ven = await ven20(vtn20)
    await vtn20.bl.event(await vtn20.bl.program(), **levels(vtn20, 1, 2, minutes=0, duration="P9999Y"))
    (event,) = await polled(ven)
    await accept(ven, [event])
    vtn20.now.pass_(hours=12)
    assert await polled(ven) == []
    vtn20.now.pass_(hours=24)
    (rolled,) = await polled(ven)
    assert (rolled.id, rolled.number, rolled.status) == (event.id, 1, "active")
    assert rolled.text(".//ei:eiActivePeriod//xcal:date-time") == at(vtn20, -12 * 60)


async def test_events_that_carry_reports_are_not_told_and_leave_nothing_behind(
    vtn20: VtnUnderTest, ven20: Enrol, capsys: Any
) -> None:
    """4.5: a carrier is not told, whatever stands in it; one without payloads is no loss."""
    ven, bl = await ven20(vtn20), vtn20.bl
    (row,) = (await bl.get("/vens")).ok()
    program = await bl.program()
    carrier = await bl.event(program, **levels(vtn20, 1))
    await bl.event(program, reportDescriptors=[{"payloadType": "USAGE"}])
    async with vtn20.server._database.write() as connection:
        values = {"ven_id": row["id"], "program_id": program["id"], "event_id": carrier["id"]}
        await connection.execute(insert(oadr20b_carriers).values(values))
    capsys.readouterr()
    assert await polled(ven) == []
    assert "not told" not in capsys.readouterr().out


async def test_an_event_that_breaks_the_projection_keeps_no_other_from_being_told(
    vtn20: VtnUnderTest, ven20: Enrol, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is named in the log and set aside, and the others go on."""

    def project(event: Any, *rest: Any, **named: Any) -> Any:
        if event.event_name == "broken":
            raise ZeroDivisionError
        return right(event, *rest, **named)

    right = projection.project
    monkeypatch.setattr(event_issues, "project", project)
    ven = await ven20(vtn20)
    programs = [await vtn20.bl.program() for _ in range(2)]
    await vtn20.bl.event(programs[0], **levels(vtn20, 1, eventName="broken"))
    made = await vtn20.bl.event(programs[1], **levels(vtn20, 2))
    events = await polled(ven)
    assert [event.id for event in events] == [made["id"]]
    await accept(ven, events)
    assert await polled(ven) == []
