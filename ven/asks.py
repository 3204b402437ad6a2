"""The owner's rules for reading events as reductions, and an event together with them.

What payloads mean in kW is in ``openadr_profiles.fleet.power``, for every reader the same.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from itertools import islice
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, field_validator

from openadr_profiles.fleet.charge import CHARGE, ChargeSetpoint, charge_setpoint
from openadr_profiles.fleet.numbers import shown
from openadr_profiles.fleet.power import PayloadReader, Sign, Signs
from openadr_profiles.fleet.thresholds import ALERT_LEVELS, ALERTS, Thresholds
from openadr_profiles.v31 import Event, Program, Value

_NAMED: Final = 5
_Share = Annotated[Decimal, Field(ge=0, le=1)]
_Levels = Annotated[tuple[Annotated[Decimal, Field(ge=-(10**6), le=10**6)], ...], Field(max_length=3)]


class SheddingRules(BaseModel):
    """The meaning of levels, prices, alerts and the sign of relative setpoints for this VEN.

    ``simple_shares`` are the shares (0 to 1) of the sheddable power that levels 1, 2 and 3 ask for. ``program_signs``
    overrides ``sign`` for single programs, by their names. A circuit that can only be switched may exceed a request by
    ``tolerance_share`` of it (0 to 1), or by ``tolerance_kw`` if that is more.

    ``price_levels`` are prices per kWh, in ``price_currency`` if that is given, and ``ghg_levels`` g/kWh, from which on
    levels 1, 2 and 3 are asked for; ``alert_levels`` are levels (0 to 3) of types of alerts, beside those that the
    standard suggests. ``percent_offset_sign`` says which sign of CONTROL_LEVEL_OFFSET_PERCENT sheds. ``storage`` are
    the ids of circuits that store energy and tell their charge, for setpoints of it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    simple_shares: tuple[_Share, _Share, _Share] = (Decimal("0.33"), Decimal("0.66"), Decimal(1))
    sign: Sign = Sign.NEGATIVE_SHEDS
    program_signs: dict[str, Sign] = Field(default_factory=dict)
    percent_offset_sign: Sign | None = None
    tolerance_share: _Share = Decimal("0.1")
    tolerance_kw: Decimal = Field(default=Decimal(0), ge=0)
    price_levels: _Levels = ()
    price_currency: Annotated[str, Field(pattern="^[A-Za-z]{3}$")] | None = None
    ghg_levels: _Levels = ()
    alert_levels: dict[str, Annotated[int, Field(ge=0, le=3)]] = Field(default_factory=dict)

    storage: tuple[str, ...] = ()

    @field_validator("price_levels", "ghg_levels")
    @classmethod
    def _rising(cls, levels: tuple[Decimal, ...]) -> tuple[Decimal, ...]:
        if list(levels) != sorted(set(levels)):
            raise ValueError("expected rising numbers, for level 1, 2 and 3")
        return levels

    @field_validator("alert_levels")
    @classmethod
    def _known_alerts(cls, levels: dict[str, int]) -> dict[str, int]:
        if unknown := sorted(levels.keys() - set(ALERTS)):
            raise ValueError(f"{unknown[0][:40]} is no type of alert: expected one of {', '.join(ALERTS)}")
        return levels

    @property
    def signs(self) -> Signs:
        """Return the sign that sheds, by program name."""
        return Signs(self.sign, self.program_signs, self.percent_offset_sign)

    @property
    def thresholds(self) -> Thresholds:
        """Return what prices, greenhouse gas and alerts ask for."""
        return Thresholds(
            prices=self.price_levels,
            currency=self.price_currency,
            ghg=self.ghg_levels,
            alerts={**ALERT_LEVELS, **self.alert_levels},
        )

    def tolerated_kw(self, requested_kw: Decimal) -> Decimal:
        """Return by how many kW a plan may exceed a request."""
        return max(self.tolerance_kw, requested_kw * self.tolerance_share)


@dataclass(frozen=True)
class Context:
    """An event with its program and the shedding rules, to read its payloads with (VENCLIENT-022).

    ``feeds_in`` says that there are circuits whose feeding in can be limited.
    """

    event: Event
    program: Program | None
    rules: SheddingRules
    feeds_in: bool = False

    @property
    def program_name(self) -> str | None:
        """Return the program's name, None if we may not see the program."""
        return self._reader.program_name

    @property
    def asks_for_reduction(self) -> bool:
        """Return True if the event has any payload that this VEN acts on."""
        return self._reader.asks_for_reduction

    @property
    def payload_types(self) -> Collection[str]:
        """Return the types of the payloads of the event."""
        return self._reader.payload_types

    def price(self, values: Sequence[Value]) -> tuple[Decimal, str | None]:
        """Return the price per kWh that values of PRICE tell, and its currency; raises PayloadNotUnderstood."""
        return self._reader.price(values)

    def acts_on(self, payload_type: str) -> bool:
        """Return True if payloads of a type can ask this VEN for less power."""
        return self._reader.why_not(payload_type) is None

    def not_acted_on(self) -> str | None:
        """Return for people what of the event changes nothing here, and why; None if all of it may (V12, ruling 22).

        Raises:
            PayloadNotUnderstood: some payload that we would act on has no meaning; says which and why.
        """
        self._reader.largest_stated_kw()
        ignored = self._reader.not_acted_on()
        if not ignored and not self._reader.asks_for_reduction:
            return "it has no values to act on"
        named = [f"{shown(type_, quoted=False)} ({why})" for type_, why in islice(ignored.items(), _NAMED)]
        if len(ignored) > _NAMED:
            named.append(f"{len(ignored) - _NAMED} more types")
        return f"nothing here acts on {', '.join(named)}" if named else None

    def requested_kw(
        self, payload_type: str, values: tuple[Value, ...], *, used_kw: Decimal, sheddable_kw: Decimal
    ) -> Decimal:
        """Return the reduction in kW, 0 if none; ``used_kw`` is what the panel would draw without any event.

        Negative is fed in, and the reduction that an export limit asks for is one of that.

        Raises:
            PayloadNotUnderstood: the value or its units have no meaning for this payload type.
        """
        shares = (Decimal(0), *self.rules.simple_shares)
        request = self._reader.request(payload_type, values)
        return request.reduction_kw(used_kw=used_kw, sheddable_kw=sheddable_kw, level_shares=shares)

    def charge(self, values: Sequence[Value]) -> ChargeSetpoint:
        """Return the state of charge that values of CHARGE_STATE_SETPOINT ask for; raises PayloadNotUnderstood."""
        return charge_setpoint(values, self._reader.units(CHARGE))

    def largest_stated_kw(self) -> Decimal:
        """Return the largest reduction that the event states in kW by itself (relative setpoints), 0 if none.

        Raises:
            PayloadNotUnderstood: some payload that we would act on has no meaning; says which and why.
        """
        return self._reader.largest_stated_kw()

    @cached_property
    def _reader(self) -> PayloadReader:
        return PayloadReader(
            self.event,
            self.program,
            self.rules.signs,
            self.rules.thresholds,
            stores=bool(self.rules.storage),
            feeds_in=self.feeds_in,
        )
