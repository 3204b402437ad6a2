"""The bare servers that a VTN is compared with. Each does one thing the VTN does too, and nothing else.

``python -m bench.references FILE`` serves what the JSON file says: ready answers, a handler that only decodes, one that
inserts per request, and a loop that reads one page of texts from the database.
"""

from __future__ import annotations

import asyncio
import itertools
import sys
import time
import uuid
from pathlib import Path
from typing import Protocol, TypeVar

import aiosqlite
import asyncpg
import msgspec
import uvloop
from aiohttp import web

from bench.documents import SEEN_EVENTS
from openadr_profiles.v31 import EventRequest, ReportRequest, decode

T = TypeVar("T")

_POOL = 10
_TABLES = (
    "DROP TABLE IF EXISTS bench_objects",
    "DROP TABLE IF EXISTS bench_page",
    """CREATE TABLE bench_objects (id TEXT PRIMARY KEY, created_at TEXT NOT NULL, parent_id TEXT NOT NULL,
    client_id TEXT NOT NULL, members TEXT NOT NULL)""",
    "CREATE INDEX bench_objects_parent ON bench_objects (parent_id, created_at, id)",
    "CREATE INDEX bench_objects_client ON bench_objects (client_id, created_at, id)",
    "CREATE TABLE bench_page (id INTEGER PRIMARY KEY, body TEXT NOT NULL)",
)
_INSERT = "INSERT INTO bench_objects VALUES ({})"
_PAGE = f"SELECT body FROM bench_page ORDER BY id DESC LIMIT {SEEN_EVENTS}"


class ReadyAnswer(msgspec.Struct, frozen=True):
    """A body that is in ``file`` and answered as it is; None: no body."""

    path: str
    status: int
    file: str | None = None
    content_type: str = "application/json"
    content_encoding: str | None = None


class Config(msgspec.Struct, frozen=True):
    """Settings of the process. ``database``: ``postgresql://…`` or a path of SQLite; ``page``: a file of texts."""

    port: int
    answers: tuple[ReadyAnswer, ...] = ()
    database: str | None = None
    page: str | None = None


class ReadRun(msgspec.Struct, frozen=True):
    """The result of the reading loop."""

    seconds: float
    latencies_s: list[float]


class Rows(Protocol):
    """A database driver, used as directly as it allows."""

    async def insert(self, parent_id: str, client_id: str, members: str) -> None:
        """Insert one row in a transaction of its own, committed before this returns."""

    async def insert_at_once(self, parent_id: str, client_id: str, members: str) -> None:
        """Do the same with a single statement, which is its own transaction: one round trip instead of three."""

    async def page(self) -> list[str]:
        """Return the texts of one page."""


