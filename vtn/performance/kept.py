"""Write results as they are kept and sent: energies in whole watt-hours, rounded half to even, null where not known.

The figures are exact before that (`Decimal`, 28 digits). The mean power of a step is that of its rounded energy.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any, Final

import msgspec

from openadr_profiles.performance import FleetPerformanceStep, PerformanceStep, PerformanceSums
from vtn.performance.fleet import FleetResult
from vtn.performance.profile import floor
from vtn.performance.result import ParticipantResult, StepResult

_WH_PER_KWH: Final = Decimal(1000)
_HOUR_S: Final = 3600

KeptStep = tuple[int | None, int | None, int | None, int | None, int | None, bool]
"""Requested, baseline, metered, delivered and short energy of a step in Wh; True if a value is estimated."""


def participant_row(one: ParticipantResult) -> dict[str, Any]:
    """Return the columns of a participant."""
    details = {
        "notes": one.notes,
        "days": one.days,
        "adjustment": None if one.change is None else float(round(one.change, 6)),
        "steps": [_kept(step) for step in one.steps],
    }
    return {
        "name": one.name,
        "requested_wh": _thousandths(one.requested_kwh),
        "delivered_wh": _thousandths(one.delivered_kwh),
        "shortfall_wh": _thousandths(one.shortfall_kwh),
        "performance_permille": _thousandths(one.performance),
        "gaps": one.gaps,
        "details": msgspec.json.encode(details).decode(),
    }


def sums_of(fleet: FleetResult, step: timedelta) -> PerformanceSums:
    """Return the sums of a fleet as they are sent."""
    return PerformanceSums(
        participants=fleet.participants,
        participants_known=fleet.participants_known,
        gaps=fleet.gaps,
        requested_kwh=in_thousands(_thousandths(fleet.requested_kwh)),
        delivered_kwh=in_thousands(_thousandths(fleet.delivered_kwh)),
        shortfall_kwh=in_thousands(_thousandths(fleet.shortfall_kwh)),
        performance=in_thousands(_thousandths(fleet.performance)),
        curve=tuple(
            FleetPerformanceStep(
                whole=step_of(each.whole.start, step, _kept(each.whole)),
                known=step_of(each.known.start, step, _kept(each.known)),
                participants_known=each.participants_known,
            )
            for each in fleet.curve
        ),
    )


def step_of(start: datetime, step: timedelta, kept: KeptStep) -> PerformanceStep:
    """Return a step as it is sent, of what is kept of it."""
    requested, baseline, metered, delivered, short, estimated = kept
    return PerformanceStep(
        start=start.astimezone(UTC),
        requested_kwh=in_thousands(requested),
        baseline_kwh=in_thousands(baseline),
        metered_kwh=in_thousands(metered),
        delivered_kwh=in_thousands(delivered),
        shortfall_kwh=in_thousands(short),
        delivered_kw=None if delivered is None else round(delivered * _HOUR_S / step.total_seconds()) / 1000,
        estimated=estimated,
    )


def kept_steps(kept: Sequence[Any], starts_at: str, step: timedelta) -> tuple[PerformanceStep, ...]:
    """Return the steps that are kept of an event that begins at an instant."""
    first = floor(datetime.fromisoformat(starts_at), step)
    return tuple(step_of(first + number * step, step, each) for number, each in enumerate(kept))


def in_thousands(value: int | None) -> float | None:
    """Return whole watt-hours in kWh, or a factor of its thousandths."""
    return None if value is None else value / 1000


def _kept(step: StepResult) -> KeptStep:
    return (
        _thousandths(step.requested_kwh),
        _thousandths(step.baseline_kwh),
        _thousandths(step.metered_kwh),
        _thousandths(step.delivered_kwh),
        _thousandths(step.shortfall_kwh),
        step.estimated,
    )


def _thousandths(value: Decimal | None) -> int | None:
    return None if value is None else int((value * _WH_PER_KWH).to_integral_value(ROUND_HALF_EVEN))
