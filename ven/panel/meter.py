"""Measure time-weighted energy, mean power and peak power over an interval, from single readings.

A reading holds until the next one, but no longer than `hold`; time that no reading holds for is not covered.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from itertools import pairwise
from typing import Final

_WATT: Final = Decimal("0.001")
_HOUR_US: Final = 3_600_000_000
_US: Final = timedelta(microseconds=1)
_MOST_IN_BASELINE: Final = 600


@dataclass(frozen=True)
class PowerReading:
    """Hold the power of all circuits that could be read at one moment, in kW by circuit id.

    Some circuits have a counter of their energy, which only rises, or store energy: then these are known too, in kWh.
    """

    at: datetime
    kw: Mapping[str, Decimal]
    counter_kwh: Mapping[str, Decimal] = field(default_factory=dict)
    charge_kwh: Mapping[str, Decimal] = field(default_factory=dict)
    capacity_kwh: Mapping[str, Decimal] = field(default_factory=dict)

    def total(self, circuit_ids: Iterable[str]) -> Decimal | None:
        """Return the sum in kW over these circuits; None if any of them was not read."""
        each = [self.kw.get(id_) for id_ in circuit_ids]
        known = [kw for kw in each if kw is not None]
        return sum(known, Decimal(0)) if len(known) == len(each) else None


@dataclass(frozen=True)
class Measurement:
    """Hold what was measured over an interval. `covered` is the part of it that has readings, at most 1.

    `counter_kwh`, `charge_kwh` and `capacity_kwh` are the last that were known in it, None if there are none.
    """

    mean_kw: Decimal
    peak_kw: Decimal
    last_kw: Decimal
    covered: float
    hours: Decimal
    counter_kwh: Decimal | None = None
    charge_kwh: Decimal | None = None
    capacity_kwh: Decimal | None = None

    @property
    def energy_kwh(self) -> Decimal:
        """Return the energy over the whole interval; where readings are missing the mean of the others stands in."""
        return self.mean_kw * self.hours


def measure(
    samples: Sequence[PowerReading],
    start: datetime,
    end: datetime,
    *,
    power: Callable[[PowerReading], Decimal | None],
    hold: timedelta,
) -> Measurement | None:
    """Measure one circuit, or a sum of circuits, over [start, end); None if no reading says anything about it.

    `samples` are in order of time and begin early enough to include the one that holds at the start.
    """
    if not samples:
        return None
    weighted, weight_us = Decimal(0), 0
    peak = last = None
    ends = [later.at for _, later in pairwise(samples)] + [end]
    for sample, next_at in zip(samples, ends, strict=True):
        kw = power(sample)
        since, until = max(sample.at, start), min(next_at, sample.at + hold, end)
        if kw is None or since >= until:
            continue
        length_us = (until - since) // _US
        weighted += kw * length_us
        weight_us += length_us
        peak = kw if peak is None else max(peak, kw)
        last = kw
    if not weight_us or peak is None or last is None:
        return None
    span_us = (end - start) // _US
    return Measurement(weighted / weight_us, peak, last, weight_us / span_us, Decimal(span_us) / _HOUR_US)


def power_of(circuit_id: str) -> Callable[[PowerReading], Decimal | None]:
    """Return the power of one circuit, for `measure`."""
    return lambda sample: sample.kw.get(circuit_id)


def power_of_all(circuit_ids: Iterable[str]) -> Callable[[PowerReading], Decimal | None]:
    """Return the total power of these circuits, for `measure`."""
    ids = tuple(circuit_ids)
    return lambda sample: sample.total(ids)


class RollingBaseline:
    """Keep the uncurtailed power of the circuits: recent readings, forgotten when older than `span`.

    At most some hundreds are kept, however often the circuits are read and however long `span` is.
    """

    def __init__(self, *, span: timedelta, hold: timedelta) -> None:
        self._span = span
        self._apart = span / _MOST_IN_BASELINE
        self._hold = max(hold, 2 * self._apart)
        self._samples: deque[PowerReading] = deque()

    def add(self, sample: PowerReading) -> None:
        """Take a reading of circuits that are not limited."""
        if len(self._samples) > 1 and sample.at - self._samples[-2].at < self._apart:
            self._samples.pop()
        self._samples.append(sample)
        while self._samples[0].at < sample.at - self._span - self._hold:
            self._samples.popleft()

    def at(self, moment: datetime, circuit_ids: Iterable[str]) -> dict[str, Decimal]:
        """Return the mean power of each circuit before the moment, to the watt, without those that have no readings."""
        samples = tuple(self._samples)
        found: dict[str, Decimal] = {}
        for id_ in circuit_ids:
            readings = [sample.kw[id_] for sample in samples if id_ in sample.kw]
            measured = measure(samples, moment - self._span, moment, power=power_of(id_), hold=self._hold)
            kw = measured.mean_kw if measured else (readings[-1] if readings else None)
            if kw is not None:
                found[id_] = kw.quantize(_WATT, ROUND_HALF_EVEN)
        return found
