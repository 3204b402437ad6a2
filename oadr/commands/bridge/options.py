"""Options that the commands of ``oadr bridge`` share, and the settings they lead to."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from oadr.config import load

if TYPE_CHECKING:
    from bridge_mqtt.settings import Settings

PREFIX = "OADR_BRIDGE_"

_OF_RUN = (f"{PREFIX}VTN__", f"{PREFIX}ISSUING")
_SECRET = f"{PREFIX}VTN__CLIENT_SECRET"
_NOT_NEEDED = "no request is made with it"
_NO_VTN = "http://127.0.0.1/openadr3/3.1.0"

ConfigOption: TypeAlias = Annotated[
    Path | None, typer.Option("--config", help="TOML file with the settings (docs/bridge.md lists them).")
]

DatabaseOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--database",
        "--database-url",
        help=f"A file of SQLite, or postgresql://USER:PASSWORD@HOST/NAME [{PREFIX}DATABASE__URL].",
    ),
]


def load_settings(config: Path | None, flags: Mapping[str, object] | None = None) -> Settings:
    """Return the settings of a bridge for a command that needs neither its VTN nor its panels, which may be missing.

    Without a file what the environment says of the VTN is not read: it may be the secret alone.
    """
    from bridge_mqtt.settings import Settings

    given = dict(flags or {})
    if isinstance(url := given.get("database.url"), str) and ":" not in url:
        given["database.url"] = f"sqlite:///{url}"
    if config is None:
        given |= {"vtn.url": _NO_VTN, "unregistered": "accept"}
        environment = {name: value for name, value in os.environ.items() if not name.upper().startswith(_OF_RUN)}
        return load(Settings, prefix=PREFIX, flags=given, environment=environment)
    if _lacks_secret(config):
        given["vtn.client_secret"] = _NOT_NEEDED
    return load(Settings, prefix=PREFIX, file=config, flags=given)


def _lacks_secret(config: Path | None) -> bool:
    """Return True if a file names our client at the VTN, and the secret is where only the bridge has it."""
    if config is None or _SECRET in os.environ or f"{_SECRET}_FILE" in os.environ:
        return False
    try:
        vtn = tomllib.loads(config.read_text(encoding="utf-8")).get("vtn")
    except (OSError, ValueError):  # said better where the whole file is read
        return False
    return isinstance(vtn, dict) and "client_id" in vtn and "client_secret" not in vtn
