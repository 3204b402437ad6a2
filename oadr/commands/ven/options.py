"""Options of the commands of ``oadr ven``, and the settings they lead to."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from oadr.config import load

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ven.settings import VenSettings

PREFIX = "OADR_VEN_"

ConfigOption: TypeAlias = Annotated[
    Path | None, typer.Option("--config", help="TOML file with the settings (docs/ven.md lists them).")
]


def load_settings(config: Path | None, flags: Mapping[str, object] | None = None) -> VenSettings:
    """Return the settings from flags, environment and file; raises ConfigError."""
    from ven.settings import VenSettings

    return load(VenSettings, prefix=PREFIX, file=config, flags=flags)
