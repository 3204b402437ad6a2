"""Test how the suite is told of changes: its receiver, and its way to a VTN's broker."""

import asyncio
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import pytest
from oadr_conformance import ALL, Misused, Outcome, ReceiverAddress, Result, Subject, opened, run, select
from oadr_conformance.callbacks import CallbackServer
from oadr_conformance.probe import Probe
from typer.testing import CliRunner
from vtns.demanding import DemandingVtn, demanding_vtn

from bench.support.net import free_port
from oadr.__main__ import app
from tests.support.pki import Pki
from tests.support.waiting import wait_until


def _one(subject: Subject, key: str) -> Result:
    (result,) = asyncio.run(run(subject, select(ALL, [key]))).results
    return result


@pytest.mark.parametrize(
    ("url", "options"),
    [
        ("lab.example:8443", {}),
        ("https://lab.example:8443/path", {"listen": "127.0.0.1:80"}),
        ("https://lab.example:8443", {}),
        ("https://lab.example:8443", {"listen": "nowhere"}),
        ("https://lab.example:8443", {"certificate": Path("cert.pem")}),
        ("http://lab.example:8080", {"certificate": Path("cert.pem"), "key": Path("key.pem")}),
    ],
)
def test_a_receiver_that_cannot_work_is_a_mistake(url: str, options: dict[str, str]) -> None:
    """Before anything is sent."""
    with pytest.raises(Misused):
        ReceiverAddress(url, **options)  # type: ignore[arg-type]  # the names are those of the fields


def test_a_receiver_listens_on_its_port_or_where_it_is_told() -> None:
    """A name may have any address of the machine, an address is one."""
    behind = ReceiverAddress("https://lab.example", listen="127.0.0.1:8080")
    assert behind.place == ("127.0.0.1", 8080)
    assert ReceiverAddress("http://lab.example:81").place == (None, 81)
    assert ReceiverAddress("http://127.0.0.1:81").place == ("127.0.0.1", 81)


