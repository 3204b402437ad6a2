"""The virtual meter of a panel: energy that only adds up, for the panel and each circuit, read when it matters.

A sample holds until the next one, but no longer than ``hold_s``; time that no sample holds for is not covered. Energy
in a window is the difference of two readings, so that it costs the same however many samples there were (B1). Moments
are seconds since 1970 here, since a fleet sends thousands of samples a second. Rules without I/O.
"""

from __future__ import annotations

from array import array
from bisect import insort
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import nan
from typing import Final

from msgspec import Struct

PANEL: Final = ""
"""The channel of the panel as a whole; the others have the ids of circuits."""

MARK: Final = 0
MINUTE: Final = 60
QUARTER: Final = 900
"""Kinds of readings that are kept: those at moments somebody asked for, and of each minute and quarter of an hour."""

MOST_CHANNELS: Final = 256
_KEPT_MINUTES: Final = 7
_UNKNOWN_KW: Final = nan
"""A power that is not known, where powers are kept as plain numbers: a fleet has a hundred thousand channels."""
_S_PER_H: Final = 3600.0


class ChannelCount(Struct, frozen=True, gc=False):
    """Hold what one channel has counted up to a moment: energy in kWh and the seconds that are covered.

    ``kw`` is the power that holds at the moment, None if none is known; ``peak_kw`` is the highest since the reading
    before of the same kind.
    """

    kwh: float
    covered_s: float
    kw: float | None = None
    peak_kw: float | None = None


class MeterReading(Struct, frozen=True, gc=False):
    """All channels of a meter at one moment, and how many samples it has counted.

    It is ``estimated`` if it was worked out from readings before and after.
    """

    at_s: float
    counts: Mapping[str, ChannelCount]
    samples: int = 0
    estimated: bool = False


def interpolated(before: MeterReading, after: MeterReading, at_s: float) -> MeterReading:
    """Return what the meter showed between two readings if its power was the same all the time in between."""
    length_s = after.at_s - before.at_s
    share = 0.0 if length_s <= 0 else (at_s - before.at_s) / length_s
    counts = {}
    for channel, end in after.counts.items():
        begin = before.counts.get(channel, ChannelCount(0.0, 0.0))
        counts[channel] = ChannelCount(
            begin.kwh + (end.kwh - begin.kwh) * share,
            begin.covered_s + (end.covered_s - begin.covered_s) * share,
            begin.kw,
            end.peak_kw,
        )
    samples = before.samples + round((after.samples - before.samples) * share)
    return MeterReading(at_s, counts, samples, estimated=True)


class _Minute(Struct, frozen=True, gc=False):
    """Hold the reading of a minute in a quarter of the memory: one quantity of all channels after the other."""

    at_s: float
    samples: int
    names: tuple[str, ...]
    values: bytes

    def reading(self) -> MeterReading:
        """Return the reading."""
        values, count = memoryview(self.values).cast("d"), len(self.names)
        kwh, covered_s, kw, peak_kw = (values[place * count : (place + 1) * count] for place in range(4))
        counts = {
            name: ChannelCount(kwh[place], covered_s[place], _known(kw[place]), _known(peak_kw[place]))
            for place, name in enumerate(self.names)
        }
        return MeterReading(self.at_s, counts, self.samples)


def _known(kw: float) -> float | None:
    return kw if kw == kw else None  # noqa: PLR0124 # only what is not known differs from itself


