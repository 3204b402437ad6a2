"""Events that are split and written before their second: at it every panel is told once, and only what is true then."""

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from bridge_mqtt import dispatcher, outbox
from bridge_mqtt.outbox import CommandOutbox
from bridge_mqtt.simulators.panels import SimulatedMqttPanel
from bridge_mqtt.store import Store
from openadr_client.clock import Clock
from openadr_profiles.v31 import Event
from tests.bridge_mqtt.conftest import World, an_event
from tests.support.waiting import wait_until

_AHEAD_S = 30.0
_IN_S = 20.0
"""The event begins in so many seconds, which do not pass: the clock is put forward."""


class ShiftedClock(Clock):
    """Real time and what it was shifted by; whoever waits notices at once."""

    def __init__(self) -> None:
        self._offset = timedelta(0)
        self._shifted = asyncio.Event()

    def now(self) -> datetime:
        return datetime.now(UTC) + self._offset

    def shift(self, seconds: float) -> None:
        self._offset += timedelta(seconds=seconds)
        self._shifted.set()
        self._shifted = asyncio.Event()

    async def sleep_until(self, instant: datetime) -> None:
        await asyncio.sleep(0)
        while (left_s := (instant - self.now()).total_seconds()) > 0:
            waiting = asyncio.ensure_future(self._shifted.wait())
            try:
                await asyncio.wait({waiting}, timeout=left_s)
            finally:
                waiting.cancel()


class Prepared:
    """A bridge with panels and an event that begins soon, of which everything is written already."""

    def __init__(self, world: World, clock: ShiftedClock) -> None:
        self.world, self.clock = world, clock
        self.start = clock.now() + timedelta(seconds=_IN_S)

    async def begin(self, panels: int = 1, *, is_marked: bool = False) -> list[SimulatedMqttPanel]:
        """Start everything and wait until the commands are rows: queued ones or, if so, marked as sent."""
        added = [await self.world.add_panel(f"panel-{number}") for number in range(1, panels + 1)]
        await self.world.start()
        await self.world.until("/api/panels", lambda known: known and all(panel["online"] for panel in known))
        self.start = self.clock.now() + timedelta(seconds=_IN_S)
        await self.world.post(self.event())
        await self.queued(lambda rows: len(rows) == panels, state="sent" if is_marked else "queued")
        return added

    def event(self, shed_kw: float = 3.0, *, later_s: float = 0.0, version: int = 0, length_s: float = 600) -> Event:
        """The event, or a later version of it."""
        modified = self.start - timedelta(hours=1) + timedelta(seconds=version)
        start = self.start + timedelta(seconds=later_s)
        return an_event(shed_kw=shed_kw, start=start, length_s=length_s, modified=modified)

    async def rows(self, sql: str) -> list[Any]:
        """Return what a statement finds in the bridge's database."""
        store = await Store.open(self.world.settings().database.url.get_secret_value())
        try:
            async with store.reading() as connection:
                return list(await connection.execute(text(sql)))
        finally:
            await store.close()

    async def queued(self, fact: Callable[[list[Any]], Any], *, state: str = "queued") -> list[Any]:
        """Wait until the commands that wait for their second are as they should be, and return them."""
        columns = "ven_id, correlation_id, amount_kw"
        sql = f"SELECT {columns} FROM bridge_commands WHERE op = 'shedPanel' AND state = '{state}' ORDER BY ven_id"

        async def look() -> list[Any] | None:
            rows = await self.rows(sql)
            return [rows] if fact(rows) else None

        found: list[Any] = (await wait_until(look, timeout_s=60, what="commands that wait"))[0]
        return found

    async def comes(self) -> None:
        """Let its second come."""
        self.clock.shift((self.start - self.clock.now()).total_seconds())

    async def held(self) -> None:
        """Wait until all panels of the event hold it."""
        await self.world.until(
            "/api/events/evt-1", lambda e: e["panels"] and all(panel["holds"] == "held" for panel in e["panels"])
        )


def _told(panel: SimulatedMqttPanel) -> list[Any]:
    return [json.loads(command) for command in panel.heard]


def _with_clock(world: World, monkeypatch: pytest.MonkeyPatch) -> Prepared:
    monkeypatch.setattr(dispatcher, "_AHEAD_S", _AHEAD_S)
    clock = ShiftedClock()
    world.clock = clock
    return Prepared(world, clock)


