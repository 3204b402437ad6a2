"""A circuit of a panel as it measures it, and what every panel program agrees on about it."""

from __future__ import annotations

import re

from msgspec import Struct, field


class Load(Struct, frozen=True, kw_only=True, gc=False):
    """One circuit as a panel measures it now. Generation is negative."""

    id: str
    name: str | None = None
    type: str | None = None
    capacity_kw: float | None = field(name="capacityKw", default=None)
    current_power_kw: float | None = field(name="currentPowerKw", default=None)
    shed_capability_kw: float | None = field(name="shedCapabilityKw", default=None)
    enabled: bool | None = None
    priority: float | None = None


def circuit_type(load: Load) -> str:
    """Return the type of a load; programs that do not send one spell it in the id (``heater1``)."""
    return (load.type or re.sub(r"\d+$", "", load.id)).lower()


def is_critical(load: Load) -> bool:
    """Return True if a circuit must never be curtailed: priority 1, or heating, cooling or a fridge by its type."""
    return load.priority == 1 or circuit_type(load) in {"hvac", "fridge"}
