"""The ``oadr`` command: parses, loads settings, calls the package that does the work, prints. One module per noun.

A command's module is imported when the command is used: a device need not carry the server's libraries, and a worker
not the memory of commands that nobody calls.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Annotated, Any, Final, Literal

import typer
from typer.core import TyperGroup
from typer.main import get_command

from oadr.process import lean

_MODULES: Final = {
    "demo": ("oadr.demo.command", "Show a whole fleet live on this machine."),
    "vtn": ("oadr.commands.vtn", "The OpenADR 3 server: run it, and say who may use it."),
    "ven": ("oadr.commands.ven", "A device: takes part in events and sheds circuits."),
    "bridge": ("oadr.commands.bridge", "Bridge between a VTN and legacy panels on an MQTT broker."),
    "program": ("oadr.commands.program", "List and make programs."),
    "event": ("oadr.commands.event", "Issue events, list them, see what became of them."),
    "report": ("oadr.commands.report", "List, show and export reports."),
    "perf": ("oadr.commands.perf", "Say what an event delivered: baseline less meter."),
    "fleet": ("oadr.commands.fleet", "List the fleet: VENs of every language, panels behind bridges."),
    "vens": ("oadr.commands.vens", "List VENs, grant them targets, remove them."),
    "subscription": ("oadr.commands.subscription", "List subscriptions, and how their callbacks fare."),
    "doctor": ("oadr.commands.doctor", "Examine a VTN, a VEN, a bridge or an address, and say what to do."),
    "alarms": ("oadr.commands.alarms", "Alarms of a VTN: list them, acknowledge one."),
    "cert": ("oadr.commands.cert", "A small certificate authority."),
    "discover": ("oadr.commands.discover", "Find VTNs on the local network."),
    "conformance": ("oadr.commands.conformance", "Examine any VTN, or any VEN of OpenADR 3.1."),
}


class _Commands(TyperGroup):
    """Finds commands in the modules above; each has a typer application called ``app``.

    A list of commands (--help, completion of their names) imports none of them.
    """

    _listing = False

    def list_commands(self, ctx: Any) -> list[str]:
        return list(_MODULES)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in _MODULES:
            return None
        module, help_ = _MODULES[cmd_name]
        if self._listing:
            return TyperGroup(name=cmd_name, help=help_)
        lean.import_structlog()
        command = get_command(import_module(module).app)
        command.name = cmd_name
        return command

    def format_help(self, ctx: Any, formatter: Any) -> None:
        with self._listed():
            super().format_help(ctx, formatter)

    def shell_complete(self, ctx: Any, incomplete: str) -> Any:
        with self._listed():
            return super().shell_complete(ctx, incomplete)

    @contextmanager
    def _listed(self) -> Iterator[None]:
        self._listing = True
        try:
            yield
        finally:
            self._listing = False


app = typer.Typer(
    name="oadr",
    cls=_Commands,
    help="OpenADR 3 server (VTN), devices (VEN) and a bridge for legacy MQTT panels.",
    no_args_is_help=True,
    epilog="\b\nExamples:\n  oadr demo\n  oadr event create --shed 5kW --for 1h --target group:north --dry-run",
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)


def _version(asked: bool) -> None:
    if asked:
        from importlib import metadata

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
    from oadr.process import logs

    logs.configure(level=log_level)


if __name__ == "__main__":
    from oadr.start import main

    main()
