"""Decide to opt in or out of an event, by rules of the owner, with the reason. Default: in."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from decimal import Decimal
from typing import Annotated, Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from openadr_profiles.fleet.power import PayloadNotUnderstood
from openadr_profiles.v31 import Timeline
from ven.asks import Context

_CLOCK_TIMES: Final = re.compile(r"\s*(\d{1,2}):(\d{2})\s*-\s*(\d{1,2}):(\d{2})\s*")
_DAY: Final = timedelta(days=1)


class QuietHours(BaseModel):
    """Hold a part of every day, such as ``"22:00-06:00"`` (over midnight if the end is not after the start)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    begin: time
    end: time

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, given: Any) -> Any:
        if not isinstance(given, str):
            return given
        match = _CLOCK_TIMES.fullmatch(given)
        if match is None:
            raise ValueError('expected two times of day such as "22:00-06:00"')
        return {"begin": f"{int(match[1]):02}:{match[2]}", "end": f"{int(match[3]):02}:{match[4]}"}

    def __str__(self) -> str:
        return f"{self.begin:%H:%M}-{self.end:%H:%M}"

    def touches(self, start: datetime, end: datetime | None, zone: ZoneInfo) -> bool:
        """Return True if a moment of [start, end) lies in them; always for a span without end or of a day or more."""
        if end is None or end - start >= _DAY:
            return True
        day = start.astimezone(zone).date() - _DAY
        while True:
            opens = datetime.combine(day, self.begin, zone)
            closes = datetime.combine(day if self.begin < self.end else day + _DAY, self.end, zone)
            if opens >= max(end, start + timedelta.resolution):
                return False
            if closes > start:
                return True
            day += _DAY


class OptRules(BaseModel):
    """Hold the owner's rules for opting out. A rule that is left out never opts out.

    ``max_shed_kw`` counts only reductions that an event states in kW; ``max_events_per_day`` counts by the local day of
    ``timezone`` in which events begin; an event without end is longer than any ``max_duration_s``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    timezone: str = "UTC"
    opt_out_programs: tuple[str, ...] = ()
    max_shed_kw: Decimal | None = Field(default=None, ge=0)
    quiet_hours: tuple[QuietHours, ...] = ()
    max_events_per_day: int | None = Field(default=None, ge=0)
    min_notice_s: Annotated[float, Field(ge=0)] | None = None
    max_duration_s: Annotated[float, Field(gt=0)] | None = None

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError("expected a time zone name such as Europe/Berlin") from None
        return name

    @property
    def zone(self) -> ZoneInfo:
        """Return the zone of the owner's clock."""
        return ZoneInfo(self.timezone)


@dataclass(frozen=True)
class Decision:
    """Hold whether we take part; ``reason`` is for people and present exactly when we do not."""

    opted_in: bool
    reason: str | None = None

    @staticmethod
    def out(reason: str) -> Decision:
        """Return the decision to opt out for a reason."""
        return Decision(opted_in=False, reason=reason)


IN: Final = Decision(opted_in=True)


@dataclass(frozen=True)
class Candidate:
    """Hold an event to decide on, when we first heard of it, and when the others begin that we take part in."""

    context: Context
    timeline: Timeline
    first_received: datetime
    other_starts: Collection[datetime]


def decide(candidate: Candidate, rules: OptRules) -> Decision:
    """Opt in, unless the event cannot be understood or a rule opts out; the first such rule gives the reason."""
    try:
        stated_kw = candidate.context.largest_stated_kw()
    except PayloadNotUnderstood as error:
        return Decision.out(str(error))
    for rule in _RULES:
        if reason := rule(candidate, rules, stated_kw):
            return Decision.out(reason)
    return IN


def _program(candidate: Candidate, rules: OptRules, _: Decimal) -> str | None:
    name = candidate.context.program_name
    return f"program {name} is opted out of" if name in rules.opt_out_programs else None


def _size(_: Candidate, rules: OptRules, stated_kw: Decimal) -> str | None:
    if rules.max_shed_kw is None or stated_kw <= rules.max_shed_kw:
        return None
    return f"{stated_kw.normalize():f} kW asked for, at most {rules.max_shed_kw.normalize():f} kW accepted"


def _quiet(candidate: Candidate, rules: OptRules, _: Decimal) -> str | None:
    timeline = candidate.timeline
    for hours in rules.quiet_hours:
        if hours.touches(timeline.start, timeline.end, rules.zone):
            return f"quiet hours {hours} {rules.timezone}"
    return None


def _count(candidate: Candidate, rules: OptRules, _: Decimal) -> str | None:
    if rules.max_events_per_day is None:
        return None
    day = candidate.timeline.start.astimezone(rules.zone).date()
    others = sum(start.astimezone(rules.zone).date() == day for start in candidate.other_starts)
    if others < rules.max_events_per_day:
        return None
    return f"already {others} events on {day}, at most {rules.max_events_per_day} accepted"


def _notice(candidate: Candidate, rules: OptRules, _: Decimal) -> str | None:
    notice_s = (candidate.timeline.start - candidate.first_received).total_seconds()
    if rules.min_notice_s is None or notice_s >= rules.min_notice_s:
        return None
    return f"{max(notice_s, 0):g} s notice, at least {rules.min_notice_s:g} s needed"


def _length(candidate: Candidate, rules: OptRules, _: Decimal) -> str | None:
    if rules.max_duration_s is None:
        return None
    timeline = candidate.timeline
    if timeline.end is None:
        return f"no end, at most {rules.max_duration_s:g} s accepted"
    length_s = (timeline.end - timeline.start).total_seconds()
    return (
        f"{length_s:g} s long, at most {rules.max_duration_s:g} s accepted" if length_s > rules.max_duration_s else None
    )


_RULES: Final[tuple[Callable[[Candidate, OptRules, Decimal], str | None], ...]] = (
    _program,
    _size,
    _quiet,
    _count,
    _notice,
    _length,
)
