"""The circuits of panels: how much each panel program sheds from them, and in which order.

Used by the simulated panels, and to estimate what a panel can really shed (its own ``shedCapabilityKw`` overstates it).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import Decimal

from msgspec import Struct

from openadr_profiles.panel.telemetry import Load


class Circuit(Struct, frozen=True, kw_only=True):
    """A circuit of the current panel program: breaker in A at 240 V, and from which panel size on it exists."""

    id: str
    name: str
    type: str
    breaker_amps: int
    rated_kw: Decimal
    critical: bool = False
    starts_on: bool = True
    smallest_panel_amps: int = 100


PANEL_VOLTAGE = 240

FLAT_CIRCUITS: tuple[Circuit, ...] = (
    Circuit(id="hvac1", name="HVAC", type="hvac", breaker_amps=30, rated_kw=Decimal("7.2"), critical=True),
    Circuit(id="heater1", name="Water Heater", type="heater", breaker_amps=30, rated_kw=Decimal("7.2")),
    Circuit(
        id="ev1",
        name="EV Charger",
        type="ev",
        breaker_amps=50,
        rated_kw=Decimal("12.0"),
        starts_on=False,
        smallest_panel_amps=150,
    ),
    Circuit(id="dryer1", name="Dryer", type="dryer", breaker_amps=30, rated_kw=Decimal("7.2")),
    Circuit(
        id="range1",
        name="Electric Range",
        type="range",
        breaker_amps=40,
        rated_kw=Decimal("9.6"),
        smallest_panel_amps=150,
    ),
    Circuit(id="lights1", name="Lighting Circuits", type="lights", breaker_amps=15, rated_kw=Decimal("3.6")),
    Circuit(id="outlets1", name="General Outlets", type="outlets", breaker_amps=20, rated_kw=Decimal("4.8")),
    Circuit(id="fridge1", name="Refrigerator", type="fridge", breaker_amps=15, rated_kw=Decimal("3.6"), critical=True),
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

ENVELOPE_NEVER = frozenset({"pv", "solar", "batt", "battery"})
"""Circuits of the older program that give nothing to shed: generation, and the battery, which is not a load."""


def circuit_type(load: Load) -> str:
    """The type of a load; programs that do not send one spell it in the id (``heater1``)."""
    return (load.type or re.sub(r"\d+$", "", load.id)).lower()


def is_critical(load: Load) -> bool:
    """Return True if a circuit must never be curtailed: priority 1, or a type that has no share."""
    return load.priority == 1 or circuit_type(load) in {"hvac", "fridge"}


def flat_shed_capability_kw(loads: Iterable[Load]) -> Decimal:
    """Return the most that the flat program can really shed from these circuits, in kW."""
    total = Decimal(0)
    for load in loads:
        share = FLAT_SHARES.get(circuit_type(load), Decimal(0))
        if load.enabled is not False and not is_critical(load) and load.current_power_kw:
            total += Decimal(str(max(load.current_power_kw, 0.0))) * share
    return total.quantize(Decimal("0.001"))


def envelope_shed_capability_kw(loads: Iterable[Load]) -> Decimal:
    """Return the most that the envelope program may shed from its non-critical circuits, in kW."""
    total = Decimal(0)
    for load in loads:
        if load.enabled is False or is_critical(load) or circuit_type(load) in ENVELOPE_NEVER:
            continue
        total += Decimal(str(max(load.current_power_kw or 0.0, 0.0)))
    return total.quantize(Decimal("0.001"))
