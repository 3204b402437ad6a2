"""OpenADR 2.0b as a new user sets it up: commands and a VTN of two processes, which is killed in between."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest_asyncio

from bench.support.net import free_port
from bench.support.processes import ServerProcess
from certs import Authority
from openadr_client import VtnClient
from openadr_profiles.v31 import EventRequest, ProgramRequest, decode
from tests.e2e.processes import OADR, oadr, run_oadr
from tests.support.pki import TlsFiles
from tests.support.waiting import wait_until
from tests.vtn.v20b.conftest import RealTime
from tests.vtn.v20b.scripted_ven import Reply, ScriptedVen
from tests.vtn.v20b.telling import accept, told


def _lives(process: psutil.Process) -> bool:
    """Return False also for one that has ended and that nobody asks about, as where there is no init."""
    with suppress(psutil.NoSuchProcess):
        return process.status() != psutil.STATUS_ZOMBIE
    return False


class Installation:
    """A folder with certificates and settings, the server that uses them, and business logic."""

    def __init__(self, folder: Path, database_url: str, *, workers: int = 2, v20b: str = "") -> None:
        self.folder = folder
        self.workers = workers
        self.port_20b = free_port()
        self.url = f"http://127.0.0.1:{(port := free_port())}/openadr3/3.1.0"
        self.pki = folder / "pki"
        self.config = folder / "vtn.toml"
        self.config.write_text(
            f'port = {port}\nworkers = {workers}\n[database]\nurl = "{database_url}"\n[notify]\ndispatch = false\n'
            f'[v20b]\n{v20b}port = {self.port_20b}\npoll_s = 1\ncheck_sent = true\ncert = "{self.pki}/localhost.pem"\n'
            f'key = "{self.pki}/localhost.key"\nca = "{self.pki}/ca.pem"\n'
        )
        self.config.chmod(0o600)
        log = folder / "vtn.log"
        command = [OADR, "vtn", "run", "--config", str(self.config)]
        self.server = ServerProcess(command, log=log, ready=self._serves)
        self.environment: dict[str, str] = {}
        self.lives = 0

    def _serves(self) -> bool:
        """Return True if all processes of this life serve."""
        of_all = f'"workers": {self.workers}, "event": "VTN started"'
        served = of_all if self.workers > 1 else '"event": "VENs of OpenADR 2.0b are served"'
        return self.server.log_text().count(served) == self.lives

    async def start(self) -> None:
        """Start the server."""
        self.lives += 1
        await asyncio.to_thread(self.server.start)

    async def kill(self) -> None:
        """Kill the first process, with which the others end, and start again when they are gone."""
        workers = psutil.Process(self.server.pid).children(recursive=True)
        await asyncio.to_thread(self.server.stop, signal.SIGKILL)
        await wait_until(lambda: not any(map(_lives, workers)), timeout_s=60, what="all workers have ended")
        await self.start()

    def ven(self, name: str) -> ScriptedVen:
        """A VEN with a certificate that was issued here."""
        files = TlsFiles(self.pki / "ca.pem", self.pki / f"{name}.pem", self.pki / f"{name}.key")
        return ScriptedVen(self.port_20b, files, files.ca)

    async def be_business_logic(self) -> None:
        """Run commands as business logic from now on."""
        utility = await self.run("vtn", "client", "add", "utility", "--role", "bl", "--config", str(self.config))
        self.environment = {
            "OADR_BL_URL": self.url,
            "OADR_BL_CLIENT_ID": "utility",
            "OADR_BL_CLIENT_SECRET": utility["client_secret"],
        }

    async def run(self, *arguments: str) -> Any:
        """Run a command of business logic; what it printed."""
        return await asyncio.to_thread(oadr, *arguments, environment=self.environment)


@pytest_asyncio.fixture(loop_scope="session")
async def installed(migrated_url: str, tmp_path: Path) -> AsyncIterator[Installation]:
    """The commands of docs/openadr-2.0b.md, up to the server."""
    made = Installation(tmp_path, migrated_url)
    pki = str(made.pki)
    await made.run("cert", "ca", "--out", pki)
    await made.run("cert", "issue", "server", "localhost", "--san", "127.0.0.1", "--ca", pki)
    await made.be_business_logic()
    await made.start()
    yield made
    await asyncio.to_thread(made.server.stop)


async def test_commands_and_a_kill_between_an_answer_and_the_next_message(installed: Installation) -> None:
    """B-REG-016, B-REG-010, B-REG-013, B-POL-004, B-EVT-011, B-CRE-001: nothing that was said is forgotten."""
    issued = await installed.run("cert", "issue", "client", "home-1", "--ca", str(installed.pki))
    ven = installed.ven("home-1")
    assert (await ven.query()).code == "463"
    command = f"oadr vens add home-1 --fingerprint {issued['openadrFingerprint']}"
    await wait_until(lambda: command in installed.server.log_text(), timeout_s=60)
    added = await installed.run(*command.split()[1:])
    assert added["fingerprints"] == [issued["openadrFingerprint"]]
    (shown,) = await installed.run("cert", "show", str(installed.pki / "home-1.pem"))
    assert (await installed.run("vens", "add", "home-1", "--fingerprint", shown["sha256"]))["venID"] == added["venID"]
    assert (await ven.create()).code == "200"
    assert (await ven.poll()).name == "oadrRegisterReport"
    await ven.acknowledge_reports()

    async with VtnClient(
        base_url=installed.url, client_id="utility", client_secret=installed.environment["OADR_BL_CLIENT_SECRET"]
    ) as bl:
        program = await bl.programs.create(ProgramRequest(program_name="peak"))
        interval = {"id": 0, "payloads": [{"type": "SIMPLE", "values": [2]}]}
        period = {"start": "2099-01-01T00:00:00Z", "duration": "PT1H"}
        wanted = {"programID": program.id, "intervalPeriod": period, "intervals": [interval]}
        event = await bl.events.create(decode(json.dumps(wanted).encode(), EventRequest))
        (before,) = told(await ven.poll())
        await ven.close()
        await installed.kill()

        ven, known = installed.ven("home-1"), ven
        ven.ven_id, ven.registration_id = known.ven_id, known.registration_id
        assert (await ven.query()).text("ei:registrationID") == known.registration_id
        await accept(ven, [before])
        await ven.close()
        await installed.kill()

        ven = installed.ven("home-1")
        ven.ven_id, ven.registration_id = known.ven_id, known.registration_id
        (after,) = told(await ven.request_events())
        assert (after.id, after.number) == (before.id, before.number)
        assert (await ven.poll()).name == "oadrResponse"
        (report,) = await bl.reports.search(event_id=event.id)
        assert report.client_id == added["clientID"]

    for order, message in (("reregister", "oadrRequestReregistration"), ("unregister", "oadrCancelPartyRegistration")):
        assert (await installed.run("vens", order, "home-1"))["waiting"] == 1
        assert (await ven.poll()).name == message
        await ven.respond("EiRegisterParty", "oadrResponse")
    assert (await installed.run("vens", "disable", "home-1"))["disabled"] is True
    assert (await ven.poll()).code == "463"
    (listed,) = await installed.run("vens", "list", "--no-reports")
    assert "disabled" in listed["problems"]
    assert (await installed.run("vens", "enable", "home-1"))["disabled"] is False
    assert (await ven.poll()).code != "463"
    await ven.close()
    for arguments, words in (
        (("vens", "add", "home-2", "--fingerprint", "zz"), "no fingerprint; expected 10 octets"),
        (("vens", "reregister", "nobody"), "no VEN of this name is enrolled"),
    ):
        done = await asyncio.to_thread(run_oadr, *arguments, environment=installed.environment)
        assert done.returncode == 6
        assert words in done.stderr


class Registering:
    """A VEN that registers, renews its registration and cancels it, on and on, until it gets no answer."""

    def __init__(self, installed: Installation, name: str) -> None:
        Authority.load(installed.pki, now=RealTime()).issue_client(name).save(installed.pki)
        self.ven = installed.ven(name)
        self.name = name
        self.registered: str | None = None
        self.under_way = ""
        self.was_done = False
        self._messages = 0

    async def until_killed(self, answered: Callable[[], None], *, lost: int = 0) -> None:
        """Say one after another until the VTN is killed, or until the answer of this number, which counts as lost."""
        while True:
            for self.under_way in ("create", "renew", "cancel"):
                self._messages += 1
                try:
                    reply = await self._say()
                except aiohttp.ClientError:  # the VTN was killed
                    return
                assert reply.code == "200"
                answered()
                if self._messages == lost:
                    self.was_done = True
                    return
                self.registered = None if self.under_way == "cancel" else reply.text("ei:registrationID")

    async def go_on(self) -> None:
        """Say the last message again, for its answer was lost: the VTN did it wholly or not at all."""
        before, known = self.registered, (await self.ven.query()).text("ei:registrationID")
        again = await self._say()
        assert again.code == "200"
        match self.under_way:
            case "create":
                assert known == again.text("ei:registrationID") or (known is None and not self.was_done)
            case "renew":
                assert known == again.text("ei:registrationID") == before
            case "cancel":
                assert known is None or (known == before and not self.was_done)
                assert (await self.ven.query()).text("ei:registrationID") is None
                assert (await self.ven.poll()).name == "oadrRequestReregistration"
                assert (await self.ven.create(name=self.name)).text("ei:registrationID") not in {None, before}
        assert (await self.ven.poll()).name == "oadrRegisterReport"
        await self.ven.acknowledge_reports()
        assert (await self.ven.poll()).name == "oadrResponse"

    async def _say(self) -> Reply:
        """Send what is under way, every time the same bytes."""
        if self.under_way == "cancel":
            return await self.ven.cancel(self.registered)
        renewed = self.registered if self.under_way == "renew" else None
        return await self.ven.create(name=self.name, request_id=f"m{self._messages}", registration_id=renewed)


@pytest_asyncio.fixture(loop_scope="session")
async def enrolling(migrated_url: str, tmp_path: Path) -> AsyncIterator[Installation]:
    """A server of one process that enrols whoever has a certificate of its authority."""
    made = Installation(tmp_path, migrated_url, workers=1, v20b="auto_enrol = true\n")
    authority = Authority.create("registrations", now=RealTime())
    authority.save(made.pki)
    authority.issue_server("localhost", alternative_names=["127.0.0.1"]).save(made.pki)
    await made.be_business_logic()
    await made.start()
    yield made
    await asyncio.to_thread(made.server.stop)


async def test_a_registration_survives_a_kill_at_any_moment(enrolling: Installation) -> None:
    """B-REG-003, B-REG-007, B-REG-012, B-REG-014, B-REG-016, B-GEN-011: whole or not at all, and its VEN can go on.

    Many VENs are at different points when the VTN is killed: some were answered, which they did not hear, and others,
    which came late, are being enrolled.
    """
    deaf, early, late = (
        [Registering(enrolling, f"{which}-{number}") for number in range(6)] for which in ("deaf", "early", "late")
    )
    pid, is_late = enrolling.server.pid, asyncio.Event()
    assert pid is not None
    left = {"early": 20, "late": 2}

    def answered(which: str) -> None:
        left[which] -= 1
        if left["early"] == 0:
            is_late.set()
        if left["late"] == 0:
            os.kill(pid, signal.SIGKILL)

    async def join(one: Registering) -> None:
        assert (await one.ven.query()).code == "463"
        await is_late.wait()
        await one.until_killed(partial(answered, "late"))

    await asyncio.gather(*(one.until_killed(lambda: None, lost=1 + number % 3) for number, one in enumerate(deaf)))
    await asyncio.gather(*(one.until_killed(partial(answered, "early")) for one in early), *map(join, late))
    await asyncio.to_thread(enrolling.server.stop)
    await enrolling.start()
    everybody = (*deaf, *early, *late)
    await asyncio.gather(*(each.go_on() for each in everybody))
    listed = await enrolling.run("vens", "list", "--no-reports")
    assert sorted(each["venName"] for each in listed) == sorted(each.name for each in everybody)
    assert not [each for each in listed if "not registered" in each["problems"]]
    await asyncio.gather(*(each.ven.close() for each in everybody))
