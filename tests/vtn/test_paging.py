"""Lists: pages, order and filters (requirements section 4)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.vtn.harness import Session, VtnUnderTest, unique

COLLECTIONS = ("programs", "events", "reports", "vens", "resources")
every_collection = pytest.mark.parametrize("collection", COLLECTIONS)


async def some(vtn: VtnUnderTest, collection: str, count: int) -> list[str]:
    """As many objects, oldest first; the ids."""
    bl, home = vtn.bl, vtn.home()
    made: list[Any] = []
    parent: Any = None
    for _ in range(count):
        match collection:
            case "programs":
                made.append(await bl.program())
            case "events":
                parent = parent or await bl.program()
                made.append(await bl.event(parent))
            case "reports":
                parent = parent or await bl.event(await bl.program())
                made.append(await home.report(parent))
            case "vens":
                made.append(await vtn.home().ven())
            case _:
                parent = parent or await home.ven()
                made.append(await home.resource(parent))
    return [one["id"] for one in made]


@every_collection
async def test_pages_are_cut_from_the_newest_to_the_oldest(vtn: VtnUnderTest, collection: str) -> None:
    """PAGE-001, PAGE-003 … PAGE-007, PAGE-010 as ruled: newest first, COMPAT-072."""
    newest_first = (await some(vtn, collection, 4))[::-1]
    bl, path = vtn.bl, f"/{collection}"

    assert await bl.ids(path) == newest_first
    assert await bl.ids(path, {"limit": "1"}) == newest_first[:1]
    assert await bl.ids(path, {"skip": "1"}) == newest_first[1:]
    assert await bl.ids(path, {"skip": "1", "limit": "1"}) == newest_first[1:2]
    assert await bl.ids(path, {"skip": "4"}) == []
    assert await bl.ids(path, {"skip": "2147483647"}) == []
    assert await bl.ids(path, {"limit": "0"}) == []
    assert await bl.ids(path, {"limit": "50"}) == newest_first


async def test_a_page_has_fifty_objects_unless_asked_otherwise(vtn: VtnUnderTest) -> None:
    """PAGE-002, COMPAT-070, COMPAT-071."""
    newest_first = (await some(vtn, "programs", 53))[::-1]

    assert await vtn.bl.ids("/programs") == newest_first[:50]
    assert await vtn.bl.ids("/programs", {"skip": "50"}) == newest_first[50:]
    assert await vtn.bl.ids("/programs", {"limit": "50"}) == newest_first[:50]


@every_collection
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("limit", "51"),
        ("limit", "-1"),
        ("skip", "-1"),
        ("limit", "abc"),
        ("limit", "1.5"),
        ("limit", ""),
        ("limit", "+1"),
        ("limit", "²"),
        ("skip", "2147483648"),
        ("skip", "99999999999999999999"),
    ],
)
async def test_impossible_pages_are_refused(vtn: VtnUnderTest, collection: str, name: str, value: str) -> None:
    """PAGE-008."""
    assert (await vtn.bl.get(f"/{collection}", {name: value})).problem(400).startswith(f"{name}:")


@pytest.mark.parametrize(
    ("collection", "name"),
    [
        ("programs", "skip"),
        ("events", "limit"),
        ("events", "programID"),
        ("events", "active"),
        ("reports", "clientName"),
        ("reports", "eventID"),
        ("vens", "venName"),
        ("resources", "venID"),
        ("resources", "resourceName"),
    ],
)
async def test_a_scalar_given_twice_is_refused(vtn: VtnUnderTest, collection: str, name: str) -> None:
    """PAGE-015."""
    answer = await vtn.bl.get(f"/{collection}", [(name, "1"), (name, "1")])

    assert answer.problem(400) == f"{name}: given more than once"


@pytest.mark.parametrize(
    ("collection", "name", "value"),
    [
        *((where, "targets", "") for where in ("programs", "events", "vens", "resources")),
        *((where, "targets", "t" * 129) for where in ("programs", "events", "vens", "resources")),
        *(("reports", "clientName", value) for value in ("", "n" * 129, "nul\0")),
        *(("vens", "venName", value) for value in ("", "n" * 129)),
        *(("resources", "resourceName", value) for value in ("", "n" * 129)),
        *(("events", "programID", value) for value in ("", "a b", "ä", "i" * 129)),
        *(("reports", name, "no/id") for name in ("programID", "eventID")),
        ("resources", "venID", "no.id"),
        ("events", "active", "yes"),
        ("events", "active", "TRUE"),
        ("events", "active", ""),
    ],
)  # fmt: skip
async def test_impossible_filters_are_refused(vtn: VtnUnderTest, collection: str, name: str, value: str) -> None:
    """PAGE-016, PAGE-027."""
    assert (await vtn.bl.get(f"/{collection}", {name: value})).problem(400).startswith(f"{name}:")


@pytest.mark.parametrize(
    ("collection", "name"),
    [
        ("events", "programID"),
        ("reports", "programID"),
        ("reports", "eventID"),
        ("reports", "clientName"),
        ("vens", "venName"),
        ("resources", "resourceName"),
        ("resources", "venID"),
        *((collection, "targets") for collection in ("programs", "events", "vens", "resources")),
    ],
)
async def test_a_filter_that_matches_nothing_gives_an_empty_list(vtn: VtnUnderTest, collection: str, name: str) -> None:
    """PAGE-017, MATRIX-006, COMPAT-041."""
    await some(vtn, collection, 1)

    assert (await vtn.bl.get(f"/{collection}", {name: "matches-nothing"})).ok() == []


@every_collection
async def test_unknown_parameters_are_ignored(vtn: VtnUnderTest, collection: str) -> None:
    """PAGE-014, COMPAT-023; also the target types of older versions that mean nothing here."""
    expected = await some(vtn, collection, 1)

    params = {"dateStart": "x", "targetType": "GROUP", "targetValues": "y", "toString": "1"}
    assert await vtn.bl.ids(f"/{collection}", params) == expected


async def test_events_are_filtered_by_program(vtn: VtnUnderTest) -> None:
    """PAGE-020, EVT-013; and by everything at once (PAGE-011)."""
    bl = vtn.bl
    one, other = await bl.program(), await bl.program()
    wanted = await bl.event(one, targets=["a"])
    untargeted = await bl.event(one)
    await bl.event(other, targets=["a"])

    assert await bl.ids("/events", {"programID": one["id"]}) == [untargeted["id"], wanted["id"]]
    assert await bl.ids("/events", {"programID": one["id"], "targets": "a"}) == [wanted["id"]]


async def test_several_targets_are_alternatives_and_a_comma_belongs_to_the_value(vtn: VtnUnderTest) -> None:
    """PAGE-012, PAGE-013, PAGE-025, PAGE-026: exact and case-sensitive."""
    bl = vtn.bl
    program = await bl.program()
    events = {name: (await bl.event(program, targets=[name]))["id"] for name in ("a", "b", "a,b", "A", "aa", " a")}

    assert await bl.ids("/events", [("targets", "a"), ("targets", "b")]) == [events["b"], events["a"]]
    for name, event in events.items():
        assert await bl.ids("/events", {"targets": name}) == [event]


async def test_reports_are_filtered(vtn: VtnUnderTest) -> None:
    """PAGE-019, REPORT-015: the program is that of the report's event."""
    bl, home = vtn.bl, vtn.home()
    program, other = await bl.program(), await bl.program()
    first, second = await bl.event(program), await bl.event(program)
    a = await home.report(first, clientName="a")
    b = await home.report(second, clientName="b")
    c = await home.report(await bl.event(other), clientName="a")

    assert await bl.ids("/reports", {"programID": program["id"]}) == [b["id"], a["id"]]
    assert await bl.ids("/reports", {"eventID": first["id"]}) == [a["id"]]
    assert await bl.ids("/reports", {"clientName": "a"}) == [c["id"], a["id"]]
    assert await bl.ids("/reports", {"clientName": "A"}) == []
    assert await bl.ids("/reports", {"clientName": "a", "programID": program["id"]}) == [a["id"]]


