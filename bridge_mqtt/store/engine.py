"""Opening the database: engine, migrations under a lock, and the mapping of driver errors."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy import Connection, QueuePool, event, inspect, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolExhausted
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from bridge_mqtt.errors import StoreBusy, StoreTooNew, StoreUnavailable

_log = structlog.get_logger(__name__)

VERSION_TABLE = "bridge_alembic_version"
_MIGRATIONS = Path(__file__).parent / "migrations"
_LOCK_KEY = 0x6F616472_62726467  # "oadrbrdg": one migration at a time per database
_BUSY_TIMEOUT_MS = 5_000
_WRITES = "bridge_writes"
_CONNECT_TIMEOUT_S = 5.0
_COMMAND_TIMEOUT_S = 20.0
_CONNECTIONS = 5
_MOST_CONNECTIONS = 10
MOST_SHOWING = 4
"""So many connections at most are in use for what people ask, beside those of the bridge's own work."""
_RETURNED_WITHIN_S = 5.0
_LOOK_EVERY_S = 0.01
_REFUSED = {"22", "23", "42"}
"""Classes of SQLSTATE: values, constraints, statements."""


def open_engine(url: str, *, showing: bool = False) -> AsyncEngine:
    """Open an engine for ``sqlite+aiosqlite:///…`` or ``postgresql+asyncpg://…``; else raises StoreUnavailable.

    One for ``showing`` has few connections: what people ask has to wait for each other, and nothing else for them.
    """
    kept = MOST_SHOWING if showing else _CONNECTIONS
    pool = {
        "pool_size": kept,
        "max_overflow": 0 if showing else _MOST_CONNECTIONS - _CONNECTIONS,
        "pool_timeout": _CONNECT_TIMEOUT_S,
    }
    try:
        parsed = make_url(url)
        if parsed.get_backend_name() == "sqlite":
            in_file = parsed.database and parsed.database != ":memory:"
            if in_file:
                _keep_private(Path(str(parsed.database)))
            engine = create_async_engine(parsed, hide_parameters=True, **(pool if in_file else {}))
            event.listen(engine.sync_engine, "connect", _prepare_sqlite)
            event.listen(engine.sync_engine, "begin", _begin_sqlite)
            event.listen(engine.sync_engine, "invalidate", _roll_back)
        else:
            engine = create_async_engine(
                parsed,
                hide_parameters=True,
                pool_pre_ping=True,
                connect_args={"timeout": _CONNECT_TIMEOUT_S, "command_timeout": _COMMAND_TIMEOUT_S},
                **pool,
            )
    except (ArgumentError, NoSuchModuleError, ModuleNotFoundError, OSError) as error:
        raise StoreUnavailable(f"the database {_safe(url)} cannot be used: {error}") from error
    return engine


def _keep_private(file: Path) -> None:
    """Make the file for its owner only, before SQLite would make it for all; the files beside it get its mode.

    Of one that others may read a warning tells, once. Raises OSError.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.close(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        _warn_if_shared(file)


@cache
def _warn_if_shared(file: Path) -> None:
    with suppress(OSError):
        if file.stat().st_mode & 0o077:
            _log.warning(f"other users may read the database; make it private: chmod 600 {file}*", file=str(file))


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # the driver would begin transactions at moments of its own
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", f"busy_timeout={_BUSY_TIMEOUT_MS}"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    """Take the lock at once if the transaction will write: later would fail if somebody else has written."""
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _roll_back(connection: Any, _record: object, _error: object) -> None:
    """End the transaction whose statement was cancelled: SQLite keeps its lock as long as a cursor on it is left."""
    with suppress(sqlite3.Error):  # the connection is given up in any case
        connection.rollback()


@dataclass(frozen=True, kw_only=True)
class Migration:
    """Tell of a migration: the schema before (None: no tables of the bridge) and now, and what was taken over."""

    before: str | None
    now: str
    acks_taken_over: int = 0
    """Rows of the original system's ``ven_acks``."""
    original_table: str | None = None
    """The name under which that table was kept."""


