"""The book and the turns that change it: in bulk, after the commit only, and the same as in the database."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncConnection

from bridge_mqtt.acks import AckDesk
from bridge_mqtt.book import Book, PanelChanges
from bridge_mqtt.due_times import DueTimes
from bridge_mqtt.health import Health
from bridge_mqtt.model import Command, Holding, HoldingState
from bridge_mqtt.panels import Registry
from bridge_mqtt.service import Bridge
from bridge_mqtt.settings import Settings
from bridge_mqtt.stall import StallMeter
from bridge_mqtt.store import Store, acks, commands
from bridge_mqtt.store.acks import AckQuery
from bridge_mqtt.turns import Turns
from openadr_client import Received
from openadr_profiles.panel import CommandState, Op
from tests.bridge_mqtt.conftest import World

NOW = datetime(2026, 11, 23, 17, 0, tzinfo=UTC)


class Refused(Exception):
    """Stands for whatever ends a turn."""


def a_command(ven_id: str, state: CommandState = CommandState.QUEUED) -> Command:
    """A shed on its way to a panel."""
    return Command(
        correlation_id=f"evt-1-{ven_id}",
        ven_id=ven_id,
        op=Op.SHED_PANEL,
        reason="start",
        state=state,
        queued_at=NOW,
        event_id="evt-1",
        window_start=NOW,
        window_end=NOW + timedelta(hours=1),
        amount_kw=Decimal(2),
    )


def a_holding(ven_id: str, event_id: str = "evt-1") -> Holding:
    """Return what the panel holds while the shed is on its way."""
    return Holding(
        ven_id=ven_id,
        event_id=event_id,
        window_start=NOW,
        window_end=NOW + timedelta(hours=1),
        amount_kw=Decimal(2),
        until=None,
        correlation_id=f"evt-1-{ven_id}",
        state=HoldingState.SENDING,
        since=NOW,
    )


@pytest.fixture
async def turns(database_url: str) -> AsyncIterator[Turns]:
    """Turns on each database, empty."""
    values = {"vtn": {"url": "http://vtn.example/3.1.0"}, "database": {"url": database_url}, "unregistered": "accept"}
    store = await Store.open(Settings.model_validate(values).database.url.get_secret_value())
    yield Turns(store, Health(), sleep=asyncio.sleep)
    await store.close()


async def tell(turns: Turns, ven_ids: list[str]) -> None:
    """Queue a shed for each panel, mark all as sent."""
    async with turns.change() as turn:
        for ven_id in ven_ids:
            turn.changes.queue(a_command(ven_id))
            turn.changes.hold(a_holding(ven_id))
    async with turns.change() as turn:
        for command in turns.book.queue.values():
            turn.changes.change(command, state=CommandState.SENT, sent_at=NOW, deadline_at=NOW + timedelta(seconds=10))


async def answer(turns: Turns, ven_ids: list[str]) -> set[str]:
    """Take in a yes of each panel."""
    values = {"vtn": {"url": "http://vtn.example/3.1.0"}, "unregistered": "accept"}
    desk = AckDesk(Registry(Settings.model_validate(values)), turns.book, quarantine_per_hour=9, clock_speed=1)
    payload = '{{"op":"event","status":"accepted","correlationId":"evt-1-{}","actual_shed_kw":1}}'
    messages = [
        Received(f"ven/ack/{ven_id}", payload.format(ven_id).encode(), NOW + timedelta(seconds=1), retained=False)
        for ven_id in ven_ids
    ]
    async with turns.change() as turn:
        return await desk.take(turn, messages)


def entries(book: Book) -> tuple[object, ...]:
    """Return what a book says, without the numbers that only the database gives."""
    outstanding = {ven_id: replace(command, id=None) for ven_id, command in book.outstanding.items()}
    return book.holdings, outstanding, list(book.queue), {each: book.holds(each) for each in ("evt-1", "evt-2")}


async def test_the_book_is_what_the_database_says(turns: Turns) -> None:
    """After each turn, what was applied is what a bridge that starts now reads."""
    await tell(turns, ["panel-1", "panel-2", "panel-3"])
    assert await answer(turns, ["panel-1", "panel-2"]) == {"panel-1", "panel-2"}
    async with turns.change() as turn:
        turn.changes.drop("panel-1")
        turn.changes.queue(replace(a_command("panel-4"), op=Op.PING))
    fresh = Book()
    async with turns.turn() as connection:
        await fresh.read(connection)
    assert entries(turns.book) == entries(fresh)
    assert turns.book.holdings["panel-2"].state is HoldingState.HELD
    assert set(turns.book.outstanding) == {"panel-3", "panel-4"}


async def test_a_turn_that_fails_changes_neither_the_book_nor_the_database(turns: Turns) -> None:
    """Whatever ends it: the next turn begins from what was there before."""
    await tell(turns, ["panel-1"])
    before = entries(turns.book)

    async def fail() -> None:
        async with turns.change() as turn:
            turn.changes.drop("panel-1")
            turn.changes.queue(a_command("panel-2"))
            raise Refused

    with pytest.raises(Refused):
        await fail()
    fresh = Book()
    async with turns.turn() as connection:
        await fresh.read(connection)
    assert entries(turns.book) == entries(fresh) == before


async def test_who_may_not_decide_changes_nothing(turns: Turns) -> None:
    """The guard is asked in the transaction of each turn, also of those that take answers in."""

    async def refuse(_: object) -> None:
        raise Refused

    await tell(turns, ["panel-1"])
    turns._guard = refuse
    with pytest.raises(Refused):
        async with turns.change() as turn:
            turn.changes.drop("panel-1")
    with pytest.raises(Refused):
        await answer(turns, ["panel-1"])
    assert turns.book.holdings["panel-1"].state is HoldingState.SENDING


async def test_a_turn_takes_as_many_statements_for_many_panels_as_for_few(turns: Turns) -> None:
    """B7: what a turn costs at the database does not grow with its panels."""
    counted: list[str] = []
    event.listen(turns._store._engine.sync_engine, "before_cursor_execute", lambda *given: counted.append(given[2]))

    async def statements(ven_ids: list[str]) -> int:
        counted.clear()
        await tell(turns, ven_ids)
        await answer(turns, ven_ids)
        async with turns.change() as turn:
            for ven_id in ven_ids:
                turn.changes.drop(ven_id)
        return len(counted)

    await statements(["panel-0"])
    few = await statements([f"few-{number}" for number in range(3)])
    many = await statements([f"many-{number}" for number in range(400)])
    assert many == few
    assert few <= 30


async def test_old_commands_are_forgotten_unless_something_may_still_come_of_them(turns: Turns) -> None:
    """What a panel holds, or has not answered, is known for as long as it takes."""
    await tell(turns, ["waits", "holds", "over"])
    await answer(turns, ["holds", "over"])
    async with turns.change() as turn:
        turn.changes.drop("over")
    async with turns.turn() as connection:
        await commands.forget(connection, NOW)
        assert len(await commands.of_event(connection, "evt-1")) == 3
        await commands.forget(connection, NOW + timedelta(days=1))
        left = {command.ven_id for command in await commands.of_event(connection, "evt-1")}
    assert left == {"waits", "holds"}


async def test_what_a_panel_has_answered_is_not_confirmed_by_telemetry(turns: Turns) -> None:
    """Its answer says more, and came first."""
    await tell(turns, ["panel-1", "panel-2"])
    await answer(turns, ["panel-1"])
    async with turns.change() as turn:
        turn.changes.confirm("evt-1-panel-1", NOW + timedelta(seconds=30))
        turn.changes.confirm("evt-1-panel-2", NOW + timedelta(seconds=30))
    async with turns.turn() as connection:
        known = await commands.by_correlation(connection, {"evt-1-panel-1", "evt-1-panel-2"})
    assert known["evt-1-panel-1"].answered_by == "ack"
    assert known["evt-1-panel-1"].answered_at == NOW + timedelta(seconds=1)
    assert known["evt-1-panel-2"].answered_by == "telemetry"


async def test_what_is_old_is_found_by_an_index_and_forgotten_in_pieces(turns: Turns) -> None:
    """A year of acknowledgments is not deleted at once while decisions wait for the one lock of a writer."""
    panels = [f"panel-{number}" for number in range(12)]
    await tell(turns, panels)
    await answer(turns, panels)
    async with turns.change() as turn:
        for ven_id in panels:
            turn.changes.drop(ven_id)
    seen: list[tuple[str, Any]] = []
    listened = turns._store._engine.sync_engine
    event.listen(listened, "before_cursor_execute", lambda *given: seen.append((given[2], given[3])))
    later = NOW + timedelta(days=1)
    for module, index in ((acks, "ix_ven_acks_received"), (commands, "ix_bridge_commands_queued")):
        async with turns.turn() as connection:
            seen.clear()
            more = [await module.forget(connection, later, at_most=5) for _ in range(3)]
            plan = await explained(connection, *seen[0])
        assert more == [True, True, False]
        assert index in plan
    async with turns.turn() as connection:
        assert await commands.of_event(connection, "evt-1") == []
        assert await acks.search(connection, AckQuery()) == []


async def explained(connection: AsyncConnection, statement: str, values: Any) -> str:
    """Return how the database goes about a statement if it does not read whole tables, as it does with few rows."""
    if connection.dialect.name == "postgresql":
        await connection.execute(text("SET LOCAL enable_seqscan = off"))
        await connection.execute(text("SET LOCAL enable_sort = off"))
        rows = await connection.exec_driver_sql(f"EXPLAIN {statement}", values)
    else:
        rows = await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)
    return str(rows.all())


async def test_pings_of_the_last_day_are_read_by_an_index(turns: Turns) -> None:
    """What is read at the start does not grow with two years of commands."""
    async with turns.change() as turn:
        for ven_id, days in (("old", 2), ("late", 0.9), ("new", 0)):
            at = NOW - timedelta(days=days)
            turn.changes.queue(replace(a_command(ven_id), op=Op.PING, queued_at=at))
    async with turns.change() as turn:
        for command in turns.book.queue.values():
            turn.changes.change(command, state=CommandState.SENT, sent_at=command.queued_at)
    seen: list[tuple[str, Any]] = []
    listened = turns._store._engine.sync_engine
    event.listen(listened, "before_cursor_execute", lambda *given: seen.append((given[2], given[3])))
    async with turns.turn() as connection:
        seen.clear()
        assert await commands.last_pings(connection) == {"late": NOW - timedelta(days=0.9), "new": NOW}
        plans = [await explained(connection, *each) for each in list(seen)]
    assert all("ix_bridge_commands_queued" in plan for plan in plans)


async def test_answers_are_counted_once_they_are_committed(turns: Turns) -> None:
    """A batch that is taken again after its transaction has failed counts once."""
    await tell(turns, ["panel-1"])
    values = {"vtn": {"url": "http://vtn.example/3.1.0"}, "unregistered": "accept"}
    desk = AckDesk(Registry(Settings.model_validate(values)), turns.book, quarantine_per_hour=9, clock_speed=1)
    payloads = (b'{"op":"event","status":"accepted","correlationId":"evt-1-panel-1"}', b'{"op":"ping","status":"ok"}')
    again = payloads[0].replace(b"}", b',"note":"twice"}')
    messages = [Received("ven/ack/panel-1", each, NOW, retained=False) for each in (*payloads, again)]

    async def fail() -> None:
        async with turns.change() as turn:
            await desk.take(turn, messages)
            raise Refused

    with pytest.raises(Refused):
        await fail()
    assert (desk.stored, desk.unmatched, desk.double_sheds) == (0, 0, 0)
    async with turns.change() as turn:
        await desk.take(turn, messages)
    desk.committed()
    assert (desk.stored, desk.unmatched, desk.double_sheds) == (3, 1, 1)


async def test_a_decision_that_is_not_committed_leaves_its_panel_to_the_next_round(sqlite_world: World) -> None:
    """Else the panel waited for a new split that nobody has asked for."""
    settings = sqlite_world.settings(panels=[{"id": "panel-1", "dialect": "envelope"}])
    async with Bridge(settings) as bridge:
        dispatcher, turns = bridge._dispatcher, bridge._turns
        dispatcher._listening_since = lambda: NOW
        await tell(turns, ["panel-1"])
        listened = turns._store._engine.sync_engine

        def refuse(*given: Any) -> None:
            if "UPDATE bridge_commands" in given[2].replace('"', ""):
                raise Refused

        event.listen(listened, "before_cursor_execute", refuse)
        with pytest.raises(Refused):
            await dispatcher._take_steps(["panel-1"])
        assert dispatcher._after_plan == dispatcher._to_plan == set()
        event.remove(listened, "before_cursor_execute", refuse)
        await dispatcher._take_steps(["panel-1"])
        assert dispatcher._after_plan == dispatcher._to_plan == {"panel-1"}


async def test_the_late_answer_to_an_old_restore_does_not_end_a_newer_shed(turns: Turns) -> None:
    """C6: the panel holds the second shed; were it forgotten, a third one would be added to it."""

    async def send(correlation_id: str, op: Op, after_s: float, state: HoldingState) -> None:
        """Send a command that is not answered in time; what the panel may hold is in this state then."""
        at = NOW + timedelta(seconds=after_s)
        command = replace(a_command("panel-1"), correlation_id=correlation_id, op=op)
        holding = replace(a_holding("panel-1"), correlation_id=f"evt-1-{'S2' if after_s > 60 else 'S1'}", since=at)
        async with turns.change() as turn:
            turn.changes.queue(command)
        async with turns.change() as turn:
            turn.changes.change(turns.book.queue[correlation_id], state=CommandState.SENT, sent_at=at, deadline_at=at)
            turn.changes.hold(replace(holding, state=state))
        async with turns.change() as turn:
            turn.changes.change(turns.book.outstanding["panel-1"], state=CommandState.TIMED_OUT)

    async def hear(*correlation_ids: str) -> None:
        values = {"vtn": {"url": "http://vtn.example/3.1.0"}, "unregistered": "accept"}
        desk = AckDesk(Registry(Settings.model_validate(values)), turns.book, quarantine_per_hour=9, clock_speed=1)
        async with turns.change() as turn:
            for each in correlation_ids:
                payload = f'{{"op":"event","status":"accepted","correlationId":"{each}"}}'.encode()
                at = NOW + timedelta(seconds=200)
                await desk.take(turn, [Received("ven/ack/panel-1", payload, at, retained=False)])

    await send("restore-R1", Op.RESTORE_PANEL, 20, HoldingState.RELEASING)
    await send("restore-R2", Op.RESTORE_PANEL, 40, HoldingState.RELEASING)
    await hear("restore-R2")
    assert turns.book.holdings == {}
    await send("evt-1-S2", Op.SHED_PANEL, 80, HoldingState.UNCERTAIN)

    await hear("restore-R1", "evt-1-S2")

    assert turns.book.holdings["panel-1"].state is HoldingState.HELD
    assert turns.book.holdings["panel-1"].correlation_id == "evt-1-S2"
    assert (turns.book.outstanding, turns.book.queue) == ({}, {})


async def test_the_same_answer_in_one_batch_and_in_the_next_is_one_row(turns: Turns) -> None:
    """R13, no. 21: duplicates are counted, and only the first changes anything."""
    await tell(turns, ["panel-1"])
    assert await answer(turns, ["panel-1", "panel-1", "panel-1"]) == {"panel-1"}
    assert await answer(turns, ["panel-1", "panel-1"]) == set()
    async with turns.turn() as connection:
        rows = (await connection.execute(text("SELECT duplicates FROM ven_acks"))).all()
        flags = (await connection.execute(text("SELECT state, double_shed FROM bridge_commands"))).all()
    assert [tuple(row) for row in rows] == [(4,)]
    assert [(row.state, bool(row.double_shed)) for row in flags] == [("acked", False)]


@given(
    st.lists(st.tuples(st.sampled_from("abcd"), st.one_of(st.none(), st.sampled_from(["evt-1", "evt-2"]))), max_size=20)
)
def test_an_event_is_held_as_long_as_a_panel_holds_it(steps: list[tuple[str, str | None]]) -> None:
    """The count of holders agrees with the holdings, and an event is released exactly when the last one goes."""
    book = Book()
    for ven_id, event_id in steps:
        before = {holding.event_id for holding in book.holdings.values()}
        changes = PanelChanges()
        if event_id is None:
            changes.drop(ven_id)
        else:
            changes.hold(a_holding(ven_id, event_id))
        released = book.apply(changes)
        held = {holding.event_id for holding in book.holdings.values()}
        assert {each for each in ("evt-1", "evt-2") if book.holds(each)} == held
        assert released == before - held


@given(
    st.lists(st.tuples(st.sampled_from("abcd"), st.one_of(st.none(), st.integers(0, 9))), max_size=30),
    st.sampled_from([None, 1, 2]),
)
def test_each_name_is_due_once_at_its_last_time(steps: list[tuple[str, int | None]], most: int | None) -> None:
    """A later setting replaces an earlier one, whether it is earlier or later in time."""
    due, expected = DueTimes(), dict[str, datetime]()
    for name, second in steps:
        at = None if second is None else NOW + timedelta(seconds=second)
        due.put(name, at)
        expected.pop(name, None)
        if at is not None:
            expected[name] = at
        assert due.first == min(expected.values(), default=None)
    taken: dict[str, datetime] = {}
    for second in range(10):
        now = NOW + timedelta(seconds=second)
        while found := due.take_due(now, most=most):
            assert most is None or len(found) <= most
            taken |= dict.fromkeys(found, now)
    assert taken == expected
    assert len(due) == 0


def test_the_longest_stall_of_the_last_minute_is_known() -> None:
    """A metric that falls again when the loop is quick again, and one that does not."""
    meter = StallMeter()
    for at, stall_s in ((1.0, 0.02), (2.0, 0.3), (3.0, 0.01), (30.0, 0.1), (50.0, 0.05)):
        meter.note(at, stall_s)
    assert (meter.recent_s, meter.longest_s) == (0.3, 0.3)
    meter.note(63.0, 0.0)
    assert (meter.recent_s, meter.longest_s) == (0.1, 0.3)
    meter.note(200.0, 0.001)
    assert (meter.recent_s, meter.longest_s) == (0.001, 0.3)


async def test_answers_that_nobody_asked_for_are_stored_up_to_a_limit_each_hour(turns: Turns) -> None:
    """R16: a faulty panel must not fill the database; answers to our commands and other panels do not count."""
    values = {"vtn": {"url": "http://vtn.example/3.1.0"}, "unregistered": "accept"}
    registry = Registry(Settings.model_validate(values))
    desk = AckDesk(registry, turns.book, quarantine_per_hour=9, clock_speed=1, unmatched_per_hour=5)
    await tell(turns, ["panel-1"])

    async def take(ven_id: str, *members: str, at: datetime = NOW + timedelta(seconds=1)) -> set[str]:
        payloads = [f'{{"op":"event","status":"accepted",{each}}}'.encode() for each in members]
        async with turns.change() as turn:
            news = await desk.take(turn, [Received(f"ven/ack/{ven_id}", each, at, retained=False) for each in payloads])
        desk.committed()
        return news

    await take("panel-1", *['"n":0'] * 9, '"n":1')  # repetitions in a batch take no room
    for number in (*range(2, 8), 0):
        await take("panel-1", f'"n":{number}')
    assert (desk.unmatched, desk.unmatched_dropped) == (5, 3)
    assert await take("panel-1", '"correlationId":"evt-1-panel-1","actual_shed_kw":1') == {"panel-1"}
    assert await take("panel-2", '"n":0') == {"panel-2"}
    assert await take("panel-1", '"n":9', at=NOW + timedelta(hours=1)) == {"panel-1"}
    async with turns.turn() as connection:
        stored = await acks.search(connection, AckQuery())
    assert len(stored) == desk.stored == 8
