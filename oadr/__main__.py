"""The ``oadr`` command: parses, loads settings, calls a room, prints. One module per noun.

A command's module is imported when the command is used: a device need not carry the server's libraries, and a worker
not the memory of commands that nobody calls.
"""

from __future__ import annotations

from importlib import import_module, metadata
from typing import Annotated, Any, Final, Literal

import typer
from typer.core import TyperGroup
from typer.main import get_command

from oadr import logs

_MODULES: Final = {
    "demo": "oadr.demo.command",
    "vtn": "oadr.vtn",
    "ven": "oadr.ven",
    "bridge": "oadr.bridge",
    "program": "oadr.program",
    "event": "oadr.event",
    "report": "oadr.report",
    "vens": "oadr.vens",
    "cert": "oadr.cert",
    "discover": "oadr.discover",
    "conformance": "oadr.conformance",
}


class _Commands(TyperGroup):
    """Finds commands in the modules above; each has a typer application called ``app``."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(_MODULES)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in _MODULES:
            return None
        command = get_command(import_module(_MODULES[cmd_name]).app)
        command.name = cmd_name
        return command


app = typer.Typer(
    name="oadr",
    cls=_Commands,
    help="OpenADR 3 server (VTN), devices (VEN) and a bridge for legacy MQTT panels.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"oadr {metadata.version('openadr-fleet')}")
        raise typer.Exit


@app.callback()
def _common(
    *,
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], typer.Option(help="How much a program tells on standard error.")
    ] = "info",
    _version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    logs.configure(level=log_level)


def main() -> None:
    """Entry point of the ``oadr`` script."""
    app()


if __name__ == "__main__":
    main()
