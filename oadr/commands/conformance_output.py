"""Do what every command that examines has to: take checks, show progress, write reports, choose an exit code."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Annotated, TypeAlias

import typer
from oadr_conformance import INTERRUPTED, Check, Outcome, Result, Run
from oadr_conformance.reports import html_page, json_text, junit_xml, show
from rich.console import Console
from rich.progress import Progress, TextColumn

from oadr.errors import Exit, Failure

_SIGNALS = (signal.SIGINT, signal.SIGTERM)

OnlyOption: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--only", help="An area, requirement or check, with * and ?: PAGE, EVT-003, 'TIME-00*'; repeatable."),
]
StrictOption: TypeAlias = Annotated[bool, typer.Option("--strict", help="Failed SHOULDs and skipped MUSTs count too.")]
HtmlOption: TypeAlias = Annotated[Path | None, typer.Option(help="Write a page with all results here.")]
JunitOption: TypeAlias = Annotated[Path | None, typer.Option(help="Write JUnit XML here.")]
JsonFileOption: TypeAlias = Annotated[Path | None, typer.Option("--json-file", help="Write JSON here.")]
ResultsAsJsonOption: TypeAlias = Annotated[
    bool, typer.Option("--json", help="Print all results as JSON instead of tables.")
]


def check_places(*paths: Path | None) -> None:
    """
    Fail before the run, which takes a while, if a report cannot be written.

    Raises:
        Failure: it cannot.
    """
    for path in paths:
        _check_place(path)


def finish(
    result: Run, *, strict: bool, as_json: bool, html: Path | None, junit: Path | None, json_file: Path | None
) -> None:
    """
    Show the results, write the reports, and leave with the exit code of the verdict.

    Raises:
        Exit: the run was cut short, or not everything is as it should be.
    """
    _show(result, strict=strict, as_json=as_json)
    _write(html, lambda: html_page(result, strict=strict))
    _write(junit, lambda: junit_xml(result))
    _write(json_file, lambda: json_text(result, strict=strict))
    if result.cut_short:
        raise typer.Exit(Exit.INTERRUPTED if result.cut_short == INTERRUPTED else Exit.UNREACHABLE)
    if not result.conforms(strict=strict):
        raise typer.Exit(Exit.CHECK_FAILED)


async def examining(work: Callable[..., Awaitable[Run]], checks: Sequence[Check], known: int, profile_name: str) -> Run:
    """Make the checks, with a bar on a terminal; the first Ctrl-C ends the run after it has cleaned up."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    console = Console(stderr=True)

    def interrupt() -> None:
        for number in _SIGNALS:
            loop.remove_signal_handler(number)  # the second one does what it always does
        stop.set()
        console.print("stopping: the check at work cleans up")

    for number in _SIGNALS:
        loop.add_signal_handler(number, interrupt)
    columns = (*Progress.get_default_columns(), TextColumn("{task.fields[key]}"))
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("Checks", total=len(checks), key="")

        def advance(result: Result) -> None:
            bar.advance(task)
            if result.outcome is Outcome.FAIL:
                bar.update(task, key=f"failed: {result.check.key}")

        try:
            return await work(checks, profile_name=profile_name, progress=advance, stop=stop, of=known)
        finally:
            for number in _SIGNALS:
                loop.remove_signal_handler(number)


def _check_place(path: Path | None) -> None:
    """Fail before the run, which takes a while, if the report cannot be written."""
    if path is None:
        return
    place = path if path.exists() else path.parent
    if path.is_dir() or not path.parent.is_dir() or not os.access(place, os.W_OK):
        why = "it is a folder" if path.is_dir() else "no such folder" if not path.parent.is_dir() else "not permitted"
        raise Failure(f"cannot write {path}: {why}", Exit.USAGE)


def _write(path: Path | None, text: Callable[[], str]) -> None:
    if path is None:
        return
    try:
        path.write_text(text(), encoding="utf-8")
    except OSError as error:
        raise Failure(f"cannot write {path}: {error.strerror}", Exit.USAGE) from error


def _show(result: Run, *, strict: bool, as_json: bool) -> None:
    if as_json:
        typer.echo(json_text(result, strict=strict), nl=False)
    else:
        show(result, Console(), strict=strict)