class PanelMeter:
    """Counts one panel's energy. Samples come in the order of time; one that is older than the last is not counted."""

    __slots__ = (
        "_covered_s",
        "_hold_s",
        "_kw",
        "_kwh",
        "_minutes",
        "_names",
        "_peaks",
        "_places",
        "_samples",
        "_wanted",
        "at_s",
        "began_s",
    )

    def __init__(self, *, hold_s: float) -> None:
        self._hold_s = hold_s
        self._names: tuple[str, ...] = ()
        self._places: dict[str, int] = {}
        self._kw = array("d")
        self._kwh = array("d")
        self._covered_s = array("d")
        self._peaks = {kind: array("d") for kind in (MARK, MINUTE, QUARTER)}
        self._samples = 0
        self._wanted: list[float] = []
        self._minutes: tuple[_Minute, ...] = ()
        self.at_s: float | None = None
        """The moment of the last sample; None before the first."""
        self.began_s: float | None = None
        """The moment of the first sample, if this process has seen it."""

    def want(self, moments_s: Iterable[float]) -> None:
        """Take a reading at these moments; those that are passed are left out."""
        for moment_s in moments_s:
            if (self.at_s is None or moment_s > self.at_s) and moment_s not in self._wanted:
                insort(self._wanted, moment_s)

    def resume(self, reading: MeterReading) -> None:
        """Go on from what an earlier process has counted."""
        self.at_s, self._samples = reading.at_s, reading.samples
        for channel, count in reading.counts.items():
            place = self._place(channel)
            if place is not None:
                self._kwh[place], self._covered_s[place] = count.kwh, count.covered_s
                self._kw[place] = _UNKNOWN_KW if count.kw is None else count.kw
                for peaks in self._peaks.values():
                    peaks[place] = _UNKNOWN_KW if count.peak_kw is None else count.peak_kw
        self._keep_minute(reading.at_s)

    def take(self, at_s: float, kw: Mapping[str, float]) -> list[tuple[int, MeterReading]]:
        """Count up to a new sample, with the power of channels in kW; return the readings that are to be kept."""
        if self.at_s is None:
            self.at_s = self.began_s = at_s
            self._wanted = [moment_s for moment_s in self._wanted if moment_s > at_s]
        elif at_s <= self.at_s:
            return []
        kept = self._advance(self.at_s, at_s)
        self._samples += 1
        if tuple(kw) != self._names:
            self._meet(kw)
        for place, name in enumerate(self._names):
            value = kw.get(name, _UNKNOWN_KW)
            if value == self._kw[place]:
                continue
            self._kw[place] = value
            for peaks in self._peaks.values():
                if value > peaks[place] or _known(peaks[place]) is None:
                    peaks[place] = value
        return kept

    def reading(self, at_s: float) -> MeterReading | None:
        """Return the reading at a moment: as it is or will be if the last sample holds, or between minutes; else None.

        A moment before the first sample that this process saw has a reading of nothing.
        """
        last_s = self.at_s
        if last_s is None:
            return None
        if at_s >= last_s:
            return self._from_last(at_s, last_s)
        if self.began_s is not None and at_s <= self.began_s:
            return MeterReading(at_s, {})
        return self._reading_before(at_s, last_s)

    def _reading_before(self, at_s: float, last_s: float) -> MeterReading | None:
        """Return the reading at a moment before the last sample, from those of minutes."""
        later: _Minute | None = None
        for minute in reversed(self._minutes):
            if minute.at_s == at_s:
                return minute.reading()
            if minute.at_s < at_s:
                return interpolated(minute.reading(), self._reading_of(later, last_s), at_s)
            later = minute
        if self.began_s is not None:
            return interpolated(MeterReading(self.began_s, {}), self._reading_of(later, last_s), at_s)
        return None

    def _reading_of(self, minute: _Minute | None, last_s: float) -> MeterReading:
        return self._from_last(last_s, last_s) if minute is None else minute.reading()

    def _keep_minute(self, at_s: float) -> None:
        """Keep the state as the reading of a minute; the oldest goes."""
        values = self._kwh + self._covered_s + self._kw + self._peaks[MINUTE]
        kept = self._minutes[-(_KEPT_MINUTES - 1) :]
        self._minutes = (*kept, _Minute(at_s, self._samples, self._names, values.tobytes()))

    def _from_last(self, at_s: float, last_s: float) -> MeterReading:
        """Return the reading at a moment from the last sample on, which holds for a while."""
        if at_s > last_s:
            held_s = min(at_s - last_s, self._hold_s)
            counts = {name: self._held(place, held_s) for place, name in enumerate(self._names)}
        else:  # the usual case
            states = zip(self._names, self._kwh, self._covered_s, self._kw, self._peaks[MARK], strict=True)
            counts = {
                name: ChannelCount(kwh, covered_s, kw, _known(peak_kw)) if kw == kw else ChannelCount(kwh, covered_s)  # noqa: PLR0124
                for name, kwh, covered_s, kw, peak_kw in states
            }
        return MeterReading(at_s, counts, self._samples)

    def _advance(self, since_s: float, to_s: float) -> list[tuple[int, MeterReading]]:
        """Count up to a moment, and give the readings of minutes and of what was asked for on the way."""
        kept: list[tuple[int, MeterReading]] = []
        ends_s = since_s + self._hold_s
        minute_s = (since_s // MINUTE + 1) * MINUTE
        while minute_s <= to_s or (self._wanted and self._wanted[0] <= to_s):
            if self._wanted and self._wanted[0] <= minute_s:
                moment_s = self._wanted.pop(0)
                self._count(moment_s, ends_s)
                kept.append((MARK, self._read(MARK, moment_s)))
                continue
            self._count(minute_s, ends_s)
            self._keep_minute(minute_s)
            kept.append((MINUTE, self._read(MINUTE, minute_s)))
            if minute_s % QUARTER == 0:
                kept.append((QUARTER, self._read(QUARTER, minute_s)))
            # nothing is counted in a gap: only its first and its last minute are worth a reading
            minute_s = minute_s + MINUTE if minute_s < ends_s else max(minute_s + MINUTE, to_s // MINUTE * MINUTE)
        self._count(to_s, ends_s)
        return kept

    def _count(self, to_s: float, ends_s: float) -> None:
        since_s = to_s if self.at_s is None else self.at_s
        length_s = min(to_s, ends_s) - since_s
        if length_s > 0:
            hours = length_s / _S_PER_H
            for place, kw in enumerate(self._kw):
                if kw == kw:  # noqa: PLR0124 # it is known
                    self._kwh[place] += kw * hours
                    self._covered_s[place] += length_s
        self.at_s = max(to_s, since_s)

    def _read(self, kind: int, at_s: float) -> MeterReading:
        states = zip(self._names, self._kwh, self._covered_s, self._kw, self._peaks[kind], strict=True)
        counts = {
            name: ChannelCount(kwh, covered_s, _known(kw), _known(peak_kw))
            for name, kwh, covered_s, kw, peak_kw in states
        }
        self._peaks[kind] = self._kw[:]
        return MeterReading(at_s, counts, self._samples)

    def _held(self, place: int, held_s: float) -> ChannelCount:
        kw, kwh, covered_s = _known(self._kw[place]), self._kwh[place], self._covered_s[place]
        if kw is None:
            return ChannelCount(kwh, covered_s)
        return ChannelCount(kwh + kw * held_s / _S_PER_H, covered_s + held_s, kw, _known(self._peaks[MARK][place]))

    def _meet(self, kw: Mapping[str, float]) -> None:
        for name in kw:
            if name not in self._places:
                self._place(name)

    def _place(self, name: str) -> int | None:
        """Return the place of a channel, a new one for a new channel; None if the panel has too many."""
        place = self._places.get(name)
        if place is None and len(self._names) < MOST_CHANNELS:
            place = self._places[name] = len(self._names)
            self._names = (*self._names, name)
            self._kw.append(_UNKNOWN_KW)
            self._kwh.append(0.0)
            self._covered_s.append(0.0)
            for peaks in self._peaks.values():
                peaks.append(_UNKNOWN_KW)
        return place


@dataclass(frozen=True, slots=True)
class UsedEnergy:
    """The use of one channel over a window: energy in kWh over the seconds that are covered, and the powers in it."""

    kwh: float
    covered_s: float
    length_s: float
    last_kw: float | None = None
    peak_kw: float | None = None
    estimated: bool = False

    @property
    def mean_kw(self) -> float | None:
        """Return the mean power of the time that is covered; None if none is."""
        return self.kwh * _S_PER_H / self.covered_s if self.covered_s > 0 else None


def used(start: MeterReading | None, end: MeterReading | None, channel: str) -> UsedEnergy | None:
    """Return what a channel used between two readings; None if nothing is known of it."""
    if start is None or end is None or channel not in end.counts:
        return None
    last, first = end.counts[channel], start.counts.get(channel, ChannelCount(0.0, 0.0))
    covered_s = last.covered_s - first.covered_s
    if covered_s <= 0:
        return None
    estimated = start.estimated or end.estimated
    return UsedEnergy(last.kwh - first.kwh, covered_s, end.at_s - start.at_s, last.kw, last.peak_kw, estimated)
