"""``oadr ven``: be a device that takes part in events."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from oadr.config import load
from oadr.errors import reporting
from oadr.process.running import run_until_stopped
from oadr.terminal.options import examples

PREFIX = "OADR_VEN_"

app = typer.Typer(
    add_completion=False,
    help="A device: takes part in events, switches its circuits, reports.",
    no_args_is_help=True,
    epilog=examples("ven run --config home-1.toml", "ven run --vtn http://127.0.0.1:8080/openadr3/3.1.0"),
)


@app.callback()
def _ven() -> None:
    """Keep `run` a command of its own while it is the only one."""


@app.command(
    epilog=examples(
        "ven run --config home-1.toml", "ven run --vtn http://127.0.0.1:8080/openadr3/3.1.0 --client-id home-1"
    )
)
def run(
    *,
    config: Annotated[
        Path | None, typer.Option("--config", help="TOML file with the settings (docs/ven.md lists them).")
    ] = None,
    vtn_url: Annotated[
        str | None, typer.Option("--vtn", help=f"Base URL of the VTN with the version [{PREFIX}VTN__URL].")
    ] = None,
    client_id: Annotated[str | None, typer.Option(help=f"Who we are to the VTN [{PREFIX}VTN__CLIENT_ID].")] = None,
    ca_file: Annotated[
        Path | None, typer.Option(help=f"CA certificates to trust as well, PEM [{PREFIX}VTN__CA_FILE].")
    ] = None,
    name: Annotated[str | None, typer.Option(help=f"Name of the ven [{PREFIX}VEN_NAME].")] = None,
    store: Annotated[Path | None, typer.Option(help=f"File of the memory [{PREFIX}STORE; ven.sqlite3].")] = None,
    poll_s: Annotated[
        float | None, typer.Option(help=f"Seconds between two looks at the VTN [{PREFIX}POLL_S; 300].")
    ] = None,
) -> None:
    """Take part in events until interrupted; the secret comes from OADR_VEN_VTN__CLIENT_SECRET or a file (_FILE)."""
    with reporting():
        from ven.agent import run_ven
        from ven.settings import VenSettings

        flags = {
            "vtn.url": vtn_url,
            "vtn.client_id": client_id,
            "vtn.ca_file": ca_file,
            "ven_name": name,
            "store": store,
            "poll_s": poll_s,
        }
        settings = load(VenSettings, prefix=PREFIX, file=config, flags=flags)
        run_until_stopped(lambda: run_ven(settings))
