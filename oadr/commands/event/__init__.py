"""``oadr event``: issue events and see what became of them. Its rules are in ``openadr_profiles.fleet``.

Each command is imported when it is used: a list of events does without what it takes to issue one.
"""

from __future__ import annotations

from typing import ClassVar

import typer

from oadr.process.late_commands import LateCommands
from oadr.terminal.options import examples

_HERE = "oadr.commands.event"


class _EventCommands(LateCommands):
    places: ClassVar = {
        "create": (f"{_HERE}.create:app", "Issue an event: how much, when, for whom."),
        "preview": (f"{_HERE}.preview:app", "Show who will get an event and why others do not."),
        "update": (f"{_HERE}.create:app", "Change an event: what is not given stays."),
        "list": (f"{_HERE}.show:app", "List events, newest first."),
        "get": (f"{_HERE}.show:app", "Print one event as the VTN holds it (always JSON)."),
        "cancel": (f"{_HERE}.withdraw:app", "Call events off: VENs and panels return to normal."),
        "delete": (f"{_HERE}.withdraw:app", "Remove an event and its reports."),
        "status": (f"{_HERE}.show:app", "Show who was reached, takes part and delivers."),
        "watch": (f"{_HERE}.watch:app", "Show every event that is created, modified or deleted."),
    }


app = typer.Typer(
    add_completion=False,
    cls=_EventCommands,
    help="Issue events, list them, see what became of them.",
    no_args_is_help=True,
    epilog=examples("event create --shed 5kW --for 1h --target group:north", "event status 3f2a --watch"),
)


@app.callback()
def _event() -> None:
    """Have no options of its own."""
