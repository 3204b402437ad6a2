"""Times that come again every day or on days of the week, by the clocks of a zone. Rules without I/O."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from itertools import islice

_DAY = timedelta(days=1)
_WEEK = 7


@dataclass(frozen=True)
class Recurrence:
    """A time of day on days of the week (1 is Monday) in a zone, up to and with a last day; None: for ever.

    A time that clocks leave out when they are set forward comes as much later; one that they show twice comes the
    first time.
    """

    zone: tzinfo
    days: frozenset[int]
    clock: time
    last_day: date | None = None

    def __post_init__(self) -> None:
        if not self.days or not self.days <= frozenset(range(1, _WEEK + 1)):
            raise ValueError("days: expected at least one day of the week, 1 (Monday) to 7")

    def after(self, at: datetime) -> datetime | None:
        """Return the first time later than an instant, in UTC; None if there is none."""
        return next(iter(self.following(at)), None)

    def following(self, at: datetime) -> Iterator[datetime]:
        """Yield the times later than an instant, in UTC and in order."""
        before = at.astimezone(UTC)
        try:
            day = at.astimezone(self.zone).date() - _DAY
            while self.last_day is None or day <= self.last_day:
                if day.isoweekday() in self.days:
                    found = datetime.combine(day, self.clock, tzinfo=self.zone).astimezone(UTC)
                    if found > before:
                        yield found
                        before = found
                day += _DAY
        except OverflowError:  # the end of the calendar
            return

    def first(self, count: int, *, after: datetime) -> list[datetime]:
        """Return the next times, at most so many."""
        return list(islice(self.following(after), count))
