"""The pages of programs, as somebody uses them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.vtn.console.fleets import put, ven
from tests.vtn.console.visitor import ConsoleUnderTest
from vtn.store import tables


async def programs(console: ConsoleUnderTest) -> dict[str, Any]:
    """Every program, by its name."""
    return {each["programName"]: each for each in (await console.vtn.bl.get("/programs")).ok()}


async def test_without_programs_the_page_says_what_to_do(console: ConsoleUnderTest) -> None:
    page = (await console.get("/programs")).ok()
    assert "There are no programs yet" in page.words
    assert page.tree.xpath("//table") == []


async def test_a_program_is_made_and_changed(console: ConsoleUnderTest) -> None:
    """PROG-007: with its payloads in their order; what the form has no field for stays as it was."""
    fields: dict[str, Any] = {
        "name": "summer",
        "long_name": "Summer peaks",
        "groups": "north\nsouth",
        "links": "https://utility.example/summer",
        "offset": "-PT5H",
        "payload_type": ["PRICE", "DISPATCH_SETPOINT_RELATIVE", ""],
        "units": ["KWH", "KW", ""],
        "currency": ["EUR", "", ""],
    }
    (await console.post("/programs/new", **fields)).ok(303)
    made = (await programs(console))["summer"]
    assert made["targets"] == ["north", "south"]
    assert made["programDescriptions"] == [{"URL": "https://utility.example/summer"}]
    assert [each["payloadType"] for each in made["payloadDescriptors"]] == ["PRICE", "DISPATCH_SETPOINT_RELATIVE"]
    assert made["payloadDescriptors"][0] | {"units": "KWH", "currency": "EUR"} == made["payloadDescriptors"][0]
    on_301 = (await console.vtn.bl.on_301.get(f"/programs/{made['id']}")).ok()
    assert (on_301["timeZoneOffset"], on_301["programLongName"]) == ("-PT5H", "Summer peaks")

    more = {key: made[key] for key in ("programName", "targets", "payloadDescriptors", "attributes")}
    more["attributes"] = [*made["attributes"], {"type": "COUNTRY", "values": ["US"]}]
    more["payloadDescriptors"].append({"payloadType": "USAGE", "readingType": "DIRECT_READ", "accuracy": 0.5})
    more["intervalPeriod"] = {"start": "2026-01-01T00:00:00Z", "duration": "P1D"}
    (await console.vtn.bl.put(f"/programs/{made['id']}", more)).ok()

    page = (await console.get(f"/programs/{made['id']}")).ok()
    tree = page.tree
    kept = {each.get("name"): each.get("value") for each in tree.xpath("//main//input[@name]") if each.get("value")}
    assert (kept["name"], kept["offset"]) == ("summer", "-PT5H")
    form = {name: tree.xpath(f"//main//input[@name='{name}']/@value") for name in ("payload_type", "units", "currency")}
    (await console.post(f"/programs/{made['id']}", name="summer 2", groups="north", **form)).ok(303)
    changed = (await programs(console))["summer 2"]
    assert changed["targets"] == ["north"]
    assert changed["attributes"] == [{"type": "COUNTRY", "values": ["US"]}]
    assert changed["payloadDescriptors"] == [*more["payloadDescriptors"][:2], changed["payloadDescriptors"][2]]
    assert (changed["payloadDescriptors"][2]["accuracy"], changed["intervalPeriod"]["duration"]) == (0.5, "P1D")
    assert "program changed program summer 2" in (await console.get("/audit")).words


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"name": ""}, "name: give the name of the program"),
        ({"name": "taken"}, "programName: another program has this name"),
        ({"name": "p", "links": "javascript:alert(1)"}, "links: 'javascript:alert(1)' is no link; expected https://"),
        ({"name": "p", "links": "\n".join(["https://x.example"] * 21)}, "links: expected at most 20"),
        ({"name": "p", "offset": "5 h"}, "offset: '5 h' is no duration; expected one such as PT1H or -PT5H"),
        (
            {"name": "p", "payload_type": "", "units": "KW", "currency": ""},
            "payload_type: give the type that KW belongs to",
        ),
    ],
)
async def test_a_form_that_is_wrong_keeps_what_was_typed(
    console: ConsoleUnderTest, fields: dict[str, Any], said: str
) -> None:
    await console.vtn.bl.program(programName="taken")
    page = (await console.post("/programs/new", long_name="Long words", **fields)).ok(422)
    assert said in page.words
    assert page.tree.xpath("//input[@name='long_name']/@value") == ["Long words"]
    assert list(await programs(console)) == ["taken"]


async def test_a_program_shows_who_sees_it(console: ConsoleUnderTest) -> None:
    """PRIV-005: all without targets, else who holds one of them."""
    bl = console.vtn.bl
    await put(console.vtn, [(tables.vens, [ven("a", targets=["north"]), ven("b")])])
    program = await bl.program(targets=["north", "east"])
    page = (await console.get(f"/programs/{program['id']}")).ok()
    assert page.tree.xpath("//section//li/a/text()") == ["a"]
    everybody = await bl.program()
    assert "2 VENs: everybody" in (await console.get(f"/programs/{everybody['id']}")).ok().words
    nobody = await bl.program(targets=["west"])
    assert "No VEN sees it" in (await console.get(f"/programs/{nobody['id']}")).ok().words
    assert "no such object" in (await console.get("/programs/gone")).ok(404).words


async def test_a_program_is_deleted_with_what_is_named_before(console: ConsoleUnderTest) -> None:
    """PROG-012: its events and their reports go; its name has to be typed."""
    bl = console.vtn.bl
    program = await bl.program(programName="old")
    event = await bl.event(program)
    await console.vtn.home().report(event)
    path = f"/programs/{program['id']}/delete"
    asked = (await console.get(path)).ok()
    assert "1 event, 1 of them not over" in asked.words
    assert "1 report" in asked.words
    assert "name: type the name of the program, old" in (await console.post(path, name="odl")).ok(422).words
    assert "old" in await programs(console)
    (await console.post(path, name="old")).ok(303)
    assert await programs(console) == {}
    assert (await bl.get("/events")).ok() == []


async def test_programs_are_listed_by_name_and_searched(console: ConsoleUnderTest) -> None:
    for name in ("winter", "Summer", "summer night"):
        await console.vtn.bl.program(programName=name)
    page = (await console.get("/programs")).ok()
    assert page.tree.xpath("//tbody//a/text()") == ["Summer", "summer night", "winter"]
    assert (await console.get("/programs", search="SUMMER")).ok().tree.xpath("//tbody//a/text()") == [
        "Summer",
        "summer night",
    ]
    assert "Nothing matches" in (await console.get("/programs", search="x")).ok().words
