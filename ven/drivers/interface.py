"""Define what a driver is: the device side of a panel, which switches and measures its circuits (version 2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from types import TracebackType
from typing import Any, Protocol, Self

from openadr_client.clock import Clock
from ven.panel.circuits import BranchCircuit, CircuitState

__all__ = ["CircuitState", "Driver", "Factory"]


class Driver(Protocol):
    """Switch and measure the circuits of one panel. Used as an async context manager.

    There is never more than one call at a time for a circuit, but calls for several circuits, and `read`, run at the
    same time. A call that takes longer than its deadline is cancelled. Leaving the context ends no limit.

    A driver that can limit what a circuit feeds in has besides these the member ``limits_feed_in``, which is True. To
    another no circuit with ``BranchCircuit.limits_feed_in`` is given.
    """

    @property
    def enforces_expiry(self) -> bool:
        """Return True if the device itself ends a limit at its expiry, also when this process is gone."""
        ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    async def read(self) -> Mapping[str, CircuitState]:
        """Return the state of the circuits now, by id; no entry for one that cannot be read.

        Raises:
            DriverFailed: none can be read.
        """
        ...

    async def limit(self, circuit_id: str, limit_kw: Decimal, *, expires_at: datetime) -> None:
        """Let a circuit draw at most so many kW (0 switches it off) until `expires_at`, an instant of the clock.

        A circuit with `limits_feed_in` may feed in at most so many kW instead; what it draws is not limited. Its state
        has the same `limit_kw`, 0 or more, and a `power_kw` below 0 while it feeds in.
        It replaces a limit of ours. One of the same kW switches nothing and is given the new expiry.

        Raises:
            DriverFailed: the circuit is unknown, or cannot be limited now, or not to this value.
        """
        ...

    async def release(self, circuit_id: str, *, switch_on: bool) -> None:
        """End our limit, if there is one, and let the circuit draw what it wants; without one do nothing.

        With `switch_on` False the switch stays as it is: somebody else has moved it, or it was off before the limit.

        Raises:
            DriverFailed: the circuit is unknown or does not answer.
        """
        ...


class Factory(Protocol):
    """Make a driver; raises BadDriverOptions naming the option that is wrong."""

    def __call__(self, circuits: Sequence[BranchCircuit], options: Mapping[str, Any], clock: Clock) -> Driver: ...
