"""Several worker processes behind one port, as `oadr vtn run --workers N` starts them."""

from __future__ import annotations

import asyncio
import json
import os
import pickle
import random
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest
from structlog.testing import capture_logs
from yarl import URL

from bench.support.net import free_port
from tests.support.pki import Pki, client_context
from tests.support.waiting import wait_until
from tests.vtn.conftest import settings_for
from tests.vtn.harness import CHEAP_SECRETS, unique
from vtn.access import DEFAULT_SCOPES, Role
from vtn.app import VtnServer
from vtn.errors import PortTaken, StartFailed, WorkerFailed
from vtn.processes.shared_memory import made
from vtn.processes.supervisor import Supervisor, WorkerStart
from vtn.settings import Settings
from vtn.store.contact import ContactStore
from vtn.store.database import Database
from vtn.store.query import ContactQuery

COMMAND = [sys.executable, "-m", "oadr.vtn_worker", "error"]
KEY = "a key that signs the tokens of these tests"


class Fleet:
    """Workers, and callers that each have a connection of their own."""

    def __init__(self, settings: Settings, command: Sequence[str]) -> None:
        self.settings = settings
        self.supervisor = Supervisor(settings, command=command)
        self._server = VtnServer(settings)
        self._sessions: list[aiohttp.ClientSession] = []

    async def stop(self) -> None:
        for session in self._sessions:
            await session.close()
        await self.supervisor.stop()
        await self._server.stop()

    def caller(self, role: Role, client_id: str | None = None) -> aiohttp.ClientSession:
        """A new connection, which the kernel gives to any of the workers."""
        client_id = client_id or unique("caller")
        token = self._server._tokens.issue(client_id, role, DEFAULT_SCOPES[role], 3600)
        session = aiohttp.ClientSession(
            self.supervisor.base_url + "/",
            headers={"Authorization": f"Bearer {token}"},
            connector=aiohttp.TCPConnector(limit=1),
        )
        self._sessions.append(session)
        return session


@asynccontextmanager
async def _fleet(url: str, workers: int, command: Sequence[str] = COMMAND, **members: Any) -> AsyncIterator[Fleet]:
    settings = settings_for(url, workers=workers, **members).model_copy(update={"port": members.get("port", 0)})
    auth = settings.auth.model_copy(
        update={"signing_key": settings_for(url, auth={"signing_key": KEY}).auth.signing_key}
    )
    fleet = Fleet(settings.model_copy(update={"auth": auth}), command)
    try:
        await fleet.supervisor.start()
        yield fleet
    finally:
        await fleet.stop()


async def _json(session: aiohttp.ClientSession, method: str, path: str, document: object = None) -> Any:
    async with session.request(method, path, json=document) as response:
        body = await response.json()
        assert response.status < 300, body
        return body


async def test_no_reader_sees_anything_from_before_a_write_that_was_answered(migrated_url: str) -> None:
    """ETAG-003: neither bytes nor a 304, whichever worker wrote and whichever answers."""
    async with _fleet(migrated_url, 3) as fleet:
        bl = fleet.caller(Role.BL)
        program = await _json(bl, "POST", "programs", {"programName": unique("p")})
        event = await _json(bl, "POST", "events", {"programID": program["id"]})
        answered = {"priority": 0, "reports": 0}
        over = asyncio.Event()
        reads = {200: 0, 304: 0}

        async def write() -> None:
            writer = fleet.caller(Role.BL)
            while not over.is_set():
                async with lock:  # so that "the newest" has one meaning
                    number = answered["priority"] + 1
                    document = {"programID": program["id"], "priority": number}
                    await _json(writer, "PUT", f"events/{event['id']}", document)
                    answered["priority"] = number
                await asyncio.sleep(0.01)

        async def read(path: str) -> None:
            reader, tag, seen = fleet.caller(Role.VEN), "", -1
            while not over.is_set():
                newest = answered["priority"]
                async with reader.get(path, headers={"If-None-Match": tag}) as response:
                    raw = await response.read()
                if response.status == 200:
                    found = json.loads(raw)
                    seen = (found[0] if isinstance(found, list) else found).get("priority", 0)
                    tag = response.headers["ETag"]
                reads[response.status] += 1
                assert seen >= newest, f"{path}: {response.status} shows {seen} after {newest} was answered"

        lock = asyncio.Lock()
        tasks = [asyncio.create_task(write()) for _ in range(3)]
        tasks += [
            asyncio.create_task(read(path)) for path in ("events", f"events/{event['id']}", "events?active=true") * 3
        ]
        await wait_until(
            lambda: (answered["priority"] > 40 and reads[304] > 20) or any(task.done() for task in tasks), timeout_s=60
        )
        over.set()
        await asyncio.gather(*tasks)
        assert reads[200] > 20


