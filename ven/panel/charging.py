"""Charge storage up to what an event asks for, and no further. Arithmetic only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from openadr_profiles.fleet.charge import ChargeSetpoint
from ven.panel.circuits import BranchCircuit
from ven.panel.curtailment import CircuitPlan, SheddingPlan

_NOTHING: Final = Decimal(0)


@dataclass(frozen=True, slots=True)
class StoredEnergy:
    """Hold what a battery, or a car while it is plugged in, has stored, and the most it can store, both in kWh."""

    charge_kwh: Decimal
    capacity_kwh: Decimal


def plan_charging(
    circuits: Iterable[BranchCircuit],
    original_kw: Mapping[str, Decimal],
    setpoint: ChargeSetpoint,
    stored: Mapping[str, StoredEnergy],
) -> SheddingPlan:
    """Return the plan by which storage that has reached the setpoint is not charged any further.

    A setpoint in kWh is shared out by capacity. What has less charge, or is not in ``stored``, charges as it likes.
    """
    circuits = tuple(circuits)
    share = setpoint.share_of(sum((each.capacity_kwh for each in stored.values()), _NOTHING))
    full = {id_ for id_, each in stored.items() if each.charge_kwh >= share * each.capacity_kwh}
    planned = tuple(
        CircuitPlan(each.id, kw, each.sheddable_kw(kw) if each.id in full else _NOTHING)
        for each in circuits
        for kw in (original_kw.get(each.id, _NOTHING),)
    )
    return SheddingPlan(sum((each.shed_kw for each in planned), _NOTHING), planned, _NOTHING)
