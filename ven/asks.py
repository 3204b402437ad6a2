"""The owner's rules for reading events as reductions, and an event together with them.

What payloads mean in kW is in ``openadr_profiles.fleet.power``, for every reader the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from openadr_profiles.fleet.power import PayloadReader, Sign, Signs
from openadr_profiles.v31 import Event, Program, Value

_Share = Annotated[Decimal, Field(ge=0, le=1)]


class SheddingRules(BaseModel):
    """The meaning of SIMPLE levels and of the sign of relative setpoints for this VEN.

    ``simple_shares`` are the shares (0 to 1) of the sheddable power that levels 1, 2 and 3 ask for. ``program_signs``
    overrides ``sign`` for single programs, by their names.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    simple_shares: tuple[_Share, _Share, _Share] = (Decimal("0.33"), Decimal("0.66"), Decimal(1))
    sign: Sign = Sign.NEGATIVE_SHEDS
    program_signs: dict[str, Sign] = Field(default_factory=dict)
    tolerance_kw: Decimal = Field(default=Decimal(0), ge=0)

    @property
    def signs(self) -> Signs:
        """Return the sign that sheds, by program name."""
        return Signs(self.sign, self.program_signs)


@dataclass(frozen=True)
class Context:
    """An event with its program and the shedding rules, to read its payloads with (VENCLIENT-022)."""

    event: Event
    program: Program | None
    rules: SheddingRules

    @property
    def program_name(self) -> str | None:
        """Return the program's name, None if we may not see the program."""
        return self._reader.program_name

    @property
    def asks_for_reduction(self) -> bool:
        """Return True if the event has any payload that this VEN acts on."""
        return self._reader.asks_for_reduction

    def requested_kw(
        self, payload_type: str, values: tuple[Value, ...], *, used_kw: Decimal, sheddable_kw: Decimal
    ) -> Decimal:
        """Return the reduction in kW, 0 if none; ``used_kw`` is what the panel would draw without any event.

        Raises:
            PayloadNotUnderstood: the value or its units have no meaning for this payload type.
        """
        shares = (Decimal(0), *self.rules.simple_shares)
        request = self._reader.request(payload_type, values)
        return request.reduction_kw(used_kw=used_kw, sheddable_kw=sheddable_kw, level_shares=shares)

    def largest_stated_kw(self) -> Decimal:
        """Return the largest reduction that the event states in kW by itself (relative setpoints), 0 if none.

        Raises:
            PayloadNotUnderstood: some payload that we would act on has no meaning; says which and why.
        """
        return self._reader.largest_stated_kw()

    @property
    def _reader(self) -> PayloadReader:
        return PayloadReader(self.event, self.program, self.rules.signs)
