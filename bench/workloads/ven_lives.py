"""The VEN over a month and a year: memory, the state file, and what is written to the disk each day."""

from __future__ import annotations

from itertools import pairwise
from statistics import median
from typing import Final

from bench.lives import DAY_S, life
from bench.measure import Series
from bench.results import Goal
from bench.simulated_home import Taken
from bench.workloads.context import WorkloadContext
from bench.workloads.ven import keep, series_of

DAYS_OF_A_MONTH: Final = 30
DAYS_OF_A_YEAR: Final = 365
_MONTH_CIRCUITS: Final = 32
_YEAR_CIRCUITS: Final = 8
DAYS_OF_MINUTES: Final = 3
_MONTH_SAMPLE_S: Final = 300
_YEAR_SAMPLE_S: Final = 3600
_MONTH_POLL_S: Final = 3600
_YEAR_POLL_S: Final = 21_600
_MINUTE_S: Final = 60
_RSS_MB: Final = 70.0
_GROWTH_MB: Final = 3.0
_STATE_MB: Final = 5.0
_STATE_GROWTH_MB: Final = 0.1
_WRITTEN_MB: Final = 20.0


async def for_a_month(context: WorkloadContext) -> None:
    """Measure: at most 70 MB with 32 circuits after a month, and 20 MB written a day with a reading a minute."""
    if context.vtn.meter is None:
        context.skip("ven-month", "it has a VTN of its own")
        return
    for number, sample_s in ((DAYS_OF_A_MONTH, _MONTH_SAMPLE_S), (DAYS_OF_MINUTES, _MINUTE_S)):
        folder = f"month-{sample_s}"
        days = await _days(context, folder, number, circuits=_MONTH_CIRCUITS, sample_s=sample_s, poll_s=_MONTH_POLL_S)
        written_mb = _written_mb(days)
        goals = (
            Goal("{}: RSS in MB", days[-1].rss_mb, _RSS_MB, at_most=True),
            Goal("{}: MB written a day", written_mb, _WRITTEN_MB, at_most=True),
        )
        name = f"{number} days, {_MONTH_CIRCUITS} circuits read every {sample_s} s"
        found = f"{written_mb:.1f} MB written a day"
        keep(context, "ven-month", name, _series(days, sample_s), *goals, found=found)


async def for_a_year(context: WorkloadContext) -> None:
    """Measure: neither memory nor the state file grow after the first two months."""
    if context.vtn.meter is None:
        context.skip("ven-year", "it has a VTN of its own")
        return
    days = await _days(
        context, "year", DAYS_OF_A_YEAR, circuits=_YEAR_CIRCUITS, sample_s=_YEAR_SAMPLE_S, poll_s=_YEAR_POLL_S
    )
    since = days[len(days) // 6]
    growth_mb, state_mb = days[-1].rss_mb - since.rss_mb, days[-1].state_bytes / 1e6
    state_growth_mb = state_mb - since.state_bytes / 1e6
    found = f"since the first sixth RSS {growth_mb:+.1f} MB, state file {state_growth_mb:+.2f} MB to {state_mb:.2f}"
    goals = (
        Goal("{}: growth of RSS in MB", growth_mb, _GROWTH_MB, at_most=True),
        Goal("{}: state file in MB", state_mb, _STATE_MB, at_most=True),
        Goal("{}: its growth in MB", state_growth_mb, _STATE_GROWTH_MB, at_most=True),
    )
    name = f"{len(days)} days, {_YEAR_CIRCUITS} circuits"
    keep(context, "ven-year", name, _series(days, _YEAR_SAMPLE_S), *goals, found=found)


async def _days(
    context: WorkloadContext, name: str, number: int, *, circuits: int, sample_s: int, poll_s: int
) -> list[Taken]:
    folder = context.folder / name
    async with life(folder, circuit_count=circuits, sample_s=sample_s, poll_s=poll_s) as lived:
        return [await lived.day() for _ in range(number)]


def _written_mb(days: list[Taken]) -> float:
    """Return the MB that are written on a day, the median."""
    each = [after.written_bytes - before.written_bytes for before, after in pairwise(days)]
    return median(each or [days[-1].written_bytes]) / 1e6


def _series(days: list[Taken], sample_s: int) -> Series:
    readings = DAY_S / sample_s
    each = [(after.cpu_s - before.cpu_s) / readings for before, after in pairwise(days)]
    each = each or [days[-1].cpu_s / readings]
    return series_of([1000 * cpu_s for cpu_s in each], cpu_us=[1e6 * cpu_s for cpu_s in each], rss_mb=days[-1].rss_mb)
