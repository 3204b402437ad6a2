"""Databases for a run: a PostgreSQL server of its own that waits for the disk, or SQLite files."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import count
from pathlib import Path
from typing import Final, Protocol

import psutil

from bench.support.postgres import PostgresServer

_DURABLE: Final = (
    "fsync=on",
    "synchronous_commit=on",
    "full_page_writes=on",
    "max_connections=200",
    "shared_buffers=256MB",
    "max_wal_size=4GB",
    "unix_socket_directories=",
)


class Databases(Protocol):
    """Makes empty databases; ``name`` is PostgreSQL or SQLite with its version."""

    name: str

    def create(self) -> str:
        """Return the URL of a new one: ``postgresql://…`` or ``sqlite:////file``."""

    def settle(self, url: str) -> None:
        """Bring statistics up to date after many rows were written at once."""


class Postgres:
    """The PostgreSQL of the Python package, with the memory of a small server and nothing that makes it forget."""

    def __init__(self, server: PostgresServer) -> None:
        self._server = server
        self.name = f"PostgreSQL {server.query('SHOW server_version')}"

    def create(self) -> str:
        return self._server.url(self._server.create_database()).replace("+asyncpg", "")

    def settle(self, url: str) -> None:
        database = url.rpartition("/")[2]
        self._server.query("VACUUM ANALYZE", database=database)
        self._server.query("CHECKPOINT", database=database)


class Sqlite:
    """Files in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers = count(1)
        self.name = f"SQLite {sqlite3.sqlite_version}"

    def create(self) -> str:
        return f"sqlite:///{self._folder / f'bench-{next(self._numbers)}.sqlite3'}"

    def settle(self, url: str) -> None:
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection, connection:
            connection.execute("ANALYZE")


@contextmanager
def databases(kind: str, cores: frozenset[int]) -> Iterator[Databases]:
    """``postgresql`` or ``sqlite`` for the time of the block, in a folder that is removed afterwards.

    PostgreSQL runs on ``cores``, so that its work is not taken for the server's.
    """
    folder = Path(tempfile.mkdtemp(prefix="oadr-bench-"))
    try:
        if kind == "sqlite":
            yield Sqlite(folder)
            return
        server = PostgresServer(folder, settings=_DURABLE)
        server.start()
        try:
            _pin(server.pid, cores)
            yield Postgres(server)
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _pin(pid: int | None, cores: frozenset[int]) -> None:
    """Pin a process to cores; processes it starts later inherit that."""
    for process in (psutil.Process(pid), *psutil.Process(pid).children(recursive=True)):
        os.sched_setaffinity(process.pid, cores)