@pytest.fixture
def soon(world: World, monkeypatch: pytest.MonkeyPatch) -> Prepared:
    """A prepared event on each database."""
    return _with_clock(world, monkeypatch)


@pytest.fixture
def sqlite_soon(sqlite_world: World, monkeypatch: pytest.MonkeyPatch) -> Prepared:
    """The same on SQLite only."""
    return _with_clock(sqlite_world, monkeypatch)


async def test_commands_are_rows_before_the_second_and_leave_at_it(soon: Prepared) -> None:
    """C1, C2: until then nobody is told anything and the event is to come; the baseline is that of its second."""
    panels = await soon.begin(panels=3)
    before = await soon.queued(lambda rows: len(rows) == 3)
    event = await soon.world.get("/api/events/evt-1")
    assert event["state"] == "scheduled"
    assert [panel.heard for panel in panels] == [[], [], []]

    await soon.comes()
    await soon.held()

    assert [command["op"] for panel in panels for command in _told(panel)] == ["event"] * 3
    sent = await soon.rows("SELECT ven_id, correlation_id, amount_kw FROM bridge_commands ORDER BY ven_id")
    assert sent == before
    assert not await soon.rows("SELECT ven_id FROM bridge_commands WHERE sent_at < window_start")
    frozen = await soon.rows("SELECT b.ven_id FROM bridge_baselines b JOIN bridge_windows w ON b.frozen_at = w.start")
    assert len(frozen) == 3
    assert (await soon.world.until("/api/events/evt-1", lambda e: e["state"] == "active"))["isFinal"] is False


async def test_an_event_that_is_changed_before_its_second_is_told_as_it_is_then(soon: Prepared) -> None:
    """C6: what was prepared for the former amount is superseded, not sent and then put right."""
    (panel,) = await soon.begin()
    await soon.world.post(soon.event(2.0, version=1))
    await soon.queued(lambda rows: [row.amount_kw for row in rows] == [2.0])

    await soon.comes()
    await soon.held()

    assert [(command["op"], command["shed_kw"]) for command in _told(panel)] == [("event", 2.0)]
    states = await soon.rows("SELECT state FROM bridge_commands ORDER BY id")
    assert [row.state for row in states] == ["superseded", "acked"]


async def test_an_event_that_is_withdrawn_before_its_second_leaves_no_trace_at_panels(soon: Prepared) -> None:
    """C6: nobody is told anything, and neither split nor baselines of it are kept."""
    (panel,) = await soon.begin()
    await soon.world.withdraw("evt-1")
    await soon.queued(lambda rows: not rows)
    done = await soon.world.until("/api/events/evt-1", lambda e: e["isFinal"])
    assert done["state"] == "cancelled"

    await soon.comes()
    await soon.world.post(an_event("evt-2", start=soon.clock.now(), shed_kw=1.0))
    await soon.world.until("/api/events/evt-2", lambda e: e["panels"] and e["panels"][0]["holds"] == "held")

    assert [command["event_id"] for command in _told(panel)] == ["evt-2"]
    for table in ("bridge_windows", "bridge_allocations", "bridge_baselines", "bridge_explanations"):
        assert not await soon.rows(f"SELECT * FROM {table} WHERE event_id = 'evt-1'"), table


async def _split_for(soon: Prepared, kw: float) -> None:
    """Wait until the event is split for so many kW."""

    async def look() -> bool:
        return [row.request_kw for row in await soon.rows("SELECT request_kw FROM bridge_windows")] == [kw]

    await wait_until(look, timeout_s=60, what="the split of the changed event")


@pytest.fixture
def marked(soon: Prepared, monkeypatch: pytest.MonkeyPatch) -> Prepared:
    """A prepared event whose commands are marked as sent long before its second, each by itself."""
    monkeypatch.setattr(outbox, "_MARKED_BEFORE_S", _AHEAD_S)
    monkeypatch.setattr(outbox, "_FIRST", 1)
    monkeypatch.setattr(outbox, "_BATCH", 1)
    return soon


