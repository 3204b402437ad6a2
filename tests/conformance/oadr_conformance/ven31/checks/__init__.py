"""All checks of a VEN of OpenADR 3.1."""

from __future__ import annotations

from typing import Final

from oadr_conformance.registry import Check
from oadr_conformance.ven31.checks import reading, registering, reporting

ALL_VEN: Final[tuple[Check, ...]] = (
    *registering.area.checks,
    *reading.area.checks,
    *reporting.area.checks,
)
"""Every check, in the order of a report."""
