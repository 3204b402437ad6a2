"""A run on a terminal: a table per area, then every failure with what was asked and answered."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console, Group
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from oadr_conformance.runner import Outcome, Result, Run

_SHOWN_FAILURES = 50
_SHOWN_TEXT = 1500


def show(run: Run, console: Console, *, strict: bool = False) -> None:
    """Print the summary, the failures and why checks were skipped; the total comes last."""
    console.print(_areas(run))
    failures = [result for result in run.results if result.outcome is Outcome.FAIL]
    for result in failures[:_SHOWN_FAILURES]:
        console.print(_failure(result))
    if len(failures) > _SHOWN_FAILURES:
        console.print(f"... and {len(failures) - _SHOWN_FAILURES} more failures; --json, --junit or --html show all")
    skipped = [result for result in run.results if result.outcome is Outcome.SKIP]
    if skipped:
        console.print(_skipped(skipped))
    for text in [*run.leftovers, *run.warnings]:
        console.print(f"[yellow]not cleaned up:[/yellow] {escape(text)}")
    product = f"{run.product} {run.version}".strip()
    console.print(
        f"{escape(product)} at {escape(run.url)}, OpenADR {run.profile}, {run.seconds:.1f} s", highlight=False
    )
    verdict = "[green]conforms[/green]" if run.conforms(strict=strict) else "[red]does not conform[/red]"
    console.print(f"[bold]{run.total}[/bold]: {verdict}", highlight=False)


def _areas(run: Run) -> Table:
    table = Table(title="Conformance", title_justify="left", header_style="bold")
    table.add_column("Area")
    for heading in ("Passed", "Failed", "of these SHOULD", "Skipped"):
        table.add_column(heading, justify="right")
    areas: dict[str, list[Result]] = {}
    for result in run.results:
        areas.setdefault(result.check.area, []).append(result)
    for area, results in areas.items():
        failed = [result for result in results if result.outcome is Outcome.FAIL]
        table.add_row(
            area,
            str(_count(results, Outcome.PASS)),
            Text(str(len(failed)), style="red" if failed else ""),
            str(sum(not result.decides for result in failed) or ""),
            str(_count(results, Outcome.SKIP) or ""),
        )
    return table


def _count(results: Iterable[Result], outcome: Outcome) -> int:
    return sum(result.outcome is outcome for result in results)


def _failure(result: Result) -> Panel:
    check = result.check
    where = "while seeding data" if result.seeding else ""
    lines = Text.assemble(
        (f"{check.sentence}\n", ""),
        (f"{check.level}: {check.section}\n\n", "dim"),
        ("expected ", "bold"),
        f"{result.expected}\n",
        ("got      ", "bold"),
        f"{result.got}\n",
    )
    request, response = Text(_cut(result.request), style="cyan"), Text(_cut(result.response), style="magenta")
    return Panel(
        Group(lines, request, Text(), response), title=Text(f"{check.key} {where}"), title_align="left", style=""
    )


def _skipped(results: list[Result]) -> Table:
    table = Table(title="Skipped", title_justify="left", header_style="bold")
    table.add_column("Why")
    table.add_column("Checks")
    reasons: dict[str, list[str]] = {}
    for result in results:
        reasons.setdefault(result.why, []).append(result.check.key)
    for why, keys in reasons.items():
        table.add_row(Text(why), Text(", ".join(keys[:5]) + (f" and {len(keys) - 5} more" if len(keys) > 5 else "")))
    return table


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN_TEXT else f"{text[:_SHOWN_TEXT]}…"
