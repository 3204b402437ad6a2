"""The list of the fleet: what each row says, how it is searched and ordered, and what it costs with 10,000 VENs."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import delete

from openadr_profiles.fleet.problems import ProblemKind
from openadr_profiles.fleet.recipients import capacity_kw
from openadr_profiles.v31 import Resource, ValuesMap, Ven
from tests.vtn.console.fleets import PROTOCOLS, client, contact, many, put, resource, ven, ven_20b
from tests.vtn.harness import START, VtnUnderTest
from tests.vtn.statements import Statements
from vtn.store import tables
from vtn.store.console.fleet import FleetStore
from vtn.store.console.fleet_rows import FleetOrder, FleetPage, FleetQuery
from vtn.store.facts.instants import in_ms
from vtn.store.facts.tables import meters
from vtn.store.stamps import stamp
from vtn.store.v20b.tables import oadr20b_vens

OFFLINE = timedelta(minutes=5)


def store_of(vtn: VtnUnderTest) -> FleetStore:
    return FleetStore(vtn.server._database, vtn.server._stamps)


async def listed(vtn: VtnUnderTest, **query: Any) -> FleetPage:
    return await store_of(vtn).page(FleetQuery(offline_after=OFFLINE, **query))


async def names(vtn: VtnUnderTest, **query: Any) -> list[str]:
    return [row.name for row in (await listed(vtn, limit=1000, **query)).rows]


async def test_vens_of_all_languages_and_panels_are_rows_of_one_list(vtn: VtnUnderTest) -> None:
    await put(
        vtn,
        [
            (
                tables.vens,
                [ven("bridge", targets=["north"]), ven("home", MAX_POWER_CONSUMPTION=7), ven("new"), ven("old")],
            ),
            (
                tables.resources,
                [
                    resource("bridge", "panel-1", targets=["feeder-7"]),
                    resource("bridge", "panel-1/ac", MAX_POWER_CONSUMPTION=3, SHED_SHARE=0.5),
                    resource("bridge", "panel-1/fridge", MAX_POWER_CONSUMPTION=1, CRITICAL=True),
                    resource("bridge", "panel-2"),  # without circuits it cannot be told from a circuit
                    resource("home", "heating"),
                    resource("home", "up/down"),  # no panel: there is no resource "up"
                ],
            ),
            (oadr20b_vens, [ven_20b("old", ven_name="Thermostat 9")]),
            (tables.clients, [client(name) for name in ("bridge", "home", "new")]),
            (
                tables.contacts,
                [
                    contact("bridge", heard=START - timedelta(minutes=3), software="bridge/1", clock_offset_s=-0.4),
                    contact("home", protocol=PROTOCOLS[1]),
                    contact("old", protocol="OpenADR 2.0b"),
                ],
            ),
        ],
    )
    page = await listed(vtn)
    rows = {row.name: row for row in page.rows}
    assert list(rows) == ["bridge", "home", "new", "old", "panel-1"]
    assert page.total == 5
    assert {name: row.language for name, row in rows.items()} == {
        "bridge": "OpenADR 3.1",
        "home": "OpenADR 3.0.1",
        "new": None,
        "old": "OpenADR 2.0b",
        "panel-1": "panel",
    }
    panel = rows["panel-1"]
    assert (panel.ven_id, panel.bridge, panel.targets, panel.circuits) == ("bridge", "bridge", ("feeder-7",), 2)
    assert (panel.sheddable_kw, rows["bridge"].sheddable_kw) == (1.5, 1.5)
    assert (rows["home"].sheddable_kw, rows["new"].sheddable_kw) == (7, None)
    assert panel.heard_at == rows["bridge"].heard_at == START - timedelta(minutes=3)
    assert (rows["bridge"].software, panel.software, rows["old"].software) == ("bridge/1", None, "Thermostat 9")
    assert (rows["bridge"].state.clock_offset_s, rows["home"].state.clock_offset_s) == (-0.4, None)
    assert rows["new"].heard_at is None


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"search": "HOME"}, ["home-1", "home-2"]),
        ({"search": "%"}, []),
        ({"search": "panel"}, ["panel-1"]),
        ({"group": "north"}, ["bridge", "home-1", "panel-1"]),
        ({"group": "feeder-7"}, ["bridge", "panel-1"]),
        ({"group": "roof"}, ["home-2"]),
        ({"language": "3.1"}, ["bridge", "home-2"]),
        ({"language": "3.0.1"}, ["home-1"]),
        ({"language": "2.0b"}, ["old"]),
        ({"language": "panel"}, ["panel-1"]),
        ({"order": FleetOrder.NAME_DOWN, "search": "home"}, ["home-2", "home-1"]),
        ({"order": FleetOrder.SILENT, "search": "o"}, ["old", "home-2", "home-1"]),
        ({"order": FleetOrder.HEARD, "search": "o"}, ["home-1", "home-2", "old"]),
        ({"ven_ids": ("bridge", "old")}, ["bridge", "old", "panel-1"]),
        ({"search": "home", "group": "north", "language": "3.0.1"}, ["home-1"]),
    ],
)
async def test_the_list_is_searched_and_ordered(vtn: VtnUnderTest, query: dict[str, Any], expected: list[str]) -> None:
    """A group is found on vens, on their resources, and on the bridge of a panel."""
    every = [ven("bridge", targets=["north"]), ven("home-1", targets=["north"]), ven("home-2"), ven("old")]
    theirs = [resource("home-2", "pv", targets=["roof"]), resource("bridge", "panel-1", targets=["feeder-7"])]
    await put(
        vtn,
        [
            (tables.vens, every),
            (tables.resources, [*theirs, resource("bridge", "panel-1/ac")]),
            (oadr20b_vens, [ven_20b("old")]),
            (
                tables.contacts,
                [
                    contact("bridge"),
                    contact("home-1", protocol=PROTOCOLS[1]),
                    contact("home-2", heard=START - timedelta(hours=1)),
                ],
            ),
        ],
    )
    assert await names(vtn, **query) == expected


async def test_what_is_drawn_now_is_counted_once(vtn: VtnUnderTest) -> None:
    """By meters that are in no other one; of a panel its own, else its circuits; in the last hour."""

    def meter(
        client_id: str, resource_: str, kw: float, minutes_ago: int = 5, *, whole: bool = False
    ) -> dict[str, Any]:
        ends_at = in_ms(vtn.now.at - timedelta(minutes=minutes_ago))
        row = {"client_id": client_id, "resource": resource_, "is_whole": whole}
        return row | {"latest_ends_at_ms": ends_at, "latest_kw": kw}

    theirs = [resource("bridge", name) for name in ("panel-1", "panel-1/ac", "panel-2", "panel-2/ac", "panel-2/ev")]
    read = [
        meter("bridge", "panel-1", 5, 15, whole=True),
        meter("bridge", "panel-1/ac", 4),
        meter("bridge", "panel-2/ac", 1.5, whole=True),
        meter("bridge", "panel-2/ev", 2, 20, whole=True),
        meter("home", "AGGREGATED_REPORT", 3, 61, whole=True),
    ]
    every = [ven("bridge"), ven("home"), ven("other")]
    await put(vtn, [(tables.vens, every), (tables.resources, theirs), (meters, read)])
    rows = {row.name: row for row in (await listed(vtn)).rows}
    assert {name: row.power_kw for name, row in rows.items()} == {
        "bridge": 8.5,
        "panel-1": 5,
        "panel-2": 3.5,
        "home": None,
        "other": None,
    }
    assert rows["bridge"].read_at == vtn.now.at - timedelta(minutes=20)
    assert rows["panel-1"].read_at == vtn.now.at - timedelta(minutes=15)
    async with vtn.server._database.write() as connection:
        await connection.execute(delete(meters))


def random_fleet(chance: random.Random, now: datetime, count: int) -> list[tuple[Any, list[dict[str, Any]]]]:
    """Vens with by chance all that rules ask about."""

    def at(longest_h: float) -> datetime:
        return now - timedelta(hours=chance.random() * longest_h)

    rows: dict[Any, list[dict[str, Any]]] = {
        each: []
        for each in (
            tables.vens,
            tables.resources,
            tables.clients,
            oadr20b_vens,
            tables.contacts,
            tables.programs,
            tables.events,
            tables.reports,
        )
    }
    of_event = {"created_at": stamp(START), "modified_at": stamp(START), "targets": (), "members": '"a":1'}
    rows[tables.programs] = [of_event | {"id": "p", "name": "p"}]
    rows[tables.events] = [of_event | {"id": "e", "program_id": "p", "targets_inside": False}]
    for number in range(count):
        name = f"ven-{number:03}"
        rows[tables.vens].append(ven(name, targets=["g"] if chance.random() < 0.5 else ()))
        if chance.random() < 0.6:
            rows[tables.resources].append(resource(name, "r", targets=["h"] if chance.random() < 0.5 else ()))
        if chance.random() < 0.3:
            changes: dict[str, Any] = {"registration_id": None, "registered_at": None} if chance.random() < 0.3 else {}
            if chance.random() < 0.3:
                changes |= {"is_disabled": True, "cancel_refused_at": stamp(at(5))}
            if chance.random() < 0.5:
                changes |= {"registered_at": stamp(at(1))}
            rows[oadr20b_vens].append(ven_20b(name, **changes))
        elif chance.random() < 0.8:
            rows[tables.clients].append(client(name, suspended=chance.random() < 0.3))
        if chance.random() < 0.8:
            refused: dict[str, Any] = (
                {"refused_at": stamp(at(60)), "refused_status": 409, "refused_title": "t", "refused_request": "r"}
                if chance.random() < 0.5
                else {}
            )
            heard = None if refused and chance.random() < 0.2 else at(chance.choice((0.2, 60)))
            offset = chance.choice((None, 0.0, -31.0, 31.0, 30.0))
            rows[tables.contacts].append(contact(name, heard=heard, clock_offset_s=offset, **refused))
        if chance.random() < 0.6:
            reported = {"event_id": "e", "client_id": name, "client_name": name, "id": f"report-{name}"}
            moment = stamp(at(60))
            del (report := of_event | reported)["targets"]
            rows[tables.reports].append(report | {"created_at": moment, "modified_at": moment})
    return list(rows.items())


@pytest.mark.parametrize("seed", range(2))
async def test_who_is_found_by_a_problem_is_shown_with_it_and_nobody_else(vtn: VtnUnderTest, seed: int) -> None:
    """The conditions of the database are the rules of ``openadr_profiles/fleet/problems.py``."""
    await put(vtn, random_fleet(random.Random(seed), vtn.now.at, 120))
    every = (await listed(vtn, limit=1000)).rows
    assert len(every) == 120
    said = {row.name: {each.kind for each in row.problems(vtn.now.at)} for row in every}
    seen = set().union(*said.values())
    assert seen == set(ProblemKind) - {ProblemKind.OVERDUE, ProblemKind.NOT_NOTIFIED}
    for kind in ProblemKind:
        assert await names(vtn, problem=kind) == [name for name, kinds in said.items() if kind in kinds], kind
    assert await names(vtn, problem="any") == [name for name, kinds in said.items() if kinds]


async def test_what_some_circuits_do_not_say_is_not_known(vtn: VtnUnderTest) -> None:
    """Critical circuits shed nothing: beside silent ones that is no sum; of a sum it is told how many say something."""
    theirs = {name: resource("bridge", name) for name in ("p", "p/ac", "q", "q/ac")}
    theirs["p/fridge"] = resource("bridge", "p/fridge", CRITICAL=True)
    theirs["q/oven"] = resource("bridge", "q/oven", MAX_POWER_CONSUMPTION=3)
    await put(vtn, [(tables.vens, [ven("bridge")]), (tables.resources, list(theirs.values()))])
    told = {row.name: (row.sheddable_kw, row.saying, row.circuits) for row in (await listed(vtn)).rows}
    assert (told["p"], told["q"]) == ((None, 1, 2), (3, 1, 2))


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ([{"MAX_POWER_CONSUMPTION": 3}, {"MAX_POWER_CONSUMPTION": 2.5, "SHED_SHARE": 0.4}], 4.0),
        ([{"MAX_POWER_CONSUMPTION": 3, "SHED_SHARE": 7}], 3),
        ([{"MAX_POWER_CONSUMPTION": 3, "SHED_SHARE": -1}], 3),
        ([{"MAX_POWER_CONSUMPTION": 3, "CRITICAL": True}], 0),
        ([{"CRITICAL": True}], 0),
        ([{"MAX_POWER_CONSUMPTION": 3, "CRITICAL": "yes"}], 3),
        ([{"MAX_POWER_CONSUMPTION": "3"}], 9),
        ([{"MAX_POWER_CONSUMPTION": True}], 9),
        ([{"MAX_POWER_CONSUMPTION": -3}, {"MAX_POWER_CONSUMPTION": 1e9}], 9),
        ([{}], 9),
        ([], 9),
    ],
)
async def test_what_can_be_shed_is_counted_by_the_rule_of_the_command_line(
    vtn: VtnUnderTest, attributes: list[dict[str, Any]], expected: float
) -> None:
    """A number of another kind, and one that cannot be, is no number; without any the ven's own counts."""
    theirs = [resource("home", f"r{place}", **each) for place, each in enumerate(attributes)]
    await put(vtn, [(tables.vens, [ven("home", MAX_POWER_CONSUMPTION=9)]), (tables.resources, theirs)])
    (row,) = (await listed(vtn)).rows
    assert row.sheddable_kw == pytest.approx(expected)

    def maps(each: dict[str, Any]) -> tuple[ValuesMap, ...]:
        return tuple(ValuesMap(type=name, values=(value,)) for name, value in each.items())

    of: dict[str, Any] = {"id": "i", "created_date_time": START, "modification_date_time": START, "client_id": "home"}
    as_ven = Ven(**of, ven_name="home", attributes=maps({"MAX_POWER_CONSUMPTION": 9}))
    as_read = [Resource(**of, ven_id="i", resource_name="r", attributes=maps(each)) for each in attributes]
    assert capacity_kw(as_ven, as_read) == pytest.approx(Decimal(str(expected)))


async def test_a_page_of_ten_thousand_vens_is_one_statement(vtn: VtnUnderTest) -> None:
    """Hold it true, whatever is asked for; pages follow each other without gap or repetition."""
    await many(vtn, circuits=1)
    with Statements(vtn) as heard:
        first = await listed(vtn)
        assert len(heard.texts) == 1
        problems = await listed(vtn, problem="any", group="group:3", search="home", order=FleetOrder.SILENT)
        assert len(heard.texts) == 2
    assert (len(first.rows), first.total) == (50, 10_040)
    assert {row.sheddable_kw for row in first.rows if row.name.startswith("home")} == {2.0}
    assert len(problems.rows) == 50
    second = await listed(vtn, skip=50)
    assert [row.name for row in second.rows] == sorted(row.name for row in second.rows)
    assert second.rows[0].name > first.rows[-1].name
    assert (await listed(vtn, skip=20_000)).rows == ()
    store = store_of(vtn)
    assert await store.groups() == sorted(["group:panels", *(f"group:{number}" for number in range(12))])
    figures = await store.figures()
    assert figures.vens == 10_000
    assert figures.heard > 5_000
    assert len(await store.ven_ids(FleetQuery(group="group:3"))) == 833
