"""A database that is taken over, taken away, stopped in the middle or full: 503 at once, and recovery needs nobody."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from bench.support.postgres import PostgresServer
from tests.support.waiting import wait_until
from tests.vtn.conftest import settings_for
from tests.vtn.harness import VtnUnderTest
from vtn.errors import DatabaseUnreachable


@asynccontextmanager
async def a_server(url: str, **database: Any) -> AsyncIterator[VtnUnderTest]:
    """A server of one's own."""
    vtn = VtnUnderTest(settings_for(url, database=database))
    await vtn.start()
    try:
        yield vtn
    finally:
        await vtn.stop()


async def is_ready(vtn: VtnUnderTest) -> bool:
    """Return True if `/ready` answers 200."""
    return (await vtn.ask("GET", f"{vtn.origin}/ready")).status == 200


@pytest.mark.parametrize("revived", [True, False])
async def test_a_read_only_database_is_503_until_it_can_be_written(
    postgres: PostgresServer, postgresql_template: str, revived: bool
) -> None:
    """After a failover connections lead to a standby: reading goes on, writing is 503, and `/ready` says so.

    ``revived`` the server that was left by its clients is the one that can be written again; else old connections stay
    read-only for ever, and new ones are not.
    """
    name = postgres.create_database(template=postgresql_template)
    async with a_server(postgres.url(name)) as vtn:
        program = await vtn.bl.program()
        event = await vtn.bl.event(program)
        home = vtn.home()
        await home.report(event)
        assert await is_ready(vtn)
        postgres.query(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
        ours = f"FROM pg_stat_activity WHERE datname = '{name}'"
        postgres.query(f"SELECT pg_terminate_backend(pid) {ours}")
        await wait_until(lambda: _status_is(vtn, "/ready", 503), what="not ready")

        for answer in (
            await vtn.bl.post("/programs", {"programName": "lost"}),
            await vtn.bl.put(f"/programs/{program['id']}", {"programName": "lost"}),
            await vtn.bl.delete(f"/events/{event['id']}"),
            await home.post("/reports", {"eventID": event["id"], "clientName": "c", "resources": []}),
        ):
            assert "accepts no writes" in answer.problem(503)
            assert int(answer.headers["Retry-After"]) > 0
        assert (await vtn.bl.get("/programs")).ok() == [program]
        assert "accepts no writes" in (await vtn.ask("GET", f"{vtn.origin}/ready")).problem(503)

        postgres.query(f'ALTER DATABASE "{name}" RESET default_transaction_read_only')
        if revived:
            postgres.query(f"SELECT pg_terminate_backend(pid) {ours}")
        await wait_until(lambda: is_ready(vtn), what="ready")
        await wait_until(lambda: _is_made(vtn, "kept"), what="a program is stored again")
        await wait_until(lambda: _is_reported(vtn, event), what="a report is stored again")


async def test_a_database_that_is_dropped_is_503(postgres: PostgresServer, postgresql_template: str) -> None:
    """SQLSTATE 3D000: at start too, with the exit code of a database that cannot be reached."""
    name = postgres.create_database(template=postgresql_template)
    async with a_server(postgres.url(name)) as vtn:
        await vtn.bl.program()
        postgres.drop_database(name)
        await wait_until(lambda: _status_is(vtn, "/ready", 503), what="not ready")

        for answer in (await vtn.bl.post("/programs", {"programName": "x"}), await vtn.bl.get("/programs?limit=7")):
            answer.problem(503)
            assert int(answer.headers["Retry-After"]) > 0
        with pytest.raises(DatabaseUnreachable, match="does not exist"):
            await VtnUnderTest(settings_for(postgres.url(name))).start()

        postgres.query(f'CREATE DATABASE "{name}" TEMPLATE "{postgresql_template}"')
        await wait_until(lambda: is_ready(vtn), what="ready")
        await wait_until(lambda: _is_made(vtn, "kept"), what="a program is stored again")


async def test_a_database_that_hangs_is_503_at_once(postgres: PostgresServer, postgresql_template: str) -> None:
    """Once it is known nobody waits for `database.timeout_s`, which is longer here than the whole test may take."""
    url = postgres.url(postgres.create_database(template=postgresql_template))
    async with a_server(url, timeout_s=300) as vtn:
        bl = vtn.bl
        await bl.program()
        server = psutil.Process(postgres.pid)
        processes = [server, *server.children(recursive=True)]
        for process in processes:
            process.suspend()
        try:
            async with asyncio.timeout(60):
                (await vtn.ask("GET", f"{vtn.origin}/ready")).problem(503)
                await wait_until(vtn.server._database._hangs, what="the database is known to hang")
                for answer in await asyncio.gather(
                    *(bl.post("/programs", {"programName": f"lost {number}"}) for number in range(20)),
                    *(bl.get("/programs", {"skip": f"{number + 1}"}) for number in range(20)),
                ):
                    answer.problem(503)
                    assert int(answer.headers["Retry-After"]) > 0
        finally:
            for process in processes:
                process.resume()
        await wait_until(lambda: is_ready(vtn), what="ready")
        await wait_until(lambda: _is_made(vtn, "kept"), what="a program is stored again")


async def test_a_full_disk_is_said_and_nothing_is_lost(sqlite_template: Path, tmp_path: Path) -> None:
    """The text says what is the matter, and so does `/ready`, until there is room again."""
    path = shutil.copy(sqlite_template, tmp_path / "vtn.sqlite3")
    async with a_server(f"sqlite:///{path}") as vtn:
        program = await vtn.bl.program()
        event = await vtn.bl.event(program)
        assert await is_ready(vtn)
        await _let_grow(vtn, "(SELECT page_count FROM pragma_page_count)")
        large = {"programName": "large", "targets": [f"a target of {number:100}" for number in range(1000)]}
        payload = {"type": "READING", "values": ["x" * 100_000]}
        measured = {"resourceName": "r", "intervals": [{"id": 0, "payloads": [payload]}]}
        report = {"eventID": event["id"], "clientName": "c", "resources": [measured]}

        for answer in (await vtn.bl.post("/programs", large), await vtn.home().post("/reports", report)):
            assert "disk of the database is full" in answer.problem(503)
        assert (await vtn.bl.get("/programs")).ok() == [program]
        for _ in range(2):
            assert "disk of the database is full" in (await vtn.ask("GET", f"{vtn.origin}/ready")).problem(503)

        await _let_grow(vtn, "1000000")
        await wait_until(lambda: is_ready(vtn))
        await vtn.bl.program(programName="kept")


async def test_a_file_that_cannot_be_written_is_not_ready(sqlite_template: Path, tmp_path: Path) -> None:
    """A file system that was mounted again read-only: after the first write that fails `/ready` says so."""
    path = shutil.copy(sqlite_template, tmp_path / "vtn.sqlite3")
    async with a_server(f"sqlite:///{path}") as vtn:
        await _on_writer(vtn, "PRAGMA query_only = 1")
        assert "accepts no writes" in (await vtn.bl.post("/programs", {"programName": "x"})).problem(503)
        assert not await is_ready(vtn)

        await _on_writer(vtn, "PRAGMA query_only = 0")
        assert await is_ready(vtn)
        await vtn.bl.program(programName="kept")


async def _status_is(vtn: VtnUnderTest, path: str, status: int) -> bool:
    return (await vtn.ask("GET", vtn.origin + path)).status == status


async def _is_made(vtn: VtnUnderTest, name: str) -> bool:
    answer = await vtn.bl.post("/programs", {"programName": name})
    assert answer.status in {201, 409, 503}
    return answer.status != 503


async def _is_reported(vtn: VtnUnderTest, event: Any) -> bool:
    report = {"eventID": event["id"], "clientName": "c", "resources": []}
    answer = await vtn.home().post("/reports", report)
    assert answer.status in {201, 503}
    return answer.status == 201


async def _let_grow(vtn: VtnUnderTest, pages: str) -> None:
    """Say to SQLite how many pages there may be; beyond them it says that the disk is full."""
    async with vtn.server._database._connections.writer.driver() as driver:
        if not pages.isdecimal():
            ((pages,),) = await driver.execute_fetchall(f"SELECT * FROM {pages}")
        await driver.execute_fetchall(f"PRAGMA max_page_count = {pages}")


async def _on_writer(vtn: VtnUnderTest, pragma: str) -> None:
    async with vtn.server._database._connections.writer.driver() as driver:
        await driver.execute_fetchall(pragma)
