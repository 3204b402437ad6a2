"""Tell which days are alike, by the clocks of one zone: working days, and weekends with holidays."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Final

_SATURDAY: Final = 5


@dataclass(frozen=True, slots=True)
class Calendar:
    """Hold the zone in which days begin at midnight, and the days that count as Sundays."""

    zone: tzinfo
    holidays: frozenset[date] = frozenset()

    def day_of(self, instant: datetime) -> date:
        """Return the day on which an aware instant is, in the calendar's zone."""
        return instant.astimezone(self.zone).date()

    def is_working_day(self, day: date) -> bool:
        """Return False for Saturdays, Sundays and holidays."""
        return day.weekday() < _SATURDAY and day not in self.holidays

    def days_before(self, day: date, *, at_most: int) -> Iterator[date]:
        """Yield the days of the same kind before one, the latest first, of the last ``at_most`` calendar days."""
        kind = self.is_working_day(day)
        for back in range(1, at_most + 1):
            try:
                earlier = day - timedelta(days=back)
            except OverflowError:
                return
            if self.is_working_day(earlier) == kind:
                yield earlier

    def same_time(self, instant: datetime, day: date) -> datetime | None:
        """Return when, in UTC, the clocks show on another day what they show at an instant; None if they skip it.

        An hour that comes twice, as clocks are put back, is the first of the two.
        """
        shown = instant.astimezone(self.zone).time()
        there = datetime.combine(day, shown.replace(fold=0), self.zone).astimezone(UTC)
        return there if there.astimezone(self.zone).time() == shown.replace(fold=0) else None