async def test_vens_are_filtered(vtn: VtnUnderTest) -> None:
    """PAGE-018, PAGE-023, VEN-015: a filter never widens what a VEN sees."""
    bl, home, other = vtn.bl, vtn.home(), vtn.home()
    ven, neighbour = await bl.ven_for(home, ["g", "h"]), await bl.ven_for(other, ["g"])

    assert await bl.ids("/vens", {"venName": ven["venName"]}) == [ven["id"]]
    assert await bl.ids("/vens", {"venName": ven["venName"].upper()}) == []
    assert await bl.ids("/vens", {"targets": "h"}) == [ven["id"]]
    assert await bl.ids("/vens", {"targets": "g"}) == [neighbour["id"], ven["id"]]
    assert await home.ids("/vens") == [ven["id"]]
    assert await home.ids("/vens", {"targets": "g"}) == [ven["id"]]
    assert await home.ids("/vens", {"venName": neighbour["venName"]}) == []
    assert await vtn.home().ids("/vens") == []


async def test_resources_are_filtered(vtn: VtnUnderTest) -> None:
    """PAGE-024, RES-013."""
    bl, home, other = vtn.bl, vtn.home(), vtn.home()
    ven, neighbour = await home.ven(), await other.ven()
    pump = await home.resource(ven, resourceName="pump")
    foreign = await bl.resource(ven, objectType="BL_RESOURCE_REQUEST", clientID=other.client_id, targets=["t"])
    twin = await other.resource(neighbour, resourceName="pump")

    assert await bl.ids("/resources", {"venID": ven["id"]}) == [foreign["id"], pump["id"]]
    assert await bl.ids("/resources", {"resourceName": "pump"}) == [twin["id"], pump["id"]]
    assert await bl.ids("/resources", {"resourceName": "pump", "venID": ven["id"]}) == [pump["id"]]
    assert await bl.ids("/resources", {"targets": "t"}) == [foreign["id"]]
    assert await home.ids("/resources", {"venID": ven["id"]}) == [pump["id"]]
    assert await home.ids("/resources", {"venID": neighbour["id"]}) == []
    assert await other.ids("/resources") == [twin["id"], foreign["id"]]


