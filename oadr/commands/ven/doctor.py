"""``oadr ven doctor``: is everything there that this VEN needs, and if not, what is to be done."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import typer

from oadr.commands.ven.options import ConfigOption, load_settings
from oadr.errors import Exit, reporting
from oadr.terminal.output import JsonOption, show_rows

if TYPE_CHECKING:
    from openadr_client.checkup import Checkup
    from ven.settings import VenSettings

_COLUMNS = {"what": "What", "health": "Is", "found": "Found", "to_do": "To do"}


def doctor(*, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Check settings, store, driver, VTN, clock and notifications, each with what to do. Nothing is switched.

    Exits with 7 if something is wrong, with 3 if the settings are.
    """
    with reporting():
        settings = load_settings(config)
        findings = asyncio.run(_examine(settings))
        rows = [{"what": "settings", "health": "ok", "found": f"{len(settings.circuits)} circuits", "to_do": None}]
        rows += [
            {"what": each.what, "health": each.health.value, "found": each.text, "to_do": each.to_do}
            for each in findings
        ]
        show_rows(rows, _COLUMNS, as_json=as_json, title=settings.ven_name, empty="")
        if any(row["health"] == "failed" for row in rows):
            raise typer.Exit(Exit.CHECK_FAILED)


async def _examine(settings: VenSettings) -> list[Checkup]:
    from openadr_client import SystemClock
    from ven.doctor import examine

    return [finding async for finding in examine(settings, SystemClock())]
