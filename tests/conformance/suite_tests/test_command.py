"""`oadr conformance` as a user types it."""

import asyncio
import json
import signal
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from multidict import CIMultiDict
from oadr_conformance import ALL, Credential, Subject
from oadr_conformance.probe import Probe
from oadr_conformance.session import Session, is_ours
from oadr_conformance.wire import HttpClient, HttpExchange, Purpose
from typer.testing import CliRunner, Result
from vtns.receiver import receiver

from bench.support.net import free_port
from oadr.__main__ import app
from tests.support.pki import Pki, server_context


def _credential(credential: Credential) -> str:
    return f"{credential.client_id}:{credential.client_secret}"


def _run(subject: Subject, *arguments: str) -> Result:
    rulings = ("--switch", "rulings.binding=true")
    credentials = (
        *("--bl", _credential(subject.bl)),
        *("--ven", _credential(subject.ven)),
        *("--ven2", _credential(subject.ven2)),
    )
    return CliRunner().invoke(app, ["conformance", "run", subject.url, *credentials, *rulings, *arguments])


def test_a_vtn_that_passes_exits_with_0_and_writes_the_reports(vtn_on_sqlite: Subject, tmp_path: Path) -> None:
    """Table on standard output, and a file for each other form."""
    files = {name: tmp_path / name for name in ("page.html", "junit.xml", "results.json")}
    arguments = [
        *("--html", str(files["page.html"])),
        *("--junit", str(files["junit.xml"])),
        *("--json-file", str(files["results.json"])),
    ]
    done = _run(vtn_on_sqlite, "--only", "PAGE-007", *arguments)
    assert done.exit_code == 0, done.output
    assert f"6 passed, 0 failed, 0 skipped: conforms, as far as 6 of {len(ALL)} checks tell" in done.output
    assert all(path.stat().st_size > 200 for path in files.values())


def test_a_failed_check_exits_with_7(vtn_on_sqlite: Subject) -> None:
    """Here because the suite is told that the VTN answers 403 to bad tokens."""
    done = _run(vtn_on_sqlite, "--only", "AUTH-006/garbage", "--suite-profile", "suite")
    assert done.exit_code == 7
    assert "0 passed, 1 failed, 0 skipped: does not conform" in done.output


def test_a_skipped_must_spoils_only_a_strict_verdict(vtn_on_sqlite: Subject) -> None:
    """A skip is never a pass."""
    both = ("--only", "AUTH-003", "--only", "AUTH-002")
    assert _run(vtn_on_sqlite, *both).exit_code == 0
    done = _run(vtn_on_sqlite, *both, "--strict")
    assert done.exit_code == 7
    assert "needs --expired-token" in done.output


def test_json_has_the_results(vtn_on_sqlite: Subject) -> None:
    """For programs."""
    done = _run(vtn_on_sqlite, "--only", "PAGE-007/*event", "--json")
    assert json.loads(done.stdout)["total"] == "1 passed, 0 failed, 0 skipped"


def test_nobody_at_the_url_exits_with_4(vtn_on_sqlite: Subject) -> None:
    """One line says which URL."""
    url = f"http://127.0.0.1:{free_port()}"
    done = _run(replace(vtn_on_sqlite, url=url))
    assert done.exit_code == 4
    assert url in done.stderr


def test_refused_credentials_exit_with_5(vtn_on_sqlite: Subject) -> None:
    """One line says whose."""
    done = _run(replace(vtn_on_sqlite, bl=Credential(client_id="nobody", client_secret="x")))
    assert done.exit_code == 5
    assert "nobody" in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [["--only", "NONSENSE"], ["--switch", "nonsense=1"], ["--suite-profile", "nonsense"], ["--profile", "9.9"]],
)
def test_wrong_usage_exits_with_2(vtn_on_sqlite: Subject, arguments: list[str]) -> None:
    """Before a request is sent."""
    assert _run(vtn_on_sqlite, *arguments).exit_code == 2


def test_list_names_the_checks_with_their_requirements() -> None:
    """JSON, for standard output is no terminal."""
    done = CliRunner().invoke(app, ["conformance", "list", "--only", "PAGE-007", "--json"])
    rows = json.loads(done.stdout)
    assert rows[0]["key"] == "PAGE-007/limit zero: program"
    assert all(row["sentence"] and row["section"] and row["level"] == "MUST" for row in rows)


