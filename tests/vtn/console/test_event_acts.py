"""Acts on an event at the console: change, extend, end, cancel, remind; never another version than was shown."""

from __future__ import annotations

from typing import Any

from tests.vtn.conftest import StartVtn
from tests.vtn.console.visitor import ConsoleUnderTest, Page
from tests.vtn.harness import Session
from tests.vtn.outbox import LAB, Recorded, subscribe


async def issued(console: ConsoleUnderTest, *, start: str = "-10", kw: float = -3.0, **members: Any) -> dict[str, Any]:
    """An event of one VEN that began ten minutes ago and lasts an hour."""
    begin = console.vtn.now().isoformat() if start == "now" else start
    program = await console.vtn.bl.program()
    document = {
        "programID": program["id"],
        "eventName": "peak",
        "targets": ["g"],
        "intervalPeriod": {"start": begin, "duration": "PT30M"},
        "payloadDescriptors": [{"payloadType": "DISPATCH_SETPOINT_RELATIVE", "units": "KW"}],
        "intervals": [
            {"id": number, "payloads": [{"type": "DISPATCH_SETPOINT_RELATIVE", "values": [kw - number]}]}
            for number in (0, 1)
        ],
        **members,
    }
    event: dict[str, Any] = (await console.vtn.bl.post("/events", document)).ok(201)
    return event


async def do(console: ConsoleUnderTest, event: dict[str, Any], act: str, *, seen: str = "", **fields: Any) -> Page:
    page = await console.page(f"/events/{event['id']}/change")
    shown = page.cssselect("input[name=seen]")
    version = seen or (shown[0].get("value") if shown else "x")
    return await console.post(f"/events/{event['id']}/change", act=act, seen=version, **fields)


