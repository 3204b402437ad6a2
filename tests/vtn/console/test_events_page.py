"""The first page, the list of events and their lanes."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import delete, insert

from tests.vtn.console.event_seed import active_event, shedding
from tests.vtn.console.test_event_pages import rows_of
from tests.vtn.console.visitor import ConsoleUnderTest
from vtn.store.alarm_tables import alarms
from vtn.store.stamps import stamp


async def several(console: ConsoleUnderTest) -> dict[str, Any]:
    """An event of each state, by its state; two programs."""
    vtn = console.vtn
    now = vtn.now()
    winter, summer = await vtn.bl.program(programName="winter"), await vtn.bl.program(programName="summer 100%")
    over = {"start": "0001-01-01T00:00:00Z", "duration": "PT0S"}
    made = {
        "completed": (winter, shedding(1, now - timedelta(hours=5), eventName="morning")),
        "active": (winter, shedding(2, now - timedelta(minutes=10), eventName="noon")),
        "scheduled": (summer, shedding(3, now + timedelta(hours=2), eventName="Evening")),
        "cancelled": (summer, shedding(4, now, eventName="off") | {"intervalPeriod": over}),
    }
    return {state: await vtn.bl.event(program, **members) for state, (program, members) in made.items()}


def names(rows: list[list[str]]) -> list[str]:
    """The names in the first column, without ids."""
    return [row[0].split()[0] for row in rows]


async def test_events_are_found_by_state_program_and_text(console: ConsoleUnderTest) -> None:
    """Each with its state, program, times and what it asks for in kW."""
    events = await several(console)

    rows = rows_of((await console.get("/events")).ok(), "Events")
    assert sorted(names(rows)) == ["Evening", "morning", "noon", "off"]
    noon = next(row for row in rows if row[0].startswith("noon"))
    assert noon[1:3] == ["active", "winter"]
    assert noon[5] == "shed 2 kW"
    for state in events:
        found = rows_of((await console.get("/events", state=state)).ok(), "Events")
        assert [row[1] for row in found] == [state]
    for search, expected in (
        ("EVEN", ["Evening"]),
        ("100%", ["Evening", "off"]),
        ("%", ["Evening", "off"]),
        (events["active"]["id"][:13], ["noon"]),
    ):
        found = rows_of((await console.get("/events", search=search, sort="name")).ok(), "Events")
        assert names(found) == expected
    by_program = await console.get("/events", program=events["active"]["programID"], sort="name")
    assert names(rows_of(by_program.ok(), "Events")) == ["morning", "noon"]
    assert "No event found" in (await console.get("/events", search="nothing like it")).ok().words


async def test_a_thousand_events_are_paged(console: ConsoleUnderTest) -> None:
    """Fifty on a page, each once, in the order asked for."""
    program = await console.vtn.bl.program()
    for number in range(120):
        await console.vtn.bl.event(program, eventName=f"event {number:03}", **shedding(1, console.vtn.now()))

    seen, path, query = [], "/events", {"sort": "name"}
    for _ in range(3):
        page = (await console.get(path, **query)).ok()  # type: ignore[arg-type] # values of any type go into a query
        seen += [" ".join(row[0].split()[:2]) for row in rows_of(page, "Events")]
        (following,) = page.tree.xpath("//a[@rel='next']/@href") or [""]
        query = dict(part.split("=") for part in following.partition("?")[2].split("&")) if following else {}

    assert seen == [f"event {number:03}" for number in range(120)]
    assert query == {}


async def test_lanes_show_a_day_and_a_week(console: ConsoleUnderTest) -> None:
    """A lane for each program with links to its events; cancelled ones are left out."""
    await several(console)
    day = console.vtn.now().date()

    page = (await console.get("/events/lanes")).ok()
    bars = page.tree.xpath("//*[local-name()='svg'][contains(@class, 'lane-bar')]")
    assert [" ".join(bar.text_content().split()).split("(")[0].strip() for bar in bars]
    assert {bar.get("class") for bar in bars} <= {
        "lane-bar lane-active",
        "lane-bar lane-completed",
        "lane-bar lane-scheduled",
    }
    assert "off" not in [bar.text_content().strip() for bar in bars]
    week = (await console.get("/events/lanes", span="week", day=str(day))).ok()
    assert len(week.tree.xpath("//*[local-name()='svg'][contains(@class, 'lane-bar')]")) >= len(bars)
    assert "No event at this time" in (await console.get("/events/lanes", day="2020-01-01")).ok().words


@pytest.mark.parametrize(
    ("path", "name", "value", "problem"),
    [
        ("/events", "state", "asleep", "state: expected scheduled, active"),
        ("/events", "sort", "size", "sort: expected start"),
        ("/events", "page", "0", "page: expected a number"),
        ("/events/lanes", "span", "year", "span: expected day or week"),
        ("/events/lanes", "day", "31.12.2026", "day: expected a date as 2026-01-31"),
        ("/events/lanes", "day", "9999-12-31", "day: expected a year"),
        ("/events/lanes", "day", "0001-01-01", "day: expected a year"),
    ],
)
async def test_a_wrong_question_is_named(
    console: ConsoleUnderTest, path: str, name: str, value: str, problem: str
) -> None:
    """With what was expected."""
    assert problem in (await console.get(path, **{name: value})).ok(400).words  # type: ignore[arg-type] # values of any type go into a query


async def test_the_first_page_tells_what_happens(console: ConsoleUnderTest) -> None:
    """Active and next events with their numbers, and the fleet; live parts can be asked for alone."""
    event, _ = await active_event(console.vtn, 10)
    await several(console)

    page = (await console.get("/")).ok()

    assert sorted(names(rows_of(page, "Active events"))) == ["evening", "noon"]
    assert names(rows_of(page, "The next events")) == ["Evening"]
    (peak,) = [row for row in rows_of(page, "Active events") if row[0].startswith("evening")]
    assert "10 targeted" in peak[3]
    assert "1 out" in peak[3]
    assert peak[4:] == ["16.00 kW", "11.30 kW"]
    assert "8 of 10" in page.words
    assert f"/console/events/{event['id']}" in page.text
    live = page.tree.xpath("//*[@data-live]/@id")
    assert live == ["now-parts"]
    for element in live:
        part = (await console.block("/", element)).ok()
        assert "<html" not in part.text
        assert f'id="{element}"' in part.text


async def test_alarms_that_hold_are_on_the_first_page(console: ConsoleUnderTest) -> None:
    """Those that nobody looks after first; those that are over are gone."""
    at = stamp(console.vtn.now())
    row = {"kind": "VEN_SILENT", "raised_at": at, "seen_at": at}
    async with console.vtn.server._database.write() as connection:
        await connection.execute(delete(alarms))
        for number, more in enumerate(({"acknowledged_at": at, "acknowledged_by": "anna"}, {}, {"cleared_at": at})):
            values = row | {"subject": f"{number}", "text": f"alarm {number} \x1b[2J"} | more
            await connection.execute(insert(alarms).values(values))

    page = (await console.get("/")).ok()

    shown = [" ".join(each.text_content().split()) for each in page.tree.xpath("//section[@id='alarms']/p")]
    assert shown == ["Alarm now: alarm 1 \\x1b[2J", "Alarm now: alarm 0 \\x1b[2J (anna looks after it)"]
    async with console.vtn.server._database.write() as connection:
        await connection.execute(delete(alarms))


async def test_an_empty_vtn_says_what_to_do_first(console: ConsoleUnderTest) -> None:
    """A list of steps instead of an empty table."""
    for path in ("/", "/events"):
        page = (await console.get(path)).ok()
        assert "Add a VEN, and start it with its join line" in page.words
        assert page.tree.xpath("//table") == []
