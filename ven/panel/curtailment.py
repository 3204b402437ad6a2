"""Share out a requested reduction over circuits, in order of priority. Arithmetic only."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from itertools import groupby
from typing import Final

from ven.panel.circuits import BranchCircuit
from ven.panel.subset import Rank, choose

_NOTHING: Final = Decimal(0)
_MOST_UNITS: Final = 1 << 17
"""So finely powers are compared at most; the time that a plan takes grows with it."""


@dataclass(frozen=True)
class CircuitPlan:
    """Hold the reduction of one circuit: from ``original_kw`` (negative: fed in) to at most ``limit_kw`` either way."""

    circuit_id: str
    original_kw: Decimal
    shed_kw: Decimal

    @property
    def limit_kw(self) -> Decimal:
        """Return the power in kW that the circuit may draw; or feed in, if a part of that is taken."""
        return (-self.original_kw if self.is_fed_in else self.original_kw) - self.shed_kw

    @property
    def is_fed_in(self) -> bool:
        """Return True if a part of what the circuit feeds in is taken."""
        return self.original_kw < 0 < self.shed_kw


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
    tolerance_kw: Decimal | None = _NOTHING,
    held: Collection[str] = (),
    resting: Collection[str] = (),
    fed_in: bool = False,
) -> SheddingPlan:
    """Share a requested reduction of what is drawn, or ``fed_in``, out over circuits, at the least cost of comfort.

    Of all plans that give the request and exceed it by ``tolerance_kw`` at most (None: by whatever it takes, for limits
    that must be kept) this is the one that takes least of the most important circuits, then of the next important, and
    so on. If there is no such plan, it is the one that gives most without exceeding the request. Of equally important
    circuits those that can be adjusted give before one is switched off, and large ones before small ones.

    Circuits ``held`` are off already and give all they can; those ``resting`` give nothing, like one without a known
    power. Circuits that are switched are compared to the watt (above 131 kW to the next power of ten); never is more
    given than the tolerance allows.
    """
    circuits = tuple(circuits)
    available = {
        each.id: _NOTHING
        if each.id in resting
        else each.sheddable_kw(original_kw.get(each.id, _NOTHING), fed_in=fed_in)
        for each in circuits
    }
    sheds = {id_: available[id_] for id_ in available if id_ in held}
    missing = max(requested_kw, _NOTHING) - sum(sheds.values(), _NOTHING)
    giving = sorted(
        (each for each in circuits if each.id not in sheds and available[each.id] > 0),
        key=lambda each: (-each.priority, -available[each.id], each.id),
    )
    if missing > 0:
        for id_ in _switched_off(giving, available, missing, tolerance_kw):
            sheds[id_] = available[id_]
            missing -= available[id_]
    for each in giving:
        if not each.on_off and missing > 0:
            sheds[each.id] = min(available[each.id], missing)
            missing -= sheds[each.id]
    return SheddingPlan(
        requested_kw=requested_kw,
        circuits=tuple(
            CircuitPlan(each.id, original_kw.get(each.id, _NOTHING), sheds.get(each.id, _NOTHING)) for each in circuits
        ),
        unmet_kw=max(missing, _NOTHING),
    )


def _switched_off(
    giving: Sequence[BranchCircuit],
    available: Mapping[str, Decimal],
    missing: Decimal,
    tolerance_kw: Decimal | None,
) -> list[str]:
    """Return the circuits to switch off; ``giving`` has the least important first."""
    switched = [each.id for each in giving if each.on_off]
    if not switched or sum((available[each.id] for each in giving), _NOTHING) <= missing:
        return switched
    largest = max(available[id_] for id_ in switched)  # no plan of least cost exceeds a limit by more
    most_kw = missing + (largest if tolerance_kw is None else tolerance_kw)
    unit = _unit(most_kw)
    most = _units(most_kw, unit, ROUND_FLOOR)
    ranks = [
        Rank(
            switched=tuple(
                (amount, each.id)
                for each in equals
                if each.on_off and (amount := _units(available[each.id], unit, ROUND_CEILING)) <= most
            ),
            adjustable=sum(_units(available[each.id], unit, ROUND_FLOOR) for each in equals if not each.on_off),
        )
        for _, equals in (
            (priority, list(group)) for priority, group in groupby(giving, key=lambda each: each.priority)
        )
    ]
    return choose(ranks[::-1], _units(missing, unit, ROUND_CEILING), most)


def _unit(largest_kw: Decimal) -> int:
    """Return the exponent of ten, in kW, of the unit in which powers up to ``largest_kw`` are compared."""
    exponent = -3
    while largest_kw.scaleb(-exponent) > _MOST_UNITS:
        exponent += 1
    return exponent


def _units(kw: Decimal, unit: int, rounding: str) -> int:
    return int(kw.scaleb(-unit).to_integral_value(rounding))


def sheddable_kw(
    circuits: Iterable[BranchCircuit], original_kw: Mapping[str, Decimal], *, fed_in: bool = False
) -> Decimal:
    """Return the most that all circuits can give together of what they draw, or of what is ``fed_in``, in kW."""
    each = (circuit.sheddable_kw(original_kw.get(circuit.id, _NOTHING), fed_in=fed_in) for circuit in circuits)
    return sum(each, _NOTHING)
