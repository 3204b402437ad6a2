"""Explaining an event from the rows that decisions left: nothing is guessed afterwards."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

from bridge_mqtt.explaining import explain, lines
from bridge_mqtt.model import Command, WindowPlan
from bridge_mqtt.store import allocations, commands, explanations
from openadr_profiles.panel import CommandState, Op
from tests.bridge_mqtt.test_planner import NOW, Desk, a_desk


async def explained(desk: Desk, event_id: str = "evt-1", **only: Any) -> dict[str, Any]:
    async with desk.store.reading() as connection:
        found = await explain(connection, event_id, **only)
    assert found is not None
    return found


async def test_an_explanation_says_who_was_asked_for_what_and_why(database_url: str) -> None:
    async with a_desk(database_url, count=4) as desk:
        desk.hear(NOW - timedelta(seconds=70), "panel-3")
        await desk.post(shed_kw=6)
        await desk.plan(NOW)
        refused = {("evt-1", NOW, "panel-1"): {"excluded": "rejected: unknown load"}}
        shed = Command(
            correlation_id="c-1",
            ven_id="panel-1",
            op=Op.SHED_PANEL,
            reason="start",
            state=CommandState.REJECTED,
            queued_at=NOW,
            event_id="evt-1",
            window_start=NOW,
            amount_kw=Decimal(2),
        )
        async with desk.store.transaction() as connection:
            await allocations.change_parts(connection, refused)
            await commands.queue(connection, [shed])
        await desk.plan(NOW + timedelta(seconds=1), {"panel-1"})

        found = await explained(desk)
        text = list(lines(found))

    (window,) = found["windows"]
    assert (window["requestedKw"], window["askedKw"], window["unallocatedKw"]) == (6.0, 6.0, 0.0)
    assert (window["takingPart"], window["leftOut"]) == (2, {"offline": 1, "rejected: unknown load": 1})
    assert [(part["venId"], part["requestedKw"], part["reason"]) for part in window["panels"]] == [
        ("panel-1", 0.0, "rejected: unknown load"),
        ("panel-3", 0.0, "offline"),
        ("panel-0", 4.0, "takes over what others do not shed"),
        ("panel-2", 2.0, "in proportion to the 8 kW it can shed"),
    ]
    clock = f"{NOW:%Y-%m-%d %H:%M:%S}"
    later = f"{NOW + timedelta(seconds=1):%Y-%m-%d %H:%M:%S}"
    assert text[0].startswith("evt-1")
    assert text[text.index("") + 1 :] == [
        f"{clock} to {NOW + timedelta(hours=1):%Y-%m-%d %H:%M:%S}: shed 6, 6 kW in all",
        "  asked: 6 kW of 2 panels, 1 offline, 1 rejected: unknown load",
        f"  {clock}  all panels 6 kW: shed 6 is 6 kW, shared out by capability",
        f"  {later}  all panels 6 kW: panel-1: rejected: unknown load",
        f"  {later}  panel-0 2 kW to 4 kW: takes over what others do not shed",
        f"  {later}  panel-1 2 kW to 0 kW: rejected: unknown load",
        "  panel-1: 0 kW of 8 kW; rejected: unknown load",
        f"      {clock}  shedPanel 2 kW (start): rejected",
        "  panel-3: 0 kW of 0 kW; offline",
        "  panel-0: 4 kW of 8 kW; takes over what others do not shed",
        "  panel-2: 2 kW of 8 kW; in proportion to the 8 kW it can shed",
    ]


async def test_of_many_panels_the_odd_ones_are_named_and_the_others_counted(sqlite_url: str) -> None:
    async with a_desk(sqlite_url, count=60) as desk:
        await desk.post(shed_kw=60)
        await desk.plan(NOW)
        async with desk.store.transaction() as connection:
            await allocations.change_parts(connection, {("evt-1", NOW, "panel-7"): {"delivered_kw": 0.5}})
        await desk.plan(NOW + timedelta(seconds=1), set())

        few = await explained(desk, panels=3)
        one = await explained(desk, ven_id="panel-9")

    (window,) = few["windows"]
    assert window["panels"][0]["venId"] == "panel-7"
    assert (len(window["panels"]), window["panelsNotNamed"], window["takingPart"]) == (3, 57, 60)
    assert "  and 57 more panels" in list(lines(few))
    assert [part["venId"] for part in one["windows"][0]["panels"]] == ["panel-9"]
    assert {decision["venId"] for decision in one["decisions"]} == {None}


async def test_what_nobody_can_shed_is_said(sqlite_url: str) -> None:
    """No. 14: a request beyond all capability."""
    async with a_desk(sqlite_url, count=2) as desk:
        await desk.post(shed_kw=100)
        await desk.plan(NOW)
        found = await explained(desk)

    assert found["windows"][0]["unallocatedKw"] == 84.0
    assert "  nobody is asked for 84 kW: the panels cannot shed more" in list(lines(found))
    assert {part["reason"] for part in found["windows"][0]["panels"]} == {"all it can shed"}


async def test_an_event_of_many_windows_is_explained_by_its_last(sqlite_url: str) -> None:
    async with a_desk(sqlite_url, count=1) as desk:
        await desk.post(shed_kw=1)
        async with desk.store.transaction() as connection:
            for number in range(70):
                start = NOW + timedelta(minutes=number)
                plan = WindowPlan(event_id="evt-1", start=start, end=None, request="shed 1", request_kw=Decimal(1))
                await allocations.save_plan(connection, plan, None, start)
        found = await explained(desk)

    assert (len(found["windows"]), found["windowsLeftOut"]) == (50, 20)
    assert found["windows"][-1]["start"] == NOW + timedelta(minutes=69)
    assert "  20 earlier windows are left out" in list(lines(found))


async def test_an_unknown_event_has_no_explanation(sqlite_url: str) -> None:
    async with a_desk(sqlite_url) as desk, desk.store.reading() as connection:
        assert await explain(connection, "evt-unknown") is None


async def test_decisions_are_forgotten_after_their_time(sqlite_url: str) -> None:
    """The split itself stays, with its reasons."""
    async with a_desk(sqlite_url) as desk:
        await desk.post(shed_kw=6)
        await desk.plan(NOW)
        async with desk.store.transaction() as connection:
            await explanations.forget(connection, NOW)
        kept = await explained(desk)
        async with desk.store.transaction() as connection:
            await explanations.forget(connection, NOW + timedelta(seconds=1))
        forgotten = await explained(desk)

    assert (len(kept["decisions"]), len(forgotten["decisions"])) == (1, 0)
    assert forgotten["windows"] == kept["windows"]
