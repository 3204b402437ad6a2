"""Bringing the tables up to date: at start, under a lock, and never backwards."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, inspect, text

from vtn.errors import DatabaseUnreachable, MigrationMissing, MigrationTooNew, Unavailable
from vtn.store.database import Database

_FOLDER: Final = Path(__file__).parent / "migrations"
_LOCK: Final = 0x0ADF_1EE7  # any number that no other program takes in the same database
_TABLE: Final = "alembic_version"


async def migrate(database: Database) -> None:
    """Make or update the tables. Processes that start together take turns; the second one finds nothing to do.

    Raises MigrationTooNew for a database of a newer version, DatabaseUnreachable.
    """
    try:
        async with database.alter() as connection:
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
    if present != revisions()[-1]:
        raise MigrationMissing(f"{database.name}: the tables are not up to date; run `oadr vtn migrate`")


async def is_migrated(database: Database) -> bool:
    """Return True if the tables are those of this version, by one plain statement; raises Unavailable."""
    row = await database.row(text(f"SELECT version_num FROM {_TABLE}"))  # noqa: S608 (a name of ours)
    return row is not None and row["version_num"] == revisions()[-1]


@cache
def revisions() -> list[str]:
    """Return the migrations that there are, oldest first: each file's name begins with its revision."""
    return sorted(file.stem.partition("_")[0] for file in (_FOLDER / "versions").glob("[0-9]*.py"))


def _upgrade(connection: Connection, name: str) -> None:
    if _present(connection, name) == revisions()[-1]:
        return
    # Only who has something to do pays for the library: it would stay in the memory of every server.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _present(connection: Connection, name: str) -> str | None:
    """Return the revision the tables are at; None for an empty database."""
    if not inspect(connection).has_table(_TABLE):
        return None
    present: str | None = connection.execute(text(f"SELECT version_num FROM {_TABLE}")).scalar()  # noqa: S608 (a name of ours)
    if present is not None and present not in revisions():
        raise MigrationTooNew(
            f"{name}: written by a newer version (revision {present}); start that version, or restore a backup"
        )
    return present


def _unreachable(database: Database, error: Unavailable) -> DatabaseUnreachable:
    cause = str(error.__cause__).splitlines()[0] if error.__cause__ else str(error)
    return DatabaseUnreachable(f"cannot reach the database {database.name}: {cause}")
