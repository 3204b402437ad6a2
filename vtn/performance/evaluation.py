"""Evaluate an event: the result of every participant by one method, and the sums of the fleet."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal

from vtn.performance.baselines import EvaluatedTime, EventBaseline, baseline
from vtn.performance.calendar import Calendar
from vtn.performance.from_reports import Meter, Reported
from vtn.performance.methods import Method
from vtn.performance.profile import EnergySeries, gridded
from vtn.performance.result import ParticipantResult, StepResult, fingerprint, result

NO_READINGS = "no readings"


@dataclass(frozen=True, slots=True)
class EventResult:
    """Hold the results of an event's participants. ``inputs`` is the SHA-256 of what they were made of."""

    method: str
    step: timedelta
    start: datetime
    end: datetime
    participants: tuple[ParticipantResult, ...]
    inputs: str

    def curve(self) -> tuple[StepResult, ...]:
        """Return the sums of all participants step by step; what one of them does not know, the sum does not."""
        steps = zip(*(each.steps for each in self.participants), strict=True)
        return tuple(
            StepResult(
                parts[0].start,
                _whole(part.requested_kwh for part in parts),
                _whole(part.baseline_kwh for part in parts),
                _whole(part.metered_kwh for part in parts),
                any(part.estimated for part in parts),
            )
            for parts in steps
        )


def evaluate(
    event: EvaluatedTime,
    reported: Reported,
    meters: Sequence[Meter],
    method: Method,
    *,
    step: timedelta,
    calendar: Calendar,
    event_days: Callable[[Meter], Collection[date]],
    name: Callable[[Meter], str],
) -> EventResult:
    """Return the results of the given meters; one without any reading is there with a note. Raises ValueError."""
    results = [
        _result(event, reported, meter, method, step, calendar, event_days(meter), name(meter)) for meter in meters
    ]
    used = [
        (meter, reported.readings.get(meter), reported.baselines.get(meter), reported.asked.get(meter))
        for meter in meters
    ]
    inputs = fingerprint(event, method, step, calendar.holidays, used)
    return EventResult(method.name, step, event.start, event.end, tuple(results), inputs)


def _result(
    event: EvaluatedTime,
    reported: Reported,
    meter: Meter,
    method: Method,
    step: timedelta,
    calendar: Calendar,
    event_days: Collection[date],
    name: str,
) -> ParticipantResult:
    profile = gridded(reported.readings.get(meter, ()), step)
    if method.reported:
        base = _as_reported(gridded(reported.baselines.get(meter, ()), step))
    else:
        base = baseline(method, profile, event, calendar, event_days)
    if not profile.steps:
        base = EventBaseline(notes=(NO_READINGS,))
    elif profile.left_out:
        base = EventBaseline(
            base.kwh,
            base.days,
            base.change,
            base.estimated,
            (*base.notes, f"{profile.left_out} readings overlap others"),
        )
    return result(name, event, profile, base, reported.asked.get(meter, ()))


def _as_reported(profile: EnergySeries) -> EventBaseline:
    if not profile.steps:
        return EventBaseline(notes=("no BASELINE is reported",))
    kwh = {start: energy.kwh for start, energy in profile.steps.items()}
    return EventBaseline(kwh, estimated=any(energy.estimated for energy in profile.steps.values()))


def _whole(values: Iterable[Decimal | None]) -> Decimal | None:
    found = list(values)
    known = [value for value in found if value is not None]
    return sum(known, Decimal(0)) if len(known) == len(found) else None
