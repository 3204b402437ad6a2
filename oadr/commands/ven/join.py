"""``oadr ven join``: make settings of a join line, try the connection, and register."""

from __future__ import annotations

import asyncio
import shlex
import sys
from getpass import getpass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from oadr.commands.ven.new_settings import connection_of, house_of_file, settings_text, write_settings
from oadr.commands.ven.renewal import renewed, settings_of
from oadr.errors import Exit, Failure, exit_code_of, reporting
from oadr.terminal.output import JsonOption, show_json, wants_json
from openadr_profiles.join_line import LONGEST, JoinLine

if TYPE_CHECKING:
    from ven.joining import JoinStep
    from ven.settings import VenSettings


def join(
    line: Annotated[
        str,
        typer.Argument(metavar="LINE|-", help="The join line; - and no argument read it from standard input."),
    ] = "-",
    *,
    config: Annotated[Path, typer.Option("--config", help="The file of settings to write.")] = Path("ven.toml"),
    template: Annotated[
        Path | None,
        typer.Option(help="TOML file with all other settings, as circuits and driver. Default: a simulated house."),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace settings that are there; they are kept as FILE.bak.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Make settings of a join line, try the connection to the VTN step by step, and register there.

    An argument is seen in the list of processes and kept in the shell's history, and the line holds a secret: rather
    run oadr ven join and paste it, or oadr ven join < FILE. Settings of this VEN that are there get what is new in the
    line, as its secret, and stay as they are otherwise.
    """
    with reporting():
        told = JoinLine.decode(_read(line))
        text, changed = _text(told, config.absolute(), template, force=force)
        written = write_settings(told, config.absolute(), text, force=force, changed=changed)
        settings = written.settings
        if not wants_json(as_json):
            _say("settings", f"{config}{_notes(template, changed)}")
            for kept in written.kept:
                _say("kept", f"{kept} is what was there before")
        steps = asyncio.run(_try(settings, is_quiet=wants_json(as_json)))
        failed = steps[-1].error
        next_ = f"oadr ven {'run' if failed is None else 'doctor'} --config {shlex.quote(str(config))}"
        if wants_json(as_json):
            rows = [{"what": each.what, "found": each.found, "to_do": each.to_do} for each in steps]
            joined = failed is None
            show_json(
                {
                    "config": str(config),
                    "ven_name": told.ven_name,
                    "changed": changed,
                    "kept": [str(each) for each in written.kept],
                    "joined": joined,
                    "steps": rows,
                    "next": next_,
                }
            )
        else:
            typer.echo(f"next: {next_}" if failed is None else f"the settings are kept; to look again: {next_}")
        if failed is not None:
            raise Failure(f"{steps[-1].what}: {failed}\n{steps[-1].to_do}", exit_code_of(failed) or Exit.UNREACHABLE)


async def _try(settings: VenSettings, *, is_quiet: bool) -> list[JoinStep]:
    from openadr_client import SystemClock
    from ven.joining import join_vtn

    steps = []
    async for step in join_vtn(settings, SystemClock()):
        steps.append(step)
        if step.error is None and not is_quiet:
            _say(step.what, step.found)
    return steps


def _say(what: str, found: str) -> None:
    from oadr.terminal.text import visible

    typer.echo(visible(f"{what:10} {found}"))


def _read(line: str) -> str:
    """Return the line as given, or from standard input; on a terminal it is not shown while it is pasted."""
    if line != "-":
        return line
    if sys.stdin.isatty():
        try:
            return getpass("Paste the join line (it is not shown): ")
        except EOFError:  # Ctrl-D
            return ""
    return sys.stdin.buffer.read(2 * LONGEST + 1).decode("utf-8", errors="replace")


def _notes(template: Path | None, changed: list[str] | None) -> str:
    """Return what is to be said about the settings; ``changed`` are the members that are new in those of before."""
    if changed is not None:
        return f": {', '.join(changed) or 'nothing'} is new, all else is as it was"
    return "" if template else ", with a simulated house: put your driver and circuits into it"


def _text(told: JoinLine, config: Path, template: Path | None, *, force: bool) -> tuple[str, list[str] | None]:
    """Return the text of the settings; if those that are there are renewed, also the names of what changes in them."""
    there = None if template or force else settings_of(config, told)
    if there is not None:
        return renewed(there, connection_of(told, config), config)
    return settings_text(told, config, house_of_file(template)), None
