"""A database that goes away and comes back: requests are answered 503, and nothing that was answered 201 is lost."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import QueuePool, make_url

from bench.support.postgres import PostgresServer
from openadr_profiles.v31 import EventRequest, decode
from tests.support.waiting import wait_until
from tests.vtn.conftest import StartVtn, settings_for
from tests.vtn.harness import VtnUnderTest, unique
from tests.vtn.outbox import with_mqtt
from vtn.access import Caller, Role
from vtn.errors import DatabaseUnreachable, StartFailed
from vtn.settings import DatabaseSettings
from vtn.store.engine import AsyncConnection
from vtn.store.event import EventStore
from vtn.store.outbox.notes import Notes
from vtn.store.postgresql import PostgresConnections
from vtn.store.sqlite import SqliteConnections
from vtn.store.visibility import Visibility


async def a_server(url: str, **database: Any) -> VtnUnderTest:
    """A server of one's own."""
    vtn = VtnUnderTest(settings_for(url, database=database))
    await vtn.start()
    return vtn


@pytest.mark.parametrize("way", ["stop", "crash"])
async def test_the_server_outlives_a_restart_of_its_database(
    postgres: PostgresServer, postgresql_template: str, way: str
) -> None:
    """Requests that need the database get 503 meanwhile, /health 200, /ready 503; afterwards all is as before."""
    vtn = await a_server(postgres.url(postgres.create_database(template=postgresql_template)), timeout_s=2)
    bl, home = vtn.bl, vtn.home()
    program = await bl.program()
    event = await bl.event(program)
    client = await vtn.server.clients.add(unique("client"), Role.VEN)
    # Several connections are open when the database goes.
    await asyncio.gather(*(bl.get("/programs") for _ in range(8)))

    await asyncio.to_thread(getattr(postgres, way))
    form = {"grant_type": "client_credentials", "client_id": client.client_id, "client_secret": client.secret}
    for number in range(2):
        for answer in (
            await bl.get("/programs", {"limit": str(number)} if number else {"skip": "1"}),  # asked for the first time
            await home.get(f"/events/{event['id']}"),
            await bl.post("/programs", {"programName": "lost"}),
            await home.post("/reports", {"eventID": event["id"], "clientName": "c", "resources": []}),
            await bl.put(f"/programs/{program['id']}", {"programName": "lost"}),
            await bl.delete(f"/events/{event['id']}"),
            await vtn.ask("GET", f"{vtn.origin}/ready"),
        ):
            answer.problem(503)
            assert int(answer.headers["Retry-After"]) > 0
    assert (await vtn.ask("POST", f"{vtn.base_url}/auth/token", form=form)).status == 503
    (await vtn.ask("GET", f"{vtn.origin}/health")).ok()

    await asyncio.to_thread(postgres.start)
    assert (await bl.get("/programs")).ok() == [program]
    await home.report(event)
    (await vtn.ask("POST", f"{vtn.base_url}/auth/token", form=form)).ok()
    (await vtn.ask("GET", f"{vtn.origin}/ready")).ok()
    await vtn.stop()


async def test_nothing_that_was_answered_is_lost_when_the_database_crashes(
    postgres: PostgresServer, postgresql_template: str
) -> None:
    """REPORT-001: 201 only after the commit. What was answered is there afterwards; what was not may be."""
    vtn = await a_server(postgres.url(postgres.create_database(template=postgresql_template)), timeout_s=2)
    home = vtn.home()
    event = await vtn.bl.event(await vtn.bl.program())
    kept: set[str] = set()
    stopped = asyncio.Event()

    async def report() -> None:
        while not stopped.is_set():
            answer = await home.post("/reports", {"eventID": event["id"], "clientName": "c", "resources": []})
            if answer.status == 201:
                kept.add(answer.body["id"])
            else:
                answer.problem(503)

    reporters = [asyncio.create_task(report()) for _ in range(8)]
    await wait_until(lambda: len(kept) > 100)
    await asyncio.to_thread(postgres.crash)
    stopped.set()
    await asyncio.gather(*reporters)
    await asyncio.to_thread(postgres.start)

    found: set[str] = set()
    while page := await home.ids("/reports", {"skip": str(len(found))}):
        found |= set(page)
    assert kept <= found
    await vtn.stop()


async def test_a_sqlite_file_that_somebody_holds_does_not_stop_readers(sqlite_template: Path, tmp_path: Path) -> None:
    """Writers wait their time and are then told to come back; reading goes on; afterwards all is as before."""
    path = shutil.copy(sqlite_template, tmp_path / "vtn.sqlite3")
    vtn = await a_server(f"sqlite:///{path}", timeout_s=0.2)
    program = await vtn.bl.program()

    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    (await vtn.bl.post("/programs", {"programName": "waits"})).problem(503)
    assert (await vtn.bl.get("/programs")).ok() == [program]
    holder.execute("ROLLBACK")
    holder.close()

    await vtn.bl.program(programName="waits")
    await vtn.stop()