async def migrate(engine: AsyncEngine) -> Migration:
    """Bring the schema to this version, one process at a time; raises StoreTooNew or StoreUnavailable.

    A ``ven_acks`` of the original system is taken over with its rows, all or nothing.
    """
    with driver_errors(engine):
        async with engine.execution_options(**{_WRITES: True}).begin() as connection:
            if engine.dialect.name == "postgresql":
                await connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK_KEY})"))
            return await connection.run_sync(_upgrade)


def _upgrade(connection: Connection) -> Migration:
    current, newest = _revision(connection), revisions()[-1]
    if current == newest:
        return Migration(before=current, now=newest)
    if current is not None and current not in revisions():
        raise StoreTooNew(
            f"the database has schema {current}, which this version does not know; install the newer version"
        )
    # Only a start that has something to do pays for importing the library.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

    from bridge_mqtt.store import takeover  # noqa: PLC0415

    original = takeover.set_aside(connection) if current is None else None
    configuration = Config()
    configuration.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    configuration.attributes["connection"] = connection
    command.upgrade(configuration, "head")
    copied = 0 if original is None else takeover.copy_rows(connection, original)
    return Migration(before=current, now=newest, acks_taken_over=copied, original_table=original)


@cache
def revisions() -> list[str]:
    """Return the migrations that there are, oldest first: each file's name begins with its revision."""
    return sorted(file.stem.partition("_")[0] for file in (_MIGRATIONS / "versions").glob("[0-9]*.py"))


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    found: str | None = connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()  # noqa: S608 - our name
    return found


async def all_returned(engine: AsyncEngine) -> None:
    """Wait until nobody uses a connection, at most for some seconds: what comes back after the end stays open."""
    pool = engine.pool
    if not isinstance(pool, QueuePool):
        return
    with suppress(TimeoutError):
        async with asyncio.timeout(_RETURNED_WITHIN_S):
            while pool.checkedout():  # noqa: ASYNC110 # the library has no event for it
                await asyncio.sleep(_LOOK_EVERY_S)


@asynccontextmanager
async def transaction(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """Yield a transaction; whatever the driver raises becomes StoreUnavailable, and nothing is stored."""
    with driver_errors(engine):
        async with engine.execution_options(**{_WRITES: True}).begin() as connection:
            yield connection


@contextmanager
def driver_errors(engine: AsyncEngine) -> Iterator[None]:
    """Turn errors of the driver and the network into StoreUnavailable; faults of our own statements pass."""
    try:
        yield
    except DBAPIError as error:
        if _is_ours(error):
            raise
        raise StoreUnavailable(f"the database {_safe(str(engine.url))} cannot be used: {error.orig}") from error
    except PoolExhausted as error:
        raise StoreBusy(f"all connections to the database were in use for {_CONNECT_TIMEOUT_S:g} s") from error
    except (OSError, TimeoutError, SQLAlchemyError) as error:
        raise StoreUnavailable(f"the database {_safe(str(engine.url))} cannot be used: {error}") from error


def _is_ours(error: DBAPIError) -> bool:
    """Return True if the database refuses what it was given: it would refuse it every time.

    The driver for PostgreSQL has no class for values that are refused (SQLSTATE 22), and raises ValueError itself for
    those that do not fit their column.
    """
    if error.connection_invalidated:
        return False
    return (
        type(error).__name__ in {"IntegrityError", "ProgrammingError", "DataError"}
        or (getattr(error.orig, "sqlstate", None) or "")[:2] in _REFUSED
        or isinstance(getattr(error.orig, "__cause__", None), ValueError)
    )


def _safe(url: str) -> str:
    try:
        return make_url(url).render_as_string(hide_password=True)
    except ArgumentError:
        return "of the given URL"