def test_a_receiver_whose_port_is_taken_is_a_mistake(vtn_on_sqlite: Subject) -> None:
    """The message names the address."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        place = f"127.0.0.1:{taken.getsockname()[1]}"
        receiver = ReceiverAddress("https://lab.example", listen=place)
        with pytest.raises(Misused, match=place):
            asyncio.run(run(replace(vtn_on_sqlite, receiver=receiver), select(ALL, ["PAGE-007"])))


def test_a_receiver_for_http_does_not_fit_a_vtn_that_wants_https(vtn_on_sqlite: Subject) -> None:
    """As a callback URL does not."""
    with pytest.raises(Misused, match="https"):
        replace(vtn_on_sqlite, receiver=ReceiverAddress("http://127.0.0.1:81"))


def test_files_that_hold_no_certificate_are_a_mistake(vtn_on_sqlite: Subject, tmp_path: Path) -> None:
    """They are named."""
    for name in ("cert.pem", "key.pem"):
        (tmp_path / name).write_text("nothing")
    receiver = ReceiverAddress(
        f"https://127.0.0.1:{free_port()}", certificate=tmp_path / "cert.pem", key=tmp_path / "key.pem"
    )
    with pytest.raises(Misused, match=r"cert\.pem"):
        asyncio.run(run(replace(vtn_on_sqlite, receiver=receiver), select(ALL, ["PAGE-007"])))


def test_without_a_receiver_nothing_is_said_about_webhooks(vtn_on_sqlite: Subject) -> None:
    """The reason says which option it needs."""
    result = _one(replace(vtn_on_sqlite, receiver=None), "WEBHOOK-009")
    assert result.outcome is Outcome.SKIP
    assert "--receiver" in result.why


def test_a_callback_is_gone_after_its_check(vtn_on_sqlite: Subject) -> None:
    """WEBHOOK-020: then nobody sends anything again."""

    async def ask() -> list[int]:
        receiver = ReceiverAddress("https://lab.example", listen=f"127.0.0.1:{free_port()}")
        async with opened(replace(vtn_on_sqlite, receiver=receiver)) as session, aiohttp.ClientSession() as client:
            probe = Probe(session, "X-001", frozenset({"bl"}))
            callback = probe.callback()
            url = f"http://{receiver.listen}{callback.url.removeprefix(receiver.url)}"
            statuses = []
            for _ in range(2):
                async with client.post(url, json={}) as answer:
                    statuses.append(answer.status)
                await probe.clean_up()
            return statuses

    assert asyncio.run(ask()) == [200, 410]


async def test_nothing_is_open_after_callers_that_never_finish_the_handshake(tmp_path: Path) -> None:
    """A VTN may be connecting when the run ends: its connection is none of HTTP yet."""
    files = Pki(tmp_path, now=lambda: datetime.now(UTC)).server()
    address = ReceiverAddress(f"https://127.0.0.1:{free_port()}", certificate=files.certificate, key=files.key)
    server = CallbackServer(address)
    await server.start()
    (listening,) = server._listener._sockets
    port = address.place[1]
    connections = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
    await wait_until(lambda: len(listening.accepted) == 2)
    accepted = list(listening.accepted)
    await server.stop()
    assert [each.fileno() for each in accepted] == [-1, -1]
    for _, writer in connections:
        writer.close()
        await writer.wait_closed()


def test_options_of_a_receiver_need_one(vtn_on_sqlite: Subject) -> None:
    """Wrong usage: exit code 2."""
    bl = f"{vtn_on_sqlite.bl.client_id}:x"
    arguments = ["conformance", "run", vtn_on_sqlite.url, "--bl", bl, "--ven", "a:b", "--ven2", "c:d"]
    done = CliRunner().invoke(app, [*arguments, "--receiver-listen", "127.0.0.1:80"])
    assert done.exit_code == 2
    assert "--receiver" in done.stderr
    assert CliRunner().invoke(app, [*arguments, "--patience", "0"]).exit_code == 2


def _with_demanding(directory: Path, change: Callable[[Subject, DemandingVtn], Subject]) -> Result:
    """Return what comes of one check about publications, after a change of the demanding VTN or what is known of it."""

    async def examine() -> Result:
        async with demanding_vtn(directory) as (subject, server):
            (result,) = (await run(change(subject, server), select(ALL, ["MQTT-028"]))).results
            return result

    return asyncio.run(examine())


def test_a_missing_library_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And how to get it; the VTN is not to blame."""
    monkeypatch.setitem(sys.modules, "paho.mqtt", None)
    result = _with_demanding(tmp_path, lambda subject, _: subject)
    assert result.outcome is Outcome.SKIP
    assert "paho-mqtt" in result.why
    assert "openadr-fleet[mqtt]" in result.why


def test_the_library_is_imported_for_a_broker_only() -> None:
    """Leave it alone when a VTN without a broker is examined."""
    script = "import sys, oadr_conformance; sys.exit(any(name.startswith('paho') for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_a_broker_that_cannot_be_reached_fails_the_vtn(tmp_path: Path) -> None:
    """It sent its clients there. The report says where."""

    def elsewhere(subject: Subject, server: DemandingVtn) -> Subject:
        server.announcer.port = free_port()
        return subject

    result = _with_demanding(tmp_path, elsewhere)
    assert result.outcome is Outcome.FAIL
    assert "mqtts://127.0.0.1:" in result.expected
    assert "cannot be reached" in result.got


def test_a_broker_with_a_certificate_of_nobody_fails_the_vtn(tmp_path: Path) -> None:
    """The message says what to do if it is right."""
    result = _with_demanding(tmp_path, lambda subject, _: replace(subject, ca_file=_other_authority(tmp_path)))
    assert result.outcome is Outcome.FAIL
    assert "--ca names a file" in result.got


def test_a_broker_that_admits_nobody_fails_the_vtn(tmp_path: Path) -> None:
    """It is told apart from one that is not there."""

    def closed(subject: Subject, server: DemandingVtn) -> Subject:
        server.announcer.close_door()
        return subject

    result = _with_demanding(tmp_path, closed)
    assert result.outcome is Outcome.FAIL
    assert "refuses the client" in result.got


def _other_authority(directory: Path) -> Path:
    other = directory / "other"
    other.mkdir()
    return Pki(other, now=lambda: datetime.now(UTC)).ca
