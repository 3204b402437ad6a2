"""Simulate a panel: every circuit has its own power curve, limits are obeyed at once.

The curve depends on nothing but the seed, the circuit and the time of the clock, so that two runs measure the same.
With `state_file` the limits outlive the process, as those of a real relay board do.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from pydantic import Field

from openadr_client.clock import Clock
from ven.drivers.interface import CircuitState
from ven.drivers.options import DriverOptions, with_options
from ven.errors import DriverFailed
from ven.panel.circuits import BranchCircuit

_WATT: Final = Decimal("0.001")
_NOTHING: Final = Decimal(0)


class SimulatedOptions(DriverOptions):
    """Tell panels apart by `seed`. `ripple` is how much a circuit's power moves about its mean, as a part of it.

    Without `enforces_expiry` it is a panel whose limits stay until somebody ends them, as those of a plain relay do.
    """

    seed: int = 0
    ripple: float = Field(default=0.1, ge=0, le=1)
    state_file: Path | None = None
    enforces_expiry: bool = True


@dataclass(frozen=True)
class Curve:
    """Compute the power in kW a circuit wants over time: a mean and two waves, never below 0 or above what is rated.

    With `feeds_in` it is what the circuit feeds in, and negative.
    """

    rated_kw: float
    mean_share: float
    ripple: float
    slow_period_s: float
    fast_period_s: float
    phase: float
    feeds_in: bool = False

    @staticmethod
    def of(circuit: BranchCircuit, options: SimulatedOptions) -> Curve:
        """Return the curve of a circuit: between 40 and 80 % of its rating on average."""
        digest = hashlib.sha256(f"{options.seed}\n{circuit.id}".encode()).digest()
        one, two, three, four = (int.from_bytes(digest[place : place + 4]) / 2**32 for place in (0, 4, 8, 12))
        return Curve(
            rated_kw=float(circuit.export_kw if circuit.limits_feed_in else circuit.rated_kw),
            mean_share=0.4 + 0.4 * one,
            ripple=options.ripple,
            slow_period_s=3600 * (2 + 4 * two),
            fast_period_s=300 + 600 * three,
            phase=math.tau * four,
            feeds_in=circuit.limits_feed_in,
        )

    def kw(self, at: datetime) -> Decimal:
        """Return the power wanted in kW at an instant, to the watt."""
        seconds = at.timestamp()
        slow = math.sin(math.tau * seconds / self.slow_period_s + self.phase)
        fast = math.sin(math.tau * seconds / self.fast_period_s + 2 * self.phase)
        share = self.mean_share * (1 + self.ripple * (0.7 * slow + 0.3 * fast))
        kw = Decimal(self.rated_kw * min(max(share, 0.0), 1.0)).quantize(_WATT)
        return -kw if self.feeds_in else kw


class SimulatedPanel:
    """Drive a simulated panel. `switched` counts how often each circuit's limit or switch was really changed.

    A circuit is off while the owner has switched it off (`switch_by_hand`) or its limit is 0.
    """

    limits_feed_in = True

    def __init__(self, circuits: Sequence[BranchCircuit], options: SimulatedOptions, clock: Clock) -> None:
        self.enforces_expiry = options.enforces_expiry
        self._curves = {circuit.id: Curve.of(circuit, options) for circuit in circuits}
        self._file = options.state_file
        self._clock = clock
        self._limits: dict[str, Decimal] = {}
        self._expiries: dict[str, datetime] = {}
        self._off: set[str] = set()
        self.switched: dict[str, int] = {}

    async def __aenter__(self) -> Self:
        self._load()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    async def read(self) -> Mapping[str, CircuitState]:
        """Return each circuit's power in kW (its curve, up to its limit), its limit, and whether it is on."""
        self._load()
        now = self._clock.now()
        return {id_: self._state(id_, curve.kw(now)) for id_, curve in self._curves.items()}

    async def limit(self, circuit_id: str, limit_kw: Decimal, *, expires_at: datetime) -> None:
        """Limit a circuit; raises DriverFailed if it is unknown or the state file cannot be used."""
        self._know(circuit_id)
        self._load()
        if self._limits.get(circuit_id) != limit_kw:
            self._count(circuit_id)
        self._limits[circuit_id] = limit_kw
        self._expiries[circuit_id] = expires_at
        self._save()

    async def release(self, circuit_id: str, *, switch_on: bool) -> None:
        """End the limit of a circuit; raises DriverFailed if it is unknown or the state file cannot be used."""
        self._know(circuit_id)
        self._load()
        if circuit_id not in self._limits:
            return
        if self._limits[circuit_id] == 0 and not switch_on:
            self._off.add(circuit_id)
        self._forget(circuit_id)
        self._save()

    def switch_by_hand(self, circuit_id: str, *, is_on: bool) -> None:
        """Move a circuit's switch as the owner does, which ends a limit of ours that says otherwise."""
        self._know(circuit_id)
        self._load()
        if is_on:
            self._off.discard(circuit_id)
            if self._limits.get(circuit_id) == 0:
                self._forget(circuit_id)
        else:
            self._off.add(circuit_id)
        self._save()

    def _state(self, circuit_id: str, wanted_kw: Decimal) -> CircuitState:
        limit_kw = self._limits.get(circuit_id)
        is_on = circuit_id not in self._off and limit_kw != 0
        if self._curves[circuit_id].feeds_in:
            kw = wanted_kw if limit_kw is None else max(wanted_kw, -limit_kw)
        else:
            kw = max(wanted_kw if limit_kw is None else min(wanted_kw, limit_kw), _NOTHING)
        return CircuitState(power_kw=kw if is_on else _NOTHING, limit_kw=limit_kw, is_on=is_on)

    def _know(self, circuit_id: str) -> None:
        if circuit_id not in self._curves:
            raise DriverFailed(f"the simulated panel has no circuit {circuit_id}")

    def _forget(self, circuit_id: str) -> None:
        del self._limits[circuit_id]
        self._expiries.pop(circuit_id, None)
        self._count(circuit_id)

    def _count(self, circuit_id: str) -> None:
        self.switched[circuit_id] = self.switched.get(circuit_id, 0) + 1

    def _load(self) -> None:
        """Take up what the file says, and end the limits that have expired."""
        if self._file is not None and self._file.exists():
            try:
                state = json.loads(self._file.read_text(encoding="utf-8"))
                self._limits = {id_: Decimal(kw) for id_, kw in state["limits_kw"].items()}
                expiries = state.get("expires_at", {})
                self._expiries = {id_: datetime.fromisoformat(at) for id_, at in expiries.items()}
                self._off = set(state.get("off", []))
                self.switched = {id_: int(count) for id_, count in state["switched"].items()}
            except (OSError, ValueError, KeyError, TypeError, AttributeError, ArithmeticError) as error:
                raise DriverFailed(f"{self._file} does not hold the state of a simulated panel: {error}") from error
        if not self.enforces_expiry:
            return
        now = self._clock.now()
        expired = [id_ for id_ in self._limits if id_ in self._expiries and self._expiries[id_] <= now]
        for circuit_id in expired:
            self._forget(circuit_id)
        if expired:
            self._save()

    def _save(self) -> None:
        if self._file is None:
            return
        state = {
            "limits_kw": {id_: str(kw) for id_, kw in self._limits.items()},
            "expires_at": {id_: at.isoformat() for id_, at in self._expiries.items()},
            "off": sorted(self._off),
            "switched": self.switched,
        }
        new = self._file.with_name(f"{self._file.name}.{os.getpid()}.new")
        try:
            new.write_text(json.dumps(state), encoding="utf-8")
            new.replace(self._file)
        except OSError as error:
            raise DriverFailed(f"{self._file} cannot be written: {error}") from error


create = with_options("simulated", SimulatedOptions, SimulatedPanel)
