"""Memory use of a request, whoever sends it: measured in a process of its own, over real sockets."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
import re
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from sqlalchemy import insert

from tests.vtn.conftest import settings_for
from vtn.access import DEFAULT_SCOPES, Role
from vtn.app import VtnServer
from vtn.processes.supervisor import Supervisor
from vtn.store.tables import reports, resources

COMMAND = [sys.executable, "-m", "oadr.vtn_worker", "error"]
KEY = "a key that signs the tokens of these tests"
MB = 1_000_000
LARGE = 4_000_000
PROGRAMS = "/openadr3/3.1.0/programs"
FORM = b"Content-Type: application/x-www-form-urlencoded\r\n"


class Process:
    """A VTN in a process of its own."""

    def __init__(self, url: str, **members: Any) -> None:
        members["auth"] = {"signing_key": KEY} | members.pop("auth", {})
        settings = settings_for(url, **members)
        self.server = VtnServer(settings)
        self.supervisor = Supervisor(settings, command=COMMAND)
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        await self.supervisor.start()
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))

    async def stop(self) -> None:
        if self._session is not None:
            await self._session.close()
        await self.supervisor.stop()
        await self.server.stop()

    @property
    def port(self) -> int:
        return int(self.supervisor.base_url.split(":")[2].split("/")[0])

    def token(self, role: Role, client_id: str) -> str:
        return self.server._tokens.issue(client_id, role, DEFAULT_SCOPES[role], 3600)

    async def ask(self, method: str, path: str, token: str | None = None, document: object = None) -> tuple[int, Any]:
        """A request; its status and body."""
        assert self._session is not None
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        data = None if document is None else io.BytesIO(json.dumps(document).encode())
        headers["Content-Type"] = "application/json"
        async with self._session.request(
            method, self.supervisor.base_url + path, data=data, headers=headers
        ) as response:
            raw = await response.read()
            return response.status, json.loads(raw) if raw[:1] in b"{[" else raw

    def rss(self) -> int:
        """Memory that the process has now, in bytes."""
        return self._status("VmRSS")

    def forget_peak(self) -> None:
        """Measure the peak from now on."""
        Path(f"/proc/{self._pid}/clear_refs").write_text("5")

    def peak(self) -> int:
        """The most memory the process has had since, in bytes."""
        return self._status("VmHWM")

    @property
    def _pid(self) -> int:
        (pid,) = self.supervisor.pids
        return pid

    def _status(self, name: str) -> int:
        found = re.search(rf"^{name}:\s+(\d+) kB$", Path(f"/proc/{self._pid}/status").read_text(), re.MULTILINE)
        assert found is not None
        return int(found[1]) * 1024


@asynccontextmanager
async def process(url: str, **members: Any) -> AsyncIterator[Process]:
    """A VTN in a process of its own."""
    vtn = Process(url, **members)
    try:
        await vtn.start()
        yield vtn
    finally:
        await vtn.stop()


@pytest.fixture
def template_url(sqlite_template: Path, tmp_path: Path) -> str:
    """A SQLite database with tables, where the kind of database does not matter."""
    return f"sqlite:///{shutil.copy(sqlite_template, tmp_path / 'vtn.sqlite3')}"


async def give_resources(vtn: Process, ven: Any, client_id: str, count: int) -> None:
    """So many resources of a VEN, straight into the database."""
    stamp = ven["createdDateTime"]
    rows = [
        {
            "id": f"resource-{number}",
            "created_at": stamp,
            "modified_at": stamp,
            "ven_id": ven["id"],
            "client_id": client_id,
            "name": f"r{number}",
            "targets": ("feeder", f"meter-{number}"),
            "members": f'"clientID":"{client_id}","venID":"{ven["id"]}","resourceName":"r{number}"',
        }
        for number in range(count)
    ]
    async with vtn.server._database.write() as connection:
        await connection.execute(insert(resources), rows)


async def test_replacing_a_large_report_takes_a_few_times_its_size(migrated_url: str) -> None:
    """GEN-008: the text is not read once for each resource of its VEN."""
    async with process(migrated_url) as vtn:
        bl, home = vtn.token(Role.BL, "bl"), vtn.token(Role.VEN, "home")
        _, program = await vtn.ask("POST", "/programs", bl, {"programName": "p", "targets": ["feeder"]})
        _, event = await vtn.ask("POST", "/events", bl, {"programID": program["id"]})
        _, ven = await vtn.ask("POST", "/vens", home, {"objectType": "VEN_VEN_REQUEST", "venName": "v"})
        await give_resources(vtn, ven, "home", 250)
        note = {"id": 0, "payloads": [{"type": "NOTE", "values": ["x" * LARGE]}]}
        document = {
            "eventID": event["id"],
            "clientName": "c",
            "resources": [{"resourceName": "r1", "intervals": [note]}],
        }
        status, report = await vtn.ask("POST", "/reports", home, document)
        assert status == 201
        vtn.forget_peak()
        before = vtn.peak()

        status, answer = await vtn.ask("PUT", f"/reports/{report['id']}", home, document)

        assert status == 200, answer
        assert vtn.peak() - before <= 6 * LARGE


async def test_pages_of_large_objects_take_no_more_than_their_budget(migrated_url: str) -> None:
    """PAGE-010, GEN-008: many at once, packed and plain, read and not read, and single objects."""
    async with process(migrated_url) as vtn:
        bl, home = vtn.token(Role.BL, "bl"), vtn.token(Role.VEN, "home")
        _, program = await vtn.ask("POST", "/programs", bl, {"programName": "p"})
        _, event = await vtn.ask("POST", "/events", bl, {"programID": program["id"]})
        await give_reports(vtn, event, "home", 20)
        await vtn.ask("GET", "/reports?limit=1", home)
        vtn.forget_peak()
        before = vtn.peak()

        lengths = await asyncio.gather(
            *(read(vtn, f"/reports?limit={20 - number}", home) for number in range(3)),
            read(vtn, "/reports?limit=15", home, "Accept-Encoding: gzip\r\n"),
            read(vtn, "/reports/report-1", home),
            *(ignore(vtn, f"/reports?limit={15 - number}", home) for number in range(10)),
            *(ignore(vtn, f"/reports/report-{number}", home) for number in range(10)),
        )

        assert [length // LARGE for length in lengths[:5]] == [20, 19, 18, 0, 1]
        assert vtn.peak() - before <= 200 * MB


async def give_reports(vtn: Process, event: Any, client_id: str, count: int) -> None:
    """So many reports of 4 MB, straight into the database."""
    note = {"id": 0, "payloads": [{"type": "NOTE", "values": ["x" * LARGE]}]}
    shown = {"resources": [{"resourceName": "r", "intervals": [note]}]}
    members = {"clientID": client_id, "eventID": event["id"], "clientName": "c"} | shown
    own = {"event_id": event["id"], "client_id": client_id, "client_name": "c", "members": json.dumps(members)[1:-1]}
    stamp = event["createdDateTime"]
    for number in range(count):
        row = {"id": f"report-{number}", "created_at": stamp, "modified_at": stamp, **own}
        async with vtn.server._database.write() as connection:
            await connection.execute(insert(reports), row)


async def ask_for(vtn: Process, path: str, token: str, more: str = "") -> tuple[asyncio.StreamReader, Any]:
    """A GET on a connection of its own, which ends with the answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", vtn.port)
    head = f"GET /openadr3/3.1.0{path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n"
    writer.write(f"{head}{more}\r\n".encode())
    return reader, writer


