"""Keep what the panel drew and should have drawn, minute by minute for the last seven days. No I/O.

A reading holds until the next one, but no longer than ``hold``. A minute of which less than half is known has no value:
what is not known is a gap, never 0. The memory that it takes does not grow: 80 kB.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Collection, Iterable, Iterator, Mapping
from copy import copy
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from math import isnan, nan
from typing import Final

from ven.panel.meter import PowerReading

_MINUTE_S: Final = 60
_HOUR_MINUTES: Final = 60
MINUTES: Final = 7 * 24 * _HOUR_MINUTES
"""So many minutes are kept, beside the one that is being measured."""
_SLOTS: Final = MINUTES + 1
_KNOWN_S: Final = 30.0
_WRITTEN_EACH_S: Final = 300
_HOUR: Final = struct.Struct(f"<{2 * _HOUR_MINUTES}f")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class PowerPoint:
    """Hold means in kW of the time that begins at ``at``: drawn, and the most that events let the panel draw.

    None is not known, or for ``target_kw`` that no event said anything about it.
    """

    at: datetime
    drawn_kw: float | None
    target_kw: float | None


class PowerTrace:
    """Hold the trace of one panel; ``circuit_ids`` are those that count, and all have to be read for a total."""

    def __init__(self, circuit_ids: Collection[str], *, hold: timedelta) -> None:
        self._ids = tuple(circuit_ids)
        self._hold_s = hold.total_seconds()
        self._drawn = array("f", [nan]) * _SLOTS
        self._target = array("f", [nan]) * _SLOTS
        self._minute: int | None = None  # the one that is being measured; those before it are over
        self._sums = [0.0, 0.0, 0.0, 0.0]  # kW seconds and seconds: drawn, then target
        self._since: float | None = None
        self._kw: tuple[float | None, float | None] = (None, None)
        self._unwritten: set[int] = set()
        self._written = 0

    def load(self, hours: Mapping[datetime, bytes]) -> None:
        """Take up what an earlier process kept, by start of the hour; what cannot be read is left out."""
        for start in sorted(hours):
            if len(hours[start]) != _HOUR.size:
                continue
            values = _HOUR.unpack(hours[start])
            first = _epoch_s(start) // _MINUTE_S
            for place in range(_HOUR_MINUTES):
                drawn, target = values[place], values[_HOUR_MINUTES + place]
                if not (isnan(drawn) and isnan(target)):
                    self._begin(first + place)
                    self._keep(first + place, drawn, target)

    def take(self, reading: PowerReading, target_kw: Decimal | None) -> list[tuple[datetime, bytes]]:
        """Go on to a reading, with what the panel may draw from now on; return hours to be written, by their start.

        They are returned about every five minutes. If the clock was set back, what is remembered of later is forgotten.
        """
        at = reading.at.timestamp()
        if self._since is not None and at < self._since:
            self._forget_after(int(at) // _MINUTE_S)
        elif self._since is not None:
            self._add(self._since, min(at, self._since + self._hold_s))
        self._begin(int(at) // _MINUTE_S)
        drawn_kw = reading.total(self._ids)
        self._since = at
        self._kw = (
            None if drawn_kw is None else float(drawn_kw),
            None if target_kw is None else float(target_kw),
        )
        if int(at) // _WRITTEN_EACH_S == self._written:
            return []
        self._written = int(at) // _WRITTEN_EACH_S
        hours, self._unwritten = sorted(self._unwritten), set()
        return [(_instant(hour * _HOUR_MINUTES), self._hour(hour)) for hour in hours]

    @property
    def earliest(self) -> datetime | None:
        """Return the start of the earliest hour of which anything may be kept; None if nothing is."""
        return None if self._minute is None else _instant(self._oldest // _HOUR_MINUTES * _HOUR_MINUTES)

    def snapshot(self) -> PowerTrace:
        """Return a copy to read from in another thread."""
        copied = copy(self)
        copied._drawn, copied._target = self._drawn[:], self._target[:]  # noqa: SLF001 # of the same class
        return copied

    def points(self, start: datetime, end: datetime, step: timedelta) -> Iterator[PowerPoint]:
        """Yield the means of steps of whole minutes in [start, end), oldest first; gaps are there, with None.

        The span is cut to what is kept: nothing is yielded for a time before or after it.
        """
        if self._minute is None:
            return
        length = max(1, int(step.total_seconds()) // _MINUTE_S)
        first = max(_epoch_s(start) // _MINUTE_S, self._oldest) // length * length
        last = min(-(-_epoch_s(end) // _MINUTE_S), self._minute)
        for begin in range(first, last, length):
            minutes = range(max(begin, self._oldest), min(begin + length, last))
            yield PowerPoint(_instant(begin), _mean(self._drawn, minutes), _mean(self._target, minutes))

    @property
    def _oldest(self) -> int:
        return max((self._minute or 0) - MINUTES, 0)

    def _add(self, start: float, end: float) -> None:
        drawn_kw, target_kw = self._kw
        while start < end:
            minute = int(start) // _MINUTE_S
            edge = min(end, float((minute + 1) * _MINUTE_S))
            self._begin(minute)
            for place, kw in ((0, drawn_kw), (2, target_kw)):
                if kw is not None:
                    self._sums[place] += kw * (edge - start)
                    self._sums[place + 1] += edge - start
            start = edge

    def _begin(self, minute: int) -> None:
        """Go on to a minute: the one before it is over, and those in between are gaps."""
        last = self._minute
        if last is None or minute - last > MINUTES:
            self._drawn = array("f", [nan]) * _SLOTS
            self._target = array("f", [nan]) * _SLOTS
        elif minute <= last:
            return
        else:
            drawn, drawn_s, target, target_s = self._sums
            if drawn_s >= _KNOWN_S:
                self._keep(last, drawn / drawn_s, target / target_s if target_s else nan)
            for gap in range(last + 1, minute):
                self._keep(gap, nan, nan)
        self._minute = minute
        self._keep(minute, nan, nan)
        self._sums = [0.0] * 4

    def _keep(self, minute: int, drawn: float, target: float) -> None:
        self._drawn[minute % _SLOTS] = drawn
        self._target[minute % _SLOTS] = target
        if not isnan(drawn):
            self._unwritten.add(minute // _HOUR_MINUTES)

    def _forget_after(self, minute: int) -> None:
        for later in range(max(minute, self._oldest), self._minute or 0):
            self._keep(later, nan, nan)
        self._minute = minute
        self._keep(minute, nan, nan)
        self._sums = [0.0] * 4
        self._unwritten.add(minute // _HOUR_MINUTES)

    def _hour(self, hour: int) -> bytes:
        minutes = range(hour * _HOUR_MINUTES, (hour + 1) * _HOUR_MINUTES)
        kept = range(self._oldest, (self._minute or 0) + 1)
        return _HOUR.pack(
            *(self._drawn[each % _SLOTS] if each in kept else nan for each in minutes),
            *(self._target[each % _SLOTS] if each in kept else nan for each in minutes),
        )


def _mean(values: array[float], minutes: Iterable[int]) -> float | None:
    known = [kw for minute in minutes if not isnan(kw := values[minute % _SLOTS])]
    return round(sum(known) / len(known), 3) if known else None


def _epoch_s(at: datetime) -> int:
    return (at - _EPOCH) // timedelta(seconds=1)


def _instant(minute: int) -> datetime:
    return _EPOCH + timedelta(minutes=minute)
