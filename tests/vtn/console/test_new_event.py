"""The page New event: what is typed is checked, kept, tested and published once."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.vtn.console.visitor import ConsoleUnderTest, Page
from tests.vtn.harness import Session, VtnUnderTest

FORM = {
    "form_id": "a-form",
    "program": "peaks",
    "kind": "shed",
    "value": "5kW",
    "start": "+1h",
    "ends": "for",
    "length": "1h",
    "shape": "one",
    "who": "some",
    "share": "capacity",
    "report": "yes",
}


async def house(vtn: VtnUnderTest, *targets: str, kw: float | None = 3.0) -> tuple[Session, dict[str, Any]]:
    home = vtn.home()
    ven = await vtn.bl.ven_for(home, list(targets))
    if kw is not None:
        said = [{"type": "MAX_POWER_CONSUMPTION", "values": [kw]}]
        document = {"resourceName": "ev", "venID": ven["id"], "clientID": home.client_id, "attributes": said}
        (await vtn.bl.post("/resources", document)).ok(201)
    return home, ven


async def send(console: ConsoleUnderTest, act: str, **fields: Any) -> Page:
    return await console.post("/events/new", **{**FORM, "act": act, **fields})


async def events(vtn: VtnUnderTest) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await vtn.bl.get("/events")).ok()
    return found


def wrong(page: Page) -> list[str]:
    return [each.text_content() for each in page.ok(422).tree.cssselect(".wrong")]


async def test_a_new_form_chooses_nobody(console: ConsoleUnderTest) -> None:
    """Everybody is chosen by word only (O1)."""
    await house(console.vtn, "group:north")
    page = await console.page("/events/new")
    assert page.cssselect("input[name=who][checked]") == []
    assert [each.get("value") for each in page.cssselect("input[name=group]")] == ["group:north"]
    assert await events(console.vtn) == []


async def test_to_name_somebody_chooses_those_who_are_named(console: ConsoleUnderTest) -> None:
    """Nobody has to say twice who is meant; everybody still has to be chosen by word (O1)."""
    _, ven = await house(console.vtn, "group:north")
    for named in ({"group": "group:north"}, {"vens": ven["venName"]}, {"targets": "group:north"}):
        page = (await send(console, "check", who="", **named)).ok()
        assert [each.get("value") for each in page.tree.cssselect("input[name=who][checked]")] == ["some"]
    assert any("nobody is chosen" in text for text in wrong(await send(console, "check", who="", vens=" \n")))


async def test_a_check_says_who_gets_it_and_issues_nothing(console: ConsoleUnderTest) -> None:
    home, ven = await house(console.vtn, "group:north")
    await house(console.vtn, "group:north", kw=None)
    await house(console.vtn, "group:south")
    page = (await send(console, "check", group="group:north")).ok()
    assert "2 VENs x 5 kW = 10 kW" in page.words
    assert "shed 5 kW" in page.words
    assert "It asks for more than those who get it say they can shed." in page.words
    assert "as they say, not known of 1 VEN" in page.words
    assert "Told, but it was never heard of: 2" in page.words
    assert ven["venName"] in page.words
    assert '"DISPATCH_SETPOINT_RELATIVE"' in page.words
    assert await events(console.vtn) == []
    assert home.client_id not in page.words


async def test_an_event_for_a_group_is_published_as_it_was_checked(console: ConsoleUnderTest) -> None:
    """In a program that is there already: no question is asked below the limits (O1)."""
    home, _ = await house(console.vtn, "group:north")
    program = (await console.vtn.bl.post("/programs", {"programName": "peaks"})).ok(201)
    page = await send(console, "publish", group="group:north", name="evening peak", priority="1")
    assert page.status == 303, page.words
    (event,) = await events(console.vtn)
    assert event["id"] in page.leads_to
    assert (event["programID"], event["eventName"], event["priority"]) == (program["id"], "evening peak", 1)
    assert event["targets"] == ["group:north"]
    assert event["intervals"][0]["payloads"] == [{"type": "DISPATCH_SETPOINT_RELATIVE", "values": [-5.0]}]
    assert event["intervalPeriod"]["duration"] == "PT1H"
    assert {each["payloadType"] for each in event["reportDescriptors"]} == {"USAGE", "DEMAND", "BASELINE"}
    assert (await home.get(f"/events/{event['id']}")).status == 200
    trail = await console.get("/audit", act="published event")
    assert "evening peak" in trail.words


async def test_everybody_is_asked_about_twice_and_by_word(console: ConsoleUnderTest) -> None:
    """A click alone does not issue an event for all (O1); what was agreed to is what is issued."""
    await house(console.vtn)
    fields = {"who": "everybody"}
    asked = (await send(console, "publish", **fields)).ok()
    assert await events(console.vtn) == []
    assert "it goes to everybody" in asked.words
    assert "the program peaks does not exist yet, and is made" in asked.words
    agreed = asked.tree.cssselect("input[name=agreed]")[0].get("value")
    again = await send(console, "publish", **fields, agreed=agreed, word="everyone")
    assert any("expected everybody" in text for text in wrong(again))
    other = await send(console, "publish", **{**fields, "value": "5000kW"}, agreed=agreed, word="everybody")
    assert other.ok().tree.cssselect("input[name=agreed]")[0].get("value") != agreed
    assert await events(console.vtn) == []
    assert (await send(console, "publish", **fields, agreed=agreed, word="everybody")).status == 303
    (event,) = await events(console.vtn)
    assert "targets" not in event or event["targets"] in (None, [])


async def test_a_form_that_is_sent_twice_is_one_event(console: ConsoleUnderTest) -> None:
    """By a double click, and by a reload later; a form that was changed is another one."""
    await house(console.vtn, "group:north")
    await console.vtn.bl.post("/programs", {"programName": "peaks"})
    pages = await asyncio.gather(*(send(console, "publish", group="group:north") for _ in range(4)))
    assert {page.status for page in pages} == {303}
    (event,) = await events(console.vtn)
    assert [event["id"] in page.leads_to for page in pages] == [True] * 4
    console.vtn.now.pass_(hours=3)
    assert event["id"] in (await send(console, "publish", group="group:north")).leads_to
    assert len(await events(console.vtn)) == 1
    await send(console, "publish", group="group:north", value="4kW")
    assert len(await events(console.vtn)) == 2


MISTAKES: list[tuple[dict[str, Any], str]] = [
    ({"value": "5"}, "'5' has no unit: write 5kW"),
    ({"value": "-5kW"}, "without a sign"),
    ({"value": ""}, "missing; expected a power such as 5kW"),
    ({"kind": "level", "value": "4"}, "expected 0, 1, 2 or 3"),
    ({"kind": "price", "value": "cheap"}, "expected a number such as 0.32"),
    ({"kind": "price", "value": "NaN"}, "expected a number"),
    ({"kind": "payload", "value": "1"}, "missing; expected the name of a payload type"),
    ({"kind": "bribe"}, "'bribe' is none; expected one of shed"),
    ({"start": ""}, "missing; expected a time such as now"),
    ({"start": "25:00"}, "is not a time of day"),
    ({"start": "2026-03-29 99:00"}, "is not a time of day"),
    ({"length": "0s"}, "must be longer than zero"),
    ({"length": "soon"}, "is not a length of time"),
    ({"ends": "until", "end": "now"}, "is not after the start"),
    ({"ends": "until", "end": ""}, "missing; expected a time such as 19:00"),
    ({"shape": "table"}, "the table is empty"),
    ({"shape": "table", "row_length": ["15m", "x"], "row_value": ["1kW", "2"]}, "row 2, how long"),
    ({"shape": "csv", "csv": ""}, "expected a header such as start,duration,shed"),
    ({"shape": "csv", "csv": "start,duration,shed\n,15m,3kW"}, "line 2: start: needed in the first line"),
    ({"who": ""}, "nobody is chosen; expected a group"),
    ({"who": "some"}, "some are chosen, and nobody is named"),
    ({"who": "everybody", "vens": "x"}, "everybody is chosen, and somebody is named as well"),
    ({"vens": "nobody\nno one"}, "there is no VEN 'no one'"),
    ({"resources": "heater"}, "there is no resource 'heater'"),
    ({"priority": "-1"}, "expected a whole number"),
    ({"program": ""}, "missing; expected the name of a program"),
    ({"targets": "x" * 129}, "targets"),
    ({"name": "n" * 200, "targets": "y" * 200}, "targets"),
    ({"kind": "total", "targets": "nobody holds this"}, "nobody is reached"),
]


async def test_each_mistake_is_named_beside_its_field_and_all_that_was_typed_stays(console: ConsoleUnderTest) -> None:
    """Nothing is issued, whatever button is pressed (O1)."""
    for number, (fields, problem) in enumerate(MISTAKES):
        named = {} if {"who", "targets", "vens", "resources"} & set(fields) else {"targets": "g1"}
        typed = {"name": "a <b>name</b>", **named, **fields}
        page = await send(console, ("check", "publish")[number % 2], **typed)
        assert any(problem in text for text in wrong(page)), (problem, wrong(page))
        shown = page.tree
        assert shown.cssselect("input[name=value]")[0].get("value") == fields.get("value", "5kW")
        assert shown.cssselect("input[name=start]")[0].get("value") == fields.get("start", "+1h")
        assert shown.cssselect("textarea[name=csv]")[0].text_content().strip() == fields.get("csv", "").strip()
        assert shown.cssselect("[aria-invalid=true]") or fields.get("shape") == "table"
    assert await events(console.vtn) == []


NOT_OURS: list[tuple[dict[str, Any], str]] = [
    ({"act": "bomb"}, "act: 'bomb' is none"),
    ({"value": "9" * 300}, "value: has 300 characters; expected at most 256"),
    ({"csv": "x" * 200_001}, "csv: has 200,001 characters"),
    ({"row_length": ["1m"] * 501}, "row_length: 501 were sent; expected at most 500"),
    ({"ven_page": "0", "group": "g"}, "ven_page: expected a number from 1"),
    ({"reason": "BECAUSE", "group": "g"}, "reason: expected one of"),
    ({"form_id": "x" * 300, "group": "g"}, "form_id: has 300"),
]


async def test_what_no_form_of_ours_sends_is_refused(console: ConsoleUnderTest) -> None:
    """With a page that names the field and what was expected."""
    for fields, problem in NOT_OURS:
        page = await send(console, **{"act": "check", **fields})
        assert problem in page.ok(400).words


async def test_limits_of_the_settings_refuse_on_the_server(console: ConsoleUnderTest) -> None:
    """Hold it true, whatever is agreed to (O1)."""
    await house(console.vtn, "group:north")
    for fields, limit in (({"value": "11MW"}, "max_kw_per_ven"), ({"start": "2099-01-01 18:00"}, "max_days_ahead")):
        page = await send(console, "publish", group="group:north", agreed="x", word="everybody", **fields)
        assert limit in page.ok(422).words
    nobody = await send(console, "publish", targets="nobody")
    assert "nobody would get this event" in nobody.ok(422).words
    assert await events(console.vtn) == []


async def test_a_table_and_csv_of_intervals_become_intervals(console: ConsoleUnderTest) -> None:
    await house(console.vtn, "g")
    await console.vtn.bl.post("/programs", {"programName": "peaks"})
    table = {"shape": "table", "row_length": ["15m", "", "30m"], "row_value": ["3kW", "", "0kW"]}
    assert (await send(console, "publish", group="g", **table)).status == 303
    (event,) = await events(console.vtn)
    assert [each["intervalPeriod"]["duration"] for each in event["intervals"]] == ["PT15M", "PT30M"]
    assert [each["payloads"][0]["values"] for each in event["intervals"]] == [[-3.0], [0.0]]
    csv = {"shape": "csv", "csv": "start,duration,PRICE\ntomorrow 18:00,1h,0.5\n,1h,0.25\n"}
    assert (await send(console, "publish", group="g", **csv)).status == 303
    newest = (await events(console.vtn))[0]
    assert newest["intervals"][1]["payloads"] == [{"type": "PRICE", "values": [0.25]}]


@pytest.mark.parametrize(
    ("fields", "payload", "units"),
    [
        ({"kind": "level", "value": "2"}, {"type": "SIMPLE", "values": [2]}, None),
        ({"kind": "price", "value": "-0.05", "currency": "eur"}, {"type": "PRICE", "values": [-0.05]}, "KWH"),
        ({"kind": "import", "value": "0kW"}, {"type": "IMPORT_CAPACITY_LIMIT", "values": [0.0]}, "KW"),
        ({"kind": "export", "value": "2kW"}, {"type": "EXPORT_CAPACITY_LIMIT", "values": [2.0]}, "KW"),
        ({"kind": "setpoint", "value": "1.5kW"}, {"type": "DISPATCH_SETPOINT", "values": [1.5]}, "KW"),
        (
            {"kind": "payload", "payload_type": "CONTROL_LEVEL_OFFSET_PERCENT", "value": "0.5", "units": "percent"},
            {"type": "CONTROL_LEVEL_OFFSET_PERCENT", "values": [0.5]},
            "PERCENT",
        ),
    ],
)
async def test_each_kind_is_the_payload_of_the_standard(
    console: ConsoleUnderTest, fields: dict[str, Any], payload: dict[str, Any], units: str | None
) -> None:
    """With its units (ENUM-001, ENUM-007)."""
    await house(console.vtn, "g")
    await console.vtn.bl.post("/programs", {"programName": "peaks"})
    page = await send(console, "publish", group="g", **fields)
    assert page.status == 303, page.words
    (event,) = await events(console.vtn)
    assert event["intervals"][0]["payloads"] == [payload]
    described = event.get("payloadDescriptors") or [{}]
    assert described[0].get("units") == units


async def test_a_total_is_shared_out_by_what_each_can_shed(console: ConsoleUnderTest) -> None:
    """One event for each group of equal parts, all or none."""
    await house(console.vtn, "g", kw=2.0)
    await house(console.vtn, "g", kw=6.0)
    await console.vtn.bl.post("/programs", {"programName": "peaks"})
    page = await send(console, "publish", group="g", kind="total", value="4kW")
    assert page.leads_to == "/console/events", page.words
    asked = sorted(event["intervals"][0]["payloads"][0]["values"][0] for event in await events(console.vtn))
    assert asked == [-3.0, -1.0]


async def test_a_test_goes_to_one_ven_alone_and_keeps_the_form(console: ConsoleUnderTest) -> None:
    """It is short, marked as a test, and starts now."""
    _, ven = await house(console.vtn, "g")
    await house(console.vtn, "g")
    page = await send(console, "test", group="g", name="peak", test_ven=ven["venName"], test_min="3")
    assert page.status == 303, page.words
    (event,) = await events(console.vtn)
    assert (event["targets"], event["eventName"]) == ([ven["id"]], "TEST peak")
    assert event["intervalPeriod"]["duration"] == "PT3M"
    assert [each["type"] for each in event["intervals"][0]["payloads"]] == [
        "DISPATCH_SETPOINT_RELATIVE",
        "OADR20B_TEST_EVENT",
    ]
    kept = await console.page(page.leads_to.removeprefix("/console"))
    assert kept.cssselect("input[name=name]")[0].get("value") == "peak"
    assert any("no VEN 'x'" in text for text in wrong(await send(console, "test", group="g", test_ven="x")))
    for minutes in ("0", "00019999"):
        answer = await send(console, "test", group="g", test_ven=ven["id"], test_min=minutes)
        assert any("1 to 60 min" in each for each in wrong(answer))
    assert len(await events(console.vtn)) == 1


async def test_a_draft_is_seen_by_no_ven_and_goes_when_it_is_published(console: ConsoleUnderTest) -> None:
    home, _ = await house(console.vtn, "g")
    await console.vtn.bl.post("/programs", {"programName": "peaks"})
    page = await send(console, "draft", group="g", name="later", value="not yet")
    kept = await console.page(page.leads_to.removeprefix("/console"))
    assert kept.cssselect("input[name=value]")[0].get("value") == "not yet"
    assert (await home.get("/events")).ok() == []
    draft_id = kept.cssselect("input[name=draft_id]")[0].get("value")
    again = await send(console, "draft", group="g", name="later", value="2kW", draft_id=draft_id)
    assert again.leads_to == page.leads_to
    assert (await send(console, "publish", group="g", name="later", draft_id=draft_id)).status == 303
    assert (await console.get("/events/new", draft=draft_id)).status == 404


async def test_vens_and_resources_are_named_by_name(console: ConsoleUnderTest) -> None:
    home, ven = await house(console.vtn, "g")
    document = {"resourceName": "pump", "venID": ven["id"], "clientID": home.client_id, "targets": ["resource:pump"]}
    (await console.vtn.bl.post("/resources", document)).ok(201)
    await console.vtn.bl.post("/programs", {"programName": "peaks"})
    page = await send(console, "publish", vens=f"{ven['venName']}\n\n{ven['id']}", resources="pump")
    assert page.status == 303, page.words
    assert (await events(console.vtn))[0]["targets"] == [ven["id"], "resource:pump"]
    other = await send(console, "check", resources="ev")
    assert any("has no target of its own" in text for text in wrong(other))


async def test_clashes_say_what_takes_whose_place(console: ConsoleUnderTest) -> None:
    """Only for VENs that both events are for (TIME-036, TIME-037)."""
    await house(console.vtn, "g", "h")
    await house(console.vtn, "k")
    await console.vtn.bl.post("/programs", {"programName": "peaks"})
    for name, group, priority in (("running", "g", "5"), ("stronger", "h", "0"), ("elsewhere", "k", "5")):
        assert (await send(console, "publish", group=group, name=name, priority=priority)).status == 303
    words = (await send(console, "check", group="g", priority="3")).ok().words
    assert "it takes the place of event running" in words
    assert "event stronger" in words
    assert "has priority over it for 1 VEN" in words
    assert "elsewhere" not in words
    later = (await send(console, "check", group="g", start="+5h")).ok().words
    assert "takes the place" not in later


async def test_only_operators_issue_events(console: ConsoleUnderTest) -> None:
    viewer = await console.as_role("viewer")
    assert (await viewer.get("/events/new")).status == 403
    assert (await send(viewer, "publish", group="g")).status == 403
    operator = await console.as_role("operator")
    assert (await operator.get("/events/new")).status == 200


async def test_times_are_those_of_the_console_s_zone(console: ConsoleUnderTest) -> None:
    """18:00 is read in the zone of the settings and stored in UTC (TIME-012)."""
    await house(console.vtn, "g")
    await console.vtn.bl.post("/programs", {"programName": "peaks"})
    assert (
        await send(console, "publish", group="g", start="tomorrow 18:00", ends="until", end="tomorrow 19:30")
    ).status == 303
    (event,) = await events(console.vtn)
    evening = console.vtn.now().replace(hour=18, minute=0, second=0, microsecond=0) + timedelta(days=1)
    assert datetime.fromisoformat(event["intervalPeriod"]["start"]) == evening
    assert event["intervalPeriod"]["duration"] == "PT1H30M"