def test_explain_says_what_a_requirement_asks_for() -> None:
    """The sentence, and what it rests on."""
    done = CliRunner().invoke(app, ["conformance", "explain", "PAGE-007", "--json"])
    assert "limit=0 is allowed" in json.loads(done.stdout)[0]["sentence"]
    assert CliRunner().invoke(app, ["conformance", "explain", "PAGE-999"]).exit_code == 2


def test_explain_says_where_a_check_rests_on_our_ruling() -> None:
    """So that nobody takes it for the standard."""
    done = CliRunner().invoke(app, ["conformance", "explain", "PAGE-010", "--json"])
    assert all(check["ruling"].startswith("R-08") for check in json.loads(done.stdout))


def test_a_report_that_cannot_be_written_is_said_before_the_run(vtn_on_sqlite: Subject, tmp_path: Path) -> None:
    """A run takes a while, and its result would be lost."""
    nobody = replace(vtn_on_sqlite, url=f"http://127.0.0.1:{free_port()}")
    for place in (tmp_path, tmp_path / "nowhere" / "page.html"):
        done = _run(nobody, "--html", str(place))
        assert (done.exit_code, "cannot write" in done.stderr) == (2, True)


def test_a_private_authority_is_trusted_when_it_is_given(vtn_on_sqlite: Subject, tmp_path: Path) -> None:
    """Without it the message says what to do; a server that is no VTN is found out only with it."""
    with receiver(tmp_path) as (url, pki):
        private = replace(vtn_on_sqlite, url=url)
        assert "--ca names a file" in _run(private).stderr
        done = _run(private, "--ca", str(pki.ca))
        assert done.exit_code == 4
        assert "no OpenADR 3.1 VTN" in done.stderr
        assert _run(private, "--ca", str(pki.ca), "--insecure").exit_code == 2
    assert _run(vtn_on_sqlite, "--ca", str(tmp_path / "nowhere")).exit_code == 2


async def test_nothing_is_open_after_a_server_that_never_says_goodbye(tmp_path: Path) -> None:
    """It answers over TLS with `Connection: close`, and then neither closes nor answers the goodbye of TLS."""
    pki = Pki(tmp_path, now=lambda: datetime.now(UTC))
    over, ended = asyncio.Event(), asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            writer.transport.pause_reading()  # type: ignore[attr-defined] # a transport of a socket can
            await over.wait()
        finally:
            writer.transport.abort()
            ended.set()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=server_context(pki.server()))
    port = server.sockets[0].getsockname()[1]
    try:
        async with HttpClient(ca_file=pki.ca) as client:
            url = f"https://127.0.0.1:{port}/"
            found = await client.send(HttpExchange(Purpose.CHECK, "bl", "GET", url, CIMultiDict(), b""))
            assert found.status == 200
        assert [each.fileno() for each in client._sockets] in ([], [-1])
    finally:
        over.set()
        async with asyncio.timeout(30):  # it ends at once; whoever never got as far as a request is not waited for
            await ended.wait()
        server.close()
        await server.wait_closed()


def test_a_callback_url_has_to_be_one(vtn_on_sqlite: Subject) -> None:
    """Otherwise every check of subscriptions would fail."""
    assert _run(vtn_on_sqlite, "--callback-url", "receiver").exit_code == 2


def test_interrupting_the_command_cleans_up(vtn_on_sqlite: Subject) -> None:
    """Ctrl-C: what was made so far is reported, and the exit code says that it is not all."""
    command = [sys.executable, "-m", "oadr", "conformance", "run", vtn_on_sqlite.url]
    options = {"--bl": vtn_on_sqlite.bl, "--ven": vtn_on_sqlite.ven, "--ven2": vtn_on_sqlite.ven2}
    command += [text for name, client in options.items() for text in (name, _credential(client))]
    done = subprocess.Popen([*command, "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    _wait_until_it_works(vtn_on_sqlite)
    done.send_signal(signal.SIGINT)
    told, said = done.communicate(timeout=60)
    assert done.returncode == 130, said
    assert json.loads(told)["cut_short"] == "interrupted"
    assert _run(vtn_on_sqlite, "--only", "PAGE-007/*event").exit_code == 0


def _wait_until_it_works(subject: Subject) -> None:
    """Until business logic sees a program of the running suite."""

    async def wait() -> None:
        async with HttpClient() as wire:
            session = Session(subject, wire)
            probe = Probe(session, "-", frozenset({"bl"}))
            found = False
            while not found:
                found = any(is_ours(one, "programName") for one in (await probe.bl.get("/programs")).array())

    asyncio.run(asyncio.wait_for(wait(), 60))
