"""The tables of a run, on a terminal."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import median

from rich.console import Console
from rich.table import Table

from bench.measure import Series, cpu_ratio
from bench.results import BenchRun, Case, Goal, Growth

_BUSY = 0.95


def case_line(case: Case) -> str:
    """Return one case in a line, for showing progress."""
    ratios = ", ".join(f"{value:.2f} of {name}" for name, value in case.ratios.items())
    size = "" if case.stored is None else f" {case.stored:,} {case.unit}"
    beside = f" ({ratios})" if ratios else ""
    return f"{case.workload} {case.name}{size}, {case.connections} connections: {case.series.rate:,.0f}/s{beside}"


def show(run: BenchRun, console: Console) -> None:
    """Cases, growth and goals."""
    console.print(f"[bold]{run.started}[/bold]  " + " · ".join(f"{key} {value}" for key, value in run.machine.items()))
    console.print(" · ".join(f"{key} {value}" for key, value in run.options.items()))
    console.print(_cases(run.cases))
    if run.growth:
        console.print(_growth(run.growth))
    goals = [*(goal for case in run.cases for goal in case.goals), *run.goals]
    if goals:
        console.print(_goals(goals))


def _cases(cases: Iterable[Case]) -> Table:
    table = Table(title="Measured, median of the rounds", title_justify="left")
    table.add_column("Workload")
    table.add_column("Database")
    for name in ("Store", "Conn.", "Per s", "p50 ms", "p99 ms", "CPU", "CPU µs", "RSS MB"):
        table.add_column(name, justify="right")
    for name in ("Reference per s", "CPU µs", "Noise", "Ratio", "by CPU"):
        table.add_column(name, justify="right")
    for case in cases:
        series = case.series
        table.add_row(
            f"{case.workload} {case.name}",
            case.database,
            "" if case.stored is None else f"{case.stored:,} {case.unit}",
            str(case.connections),
            f"{series.rate:,.0f}{_limited(series)}",
            f"{median(series.p50_ms):.2f}",
            f"{median(series.p99_ms):.2f}",
            _middle(series.server_cpu, 2),
            _middle(series.cpu_us, 0),
            "" if series.rss_mb is None else f"{series.rss_mb:.0f}",
            "\n".join(f"{each.name} {each.rate:,.0f}{_limited(each)}" for each in case.references),
            "\n".join(_middle(each.cpu_us, 0) for each in case.references),
            "\n".join(f"{each.noise:.0%}" for each in case.references),
            "\n".join(f"{value:.2f}" for value in case.ratios.values()),
            "\n".join(_by_cpu(series, each) for each in case.references),
        )
    table.caption = (
        "CPU: cores that the server used; CPU µs: its processor time per answer. Noise: how far the reference's rounds "
        "lie apart.\nRatio: rate beside the reference's, by CPU: the reference's CPU µs beside the server's. "
        "* the generator had no processor time left."
    )
    table.caption_justify = "left"
    return table


def _growth(rows: Iterable[Growth]) -> Table:
    table = Table(title="Growth, beside the smallest store", title_justify="left")
    table.add_column("Workload")
    table.add_column("Database")
    table.add_column("Conn.", justify="right")
    table.add_column("Relative rate", justify="right")
    for row in rows:
        points = ", ".join(f"{stored:,}: {value:.2f}" for stored, value in row.points)
        table.add_row(f"{row.workload} {row.name}", row.database, str(row.connections), f"{points} ({row.unit})")
    return table


def _goals(goals: Iterable[Goal]) -> Table:
    table = Table(title="Goals", title_justify="left")
    table.add_column("Goal")
    table.add_column("Found", justify="right")
    table.add_column("Wanted", justify="right")
    table.add_column("")
    for goal in goals:
        wanted = f"{'at most' if goal.at_most else 'at least'} {goal.bound:g}"
        table.add_row(goal.text, f"{goal.value:.2f}", wanted, "[green]met[/green]" if goal.met else "[red]missed[/red]")
    return table


def _middle(values: list[float], digits: int) -> str:
    return f"{median(values):,.{digits}f}" if values else ""


def _by_cpu(series: Series, reference: Series) -> str:
    value = cpu_ratio(series, reference)
    return "" if value is None else f"{value:.2f}"


def _limited(series: Series) -> str:
    return "*" if median(series.generator_cpu) > _BUSY else ""
