"""Tell on which days events asked for something: such days are not averaged."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Final

from vtn.performance.calendar import Calendar

LONGEST_EVENT: Final = timedelta(days=31)


def event_days(start: datetime, end: datetime | None, calendar: Calendar) -> Iterator[date]:
    """Yield the days that an event touches, of a long or open one the first 31; one that ends at midnight ends then."""
    first = calendar.day_of(start)
    longest = start + LONGEST_EVENT
    over = longest if end is None else min(end, longest)
    last = calendar.day_of(max(start, over - timedelta.resolution))
    for number in range((last - first).days + 1):
        yield first + timedelta(days=number)
