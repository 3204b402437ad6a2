"""Reports over HTTP (REPORT)."""

from __future__ import annotations

from tests.vtn.conftest import StartVtn
from tests.vtn.harness import VtnUnderTest


async def test_a_ven_reports(vtn: VtnUnderTest) -> None:
    """REPORT-001, REPORT-002, REPORT-006, COMPAT-048: the client is the token's, whatever the body says."""
    home = vtn.home()
    event = await vtn.bl.event(await vtn.bl.program())

    document = {
        "eventID": event["id"],
        "clientName": "c",
        "resources": [],
        "clientID": "somebody else",
        "programID": "x",
    }
    report = (await home.post("/reports", document)).ok(201)

    assert report["objectType"] == "REPORT"
    assert report["clientID"] == home.client_id
    assert report["resources"] == []
    assert {"targets", "programID"}.isdisjoint(report)


async def test_reports_may_repeat_themselves(vtn: VtnUnderTest) -> None:
    """REPORT-007."""
    home = vtn.home()
    event = await vtn.bl.event(await vtn.bl.program())

    first = await home.report(event, reportName="same")
    second = await home.report(event, reportName="same")

    assert first["id"] != second["id"]


async def test_an_event_that_is_hidden_or_missing_cannot_be_reported_on(vtn: VtnUnderTest) -> None:
    """REPORT-005, REPORT-013: the same answer for both, by POST and by PUT."""
    bl, home = vtn.bl, vtn.home()
    program = await bl.program()
    shown, hidden = await bl.event(program), await bl.event(program, targets=["others"])
    report = await home.report(shown)

    for event_id in (hidden["id"], "missing"):
        document: dict[str, object] = {"eventID": event_id, "clientName": "c", "resources": []}
        for answer in (await home.post("/reports", document), await home.put(f"/reports/{report['id']}", document)):
            assert answer.problem(400) == "eventID: there is no such event"

    assert (await home.get("/reports")).ok() == [report]


async def test_a_report_is_moved_to_another_visible_event(vtn: VtnUnderTest) -> None:
    """REPORT-009, REPORT-013: and stays its client's; here the event is visible through a resource's target."""
    bl, home = vtn.bl, vtn.home()
    program = await bl.program()
    ven = await bl.ven_for(home, ["a"])
    await bl.resource(ven, objectType="BL_RESOURCE_REQUEST", clientID=home.client_id, targets=["b"])
    report = await home.report(await bl.event(program, targets=["a"]))
    other = await bl.event(program, targets=["b"])

    document = {"eventID": other["id"], "clientName": "new", "resources": []}
    changed = (await home.put(f"/reports/{report['id']}", document)).ok()

    assert changed["eventID"] == other["id"]
    assert changed["clientID"] == home.client_id
    assert await bl.ids("/reports", {"eventID": other["id"]}) == [report["id"]]


async def test_resources_need_not_exist_and_odd_members_are_dropped(vtn: VtnUnderTest) -> None:
    """REPORT-010, REPORT-011."""
    event = await vtn.bl.event(await vtn.bl.program())
    resource = {"resourceName": "unheard of", "intervals": [], "payloadDescriptors": [{"payloadType": "USAGE"}]}

    report = await vtn.home().report(event, resources=[resource])

    assert report["resources"] == [{"resourceName": "unheard of", "intervals": []}]


async def test_a_ven_lists_its_own_reports_and_business_logic_all(vtn: VtnUnderTest) -> None:
    """REPORT-012."""
    event = await vtn.bl.event(await vtn.bl.program())
    one, other = vtn.home(), vtn.home()
    mine, theirs = await one.report(event), await other.report(event)

    assert await one.ids("/reports") == [mine["id"]]
    assert await other.ids("/reports", {"eventID": event["id"]}) == [theirs["id"]]
    assert await vtn.bl.ids("/reports") == [theirs["id"], mine["id"]]


async def test_business_logic_deletes_reports_where_that_is_allowed(vtn: VtnUnderTest, start_vtn: StartVtn) -> None:
    """REPORT-004, M15: the switch `reports.bl_may_delete`; a VEN still deletes only its own."""
    lenient = await start_vtn(reports={"bl_may_delete": True})
    event = await lenient.bl.event(await lenient.bl.program())
    home = lenient.home()
    first, second = await home.report(event), await home.report(event)

    (await lenient.home().delete(f"/reports/{first['id']}")).problem(404)
    (await lenient.bl.delete(f"/reports/{first['id']}")).ok()
    (await home.delete(f"/reports/{second['id']}")).ok()
    assert await lenient.bl.ids("/reports") == []
