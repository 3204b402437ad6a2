"""Hours of the day and the week in the site's zone, exact when clocks change. Rules without I/O."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from datetime import date, datetime, time, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, model_validator

_WRITTEN: Final = re.compile(
    r"\s*(?:(?P<days>[A-Za-z][A-Za-z,\s-]*?)\s+)?"
    r"(?P<hour>\d{1,2}):(?P<minute>\d{2})\s*-\s*(?P<to_hour>\d{1,2}):(?P<to_minute>\d{2})\s*"
)
_NAMES: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_DAY: Final = timedelta(days=1)
_STEP: Final = timedelta(hours=6)
_SECOND: Final = timedelta(seconds=1)
_TICK: Final = timedelta.resolution
_ALL_THERE_IS: Final = timedelta(days=9)
"""Longer spans hold every hour of the week, whatever the clocks do."""


class DailyHours(BaseModel):
    """Hold a part of some days, such as ``"22:00-06:00"`` or ``"Mon-Fri 08:00-17:30"``.

    It goes over midnight if the end is not after the beginning, and belongs to the day on which it begins. ``days``
    are numbers from 0 (Monday) to 6; none means every day.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    begin: time
    end: time
    days: tuple[int, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, given: Any) -> Any:
        if not isinstance(given, str):
            return given
        match = _WRITTEN.fullmatch(given)
        if match is None:
            raise ValueError('expected two times of day such as "22:00-06:00" or "Mon-Fri 08:00-17:30"')
        to_hour = "00" if (match["to_hour"], match["to_minute"]) == ("24", "00") else match["to_hour"]
        return {
            "begin": f"{int(match['hour']):02}:{match['minute']}",
            "end": f"{int(to_hour):02}:{match['to_minute']}",
            "days": _days(match["days"] or ""),
        }

    def __str__(self) -> str:
        days = ",".join(_NAMES[day] for day in self.days)
        return f"{days} {self.begin:%H:%M}-{self.end:%H:%M}".lstrip()

    def touches(self, start: datetime, end: datetime | None, zone: ZoneInfo) -> bool:
        """Return True if a moment of [start, end) lies in them; always for a span without end."""
        if end is None or end - start >= _ALL_THERE_IS:
            return True
        return any(
            opens < until and closes > since
            for since, until in _local_pieces(start, max(end, start + _TICK), zone)
            for opens, closes in self.spans(since, until)
        )

    def spans(self, since: datetime, until: datetime) -> Iterator[tuple[datetime, datetime]]:
        """Yield the spans around [since, until), in local time without zone."""
        length = (datetime.combine(date.min, self.end) - datetime.combine(date.min, self.begin)) % _DAY or _DAY
        for number in range((until.date() - since.date()).days + 2):
            day = since.date() + timedelta(days=number - 1)
            if not self.days or day.weekday() in self.days:
                opens = datetime.combine(day, self.begin)
                yield opens, opens + length


def covered(hours: Collection[DailyHours], start: datetime, end: datetime | None, zone: ZoneInfo) -> bool:
    """Return True if every moment of [start, end) lies in some of these hours."""
    latest = start + _ALL_THERE_IS
    until = latest if end is None else min(max(end, start + _TICK), latest)
    for since, till in _local_pieces(start, until, zone):
        reached = since
        for opens, closes in sorted(span for each in hours for span in each.spans(since, till)):
            if opens <= reached:
                reached = max(reached, closes)
        if reached < till:
            return False
    return True


def local_day(moment: datetime, zone: ZoneInfo) -> date:
    """Return the date on the site's calendar."""
    return moment.astimezone(zone).date()


def time_by_day(start: datetime, end: datetime, zone: ZoneInfo) -> Iterable[tuple[date, timedelta]]:
    """Yield the local days that [start, end) touches, each with how much of it."""
    for since, until in _local_pieces(start, end, zone):
        day = since.date()
        while day <= until.date():
            opens = datetime.combine(day, time.min)
            length = min(until, opens + _DAY) - max(since, opens)
            if length > timedelta(0):
                yield day, length
            day += _DAY


def _local_pieces(start: datetime, end: datetime, zone: ZoneInfo) -> Iterator[tuple[datetime, datetime]]:
    """Yield [start, end) in local time without zone, in pieces within which clocks do not change."""
    since = start
    while since < end:
        until = min(end, since + _STEP)
        offset = _offset(since, zone)
        if _offset(until, zone) != offset:
            until = _change(since, until, zone)
        local = since.astimezone(zone).replace(tzinfo=None)
        yield local, local + (until - since)
        since = until


def _change(before: datetime, after: datetime, zone: ZoneInfo) -> datetime:
    """Return the second at which clocks change between two moments of different offsets."""
    offset = _offset(before, zone)
    while after - before > _SECOND:
        middle = before + (after - before) // 2
        if _offset(middle, zone) == offset:
            before = middle
        else:
            after = middle
    return after.replace(microsecond=0)


def _offset(moment: datetime, zone: ZoneInfo) -> timedelta | None:
    return moment.astimezone(zone).utcoffset()


def _days(text: str) -> tuple[int, ...]:
    found: set[int] = set()
    for part in filter(None, (part.strip() for part in text.split(","))):
        first, _, last = (name.strip().capitalize()[:3] for name in part.partition("-"))
        try:
            begin = _NAMES.index(first)
            end = _NAMES.index(last) if last else begin
        except ValueError:
            raise ValueError(f"{part[:40]!r} is no day of the week: expected days as {', '.join(_NAMES)}") from None
        found |= {day % 7 for day in range(begin, end + 1 if end >= begin else end + 8)}
    return tuple(sorted(found))
