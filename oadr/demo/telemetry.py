"""Reductions of a home on OpenADR 2.0b, from its telemetry: that version has no report of what was shed. No I/O."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from statistics import mean
from typing import Final

from oadr.demo.view import Plan
from openadr_profiles.v31 import Report, ReportPayloadType

_SECONDS_PER_HOUR: Final = 3600
_NEEDED: Final = frozenset({ReportPayloadType.DEMAND.value, ReportPayloadType.BASELINE.value})


@dataclass(frozen=True)
class MeasuredDelivery:
    """Hold what was asked of a home and what it delivered: kW in the step that holds, else the last, and kWh until now.

    ``delivered_kw`` is None while there is no data for the step.
    """

    asked_kw: float
    delivered_kw: float | None
    asked_kwh: float
    delivered_kwh: float


def reductions_kw(reports: Iterable[Report]) -> dict[datetime, Decimal]:
    """Return the baseline minus the demand, in kW, for every time at which a home has told both."""
    told: dict[datetime, dict[str, Decimal]] = defaultdict(dict)
    for report in reports:
        for resource in report.resources:
            for interval in resource.intervals:
                start = interval.interval_period.start if interval.interval_period else None
                if start is None or start.at is None:
                    continue
                for payload in interval.payloads:
                    value = payload.values[0] if payload.values else None
                    if payload.type in _NEEDED and isinstance(value, int | float):
                        told[start.at][payload.type] = Decimal(str(value))
    return {
        at: kw[ReportPayloadType.BASELINE.value] - kw[ReportPayloadType.DEMAND.value]
        for at, kw in told.items()
        if len(kw) == len(_NEEDED)
    }


def by_step(reductions: Mapping[datetime, Decimal], plan: Plan, *, margin: timedelta) -> dict[int, Decimal]:
    """Return the mean reduction in each step, in kW; steps without data are absent.

    ``margin`` after the start of a step does not count, since a home notices it a moment later.
    """
    found = {}
    for number, step in enumerate(plan.steps):
        values = [kw for at, kw in reductions.items() if step.start + margin <= at < step.end]
        if values:
            found[number] = mean(values)
    return found


def delivery(told: Mapping[int, Decimal], plan: Plan, at: datetime) -> MeasuredDelivery | None:
    """Return what a home has delivered until ``at``, by the mean of each step; None before the first one."""
    begun = [(number, step) for number, step in enumerate(plan.steps) if step.start <= at]
    if not begun:
        return None
    asked_kwh = delivered_kwh = 0.0
    for number, step in begun:
        hours = (min(at, step.end) - step.start).total_seconds() / _SECONDS_PER_HOUR
        asked_kwh += step.kw * hours
        delivered_kwh += float(told.get(number, 0)) * hours
    number, step = begun[-1]
    delivered_kw = float(told[number]) if number in told else None
    return MeasuredDelivery(step.kw, delivered_kw, asked_kwh, delivered_kwh)
