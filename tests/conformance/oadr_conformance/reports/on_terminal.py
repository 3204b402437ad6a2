"""A run on a terminal: a table of areas, failures by requirement, why checks were skipped, and last the total."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from oadr_conformance.groups import Cluster, Group, counted, failed, groups_of, reasons, total
from oadr_conformance.registry import area_of
from oadr_conformance.results import Outcome, Result, Run

_SHOWN_REQUIREMENTS = 30
_SHOWN_CLUSTERS = 5
_SHOWN_CASES = 5
_SHOWN_TEXT = 400
_STYLES = {Outcome.FAIL: "red", Outcome.BLOCKED: "yellow"}


def show(run: Run, console: Console, *, strict: bool = False) -> None:
    """Print the summary, the failures and why checks were skipped; the total comes last."""
    groups = groups_of(run.results)
    console.print(_areas(groups))
    wrong = failed(groups)
    for group in wrong[:_SHOWN_REQUIREMENTS]:
        _show_failures(group, console)
    if wrong:
        more = len(wrong) - _SHOWN_REQUIREMENTS
        rest = f"... and {more} more requirements failed; " if more > 0 else ""
        console.print(f"{rest}--html, --json and --junit have every case with its whole exchange\n", highlight=False)
    left_out = reasons(run.results)
    if left_out:
        console.print(_left_out(left_out))
    console.print(_totals(run))
    for text in [*run.leftovers, *run.warnings]:
        console.print(f"[yellow]not cleaned up:[/yellow] {escape(text)}")
    if run.cut_short:
        console.print(f"[yellow]cut short:[/yellow] {escape(run.cut_short)}", highlight=False)
    product = f"{run.product} {run.version}".strip()
    switches = f", {', '.join(run.switches)}" if run.switches else ""
    what = f"{escape(product)} at {escape(run.url)}, OpenADR {run.profile}{escape(switches)}, {run.seconds:.1f} s"
    console.print(what, highlight=False, soft_wrap=True)
    console.print(f"{counted(len(groups), 'requirement')}: {total(groups)}", highlight=False)
    colour = "red" if not run.conforms(strict=strict) else "green" if run.complete() else "yellow"
    verdict = f"[{colour}]{escape(run.verdict(strict=strict))}[/{colour}]"
    console.print(f"[bold]{run.total}[/bold]: {verdict}", highlight=False, soft_wrap=True)


def _areas(groups: Iterable[Group]) -> Table:
    table = Table(title="Conformance", title_justify="left", header_style="bold", box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("Area")
    table.add_column("Checks", justify="right")
    for outcome in Outcome:
        table.add_column(outcome.word, justify="right")
    areas: dict[str, list[Group]] = {}
    for group in groups:
        areas.setdefault(area_of(group.requirement), []).append(group)
    for area, members in areas.items():
        counts = {outcome: sum(group.count(outcome) for group in members) for outcome in Outcome}
        table.add_row(area, str(sum(counts.values())), *_cells(counts))
    return table


def _cells(counts: Mapping[Outcome, int]) -> list[Text]:
    return [Text(str(count or ""), style=_STYLES.get(outcome, "")) for outcome, count in counts.items()]


def _totals(run: Run) -> Table:
    """One row for MUSTs and SHOULDs of the standard and for our rulings each."""
    table = Table(title="Whose demand", title_justify="left", header_style="bold", box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("Checks that are a")
    for outcome in Outcome:
        table.add_column(outcome.word, justify="right")
    for standing, counts in run.totals.items():
        table.add_row(standing.value, *_cells(counts))
    return table


def _show_failures(group: Group, console: Console) -> None:
    head = Text.assemble(
        (group.requirement, "bold red"),
        (f"  {group.standing}", "bold"),
        f"  {_told_count(group)} of {counted(len(group.results), 'check')}",
    )
    console.print(head)
    clusters = group.clusters
    for cluster in clusters[:_SHOWN_CLUSTERS]:
        console.print(Padding(_told(cluster), (0, 0, 0, 2)))
    if len(clusters) > _SHOWN_CLUSTERS:
        console.print(f"  ... and {len(clusters) - _SHOWN_CLUSTERS} more kinds of failures\n", highlight=False)


def _told_count(group: Group) -> str:
    wrong = {outcome: group.count(outcome) for outcome in (Outcome.FAIL, Outcome.BLOCKED)}
    return " and ".join(f"{count} {outcome.word}" for outcome, count in wrong.items() if count)


def _told(cluster: Cluster) -> Text:
    result = cluster.example
    cases = cluster.cases(_SHOWN_CASES)
    lines = Text(f"{result.check.sentence}\n")
    lines.append(f"rests on: {result.check.ruling or result.check.section}\n", "dim")
    if cases:
        lines.append(f"{cluster.question}: {cases}\n")
    lines.append("expected ", "bold").append(f"{cluster.expected}")
    lines.append(", got ", "bold").append(f"{cluster.got}\n")
    lines.append(f"{_brief(result.request)}\n", "cyan")
    lines.append(f"{_brief(result.response)}\n", "magenta")
    return lines


def _brief(message: str) -> str:
    """The first line of a request or an answer, and its body; the headers are in the other reports."""
    first, _, rest = message.partition("\n")
    _, _, body = rest.partition("\n\n")
    body = body if len(body) <= _SHOWN_TEXT else f"{body[:_SHOWN_TEXT]}…"
    return f"{first}  {body}".rstrip()


def _left_out(found: list[tuple[str, list[Result]]]) -> Table:
    table = Table(
        title="Skipped or not asked", title_justify="left", header_style="bold", box=SIMPLE_HEAD, pad_edge=False
    )
    table.add_column("Checks", justify="right")
    table.add_column("Why")
    table.add_column("Requirements")
    for why, results in found:
        names = list(dict.fromkeys(result.check.requirement for result in results))
        more = f" and {len(names) - _SHOWN_CASES} more" if len(names) > _SHOWN_CASES else ""
        table.add_row(str(len(results)), Text(why), ", ".join(names[:_SHOWN_CASES]) + more)
    return table
