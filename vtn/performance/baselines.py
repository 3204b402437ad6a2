"""Tell what a participant would have drawn without an event, step by step, and from which days that is known."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Final

from vtn.performance.calendar import Calendar
from vtn.performance.methods import Adjustment, AdjustmentKind, Method, Pick, SimilarDays
from vtn.performance.profile import EnergySeries, steps_of

_NOTHING: Final = Decimal(0)
_ONE: Final = Decimal(1)
MOST_PLANNED: Final = 500_000
"""Steps of all days that a method may look at, at most."""


@dataclass(frozen=True, slots=True)
class EvaluatedTime:
    """Hold a time from ``start`` to before ``end``, in UTC: in a zone, sums would be those of its clocks."""

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        object.__setattr__(self, "start", self.start.astimezone(UTC))
        object.__setattr__(self, "end", self.end.astimezone(UTC))


@dataclass(frozen=True, slots=True)
class EventBaseline:
    """Hold the energy of each step of the event without it, in kWh; steps that are not there are not known.

    ``days`` are those that were averaged, ``change`` is what the adjustment did: a factor, or kWh added to each step.
    ``notes`` say what was not as the method wants it.
    """

    kwh: Mapping[datetime, Decimal] = field(default_factory=dict)
    days: tuple[date, ...] = ()
    change: Decimal | None = None
    estimated: bool = False
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PlannedDay:
    """Hold a day that may be averaged: the steps at the times of the event and of the adjustment, in UTC.

    ``event`` is empty for a day whose clocks skip the time at which the event begins.
    """

    date: date
    event: tuple[datetime, ...]
    window: tuple[datetime, ...]


class BaselinePlan:
    """Hold what a method needs of any meter for one event: it is worked out once, for all meters.

    ``days`` are those that may be averaged, the latest first, without the days with events. ``window`` are the steps
    of the adjustment before the event, ``around`` those that are averaged without other days. Raises ValueError for a
    method that takes what the participant reports, and for more than `MOST_PLANNED` steps.
    """

    def __init__(
        self, method: Method, event: EvaluatedTime, step: timedelta, calendar: Calendar, event_days: Collection[date]
    ) -> None:
        if method.reported:
            raise ValueError(f"{method.name} is no rule about readings")
        self.method: Final = method
        self.step: Final = step
        self.steps: Final = steps_of(event.start, event.end, step)
        self.window: Final = _window(method.adjustment, event, step)
        self.around: Final = _around(method, event, step)
        self.days: Final = tuple(self._planned(method.days, event, calendar, event_days)) if method.days else ()

    def _planned(
        self, rule: SimilarDays, event: EvaluatedTime, calendar: Calendar, event_days: Collection[date]
    ) -> Iterator[PlannedDay]:
        if (len(self.steps) + len(self.window)) * rule.look_back_days > MOST_PLANNED:
            raise ValueError(f"more than {MOST_PLANNED:,} steps to be compared: choose a longer step")
        for day in calendar.days_before(calendar.day_of(event.start), at_most=rule.look_back_days):
            if rule.skip_event_days and day in event_days:
                continue
            begin = calendar.same_time(event.start, day)
            if begin is None:
                yield PlannedDay(day, (), ())
                continue
            moved = begin - event.start
            yield PlannedDay(
                day, tuple(step + moved for step in self.steps), tuple(step + moved for step in self.window)
            )

    def of(self, profile: EnergySeries) -> EventBaseline:
        """Return the baseline of one meter."""
        rule = self.method.days
        if rule is None:
            return self._of_the_day(profile)
        candidates: list[_Day] = []
        gaps = 0
        for planned in self.days:
            found = _day(profile, planned)
            if found is None:
                gaps += 1
                continue
            candidates.append(found)
            if len(candidates) == rule.of:
                break
        notes = [f"{gaps} days have gaps"] if gaps else []
        if len(candidates) < rule.at_least:
            few = f"{len(candidates)} similar days with readings, at least {rule.at_least} are needed"
            return EventBaseline(notes=(*notes, few))
        if len(candidates) < rule.of:
            notes.append(f"{len(candidates)} similar days instead of {rule.of}")
        taken = _picked(candidates, rule)
        count = len(taken)
        mean = [sum(values, _NOTHING) / count for values in zip(*(day.event for day in taken), strict=True)]
        change = None
        adjustment = self.method.adjustment
        if adjustment is not None:
            before = [sum(values, _NOTHING) / count for values in zip(*(day.window for day in taken), strict=True)]
            change, note = _change(adjustment, profile, self.window, before)
            if change is None:
                notes.append(note)
            else:
                mean = [_adjusted(value, change, adjustment) for value in mean]
        return EventBaseline(
            dict(zip(self.steps, mean, strict=True)),
            tuple(sorted(day.date for day in taken)),
            change,
            any(day.estimated for day in taken),
            tuple(notes),
        )

    def _of_the_day(self, profile: EnergySeries) -> EventBaseline:
        """Return the mean of the steps before an event, and after it, for each of its steps."""
        found = [profile.at(step) for step in self.around]
        known = [one for one in found if one is not None]
        if not known or len(known) < len(found):
            return EventBaseline(notes=("there are gaps around the event",))
        mean = sum((one.kwh for one in known), _NOTHING) / len(known)
        return EventBaseline(dict.fromkeys(self.steps, mean), estimated=any(one.estimated for one in known))


def baseline(
    method: Method, profile: EnergySeries, event: EvaluatedTime, calendar: Calendar, event_days: Collection[date] = ()
) -> EventBaseline:
    """Return the baseline of an event by a method that needs nothing but the readings of the meter.

    ``event_days`` are the days with events, whose readings do not count. Raises ValueError as `BaselinePlan` does.
    """
    return BaselinePlan(method, event, profile.step, calendar, event_days).of(profile)


@dataclass(frozen=True, slots=True)
class _Day:
    date: date
    event: tuple[Decimal, ...]
    window: tuple[Decimal, ...]
    estimated: bool


def _day(profile: EnergySeries, planned: PlannedDay) -> _Day | None:
    """Return the readings of another day at the times of the event and of the adjustment; None if one is missing."""
    if not planned.event:
        return None
    found = [profile.at(start) for start in (*planned.event, *planned.window)]
    known = [one for one in found if one is not None]
    if len(known) < len(found):
        return None
    count = len(planned.event)
    return _Day(
        planned.date,
        tuple(one.kwh for one in known[:count]),
        tuple(one.kwh for one in known[count:]),
        any(one.estimated for one in known),
    )


def _picked(days: Sequence[_Day], rule: SimilarDays) -> Sequence[_Day]:
    """Return the days that count by what was drawn at the time of the event; of equals the later one."""
    take = min(rule.take, len(days))
    if rule.pick is Pick.NEWEST:
        return days[:take]
    by_load = sorted(days, key=lambda day: sum(day.event, _NOTHING), reverse=rule.pick is not Pick.LOWEST)
    if rule.pick is Pick.MIDDLE:
        first = (len(days) - take) // 2
        return by_load[first : first + take]
    return by_load[:take]


def _window(adjustment: Adjustment | None, event: EvaluatedTime, step: timedelta) -> tuple[datetime, ...]:
    if adjustment is None:
        return ()
    return steps_of(event.start - adjustment.begins_before, event.start - adjustment.ends_before, step)


def _change(
    adjustment: Adjustment, profile: EnergySeries, window: Sequence[datetime], mean: Sequence[Decimal]
) -> tuple[Decimal | None, str]:
    """Return the factor, or the kWh for each step, that moves an average to the level of the day; else why not."""
    found = [profile.at(step) for step in window]
    known = [one.kwh for one in found if one is not None]
    if len(known) < len(found):
        return None, "not adjusted: there are gaps in the hours before the event"
    drawn, usual, count = sum(known, _NOTHING), sum(mean, _NOTHING), len(known)
    if adjustment.kind is AdjustmentKind.ADDITIVE:
        change, none, most = (drawn - usual) / count, _NOTHING, abs(usual) / count
    elif usual <= 0 or drawn < 0:
        return None, "not adjusted: nothing is usually drawn in the hours before the event"
    else:
        change, none, most = drawn / usual, _ONE, _ONE
    if adjustment.cap is not None:
        change = min(max(change, none - adjustment.cap * most), none + adjustment.cap * most)
    return max(change, none) if adjustment.only_up else change, ""


def _adjusted(value: Decimal, change: Decimal, adjustment: Adjustment) -> Decimal:
    return value + change if adjustment.kind is AdjustmentKind.ADDITIVE else value * change


def _around(method: Method, event: EvaluatedTime, step: timedelta) -> tuple[datetime, ...]:
    """Return the steps before an event, and after it, without those that the event touches."""
    if method.before is None:
        return ()
    before_it = event.start - method.apart
    around = steps_of(before_it - method.before, before_it, step)
    if method.after is not None:
        after_it = event.end + method.apart
        around += steps_of(after_it, after_it + method.after, step)
    its = frozenset(steps_of(event.start, event.end, step))
    return tuple(start for start in around if start not in its)
