"""EiOpt: opts of a VEN's own accord, for events and for times."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import insert

from tests.vtn.harness import VtnUnderTest
from tests.vtn.v20b.conftest import Enrol
from tests.vtn.v20b.scripted_ven import Reply, ScriptedVen, element, of
from tests.vtn.v20b.telling import ToldEvent, accept, at, levels, polled
from tests.vtn.v20b.test_answers import said
from vtn.store.v20b.tables import oadr20b_carriers


def event_of(event: ToldEvent, number: int | None = None) -> str:
    """The event that an opt is about."""
    inside = of("ei:eventID", event.id) + of("ei:modificationNumber", event.number if number is None else number)
    return f"<ei:qualifiedEventID>{inside}</ei:qualifiedEventID>"


def times(*windows: tuple[str, str]) -> str:
    """The times that an opt is about, as starts and durations."""
    available = "".join(
        "<xcal:available><xcal:properties>"
        f"<xcal:dtstart><xcal:date-time>{start}</xcal:date-time></xcal:dtstart>"
        f"<xcal:duration><xcal:duration>{length}</xcal:duration></xcal:duration>"
        "</xcal:properties></xcal:available>"
        for start, length in windows
    )
    return f"<xcal:vavailability><xcal:components>{available}</xcal:components></xcal:vavailability>"


async def opt(
    vtn: VtnUnderTest,
    ven: ScriptedVen,
    *,
    opt_id: str = "opt-1",
    opt_type: str = "optOut",
    reason: str = "economic",
    context: str | None = None,
    event: str = "",
    schedule: str = "",
    target: str = "",
    device_class: str = "",
) -> Reply:
    """Send an oadrCreateOpt."""
    market = "" if context is None else of("emix:marketContext", context)
    return await ven.send(
        "EiOpt",
        element(
            "oadrCreateOpt",
            of("ei:optID", opt_id),
            of("ei:optType", opt_type),
            of("ei:optReason", reason),
            market,
            of("ei:venID", ven.ven_id),
            schedule,
            of("ei:createdDateTime", at(vtn)),
            of("pyld:requestID", "o1"),
            event,
            f"<ei:eiTarget>{target}</ei:eiTarget>",
            device_class,
        ),
    )


async def cancel(ven: ScriptedVen, opt_id: str = "opt-1") -> Reply:
    """Send an oadrCancelOpt."""
    return await ven.send(
        "EiOpt",
        element("oadrCancelOpt", of("pyld:requestID", "o2"), of("ei:optID", opt_id), of("ei:venID", ven.ven_id)),
    )


async def an_event(vtn: VtnUnderTest, ven: ScriptedVen, **members: Any) -> ToldEvent:
    """An event that a VEN has accepted."""
    await vtn.bl.event(await vtn.bl.program(), **levels(vtn, 1, **members))
    (event,) = await polled(ven)
    await accept(ven, [event])
    vtn.now.pass_(seconds=1)
    return event


async def test_an_opt_overrides_an_answer_until_it_is_taken_back(vtn20: VtnUnderTest, ven20: Enrol) -> None:
    """B-OPT-002, B-OPT-007, B-OPT-008, B-OPT-010; B-GEN-011: who did not hear the answer asks again."""
    ven = await ven20(vtn20)
    event = await an_event(vtn20, ven)
    for _ in range(2):
        reply = await opt(vtn20, ven, event=event_of(event))
        assert (reply.name, reply.code, reply.request_id, reply.text("ei:optID")) == (
            "oadrCreatedOpt",
            "200",
            "o1",
            "opt-1",
        )
    first, last = await said(vtn20, event.id)
    assert (first["OADR20B_OPT_TYPE"], last["OPT"]) == (["optIn"], ["OPT_OUT", "economic"])
    assert (last["OADR20B_OPT_ID"], last["OADR20B_OPT_REASON"]) == (["opt-1"], ["economic"])
    vtn20.now.pass_(seconds=1)
    reply = await cancel(ven)
    assert (reply.name, reply.code, reply.text("ei:optID")) == ("oadrCanceledOpt", "200", "opt-1")
    *_, last = await said(vtn20, event.id)
    assert (last["OADR20B_OPT_TYPE"], last["OPT"]) == (["optIn"], ["OPT_IN"])
    assert (await cancel(ven)).code == "200"
    assert (await said(vtn20, event.id))[-1] == last
    reply = await cancel(ven, "unknown")
    assert (reply.code, reply.text("ei:optID")) == ("452", "unknown")


async def test_an_opt_is_about_an_event_or_about_times(vtn20: VtnUnderTest, ven20: Enrol) -> None:
    """B-OPT-001, B-OPT-002, B-OPT-009: what is wrong is named, and nothing is stored."""
    ven = await ven20(vtn20)
    event = await an_event(vtn20, ven)
    schedule = times((at(vtn20, 10), "PT1H"))
    assert (await opt(vtn20, ven)).code == "454"
    assert (await opt(vtn20, ven, event=event_of(event), schedule=schedule)).code == "454"
    assert (await opt(vtn20, ven, event=event_of(event, number=4))).code == "454"
    assert (await opt(vtn20, ven, event=event_of(event), context="http://elsewhere")).code == "453"
    assert (await opt(vtn20, ven, event=event_of(event), opt_id="o" * 10_000)).code == "454"
    assert (await opt(vtn20, ven, event=event_of(event), reason="x-" + "o" * 10_000)).code == "454"
    unknown = event_of(event).replace(event.id, "nobody's")
    reply = await opt(vtn20, ven, event=unknown)
    assert (reply.name, reply.code, reply.text("ei:optID")) == ("oadrCreatedOpt", "452", "opt-1")
    assert (await opt(vtn20, ven, event=event_of(event), reason="x-own")).code == "200"
    assert len(await said(vtn20, event.id)) == 2


async def test_an_opt_may_be_for_a_resource_of_the_ven(vtn20: VtnUnderTest, ven20: Enrol) -> None:
    """B-OPT-003, B-OPT-006."""
    ven, bl = await ven20(vtn20), vtn20.bl
    (mine,) = (await bl.get("/vens")).ok()
    (
        await bl.post(
            "/resources",
            {
                "objectType": "BL_RESOURCE_REQUEST",
                "resourceName": "battery",
                "venID": mine["id"],
                "clientID": mine["clientID"],
            },
        )
    ).ok(201)
    event = await an_event(vtn20, ven)
    its = event_of(event)
    assert (await opt(vtn20, ven, event=its, target=of("ei:resourceID", "boiler"))).code == "462"
    assert (await opt(vtn20, ven, event=its, target=of("ei:groupID", "north"))).code == "462"
    assert (await opt(vtn20, ven, event=its, target=of("ei:venID", "another"))).code == "452"
    assert (await opt(vtn20, ven, event=its, target=of("ei:resourceID", "battery"))).code == "200"
    (report,) = (await bl.get("/reports")).ok()
    assert {each["resourceName"] for each in report["resources"]} == {"AGGREGATED_REPORT", "battery"}


@pytest.mark.parametrize(("minutes", "length"), [(-60, "PT2H"), (10, "PT0S"), (10, "-PT1H"), (10, "P2Y")])
async def test_times_lie_ahead_and_have_a_length(vtn20: VtnUnderTest, ven20: Enrol, minutes: int, length: str) -> None:
    """B-OPT-004."""
    ven = await ven20(vtn20)
    assert (await opt(vtn20, ven, schedule=times((at(vtn20, minutes), length)))).code == "454"
    assert (await opt(vtn20, ven, schedule=times())).code in {"454", "459"}
    assert (await opt(vtn20, ven, schedule=times((at(vtn20, 5), "PT1H")), context="http://no.such")).code == "453"


async def test_an_absence_is_marked_on_events_and_does_not_hide_them(vtn20: VtnUnderTest, ven20: Enrol) -> None:
    """B-OPT-005, B-OPT-007, B-OPT-008: on those there are and on new ones, until it is taken back."""
    ven, bl = await ven20(vtn20), vtn20.bl
    event = await an_event(vtn20, ven)
    schedule = times((at(vtn20, 30), "PT4H"))
    for _ in range(2):
        assert (await opt(vtn20, ven, schedule=schedule)).code == "200"
    _, marked = await said(vtn20, event.id)
    assert marked["OPT"] == ["OPT_OUT", "economic (availability schedule)"]
    later = await bl.event(await bl.program(), **levels(vtn20, 1, minutes=100))
    assert later["id"] in {each.id for each in await polled(ven)}
    (marked,) = await said(vtn20, later["id"])
    assert marked["OADR20B_OPT_TYPE"] == ["optOut"]
    vtn20.now.pass_(seconds=1)
    assert (await cancel(ven)).code == "200"
    *_, last = await said(vtn20, event.id)
    assert last["OPT"] == ["OPT_IN"]


async def test_an_absence_is_reported_where_reports_of_no_event_are(vtn20: VtnUnderTest, ven20: Enrol) -> None:
    """4.6: on the carrier event of the program that is named, or on all of them."""
    ven, bl = await ven20(vtn20), vtn20.bl
    first, second = await bl.program(), await bl.program()
    (row,) = (await bl.get("/vens")).ok()
    carriers = [await bl.event(program, targets=[row["id"]]) for program in (first, second)]
    async with vtn20.server._database.write() as connection:
        for program, event in zip((first, second), carriers, strict=True):
            values = {"ven_id": row["id"], "program_id": program["id"], "event_id": event["id"]}
            await connection.execute(insert(oadr20b_carriers).values(values))
    context = f"http://OpenADR-Fleet/programs/{first['id']}"
    assert (await opt(vtn20, ven, schedule=times((at(vtn20, 30), "PT4H")), context=context)).code == "200"
    assert (await opt(vtn20, ven, opt_id="opt-2", schedule=times((at(vtn20, 600), "PT1H")))).code == "200"

    async def windows(event: Any) -> list[str]:
        (report,) = (await bl.get("/reports", {"eventID": event["id"]})).ok()
        assert report["reportName"] == "OADR20B_OPT"
        return [each["intervalPeriod"]["duration"] for one in report["resources"] for each in one["intervals"]]

    assert [await windows(event) for event in carriers] == [["PT4H", "PT1H"], ["PT1H"]]
    assert (await cancel(ven, "opt-2")).code == "200"
    assert [await windows(event) for event in carriers] == [["PT4H"], []]
    assert await polled(ven) == []


async def test_opts_end_with_the_registration(vtn20: VtnUnderTest, ven20: Enrol) -> None:
    """B-REG-012: what was answered before holds again; events are offered anew under the next registration."""
    ven = await ven20(vtn20)
    event = await an_event(vtn20, ven)
    assert (await opt(vtn20, ven, event=event_of(event))).code == "200"
    vtn20.now.pass_(seconds=1)
    assert (await ven.cancel()).code == "200"
    assert (await ven.create(request_id="again")).code == "200"
    assert [each.id for each in await polled(ven)] == [event.id]
    assert (await said(vtn20, event.id))[-1]["OPT"] == ["OPT_IN"]
    assert (await cancel(ven)).code == "200"  # as it was taken back before
    assert (await said(vtn20, event.id))[-1]["OPT"] == ["OPT_IN"]
