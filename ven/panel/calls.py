"""Call a driver with a deadline, so that a device that hangs or raises harms nothing but its own call."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from decimal import Decimal
from functools import partial
from typing import Any, Final, TypeVar

import structlog

from ven.drivers import Driver
from ven.errors import DriverFailed
from ven.panel.circuits import CircuitState

_log = structlog.get_logger(__name__)

_T = TypeVar("_T")

_OPEN_WITHIN_S: Final = 30.0
_GRACE_S: Final = 0.1
"""Real seconds that a call has to end when it is cancelled; one that does not is left behind."""


def sound(told: object, circuit_ids: Iterable[str]) -> dict[str, CircuitState]:
    """Return what a driver has told of these circuits, without what is no state and what is no finite number."""
    found = {id_: told.get(id_) for id_ in circuit_ids} if isinstance(told, Mapping) else {}
    return {id_: _sound(state) for id_, state in found.items() if isinstance(state, CircuitState)}


def _sound(state: CircuitState) -> CircuitState:
    return replace(
        state,
        power_kw=_finite(state.power_kw),
        limit_kw=_finite(state.limit_kw),
        charge_kwh=_finite(state.charge_kwh),
        capacity_kwh=_finite(state.capacity_kwh),
        energy_kwh=_finite(state.energy_kwh),
    )


def _finite(value: object) -> Decimal | None:
    return value if isinstance(value, Decimal) and value.is_finite() else None


@asynccontextmanager
async def opened(driver: Driver, *, within_s: float = _OPEN_WITHIN_S) -> AsyncIterator[None]:
    """Open a driver for this block and close it afterwards; one that hangs meanwhile is cancelled.

    Raises:
        DriverFailed: it was not open within so many real seconds.
    """
    try:
        async with asyncio.timeout(within_s):
            await driver.__aenter__()
    except TimeoutError as error:
        raise DriverFailed(f"the driver is not ready: it took longer than {within_s:g} s") from error
    try:
        yield
    finally:
        try:
            async with asyncio.timeout(within_s):
                await driver.__aexit__(None, None, None)
        except TimeoutError:
            _log.error("the driver does not end and is left behind", waited_s=within_s)


class DriverCalls:
    """Make the calls of one driver, never two of one name at a time.

    A call that does not end when it is cancelled is left behind, and others of its name fail until it has ended.
    """

    def __init__(self, *, deadline_s: float) -> None:
        self.deadline_s = deadline_s
        self._under_way: dict[str, asyncio.Task[Any]] = {}

    async def make(
        self, name: str, call: Callable[[], Coroutine[Any, Any, _T]], *, deadline_s: float | None = None
    ) -> _T:
        """Return what a call returns.

        Raises:
            DriverFailed: it raised something, whatever that is, or took longer than `deadline_s` real seconds.
        """
        limit_s = self.deadline_s if deadline_s is None else deadline_s
        if name in self._under_way:
            raise DriverFailed("an earlier call still hangs")
        task = asyncio.create_task(call(), name=f"driver: {name}")
        self._under_way[name] = task
        task.add_done_callback(partial(self._over, name))
        try:
            await asyncio.wait({task}, timeout=limit_s)
        finally:
            if not task.done():
                task.cancel()
                await asyncio.wait({task}, timeout=_GRACE_S)
        if not task.done() or task.cancelled():
            raise DriverFailed(f"no answer within {limit_s:g} s")
        error = task.exception()
        if isinstance(error, DriverFailed):
            raise error
        if error is not None:
            raise DriverFailed(f"{type(error).__name__}: {error}".rstrip(": ")) from error
        return task.result()

    def _over(self, name: str, task: asyncio.Task[Any]) -> None:
        del self._under_way[name]
        if not task.cancelled():
            task.exception()  # whoever waited has it; of one that was left behind nobody wants to hear
