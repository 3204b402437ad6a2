"""A driver for measurements: each circuit answers after a while, and a diary says when each call came.

`bench.homes` has it found by ``oadr ven run`` as the driver of an installed package. The panel ends no limit by
itself, as most do not, so that a watchdog process takes part.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from pydantic import Field

from openadr_client.clock import Clock
from ven.drivers import CircuitState
from ven.drivers.options import DriverOptions, with_options
from ven.errors import DriverFailed
from ven.panel.circuits import BranchCircuit

KIND: Final = "noted"


class NotedOptions(DriverOptions):
    """Write into `diary`; each circuit takes `answers_after_s` for a call. Readings take all circuits one by one or,
    `at_once`, at the same time."""

    diary: Path
    answers_after_s: float = Field(default=0.0, ge=0)
    at_once: bool = True


class NotedPanel:
    """Drive a panel whose circuits draw what they are rated for."""

    enforces_expiry = False

    def __init__(self, circuits: Sequence[BranchCircuit], options: NotedOptions, clock: Clock) -> None:
        self._rated_kw = {circuit.id: circuit.rated_kw for circuit in circuits}
        self._options = options
        self._clock = clock
        self._limits: dict[str, Decimal] = {}
        self._diary = -1

    async def __aenter__(self) -> Self:
        self._diary = os.open(self._options.diary, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._diary)

    async def read(self) -> Mapping[str, CircuitState]:
        """Return what each circuit draws."""
        one_s = self._options.answers_after_s
        await asyncio.sleep(one_s if self._options.at_once else one_s * len(self._rated_kw))
        return {id_: self._state(id_, kw) for id_, kw in self._rated_kw.items()}

    async def limit(self, circuit_id: str, limit_kw: Decimal, *, expires_at: datetime) -> None:
        """Limit a circuit, and note it unless the limit is only renewed."""
        if circuit_id not in self._rated_kw:
            raise DriverFailed(f"the panel has no circuit {circuit_id}")
        if self._limits.get(circuit_id) != limit_kw:
            self._note("limit", circuit_id)
        await asyncio.sleep(self._options.answers_after_s)
        self._limits[circuit_id] = limit_kw

    async def release(self, circuit_id: str, *, switch_on: bool) -> None:
        """End the limit of a circuit, and note it."""
        if circuit_id in self._limits:
            self._note("release", circuit_id)
        await asyncio.sleep(self._options.answers_after_s)
        self._limits.pop(circuit_id, None)

    def _state(self, circuit_id: str, rated_kw: Decimal) -> CircuitState:
        limit_kw = self._limits.get(circuit_id)
        drawn_kw = rated_kw if limit_kw is None else min(rated_kw, limit_kw)
        return CircuitState(power_kw=drawn_kw, limit_kw=limit_kw, is_on=limit_kw != 0)

    def _note(self, call: str, circuit_id: str) -> None:
        os.write(self._diary, f"{call} {time.time():.6f} {circuit_id}\n".encode())


create = with_options(KIND, NotedOptions, NotedPanel)