async def test_an_event_that_is_changed_at_the_last_moment_is_told_as_it_is_then(marked: Prepared) -> None:
    """C6, C7: what is marked as sent already has not left yet: it is taken back at its second."""
    (panel,) = await marked.begin(is_marked=True)
    await marked.world.post(marked.event(2.0, version=1))
    await _split_for(marked, 2.0)
    assert panel.heard == []

    await marked.comes()
    await marked.held()

    assert [(command["op"], command["shed_kw"]) for command in _told(panel)] == [("event", 2.0)]
    states = await marked.rows("SELECT state FROM bridge_commands ORDER BY id")
    assert [row.state for row in states] == ["superseded", "acked"]


async def test_an_event_that_is_withdrawn_at_the_last_moment_is_told_to_nobody(marked: Prepared) -> None:
    """C6: no panel holds it, and it is cancelled once that is certain.

    Batches that wait for their second are not on their way: there may be more than of those.
    """
    panels = await marked.begin(panels=outbox._BATCHES_IN_FLIGHT + 1, is_marked=True)
    await marked.world.withdraw("evt-1")
    await marked.world.until("/api/events/evt-1", lambda e: e["state"] == "completing")

    await marked.comes()
    done = await marked.world.until("/api/events/evt-1", lambda e: e["isFinal"])

    assert done["state"] == "cancelled"
    assert [panel.heard for panel in panels] == [[] for _ in panels]
    states = [row.state for row in await marked.rows("SELECT state FROM bridge_commands")]
    assert states == ["superseded"] * len(panels)


async def test_an_event_that_is_moved_is_prepared_anew_for_its_new_second(sqlite_soon: Prepared) -> None:
    """C6: at the former second nothing happens."""
    soon = sqlite_soon
    (panel,) = await soon.begin()
    await soon.world.post(soon.event(later_s=600, version=1))
    await soon.queued(lambda rows: not rows)
    assert not await soon.rows("SELECT * FROM bridge_windows")

    await soon.comes()
    soon.clock.shift(590)
    await soon.queued(lambda rows: len(rows) == 1)
    assert panel.heard == []
    soon.clock.shift(20)
    await soon.held()

    assert [command["op"] for command in _told(panel)] == ["event"]


async def test_a_bridge_that_is_started_again_before_the_second_sends_what_is_written(soon: Prepared) -> None:
    """C1, C3: the same row becomes the one message."""
    (panel,) = await soon.begin()
    (row,) = await soon.queued(bool)
    await soon.world.kill()
    await soon.world.start()
    await soon.comes()
    await soon.held()

    assert [command["correlationId"] for command in _told(panel)] == [row.correlation_id]
    assert panel.model.most_stacked == 1


async def test_a_panel_that_is_not_ours_any_more_is_told_nothing(sqlite_soon: Prepared) -> None:
    """C6: the settings have changed between; the other panel takes over what it can."""
    soon = sqlite_soon
    stays, goes = await soon.begin(panels=2)
    await soon.world.kill()
    await soon.world.start(panels=[{"id": "panel-1", "groups": ["group:all"]}])
    await soon.queued(lambda rows: [(row.ven_id, row.amount_kw) for row in rows] == [("panel-1", 3.0)])
    await soon.comes()
    await soon.held()

    assert [command["shed_kw"] for command in _told(stays)] == [3.0]
    assert goes.heard == []


async def test_an_event_that_went_while_the_bridge_was_away_is_not_carried_out(sqlite_soon: Prepared) -> None:
    """C6: what was prepared for it is superseded at the start, although its second has come meanwhile."""
    soon = sqlite_soon
    (panel,) = await soon.begin()
    await soon.world.kill()
    await soon.world.post(soon.event(later_s=600, version=1))
    await soon.comes()
    await soon.world.start()
    await soon.queued(lambda rows: not rows)

    assert not await soon.rows("SELECT * FROM bridge_windows")
    assert panel.heard == []


async def test_a_clock_that_is_put_back_takes_the_commands_back(sqlite_soon: Prepared) -> None:
    """C6: the event is prepared again when its second is near again, and told once."""
    soon = sqlite_soon
    (panel,) = await soon.begin()
    soon.clock.shift(-300)
    soon.world._look()
    await soon.queued(lambda rows: not rows)
    assert panel.heard == []
    soon.clock.shift(300)
    await soon.queued(lambda rows: len(rows) == 1)
    await soon.comes()
    await soon.held()

    assert [command["op"] for command in _told(panel)] == ["event"]


