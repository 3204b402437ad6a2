"""Processes that are killed and databases that go away while notifications are delivered: nothing is lost."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from aiohttp import web
from sqlalchemy import select

from bench.support.net import free_port
from bench.support.postgres import PostgresServer
from bench.support.processes import ServerProcess
from tests.support.running import running
from tests.support.waiting import wait_until
from tests.vtn.conftest import settings_for
from tests.vtn.harness import Moment, VtnUnderTest
from tests.vtn.subscriber import Subscriber
from tests.vtn.test_webhooks import subscribe
from vtn.store.tables import deliveries, endpoints

LAB = {"require_https": False, "allow_private_addresses": True, "verify_echo": False}


class RealTime(Moment):
    """The time of this machine, which processes that are started have, too."""

    def __call__(self) -> datetime:
        """Return now."""
        return datetime.now(UTC)


@asynccontextmanager
async def serving(url: str, *, dispatch: bool) -> AsyncIterator[VtnUnderTest]:
    """A server in this process."""
    notify = {"dispatch": dispatch, "first_retry_s": 0.1, "longest_retry_s": 0.2}
    vtn = VtnUnderTest(settings_for(url, webhook=LAB, notify=notify), RealTime())
    await vtn.start()
    try:
        yield vtn
    finally:
        await vtn.stop()


@asynccontextmanager
async def listening() -> AsyncIterator[Subscriber]:
    """A receiver without TLS."""
    subscriber = Subscriber()
    await subscriber.start()
    try:
        yield subscriber
    finally:
        await subscriber.stop()


@contextmanager
def process(url: str, folder: Path) -> Iterator[ServerProcess]:
    """A server of its own, which delivers."""
    config = folder / "vtn.toml"
    config.write_text(
        f'port = {free_port()}\n[database]\nurl = "{url}"\n'
        "[webhook]\nrequire_https = false\nallow_private_addresses = true\nverify_echo = false\n"
        "[notify]\nlease_s = 1\n"
    )
    config.chmod(0o600)
    log = folder / "process.log"
    command = [sys.executable, "-m", "oadr", "vtn", "run", "--config", str(config)]
    server = ServerProcess(command, log=log, ready=lambda: "VTN started" in log.read_text())
    try:
        yield server
    finally:
        server.stop(signal.SIGKILL)


async def all_delivered(vtn: VtnUnderTest) -> bool:
    """Return True if every delivery is recorded as made, and nobody holds an endpoint."""
    made = [row["outcome"] for row in await vtn.server._database.rows(select(deliveries.c.outcome))]
    held = [row["leased_by"] for row in await vtn.server._database.rows(select(endpoints.c.leased_by))]
    return bool(made) and set(made) == {"DELIVERED"} and set(held) == {None}


async def test_a_killed_dispatcher_loses_nothing(migrated_url: str, tmp_path: Path) -> None:
    """WEBHOOK-022, WEBHOOK-032: kill -9 between delivery and record; what comes twice has one id, and order holds."""
    async with serving(migrated_url, dispatch=False) as vtn, listening() as receiver:
        await subscribe(vtn.bl, receiver, "PROGRAM")
        programs = [await vtn.bl.program() for _ in range(6)]
        with process(migrated_url, tmp_path) as server:
            take, killed = receiver.answering, asyncio.Event()

            async def kill(request: web.Request) -> web.StreamResponse:
                answer = await take(request)
                if len(receiver.got) == 3:
                    receiver.answering = take
                    assert server.pid is not None
                    os.kill(server.pid, signal.SIGKILL)
                    killed.set()
                return answer

            receiver.answering = kill
            await asyncio.to_thread(server.start)
            await asyncio.wait_for(killed.wait(), 60)
            await asyncio.to_thread(server.stop)
            await asyncio.to_thread(server.start)
            await wait_until(lambda: all_delivered(vtn))
    ids = [one["object"]["id"] for one in receiver.got]
    assert list(dict.fromkeys(ids)) == [program["id"] for program in programs]
    assert ids.count(programs[2]["id"]) == 2
    by_request = {(one["X-Request-ID"], id_) for one, id_ in zip(receiver.headers, ids, strict=True)}
    assert len(by_request) == len(programs)


async def test_a_database_that_goes_away_loses_nothing(postgres: PostgresServer, postgresql_template: str) -> None:
    """WEBHOOK-022: what was delivered meanwhile is recorded afterwards, once, and the rest follows."""
    url = postgres.url(postgres.create_database(template=postgresql_template))
    async with serving(url, dispatch=True) as vtn, listening() as receiver:
        take = receiver.answering
        stopped = asyncio.Event()

        async def stop(request: web.Request) -> web.StreamResponse:
            answer = await take(request)
            if len(receiver.got) == 2:
                await asyncio.to_thread(postgres.crash)
                stopped.set()
            return answer

        receiver.answering = stop
        await subscribe(vtn.bl, receiver, "PROGRAM")
        programs = [await vtn.bl.program() for _ in range(2)]
        await asyncio.wait_for(stopped.wait(), 60)
        receiver.answering = take
        await asyncio.to_thread(postgres.start)
        await wait_until(lambda: is_stored(vtn), what="a program is stored again")
        await wait_until(lambda: all_delivered(vtn))
    ids = [one["object"]["id"] for one in receiver.got]
    assert ids[:2] == [program["id"] for program in programs]
    assert len(set(ids)) == 3
    assert len({one["X-Request-ID"] for one in receiver.headers}) == 3


async def is_stored(vtn: VtnUnderTest) -> bool:
    """Store a program if that is possible now."""
    answer = await vtn.bl.post("/programs", {"programName": "after the crash"})
    assert answer.status in {201, 409, 503}
    return answer.status != 503


async def test_dispatchers_that_come_and_go_deliver_everything(migrated_url: str) -> None:
    """Several at once, each stopped and replaced: every change at least once, in order for each receiver."""
    async with serving(migrated_url, dispatch=False) as vtn, listening() as one, listening() as two:
        for receiver in (one, two):
            await subscribe(vtn.bl, receiver, "PROGRAM")
        made: list[str] = []

        async def write() -> None:
            while len(made) < 30:
                made.append((await vtn.bl.program())["id"])

        def goes_on(seen: int) -> bool:
            return writing.done() or len(one.got) + len(two.got) > seen

        async with running(write()) as writing:
            while not writing.done():
                async with serving(migrated_url, dispatch=True), serving(migrated_url, dispatch=True):
                    await wait_until(partial(goes_on, len(one.got) + len(two.got) + 1))
            await writing
        async with serving(migrated_url, dispatch=True):
            await wait_until(lambda: all_delivered(vtn))
    for receiver in (one, two):
        assert list(dict.fromkeys(got["object"]["id"] for got in receiver.got)) == made