@pytest.mark.parametrize(
    ("collection", "member", "target_type"),
    [
        ("programs", "programName", "PROGRAM_NAME"),
        ("vens", "venName", "VEN_NAME"),
        ("resources", "resourceName", "RESOURCE_NAME"),
    ],
)
async def test_names_can_be_looked_up_beyond_the_first_page(
    vtn: VtnUnderTest, collection: str, member: str, target_type: str
) -> None:
    """COMPAT-024, COMPAT-076: by the parameter, by the words of older clients, or by both together."""
    ids = await some(vtn, collection, 3)
    names = {one["id"]: one[member] for one in (await vtn.bl.get(f"/{collection}")).ok()}
    path, bl = f"/{collection}", vtn.bl

    def by_type(*values: str) -> list[tuple[str, str]]:
        return [("targetType", target_type), *(("targetValues", value) for value in values)]

    assert await bl.ids(path, {member: names[ids[0]]}) == [ids[0]]
    assert await bl.ids(path, by_type(names[ids[0]])) == [ids[0]]
    assert await bl.ids(path, by_type(names[ids[0]], names[ids[2]], "nobody")) == [ids[2], ids[0]]
    assert await bl.ids(path, [*by_type(names[ids[0]]), (member, names[ids[0]])]) == [ids[0]]
    assert await bl.ids(path, [*by_type(names[ids[0]]), (member, names[ids[1]])]) == []


