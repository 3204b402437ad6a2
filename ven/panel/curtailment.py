"""Share out a requested reduction over circuits, in order of priority. Arithmetic only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from ven.panel.circuits import BranchCircuit

_NOTHING: Final = Decimal(0)


@dataclass(frozen=True)
class CircuitPlan:
    """Hold the reduction of one circuit: from ``original_kw`` down to at most ``limit_kw``."""

    circuit_id: str
    original_kw: Decimal
    shed_kw: Decimal

    @property
    def limit_kw(self) -> Decimal:
        """Return the power in kW that the circuit may draw."""
        return self.original_kw - self.shed_kw


@dataclass(frozen=True)
class SheddingPlan:
    """Hold the plan for all circuits, in their listed order; ``unmet_kw`` is what they cannot give of the request."""

    requested_kw: Decimal
    circuits: tuple[CircuitPlan, ...]
    unmet_kw: Decimal

    @property
    def shed_kw(self) -> Decimal:
        """Return the reduction of all circuits together, in kW."""
        return sum((circuit.shed_kw for circuit in self.circuits), _NOTHING)


def plan_shedding(
    circuits: Iterable[BranchCircuit],
    original_kw: Mapping[str, Decimal],
    requested_kw: Decimal,
    *,
    tolerance_kw: Decimal = _NOTHING,
) -> SheddingPlan:
    """Share a requested reduction out over the circuits.

    The least important circuits give first, and of equally important ones those that can give most; each gives what is
    still missing, up to its share. A circuit that can only be switched gives its share if that exceeds what is missing
    by no more than ``tolerance_kw``. A circuit without a known power gives nothing.
    """
    circuits = tuple(circuits)
    available = {circuit.id: circuit.sheddable_kw(original_kw.get(circuit.id, _NOTHING)) for circuit in circuits}
    missing = max(requested_kw, _NOTHING)
    sheds: dict[str, Decimal] = {}
    for circuit in sorted(circuits, key=lambda each: (-each.priority, -available[each.id], each.id)):
        share = available[circuit.id]
        shed = share if circuit.on_off else min(share, missing)
        if missing <= 0 or shed > missing + tolerance_kw:
            continue
        sheds[circuit.id] = shed
        missing -= shed
    return SheddingPlan(
        requested_kw=requested_kw,
        circuits=tuple(
            CircuitPlan(each.id, original_kw.get(each.id, _NOTHING), sheds.get(each.id, _NOTHING)) for each in circuits
        ),
        unmet_kw=max(missing, _NOTHING),
    )


def sheddable_kw(circuits: Iterable[BranchCircuit], original_kw: Mapping[str, Decimal]) -> Decimal:
    """Return the most that all circuits can give together, in kW."""
    return sum((circuit.sheddable_kw(original_kw.get(circuit.id, _NOTHING)) for circuit in circuits), _NOTHING)
