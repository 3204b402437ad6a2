"""Describe the circuits of the panel: what may be taken from each, and what state each is in."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Final, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from openadr_profiles.v31 import OperatingState

IDLE_BELOW_KW: Final = Decimal("0.01")
"""A circuit that draws less counts as idle in operating states (no or insignificant consumption)."""

Kilowatts = Annotated[Decimal, Field(ge=0, le=100_000, decimal_places=6)]


class BranchCircuit(BaseModel):
    """Describe one circuit. ``id`` is also its resource name at the VTN.

    ``priority`` 1 is the most important; circuits with higher numbers are shed first. ``shed_share`` is the greatest
    part of its power that may be taken, 0 to 1. A ``critical`` circuit is never touched. An ``on_off`` circuit gives
    its whole share or nothing.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(min_length=1, max_length=128)
    name: str = Field(default="", max_length=128)
    breaker_amps: float = Field(gt=0, le=10_000)
    rated_kw: Kilowatts
    critical: bool = False
    priority: int = Field(default=5, ge=1, le=100)
    shed_share: Decimal = Field(default=Decimal(0), ge=0, le=1, decimal_places=6)
    on_off: bool = False

    @model_validator(mode="after")
    def _critical_is_never_shed(self) -> Self:
        if self.critical and self.shed_share > 0:
            raise ValueError(f"circuit {self.id} is critical and is never shed: leave its shed_share out")
        return self

    @property
    def label(self) -> str:
        """Return the name for people."""
        return self.name or self.id

    def sheddable_kw(self, original_kw: Decimal) -> Decimal:
        """Return the most in kW that may be taken of the circuit when it draws ``original_kw``."""
        if self.critical or original_kw <= 0:
            return Decimal(0)
        return original_kw * self.shed_share


def operating_state(power_kw: Decimal | None, *, curtailed: bool = False, opted_out: bool = False) -> OperatingState:
    """Return the standard's word for the state of a circuit or the whole panel (ENUM-004); no reading is an error."""
    if power_kw is None:
        return OperatingState.ERROR
    idle = power_kw < IDLE_BELOW_KW
    if opted_out:
        return OperatingState.IDLE_OPTED_OUT if idle else OperatingState.RUNNING_OPTED_OUT
    if curtailed:
        return OperatingState.IDLE_CURTAILED if idle else OperatingState.RUNNING_CURTAILED
    return OperatingState.IDLE_NORMAL if idle else OperatingState.RUNNING_NORMAL