async def test_a_grant_that_is_taken_away_ends_on_every_worker(migrated_url: str) -> None:
    """PRIV-003: what a reader holds is known to all workers before the change is answered."""
    async with _fleet(migrated_url, 2) as fleet:
        bl = fleet.caller(Role.BL)
        homes = [fleet.caller(Role.VEN, "home") for _ in range(4)]
        program = await _json(bl, "POST", "programs", {"programName": unique("p")})
        await _json(bl, "POST", "events", {"programID": program["id"], "targets": ["g"]})
        document = {"objectType": "BL_VEN_REQUEST", "clientID": "home", "venName": unique("v")}
        ven = await _json(bl, "POST", "vens", document)
        for targets in [["g"], []] * 10:
            await _json(bl, "PUT", f"vens/{ven['id']}", document | {"targets": targets})
            found = await asyncio.gather(*(_json(home, "GET", "events") for home in homes))
            assert [len(events) for events in found] == [len(targets)] * 4


async def test_a_worker_that_is_killed_while_writing_leaves_nothing_stale(migrated_url: str) -> None:
    """A write whose process died was committed or not; all answers agree on it soon, and for good."""
    async with _fleet(migrated_url, 2) as fleet:
        bl = fleet.caller(Role.BL)
        program = await _json(bl, "POST", "programs", {"programName": unique("p")})
        for _ in range(3):
            await _kill_one(fleet, program["id"])


async def _kill_one(fleet: Fleet, program_id: str) -> None:
    pids = fleet.supervisor.pids
    stop = asyncio.Event()

    async def keep_on(method: str, path: str, document: object = None) -> None:
        caller = fleet.caller(Role.BL)
        while not stop.is_set():
            with suppress(aiohttp.ClientError):
                await _json(caller, method, path, document)

    tasks = [asyncio.create_task(keep_on("POST", "events", {"programID": program_id})) for _ in range(2)]
    tasks += [asyncio.create_task(keep_on("GET", "events?limit=5")) for _ in range(3)]
    await asyncio.sleep(random.uniform(0.1, 0.2))
    os.kill(pids[0], signal.SIGKILL)
    await asyncio.sleep(0.02)
    stop.set()
    await asyncio.gather(*tasks)
    limits = count(6)

    async def agreed() -> bool:
        kept = [await _json(fleet.caller(Role.BL), "GET", "events?limit=5") for _ in range(4)]
        never_asked_before = await _json(fleet.caller(Role.BL), "GET", f"events?limit={next(limits)}")
        return all(found == never_asked_before[:5] for found in kept)

    await wait_until(agreed)
    await wait_until(lambda: len(fleet.supervisor.pids) == 2 and pids[0] not in fleet.supervisor.pids)


async def test_a_client_has_one_limit_whichever_worker_it_meets(migrated_url: str) -> None:
    """GEN-008, AUTH-035: for requests and for tokens, also when a worker was replaced meanwhile."""
    limits, auth = {"requests_per_s": 0.001, "requests_burst": 10}, {"failure_burst": 10, "failure_per_s": 0.001}
    async with _fleet(migrated_url, 3, limits=limits, auth=auth | {"argon2": CHEAP_SECRETS}) as fleet:

        async def ask() -> int:
            async with fleet.caller(Role.VEN, "busy").get("programs") as response:
                assert response.status == 200 or int(response.headers["Retry-After"]) > 100
                return response.status

        async def ask_for_a_token() -> int:
            form = {"grant_type": "client_credentials", "client_id": "busy", "client_secret": "wrong"}
            async with fleet.caller(Role.VEN).post("auth/token", data=form, headers={"Authorization": ""}) as response:
                return response.status

        assert sorted([await ask() for _ in range(7)]) == [200] * 7
        assert sorted([await ask_for_a_token() for _ in range(20)]) == [401] * 10 + [429] * 10
        await _lose_one(fleet)
        assert sorted([await ask() for _ in range(13)]) == [200] * 3 + [429] * 10
        async with fleet.caller(Role.VEN, "other").get("programs") as response:
            assert response.status == 200


