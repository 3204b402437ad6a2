"""Hints: how many reads come of them, and when (VENCLIENT-010): a push never does more than one more poll."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from random import Random

import pytest

from openadr_client import Hints, ManualClock, ReadAgain
from openadr_client.notifications import ReceivedNotification

HINT = ReadAgain("told", "mqtt")
POLL_S = 300.0


class Poller:
    """Reads whenever it is time to; notes when, and what the read finds is new if ``news`` says so."""

    def __init__(self, clock: ManualClock, *, spread_s: float = 0.0, seed: int = 1) -> None:
        self.clock = clock
        self.hints = Hints(clock, spread_s=spread_s, chance=Random(seed))
        self.began = clock.now()
        self.reads: list[float] = []
        self.news = False

    async def told(self) -> None:
        """Give a hint, and let it be heard."""
        self.hints.tell(HINT)
        await heard()

    async def run(self) -> None:
        while True:
            await self.hints.wait(self.clock.now() + timedelta(seconds=POLL_S))
            self.reads.append((self.clock.now() - self.began).total_seconds())
            self.hints.done(changed=self.news)


async def heard() -> None:
    """Let all tasks go as far as they can without the clock."""
    for _ in range(50):
        await asyncio.sleep(0)


@pytest.fixture
async def poller() -> AsyncIterator[Poller]:
    poller = Poller(ManualClock())
    task = asyncio.create_task(poller.run())
    await poller.clock.asleep()
    yield poller
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_hint_is_read_for_at_once_and_polling_goes_on(poller: Poller) -> None:
    await poller.clock.advance(10)
    await poller.told()
    await poller.clock.advance(2 * POLL_S)
    assert poller.reads == [10, 310, 610]


async def test_many_hints_at_once_are_one_read(poller: Poller) -> None:
    for _ in range(10_000):
        poller.hints.tell(HINT)
    await heard()
    assert poller.reads == [0]


async def test_a_flood_of_forged_hints_is_a_poll_a_minute_in_the_end(poller: Poller) -> None:
    """At most one read at a time, and ever more seldom while nothing is new."""
    for _ in range(3600):
        await poller.told()
        await poller.clock.advance(1)
    assert len(poller.reads) <= 2 + 6 + 60
    assert {b - a for a, b in zip(poller.reads[10:], poller.reads[11:], strict=False)} == {60.0}


async def test_a_flood_is_slowed_down_also_hours_after_the_start(poller: Poller) -> None:
    for _ in range(2 * 12 + 1):
        await poller.clock.advance(POLL_S)
    poller.reads.clear()
    for _ in range(3600):
        await poller.told()
        await poller.clock.advance(1)
    assert len(poller.reads) <= 2 + 6 + 60
    assert {b - a for a, b in zip(poller.reads[10:], poller.reads[11:], strict=False)} == {60.0}


async def test_hints_that_bring_something_new_are_never_kept_waiting(poller: Poller) -> None:
    poller.news = True
    for second in range(100):
        await poller.told()
        await poller.clock.advance(1)
        assert poller.reads[-1] == second
    assert len(poller.reads) == 100


async def test_after_a_flood_one_read_with_news_ends_the_waiting(poller: Poller) -> None:
    for _ in range(100):
        await poller.told()
        await poller.clock.advance(1)
    poller.news = True
    await poller.told()
    await poller.clock.advance(60)
    before = len(poller.reads)
    await poller.told()
    assert len(poller.reads) == before + 1


async def test_an_event_is_read_at_once_although_thousands_of_resources_were_told_of_in_vain(poller: Poller) -> None:
    """VENCLIENT-010: who writes resources is told of each, which slows down only what is read for resources."""
    for number in range(600):
        poller.hints.tell(ReceivedNotification("CREATE", "RESOURCE", {"id": f"r{number}"}, "websocket"))
        await heard()
        await poller.clock.advance(1)
    before = len(poller.reads)
    assert before <= 2 + 6 + 10
    poller.hints.tell(ReceivedNotification("CREATE", "EVENT", {"id": "e"}, "websocket"))
    await heard()
    assert poller.reads[before:] == [600]


async def test_a_fleet_does_not_read_all_at_once() -> None:
    """A hint to 10,000 VENs is read for within the spread, evenly."""
    clock = ManualClock()
    fleet = [Poller(clock, spread_s=0.5, seed=seed) for seed in range(200)]
    tasks = [asyncio.create_task(each.run()) for each in fleet]
    try:
        await clock.asleep(len(fleet))
        for each in fleet:
            each.hints.tell(HINT)
        await heard()
        await clock.advance(1)
        at = sorted(each.reads[0] for each in fleet)
        assert all(len(each.reads) == 1 for each in fleet)
        assert 0 <= at[0] < 0.05
        assert 0.45 < at[-1] <= 0.5
        assert 0.15 < at[len(at) // 2] < 0.35
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