async def test_a_ven_finds_a_visible_program_by_name_but_no_hidden_one(vtn: VtnUnderTest) -> None:
    """COMPAT-024 under PRIV-010."""
    bl, home = vtn.bl, vtn.home()
    shown, hidden = await bl.program(), await bl.program(targets=["others"])

    assert await home.ids("/programs", {"programName": shown["programName"]}) == [shown["id"]]
    assert await home.ids("/programs", {"programName": hidden["programName"]}) == []


class TestActive:
    """`active` leaves out what is over (PAGE-027 … PAGE-031)."""

    @staticmethod
    async def active(caller: Session, value: str = "true") -> list[str]:
        """The names of the events that are left."""
        return sorted(one["eventName"] for one in (await caller.get("/events", {"active": value})).ok())

    async def test_it_leaves_out_events_that_are_over_and_keeps_all_others(self, vtn: VtnUnderTest) -> None:
        """PAGE-027 … PAGE-029, PAGE-031, COMPAT-026."""
        bl = vtn.bl
        program = await bl.program()
        now = vtn.now.at

        def period(minutes: int, duration: str | None, **members: str) -> dict[str, Any]:
            start = (now + timedelta(minutes=minutes)).isoformat()
            return {"start": start} | ({} if duration is None else {"duration": duration}) | members

        interval = {"id": 0, "payloads": [{"type": "SIMPLE", "values": [1]}]}
        periods: dict[str, dict[str, Any]] = {
            "over": period(-60, "PT59M"),
            "over-by-now": period(-60, "PT1H"),
            "running": period(-60, "PT1H1S"),
            "future": period(60, "PT1H"),
            "for-ever": period(-60, "P9999Y"),
            "open": period(-60, None),
            "shifted": period(-60, "PT59M", randomizeStart="-PT5M"),
            "now": {"start": "0001-01-01T00:00:00Z", "duration": "PT5M"},
            "cancelled": {"start": "0001-01-01", "duration": "PT0S"},
        }
        for name, interval_period in periods.items():
            await bl.event(program, eventName=name, intervalPeriod=interval_period, intervals=[interval])
        await bl.event(program, eventName="timeless", intervals=[interval])
        descriptors = [{"payloadType": "USAGE"}]
        await bl.event(
            program,
            eventName="asks",
            intervalPeriod=periods["cancelled"],
            intervals=[interval],
            reportDescriptors=descriptors,
        )

        lasting = ["asks", "for-ever", "future", "now", "open", "running", "shifted", "timeless"]
        assert await self.active(bl) == lasting
        assert await self.active(vtn.home()) == lasting
        assert await self.active(bl, "false") == sorted([*periods, "timeless", "asks"])

    async def test_an_event_is_over_when_its_time_has_passed(self, vtn: VtnUnderTest) -> None:
        """PAGE-028, TIME-016: "now" is the moment of the last write, and does not slide."""
        bl = vtn.bl
        program = await bl.program()
        document = {
            "programID": program["id"],
            "eventName": "now",
            "intervalPeriod": {"start": "0001-01-01T00:00:00Z", "duration": "PT10M"},
            "intervals": [{"id": 0, "payloads": []}],
        }
        event = (await bl.post("/events", document)).ok(201)

        vtn.now.pass_(minutes=9, seconds=59)
        assert await self.active(bl) == ["now"]
        vtn.now.pass_(seconds=2)
        assert await self.active(bl) == []

        (await bl.put(f"/events/{event['id']}", document)).ok()
        assert await self.active(bl) == ["now"]


async def test_paging_by_name_is_total_and_stable_under_inserts(vtn: VtnUnderTest) -> None:
    """PAGE-010 as ruled: an insert while paging repeats an object instead of hiding one."""
    ids = await some(vtn, "programs", 4)
    bl = vtn.bl

    first = await bl.ids("/programs", {"limit": "2"})
    await bl.program(programName=unique("late"))
    second = await bl.ids("/programs", {"skip": "2", "limit": "2"})

    assert first == ids[:1:-1]
    assert second == [ids[2], ids[1]]
