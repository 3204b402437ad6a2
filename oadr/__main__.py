"""The ``oadr`` command: parses, loads settings, calls the package that does the work, prints. One module per noun.

A command's module is imported when the command is used: a device need not carry the server's libraries, and a worker
not the memory of commands that nobody calls.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import typer

from oadr.process.late_commands import LateCommands


class _Nouns(LateCommands):
    places: ClassVar = {
        "demo": ("oadr.demo.command:app", "Show a whole fleet live on this machine."),
        "vtn": ("oadr.commands.vtn:app", "The OpenADR 3 server: run it, and say who may use it."),
        "ven": ("oadr.commands.ven:app", "A device: takes part in events and sheds circuits."),
        "bridge": ("oadr.commands.bridge:app", "Bridge between a VTN and legacy panels on an MQTT broker."),
        "program": ("oadr.commands.program:app", "List and make programs."),
        "event": ("oadr.commands.event:app", "Issue events, list them, see what became of them."),
        "report": ("oadr.commands.report:app", "List, show and export reports."),
        "perf": ("oadr.commands.perf:app", "Say what an event delivered: baseline less meter."),
        "fleet": ("oadr.commands.fleet:app", "List the fleet: VENs of every language, panels behind bridges."),
        "vens": ("oadr.commands.vens:app", "List VENs, grant them targets, remove them."),
        "subscription": ("oadr.commands.subscription:app", "List subscriptions, and how their callbacks fare."),
        "doctor": ("oadr.commands.doctor:app", "Examine a VTN, a VEN, a bridge or an address, and say what to do."),
        "alarms": ("oadr.commands.alarms:app", "Alarms of a VTN: list them, acknowledge one."),
        "cert": ("oadr.commands.cert:app", "A small certificate authority."),
        "discover": ("oadr.commands.discover:app", "Find VTNs on the local network."),
        "conformance": ("oadr.commands.conformance:app", "Examine any VTN, or any VEN of OpenADR 3.1."),
    }


app = typer.Typer(
    name="oadr",
    cls=_Nouns,
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
