"""``oadr ven run``: take part in events."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from oadr.commands.ven.options import PREFIX, ConfigOption, load_settings
from oadr.errors import reporting
from oadr.process.running import run_until_stopped


def run(
    *,
    config: ConfigOption = None,
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

        flags = {
            "vtn.url": vtn_url,
            "vtn.client_id": client_id,
            "vtn.ca_file": ca_file,
            "ven_name": name,
            "store": store,
            "poll_s": poll_s,
        }
        settings = load_settings(config, flags)
        run_until_stopped(lambda: run_ven(settings))
