"""`oadr vtn dispatch`: processes that deliver notifications and serve nothing."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest
import pytest_asyncio
from aiohttp import web
from sqlalchemy import select
from typer.testing import CliRunner

from oadr.commands.vtn import app
from oadr.errors import Exit
from tests.support.waiting import wait_until
from tests.vtn.conftest import StartVtn
from tests.vtn.harness import VtnUnderTest
from tests.vtn.outbox import LAB, subscribe
from tests.vtn.receiver import Receiver
from vtn.dispatching import DeliveryProcess
from vtn.errors import BadCertificate
from vtn.notification_settings import Mqtt
from vtn.settings import DatabaseSettings, Settings
from vtn.store.tables import endpoints

Start: TypeAlias = Callable[[], Awaitable[asyncio.subprocess.Process]]


@pytest_asyncio.fixture(loop_scope="session")
async def lab(start_vtn: StartVtn) -> VtnUnderTest:
    """A VTN that delivers nothing itself, with subscribers on this machine."""
    return await start_vtn(webhook=LAB)


@pytest_asyncio.fixture(loop_scope="session")
async def start(lab: VtnUnderTest) -> AsyncIterator[Start]:
    """Starts dispatchers for the VTN's database; ends those that are left."""
    started: list[asyncio.subprocess.Process] = []
    settings = {
        "DATABASE__URL": lab.server.settings.database.url.get_secret_value(),
        "NOTIFY__LEASE_S": "1",
        "NOTIFY__PENDING_HOURS": "8760",  # the test's clock is behind
    } | {f"WEBHOOK__{name.upper()}": str(value).lower() for name, value in LAB.items()}

    async def begin() -> asyncio.subprocess.Process:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "oadr", "vtn", "dispatch"),
            env=os.environ | {f"OADR_VTN_{name}": value for name, value in settings.items()},
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        started.append(process)
        return process

    yield begin
    for process in started:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def leased_by(vtn: VtnUnderTest) -> int | None:
    """Return the id of the process that delivers to the only endpoint; None while nobody does."""
    (row,) = await vtn.server._database.rows(select(endpoints.c.leased_by))
    return None if row["leased_by"] is None else int(row["leased_by"].split(":")[1])


async def test_processes_share_the_deliveries_and_take_over_from_one_that_was_killed(
    lab: VtnUnderTest, start: Start
) -> None:
    """Each notification of an object comes in order; nothing is lost, and SIGTERM ends a process in order."""
    receiver = Receiver()
    got: list[Any] = []

    async def take(request: web.Request) -> web.StreamResponse:
        got.append((await request.json())["object"]["programName"])
        return web.Response()

    hangs, release = asyncio.Event(), asyncio.Event()

    async def hang(request: web.Request) -> web.StreamResponse:
        hangs.set()
        await release.wait()
        return await take(request)

    receiver.answering = take
    await receiver.start()
    try:
        await subscribe(lab.bl, objects=["PROGRAM"], operations=("CREATE",), url=receiver.url)
        first, second = await start(), await start()
        names = [(await lab.bl.program())["programName"] for _ in range(10)]
        await wait_until(lambda: set(got) == set(names))
        assert list(dict.fromkeys(got)) == names

        receiver.answering = hang
        names += [(await lab.bl.program())["programName"] for _ in range(10)]
        await asyncio.wait_for(hangs.wait(), 60)
        delivers = await wait_until(lambda: leased_by(lab))
        killed, other = (first, second) if first.pid == delivers else (second, first)
        assert killed.pid == delivers
        killed.send_signal(signal.SIGKILL)
        await killed.wait()
        receiver.answering = take
        release.set()
        await wait_until(lambda: set(got) == set(names))
        assert list(dict.fromkeys(got)) == names

        other.send_signal(signal.SIGTERM)
        assert await other.wait() == 0
    finally:
        release.set()
        await receiver.stop()


async def test_files_for_the_broker_must_be_there(lab: VtnUnderTest, tmp_path: Path) -> None:
    """An error at the start, as in a server, not one at every attempt to deliver."""
    url = lab.server.settings.database.url
    mqtt = Mqtt(url="mqtts://broker.example", ca_file=tmp_path / "none.pem")
    settings = Settings(database=DatabaseSettings(url=url), mqtt=mqtt)
    with pytest.raises(BadCertificate, match=r"mqtt\.ca_file: cannot read the authorities in .*none\.pem"):
        await asyncio.wait_for(DeliveryProcess(settings, now=lab.now).run(), 60)


def test_there_must_be_a_database_to_deliver_from(tmp_path: Path) -> None:
    """A mistyped name makes none."""
    file = tmp_path / "none.sqlite3"
    result = CliRunner(env={"OADR_VTN_DATABASE__URL": f"sqlite:///{file}"}).invoke(app, ["dispatch"])
    assert result.exit_code == Exit.CONFIGURATION, result.output
    assert not file.exists()
