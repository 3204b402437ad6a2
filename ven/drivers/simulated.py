"""Simulate a panel: every circuit has its own power curve, limits are obeyed at once.

The curve depends on nothing but the seed, the circuit and the time of the clock, so that two runs measure the same.
With `state_file` the limits outlive the process, as those of a real relay board do.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from pydantic import Field

from openadr_client.clock import Clock
from ven.drivers.options import DriverOptions, with_options
from ven.errors import DriverFailed
from ven.panel.circuits import BranchCircuit

_WATT: Final = Decimal("0.001")
_NOTHING: Final = Decimal(0)


class SimulatedOptions(DriverOptions):
    """Tell panels apart by `seed`. `ripple` is how much a circuit's power moves about its mean, as a part of it."""

    seed: int = 0
    ripple: float = Field(default=0.1, ge=0, le=1)
    state_file: Path | None = None


@dataclass(frozen=True)
class Curve:
    """Compute the power in kW a circuit wants over time: a mean and two waves, never below 0 or above what is rated."""

    rated_kw: float
    mean_share: float
    ripple: float
    slow_period_s: float
    fast_period_s: float
    phase: float

    @staticmethod
    def of(circuit: BranchCircuit, options: SimulatedOptions) -> Curve:
        """Return the curve of a circuit: between 40 and 80 % of its rating on average."""
        digest = hashlib.sha256(f"{options.seed}\n{circuit.id}".encode()).digest()
        one, two, three, four = (int.from_bytes(digest[place : place + 4]) / 2**32 for place in (0, 4, 8, 12))
        return Curve(
            rated_kw=float(circuit.rated_kw),
            mean_share=0.4 + 0.4 * one,
            ripple=options.ripple,
            slow_period_s=3600 * (2 + 4 * two),
            fast_period_s=300 + 600 * three,
            phase=math.tau * four,
        )

    def kw(self, at: datetime) -> Decimal:
        """Return the power wanted in kW at an instant, to the watt."""
        seconds = at.timestamp()
        slow = math.sin(math.tau * seconds / self.slow_period_s + self.phase)
        fast = math.sin(math.tau * seconds / self.fast_period_s + 2 * self.phase)
        share = self.mean_share * (1 + self.ripple * (0.7 * slow + 0.3 * fast))
        return Decimal(self.rated_kw * min(max(share, 0.0), 1.0)).quantize(_WATT)


class SimulatedPanel:
    """Drive a simulated panel. `switched` counts how often each circuit's limit was really changed."""

    def __init__(self, circuits: Sequence[BranchCircuit], options: SimulatedOptions, clock: Clock) -> None:
        self._curves = {circuit.id: Curve.of(circuit, options) for circuit in circuits}
        self._file = options.state_file
        self._clock = clock
        self._limits: dict[str, Decimal] = {}
        self.switched: dict[str, int] = {}

    async def __aenter__(self) -> Self:
        if self._file is not None and self._file.exists():
            try:
                state = json.loads(self._file.read_text(encoding="utf-8"))
                self._limits = {id_: Decimal(kw) for id_, kw in state["limits_kw"].items()}
                self.switched = {id_: int(count) for id_, count in state["switched"].items()}
            except (OSError, ValueError, KeyError, TypeError, AttributeError, ArithmeticError) as error:
                raise DriverFailed(f"{self._file} does not hold the state of a simulated panel: {error}") from error
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    async def limits(self) -> Mapping[str, Decimal]:
        """Return the limits in force in kW, by circuit id."""
        return dict(self._limits)

    async def set_limit(self, circuit_id: str, limit_kw: Decimal | None) -> None:
        """Limit a circuit, or lift its limit."""
        if circuit_id not in self._curves:
            raise DriverFailed(f"the simulated panel has no circuit {circuit_id}")
        if self._limits.get(circuit_id) == limit_kw:
            return
        if limit_kw is None:
            del self._limits[circuit_id]
        else:
            self._limits[circuit_id] = limit_kw
        self.switched[circuit_id] = self.switched.get(circuit_id, 0) + 1
        self._save()

    async def read(self) -> Mapping[str, Decimal]:
        """Return the power of each circuit now, in kW: its curve, up to its limit."""
        now = self._clock.now()
        wanted = {id_: curve.kw(now) for id_, curve in self._curves.items()}
        return {id_: max(min(kw, self._limits.get(id_, kw)), _NOTHING) for id_, kw in wanted.items()}

    def _save(self) -> None:
        if self._file is None:
            return
        state = {"limits_kw": {id_: str(kw) for id_, kw in self._limits.items()}, "switched": self.switched}
        new = self._file.with_name(self._file.name + ".new")
        try:
            new.write_text(json.dumps(state), encoding="utf-8")
            new.replace(self._file)
        except OSError as error:
            raise DriverFailed(f"{self._file} cannot be written: {error}") from error


create = with_options("simulated", SimulatedOptions, SimulatedPanel)
