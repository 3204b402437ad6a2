"""Supervision: a loop that dies in whatever way is named, begun again, and leaves the others alone."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from openadr_client.clock import ManualClock
from openadr_client.objects import Events
from tests.ven.builders import START, shed_event
from tests.ven.home import Home, Relay, Town
from ven import loops
from ven.agent import RoundLimits
from ven.control import Control
from ven.loops import FIRST_PAUSE_S, LONGEST_PAUSE_S, Loop, keep_running
from ven.reports.sender import ReportSender


class Work:
    """A loop that counts its beginnings and dies when told."""

    def __init__(self, name: str = "work") -> None:
        self.name = name
        self.beginnings = 0
        self.end = asyncio.Event()
        self.dies_of: BaseException | None = None

    async def run(self) -> None:
        self.beginnings += 1
        self.end.clear()
        await self.end.wait()
        if self.dies_of is not None:
            raise self.dies_of


@asynccontextmanager
async def running(clock: ManualClock, *loops: Loop) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(keep_running(loops, clock))
    try:
        yield task
    finally:
        if task.cancel():
            await asyncio.wait({task})


async def begun(work: Work, count: int) -> None:
    async with asyncio.timeout(120):
        while work.beginnings < count:  # noqa: ASYNC110 # no event of its own
            await asyncio.sleep(0)


def raises(work: Work) -> str:
    work.dies_of = ZeroDivisionError("by zero")
    work.end.set()
    return "ZeroDivisionError: by zero"


def returns(work: Work) -> str:
    work.dies_of = None
    work.end.set()
    return "it returned"


def is_cancelled(work: Work) -> str:
    (task,) = [task for task in asyncio.all_tasks() if task.get_name() == work.name]
    task.cancel()
    return "CancelledError: somebody cancelled it"


@pytest.mark.parametrize("die", [raises, returns, is_cancelled])
async def test_loop_that_dies_is_named_and_begun_again_after_growing_pauses(
    clock: ManualClock, die: Callable[[Work], str]
) -> None:
    one, other = Work("one"), Work("other")
    async with running(clock, Loop("one", one.run), Loop("other", other.run)):
        with capture_logs() as logs:
            for time in range(1, 9):
                await begun(one, time)
                said = die(one)
                await clock.asleep()
                await clock.advance(min(FIRST_PAUSE_S * 2 ** (time - 1), LONGEST_PAUSE_S))
            await begun(one, 9)
        assert other.beginnings == 1
    assert [(log["loop"], log["error"], log["again_in_s"]) for log in logs] == [
        ("one", said, pause) for pause in (1, 2, 4, 8, 16, 32, 60, 60)
    ]


async def test_pauses_begin_anew_after_a_long_life(clock: ManualClock) -> None:
    work = Work()
    async with running(clock, Loop("work", work.run)):
        with capture_logs() as logs:
            for time, lived_s in enumerate((0, 0, LONGEST_PAUSE_S + 1), start=1):
                await begun(work, time)
                await clock.advance(lived_s)
                raises(work)
                await clock.asleep()
                await clock.advance(2)
    assert [log["again_in_s"] for log in logs] == [1, 2, 1]


async def test_error_that_is_meant_ends_all(clock: ManualClock) -> None:
    one, other = Work("one"), Work("other")
    async with running(clock, Loop("one", one.run, ends_with=(LookupError,)), Loop("other", other.run)) as task:
        await begun(one, 1)
        one.dies_of = KeyError("meant")
        one.end.set()
        with pytest.raises(KeyError, match="meant"):
            await task
        assert [task.get_name() for task in asyncio.all_tasks() if task.get_name() in {"one", "other"}] == []


async def test_loop_that_does_not_end_is_named_and_left_behind(
    clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loops, "_GRACE_S", 0.01)
    free = asyncio.Event()

    async def stubborn() -> None:
        while not free.is_set():
            with suppress(asyncio.CancelledError):
                await free.wait()

    with capture_logs() as logs:
        async with running(clock, Loop("stubborn", stubborn)):
            await asyncio.sleep(0)
            await asyncio.sleep(0)
    assert [(log["event"], log["loop"]) for log in logs] == [
        ("a loop does not end and is left behind", "stubborn"),
    ]
    free.set()
    await asyncio.gather(*(task for task in asyncio.all_tasks() if task.get_name() == "stubborn"))


PLACES: dict[str, tuple[type[Any], str]] = {
    "control": (Control, "step"),
    "poll": (Events, "poll"),
    "send": (ReportSender, "send_all"),
}
"""Names the method that does the work of each loop of the agent."""


async def breaks(_: Any) -> None:
    raise ZeroDivisionError


async def hangs(_: Any) -> None:
    await asyncio.Event().wait()


async def cancels(task: asyncio.Task[Any]) -> None:
    task.cancel()
    await asyncio.Event().wait()


@pytest.mark.parametrize("die", [breaks, hangs, cancels])
@pytest.mark.parametrize("name", PLACES)
async def test_event_is_carried_out_and_reported_although_a_loop_dies_at_each_stage(
    town: Town, monkeypatch: pytest.MonkeyPatch, name: str, die: Callable[[Any], Coroutine[Any, Any, None]]
) -> None:
    """The loop dies when the event is announced, begins and ends, and is at work again when the next is due."""
    home = await town.home("home-1")
    home.round_limits = RoundLimits(**{f"{loop}_s": 3 if (loop, die) == (name, hangs) else 60 for loop in PLACES})
    place, method = PLACES[name]
    really = getattr(place, method)
    deaths: list[str] = []
    due: list[str] = []

    async def sometimes(self: Any, *arguments: Any, **members: Any) -> Any:
        if due:
            deaths.append(due.pop())
            task = asyncio.current_task()
            await die(task)
        return await really(self, *arguments, **members)

    await home.start()
    event = await town.issue(shed_event(-3.5))
    monkeypatch.setattr(place, method, sometimes)
    with capture_logs() as logs:
        try:
            for stage, minute in (("announced", -59), ("begins", -1), ("ends", 59)):
                await home.until(START + timedelta(minutes=minute))
                due.append(stage)
                await home.pass_(minutes=8)
                assert home.relay.in_force == ({"ev": 0, "heater": 1.5} if stage == "begins" else {})
            await home.pass_(minutes=30)
            (interval,) = await town.status(event)
        finally:
            await home.kill()
    assert deaths == ["announced", "begins", "ends"]
    died = [log for log in logs if log["event"] == "a loop died and is begun again"]
    assert [log["loop"] for log in died] == [name] * 3
    assert interval.end == START + timedelta(minutes=60)
    assert [opt.opted_in for opt in await town.opts(event)] == [True]
    assert Counter(home.relay.diary) == Counter([("ev", 0), ("heater", 1.5), ("ev", None), ("heater", None)])


async def end_in_order(home: Home) -> None:
    await home.stop()


async def fail_to_load(home: Home) -> None:
    await home.kill()
    home._wire.is_cut = False

    async def broken(self: Control) -> None:
        raise ZeroDivisionError("as if the store were broken")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Control, "load", broken)
        with pytest.raises(ZeroDivisionError):
            await home.start()
    await home._stack.aclose()
    home._task = None


@pytest.mark.parametrize("end", [end_in_order, fail_to_load])
@pytest.mark.parametrize("fault", ["none", "one circuit fails", "one circuit raises", "limits cannot be read"])
async def test_circuits_return_first_when_the_agent_ends(
    town: Town, monkeypatch: pytest.MonkeyPatch, end: Callable[[Home], Coroutine[Any, Any, None]], fault: str
) -> None:
    home = await town.home("home-1")
    await home.start()
    event = await town.issue(shed_event(-3.5))
    await home.until(START + timedelta(minutes=10))
    assert home.relay.in_force == {"ev": 0, "heater": 1.5}
    really = Relay.release

    async def raising(self: Relay, circuit_id: str, *, switch_on: bool) -> None:
        if circuit_id == "ev":
            raise OSError("the bus is gone")
        await really(self, circuit_id, switch_on=switch_on)

    async def unreadable(self: Relay) -> None:
        raise OSError("the bus is gone")

    if fault == "one circuit fails":
        home.relay.broken.add("ev")
    elif fault == "one circuit raises":
        monkeypatch.setattr(Relay, "release", raising)
    elif fault == "limits cannot be read" and end is end_in_order:  # a new agent knows of none
        monkeypatch.setattr(Relay, "read", unreadable)
    await end(home)
    assert home.relay.in_force == ({"ev": 0} if fault.startswith("one circuit") else {})
    monkeypatch.undo()
    home.relay.broken.clear()
    await home.start()
    assert home.relay.in_force == {"ev": 0, "heater": 1.5}, "the event goes on when the agent does"
    await home.until(START + timedelta(minutes=61))
    assert home.relay.in_force == {}
    assert len(await town.status(event)) == 1
    await home.kill()


async def test_circuit_that_hangs_keeps_no_other_from_returning(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    home = await town.home("home-1")
    await home.start()
    await town.issue(shed_event(-3.5))
    await home.until(START + timedelta(minutes=10))
    really = Relay.release

    async def hanging(self: Relay, circuit_id: str, *, switch_on: bool) -> None:
        if circuit_id == "ev":
            await asyncio.Event().wait()
        await really(self, circuit_id, switch_on=switch_on)

    monkeypatch.setattr(Relay, "release", hanging)
    monkeypatch.setattr("ven.panel.switchgear._RESTORE_WITHIN_S", 0.05)
    await home.stop()
    assert home.relay.in_force == {"ev": 0}