async def _lose_one(fleet: Fleet) -> None:
    """Kill a worker, and wait until it is known to be dead."""
    victim = fleet.supervisor.pids[0]
    os.kill(victim, signal.SIGKILL)
    await wait_until(lambda: victim not in fleet.supervisor.pids)


async def _numbers(fleet: Fleet) -> dict[str, float]:
    """Return the samples of /metrics, read over a new connection."""
    session = fleet.caller(Role.BL)
    async with session.get(fleet.supervisor.base_url.removesuffix("/openadr3/3.1.0") + "/metrics") as response:
        lines = (await response.text()).splitlines()
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if line[0] != "#")}


async def test_the_numbers_are_those_of_all_workers_also_of_those_that_died(migrated_url: str) -> None:
    """Every answered request is in every scrape from then on, whichever worker answers it."""
    name = 'oadr_vtn_requests_total{method="GET",route="/openadr3/3.1.0/programs",status="200"}'
    async with _fleet(migrated_url, 2) as fleet:
        for asked in range(1, 13):
            await _json(fleet.caller(Role.BL), "GET", "programs")
            assert (await _numbers(fleet))[name] == asked
        for killed in range(1, 3):
            await _lose_one(fleet)

            async def replaced(killed: int = killed) -> bool:
                found = await _numbers(fleet)
                assert found[name] == asked
                return found["oadr_vtn_workers_replaced_total"] == killed

            await wait_until(replaced)
        for _ in range(6):
            await _json(fleet.caller(Role.BL), "GET", "programs")
        found = await _numbers(fleet)
        assert found[name] == asked + 6
        assert found["oadr_vtn_requests_under_way"] == 1
        assert 1 <= found["oadr_vtn_connections"] <= len(fleet._sessions)


async def test_a_worker_that_dies_is_replaced_and_the_port_stays_open(migrated_url: str) -> None:
    """One process less is not an outage."""
    async with _fleet(migrated_url, 2) as fleet:
        before = fleet.supervisor.pids
        os.kill(before[0], signal.SIGKILL)
        await wait_until(lambda: len(set(fleet.supervisor.pids) - set(before)) == 1)
        for _ in range(6):
            assert await _json(fleet.caller(Role.BL), "GET", "programs") == []


async def test_a_worker_ends_when_its_supervisor_is_gone(migrated_url: str) -> None:
    """Nobody is left behind on the port."""
    async with _fleet(migrated_url, 2) as fleet:
        (process, other) = fleet.supervisor._processes.values()
        await fleet.supervisor._keepers.stop()
        assert process.stdin is not None
        process.stdin.close()
        assert await asyncio.wait_for(process.wait(), 120) == 0
        assert other.returncode is None


@pytest.mark.parametrize("kind", ["sqlite"], scope="session")
def test_a_worker_whose_supervisor_is_gone_before_it_serves_ends_as_it_should(migrated_url: str) -> None:
    """Nothing has gone wrong in the worker."""
    memory = made(1)
    told = pickle.dumps(WorkerStart(settings_for(migrated_url), 0, memory))
    process = subprocess.Popen(
        COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, pass_fds=(memory,)
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    process.stdin.write(len(told).to_bytes(4) + told)
    process.stdin.close()
    os.close(memory)
    with process.stderr:
        said = process.stderr.read()
    assert (process.wait(), said) == (0, b"")


@pytest.mark.parametrize("taken", ["alone", "shared"])
async def test_a_port_that_somebody_else_serves_is_refused(migrated_url: str, taken: str) -> None:
    """Sharing a port is for workers of one server."""
    with socket.socket() as other:
        if taken == "shared":
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", free_port()))
        other.listen()
        with pytest.raises(PortTaken):
            async with _fleet(migrated_url, 2, port=other.getsockname()[1]):
                pass


@pytest.mark.parametrize("kind", ["sqlite"], scope="session")
async def test_a_worker_that_cannot_be_started_for_a_while_comes_back(migrated_url: str, tmp_path: Path) -> None:
    """Not even the command is there: that ends as soon as it is."""
    command = tmp_path / "worker"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m oadr.vtn_worker "$@"\n')
    command.chmod(0o700)
    async with _fleet(migrated_url, 2, [str(command), "error"]) as fleet:
        before = fleet.supervisor.pids
        command.rename(tmp_path / "away")
        os.kill(before[0], signal.SIGKILL)
        with capture_logs() as logs:
            await wait_until(lambda: any("cannot be replaced yet" in line["event"] for line in logs))
        assert await _json(fleet.caller(Role.BL), "GET", "programs") == []
        (tmp_path / "away").rename(command)
        await wait_until(lambda: len(set(fleet.supervisor.pids) - set(before)) == 1)


@pytest.mark.parametrize("kind", ["sqlite"], scope="session")
async def test_a_renewed_certificate_reaches_all_workers(migrated_url: str, pki: Pki, tmp_path: Path) -> None:
    """TLS-006: a signal to the one that keeps them, long before they would look by themselves."""

    def put() -> None:
        files = pki.server()
        shutil.copy(files.certificate, tmp_path / "cert.pem")
        shutil.copy(files.key, tmp_path / "key.pem")

    async def served() -> bytes:
        _, writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=client_context(pki.ca), server_hostname="localhost"
        )
        certificate: bytes = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        writer.close()
        await writer.wait_closed()
        return certificate

    put()
    tls = {"cert": str(tmp_path / "cert.pem"), "key": str(tmp_path / "key.pem"), "watch_s": 3600}
    async with _fleet(migrated_url, 2, tls=tls) as fleet:
        port = URL(fleet.supervisor.base_url).port
        old = await served()
        put()
        fleet.supervisor.renew_certificate()

        async def renewed() -> bool:
            return old not in [await served() for _ in range(12)]

        await wait_until(renewed)


