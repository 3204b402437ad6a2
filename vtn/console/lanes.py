"""Lay out events along time: a lane for each program, events that overlap under each other. No I/O.

Places are percent of the width, so that a drawing fits every screen without a script and its texts keep their size.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Final

from vtn.store.console.events import ListedEvent

MOST_ROWS: Final = 8
"""Events under each other in one lane; what would lie below them is only counted."""
_LEAST_WIDTH: Final = 0.8
_ROW_HEIGHT: Final = 26


@dataclass(frozen=True, slots=True)
class Bar:
    """An event in a lane, in percent of the width. It goes on beyond the edges that ``before`` and ``after`` name."""

    event: ListedEvent
    x: float
    width: float
    row: int
    before: bool
    after: bool

    @property
    def y(self) -> int:
        """Return the place of its upper edge in the lane, in pixels."""
        return self.row * _ROW_HEIGHT + 3


@dataclass(frozen=True, slots=True)
class Lane:
    """The events of one program. ``more`` counts those for which there was no room."""

    program_id: str
    program_name: str
    bars: tuple[Bar, ...]
    more: int

    @property
    def height(self) -> int:
        """Return the height of the lane in pixels."""
        return (max((bar.row for bar in self.bars), default=0) + 1) * _ROW_HEIGHT + 4


@dataclass(frozen=True, slots=True)
class Tick:
    """A mark on the axis of time; ``is_main`` for those that have a label on a narrow screen, too."""

    x: float
    label: str
    is_main: bool


@dataclass(frozen=True, slots=True)
class TimeWindow:
    """A stretch of time that is drawn for a reader of a zone; its edges are in UTC, where differences are true."""

    since: datetime
    until: datetime
    zone: tzinfo

    @staticmethod
    def day(first: date, zone: tzinfo, days: int = 1) -> TimeWindow:
        """Return so many whole days of a zone, which may be shorter or longer than 24 hours each."""
        return TimeWindow(_midnight(first, zone), _midnight(first + timedelta(days=days), zone), zone)

    def x(self, at: datetime) -> float:
        """Return the place of a moment, from 0 to 100; moments outside are put on the edge."""
        share = (at - self.since) / (self.until - self.since)
        return round(min(max(share, 0.0), 1.0) * 100, 3)

    def ticks(self) -> tuple[Tick, ...]:
        """Return marks at full hours, or at midnights of more than two days."""
        days = (self.until - self.since) > timedelta(days=2)
        step = timedelta(days=1) if days else timedelta(hours=1)
        found, at = [], self.since
        local = at.astimezone(self.zone)
        if not days and (local.minute or local.second or local.microsecond):
            at += timedelta(hours=1) - timedelta(
                minutes=local.minute, seconds=local.second, microseconds=local.microsecond
            )
        while at < self.until:
            local = at.astimezone(self.zone)
            if days:
                found.append(Tick(self.x(at), f"{local:%a %d}", is_main=True))
                at = _midnight(local.date() + step, self.zone)
            else:
                if local.hour % 3 == 0 and local.minute == 0:
                    found.append(Tick(self.x(at), f"{local:%H:%M}", is_main=local.hour % 6 == 0))
                at += step
        return tuple(found)


def lanes(events: Iterable[ListedEvent], window: TimeWindow) -> tuple[Lane, ...]:
    """Return a lane for each program, in the order in which programs come."""
    by_program: dict[str, list[ListedEvent]] = {}
    for event in events:
        if event.starts_at is not None:
            by_program.setdefault(event.program_id, []).append(event)
    return tuple(_lane(each, window) for each in by_program.values())


def strip(events: Sequence[ListedEvent], window: TimeWindow) -> Lane:
    """Return one lane for the events of all programs."""
    return _lane([event for event in events if event.starts_at is not None], window)


def _lane(events: Sequence[ListedEvent], window: TimeWindow) -> Lane:
    free: list[float] = []
    bars, more = [], 0
    for event in sorted(events, key=lambda each: (each.starts_at or window.since, each.id)):
        start, end = event.starts_at or window.since, event.ends_at or window.until
        x = min(window.x(start), 100 - _LEAST_WIDTH)
        width = max(window.x(end) - x, _LEAST_WIDTH)
        row = next((number for number, taken in enumerate(free) if taken <= x), len(free))
        if row >= MOST_ROWS:
            more += 1
            continue
        if row == len(free):
            free.append(0.0)
        free[row] = x + width
        after = event.ends_at is None or event.ends_at > window.until
        bars.append(Bar(event, x, round(width, 3), row, start < window.since, after))
    first = events[0] if events else None
    return Lane(first.program_id if first else "", first.program_name if first else "", tuple(bars), more)


def _midnight(day: date, zone: tzinfo) -> datetime:
    """Return the beginning of a day, in UTC; where clocks skip midnight, the moment when they do."""
    return datetime.combine(day, time(), zone).astimezone(UTC)
