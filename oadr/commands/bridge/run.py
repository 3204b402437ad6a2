"""``oadr bridge run``: the bridge as a program."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from oadr.commands.bridge.options import PREFIX
from oadr.config import load
from oadr.errors import reporting
from oadr.process.running import run_until_stopped

if TYPE_CHECKING:
    from bridge_mqtt.settings import Settings


def run(
    *,
    config: Annotated[
        Path | None, typer.Option(help="TOML file with the settings (docs/bridge.md lists them).")
    ] = None,
    vtn: Annotated[
        str | None,
        typer.Option("--vtn", metavar="URL", help=f"The VTN, as http://host/openadr3/3.1.0 [{PREFIX}VTN__URL]."),
    ] = None,
    client_id: Annotated[str | None, typer.Option(help=f"Our client id at the VTN [{PREFIX}VTN__CLIENT_ID].")] = None,
    broker: Annotated[
        str | None, typer.Option(metavar="URL", help=f"mqtt://host:1883 or mqtts://host:8883 [{PREFIX}BROKER__URL].")
    ] = None,
    database_url: Annotated[
        str | None,
        typer.Option(help=f"sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME [{PREFIX}DATABASE__URL]."),
    ] = None,
    port: Annotated[
        int | None, typer.Option(help=f"Port of the HTTP API; 0 takes a free one [{PREFIX}API__PORT].")
    ] = None,
) -> None:
    """Carry events to panels until interrupted.

    The secret of the VTN client comes from OADR_BRIDGE_VTN__CLIENT_SECRET or the file that
    OADR_BRIDGE_VTN__CLIENT_SECRET_FILE names. Panels are listed in the settings.
    """
    with reporting():
        from bridge_mqtt.settings import Settings

        flags = {
            "vtn.url": vtn,
            "vtn.client_id": client_id,
            "broker.url": broker,
            "database.url": database_url,
            "api.port": port,
        }
        settings = load(Settings, prefix=PREFIX, file=config, flags=flags)
        run_until_stopped(lambda: _serve(settings), fast=True)


async def _serve(settings: Settings) -> None:
    from bridge_mqtt.serving import run_bridge

    await run_bridge(settings)
