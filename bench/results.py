"""The results of a run: cases with their references, the goals they are held against, and their growth."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from bench.measure import Series, cpu_ratio, ratio


@dataclass(frozen=True, slots=True)
class Goal:
    """A number that is to be at least, or at most, another one."""

    text: str
    value: float
    bound: float
    at_most: bool = False

    @property
    def met(self) -> bool:
        """Return True if the goal is met; not a number never meets it."""
        return self.value <= self.bound if self.at_most else self.value >= self.bound

    def as_json(self) -> dict[str, Any]:
        """Return plain values for the JSON file."""
        return {
            "goal": self.text,
            "value": round(self.value, 4),
            "bound": self.bound,
            "kind": "at most" if self.at_most else "at least",
            "met": self.met,
        }


@dataclass(slots=True)
class Case:
    """One line of the table. ``stored``: what the store held, in ``unit``s, for one of a row of growing sizes."""

    workload: str
    name: str
    database: str
    connections: int
    series: Series
    references: tuple[Series, ...] = ()
    stored: int | None = None
    unit: str = ""
    goals: tuple[Goal, ...] = ()

    @property
    def title(self) -> str:
        """Return the case in words, for goals."""
        size = "" if self.stored is None else f", {self.stored:,} {self.unit}"
        return f"{self.workload} {self.name} on {self.connections}{size} ({self.database})"

    @property
    def ratios(self) -> dict[str, float]:
        """Return the rate as a part of each reference's."""
        return {reference.name: ratio(self.series, reference) for reference in self.references}

    def as_json(self) -> dict[str, Any]:
        """Return plain values for the JSON file."""
        return {
            "workload": self.workload,
            "case": self.name,
            "database": self.database,
            "stored": self.stored,
            "unit": self.unit or None,
            "connections": self.connections,
            "measured": _series(self.series),
            "references": [
                {
                    **_series(each),
                    "noise": round(each.noise, 4),
                    "ratio": round(ratio(self.series, each), 4),
                    "ratio_by_cpu": _rounded(cpu_ratio(self.series, each), 4),
                }
                for each in self.references
            ],
            "goals": [goal.as_json() for goal in self.goals],
        }


@dataclass(frozen=True, slots=True)
class Growth:
    """One case at several sizes of the store: ``points`` are (stored, value), the value of the first is 1."""

    workload: str
    name: str
    database: str
    connections: int
    unit: str
    points: tuple[tuple[int, float], ...]

    def as_json(self) -> dict[str, Any]:
        """Return plain values for the JSON file."""
        return {
            "workload": self.workload,
            "case": self.name,
            "database": self.database,
            "connections": self.connections,
            "unit": self.unit,
            "points": [{"stored": stored, "relative": round(value, 4)} for stored, value in self.points],
        }


@dataclass(slots=True)
class BenchRun:
    """Everything that one call of the bench found, and where and when."""

    machine: Mapping[str, str]
    options: Mapping[str, Any]
    started: str
    cases: list[Case] = field(default_factory=list)
    growth: list[Growth] = field(default_factory=list)
    goals: list[Goal] = field(default_factory=list)
    """Those that rest on several cases."""

    def as_json(self) -> dict[str, Any]:
        """Return plain values for the JSON file."""
        return {
            "started": self.started,
            "machine": dict(self.machine),
            "options": dict(self.options),
            "cases": [case.as_json() for case in self.cases],
            "growth": [growth.as_json() for growth in self.growth],
            "goals": [goal.as_json() for goal in self.goals],
        }


def growth(cases: Iterable[Case]) -> list[Growth]:
    """Return the cases that were measured with stores of several sizes, each size beside the smallest.

    What is compared is the ratio to the first reference where there is one: the sizes are measured one after the other,
    and the machine may have been slower for one of them.
    """
    rows: dict[tuple[str, str, str, int, str], list[tuple[int, float]]] = {}
    for case in cases:
        if case.stored is None:
            continue
        value = next(iter(case.ratios.values()), case.series.rate)
        rows.setdefault((case.workload, case.name, case.database, case.connections, case.unit), []).append(
            (case.stored, value)
        )
    return [
        Growth(*key, tuple((stored, value / points[0][1]) for stored, value in sorted(points)))
        for key, points in rows.items()
        if len(points) > 1
    ]


def _series(series: Series) -> dict[str, Any]:
    return {
        "name": series.name,
        "requests_per_s": round(series.rate, 1),
        "rounds": [round(rate, 1) for rate in series.rates],
        "p50_ms": round(median(series.p50_ms), 3),
        "p99_ms": round(median(series.p99_ms), 3),
        "server_cpu_cores": _rounded(_median(series.server_cpu), 3),
        "server_cpu_us_per_request": _rounded(_median(series.cpu_us), 1),
        "generator_cpu_cores": round(median(series.generator_cpu), 3),
        "rss_mb": _rounded(series.rss_mb, 1),
    }


def _median(values: list[float]) -> float | None:
    return median(values) if values else None


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
