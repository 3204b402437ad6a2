"""A panel that takes long to be read is switched at the second of an event all the same."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from openadr_client.clock import ManualClock
from tests.support.waiting import wait_until
from tests.ven.builders import START, a_circuit, shed_event
from tests.ven.home import Relay
from ven.control import Control
from ven.decision import OptScope, ScopeKind
from ven.drivers import CircuitState
from ven.settings import VenSettings, VtnSettings
from ven.store import StateFile

READING_S = 2
KW = {"a": Decimal(3), "b": Decimal(3)}
ALL = {"a": Decimal(0), "b": Decimal(0)}


class SlowPanel(Relay):
    """A relay board that is read for as long as the test wants."""

    def __init__(self) -> None:
        super().__init__(KW)
        self.may_answer = asyncio.Event()
        self.readings = 0
        self.is_being_read = False

    async def read(self) -> Mapping[str, CircuitState]:
        self.readings += 1
        shown = await super().read()
        self.is_being_read = True
        try:
            await self.may_answer.wait()
        finally:
            self.is_being_read = False
        return shown


class SlowHome:
    """A control loop with such a panel, whose readings take two seconds."""

    def __init__(self, control: Control, panel: SlowPanel, clock: ManualClock, told: asyncio.Event) -> None:
        self.control = control
        self.panel = panel
        self.clock = clock
        self.told = told

    async def read(self) -> None:
        """Take a reading, or the rest of one that is under way; it takes its time."""
        reading = await self.begin_reading()
        await self.clock.advance(READING_S)
        self.panel.may_answer.set()
        await reading
        self.panel.may_answer.clear()

    async def begin_reading(self) -> asyncio.Task[None]:
        """Begin a reading; return what waits for it."""
        reading = asyncio.create_task(self.control.read())
        await wait_until(lambda: self.panel.is_being_read, what="the panel is being read")
        return reading


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[SlowHome]:
    """An event of a minute begins in 20 s, and the panel is known to be slow."""
    clock, panel, told = ManualClock(START - timedelta(seconds=20)), SlowPanel(), asyncio.Event()
    settings = VenSettings(
        vtn=VtnSettings(url="http://127.0.0.1:1/openadr3/3.1.0"),
        ven_name="slow",
        circuits=(a_circuit("a"), a_circuit("b")),
        store=tmp_path / "ven.sqlite3",
    )
    async with StateFile(settings.store, now=clock.now()) as store:
        control = Control(settings, store=store, driver=panel, clock=clock, told=told)
        panel.may_answer.set()
        await control.load()
        panel.may_answer.clear()
        await control.take_events([shed_event(-6, minutes=1)])
        there = SlowHome(control, panel, clock, told)
        await there.read()
        await control.step()
        yield there
        panel.may_answer.set()
        await control.restore()


async def test_panel_is_read_before_a_foreseen_change_and_switched_at_its_second(home: SlowHome) -> None:
    await home.clock.advance_to(START - timedelta(seconds=10))
    await home.read()
    wake = await home.control.step()
    assert wake == START - timedelta(seconds=2 * READING_S)
    await home.clock.advance_to(wake)
    await home.read()
    assert await home.control.step() == START
    await home.clock.advance_to(START)
    known = home.panel.readings
    async with asyncio.timeout(30):
        assert await home.control.step() == START
    assert home.panel.in_force == ALL
    assert home.panel.readings == known
    await home.read()
    await home.control.step()
    assert home.panel.readings == known + 1
    assert home.control.panel.limits == ALL
    assert home.control.problems == {}


async def test_reading_under_way_is_not_waited_for_and_not_believed_after_switching(home: SlowHome) -> None:
    await home.clock.advance_to(START - timedelta(seconds=4))
    await home.read()
    await home.control.step()
    await home.clock.advance_to(START - timedelta(seconds=1))
    reading = await home.begin_reading()
    await home.clock.advance_to(START)
    async with asyncio.timeout(30):
        await reading
        await home.control.step()
    assert home.panel.in_force == ALL
    begun = home.panel.readings
    await home.read()  # that from before the start comes to its end, and another is made
    await home.control.step()
    assert home.panel.readings == begun + 1
    assert home.control.panel.states["a"].limit_kw == 0


async def test_circuits_return_at_the_end_and_when_the_agent_ends_while_they_are_read(home: SlowHome) -> None:
    await home.clock.advance_to(START)
    await home.read()
    await home.control.step()
    assert home.panel.in_force == ALL
    reading = await home.begin_reading()
    home.panel.may_answer.set()
    await home.control.restore()
    assert home.panel.in_force == {}
    await reading


async def test_reading_that_is_too_old_is_not_acted_on(home: SlowHome) -> None:
    home.panel.by_hand("a", is_on=False)
    await home.clock.advance_to(START)
    step = asyncio.create_task(home.control.step())
    await wait_until(lambda: home.panel.is_being_read, what="the panel is being read")
    assert home.panel.in_force == {}
    home.panel.may_answer.set()
    await step
    assert home.panel.in_force == {"b": Decimal(0)}


async def test_news_during_a_reading_are_acted_on_without_it(home: SlowHome) -> None:
    reading = await home.begin_reading()
    await home.control.take_events([shed_event(-6, start=None, id_="now")])
    home.told.set()
    async with asyncio.timeout(30):
        await reading
        await home.control.step()
    assert home.panel.in_force == ALL
    assert not home.told.is_set()
    begun = home.panel.readings
    await home.read()  # that from before the news comes to its end, and another is made
    await home.control.step()
    assert home.panel.readings == begun + 1
    reading = await home.begin_reading()
    await home.control.remove("now")
    home.told.set()
    async with asyncio.timeout(30):
        await reading
        await home.control.step()
    assert home.panel.in_force == {}


async def test_news_between_readings_are_acted_on_before_the_next_one(home: SlowHome) -> None:
    known = home.panel.readings
    await home.control.take_events([shed_event(-6, start=None, id_="now")])
    home.told.set()
    async with asyncio.timeout(30):
        await home.control.read()
        assert await home.control.step() == home.clock.now(), "a reading is due at once"
    assert home.panel.in_force == ALL
    assert home.panel.readings == known


async def test_news_are_not_acted_on_by_a_reading_that_is_too_old(home: SlowHome) -> None:
    await home.control.take_events([shed_event(-6, start=None, id_="now")])
    home.panel.by_hand("a", is_on=False)
    await home.clock.advance(15)
    home.told.set()
    step = asyncio.create_task(home.control.step())
    await wait_until(lambda: home.panel.is_being_read, what="the panel is being read")
    assert home.panel.in_force == {}
    home.panel.may_answer.set()
    await step
    assert home.panel.in_force == {"b": Decimal(0)}


async def test_quick_panel_that_hangs_once_is_switched_at_the_second_all_the_same(home: SlowHome) -> None:
    home.panel.may_answer.set()
    await home.clock.advance_to(START - timedelta(seconds=5))
    await home.control.step()
    assert not home.control.panel.is_slow
    home.panel.may_answer.clear()
    await home.clock.advance_to(START)
    step = asyncio.create_task(home.control.step())
    await wait_until(lambda: home.panel.is_being_read, what="the panel is being read")
    async with asyncio.timeout(30):
        assert await step == START, "a reading is due at once"
    assert home.panel.in_force == ALL
    assert "reading" not in home.control.problems


async def test_owners_word_ends_at_its_second_however_long_a_reading_takes(home: SlowHome) -> None:
    end = START + timedelta(seconds=8)
    scope = OptScope(ScopeKind.EVENT, "e1")
    home.control.agenda.opt(scope, opted_in=False, reason=None, until=end, now=home.clock.now())
    await home.clock.advance_to(START)
    await home.read()
    assert await home.control.step() == end - timedelta(seconds=2 * READING_S)
    assert home.panel.in_force == {}
    known = home.panel.readings
    await home.clock.advance_to(end)
    async with asyncio.timeout(30):
        await home.control.step()
    assert home.panel.in_force == ALL
    assert home.panel.readings == known
