"""Options that the commands of ``oadr vtn`` share, and the settings they lead to."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from oadr.config import load

if TYPE_CHECKING:
    from vtn.settings import Settings


PREFIX = "OADR_VTN_"

_EARLIER = "oadr-vtn.sqlite3"


ConfigOption: TypeAlias = Annotated[
    Path | None, typer.Option("--config", help="TOML file with the settings (docs/vtn.md lists them).")
]

DatabaseOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--database",
        "--database-url",
        help=f"A file of SQLite, or postgresql://USER:PASSWORD@HOST/NAME [{PREFIX}DATABASE__URL].",
    ),
]


def load_settings(config: Path | None, flags: Mapping[str, object]) -> Settings:
    """Return the settings, after saying on standard error which database they lead to."""
    from sqlalchemy.engine import make_url

    from vtn.settings import Settings

    given = flags.get("database.url")
    url = url_of(given) if isinstance(given, str) else None
    settings = load(Settings, prefix=PREFIX, file=config, flags={**flags, "database.url": url})
    name = make_url(settings.database.url.get_secret_value()).render_as_string(hide_password=True)
    typer.echo(f"database: {name.replace('+aiosqlite', '').replace('+asyncpg', '')}", err=True)
    if not settings.database.model_fields_set and Path(_EARLIER).exists():
        typer.echo(f"Earlier versions used {_EARLIER} in this folder: --database {_EARLIER} uses it still.", err=True)
    return settings


def url_of(database: str | None) -> str | None:
    """Return a URL as it is, and a file as a URL of SQLite."""
    if database is None or ":" in database:
        return database
    return f"sqlite:///{database}"
