"""The column ``circuits_curtailed``: written with the member names of the original system, read in every form."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from openadr_profiles.panel import CircuitCurtailment, circuits_of


def circuits_for_json(circuits: Sequence[CircuitCurtailment] | None) -> list[dict[str, Any]] | None:
    """Return the circuits as they are stored: ``breaker_amps``, ``original_kw``, ``curtailed_kw``, ``final_kw``."""
    return None if circuits is None else [msgspec.structs.asdict(circuit) for circuit in circuits]


def circuits_from_json(value: object, warnings: list[str]) -> tuple[CircuitCurtailment, ...] | None:
    """Return the circuits of the column in any form that was ever stored; unusable items are dropped with a warning.

    One row of another form must not make a history unreadable (R10, no. 31).
    """
    return circuits_of({"circuits_curtailed": value}, warnings)
