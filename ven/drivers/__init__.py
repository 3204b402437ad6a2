"""Drivers, which switch and measure circuits. `simulated` is built in; integrators add their own.

A package registers a driver under the entry point group ``openadr_fleet.drivers``; the entry is a callable
``create(circuits, options, clock) -> Driver`` (see `Factory`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from importlib.metadata import EntryPoint, entry_points
from types import TracebackType
from typing import Any, Final, Protocol, Self

from openadr_client.clock import Clock
from ven.errors import UnknownDriver
from ven.panel.circuits import BranchCircuit

GROUP: Final = "openadr_fleet.drivers"

_BUILT_IN: Final = (EntryPoint("simulated", "ven.drivers.simulated:create", GROUP),)


class Driver(Protocol):
    """Switches and measures the circuits of one panel. Used as an async context manager.

    A limit stays in force until it is replaced or lifted, also when this process dies, if the device can do that.
    Setting the limit that is in force already must do nothing.
    """

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    async def limits(self) -> Mapping[str, Decimal]:
        """The limits in kW that are in force in the device now, by circuit id; no entry for an unlimited circuit."""
        ...

    async def set_limit(self, circuit_id: str, limit_kw: Decimal | None) -> None:
        """Let the circuit draw at most `limit_kw` (0 switches it off), or all it wants; raises DriverFailed."""
        ...

    async def read(self) -> Mapping[str, Decimal]:
        """The power of the circuits now in kW, by circuit id; no entry for one that cannot be read."""
        ...


class Factory(Protocol):
    """Makes a driver; raises BadDriverOptions naming the option that is wrong."""

    def __call__(self, circuits: Sequence[BranchCircuit], options: Mapping[str, Any], clock: Clock) -> Driver: ...


def find_driver(kind: str) -> Factory:
    """The factory of a built-in or installed driver.

    Raises:
        UnknownDriver: there is none of that name; the message lists those there are.
    """
    found = {entry.name: entry for entry in (*entry_points(group=GROUP), *_BUILT_IN)}
    if kind not in found:
        raise UnknownDriver(f"there is no driver {kind!r}; installed are: {', '.join(sorted(found))}")
    factory: Factory = found[kind].load()
    return factory
