"""Put the readings of one meter on a grid of equal steps, and say what is missing and what is estimated."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final, NamedTuple

EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)
HOUR: Final = timedelta(hours=1)
_DAY: Final = timedelta(days=1)
_US: Final = timedelta(microseconds=1)
MOST_STEPS: Final = 1_000_000
"""Steps of a grid at most: 28 years of 15 minutes."""
_LONGEST: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class MeteredEnergy:
    """Hold the energy of one meter over a time, in kWh; ``estimated`` if it was not measured."""

    start: datetime
    length: timedelta
    kwh: Decimal
    estimated: bool = False


class Energy(NamedTuple):
    """Hold the energy of one step, in kWh."""

    kwh: Decimal
    estimated: bool = False


@dataclass(frozen=True, slots=True)
class EnergySeries:
    """Hold the energy of a meter in steps of one length, by their starts in UTC; what is not there is not known."""

    step: timedelta
    steps: dict[datetime, Energy] = field(default_factory=dict)
    left_out: int = 0
    """Count the readings that overlap another one, have no length, or one of more than a day."""

    def at(self, start: datetime) -> Energy | None:
        """Return the energy of the step that begins at an instant; None if it is not known."""
        return self.steps.get(start)


def gridded(readings: Iterable[MeteredEnergy], step: timedelta) -> EnergySeries:
    """Return readings on a grid whose steps begin at multiples of ``step``, in UTC.

    Of readings of the same time the last one given counts: it corrects the others. Of readings that overlap the shorter
    one counts, or else the earlier one; the other, and one that lasts longer than a day, is left out. A reading that is
    longer than a step, or crosses its border, is divided in proportion to the time into estimates; shorter
    ones are added up. A step is known if it is covered without a gap. Raises ValueError for a step that does not divide
    a day.
    """
    check_step(step)
    latest = {(reading.start.astimezone(UTC), reading.length): reading for reading in readings}
    sums: dict[datetime, _Sum] = {}
    left_out, taken = 0, _Taken()
    for (start, length), reading in sorted(latest.items(), key=lambda one: (one[0][1], one[0][0])):
        end = start + length
        if not timedelta(0) < length <= _LONGEST or not taken.take(start, end):
            left_out += 1
            continue
        first = floor(start, step)
        if length == step and start == first:
            sums[start] = _Sum(reading.kwh, step, reading.estimated)
            continue
        for begin in _steps(first, end, step):
            part = min(end, begin + step) - max(start, begin)
            found = sums.setdefault(begin, _Sum())
            found.kwh += reading.kwh * (part // _US) / (length // _US)
            found.covered += part
            found.estimated |= reading.estimated or part < length
        if len(sums) > MOST_STEPS:
            raise ValueError(f"readings over more than {MOST_STEPS:,} steps")
    known = {start: Energy(one.kwh, one.estimated) for start, one in sums.items() if one.covered == step}
    return EnergySeries(step, known, left_out)


def check_step(step: timedelta) -> None:
    """Raise ValueError for a length that does not divide a day, or is below a minute."""
    if step < timedelta(minutes=1) or _DAY % step:
        raise ValueError(f"expected a length of 1 minute or more that divides a day, not {step}")


def floor(instant: datetime, step: timedelta) -> datetime:
    """Return the start of the step in which an instant is, in UTC."""
    at = instant.astimezone(UTC)
    return at - (at - EPOCH) % step


def steps_of(start: datetime, end: datetime, step: timedelta) -> tuple[datetime, ...]:
    """Return the starts of the steps that a time touches; the first and the last may be covered in part only."""
    if (end - start) / step > MOST_STEPS:
        raise ValueError(f"a time of more than {MOST_STEPS:,} steps")
    return tuple(_steps(floor(start, step), end.astimezone(UTC), step))


def _steps(first: datetime, end: datetime, step: timedelta) -> Iterator[datetime]:
    while first < end:
        yield first
        first += step


class _Taken:
    """Keep times that do not overlap, in their order."""

    def __init__(self) -> None:
        self._starts: list[datetime] = []
        self._ends: list[datetime] = []

    def take(self, start: datetime, end: datetime) -> bool:
        """Add a time and return True, or return False if it overlaps one that is there."""
        place = bisect_right(self._starts, start)
        if (place and self._ends[place - 1] > start) or (place < len(self._starts) and self._starts[place] < end):
            return False
        self._starts.insert(place, start)
        self._ends.insert(place, end)
        return True


@dataclass(slots=True)
class _Sum:
    kwh: Decimal = Decimal(0)
    covered: timedelta = timedelta(0)
    estimated: bool = False
