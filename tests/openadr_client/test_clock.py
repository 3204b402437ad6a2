import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from openadr_client import clock as clocks
from openadr_client.clock import ManualClock, ScaledClock, SystemClock

START = datetime(2026, 1, 1, tzinfo=UTC)


def test_system_clock_is_aware_and_in_utc() -> None:
    assert SystemClock().now().utcoffset() == timedelta(0)


class SetClock(SystemClock):
    """A system clock that somebody sets."""

    by = timedelta(0)

    def now(self) -> datetime:
        return super().now() + self.by


async def test_wait_is_not_longer_when_the_system_clock_is_set_back() -> None:
    clock = SetClock()
    waits = [
        asyncio.create_task(clock.sleep(0.05)),
        asyncio.create_task(clock.wait_for(asyncio.Event(), until=clock.now() + timedelta(seconds=0.05))),
    ]
    for _ in range(3):  # until each has begun to wait
        await asyncio.sleep(0)
    clock.by = timedelta(hours=-1)
    async with asyncio.timeout(120):
        assert await asyncio.gather(*waits) == [None, False]


async def test_wait_ends_when_the_system_clock_is_set_forward(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clocks, "_STEP_S", 0.01)
    clock = SetClock()
    wait = asyncio.create_task(clock.sleep(3600))
    await asyncio.sleep(0)
    clock.by = timedelta(hours=1)
    async with asyncio.timeout(120):
        await wait


async def test_wait_ends_at_its_instant_when_nobody_sets_the_clock() -> None:
    clock = SystemClock()
    until = clock.now() + timedelta(seconds=0.02)
    await clock.sleep_until(until)
    assert clock.now() >= until


async def test_monotonic_seconds_are_those_of_the_clock() -> None:
    real = [100.0]
    scaled, manual = ScaledClock(60, monotonic=lambda: real[0]), ManualClock()
    before = scaled.monotonic_s(), manual.monotonic_s()
    real[0] += 2
    await manual.advance(120)
    assert (scaled.monotonic_s() - before[0], manual.monotonic_s() - before[1]) == (120, 120)


def test_scaled_clock_runs_as_fast_as_told() -> None:
    real = [100.0]
    clock = ScaledClock(60, start=START, monotonic=lambda: real[0])
    real[0] += 2
    assert clock.now() == START + timedelta(minutes=2)


async def test_scaled_clock_waits_in_its_own_time() -> None:
    clock = ScaledClock(10_000, start=START)
    await clock.sleep(60)
    assert clock.now() >= START + timedelta(seconds=60)


@pytest.mark.parametrize("speed", [0, -1, float("inf"), float("nan")])
def test_scaled_clock_refuses_a_speed_that_is_none(speed: float) -> None:
    with pytest.raises(ValueError, match="positive number"):
        ScaledClock(speed)


async def test_manual_clock_wakes_sleepers_in_the_order_of_their_instants() -> None:
    clock = ManualClock(START)
    seen: list[tuple[str, datetime]] = []

    async def sleeper(name: str, *lengths: float) -> None:
        for length in lengths:
            await clock.sleep(length)
            seen.append((name, clock.now()))

    async with asyncio.TaskGroup() as group:
        group.create_task(sleeper("a", 30, 30))
        group.create_task(sleeper("b", 45))
        await clock.asleep(2)
        await clock.advance(100)

    assert seen == [(name, START + timedelta(seconds=s)) for name, s in (("a", 30), ("b", 45), ("a", 60))]
    assert clock.now() == START + timedelta(seconds=100)


async def test_manual_clock_forgets_a_sleeper_that_was_cancelled() -> None:
    clock = ManualClock(START)
    task = asyncio.create_task(clock.sleep(10))
    await clock.asleep()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert clock.sleepers == 0
    assert clock.next_wake is None


async def test_waiting_for_an_event_ends_with_the_event_or_with_the_instant() -> None:
    clock = ManualClock(START)
    event = asyncio.Event()
    waiting = asyncio.create_task(clock.wait_for(event, until=START + timedelta(seconds=5)))
    await clock.asleep()
    await clock.advance(5)
    assert await waiting is False

    waiting = asyncio.create_task(clock.wait_for(event, until=START + timedelta(seconds=50)))
    await clock.asleep()
    event.set()
    assert await waiting is True
