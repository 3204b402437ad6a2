"""The current panel program: members at top level, answers with ``status``, restores, and sheds shares of circuits."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from msgspec import Struct

from openadr_profiles.panel import reading
from openadr_profiles.panel.dialect import Dialect
from openadr_profiles.panel.load import Load, circuit_type
from openadr_profiles.panel.vocabulary import AckStatus


class FlatCircuit(Struct, frozen=True, kw_only=True):
    """A circuit of this program: breaker in A at 240 V, and from which panel size on it exists."""

    id: str
    name: str
    type: str
    breaker_amps: int
    rated_kw: Decimal
    critical: bool = False
    starts_on: bool = True
    smallest_panel_amps: int = 100


PANEL_VOLTAGE = 240

FLAT_CIRCUITS: tuple[FlatCircuit, ...] = (
    FlatCircuit(id="hvac1", name="HVAC", type="hvac", breaker_amps=30, rated_kw=Decimal("7.2"), critical=True),
    FlatCircuit(id="heater1", name="Water Heater", type="heater", breaker_amps=30, rated_kw=Decimal("7.2")),
    FlatCircuit(
        id="ev1",
        name="EV Charger",
        type="ev",
        breaker_amps=50,
        rated_kw=Decimal("12.0"),
        starts_on=False,
        smallest_panel_amps=150,
    ),
    FlatCircuit(id="dryer1", name="Dryer", type="dryer", breaker_amps=30, rated_kw=Decimal("7.2")),
    FlatCircuit(
        id="range1",
        name="Electric Range",
        type="range",
        breaker_amps=40,
        rated_kw=Decimal("9.6"),
        smallest_panel_amps=150,
    ),
    FlatCircuit(id="lights1", name="Lighting Circuits", type="lights", breaker_amps=15, rated_kw=Decimal("3.6")),
    FlatCircuit(id="outlets1", name="General Outlets", type="outlets", breaker_amps=20, rated_kw=Decimal("4.8")),
    FlatCircuit(
        id="fridge1", name="Refrigerator", type="fridge", breaker_amps=15, rated_kw=Decimal("3.6"), critical=True
    ),
)

FLAT_SHARES: dict[str, Decimal] = {
    "ev": Decimal(1),
    "heater": Decimal(1),
    "dryer": Decimal(1),
    "range": Decimal("0.8"),
    "outlets": Decimal("0.7"),
    "lights": Decimal("0.5"),
}
"""The largest share of a circuit that the flat program sheds, by type, in shedding order; all others: nothing."""


class FlatDialect(Dialect):
    """The language of the current panel program."""

    name = "flat"
    shed_op = "event"
    outcome_member = "status"
    can_restore = True
    piece_s = 86_400
    piece_bounds_s = (60, 604_800)

    def outcome(self, members: Mapping[str, Any], op: str, error: str | None, warnings: list[str]) -> AckStatus | None:
        """Return the word of ``status``."""
        status = members.get("status")
        if isinstance(status, str) and status.strip():
            word = status.strip().lower()
            if word in AckStatus.__members__.values():
                return AckStatus(word)
            warnings.append(f"status {word[:40]!r} is not known")
            return AckStatus.UNKNOWN
        if status is not None:
            warnings.append("status is not a text; ignored")
        return None

    def wrote_sample(self, topic: str, members: Mapping[str, Any]) -> bool:
        """Return True for a message with a counter."""
        return reading.whole_at(members, ("message_num", "messageNum"), []) is not None

    def shed_share(self, load: Load) -> Decimal:
        """Return the share of the circuit's type."""
        return FLAT_SHARES.get(circuit_type(load), Decimal(0))


FLAT = FlatDialect()
