"""Bound what VENs of OpenADR 2.0b say: opts at a time, rows of the history, and how long they are kept."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import Table, func, select
from structlog.testing import capture_logs

from openadr_profiles.v20b.opt_reports import OptType
from tests.vtn.harness import VtnUnderTest
from tests.vtn.v20b.conftest import Enrol
from tests.vtn.v20b.telling import accept, at, levels, polled
from tests.vtn.v20b.test_answers import said
from tests.vtn.v20b.test_event_room import of_gases
from tests.vtn.v20b.test_opts import an_event, cancel, event_of, opt, times
from vtn.api.v20b import event_issues
from vtn.store.v20b.answers import MOST_OPTS, MOST_SAID, MOST_WINDOWS, OptRow
from vtn.store.v20b.event_tables import oadr20b_events, oadr20b_opts


async def counted(vtn: VtnUnderTest, table: Table, event_ids: list[str]) -> int:
    """The rows of a table that are of some events."""
    async with vtn.server._database.write() as connection:
        its = select(func.count()).select_from(table).where(table.c.event_id.in_(event_ids))
        return (await connection.execute(its)).scalar() or 0


async def test_schedules_have_so_many_times_together(vtn20: VtnUnderTest, ven20: Enrol) -> None:
    """B-OPT-004: more are refused with a word on what to do; one in place of another takes no more room."""
    ven = await ven20(vtn20)
    half = times(*((at(vtn20, 60 + number), "PT1M") for number in range(MOST_WINDOWS // 2)))
    for opt_id in ("one", "two", "one"):
        vtn20.now.pass_(seconds=1)
        assert (await opt(vtn20, ven, opt_id=opt_id, schedule=half)).code == "200"
    reply = await opt(vtn20, ven, opt_id="three", schedule=times((at(vtn20, 60), "PT1M")))
    assert (reply.code or "200")[0] == "4"
    assert f"{MOST_WINDOWS} times together; cancel one of them" in (reply.text(".//ei:responseDescription") or "")
    assert (await cancel(ven, "two")).code == "200"
    assert (await opt(vtn20, ven, opt_id="three", schedule=times((at(vtn20, 60), "PT1M")))).code == "200"


async def test_an_event_has_so_many_opts_at_a_time(vtn20: VtnUnderTest, ven20: Enrol) -> None:
    """B-OPT-007: each may be replaced, and another one taken when one of them is cancelled."""
    ven = await ven20(vtn20)
    its = event_of(await an_event(vtn20, ven))
    for number in range(MOST_OPTS):
        assert (await opt(vtn20, ven, opt_id=f"o{number}", event=its)).code == "200"
    assert (await opt(vtn20, ven, opt_id="o0", opt_type="optIn", event=its)).code == "200"
    reply = await opt(vtn20, ven, opt_id="more", event=its)
    assert f"{MOST_OPTS} opts on an event" in (reply.text(".//ei:responseDescription") or "")
    assert (await cancel(ven, "o1")).code == "200"
    assert (await opt(vtn20, ven, opt_id="more", event=its)).code == "200"


async def test_of_what_was_said_of_an_event_the_last_is_kept(vtn20: VtnUnderTest, ven20: Enrol) -> None:
    """B-CRE-002: a VEN that changes its mind all the time fills no table."""
    ven = await ven20(vtn20)
    program = await vtn20.bl.program()
    for _ in range(2):
        await vtn20.bl.event(program, **levels(vtn20, 1))
    events = await polled(ven)
    await accept(ven, events)
    (row,) = (await vtn20.bl.get("/vens")).ok()
    stores = vtn20.server.stores
    assert stores is not None
    changes = [
        OptRow(
            ven_id=row["id"],
            event_id=events[0].id,
            issue=0,
            number=0,
            opt_type=OptType.OUT.value,
            reason=str(number),
            received_at=(vtn20.now.at + timedelta(seconds=number)).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        )
        for number in range(MOST_SAID + 10)
    ]
    await stores.v20b.answers.note(changes)
    kept = await stores.v20b.answers.said(row["id"], [event.id for event in events])
    assert [each.reason for each in kept[events[0].id]] == [each.reason for each in changes[-MOST_SAID:]]
    assert len(kept[events[1].id]) == 1
    assert await counted(vtn20, oadr20b_opts, [event.id for event in events]) == MOST_SAID + 1


async def test_a_mark_that_had_no_room_is_made_when_there_is_some(vtn20: VtnUnderTest, ven20: Enrol) -> None:
    """B-OPT-005, B-OPT-008: while any schedule of absence holds, the VEN is out."""
    ven = await ven20(vtn20)
    event = await an_event(vtn20, ven)
    for number in range(MOST_OPTS + 1):
        vtn20.now.pass_(seconds=1)
        assert (await opt(vtn20, ven, opt_id=f"o{number}", schedule=times((at(vtn20, 30), "PT4H")))).code == "200"
    for number in range(MOST_OPTS):
        vtn20.now.pass_(seconds=1)
        assert (await cancel(ven, f"o{number}")).code == "200"
    assert (await said(vtn20, event.id))[-1]["OPT"][0] == "OPT_OUT"
    vtn20.now.pass_(seconds=1)
    assert (await cancel(ven, f"o{MOST_OPTS}")).code == "200"
    assert (await said(vtn20, event.id))[-1]["OPT"] == ["OPT_IN"]


async def test_an_absence_marks_each_event_once(vtn20: VtnUnderTest, ven20: Enrol) -> None:
    """B-OPT-005: by its start, however many times and schedules there are."""
    ven, bl = await ven20(vtn20), vtn20.bl
    program = await bl.program()
    made = [await bl.event(program, **levels(vtn20, 1, minutes=minutes)) for minutes in (60, 120, 180)]
    await accept(ven, await polled(ven))
    vtn20.now.pass_(seconds=1)
    overlapping = times((at(vtn20, 50), "PT30M"), (at(vtn20, 55), "PT30M"), (at(vtn20, 170), "PT20M"))
    for opt_id in ("one", "one", "two"):
        vtn20.now.pass_(seconds=1)
        assert (await opt(vtn20, ven, opt_id=opt_id, schedule=overlapping, reason="economic")).code == "200"
    marked = [[each.get("OADR20B_OPT_ID") for each in await said(vtn20, event["id"])] for event in made]
    assert [sum(its == ["two"] for its in each) for each in marked] == [1, 0, 1]


async def test_what_is_of_no_use_is_removed_in_the_end(vtn20: VtnUnderTest, ven20: Enrol) -> None:
    """B-OPT-008: events without a form, events that were cancelled without an end, and opts leave nothing behind."""
    ven, bl = await ven20(vtn20), vtn20.bl
    program = await bl.program()
    endless = levels(vtn20, 1) | {"intervalPeriod": {"start": at(vtn20, 60), "duration": "P9999Y"}}
    gone = []
    for members in (of_gases(vtn20), levels(vtn20, 1), endless):
        made = await bl.event(program, **members)
        gone.append(made["id"])
        await accept(ven, events) if (events := await polled(ven)) else None
        (await bl.delete(f"/events/{made['id']}")).ok()
        await accept(ven, events) if (events := await polled(ven)) else None
    assert (await opt(vtn20, ven, schedule=times((at(vtn20, 60), "PT1H")))).code == "200"
    assert (await counted(vtn20, oadr20b_events, gone), await counted(vtn20, oadr20b_opts, gone)) == (3, 4)
    vtn20.now.pass_(days=90)
    for _ in range(30):  # a few at a time, and other tests have left some
        await vtn20.bl.event(program, **levels(vtn20, 1))  # with a new token
        await polled(ven)
    assert (await counted(vtn20, oadr20b_events, gone), await counted(vtn20, oadr20b_opts, gone)) == (0, 0)
    async with vtn20.server._database.write() as connection:
        of_times = select(oadr20b_opts.c.opt_id).where(oadr20b_opts.c.event_id.is_(None))
        assert (await connection.execute(of_times)).all() == []


async def test_an_event_that_was_taken_away_too_often_is_named_once(
    vtn20: VtnUnderTest, ven20: Enrol, monkeypatch: pytest.MonkeyPatch
) -> None:
    """B-EVT-015: its eventIDs are used up, which nobody has to guess."""
    monkeypatch.setattr(event_issues, "MOST_ISSUES", 2)
    ven, bl = await ven20(vtn20), vtn20.bl
    program = await bl.program()
    made = await bl.event(program, **levels(vtn20, 1))
    off = {"programID": program["id"], **of_gases(vtn20)}
    with capture_logs() as logs:
        for number in range(4):
            vtn20.now.pass_(seconds=1)
            (await bl.put(f"/events/{made['id']}", {"programID": program["id"], **levels(vtn20, 2)})).ok()
            events = await polled(ven)
            assert [event.status for event in events] == (["far"] if number < 2 else [])
            vtn20.now.pass_(seconds=1)
            (await bl.put(f"/events/{made['id']}", off)).ok()
            for event in await polled(ven):
                await accept(ven, [event])
    assert len([line for line in logs if str(line.get("reason")).startswith("TOO_OFTEN")]) >= 1
