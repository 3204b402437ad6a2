"""``oadr program``: the programs that events belong to."""

from __future__ import annotations

from typing import Annotated

import typer

from oadr.business_logic.connection import BusinessLogic, act, with_connection
from oadr.terminal.options import examples
from oadr.terminal.output import AllOption, JsonOption, plain, show_one, show_rows
from openadr_profiles.v31 import ProgramRequest

app = typer.Typer(
    add_completion=False,
    help="List and make programs.",
    no_args_is_help=True,
    epilog=examples("program list", "program create summer"),
)

_COLUMNS = {"id": "Program", "programName": "Name", "targets": "Targets", "createdDateTime": "Created"}


@app.command(name="list", epilog=examples("program list", "program list --json"))
@with_connection
def list_(*, everything: AllOption = False, settings: BusinessLogic, as_json: JsonOption = False) -> None:
    """List programs, newest first."""
    programs = act(settings, lambda client: client.programs.search())
    rows = [plain(one) for one in programs]
    show_rows(rows, _COLUMNS, as_json=as_json, title="Programs", empty="no programs", everything=everything)


@app.command(epilog=examples("program create summer", "program create pilot --target group:north"))
@with_connection
def create(
    name: Annotated[str, typer.Argument(help="Its name, unique in the VTN.")],
    *,
    target: Annotated[list[str] | None, typer.Option(help="Who may see it. Repeatable; none: all.")] = None,
    settings: BusinessLogic,
    as_json: JsonOption = False,
) -> None:
    """Make a program."""
    request = ProgramRequest(program_name=name, targets=tuple(target or ()) or None)
    program = act(settings, lambda client: client.programs.create(request))
    show_one(plain(program), _COLUMNS, as_json=as_json, title="Made")