async def test_a_server_that_was_killed_starts_again_with_everything(sqlite_template: Path, tmp_path: Path) -> None:
    """A copy of the files under a running server is what a sudden end leaves behind (WAL, synchronous FULL)."""
    path = shutil.copy(sqlite_template, tmp_path / "vtn.sqlite3")
    first = await a_server(f"sqlite:///{path}")
    home = first.home()
    event = await first.bl.event(await first.bl.program())
    report = await home.report(event)
    left_behind = tmp_path / "later"
    left_behind.mkdir()
    for name in ("vtn.sqlite3", "vtn.sqlite3-wal", "vtn.sqlite3.key"):
        shutil.copy(tmp_path / name, left_behind / name)

    second = await a_server(f"sqlite:///{left_behind / 'vtn.sqlite3'}")
    again = second.with_token(home.headers["Authorization"].removeprefix("Bearer "))
    assert (await again.get("/events")).ok() == [event]
    assert (await again.get("/reports")).ok() == [report]
    await first.stop()
    await second.stop()


async def test_a_server_does_not_start_without_its_database(postgres: PostgresServer, tmp_path: Path) -> None:
    """The message names the database, never its password; the port is free again."""
    url = postgres.url().replace("postgres@", "postgres:geheim@")
    await asyncio.to_thread(postgres.stop)

    with pytest.raises(DatabaseUnreachable, match=r"cannot reach the database postgresql.*:") as refusal:
        await a_server(url)
    assert "geheim" not in str(refusal.value)
    with pytest.raises(StartFailed, match=r"missing/vtn\.sqlite3"):
        await a_server(f"sqlite:///{tmp_path}/missing/vtn.sqlite3")
    (tmp_path / "text.sqlite3").write_text("this is no database, but a text that is longer than a header would be")
    with pytest.raises(DatabaseUnreachable, match="not a database"):
        await a_server(f"sqlite:///{tmp_path}/text.sqlite3")


async def test_who_waits_too_long_for_a_connection_is_told(postgres: PostgresServer, postgresql_template: str) -> None:
    """The setting `database.timeout_s`: nobody queues for ever behind statements that do not end; later all is well."""
    vtn = await a_server(
        postgres.url(postgres.create_database(template=postgresql_template)), timeout_s=0.3, pool_size=1
    )
    connections = vtn.server._database._connections
    assert isinstance(connections, PostgresConnections)
    reads = connections.single
    assert (await vtn.bl.get("/events")).ok() == []
    only = await reads._pool.acquire()

    (await vtn.bl.get("/events?targets=another-question")).problem(503)

    await reads._pool.release(only)
    assert (await vtn.bl.get("/events?targets=another-question")).ok() == []
    await vtn.stop()


async def test_a_write_that_is_given_up_holds_up_nobody(start_vtn: StartVtn, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever is cancelled in the middle of a change leaves no lock behind, wherever it was: the next write goes on.

    The first one is given up for certain when its transaction is open, the others somewhere.
    """
    vtn = await start_vtn(database={"timeout_s": 60})
    event = await vtn.bl.event(await vtn.bl.program())
    await with_mqtt(vtn)
    database, stamps, privacy = vtn.server._database, vtn.server._stamps, vtn.server.settings.privacy
    store = EventStore(database, stamps, Notes(database, stamps, privacy), Visibility(database, privacy))
    caller = Caller("bl", Role.BL, frozenset())
    changed = decode(f'{{"programID": "{event["programID"]}", "intervals": [], "targets": ["t"]}}', EventRequest)
    write, inside, is_open, cut_off = database.write, set[AsyncConnection](), asyncio.Event(), 0

    @asynccontextmanager
    async def watched() -> AsyncIterator[AsyncConnection]:
        async with write() as connection:
            inside.add(connection)
            is_open.set()
            try:
                yield connection
            finally:
                inside.remove(connection)

    monkeypatch.setattr(database, "write", watched)
    for number in range(80):
        given_up = asyncio.create_task(store.replace(event["id"], changed, by=caller))
        await (asyncio.sleep(number * 0.0003) if number else asyncio.wait_for(is_open.wait(), 30))
        in_the_middle = bool(inside)
        given_up.cancel()
        try:
            await given_up
        except asyncio.CancelledError:
            cut_off += in_the_middle

        async with asyncio.timeout(30):  # the database would be waited for twice as long
            await store.replace(event["id"], changed, by=caller)
    assert cut_off > 0


async def test_a_connection_to_a_file_in_use_is_waited_for_at_the_end(tmp_path: Path) -> None:
    """Whoever is left behind gives it back a moment later: what comes back to a closed pool would stay open."""
    engine = SqliteConnections(make_url(f"sqlite+aiosqlite:///{tmp_path / 'vtn.sqlite3'}"), DatabaseSettings()).writer
    taken, free = asyncio.Event(), asyncio.Event()

    async def use() -> None:
        async with engine.connect():
            taken.set()
            await free.wait()

    user = asyncio.create_task(use())
    await taken.wait()
    pool = engine.sync_engine.pool
    closing = asyncio.create_task(engine.dispose())
    await asyncio.sleep(0)
    assert not closing.done()
    free.set()
    await asyncio.gather(user, closing)
    assert isinstance(pool, QueuePool)
    assert pool.checkedin() == 0
