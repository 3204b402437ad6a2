"""Events over HTTP (EVT)."""

from __future__ import annotations

import asyncio

import pytest

from tests.vtn.harness import VtnUnderTest
from vtn.store import objects

PRICES = [
    {"id": 0, "payloads": [{"type": "PRICE", "values": [0.15]}]},
    {"id": 1, "payloads": [{"type": "PRICE", "values": [0.25]}]},
]


async def test_business_logic_makes_an_event(vtn: VtnUnderTest) -> None:
    """EVT-001, EVT-009."""
    bl = vtn.bl
    program = await bl.program()

    answer = await bl.post("/events", {"programID": program["id"], "intervals": PRICES})

    event = answer.ok(201)
    assert event["objectType"] == "EVENT"
    assert event["intervals"] == PRICES
    assert answer.headers["Location"].endswith(f"/events/{event['id']}")


async def test_an_event_needs_nothing_but_its_program(vtn: VtnUnderTest) -> None:
    """EVT-002, COMPAT-045: intervals are always there on the way out."""
    event = await vtn.bl.event(await vtn.bl.program())

    assert event["intervals"] == event["targets"] == []


async def test_an_event_of_a_program_that_does_not_exist_is_refused(vtn: VtnUnderTest) -> None:
    """EVT-003, EVT-010: the answer names the member; by POST and by PUT."""
    bl = vtn.bl
    event = await bl.event(await bl.program())
    document = {"programID": "no-such-program"}

    assert (await bl.post("/events", document)).problem(400) == "programID: there is no such program"
    assert (await bl.put(f"/events/{event['id']}", document)).problem(400) == "programID: there is no such program"
    assert (await bl.get("/events")).ok() == [event]


async def test_events_may_have_the_same_name(vtn: VtnUnderTest) -> None:
    """EVT-005, COMPAT-062."""
    program = await vtn.bl.program()

    for _ in range(2):
        await vtn.bl.event(program, eventName="same")


async def test_an_event_is_changed_and_moved_to_another_program(vtn: VtnUnderTest) -> None:
    """EVT-010."""
    bl = vtn.bl
    event, other = await bl.event(await bl.program(), eventName="old"), await bl.program()

    document = {"programID": other["id"], "eventName": "new", "intervals": PRICES}
    changed = (await bl.put(f"/events/{event['id']}", document)).ok()

    assert changed["eventName"] == "new"
    assert changed["intervals"] == PRICES
    assert await bl.ids("/events", {"programID": other["id"]}) == [event["id"]]
    assert await bl.ids("/events", {"programID": event["programID"]}) == []


async def test_an_event_goes_with_its_reports(vtn: VtnUnderTest) -> None:
    """EVT-012."""
    bl, home = vtn.bl, vtn.home()
    program = await bl.program()
    event, other = await bl.event(program), await bl.event(program)
    await home.report(event)
    kept = await home.report(other)

    (await bl.delete(f"/events/{event['id']}")).ok()

    assert await home.ids("/reports") == [kept["id"]]


async def test_odd_intervals_are_kept_as_they_are(vtn: VtnUnderTest) -> None:
    """EVT-007, EVT-008, EVT-016: no times are checked against each other."""
    intervals = [
        {"id": 5, "payloads": [], "intervalPeriod": {"start": "2020-01-01T00:00:00Z", "duration": "PT2H"}},
        {"id": 5, "payloads": [], "intervalPeriod": {"start": "2020-01-01T01:00:00Z", "duration": "PT2H"}},
        {"id": -3, "payloads": []},
    ]

    event = await vtn.bl.event(await vtn.bl.program(), intervals=intervals)

    assert event["intervals"] == intervals


async def test_times_at_the_edge_of_the_calendar_are_stored(vtn: VtnUnderTest) -> None:
    """TIME-005, TIME-008, TIME-019: and searched with `active` without failing."""
    bl = vtn.bl
    program = await bl.program()
    for period in (
        {"start": "9999-12-31T23:59:59Z", "duration": "P9998Y"},
        {"start": "9999-12-31T23:59:60Z", "duration": "PT1S"},
        {"start": "0001-01-01T00:00:00+00:00", "duration": "-PT5M"},
        {"start": "0001-01-02T00:00:00+14:00", "duration": "PT1H", "randomizeStart": "P9999Y"},
    ):
        event = await bl.event(program, intervalPeriod=period, intervals=[{"id": 0, "payloads": []}])
        assert event["intervalPeriod"] == period

    (await bl.get("/events", {"active": "true"})).ok()


async def test_an_event_is_cancelled_by_an_ordinary_change(vtn: VtnUnderTest) -> None:
    """EVT-019."""
    bl = vtn.bl
    event = await bl.event(await bl.program(), intervals=PRICES)

    document = {"programID": event["programID"], "intervalPeriod": {"start": "0001-01-01", "duration": "PT0S"}}
    (await bl.put(f"/events/{event['id']}", document)).ok()

    assert await bl.ids("/events") == [event["id"]]
    assert await bl.ids("/events", {"active": "true"}) == []


@pytest.mark.parametrize("what", ["events", "programs"])
async def test_many_reports_go_some_at_a_time_before_what_they_belong_to(
    vtn: VtnUnderTest, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """EVT-012, PROG-012: all of them and nobody else's, by whoever may delete, under If-Match, while others come."""
    monkeypatch.setattr(objects, "_AT_ONCE", 3)
    bl, home = vtn.bl, vtn.home()
    program, other = await bl.program(), await bl.event(await bl.program())
    event = await bl.event(program)
    for _ in range(10):
        await home.report(event)
    kept = await home.report(other)
    path = f"/events/{event['id']}" if what == "events" else f"/programs/{program['id']}"
    tag = (await bl.get(path)).headers["ETag"]

    (await home.delete(path)).problem(403)
    (await bl.delete(f"/{what}/missing")).problem(404)
    (await bl.ask("DELETE", path, headers={"If-Match": '"another"'})).problem(412)
    assert len((await bl.get("/reports")).ok()) == 11

    async def report() -> int:
        document = {"eventID": event["id"], "clientName": "late", "resources": []}
        return (await home.post("/reports", document)).status

    deleting = asyncio.create_task(bl.ask("DELETE", path, headers={"If-Match": tag}))
    reported = await asyncio.gather(*(report() for _ in range(10)))
    (await deleting).ok()
    assert set(reported) <= {201, 400}
    assert (await bl.get("/reports")).ok() == [kept]
    (await bl.get(path)).problem(404)
