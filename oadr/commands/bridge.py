"""``oadr bridge``: carry the events of a VTN to legacy panels, and simulate such panels to try it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from oadr.config import load
from oadr.errors import reporting
from oadr.process.running import run_until_stopped
from oadr.terminal.options import examples, parsed_by

if TYPE_CHECKING:
    from bridge_mqtt.settings import Settings

PREFIX = "OADR_BRIDGE_"


def _panel_program(name: str) -> str:
    from bridge_mqtt.simulators.panels import MODELS

    if name not in MODELS:
        raise ValueError(f"{name!r} is none of {', '.join(MODELS)}")
    return name


app = typer.Typer(
    add_completion=False,
    help="Bridge between a VTN and legacy panels on an MQTT broker.",
    no_args_is_help=True,
    epilog=examples("bridge run --config bridge.toml", "bridge simulate panel-1 --broker mqtt://127.0.0.1"),
)


@app.command(
    epilog=examples(
        "bridge run --config bridge.toml",
        "bridge run --vtn http://127.0.0.1:8080/openadr3/3.1.0 --client-id bridge-1 --broker mqtt://127.0.0.1",
    )
)
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
        run_until_stopped(lambda: _serve(settings))


@app.command(
    epilog=examples(
        "bridge simulate panel-1 panel-2 --broker mqtt://127.0.0.1",
        "bridge simulate panel-3 --dialect envelope --every 1",
    )
)
def simulate(
    panel_ids: Annotated[list[str], typer.Argument(help="Ids of the panels, as panel-1.")],
    *,
    broker: Annotated[str, typer.Option(metavar="URL", help="The broker they connect to.")] = "mqtt://127.0.0.1:1883",
    dialect: Annotated[
        str,
        typer.Option(parser=parsed_by(_panel_program), metavar="NAME", help="Which panel program, by its dialect."),
    ] = "flat",
    every: Annotated[float, typer.Option(min=0.1, help="Seconds between two samples.")] = 5.0,
    ca_file: Annotated[Path | None, typer.Option(help="CA of the broker, for mqtts://.")] = None,
    certificate: Annotated[Path | None, typer.Option(help="The panels' certificate, for mqtts://.")] = None,
    key: Annotated[Path | None, typer.Option(help="Its private key.")] = None,
) -> None:
    """Be simulated legacy panels on a broker until interrupted."""
    with reporting():
        from bridge_mqtt.settings import Broker
        from bridge_mqtt.simulators.panels import simulated_panel

        given = {"url": broker, "ca_file": ca_file, "client_certificate": certificate, "client_key": key}
        settings = load(Broker, prefix="OADR_PANEL_", flags=given, environment={})
        panels = [
            simulated_panel(id_, dialect, settings, seed=number, interval_s=every)
            for number, id_ in enumerate(panel_ids)
        ]

        async def all_panels() -> None:
            async with asyncio.TaskGroup() as group:
                for panel in panels:
                    group.create_task(panel.run())

        run_until_stopped(all_panels)


async def _serve(settings: Settings) -> None:
    from bridge_mqtt.service import Bridge

    async with Bridge(settings) as bridge:
        await bridge.run()
