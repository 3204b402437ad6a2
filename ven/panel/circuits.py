"""Describe the circuits of the panel: what may be taken from each, and what state each is in."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Final, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from openadr_profiles.v31 import OperatingState

IDLE_BELOW_KW: Final = Decimal("0.01")
"""A circuit that draws less counts as idle in operating states (no or insignificant consumption)."""

RELAY_RESTS_S: Final = 180.0
"""A circuit that is switched, and whose owner says nothing else, rests for so long: contacts and compressors wear."""

Kilowatts = Annotated[Decimal, Field(ge=0, le=100_000, decimal_places=6)]


class BranchCircuit(BaseModel):
    """Describe one circuit. ``id`` is also its resource name at the VTN.

    ``priority`` 1 is the most important; circuits with higher numbers are shed first. ``shed_share`` is the greatest
    part of its power that may be taken, 0 to 1. A ``critical`` circuit is never touched. An ``on_off`` circuit gives
    its whole share or nothing. ``export_kw`` is the most that a battery or a generator can feed in. With
    ``limits_feed_in`` limits on the circuit are on what it feeds in, and ``shed_share`` is a part of that.

    Times are in seconds. After a return the circuit is not shed again for ``min_on_s`` (None: for a few minutes if it
    is switched, else for no time at all); once switched off it stays off for ``min_off_s``, even beyond its event.
    After ``max_shed_s`` it returns, others take its place, and it rests for as long.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(min_length=1, max_length=128)
    name: str = Field(default="", max_length=128)
    breaker_amps: float = Field(gt=0, le=10_000)
    rated_kw: Kilowatts
    export_kw: Kilowatts = Decimal(0)
    critical: bool = False
    priority: int = Field(default=5, ge=1, le=100)
    shed_share: Decimal = Field(default=Decimal(0), ge=0, le=1, decimal_places=6)
    limits_feed_in: bool = False
    on_off: bool = False
    min_on_s: float | None = Field(default=None, ge=0, le=86_400)
    min_off_s: float = Field(default=0, ge=0, le=3_600)
    max_shed_s: float | None = Field(default=None, ge=60, le=604_800)

    @model_validator(mode="after")
    def _times_fit(self) -> Self:
        if self.min_off_s and not self.on_off:
            raise ValueError(f"circuit {self.id} is not switched: min_off_s is for circuits with on_off")
        if self.max_shed_s is not None and self.min_off_s > self.max_shed_s:
            raise ValueError(f"circuit {self.id} would be shed too long: min_off_s is more than max_shed_s")
        return self

    @model_validator(mode="after")
    def _critical_is_never_shed(self) -> Self:
        if self.critical and self.shed_share > 0:
            raise ValueError(f"circuit {self.id} is critical and is never shed: leave its shed_share out")
        return self

    @model_validator(mode="after")
    def _has_something_to_feed_in(self) -> Self:
        if self.limits_feed_in and not (self.export_kw > 0 and self.shed_share > 0):
            raise ValueError(
                f"circuit {self.id} has limits_feed_in: give export_kw, the most it feeds in, and shed_share, the part "
                "of that which may be taken"
            )
        return self

    @property
    def rest_s(self) -> float:
        """Return for how many seconds the circuit is not shed again after its return."""
        if self.min_on_s is not None:
            return self.min_on_s
        return RELAY_RESTS_S if self.on_off else 0

    @property
    def label(self) -> str:
        """Return the name for people."""
        return self.name or self.id

    @property
    def may_be_shed(self) -> bool:
        """Return True if anything may be taken of the circuit at all."""
        return not self.critical and self.shed_share > 0

    def sheddable_kw(self, original_kw: Decimal, *, fed_in: bool = False) -> Decimal:
        """Return the most in kW that may be taken of what the circuit draws, or of what is ``fed_in``, 0 or more.

        ``original_kw`` is its power before that, negative if it feeds in.
        """
        kw = -original_kw if fed_in else original_kw
        if self.critical or kw <= 0 or fed_in != self.limits_feed_in:
            return Decimal(0)
        return kw * self.shed_share


@dataclass(frozen=True, slots=True)
class CircuitState:
    """Hold what a device says about one circuit at one moment; None is "not known" for every member.

    ``power_kw`` is drawn now, negative if fed in. ``limit_kw`` is a limit that we have set and that the device still
    keeps, 0 if we have switched it off. ``is_on`` is the switch as observed, whoever has moved it. ``overridden`` is
    True if the device itself says that somebody took over from us (a button, a local mode). ``charge_kwh`` and
    ``capacity_kwh`` are those of a battery or an EV, ``energy_kwh`` is a meter's own counter, which only rises.
    """

    power_kw: Decimal | None = None
    limit_kw: Decimal | None = None
    is_on: bool | None = None
    overridden: bool = False
    charge_kwh: Decimal | None = None
    capacity_kwh: Decimal | None = None
    energy_kwh: Decimal | None = None


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
