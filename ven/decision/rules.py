"""The owner's limits in the settings: for all events, or for those of some programs and payload types. No I/O."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Final, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from ven.decision.candidate import Candidate, Engagement
from ven.decision.hours import DailyHours, covered, local_day, time_by_day

_MOST_RULES: Final = 64
_DAY: Final = timedelta(days=1)
_LOOKED_AT: Final = timedelta(days=62)
"""Of an event that lasts longer, so much is counted by days."""

_Hours = Annotated[tuple[DailyHours, ...], Field(max_length=_MOST_RULES)]
_Names = Annotated[tuple[str, ...], Field(max_length=_MOST_RULES)]
_Seconds = Annotated[float, Field(ge=0)]


class OptLimits(BaseModel):
    """Hold what an event must keep to be taken part in. What is left out limits nothing.

    ``max_shed_kw`` counts only reductions that an event states in kW. ``quiet_hours`` may not be touched; the event
    must lie within ``available_hours``. ``max_events_per_day`` and ``max_total_s_per_day`` count by the local day in
    which events begin, or of which they take a part; ``max_consecutive_days`` counts days with events, one after the
    other. ``min_rest_s`` is the time without event before and after. An event without end is longer than anything.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_shed_kw: Decimal | None = Field(default=None, ge=0)
    quiet_hours: _Hours = ()
    available_hours: _Hours = ()
    max_events_per_day: int | None = Field(default=None, ge=0)
    max_consecutive_days: Annotated[int, Field(ge=1, le=366)] | None = None
    max_total_s_per_day: Annotated[float, Field(gt=0, le=90_000)] | None = None
    min_rest_s: _Seconds | None = None
    min_notice_s: _Seconds | None = None
    max_duration_s: Annotated[float, Field(gt=0)] | None = None

    def exceeded(self, candidate: Candidate, others: Collection[Engagement], zone: ZoneInfo) -> str | None:
        """Return which limit an event would exceed beside these others, for people; None if none."""
        reasons = (limit(self, candidate, others, zone) for limit in _LIMITS)
        return next((reason for reason in reasons if reason), None)


class ScopedLimits(OptLimits):
    """Hold limits for the events of some programs, or with some payload types, or both.

    ``accept`` false opts out of them. The highest number in payloads of these types must be at least ``min_value`` and
    at most ``max_value``: of PRICE, in the units of the event. What is counted by days counts events of these programs.
    """

    programs: _Names = ()
    payload_types: _Names = ()
    accept: bool = True
    min_value: Decimal | None = None
    max_value: Decimal | None = None

    @model_validator(mode="after")
    def _says_for_what(self) -> Self:
        if not self.programs and not self.payload_types:
            raise ValueError("expected programs, payload_types or both: limits for all events stand above")
        if (self.min_value is not None or self.max_value is not None) and not self.payload_types:
            raise ValueError("min_value and max_value need payload_types: values of other types mean something else")
        return self

    def applies_to(self, candidate: Candidate) -> bool:
        """Return True if an event is one of those meant."""
        if self.programs and candidate.program_name not in self.programs:
            return False
        return not self.payload_types or not candidate.payload_types.isdisjoint(self.payload_types)

    def reason_to_stay_out(self, candidate: Candidate, zone: ZoneInfo) -> str | None:
        """Return why an event of those meant is not taken part in, None if it is."""
        if not self.accept:
            return f"{self._meant} are opted out of"
        return self._value(candidate) or self.exceeded(
            candidate,
            [other for other in candidate.others if not self.programs or other.program_name in self.programs],
            zone,
        )

    def _value(self, candidate: Candidate) -> str | None:
        if self.min_value is None and self.max_value is None:
            return None
        types = ", ".join(self.payload_types)
        highest = candidate.highest_value(self.payload_types)
        if self.min_value is not None and (highest is None or highest < self.min_value):
            shown = "has no number" if highest is None else f"is at most {_plain(highest)}"
            return f"{types} {shown}, at least {_plain(self.min_value)} needed"
        if self.max_value is not None and highest is not None and highest > self.max_value:
            return f"{types} reaches {_plain(highest)}, at most {_plain(self.max_value)} accepted"
        return None

    @property
    def _meant(self) -> str:
        programs = f"events of {', '.join(self.programs)}" if self.programs else "events"
        return f"{programs} with {', '.join(self.payload_types)}" if self.payload_types else programs


class OptRules(OptLimits):
    """Hold all limits of the owner, with the ``timezone`` of the site. Of ``rules`` all that apply must be kept."""

    timezone: str = "UTC"
    opt_out_programs: tuple[str, ...] = ()
    rules: Annotated[tuple[ScopedLimits, ...], Field(max_length=_MOST_RULES)] = ()

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ValueError("expected a time zone name such as Europe/Berlin") from error
        return name

    @property
    def zone(self) -> ZoneInfo:
        """Return the time zone of the site."""
        return ZoneInfo(self.timezone)

    @property
    def name_programs(self) -> bool:
        """Return True if a limit is about programs by their names."""
        return bool(self.opt_out_programs) or any(rule.programs for rule in self.rules)

    def reason_to_stay_out(self, candidate: Candidate) -> str | None:
        """Return why an event is not taken part in, by the first limit that it exceeds; None if it is."""
        if candidate.program_name in self.opt_out_programs:
            return f"program {candidate.program_name} is opted out of"
        zone = self.zone
        if reason := self.exceeded(candidate, candidate.others, zone):
            return reason
        reasons = (rule.reason_to_stay_out(candidate, zone) for rule in self.rules if rule.applies_to(candidate))
        return next((reason for reason in reasons if reason), None)


