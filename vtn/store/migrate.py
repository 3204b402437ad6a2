"""Bringing the tables up to date: at start, under a lock, and never backwards."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from vtn.errors import DatabaseUnreachable, MigrationMissing, MigrationTooNew, Unavailable
from vtn.store.database import Database

_FOLDER: Final = Path(__file__).parent / "migrations"
_LOCK: Final = 0x0ADF_1EE7  # any number that no other program takes in the same database


async def migrate(database: Database) -> None:
    """Make or update the tables. Processes that start together take turns; the second one finds nothing to do.

    Raises MigrationTooNew for a database of a newer version, DatabaseUnreachable.
    """
    try:
        async with database.write() as connection:
            if not database.is_sqlite:  # SQLite's transaction for writing is the lock
                await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
            await connection.run_sync(_upgrade, database.name)
    except Unavailable as error:
        raise _unreachable(database, error) from error


async def check_migrated(database: Database) -> None:
    """Raise MigrationMissing or MigrationTooNew unless the tables are what this version needs."""
    try:
        async with database.write() as connection:
            present = await connection.run_sync(_present, database.name)
    except Unavailable as error:
        raise _unreachable(database, error) from error
    if present != _scripts().get_current_head():
        raise MigrationMissing(f"{database.name}: the tables are not up to date; run `oadr vtn migrate`")


async def is_migrated(database: Database) -> bool:
    """Whether the tables are what this version needs, asked with one plain statement; raises Unavailable."""
    row = await database.row(text("SELECT version_num FROM alembic_version"))
    return row is not None and row["version_num"] == _head()


@cache
def _head() -> str | None:
    return _scripts().get_current_head()


def _upgrade(connection: Connection, name: str) -> None:
    if _present(connection, name) != _scripts().get_current_head():
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _present(connection: Connection, name: str) -> str | None:
    """The revision the tables are at; None for an empty database."""
    present = MigrationContext.configure(connection).get_current_revision()
    known = {script.revision for script in _scripts().walk_revisions()}
    if present is not None and present not in known:
        raise MigrationTooNew(
            f"{name}: written by a newer version (revision {present}); start that version, or restore a backup"
        )
    return present


def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config())


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    return config


def _unreachable(database: Database, error: Unavailable) -> DatabaseUnreachable:
    cause = str(error.__cause__).splitlines()[0] if error.__cause__ else str(error)
    return DatabaseUnreachable(f"cannot reach the database {database.name}: {cause}")