async def read(vtn: Process, path: str, token: str, more: str = "") -> int:
    """The number of bytes of an answer, which is read to its end and is the last on its connection."""
    reader, writer = await ask_for(vtn, path, token, more)
    length = 0
    try:
        assert b" 200 " in await reader.readline()
        while part := await reader.read(65536):
            length += len(part)
    finally:
        writer.transport.abort()
    return length


async def ignore(vtn: Process, path: str, token: str) -> int:
    """Wait until an answer begins, and leave it unread until others had time to come and be answered."""
    reader, writer = await ask_for(vtn, path, token)
    try:
        status = int((await reader.readline()).split()[1])
        if status == 200:
            await read(vtn, "/reports/report-2", token)
        return status
    finally:
        writer.transport.abort()


async def test_many_large_bodies_at_once_take_no_more_than_their_budget(template_url: str) -> None:
    """GEN-008: from 300 connections: forms of strangers, plain and packed, and packed documents of known clients."""
    packed = gzip.compress(b'{"programName":"' + b"x" * LARGE + b'"}')
    async with process(template_url) as vtn:
        known = f"Authorization: Bearer {vtn.token(Role.BL, 'bl')}\r\n".encode()
        attacks = [
            ("/auth/token", FORM + b"Content-Encoding: gzip\r\n", packed, {415}),
            ("/auth/token", FORM, b"x" * LARGE, {413}),
            ("/auth/token", FORM, b"x" * 16_000, {400, 429, 503}),
            (PROGRAMS, known + b"Content-Encoding: gzip\r\n", packed, {201, 400, 409, 429, 503}),
            (PROGRAMS, known, b'{"programName":"' + b"x" * LARGE + b'"}', {201, 400, 409, 429, 503}),
        ]
        await asyncio.gather(*(attack(vtn, *attacks[3]) for _ in range(10)))
        vtn.forget_peak()
        before = vtn.peak()

        answered = [await asyncio.gather(*(attack(vtn, *each) for _ in range(300))) for each in attacks]

        assert all(any(statuses) for statuses in answered)
        assert vtn.peak() - before <= 200 * MB
        assert (await vtn.ask("GET", "/programs?limit=1", vtn.token(Role.BL, "bl")))[0] == 200


async def test_many_uploads_that_break_off_leave_nothing_behind(template_url: str) -> None:
    """GEN-008: memory stays flat, with the collector as a server has it."""
    async with process(template_url) as vtn:
        head = b"POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: 4000000\r\n\r\n" % (
            PROGRAMS.encode(),
            vtn.token(Role.BL, "bl").encode(),
        )
        part = head + b"x" * 200_000

        async def abort(count: int) -> None:
            for _ in range(count):
                _, writer = await asyncio.open_connection("127.0.0.1", vtn.port)
                writer.write(part)
                await writer.drain()
                writer.transport.abort()

        await asyncio.gather(*(abort(100) for _ in range(3)))
        before = vtn.rss()

        await asyncio.gather(*(abort(400) for _ in range(3)))

        assert vtn.rss() - before <= 20 * MB
        assert (await vtn.ask("GET", "/programs?limit=1", vtn.token(Role.BL, "bl")))[0] == 200


async def attack(vtn: Process, path: str, headers: bytes, body: bytes, expected: set[int]) -> int:
    """One request on a connection of its own; its status, or 0 when the server has closed it before the end."""
    head = b"POST %s HTTP/1.1\r\nHost: x\r\n%sContent-Length: %d\r\n\r\n" % (path.encode(), headers, len(body))
    reader, writer = await asyncio.open_connection("127.0.0.1", vtn.port)
    try:
        writer.write(head + body)
        await writer.drain()
        answer = await reader.readline()
    except ConnectionError:
        return 0
    finally:
        writer.transport.abort()
    status = int(answer.split()[1]) if answer else 0
    assert not status or status in expected, answer
    return status
