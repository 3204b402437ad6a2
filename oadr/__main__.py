"""The ``oadr`` command: parses, loads settings, calls a room, prints. One module per noun."""

from __future__ import annotations

from importlib import metadata
from typing import Annotated, Literal

import typer

from oadr import bridge, cert, conformance, event, logs, program, report, ven, vens, vtn
from oadr.demo.command import demo

app = typer.Typer(
    name="oadr",
    help="OpenADR 3 server (VTN), devices (VEN) and a bridge for legacy MQTT panels.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)
for name, module in {
    "vtn": vtn,
    "ven": ven,
    "bridge": bridge,
    "program": program,
    "event": event,
    "report": report,
    "vens": vens,
    "cert": cert,
    "conformance": conformance,
}.items():
    app.add_typer(module.app, name=name)
app.command()(demo)


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
