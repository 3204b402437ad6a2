"""Look at a state file without changing it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ven.store.schema import MIGRATIONS


@dataclass(frozen=True)
class FileState:
    """Hold what a look at a state file has found: who has it, or what is wrong and what to do about it.

    ``limited`` are the circuits that a VEN has limited and has not returned yet.
    """

    version: int | None = None
    is_open: bool = False
    limited: frozenset[str] = frozenset()
    problem: str | None = None
    to_do: str | None = None


def last_write(path: Path) -> datetime:
    """Return when a state file, or the log beside it, was written last; raises OSError."""
    log = path.with_name(f"{path.name}-wal")
    written_s = max(
        each.stat().st_mtime for each in (path, log) if each == path or (each.exists() and each.stat().st_size)
    )
    return datetime.fromtimestamp(written_s, UTC)


def inspect(path: Path) -> FileState:
    """Return the state of a file that exists; ``is_open`` says that a VEN is running with it."""
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=1)) as connection:
            version = int(connection.execute("pragma user_version").fetchone()[0])
            state = str(connection.execute("pragma quick_check(1)").fetchone()[0])
            limited = _limited(connection) if state == "ok" else frozenset()
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError) and "locked" in str(error):
            return FileState(is_open=True)
        to_do = "see to it that this user may use the file; one that is not a VEN's must be moved away"
        return FileState(problem=f"is no readable state file: {error}", to_do=to_do)
    if state != "ok":
        to_do = "move the file away, or put a copy back: without it events are read from the VTN again"
        return FileState(version, problem=f"is damaged: {state[:200]}", to_do=to_do)
    if version > len(MIGRATIONS):
        to_do = "use the newer program, or a copy of the file from before the upgrade"
        return FileState(version, problem=f"has version {version}, newer than {len(MIGRATIONS)}", to_do=to_do)
    return FileState(version, limited=limited)


def _limited(connection: sqlite3.Connection) -> frozenset[str]:
    if not connection.execute("select 1 from sqlite_schema where name = 'own_limit'").fetchone():
        return frozenset()
    return frozenset(str(id_) for (id_,) in connection.execute("select circuit_id from own_limit"))