async def test_a_clock_that_is_put_beyond_the_end_sends_nothing(sqlite_soon: Prepared) -> None:
    """C4: nothing of the event is left to be told."""
    soon = sqlite_soon
    (panel,) = await soon.begin()
    soon.clock.shift(3000)
    done = await soon.world.until("/api/events/evt-1", lambda e: e["isFinal"])

    assert done["state"] == "missed"
    assert panel.heard == []


async def test_a_panel_in_another_event_is_told_when_that_is_over(sqlite_soon: Prepared) -> None:
    """C6: it counts when the next event is split, and is told nothing before its second."""
    soon = sqlite_soon
    panel = await soon.world.add_panel("panel-1")
    free = await soon.world.add_panel("panel-2")
    await soon.world.start()
    await soon.world.until("/api/panels", lambda known: known and all(each["online"] for each in known))
    soon.start = soon.clock.now() + timedelta(seconds=_IN_S)
    began = soon.start - timedelta(seconds=_IN_S)
    first = an_event("evt-0", start=began, length_s=_IN_S, shed_kw=1.0, targets=("panel-1",), priority=1)
    await soon.world.post(first)
    await soon.world.until("/api/events/evt-0", lambda e: e["panels"] and e["panels"][0]["holds"] == "held")
    await soon.world.post(soon.event(4.0))
    await soon.queued(lambda rows: [row.ven_id for row in rows] == ["panel-2"])

    await soon.comes()
    await soon.held()

    assert [each["event_id"] for each in _told(panel) if each["op"] == "event"] == ["evt-0", "evt-1"]
    assert panel.model.most_stacked == 1
    assert [command["op"] for command in _told(free)] == ["event"]
    asked = {
        row.ven_id: row.requested_kw
        for row in await soon.rows("SELECT ven_id, requested_kw FROM bridge_allocations WHERE event_id = 'evt-1'")
    }
    assert sum(asked.values()) == 4.0
    assert min(asked.values()) > 0


async def test_an_event_that_is_brought_forward_is_told_at_once(sqlite_soon: Prepared) -> None:
    """C6: what was prepared for its former second is superseded, and the new window has the panel's answer."""
    soon = sqlite_soon
    (panel,) = await soon.begin()
    earlier_s = (soon.start - soon.clock.now()).total_seconds()
    await soon.world.post(soon.event(later_s=-earlier_s, length_s=600 + earlier_s, version=1))
    await soon.held()

    assert [command["op"] for command in _told(panel)] == ["event"]
    assert soon.clock.now() < soon.start
    windows = await soon.rows("SELECT start FROM bridge_windows")
    parts = await soon.rows("SELECT window_start FROM bridge_allocations")
    assert [row.window_start for row in parts] == [row.start for row in windows]


async def test_an_event_that_is_amended_as_its_second_comes_is_told_as_amended(
    sqlite_soon: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    """C6: one round finds both, and the former amount never leaves."""
    soon = sqlite_soon
    panels = await soon.begin(panels=3)
    round_, send, waits = dispatcher.Dispatcher._round, CommandOutbox._send_due, asyncio.Event()
    may_begin, may_send = asyncio.Event(), asyncio.Event()

    async def held(self: dispatcher.Dispatcher) -> None:
        waits.set()
        await may_begin.wait()
        await round_(self)
        may_send.set()

    async def send_later(self: CommandOutbox) -> None:
        await may_send.wait()
        await send(self)

    monkeypatch.setattr(CommandOutbox, "_send_due", send_later)
    monkeypatch.setattr(dispatcher.Dispatcher, "_round", held)
    ((before,),) = await soon.rows("SELECT modified_at FROM bridge_events")
    await soon.world.post(soon.event(1.0, version=1))
    await waits.wait()

    async def is_stored() -> bool:
        return bool(await soon.rows(f"SELECT * FROM bridge_events WHERE modified_at <> '{before}'"))

    await wait_until(is_stored, what="the amended event is stored")
    await soon.comes()
    may_begin.set()
    await soon.held()

    told = [command for panel in panels for command in _told(panel)]
    assert [command["op"] for command in told] == ["event"] * 3
    assert sum(command["shed_kw"] for command in told) == pytest.approx(1.0)
