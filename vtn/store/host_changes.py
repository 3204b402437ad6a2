"""Make the change counters and the listener, which tell processes that share a database of each other's changes."""

from __future__ import annotations

import os
import tempfile
from hashlib import blake2b
from pathlib import Path
from typing import Final

from vtn.counters.counters import ChangeCounters
from vtn.paths import data_folder
from vtn.store.all_tables import metadata
from vtn.store.database import Database
from vtn.store.listener import PostgresListener

_MEMORY: Final = Path("/dev/shm")  # noqa: S108 (the file is made for this user only, and refused if it is not)


def counters_of(database: Database) -> ChangeCounters:
    """Return the change counters of this host: beside the file of SQLite, in memory for PostgreSQL.

    Processes that reach one PostgreSQL under different host names or users have different counters: to each other they
    are like processes on other hosts. Raises CountersUnusable.
    """
    url = database.url
    if database.is_sqlite:
        if database.file is not None and database.file.parent == data_folder():
            database.file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = Path(f"{os.path.realpath(url.database or '')}-revisions")
    else:
        named = f"{url.host} {url.port or 5432} {url.database}"
        folder = _MEMORY if _MEMORY.is_dir() else Path(tempfile.gettempdir())
        path = folder / f"openadr-fleet-{os.geteuid()}-{blake2b(named.encode(), digest_size=12).hexdigest()}"
    return ChangeCounters(path, sorted(metadata.tables))


def listener_of(database: Database) -> PostgresListener | None:
    """Return a listener for changes from other hosts; None for SQLite."""
    return None if database.is_sqlite else PostgresListener(database.url, recorded=database.recorded.tell)
