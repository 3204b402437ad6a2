"""Read the payloads of an event as a reduction in kW."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field

from openadr_profiles.v31 import Event, EventPayloadType, Program, Value, ValuesMap
from ven.errors import NotUnderstood

SIMPLE: Final = EventPayloadType.SIMPLE.value
RELATIVE: Final = EventPayloadType.DISPATCH_SETPOINT_RELATIVE.value
IMPORT_LIMIT: Final = EventPayloadType.IMPORT_CAPACITY_LIMIT.value

ACTED_ON: Final = frozenset({SIMPLE, RELATIVE, IMPORT_LIMIT})
"""Payload types that ask for a reduction; events with only others are ignored."""

KW_PER: Final[Mapping[str, Decimal]] = {"KW": Decimal(1), "W": Decimal("0.001"), "MW": Decimal(1000)}
"""kW of one of each unit of power; units are compared without regard to case."""

_NOTHING: Final = Decimal(0)
_Share = Annotated[Decimal, Field(ge=0, le=1)]


class Sign(StrEnum):
    """The sign of DISPATCH_SETPOINT_RELATIVE that asks for less consumption; the standard does not say."""

    NEGATIVE_SHEDS = "negative_sheds"
    POSITIVE_SHEDS = "positive_sheds"
    ANY_SHEDS = "any_sheds"


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

    def sign_of(self, program_name: str | None) -> Sign:
        """The sign that sheds in a program."""
        return self.program_signs.get(program_name or "", self.sign)


@dataclass(frozen=True)
class Context:
    """An event with its program and the shedding rules, to read its payloads with (VENCLIENT-022)."""

    event: Event
    program: Program | None
    rules: SheddingRules

    @property
    def program_name(self) -> str | None:
        """The program's name, if we may see the program."""
        return self.program.program_name if self.program else None

    @property
    def asks_for_reduction(self) -> bool:
        """Return True if the event has any payload that this VEN acts on."""
        return any(payload.type in ACTED_ON for payload in _payloads(self.event))

    def units(self, payload_type: str) -> str | None:
        """The units of a payload type: the event's descriptor says, else the program's, else nobody."""
        for descriptor in self.event.payload_descriptors or ():
            if descriptor.payload_type == payload_type:
                return descriptor.units
        for default in (self.program.payload_descriptors if self.program else None) or ():
            if default.payload_type == payload_type:
                return default.units
        return None

    def requested_kw(
        self, payload_type: str, values: tuple[Value, ...], *, used_kw: Decimal, sheddable_kw: Decimal
    ) -> Decimal:
        """The reduction in kW, 0 if none; ``used_kw`` is what the panel would draw without any event.

        Raises:
            NotUnderstood: the value or its units have no meaning for this payload type.
        """
        if payload_type == SIMPLE:
            level = _level(values[0] if values else None)
            return sheddable_kw * self.rules.simple_shares[level - 1] if level else _NOTHING
        kw = self._kw(payload_type, values[0] if values else None)
        if payload_type == IMPORT_LIMIT:
            return max(used_kw - kw, _NOTHING)
        return self._reduction(kw)

    def largest_stated_kw(self) -> Decimal:
        """The largest reduction that the event states in kW by itself (relative setpoints), 0 if it states none.

        Raises:
            NotUnderstood: some payload that we would act on has no meaning; says which and why.
        """
        largest = _NOTHING
        for payload in _payloads(self.event):
            if payload.type not in ACTED_ON:
                continue
            for value in payload.values or (None,):
                if payload.type == SIMPLE:
                    _level(value)
                    continue
                kw = self._kw(payload.type, value)
                if payload.type == RELATIVE:
                    largest = max(largest, self._reduction(kw))
        return largest

    def _kw(self, payload_type: str, value: Value | None) -> Decimal:
        units = self.units(payload_type)
        factor = KW_PER.get((units or "KW").upper())
        if factor is None:
            raise NotUnderstood(f"{payload_type} in {units}: only KW, W and MW are understood")
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise NotUnderstood(f"{payload_type} has the value {value!r}: expected a number")
        return Decimal(str(value)) * factor

    def _reduction(self, kw: Decimal) -> Decimal:
        sign = self.rules.sign_of(self.program_name)
        if sign is Sign.ANY_SHEDS:
            return abs(kw)
        return max(kw if sign is Sign.POSITIVE_SHEDS else -kw, _NOTHING)


def _level(value: Value | None) -> int:
    if not isinstance(value, bool) and isinstance(value, int | float) and value in {0, 1, 2, 3}:
        return int(value)
    raise NotUnderstood(f"SIMPLE has the value {value!r}: expected 0, 1, 2 or 3")


def _payloads(event: Event) -> Iterator[ValuesMap]:
    for interval in event.intervals or ():
        yield from interval.payloads
