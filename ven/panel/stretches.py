"""Compare the curtailments that should be in force now with the stretches that are under way. No I/O."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from ven.panel.curtailment import SheddingPlan
from ven.records import Outcome, Stretch


@dataclass(frozen=True)
class WantedCurtailment:
    """Hold a curtailment that should be in force now, with the number of values that have no time of their own."""

    event_id: str
    interval_id: int
    payload_type: str
    start: datetime
    end: datetime | None
    plan: SheddingPlan
    unplaced: int

    def is_carried_out_by(self, stretch: Stretch) -> bool:
        """Return True if an open stretch carries out exactly this curtailment."""
        return (
            (stretch.event_id, stretch.interval_id, stretch.payload_type)
            == (self.event_id, self.interval_id, self.payload_type)
            and stretch.end == self.end
            and stretch.requested_kw == self.plan.requested_kw
            and stretch.plan == self.plan.circuits
        )


@dataclass
class CurtailmentRun:
    """Hold a stretch and what became of its circuits so far."""

    stretch: Stretch
    outcomes: dict[str, Outcome]

    @property
    def is_open(self) -> bool:
        """Return True while circuits are curtailed for it."""
        return self.stretch.ended_at is None


def lowest_limits(wanted: Iterable[WantedCurtailment]) -> dict[str, Decimal]:
    """Return the lowest limit in kW for each circuit: a larger request takes no less from any, so it serves all."""
    limits: dict[str, Decimal] = {}
    for each in (each for want in wanted for each in want.plan.circuits if each.shed_kw > 0):
        limits[each.circuit_id] = min(each.limit_kw, limits.get(each.circuit_id, each.limit_kw))
    return limits
