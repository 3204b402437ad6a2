"""Rounds: every subject beside its references in turn, so that what the machine does besides happens to all of them."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from statistics import median

from bench.load import Sample
from bench.processes import Meter

WARM_UP = 0.25
"""Part of a round's time that is spent before the first one, and not counted."""


@dataclass(frozen=True, slots=True)
class MeasuredSubject:
    """Something that can be put under load for some seconds. ``meter`` watches the process that carries it."""

    name: str
    run: Callable[[float], Awaitable[Sample]]
    meter: Meter | None = None


@dataclass(slots=True)
class Series:
    """The results of one subject by round: ``server_cpu`` and ``generator_cpu`` in cores, ``rss_mb`` in 10**6 bytes.

    ``cpu_us``, the server's processor time per answer, hardly depends on what else runs on the machine.
    """

    name: str
    rates: list[float] = field(default_factory=list)
    p50_ms: list[float] = field(default_factory=list)
    p99_ms: list[float] = field(default_factory=list)
    server_cpu: list[float] = field(default_factory=list)
    cpu_us: list[float] = field(default_factory=list)
    generator_cpu: list[float] = field(default_factory=list)
    rss_mb: float | None = None

    @property
    def rate(self) -> float:
        """Requests per second, the median of the rounds."""
        return median(self.rates)

    @property
    def noise(self) -> float:
        """Return the spread of the rounds, as a part of their median."""
        return (max(self.rates) - min(self.rates)) / self.rate

    def add(self, sample: Sample, *, cpu_s: float | None, rss_mb: float | None) -> None:
        """Add one more round; ``cpu_s`` is the processor time that the server took for it."""
        self.rates.append(sample.rate)
        self.p50_ms.append(percentile(sample.latencies_s, 50) * 1000)
        self.p99_ms.append(percentile(sample.latencies_s, 99) * 1000)
        self.generator_cpu.append(sample.generator_cpu)
        if cpu_s is not None:
            self.server_cpu.append(cpu_s / sample.seconds)
            self.cpu_us.append(1e6 * cpu_s / max(1, len(sample.latencies_s)))
        self.rss_mb = rss_mb


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the smallest value that at least ``percent`` of all are not above; not a number without values."""
    if not values:
        return math.nan
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def ratio(subject: Series, reference: Series) -> float:
    """Return the rate as a part of the reference's: the median, over the rounds, of the quotient in the same round."""
    return median(own / bare for own, bare in zip(subject.rates, reference.rates, strict=True))


def cpu_ratio(subject: Series, reference: Series) -> float | None:
    """Return the same by processor time per answer; None where one of the processes is not known."""
    pairs = list(zip(subject.cpu_us, reference.cpu_us, strict=False))
    return median(bare / own for own, bare in pairs) if pairs and all(own for own, _ in pairs) else None


async def interleaved(subjects: Sequence[MeasuredSubject], *, rounds: int, seconds: float) -> list[Series]:
    """Put the subjects under load in turn, every second round in the opposite order."""
    series = [Series(subject.name) for subject in subjects]
    for subject in subjects:
        await subject.run(max(0.2, seconds * WARM_UP))
    for number in range(rounds):
        pairs = list(zip(subjects, series, strict=True))
        for subject, into in pairs if number % 2 == 0 else reversed(pairs):
            await _one(subject, into, seconds)
    return series


async def _one(subject: MeasuredSubject, into: Series, seconds: float) -> None:
    meter = subject.meter
    before = meter.cpu_s() if meter else 0.0
    sample = await subject.run(seconds)
    if meter is None:
        into.add(sample, cpu_s=None, rss_mb=None)
    else:
        into.add(sample, cpu_s=meter.cpu_s() - before, rss_mb=meter.rss_mb())
