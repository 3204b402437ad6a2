"""``oadr bridge check``: is everything there that a bridge needs, and if not, what is to be done."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from oadr.commands.bridge.options import PREFIX, ConfigOption
from oadr.config import load
from oadr.errors import Exit, reporting
from oadr.terminal.output import JsonOption, show_json, wants_json
from oadr.terminal.text import visible

if TYPE_CHECKING:
    from bridge_mqtt.settings import Settings
    from openadr_client.checkup import Checkup


def check(
    *,
    config: ConfigOption = None,
    listen_s: Annotated[
        float, typer.Option("--listen", min=0, max=600, help="Seconds in which panels are listened for at the broker.")
    ] = 6.0,
    as_json: JsonOption = False,
) -> None:
    """Check settings, database, broker, VTN and panels, each with what to do. Nothing is changed.

    Panels are sent nothing, and a running bridge is not disturbed. Exits with 7 if something is wrong, with 3 if the
    settings are.
    """
    with reporting():
        from bridge_mqtt.settings import Settings
        from openadr_client.checkup import Checkup, Condition

        settings = load(Settings, prefix=PREFIX, file=config)
        own = Checkup("settings", Condition.OK, f"{len(settings.panels):,} panels are listed")
        findings = [own, *asyncio.run(_examine(settings, listen_s))]
        if wants_json(as_json):
            show_json(
                [
                    {"what": each.what, "health": each.health.value, "found": each.text, "to_do": each.to_do}
                    for each in findings
                ]
            )
        else:
            for each in findings:
                line = f"{each.health.value:8}{each.what:10}{each.text}"
                typer.echo(visible(line if each.to_do is None else f"{line}. To do: {each.to_do}"))
        if any(each.health is Condition.FAILED for each in findings):
            raise typer.Exit(Exit.CHECK_FAILED)


async def _examine(settings: Settings, listen_s: float) -> list[Checkup]:
    from bridge_mqtt.checking import examine
    from openadr_client import SystemClock

    return [finding async for finding in examine(settings, SystemClock(), listen_s=listen_s)]
