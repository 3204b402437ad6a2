"""``oadr doctor``: is everything there that a VTN, a VEN or a bridge needs, and if not, what is to be done."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from oadr.config import load
from oadr.errors import Exit, reporting
from oadr.terminal.options import examples
from oadr.terminal.output import JsonOption, show_rows

if TYPE_CHECKING:
    from openadr_client import Clock
    from openadr_client.checkup import Checkup

app = typer.Typer(
    add_completion=False,
    help="Examine a VTN, a VEN, a bridge or an address, and say what to do.",
    epilog=examples("doctor vtn --config vtn.toml", "doctor https://vtn.example/openadr3/3.1.0 --json"),
)

_COLUMNS: Final = {"what": "What", "health": "Is", "found": "Found", "to_do": "To do"}
_OWN: Final = {"ven": "OADR_VEN_", "bridge": "OADR_BRIDGE_", "vtn": "OADR_VTN_"}
_LISTEN_S: Final = 6.0


@app.command(epilog=examples("doctor vtn --config vtn.toml", "doctor https://vtn.example/openadr3/3.1.0 --json"))
def doctor(
    target: Annotated[
        str | None,
        typer.Argument(
            help="vtn, ven or bridge, on the machine where it runs; or the URL of a VTN. By default what the "
            "environment has settings for, else vtn.",
            show_default=False,
        ),
    ] = None,
    *,
    config: Annotated[
        Path | None, typer.Option("--config", help="TOML file with the settings of what is examined.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Check name, connection, TLS, clock, token, programs, targets, callbacks, broker, disk, database and users.

    Each finding comes with what to do about it. Nothing is changed. Exits with 1 if something is wrong, else with 0.
    """
    with reporting():
        chosen = target or _usual()
        findings = asyncio.run(_all(chosen, config))
        rows = [
            {"what": each.what, "health": each.health.value, "found": each.text, "to_do": each.to_do}
            for each in findings
        ]
        show_rows(rows, _COLUMNS, as_json=as_json, title=chosen, empty="nothing was found")
        if any(row["health"] == "failed" for row in rows):
            raise typer.Exit(Exit.UNEXPECTED)


def _usual() -> str:
    """Return what the environment has settings for: a VTN's address first, else the server."""
    if "OADR_BL_URL" in os.environ:
        return os.environ["OADR_BL_URL"]
    return next((name for name, prefix in _OWN.items() if any(each.startswith(prefix) for each in os.environ)), "vtn")


async def _all(target: str, config: Path | None) -> list[Checkup]:
    from openadr_client import SystemClock

    return [finding async for finding in _examined(target, config, SystemClock())]


def _examined(target: str, config: Path | None, clock: Clock) -> AsyncIterator[Checkup]:
    if target == "vtn":
        return _vtn(config, clock)
    if target == "ven":
        return _ven(config, clock)
    if target == "bridge":
        return _bridge(config, clock)
    if "://" not in target:
        raise typer.BadParameter(f"expected vtn, ven, bridge or a URL such as https://vtn.example/…, not {target!r}")
    return _url(target, config, clock)


async def _vtn(config: Path | None, clock: Clock) -> AsyncIterator[Checkup]:
    from oadr.commands.vtn.options import load_settings
    from oadr.doctor.server_side import examine_server

    async for finding in examine_server(load_settings(config, {}), clock):
        yield finding


async def _ven(config: Path | None, clock: Clock) -> AsyncIterator[Checkup]:
    from oadr.commands.ven.options import load_settings
    from oadr.doctor.network import look_at
    from ven.doctor import examine

    settings = load_settings(config)
    async for finding in look_at(settings.vtn.url, what="vtn", now=clock.now(), ca_file=settings.vtn.ca_file):
        yield finding
    async for finding in examine(settings, clock):
        yield finding
    if settings.push.callback_url is not None:
        async for finding in look_at(settings.push.callback_url, what="webhook", now=clock.now()):
            yield finding


async def _bridge(config: Path | None, clock: Clock) -> AsyncIterator[Checkup]:
    from bridge_mqtt.checking import examine
    from bridge_mqtt.settings import Settings
    from oadr.commands.bridge.options import PREFIX
    from oadr.doctor.network import look_at

    settings = load(Settings, prefix=PREFIX, file=config)
    async for finding in look_at(settings.vtn.url, what="vtn", now=clock.now(), ca_file=settings.vtn.ca_file):
        yield finding
    async for finding in examine(settings, clock, listen_s=_LISTEN_S):
        yield finding


async def _url(url: str, config: Path | None, clock: Clock) -> AsyncIterator[Checkup]:
    from oadr.business_logic.connection import PREFIX, BusinessLogic
    from oadr.doctor.client_side import examine_url

    has_credentials = config is not None or f"{PREFIX}CLIENT_ID" in os.environ
    if not has_credentials:
        async for finding in examine_url(url, None, clock):
            yield finding
        return
    settings = load(BusinessLogic, prefix=PREFIX, file=config, flags={"url": url})
    async with settings.client() as client:
        async for finding in examine_url(url, client, clock, ca_file=settings.ca_file):
            yield finding