async def test_workers_that_cannot_start_are_no_server(migrated_url: str) -> None:
    """The start fails, instead of going on and on."""
    for command in ([sys.executable, "-c", "pass"], ["/nowhere/worker"]):
        supervisor = Supervisor(settings_for(migrated_url, workers=2), command=command)
        with pytest.raises(WorkerFailed):
            await supervisor.start()
        assert supervisor.pids == []


async def test_a_worker_that_is_killed_while_it_starts_is_started_again(migrated_url: str, tmp_path: Path) -> None:
    """Others may serve already, and say so at /ready: the VTN does not end."""
    script = tmp_path / "worker"
    script.write_text(f"#!/bin/sh\nmkdir {tmp_path}/first 2>/dev/null && kill -9 $$\nexec {' '.join(COMMAND)}\n")
    script.chmod(0o700)

    async with _fleet(migrated_url, 2, command=[str(script)]) as fleet:
        assert len(fleet.supervisor.pids) == 2
        assert await _json(fleet.caller(Role.BL), "GET", "programs") == []


async def test_a_start_that_fails_leaves_no_worker_behind(migrated_url: str, tmp_path: Path) -> None:
    """The others may be on their way when one fails."""
    seen, script = tmp_path / "seen", tmp_path / "worker"
    script.write_text(f"#!/bin/sh\nmkdir {tmp_path}/first 2>/dev/null && exit 1\necho $$ >>{seen}\nexec sleep 600\n")
    script.chmod(0o700)
    seen.touch()
    supervisor = Supervisor(settings_for(migrated_url, workers=4), command=[str(script)])
    with pytest.raises(WorkerFailed):
        async with asyncio.timeout(50):
            await supervisor.start()
    for pid in seen.read_text().split():
        assert not psutil.pid_exists(int(pid))


async def test_a_database_that_is_not_there_is_told_before_any_worker_starts() -> None:
    """As for a server of one process."""
    supervisor = Supervisor(settings_for("sqlite:////nowhere/vtn.sqlite3", workers=2), command=COMMAND)
    with pytest.raises(StartFailed):
        await supervisor.start()


async def test_what_every_worker_has_heard_is_told_by_each_and_stored_at_the_end(migrated_url: str) -> None:
    """Contacts of clients that came to different workers, while they run and after they were told to end."""
    names = [f"home-{number}" for number in range(12)]
    async with _fleet(migrated_url, 2, contacts={"store_s": 0.2}) as fleet:
        for name in names:
            await _json(fleet.caller(Role.VEN, name), "GET", "events")
        for _ in range(4):  # whichever worker answers
            bl = fleet.caller(Role.BL)

            async def told(bl: aiohttp.ClientSession = bl) -> bool:
                found = {each["clientID"] for each in await _json(bl, "GET", "contacts")}
                return found >= set(names)

            await wait_until(told)
    async with _fleet(migrated_url, 2, contacts={"store_s": 3600}) as fleet:
        late = [f"late-{number}" for number in range(12)]
        for name in late:
            await _json(fleet.caller(Role.VEN, name), "GET", "events")
    database = Database(settings_for(migrated_url).database)
    found = await ContactStore(database).search(ContactQuery(client_ids=tuple(late)))
    await database.close()
    assert sorted(each.client_id for each in found) == sorted(late)
