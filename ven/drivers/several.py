"""Drive a panel whose circuits have devices of several kinds: each part is a driver of its own, for its circuits.

A part that cannot be reached, hangs or fails is the failure of its circuits alone, and is tried again.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from decimal import Decimal
from types import TracebackType
from typing import Annotated, Any, Final, Self

import structlog
from pydantic import Field

from openadr_client.clock import Clock
from ven.drivers.assignment import check_assignment
from ven.drivers.interface import CircuitState, Driver
from ven.drivers.options import DriverOptions, with_options
from ven.drivers.registry import find_driver
from ven.errors import BadDriverOptions, DriverFailed, UnknownDriver
from ven.panel.circuits import BranchCircuit

_log = structlog.get_logger(__name__)

KIND: Final = "several"
_AGAIN: Final = timedelta(seconds=30)


class DriverPart(DriverOptions):
    """Name a driver, its circuits and its options."""

    kind: str
    circuits: Annotated[tuple[str, ...], Field(min_length=1)]
    options: dict[str, Any] = Field(default_factory=dict, repr=False)


class SeveralOptions(DriverOptions):
    """Name the parts. One may take ``part_s`` real seconds to be read, or the others are read without it."""

    parts: Annotated[dict[str, DriverPart], Field(min_length=1)]
    part_s: float = Field(default=4.0, gt=0, le=60)


class PartOfPanel:
    """Hold one part: its driver, whether it is in use, and what is wrong with it."""

    def __init__(self, name: str, driver: Driver) -> None:
        self.name = name
        self.driver = driver
        self.is_in_use = False
        self._stack = AsyncExitStack()
        self._turn = asyncio.Lock()
        self._tried_at: datetime | None = None
        self._problem: str | None = None
        self._refusal = ""

    async def enter(self, now: datetime) -> None:
        """Begin to use the driver, unless that failed a moment ago; raises DriverFailed."""
        async with self._turn:
            if self.is_in_use:
                return
            if self._tried_at is not None and now - self._tried_at < _AGAIN:
                raise DriverFailed(f"part {self.name} is not in use: {self._refusal}")
            self._tried_at = now
            try:
                await self._stack.enter_async_context(self.driver)
            except Exception as error:  # whatever it is: the other parts are used
                self._refusal = str(error) or type(error).__name__
                raise DriverFailed(self._refusal) from error
            self.is_in_use = True

    async def leave(self) -> None:
        """Stop using the driver."""
        self.is_in_use = False
        await self._stack.aclose()

    async def read(self, now: datetime, *, within_s: float) -> Mapping[str, CircuitState]:
        """Return the state of its circuits, none if it fails; the problem is logged once."""
        try:
            async with asyncio.timeout(within_s):
                await self.enter(now)
                states = await self.driver.read()
        except Exception as error:  # whatever it is: the other parts are read
            self.complain(error)
            return {}
        if self._problem is not None:
            _log.info("part of the panel can be read again", part=self.name)
            self._problem = None
        return states

    def complain(self, error: Exception) -> None:
        """Log a problem when it begins."""
        problem = str(error) or ("it takes too long" if isinstance(error, TimeoutError) else type(error).__name__)
        if self._problem is None:
            _log.warning("part of the panel cannot be read", part=self.name, problem=problem)
        self._problem = problem


class SeveralDrivers:
    """Switch and measure each circuit by the driver of its part, which says itself what it can limit."""

    limits_feed_in = True

    def __init__(self, circuits: Sequence[BranchCircuit], options: SeveralOptions, clock: Clock) -> None:
        named = [id_ for part in options.parts.values() for id_ in part.circuits]
        check_assignment(KIND, circuits, named)
        if twice := sorted(id_ for id_, count in Counter(named).items() if count > 1):
            raise BadDriverOptions(f"options of the driver {KIND!r}: {', '.join(twice)} is in more than one part")
        self._clock = clock
        self._part_s = options.part_s
        self._parts = [
            PartOfPanel(name, _driver_of(name, part, circuits, clock)) for name, part in options.parts.items()
        ]
        self._of = {id_: part for part in self._parts for id_ in options.parts[part.name].circuits}

    @property
    def enforces_expiry(self) -> bool:
        """Return True if each part ends its limits by itself."""
        return all(part.driver.enforces_expiry for part in self._parts)

    async def __aenter__(self) -> Self:
        """Begin to use the parts; raises DriverFailed if none can be used."""
        now = self._clock.now()
        outcomes = await asyncio.gather(*(part.enter(now) for part in self._parts), return_exceptions=True)
        failed = [outcome for outcome in outcomes if isinstance(outcome, Exception)]
        for part, outcome in zip(self._parts, outcomes, strict=True):
            if isinstance(outcome, Exception):
                part.complain(outcome)
        if len(failed) == len(self._parts):
            raise DriverFailed("; ".join(str(error) for error in failed))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for part, outcome in zip(
            self._parts,
            await asyncio.gather(*(part.leave() for part in self._parts), return_exceptions=True),
            strict=True,
        ):
            if isinstance(outcome, Exception):
                _log.error("part of the panel cannot be left in order", part=part.name, problem=str(outcome))

    async def read(self) -> Mapping[str, CircuitState]:
        """Return the state of the circuits whose parts can be read."""
        now = self._clock.now()
        found = await asyncio.gather(*(part.read(now, within_s=self._part_s) for part in self._parts))
        return {id_: state for states in found for id_, state in states.items()}

    async def limit(self, circuit_id: str, limit_kw: Decimal, *, expires_at: datetime) -> None:
        """Limit a circuit by the driver of its part; raises what that raises."""
        part = await self._used(circuit_id)
        await part.driver.limit(circuit_id, limit_kw, expires_at=expires_at)

    async def release(self, circuit_id: str, *, switch_on: bool) -> None:
        """End the limit of a circuit by the driver of its part; raises what that raises."""
        part = await self._used(circuit_id)
        await part.driver.release(circuit_id, switch_on=switch_on)

    async def _used(self, circuit_id: str) -> PartOfPanel:
        if circuit_id not in self._of:
            raise DriverFailed(f"there is no part for a circuit {circuit_id}")
        part = self._of[circuit_id]
        await part.enter(self._clock.now())
        return part


def _driver_of(name: str, part: DriverPart, circuits: Sequence[BranchCircuit], clock: Clock) -> Driver:
    if part.kind == KIND:
        raise BadDriverOptions(f"options of the driver {KIND!r}: parts.{name}: expected another driver than {KIND}")
    own = [circuit for circuit in circuits if circuit.id in part.circuits]
    try:
        return find_driver(part.kind)(own, part.options, clock)
    except (BadDriverOptions, UnknownDriver) as error:
        raise type(error)(f"options of the driver {KIND!r}: parts.{name}: {error}") from error


create = with_options(KIND, SeveralOptions, SeveralDrivers)
