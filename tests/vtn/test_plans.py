"""Query plans of the most frequent statements on many rows: they use an index and never scan a table."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import insert, text

from tests.vtn.harness import Session, VtnUnderTest
from tests.vtn.statements import Statements
from vtn.store import tables
from vtn.store.database import Database

EVENTS = 6_000
REPORTS = 6_000


async def _many(vtn: VtnUnderTest) -> tuple[Session, str, str]:
    """A VEN that sees sixty of many events and has sent sixty of many reports; the ids of its program and an event."""
    vtn.judges = False  # the rows below hold what a plan depends on, not whole objects
    bl, home = vtn.bl, vtn.home()
    programs = [await bl.program() for _ in range(20)]
    event = await bl.event(programs[0], targets=["mine"])
    await bl.ven_for(home, ["mine"])
    database = vtn.server._database
    async with database.write() as connection:
        rows: list[dict[str, Any]] = []
        for number in range(EVENTS):
            at = f"2026-05-01T{number // 3600:02}:{number // 60 % 60:02}:{number % 60:02}.000000Z"
            rows.append({
                "id": f"e{number}", "created_at": at, "modified_at": at, "program_id": programs[number % 20]["id"],
                "targets": ("mine",) if number % 100 == 0 else (f"other-{number % 1000}", "others"),
                "targets_inside": False, "ends_at": None, "members": '"filler":"' + "x" * 500 + '"',
            })  # fmt: skip
        await connection.execute(insert(tables.events), rows)
        rows = [
            {"id": f"r{number}", "created_at": row["created_at"], "modified_at": row["created_at"],
             "event_id": row["id"], "client_id": home.client_id if number % 100 == 0 else f"c{number % 500}",
             "client_name": f"n{number % 500}", "members": '"filler":"' + "x" * 500 + '"'}
            for number, row in enumerate(rows)
        ]  # fmt: skip
        await connection.execute(insert(tables.reports), rows)
    await _tidied(database)
    return home, programs[0]["id"], event["id"]


async def _many_groups(vtn: VtnUnderTest) -> tuple[Session, Session]:
    """A VEN with one resource in three groups, and one with a third of all; each of 300 groups has 20 children."""
    vtn.judges = False
    small, large = vtn.home(), vtn.home()
    owners = [(await home.ven(), home.client_id) for home in (small, large)]
    owners.append((await vtn.home().ven(), ""))  # a client for each of its resources
    at = {"created_at": "2026-05-01T00:00:00.000000Z", "modified_at": "2026-05-01T00:00:00.000000Z", "targets": ()}
    resources, groups, links = list[dict[str, Any]](), list[dict[str, Any]](), list[dict[str, Any]]()
    for number in range(2000):
        ven, client_id = owners[0 if number == 0 else 1 + (number % 3 > 0)]
        client_id = client_id or f"c{number}"
        resources.append(
            at
            | {"id": f"r{number}", "ven_id": ven["id"], "client_id": client_id, "name": f"{number}", "members": '"a":1'}
        )
    for number in range(300):
        groups.append(at | {"id": f"g{number}", "name": f"{number}", "members": '"a":1'})
        for place in range(19):
            links.append({"group_id": f"g{number}", "place": place, "child_group_id": None,
                          "resource_id": f"r{(number * 7 + place * 101) % 1999 + 1}"})  # fmt: skip
        held = {"resource_id": "r0", "child_group_id": None}
        if number < 297:
            held = {"resource_id": None, "child_group_id": f"g{number // 10}"}
        if number:
            links.append({"group_id": f"g{number}", "place": 19} | held)
    async with vtn.server._database.write() as connection:
        for table, rows in (
            (tables.resources, resources),
            (tables.resource_groups, groups),
            (tables.resource_group_children, links),
        ):
            await connection.execute(insert(table), rows)
    await _tidied(vtn.server._database)
    return small, large


async def _tidied(database: Database) -> None:
    """Update the statistics, as every database does by itself; on PostgreSQL also vacuum rows of earlier tests.

    Indexes find those until then, and they would count as read.
    """
    if database.is_sqlite:
        async with database.write() as connection:
            await connection.execute(text("ANALYZE"))
    else:
        async with database._connections.reader.connect() as connection:
            await connection.exec_driver_sql("VACUUM (ANALYZE, INDEX_CLEANUP ON)")  # also of few removed rows


class Plans(Statements):
    """The statements that a server sends with their values, to be explained."""

    def __init__(self, vtn: VtnUnderTest) -> None:
        super().__init__(vtn)
        self._database = vtn.server._database

    async def rows_read(self) -> int:
        """The most rows that any step of any plan goes through; on SQLite, which only names its steps, all or none."""
        assert self.sent
        most = 0
        for statement, parameters in self.sent:
            if self._database.is_sqlite:
                steps = await self._named(statement, parameters)
                most = max(
                    most, EVENTS if any(step.startswith(("SCAN events", "SCAN reports")) for step in steps) else 0
                )
            else:
                most = max(most, _most_rows(await self._measured(statement, parameters)))
        return most

    async def instructions(self) -> int:
        """Return the number of steps of SQLite's virtual machine for the last statement, in thousands."""
        statement, parameters = self.sent[-1]
        async with self._database._connections.reader.driver() as driver:
            made: list[None] = []
            await driver.set_progress_handler(lambda: made.append(None), 1000)
            try:
                await driver.execute_fetchall(statement, tuple(parameters))
            finally:
                await driver.set_progress_handler(None, 0)
            return len(made)

    async def sorts(self) -> bool:
        """Return True if any plan sorts rows."""
        found = [
            await (self._named if self._database.is_sqlite else self._measured)(statement, parameters)
            for statement, parameters in self.sent
        ]
        return any("TEMP B-TREE" in str(plan) or "'Sort'" in str(plan) for plan in found)

    async def _named(self, statement: str, parameters: Any) -> list[str]:
        async with self._database._connections.reader.connect() as connection:
            found = await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", tuple(parameters))
            return [str(row.detail) for row in found]

    async def _measured(self, statement: str, parameters: Any) -> dict[str, Any]:
        async with self._database._connections.reader.driver() as driver:
            explained = await driver.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", *parameters)
            plan: dict[str, Any] = (json.loads(explained) if isinstance(explained, str) else explained)[0]["Plan"]
            return plan