def _size(limits: OptLimits, candidate: Candidate, _: Collection[Engagement], __: ZoneInfo) -> str | None:
    if limits.max_shed_kw is None:
        return None
    stated_kw = candidate.context.largest_stated_kw()
    if stated_kw <= limits.max_shed_kw:
        return None
    return f"{_plain(stated_kw)} kW asked for, at most {_plain(limits.max_shed_kw)} kW accepted"


def _quiet(limits: OptLimits, candidate: Candidate, _: Collection[Engagement], zone: ZoneInfo) -> str | None:
    for hours in limits.quiet_hours:
        if hours.touches(candidate.start, candidate.end, zone):
            return f"quiet hours {hours} {zone.key}"
    return None


def _available(limits: OptLimits, candidate: Candidate, _: Collection[Engagement], zone: ZoneInfo) -> str | None:
    if not limits.available_hours or covered(limits.available_hours, candidate.start, candidate.end, zone):
        return None
    return f"not within the available hours {', '.join(map(str, limits.available_hours))} {zone.key}"


def _count(limits: OptLimits, candidate: Candidate, others: Collection[Engagement], zone: ZoneInfo) -> str | None:
    if limits.max_events_per_day is None:
        return None
    day = local_day(candidate.start, zone)
    count = sum(local_day(other.start, zone) == day for other in others)
    if count < limits.max_events_per_day:
        return None
    return f"already {count} events on {day}, at most {limits.max_events_per_day} accepted"


def _rest(limits: OptLimits, candidate: Candidate, others: Collection[Engagement], _: ZoneInfo) -> str | None:
    if not limits.min_rest_s:
        return None
    for other in others:
        before = None if other.end is None else (candidate.start - other.end).total_seconds()
        after = None if candidate.end is None else (other.start - candidate.end).total_seconds()
        rest_s = max((each for each in (before, after) if each is not None), default=0.0)
        if rest_s < limits.min_rest_s:
            return f"{max(rest_s, 0):g} s of rest beside another event, at least {limits.min_rest_s:g} s needed"
    return None


def _notice(limits: OptLimits, candidate: Candidate, _: Collection[Engagement], __: ZoneInfo) -> str | None:
    notice_s = (candidate.start - candidate.first_received).total_seconds()
    if limits.min_notice_s is None or notice_s >= limits.min_notice_s:
        return None
    return f"{max(notice_s, 0):g} s notice, at least {limits.min_notice_s:g} s needed"


def _length(limits: OptLimits, candidate: Candidate, _: Collection[Engagement], __: ZoneInfo) -> str | None:
    if limits.max_duration_s is None:
        return None
    if candidate.end is None:
        return f"no end, at most {limits.max_duration_s:g} s accepted"
    length_s = (candidate.end - candidate.start).total_seconds()
    if length_s <= limits.max_duration_s:
        return None
    return f"{length_s:g} s long, at most {limits.max_duration_s:g} s accepted"


def _total(limits: OptLimits, candidate: Candidate, others: Collection[Engagement], zone: ZoneInfo) -> str | None:
    if limits.max_total_s_per_day is None:
        return None
    mine = _by_day(candidate.start, candidate.end, zone)
    total = dict(mine)
    for other in others:
        for day, length in _by_day(other.start, other.end, zone).items():
            if day in mine:
                total[day] += length
    for day, length in sorted(total.items()):
        if length.total_seconds() > limits.max_total_s_per_day:
            return f"{length.total_seconds():g} s of events on {day}, at most {limits.max_total_s_per_day:g} s accepted"
    return None


def _in_a_row(limits: OptLimits, candidate: Candidate, others: Collection[Engagement], zone: ZoneInfo) -> str | None:
    if limits.max_consecutive_days is None:
        return None
    mine = set(_by_day(candidate.start, candidate.end, zone)) or {local_day(candidate.start, zone)}
    days = mine | {day for other in others for day in _by_day(other.start, other.end, zone)}
    first, last = min(mine), max(mine)
    while first - _DAY in days:
        first -= _DAY
    while last + _DAY in days:
        last += _DAY
    count = (last - first).days + 1
    if count <= limits.max_consecutive_days:
        return None
    return f"{count} days with events in a row, at most {limits.max_consecutive_days} accepted"


def _by_day(start: datetime, end: datetime | None, zone: ZoneInfo) -> dict[date, timedelta]:
    until = start + _LOOKED_AT if end is None else min(end, start + _LOOKED_AT)
    found: dict[date, timedelta] = {}
    for day, length in time_by_day(start, until, zone):
        found[day] = found.get(day, timedelta(0)) + length
    return found


def _plain(number: Decimal) -> str:
    return f"{number.normalize():f}"


_LIMITS: Final[tuple[Callable[[OptLimits, Candidate, Collection[Engagement], ZoneInfo], str | None], ...]] = (
    _size,
    _quiet,
    _available,
    _count,
    _rest,
    _notice,
    _length,
    _total,
    _in_a_row,
)
