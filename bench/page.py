"""The tables of a run as Markdown, put between two marks of a page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import median
from typing import Final

from bench.errors import Unusable
from bench.measure import Series, cpu_ratio
from bench.results import BenchRun, Case, Goal, Growth

_BEGIN: Final = "<!-- figures -->"
_END: Final = "<!-- end of figures -->"


def write(run: BenchRun, page: Path) -> None:
    """Replace what is between the marks of the page; raises Unusable if it has none."""
    text = page.read_text()
    before, begin, rest = text.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not begin or not end:
        raise Unusable(f"{page} has no {_BEGIN} … {_END}")
    page.write_text(f"{before}{begin}\n{markdown(run)}\n{end}{after}")


def markdown(run: BenchRun) -> str:
    """Return machine and time, cases, growth and goals as Markdown."""
    machine = " · ".join(f"{name} {value}" for name, value in run.machine.items())
    options = " · ".join(f"{name} {value}" for name, value in run.options.items())
    parts = [f"Measured {run.started}\\\n{machine}\\\n{options}", _cases(run.cases)]
    if run.growth:
        parts.append(f"How the rate changes with what is stored, beside the smallest store:\n\n{_growth(run.growth)}")
    goals = [*(goal for case in run.cases for goal in case.goals), *run.goals]
    if goals:
        parts.append(f"Goals:\n\n{_goals(goals)}")
    return "\n\n".join(parts)


def _cases(cases: Iterable[Case]) -> str:
    header = (
        "Workload",
        "Database",
        "Store",
        "Conn.",
        "Per s",
        "p50 ms",
        "p99 ms",
        "CPU µs",
        "RSS MB",
        "Reference: per s, CPU µs (noise)",
        "Ratio (by CPU)",
    )
    return _table(header, (_case(case) for case in cases))


def _case(case: Case) -> tuple[str, ...]:
    series = case.series
    return (
        f"{case.workload} {case.name}",
        case.database,
        "" if case.stored is None else f"{case.stored:,} {case.unit}",
        str(case.connections),
        f"{series.rate:,.0f}",
        f"{median(series.p50_ms):.2f}",
        f"{median(series.p99_ms):.2f}",
        _cpu(series),
        "" if series.rss_mb is None else f"{series.rss_mb:.0f}",
        "<br>".join(f"{each.name}: {each.rate:,.0f}, {_cpu(each)} ({each.noise:.0%})" for each in case.references),
        "<br>".join(_ratio(case, each) for each in case.references),
    )


def _cpu(series: Series) -> str:
    return f"{median(series.cpu_us):,.0f}" if series.cpu_us else ""


def _ratio(case: Case, reference: Series) -> str:
    by_cpu = cpu_ratio(case.series, reference)
    return f"{case.ratios[reference.name]:.2f}" + ("" if by_cpu is None else f" ({by_cpu:.2f})")


def _growth(rows: Iterable[Growth]) -> str:
    return _table(
        ("Workload", "Database", "Conn.", "Relative rate"),
        (
            (
                f"{row.workload} {row.name}",
                row.database,
                str(row.connections),
                ", ".join(f"{size:,} {row.unit}: {value:.2f}" for size, value in row.points),
            )
            for row in rows
        ),
    )


def _goals(goals: Iterable[Goal]) -> str:
    return _table(
        ("Goal", "Wanted", "Found", ""),
        (
            (
                goal.text,
                f"{'at most' if goal.at_most else 'at least'} {goal.bound:g}",
                f"{goal.value:.2f}",
                "met" if goal.met else "**missed**",
            )
            for goal in goals
        ),
    )


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)
