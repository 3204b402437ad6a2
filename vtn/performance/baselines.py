"""Tell what a participant would have drawn without an event, step by step, and from which days that is known."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Final

from vtn.performance.calendar import Calendar
from vtn.performance.methods import Adjustment, AdjustmentKind, Method, Pick, SimilarDays
from vtn.performance.profile import EnergySeries, steps_of

_NOTHING: Final = Decimal(0)
_ONE: Final = Decimal(1)


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


def baseline(
    method: Method, profile: EnergySeries, event: EvaluatedTime, calendar: Calendar, event_days: Collection[date] = ()
) -> EventBaseline:
    """Return the baseline of an event by a method that needs nothing but the readings of the meter.

    ``event_days`` are the days with events, whose readings do not count. Raises ValueError for a method that takes
    what the participant reports.
    """
    steps = steps_of(event.start, event.end, profile.step)
    if method.days is not None:
        return _of_similar_days(method.days, method.adjustment, profile, event, steps, calendar, event_days)
    if method.before is not None:
        return _around(method.before, method.after, profile, event, steps)
    raise ValueError(f"{method.name} is no rule about readings")


def _of_similar_days(
    rule: SimilarDays,
    adjustment: Adjustment | None,
    profile: EnergySeries,
    event: EvaluatedTime,
    steps: Sequence[datetime],
    calendar: Calendar,
    event_days: Collection[date],
) -> EventBaseline:
    window = _window(adjustment, profile, event)
    today = calendar.day_of(event.start)
    candidates: list[_Day] = []
    gaps = 0
    for day in calendar.days_before(today, at_most=rule.look_back_days):
        if rule.skip_event_days and day in event_days:
            continue
        found = _day(profile, calendar, event, day, steps, window)
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
    if adjustment is not None:
        before = [sum(values, _NOTHING) / count for values in zip(*(day.window for day in taken), strict=True)]
        change, note = _change(adjustment, profile, window, before)
        if change is None:
            notes.append(note)
        else:
            mean = [_adjusted(value, change, adjustment) for value in mean]
    return EventBaseline(
        dict(zip(steps, mean, strict=True)),
        tuple(sorted(day.date for day in taken)),
        change,
        any(day.estimated for day in taken),
        tuple(notes),
    )


@dataclass(frozen=True, slots=True)
class _Day:
    date: date
    event: tuple[Decimal, ...]
    window: tuple[Decimal, ...]
    estimated: bool


def _day(
    profile: EnergySeries,
    calendar: Calendar,
    event: EvaluatedTime,
    day: date,
    steps: Sequence[datetime],
    window: Sequence[datetime],
) -> _Day | None:
    """Return the readings of another day at the times of the event and of the adjustment; None if one is missing."""
    begin = calendar.same_time(event.start, day)
    if begin is None:
        return None
    moved = begin - event.start
    found = [profile.at(step + moved) for step in (*steps, *window)]
    known = [one for one in found if one is not None]
    if len(known) < len(found):
        return None
    count = len(steps)
    return _Day(
        day,
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


def _window(adjustment: Adjustment | None, profile: EnergySeries, event: EvaluatedTime) -> tuple[datetime, ...]:
    if adjustment is None:
        return ()
    return steps_of(event.start - adjustment.begins_before, event.start - adjustment.ends_before, profile.step)


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


def _around(
    before: timedelta, after: timedelta | None, profile: EnergySeries, event: EvaluatedTime, steps: Sequence[datetime]
) -> EventBaseline:
    """Return the mean of the steps before an event, and after it, for each of its steps."""
    around = list(steps_of(event.start - before, event.start, profile.step))
    if after is not None:
        around += steps_of(event.end, event.end + after, profile.step)
    found = [profile.at(step) for step in around if step not in set(steps)]
    known = [one for one in found if one is not None]
    if not known or len(known) < len(found):
        return EventBaseline(notes=("there are gaps around the event",))
    mean = sum((one.kwh for one in known), _NOTHING) / len(known)
    return EventBaseline(dict.fromkeys(steps, mean), estimated=any(one.estimated for one in known))