def _most_rows(plan: dict[str, Any]) -> int:
    removed = plan.get("Rows Removed by Filter", 0) + plan.get("Rows Removed by Index Recheck", 0)
    own = int((plan["Actual Rows"] + removed) * plan["Actual Loops"])
    return max([own, *(_most_rows(part) for part in plan.get("Plans", ()))])


async def test_what_is_asked_for_most_is_found_by_an_index(vtn: VtnUnderTest) -> None:
    """As many rows as there are to choose a page from, and no others: a fortieth of all.

    For the reports of a program there is one look for each of its events.
    """
    home, program, event = await _many(vtn)
    bl = vtn.bl
    read = {}
    for caller, path in (
        (home, "/events"),
        (home, "/events?skip=10"),
        (home, "/events?active=true"),
        (home, "/events?targets=mine"),
        (home, "/events?targets=unknown"),
        (home, f"/events/{event}"),
        (bl, "/events?targets=other-7"),
        (bl, f"/events?programID={program}"),
        (home, "/reports"),
        (home, f"/reports?eventID={event}"),
        (bl, f"/reports?eventID={event}"),
        (bl, f"/reports?programID={program}"),
        (bl, f"/reports?programID={program}&skip=100"),
        (home, f"/reports?programID={program}"),
        (bl, "/reports?clientName=n7"),
    ):
        with Plans(vtn) as plans:
            (await caller.get(path)).ok()
        read[path] = await plans.rows_read()

    looks = {path: EVENTS // 20 + 1 for path in read if path.startswith("/reports?programID")}
    assert {path: rows for path, rows in read.items() if rows > looks.get(path, EVENTS // 40)} == {}


async def test_the_newest_of_everything_are_read_in_their_order(vtn: VtnUnderTest) -> None:
    """Business logic without a filter gets a page from the beginning of an index, and nothing is sorted."""
    await _many(vtn)
    for path in ("/events", "/reports"):
        with Plans(vtn) as plans:
            (await vtn.bl.get(path)).ok()
        assert not await plans.sorts()


async def test_a_walk_reads_no_more_than_its_page(vtn: VtnUnderTest) -> None:
    """However deep it is: the page behind another one begins in an index, and what is before it is not counted."""
    home, program, _ = await _many(vtn)
    bl = vtn.bl
    for caller, filters, skip, most in (
        (bl, "", REPORTS // 2, 50),
        (bl, "&clientName=n7", 5, 50),
        (home, "", 5, 50),
        (bl, f"&programID={program}", 200, EVENTS // 20 + 1),  # one look for every event of the program
    ):
        first = await caller.ids(f"/reports?limit=5&skip={skip}{filters}")
        assert len(first) == 5
        with Plans(vtn) as plans:
            await caller.ids(f"/reports?skip={skip + 5}{filters}")
        assert await plans.rows_read() <= most


async def test_whole_rows_are_read_for_the_page_alone(vtn: VtnUnderTest) -> None:
    """Skipped rows are counted by their keys alone; all columns are read only for the rows of the page."""
    await _many(vtn)
    with Statements(vtn) as statements:
        assert len(await vtn.bl.ids(f"/events?skip={EVENTS // 2}")) == 50
        assert len(await vtn.bl.ids(f"/reports?skip={REPORTS // 2}")) == 50
    for statement in statements.texts:
        inner = statement[statement.index("(SELECT") : statement.index("LIMIT")]
        assert "members" not in inner


async def test_sqlite_finds_events_by_target_through_every_change(vtn: VtnUnderTest) -> None:
    """Triggers keep the table of targets; deleting reaches it through the event and the program."""
    bl, home = vtn.bl, vtn.home()
    program = await bl.program()
    ven = await bl.ven_for(home, ["a"])
    event = await bl.event(program, targets=["a", "b", "a"])
    other = await bl.event(program, targets=["b"])
    assert await home.ids("/events") == [event["id"]]
    (await bl.put(f"/events/{event['id']}", {"programID": program["id"], "targets": ["b"]})).ok()
    (await bl.put(f"/events/{other['id']}", {"programID": program["id"], "targets": ["c", ven["id"]]})).ok()
    assert await home.ids("/events") == [other["id"]]
    assert set(await bl.ids("/events?targets=b&targets=c")) == {event["id"], other["id"]}
    (await bl.delete(f"/events/{other['id']}")).ok()
    assert await home.ids("/events") == []
    (await bl.delete(f"/programs/{program['id']}")).ok()
    if vtn.server._database.is_sqlite:
        assert await vtn.server._database.rows(text("SELECT * FROM event_targets")) == []


async def test_a_page_of_very_many_is_read_from_its_beginning(vtn: VtnUnderTest) -> None:
    """Nearly all events have a target in common: no answer goes through all of them for its fifty."""
    await _many(vtn)
    bl, home = vtn.bl, vtn.home()
    await bl.ven_for(home, ["others"])
    for caller, path in ((home, "/events"), (home, "/events?active=true"), (bl, "/events?targets=others")):
        with Plans(vtn) as plans:
            assert len(await caller.ids(path)) == 50
        if vtn.server._database.is_sqlite:
            assert await plans.instructions() < EVENTS // 100  # ten for each event; finding all takes some hundred
        else:
            assert await plans.rows_read() < EVENTS // 40


async def test_few_and_many_are_found_in_the_same_order(vtn: VtnUnderTest) -> None:
    """PAGE-009, PAGE-010, PAGE-025: whichever way is taken, all pages together are what was asked for."""
    home, program, event = await _many(vtn)
    bl, others = vtn.bl, vtn.home()
    await bl.ven_for(others, ["others", "unknown"])
    newest_first = range(EVENTS - 1, -1, -1)
    few = [event, *(f"e{number}" for number in newest_first if number % 100 == 0)]
    many = [f"e{number}" for number in newest_first if number % 100]

    for caller, query, expected in (
        (home, "", few),
        (others, "", many),
        (bl, "&targets=mine", few),
        (bl, "&targets=others", many),
        (bl, "&targets=others&targets=mine", [event, *(f"e{number}" for number in newest_first)]),
        (others, f"&programID={program}", [one for one in many if int(one[1:]) % 20 == 0]),
        (others, "&targets=others&active=true", many),
    ):
        for skip in (0, 30, 49, len(expected) - 30, len(expected)):
            found = await caller.ids(f"/events?skip={skip}{query}")
            assert found == expected[skip : skip + 50], query


async def test_resource_groups_are_found_from_the_resources_of_the_reader(vtn: VtnUnderTest) -> None:
    """COMPAT-088: a VEN with little reads little, and no child is compared with every visible group."""
    small, large = await _many_groups(vtn)

    for caller, path, most_rows, most_thousands in (
        (small, "/resource_groups", 1_000, 30),
        (small, "/resource_groups/g299", 1_000, 30),
        (large, "/resource_groups", 400_000, 600),  # all children with all groups: 12 million
        (large, "/resource_groups/g1", 400_000, 300),
    ):
        with Plans(vtn) as plans:
            (await caller.get(path)).ok()
        assert len(plans.sent) == 1
        if vtn.server._database.is_sqlite:
            assert await plans.instructions() < most_thousands
        else:
            assert await plans.rows_read() < most_rows