async def now_is(console: ConsoleUnderTest, event: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = (await console.vtn.bl.get(f"/events/{event['id']}")).ok()
    return found


async def test_an_event_is_changed_and_what_is_not_given_stays(console: ConsoleUnderTest) -> None:
    """With its act in the audit trail (EVT-010)."""
    await console.vtn.bl.ven_for(console.vtn.home(), ["g"])
    event = await issued(console, start="now")
    page = await do(console, event, "change", kind="shed", values="1kW 2kW", name="smaller peak")
    assert page.status == 303, page.words
    after = await now_is(console, event)
    assert [each["payloads"][0]["values"] for each in after["intervals"]] == [[-1.0], [-2.0]]
    assert (after["eventName"], after["targets"]) == ("smaller peak", ["g"])
    assert after["intervalPeriod"]["duration"] == "PT30M"
    words = (await console.get("/audit", act="changed event")).words
    assert "event peak" in words


async def test_only_what_was_shown_is_changed(console: ConsoleUnderTest) -> None:
    """If somebody else was quicker, nothing is done (ETAG-003)."""
    await console.vtn.bl.ven_for(console.vtn.home(), ["g"])
    event = await issued(console, start="now")
    console.vtn.now.pass_(minutes=1)
    acts: dict[str, dict[str, str]] = {"change": {"name": "x"}, "extend": {"until": "30m"}, "end": {}, "cancel": {}}
    for act, fields in (acts | {"remind": {}}).items():
        page = await do(console, event, act, seen="2020-01-01T00:00:00.000000Z", **fields)
        assert page.status == 412, page.words
        assert "somebody has changed the event" in page.words
    assert await now_is(console, event) == event


async def test_an_event_is_extended_and_ended(console: ConsoleUnderTest) -> None:
    await console.vtn.bl.ven_for(console.vtn.home(), ["g"])
    event = await issued(console, start="now")
    assert (await do(console, event, "extend", until="30m")).status == 303
    longer = await now_is(console, event)
    assert [each["intervalPeriod"]["duration"] for each in longer["intervals"]] == ["PT30M", "PT1H"]
    console.vtn.now.pass_(minutes=10)
    assert (await do(console, event, "end")).status == 303
    short = await now_is(console, event)
    assert [each["intervalPeriod"]["duration"] for each in short["intervals"]] == ["PT10M"]
    assert "Nothing can be done with it" in (await console.get(f"/events/{event['id']}/change")).words
    for act in ("cancel", "end", "extend"):
        page = await do(console, event, act, seen=short["modificationDateTime"], until="1h")
        assert "Not done:" in page.ok(422).words
    assert await now_is(console, event) == short


async def test_an_event_is_cancelled_once_and_its_plan_stays_readable(console: ConsoleUnderTest) -> None:
    """As the standard does it (EVT-019, O3)."""
    event = await issued(console, start="now")
    assert (await do(console, event, "cancel")).status == 303
    after = await now_is(console, event)
    assert after["intervalPeriod"]["duration"] == "PT0S"
    assert [each["payloads"][-1]["type"] for each in after["intervals"]] == ["PLANNED_PERIOD"] * 2
    page = await do(console, event, "cancel", seen=after["modificationDateTime"])
    assert "it was cancelled before" in page.ok(422).words
    assert "Change, extend" not in (await console.get(f"/events/{event['id']}")).ok().words
    assert await now_is(console, event) == after


async def test_each_mistake_is_named_and_nothing_is_done(console: ConsoleUnderTest) -> None:
    event = await issued(console, start="now")
    for act, fields, problem in (
        ("change", {}, "nothing is changed"),
        ("change", {"kind": "shed", "values": ""}, "values: missing"),
        ("change", {"kind": "shed", "values": "3"}, "has no unit"),
        ("change", {"kind": "level", "values": "1 9"}, "expected 0, 1, 2 or 3"),
        ("change", {"kind": "keep", "values": "3kW"}, "kind: values are given"),
        ("change", {"start": "25:00"}, "is not a time of day"),
        ("change", {"length": "-1h"}, "is not a length of time"),
        ("change", {"name": "peak", "priority": "high"}, "expected a whole number"),
        ("change", {"kind": "shed", "values": "99MW"}, "max_kw_per_ven"),
        ("extend", {"until": ""}, "until: missing"),
        ("extend", {"until": "soon"}, "is not a moment"),
        ("extend", {"until": "now"}, "expected a later end"),
        ("extend", {"until": "2099-01-01 18:00"}, "max_days_ahead"),
    ):
        name = {} if "name" in fields else {"name": "peak"}
        page = await do(console, event, act, **name, **fields)
        assert problem in page.ok(422).words, (problem, page.words)
    assert (await console.post(f"/events/{event['id']}/change", act="bomb", seen="x")).status == 400
    assert (await console.post(f"/events/{event['id']}/change", act="end")).status == 400
    assert (await console.get("/events/none/change")).status == 404
    assert await now_is(console, event) == event


async def test_a_change_for_everybody_is_agreed_to_by_word(console: ConsoleUnderTest) -> None:
    """The limits of issuing hold for changes, too (O1)."""
    await console.vtn.bl.ven_for(console.vtn.home(), [])
    event = await issued(console, start="now", targets=[])
    fields = {"kind": "shed", "values": "1kW", "name": "peak"}
    asked = (await do(console, event, "change", **fields)).ok()
    assert "it goes to everybody" in asked.words
    agreed = asked.tree.cssselect("input[name=agreed]")[0].get("value")
    assert (await do(console, event, "change", **fields, agreed=agreed)).status == 200
    assert await now_is(console, event) == event
    assert (await do(console, event, "change", **fields, agreed=agreed, word="everybody")).status == 303
    assert (await now_is(console, event))["intervals"][0]["payloads"][0]["values"] == [-1.0]


async def test_a_viewer_may_look_and_not_act(console: ConsoleUnderTest) -> None:
    event = await issued(console, start="now")
    viewer = await console.as_role("viewer")
    assert (await viewer.get(f"/events/{event['id']}/change")).status == 403
    assert (await viewer.post(f"/events/{event['id']}/change", act="cancel", seen="x")).status == 403
    assert "Change, extend" not in (await viewer.get(f"/events/{event['id']}")).ok().words
    assert "Change, extend" in (await console.get(f"/events/{event['id']}")).ok().words


async def test_those_who_have_not_answered_are_told_again(console: ConsoleUnderTest, start_vtn: StartVtn) -> None:
    """Through the outbox, to their webhooks alone; if all of them poll, the act is refused (SUBS-020)."""
    vtn = await start_vtn(webhook=LAB)
    event = await issued(console, start="now")
    polling = await do(console, event, "remind")
    assert "Nobody can be reminded" in polling.ok(422).words
    silent, answered = vtn.home(), vtn.home()
    hooks = {}
    for home in (silent, answered):
        await vtn.bl.ven_for(home, ["g"])
        hooks[home.client_id] = await subscribe(home, objects=["EVENT"])
    await _answer(console, event, answered)
    recorded = Recorded(console.vtn)
    await recorded.new()
    page = await do(console, event, "remind")
    assert page.status == 303, page.words
    told = await recorded.new()
    assert [each.endpoint_id.partition(":")[0] in hooks[silent.client_id] or each.endpoint_id for each in told]
    assert len(told) == 1
    assert told[0].notification.object_id == event["id"]
    assert await now_is(console, event) == event


async def _answer(console: ConsoleUnderTest, event: dict[str, Any], home: Session) -> None:
    """Note that a VEN has opted in, as the reader of reports does."""
    from sqlalchemy import insert

    from vtn.store.facts.tables import event_opts

    row = {"event_id": event["id"], "client_id": home.client_id, "resource": "", "opted_in": True, "state": "in"}
    row |= {"is_participant": True, "source_id": 0}
    async with console.vtn.server._database.write() as connection:
        await connection.execute(insert(event_opts).values(row))
