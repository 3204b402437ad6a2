"""OpenADR 2.0b as a new user sets it up: commands and a VTN of two processes, which is killed in between."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psutil
import pytest_asyncio

from bench.support.net import free_port
from bench.support.processes import ServerProcess
from openadr_client import VtnClient
from openadr_profiles.v31 import EventRequest, ProgramRequest, decode
from tests.e2e.processes import OADR, oadr, run_oadr
from tests.support.pki import TlsFiles
from tests.support.waiting import wait_until
from tests.vtn.v20b.scripted_ven import ScriptedVen
from tests.vtn.v20b.telling import accept, told


class Installation:
    """A folder with certificates and settings, the server that uses them, and business logic."""

    def __init__(self, folder: Path, database_url: str) -> None:
        self.folder = folder
        self.port_20b = free_port()
        self.url = f"http://127.0.0.1:{(port := free_port())}/openadr3/3.1.0"
        self.pki = folder / "pki"
        self.config = folder / "vtn.toml"
        self.config.write_text(
            f'port = {port}\nworkers = 2\n[database]\nurl = "{database_url}"\n[notify]\ndispatch = false\n'
            f'[v20b]\nport = {self.port_20b}\npoll_s = 1\ncheck_sent = true\ncert = "{self.pki}/localhost.pem"\n'
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
        return self.server.log_text().count('"workers": 2, "event": "VTN started"') == self.lives

    async def start(self) -> None:
        """Start the server."""
        self.lives += 1
        await asyncio.to_thread(self.server.start)

    async def kill(self) -> None:
        """Kill the first process, with which the others end, and start again when they are gone."""
        workers = psutil.Process(self.server.pid).children(recursive=True)
        await asyncio.to_thread(self.server.stop, signal.SIGKILL)
        await wait_until(lambda: not any(worker.is_running() for worker in workers), timeout_s=60)
        await self.start()

    def ven(self, name: str) -> ScriptedVen:
        """A VEN with a certificate that was issued here."""
        files = TlsFiles(self.pki / "ca.pem", self.pki / f"{name}.pem", self.pki / f"{name}.key")
        return ScriptedVen(self.port_20b, files, files.ca)

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
    utility = await made.run("vtn", "client", "add", "utility", "--role", "bl", "--config", str(made.config))
    made.environment = {
        "OADR_BL_URL": made.url,
        "OADR_BL_CLIENT_ID": "utility",
        "OADR_BL_CLIENT_SECRET": utility["client_secret"],
    }
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
