"""Looking at a database before a bridge uses it: nothing in it is changed, and none is made."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from sqlalchemy import URL, Connection, inspect, make_url, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from bridge_mqtt.errors import StoreUnavailable
from bridge_mqtt.store.engine import VERSION_TABLE, driver_errors, open_engine, revisions
from bridge_mqtt.store.schema import panels


@dataclass(frozen=True, kw_only=True)
class Inspection:
    """Hold what is in a database."""

    name: str
    """Its URL without a password."""
    schema: str | None = None
    """The version of the bridge's tables; None if there are none."""
    newest: str
    """The version that this program has."""
    is_known: bool = True
    """False if the tables were made by a newer program."""
    is_there: bool = True
    """False for a file that does not exist yet."""
    has_original_acks: bool = False
    """True if there is a ``ven_acks`` of the original system, which a start takes over."""
    last_seen_at: dict[str, datetime] = field(default_factory=dict)
    """The instant at which each panel was heard last by a bridge; only for tables of this version."""


async def inspect_database(url: str) -> Inspection:
    """Return what is there; raises StoreUnavailable."""
    parsed = make_url(url)
    name = parsed.render_as_string(hide_password=True).replace("+aiosqlite", "").replace("+asyncpg", "")
    if parsed.get_backend_name() == "sqlite":
        file = Path(parsed.database or "")
        if not _is_usable(file, name):
            return Inspection(name=name, newest=revisions()[-1], is_there=False)
        engine = create_async_engine(_read_only(parsed, file), hide_parameters=True)
    else:
        engine = open_engine(url)
    try:
        return await _look(engine, name)
    finally:
        await engine.dispose()


def _is_usable(file: Path, name: str) -> bool:
    """Return False if the file does not exist yet; raises StoreUnavailable if we may not use it, or not make it."""
    if file.exists():
        if not os.access(file, os.R_OK | os.W_OK):
            raise StoreUnavailable(f"the database {name} cannot be used: this account may not read and write the file")
        return True
    folder = next(each for each in file.absolute().parents if each.exists())
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        raise StoreUnavailable(f"the database {name} cannot be made: this account may not write to {folder}")
    return False


def _read_only(url: URL, file: Path) -> URL:
    return url.set(database=f"{file.absolute().as_uri()}?mode=ro", query={"uri": "true"})


async def _look(engine: AsyncEngine, name: str) -> Inspection:
    try:
        with driver_errors(engine):
            async with engine.connect() as connection:
                return await connection.run_sync(_read, name)
    except DBAPIError as error:  # of our own statements: here only a missing right can be the reason
        raise StoreUnavailable(f"the database {name} cannot be used: {error.orig}") from error


def _read(connection: Connection, name: str) -> Inspection:
    tables, newest = inspect(connection), revisions()[-1]
    if not tables.has_table(VERSION_TABLE):
        return Inspection(name=name, newest=newest, has_original_acks=tables.has_table("ven_acks"))
    schema = connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()  # noqa: S608 - our name
    heard = {}
    if schema == newest:
        rows = connection.execute(select(panels.c.ven_id, panels.c.last_seen_at))
        heard = {ven_id: at for ven_id, at in rows if at is not None}
    return Inspection(
        name=name, schema=schema, newest=newest, is_known=schema is None or schema in revisions(), last_seen_at=heard
    )
