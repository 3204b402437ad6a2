"""Define what a driver is: the device side of a panel, which switches and measures its circuits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from types import TracebackType
from typing import Any, Protocol, Self

from openadr_client.clock import Clock
from ven.panel.circuits import BranchCircuit


class Driver(Protocol):
    """Switch and measure the circuits of one panel. Used as an async context manager.

    A limit stays in force until it is replaced or lifted, also when this process dies, if the device can do that.
    Setting the limit that is in force already must do nothing.
    """

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    async def limits(self) -> Mapping[str, Decimal]:
        """Return the limits in kW that are in force in the device now, by circuit id; none for an unlimited circuit."""
        ...

    async def set_limit(self, circuit_id: str, limit_kw: Decimal | None) -> None:
        """Let the circuit draw at most `limit_kw` (0 switches it off), or all it wants; raises DriverFailed."""
        ...

    async def read(self) -> Mapping[str, Decimal]:
        """Return the power of the circuits now in kW, by circuit id; no entry for one that cannot be read."""
        ...


class Factory(Protocol):
    """Make a driver; raises BadDriverOptions naming the option that is wrong."""

    def __call__(self, circuits: Sequence[BranchCircuit], options: Mapping[str, Any], clock: Clock) -> Driver: ...
