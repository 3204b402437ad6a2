"""Say which readings of a meter a method needs, so that no others are read, and put them on the grid.

Of a year of readings a baseline needs some hours of some days. What is read around these hours is enough to tell that
the readings there do not overlap: then the rules give the same as from all readings of the meter (`gridded`). If two of
them overlap, or a longer one may fill a gap, the meter is read whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final, NamedTuple, TypeAlias

from vtn.performance.baselines import BaselinePlan, EvaluatedTime, PlannedDay
from vtn.performance.profile import Energy, EnergySeries, MeteredEnergy, gridded, steps_of

_UNIX: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MS: Final = timedelta(milliseconds=1)
_HOUR: Final = timedelta(hours=1)
_AROUND_WHOLE: Final = timedelta(days=2)


StoredReading: TypeAlias = tuple[int, int, float, bool]
"""A reading as it is stored: its start since 1970 and its length in milliseconds, kWh, and if it is an estimate."""


class MsSpan(NamedTuple):
    """Hold a time in milliseconds since 1970, from ``first_ms`` to before ``end_ms``."""

    first_ms: int
    end_ms: int


@dataclass(frozen=True, slots=True)
class NeededReadings:
    """Hold the times at which the readings begin that are needed, as spans that do not overlap.

    ``at_once`` is what any meter needs, ``with_gaps`` all that one needs which has gaps there, and ``whole`` a span
    around all of it. Readings that are longer than ``usual`` are not among those.
    """

    at_once: tuple[MsSpan, ...]
    with_gaps: tuple[MsSpan, ...]
    whole: MsSpan
    usual: timedelta


def needed_of_event(event: EvaluatedTime, plan: BaselinePlan | None, step: timedelta) -> NeededReadings:
    """Return what is needed to evaluate an event; without a plan, the readings of its own time."""
    usual = max(step, _HOUR)
    steps = steps_of(event.start, event.end, step)
    first: list[Sequence[datetime]] = [steps]
    every: list[Sequence[datetime]] = [steps]
    if plan is not None:
        first += [plan.window, plan.around]
        every += first[1:]
        wanted = 0 if plan.method.days is None else plan.method.days.of
        for number, day in enumerate(plan.days):
            every += (day.event, day.window)
            if number < wanted:
                first += (day.event, day.window)
    at_once = tuple(_joined(_spans(first, step, usual)))
    with_gaps = tuple(_joined(_spans(every, step, usual)))
    around = _AROUND_WHOLE // _MS
    whole = MsSpan(with_gaps[0].first_ms - around, with_gaps[-1].end_ms + around)
    return NeededReadings(at_once, with_gaps, whole, usual)


def _spans(runs: Iterable[Sequence[datetime]], step: timedelta, usual: timedelta) -> list[MsSpan]:
    """Return when readings begin that touch a run of steps or compete with one that does.

    One that touches it begins up to ``usual`` before it and ends up to ``usual`` after it, and one that overlaps that
    and is no longer begins within ``usual`` of these.
    """
    found = []
    for run in runs:
        for first, last in _unbroken(run, step):
            found.append(MsSpan(as_ms(first - 2 * usual) + 1, as_ms(last + step + usual)))
    return found


def _unbroken(run: Sequence[datetime], step: timedelta) -> Iterable[tuple[datetime, datetime]]:
    begin = 0
    for number in range(1, len(run) + 1):
        if number == len(run) or run[number] - run[number - 1] != step:
            yield run[begin], run[number - 1]
            begin = number


def _joined(spans: Iterable[MsSpan]) -> list[MsSpan]:
    joined: list[MsSpan] = []
    for span in sorted(spans):
        if joined and span.first_ms <= joined[-1].end_ms:
            joined[-1] = MsSpan(joined[-1].first_ms, max(joined[-1].end_ms, span.end_ms))
        else:
            joined.append(span)
    return joined


class Gridding:
    """Puts stored readings of many meters on one grid; the instants that are needed are made once."""

    def __init__(self, needed: NeededReadings, plan: BaselinePlan | None, steps: Sequence[datetime]) -> None:
        self.usual_ms: Final = needed.usual // _MS
        self._plan = plan
        self._steps = steps
        every = list(steps)
        if plan is not None:
            every += (*plan.window, *plan.around)
            for day in plan.days:
                every += (*day.event, *day.window)
        self._instants = {as_ms(instant): instant for instant in every}

    def series(self, readings: Sequence[StoredReading], step: timedelta) -> EnergySeries | None:
        """Return what is needed of the usual readings of a meter, in the order of their starts; None if two overlap."""
        step_ms, usual_ms = step // _MS, self.usual_ms
        is_plain, end = True, None
        steps = {}
        instants = self._instants
        for start, length, kwh, estimated in readings:
            if not 0 < length <= usual_ms:
                continue
            if end is not None and start < end:
                return None
            end = start + length
            if length != step_ms or start % step_ms:
                is_plain = False
            elif (instant := instants.get(start)) is not None:
                steps[instant] = Energy(Decimal(repr(kwh)), estimated)
        if is_plain:
            return EnergySeries(step, steps)
        return self.whole((one for one in readings if 0 < one[1] <= usual_ms), step)

    @staticmethod
    def whole(readings: Iterable[StoredReading], step: timedelta) -> EnergySeries:
        """Return the series of all readings of a meter by the rules for any readings."""
        return gridded(
            (
                MeteredEnergy(as_instant(start), length * _MS, Decimal(repr(kwh)), estimated)
                for start, length, kwh, estimated in readings
            ),
            step,
        )

    def lacks(self, series: EnergySeries) -> bool:
        """Return True for a series with a gap in what is needed at once."""
        known = series.steps
        plan = self._plan
        if not all(start in known for start in self._steps):
            return True
        if plan is None:
            return False
        if not all(start in known for start in (*plan.window, *plan.around)):
            return True
        wanted = 0 if plan.method.days is None else plan.method.days.of
        return not all(_is_known(day, series) for day in plan.days[:wanted])


def _is_known(day: PlannedDay, series: EnergySeries) -> bool:
    known = series.steps
    return bool(day.event) and all(start in known for start in day.event) and all(one in known for one in day.window)


def as_ms(instant: datetime) -> int:
    """Return an instant in milliseconds since 1970, rounded down."""
    return (instant - _UNIX) // _MS


def as_instant(ms: int) -> datetime:
    """Return the instant so many milliseconds after 1970, in UTC."""
    return _UNIX + ms * _MS
