"""``oadr bridge simulate``: simulated legacy panels on a broker, to try the bridge."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from oadr.config import load
from oadr.errors import reporting
from oadr.process.running import run_until_stopped
from oadr.terminal.options import parsed_by


def _panel_program(name: str) -> str:
    from bridge_mqtt.simulators.panels import MODELS

    if name not in MODELS:
        raise ValueError(f"{name!r} is none of {', '.join(MODELS)}")
    return name


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