class PostgresRows:
    """asyncpg with a pool as large as the VTN's."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self._insert = _INSERT.format("$1, $2, $3, $4, $5")

    @staticmethod
    async def connect(url: str, texts: list[str]) -> PostgresRows:
        pool = await asyncpg.create_pool(url, min_size=_POOL, max_size=_POOL)
        for statement in _TABLES:
            await pool.execute(statement)
        await pool.executemany("INSERT INTO bench_page VALUES ($1, $2)", list(enumerate(texts)))
        return PostgresRows(pool)

    async def insert(self, parent_id: str, client_id: str, members: str) -> None:
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.execute(self._insert, *_row(parent_id, client_id, members))

    async def insert_at_once(self, parent_id: str, client_id: str, members: str) -> None:
        await self._pool.execute(self._insert, *_row(parent_id, client_id, members))

    async def page(self) -> list[str]:
        return [row[0] for row in await self._pool.fetch(_PAGE)]


class SqliteRows:
    """One connection that writes and reads, in WAL mode, every commit on disk."""

    def __init__(self, connection: aiosqlite.Connection) -> None:
        self._connection = connection
        self._turn = asyncio.Lock()
        self._insert = _INSERT.format("?, ?, ?, ?, ?")

    @staticmethod
    async def connect(file: str, texts: list[str]) -> SqliteRows:
        connection = await aiosqlite.connect(file, isolation_level=None)
        for statement in ("PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL", *_TABLES):
            await connection.execute(statement)
        await connection.executemany("INSERT INTO bench_page VALUES (?, ?)", enumerate(texts))
        return SqliteRows(connection)

    async def insert(self, parent_id: str, client_id: str, members: str) -> None:
        async with self._turn:
            await self._connection.execute("BEGIN IMMEDIATE")
            await self._connection.execute(self._insert, _row(parent_id, client_id, members))
            await self._connection.execute("COMMIT")

    async def insert_at_once(self, parent_id: str, client_id: str, members: str) -> None:
        await self._connection.execute_insert(self._insert, _row(parent_id, client_id, members))

    async def page(self) -> list[str]:
        return [row[0] for row in await self._connection.execute_fetchall(_PAGE)]


def _row(parent_id: str, client_id: str, members: str) -> tuple[str, ...]:
    return str(uuid.uuid4()), f"{time.time():.6f}", parent_id, client_id, members


def _ready(answer: ReadyAnswer) -> web.AbstractRouteDef:
    body = None if answer.file is None else Path(answer.file).read_bytes()
    headers = {} if answer.content_encoding is None else {"Content-Encoding": answer.content_encoding}

    async def handle(_: web.Request) -> web.Response:
        return web.Response(body=body, status=answer.status, content_type=answer.content_type, headers=headers)

    return web.get(answer.path, handle)


async def _decode_report(request: web.Request) -> web.Response:
    raw, _ = await _decoded(request, ReportRequest)
    return _created(raw)


async def _decoded(request: web.Request, type_: type[T]) -> tuple[bytes, T]:
    raw = await request.read()
    return raw, decode(raw, type_)


def _created(raw: bytes) -> web.Response:
    return web.Response(body=raw, status=201, content_type="application/json")


def _inserting(rows: Rows) -> list[web.AbstractRouteDef]:
    async def insert_report(request: web.Request) -> web.Response:
        raw, report = await _decoded(request, ReportRequest)
        await rows.insert(report.event_id, report.client_name, raw.decode())
        return _created(raw)

    async def insert_report_at_once(request: web.Request) -> web.Response:
        raw, report = await _decoded(request, ReportRequest)
        await rows.insert_at_once(report.event_id, report.client_name, raw.decode())
        return _created(raw)

    async def insert_event(request: web.Request) -> web.Response:
        raw, event = await _decoded(request, EventRequest)
        await rows.insert(event.program_id, "bl", raw.decode())
        return _created(raw)

    async def read(request: web.Request) -> web.Response:
        seconds, tasks = float(request.query["seconds"]), int(request.query["tasks"])
        run = await _read_for(rows, seconds, tasks)
        return web.Response(body=msgspec.json.encode(run), content_type="application/json")

    return [
        web.post("/insert/reports", insert_report),
        web.post("/insert-at-once/reports", insert_report_at_once),
        web.post("/insert/events", insert_event),
        web.get("/read", read),
    ]


async def _read_for(rows: Rows, seconds: float, tasks: int) -> ReadRun:
    """Read pages in ``tasks`` loops at once; no HTTP is involved."""
    latencies: list[float] = []
    deadline = time.perf_counter() + seconds

    async def loop() -> None:
        for _ in itertools.count():
            started = time.perf_counter()
            await rows.page()
            now = time.perf_counter()
            if now > deadline:
                return
            latencies.append(now - started)

    await asyncio.gather(*(loop() for _ in range(tasks)))
    return ReadRun(seconds, latencies)


async def _serve(config: Config, texts: list[str]) -> None:
    app = web.Application()
    app.add_routes([*map(_ready, config.answers), web.post("/decode/reports", _decode_report)])
    if config.database is not None:
        kind = PostgresRows if config.database.startswith("postgresql:") else SqliteRows
        app.add_routes(_inserting(await kind.connect(config.database, texts)))
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", config.port, backlog=1024).start()
    await asyncio.Event().wait()


def _main(file: Path) -> None:
    config = msgspec.json.decode(file.read_bytes(), type=Config)
    texts = [] if config.page is None else msgspec.json.decode(Path(config.page).read_bytes(), type=list[str])
    uvloop.run(_serve(config, texts))


if __name__ == "__main__":
    _main(Path(sys.argv[1]))
