"""A driver may hang, raise whatever it likes and tell nonsense: nothing but its own call is harmed (V7)."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from decimal import Decimal
from types import TracebackType
from typing import Self

import pytest
from structlog.testing import capture_logs

from ven.drivers import CircuitState
from ven.errors import DriverFailed
from ven.panel.calls import DriverCalls, opened, sound


async def hangs() -> None:
    await asyncio.Event().wait()


async def test_call_that_hangs_fails_at_its_deadline_and_may_be_made_again() -> None:
    calls = DriverCalls(deadline_s=0.01)
    for _ in range(2):
        with pytest.raises(DriverFailed, match=r"no answer within 0\.01 s"):
            await calls.make("ev", hangs)


async def test_call_that_cannot_be_cancelled_is_left_behind_and_holds_up_only_its_own_circuit() -> None:
    calls, free = DriverCalls(deadline_s=0.01), asyncio.Event()

    async def stubborn() -> None:
        while not free.is_set():
            with suppress(asyncio.CancelledError):
                await free.wait()
        raise OSError("and then it fails, which nobody wants to hear of")

    async def answers() -> str:
        return "done"

    with pytest.raises(DriverFailed, match="no answer"):
        await calls.make("ev", stubborn)
    with pytest.raises(DriverFailed, match="an earlier call still hangs"):
        await calls.make("ev", answers)
    assert await calls.make("heater", answers) == "done"
    (left,) = (task for task in asyncio.all_tasks() if task.get_name() == "driver: ev")
    free.set()
    await asyncio.wait({left})
    assert await calls.make("ev", answers) == "done"


async def test_whatever_a_call_raises_is_the_failure_of_the_driver() -> None:
    calls = DriverCalls(deadline_s=5)
    for error in (OSError("the bus is gone"), KeyError("ev"), ValueError(), ZeroDivisionError("by zero")):

        async def raises(error: Exception = error) -> None:
            raise error

        with pytest.raises(DriverFailed, match=type(error).__name__) as raised:
            await calls.make("ev", raises)
        assert raised.value.__cause__ is error


async def test_caller_that_is_cancelled_cancels_the_call() -> None:
    calls = DriverCalls(deadline_s=5)
    task = asyncio.create_task(calls.make("ev", hangs))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "driver: ev"]


def test_only_states_and_finite_numbers_are_taken() -> None:
    good = CircuitState(power_kw=Decimal(2), limit_kw=Decimal(0), is_on=True)
    wrong = CircuitState(power_kw=Decimal("NaN"), limit_kw=Decimal("Infinity"), is_on=True)
    told = {"ev": good, "heater": wrong, "pool": Decimal(3), "stranger": good}
    assert sound(told, ["ev", "heater", "pool", "fridge"]) == {"ev": good, "heater": CircuitState(is_on=True)}
    assert sound(None, ["ev"]) == {}


class Slow:
    """A device that does not open, or does not close."""

    enforces_expiry = False

    def __init__(self, *, opens: bool) -> None:
        self._opens = opens

    async def __aenter__(self) -> Self:
        if not self._opens:
            await hangs()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await hangs()

    async def read(self) -> Mapping[str, CircuitState]:
        return {}

    async def limit(self, circuit_id: str, limit_kw: Decimal, *, expires_at: datetime) -> None:
        pass

    async def release(self, circuit_id: str, *, switch_on: bool) -> None:
        pass


async def test_driver_that_does_not_open_or_close_keeps_nobody_waiting() -> None:
    with pytest.raises(DriverFailed, match="not ready"):
        async with opened(Slow(opens=False), within_s=0.01):
            pytest.fail("it is not open")
    with capture_logs() as logs:
        async with opened(Slow(opens=True), within_s=0.01):
            pass
    assert [log["event"] for log in logs] == ["the driver does not end and is left behind"]
