"""Expect of a circuit what it drew at the same hours of earlier days: the baseline "X of Y". No I/O.

Of the latest Y days of the same kind (workdays, or the days of a weekend) on which every hour of the event is known and
the circuit was not limited, the X with the highest mean count; the baseline is their mean.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final
from zoneinfo import ZoneInfo

from ven.panel.load_profile import LoadProfile
from ven.panel.meter import PowerReading

_HOUR: Final = timedelta(hours=1)
_WATT: Final = Decimal("0.001")
_COVERED_WELL: Final = 0.8
_SATURDAY: Final = 5


class DayHistory:
    """Hold the mean power in kW of each circuit in each hour of the last days, as many as Y days of a kind may need.

    ``zone`` is that of the site: it says what a day is, and which hour of another day is the same.
    """

    def __init__(self, circuit_ids: Sequence[str], *, x: int, y: int, zone: str, hold: timedelta) -> None:
        self._ids = tuple(circuit_ids)
        self._x = x
        self._y = y
        self._zone = ZoneInfo(zone)
        self._days = max(4 * y, 14)
        self._hours: dict[datetime, Mapping[str, Decimal]] = {}
        self._profile = LoadProfile(circuit_ids, hold=hold)
        self._since: datetime | None = None

    @property
    def earliest(self) -> datetime | None:
        """Return the start of the earliest hour that is kept; None if there is none."""
        return min(self._hours, default=None)

    def load(self, hours: Mapping[datetime, Mapping[str, Decimal]]) -> None:
        """Take up what an earlier process kept."""
        self._hours = {start: hours[start] for start in sorted(hours)}

    def take(self, reading: PowerReading, limited: Iterable[str]) -> list[tuple[datetime, Mapping[str, Decimal]]]:
        """Go on to a reading; return the hours that are over with it. ``limited`` were limited since the last one."""
        hour = reading.at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
        since = self._since or reading.at
        edges = [hour] if since < hour <= reading.at else []
        closed = self._profile.take(reading, reading.at, needed_from=since, edges=edges, limited=limited)
        found: list[tuple[datetime, Mapping[str, Decimal]]] = []
        for piece in closed:
            start, end = hour - _HOUR, hour
            kw = {}
            for id_ in self._ids:
                measured = None if id_ in piece.limited else self._profile.measured((id_,), start, end)
                if measured is not None and measured.covered >= _COVERED_WELL:
                    kw[id_] = measured.mean_kw.quantize(_WATT, ROUND_HALF_EVEN)
            if kw:
                self._hours[start] = kw
                found.append((start, kw))
        self._since = hour
        oldest = hour - timedelta(days=self._days)
        for start in [start for start in self._hours if start < oldest]:
            del self._hours[start]
        return found

    def baseline_kw(self, start: datetime, end: datetime | None) -> dict[str, Decimal]:
        """Return the baseline in kW by circuit id of an event in [start, end), at most its first day.

        Circuits with less than X such days are left out.
        """
        until = min(end or start + timedelta(days=1), start + timedelta(days=1))
        found: dict[str, Decimal] = {}
        for id_ in self._ids:
            days: list[Decimal] = []
            for hours in self._same_hours(start, until):
                kw = [self._hours.get(hour, {}).get(id_) for hour in hours]
                known = [each for each in kw if each is not None]
                if kw and len(known) == len(kw):
                    days.append(sum(known, Decimal(0)) / len(known))
                if len(days) == self._y:
                    break
            if len(days) >= self._x:
                highest = sorted(days)[-self._x :]
                found[id_] = (sum(highest, Decimal(0)) / self._x).quantize(_WATT, ROUND_HALF_EVEN)
        return found

    def _same_hours(self, start: datetime, until: datetime) -> Iterator[list[datetime]]:
        """Yield the hours of [start, until) on each earlier day of the same kind, the latest day first."""
        local = start.astimezone(self._zone)
        count = max(1, -(-(until - _full_hour(start)) // _HOUR))
        for back in range(1, self._days + 1):
            day = local.date() - timedelta(days=back)
            if _is_weekend(day) == _is_weekend(local.date()):
                same = datetime.combine(day, local.time(), tzinfo=self._zone)
                first = _full_hour(same)
                yield [first + number * _HOUR for number in range(count)]


def _full_hour(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def _is_weekend(day: date) -> bool:
    return day.weekday() >= _SATURDAY
