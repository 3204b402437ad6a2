"""Evaluate an event: the result of every participant by one method, and the sums of the fleet."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from vtn.performance.baselines import BaselinePlan, EvaluatedTime, EventBaseline
from vtn.performance.calendar import Calendar
from vtn.performance.fleet import FleetResult, FleetSums
from vtn.performance.from_reports import Meter, Reported
from vtn.performance.methods import Method
from vtn.performance.profile import EnergySeries, gridded, steps_of
from vtn.performance.result import Fingerprint, ParticipantResult, RequestedPower, result

NO_READINGS = "no readings"


@dataclass(frozen=True, slots=True)
class EventResult:
    """Hold the results of an event's participants. ``inputs`` is the SHA-256 of what they were made of."""

    method: str
    step: timedelta
    start: datetime
    end: datetime
    participants: tuple[ParticipantResult, ...]
    fleet: FleetResult
    inputs: str


class Evaluation:
    """Evaluates the participants of an event one after the other; what is kept does not grow with their number.

    ``event_days`` are the days with other events, whose readings are not averaged. Raises ValueError for a step that
    does not divide a day, and for more steps than can be compared.
    """

    def __init__(
        self, event: EvaluatedTime, method: Method, *, step: timedelta, calendar: Calendar, event_days: Collection[date]
    ) -> None:
        self.event = event
        self.method = method
        self.step = step
        self.plan = None if method.reported else BaselinePlan(method, event, step, calendar, event_days)
        self._sums = FleetSums(steps_of(event.start, event.end, step))
        self._used = Fingerprint(
            event.start, event.end, repr(method), step, str(calendar.zone), calendar.holidays, sorted(event_days)
        )

    def add(
        self,
        name: str,
        metered: EnergySeries,
        reported: EnergySeries | None,
        asked: Sequence[RequestedPower],
        *,
        used: Any,
    ) -> ParticipantResult:
        """Return the result of a participant, and add it to the sums.

        ``reported`` is what it reports as its BASELINE, ``used`` what the series were made of, as JSON can be.
        """
        base = self._baseline(metered, reported)
        if not metered.steps:
            base = EventBaseline(notes=(NO_READINGS,))
        elif metered.left_out:
            base = replace(base, notes=(*base.notes, f"{metered.left_out} readings overlap others"))
        found = result(name, self.event, metered, base, asked)
        self._sums.add(found)
        self._used.add(name, used, asked)
        return found

    def fleet(self) -> FleetResult:
        """Return the sums of the participants so far."""
        return self._sums.result()

    @property
    def inputs(self) -> str:
        """Return the SHA-256 of all that the results so far were made of: equal inputs give equal digits."""
        return self._used.digits

    def _baseline(self, metered: EnergySeries, reported: EnergySeries | None) -> EventBaseline:
        if self.plan is not None:
            return self.plan.of(metered)
        if reported is None or not reported.steps:
            return EventBaseline(notes=("no BASELINE is reported",))
        kwh: dict[datetime, Decimal] = {start: energy.kwh for start, energy in reported.steps.items()}
        return EventBaseline(kwh, estimated=any(energy.estimated for energy in reported.steps.values()))


def evaluate(
    event: EvaluatedTime,
    reported: Reported,
    meters: Sequence[Meter],
    method: Method,
    *,
    step: timedelta,
    calendar: Calendar,
    event_days: Collection[date],
    name: Callable[[Meter], str],
) -> EventResult:
    """Return the results of the given meters; one without any reading is there with a note. Raises ValueError."""
    evaluation = Evaluation(event, method, step=step, calendar=calendar, event_days=event_days)
    results = []
    for meter in meters:
        readings, baselines = reported.readings.get(meter, ()), reported.baselines.get(meter, ())
        results.append(
            evaluation.add(
                name(meter),
                gridded(readings, step),
                gridded(baselines, step),
                reported.asked.get(meter, ()),
                used=(meter, readings, baselines),
            )
        )
    return EventResult(method.name, step, event.start, event.end, tuple(results), evaluation.fleet(), evaluation.inputs)
