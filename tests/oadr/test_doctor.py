"""`oadr doctor`: each thing that is wrong is found and comes with what to do, and nothing is changed."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from bench.support.net import free_port
from oadr.__main__ import app
from oadr.doctor.network import look_at
from oadr.errors import Exit
from openadr_client.checkup import Checkup, Condition
from tests.oadr.conftest import Operator
from tests.support.pki import Pki, server_context

NOW = datetime.now(UTC)
CHEAP = {"OADR_VTN_AUTH__ARGON2__TIME_COST": "1", "OADR_VTN_AUTH__ARGON2__MEMORY_KIB": "8"}


@asynccontextmanager
async def listening(tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """The port of a server that takes connections and says nothing."""

    async def taken(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(taken, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def way_to(url: str, **options: Any) -> list[Checkup]:
    """The findings on the way to a URL."""
    return [each async for each in look_at(url, what="vtn", now=options.pop("now", NOW), **options)]


async def test_the_way_to_a_server_with_tls(pki: Pki) -> None:
    """Name, connection, certificate and its end."""
    async with listening(server_context(pki.server())) as port:
        name, connection, tls = await way_to(f"https://127.0.0.1:{port}/x", ca_file=pki.ca)
        (_, _, stranger) = await way_to(f"https://127.0.0.1:{port}")
        (_, _, late) = await way_to(f"https://127.0.0.1:{port}", ca_file=pki.ca, now=NOW + timedelta(days=36_500))
    assert (name.what, name.health) == ("vtn dns", Condition.OK)
    assert "127.0.0.1" in name.text
    assert (connection.what, connection.health) == ("vtn tcp", Condition.OK)
    assert (tls.what, tls.health) == ("vtn tls", Condition.OK)
    assert "holds until 20" in tls.text
    assert (stranger.health, "name the authority" in str(stranger.to_do)) == (Condition.FAILED, True)
    assert (late.health, late.to_do) == (Condition.WARNING, "renew the certificate before that day")


async def test_a_certificate_of_another_name(pki: Pki) -> None:
    """The name in the certificate is the one to be used."""
    async with listening(server_context(pki.server("vtn.example", "vtn.example"))) as port:
        *_, tls = await way_to(f"https://127.0.0.1:{port}", ca_file=pki.ca)
    assert (tls.health, tls.to_do) == (
        Condition.FAILED,
        "use the name that the certificate has, or have one made for this name",
    )


async def test_a_port_that_speaks_no_tls() -> None:
    """Found without waiting for ever: the server there closes."""

    async def close(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 no\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(close, "127.0.0.1", 0)
    *_, tls = await way_to(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    server.close()
    assert (tls.health, "TLS 1.2 or newer" in str(tls.to_do)) == (Condition.FAILED, True)


@pytest.mark.parametrize(
    ("url", "what", "said"),
    [
        ("http://nothing.invalid/x", "vtn dns", "is not known to the name server"),
        ("http://127.0.0.1:{port}", "vtn tcp", "takes no connection"),
        ("no address at all", "vtn", "is no address"),
        ("http://[::1", "vtn", "is no address"),
        ("http://127.0.0.1:99999", "vtn", "is no address"),
        ("ftp://127.0.0.1/x", "vtn", "is no address"),
    ],
)
async def test_a_way_that_ends(url: str, what: str, said: str) -> None:
    """The first step that fails is the last finding, with what to do."""
    *_, last = await way_to(url.format(port=free_port()))
    assert (last.what, last.health, said in last.text, bool(last.to_do)) == (what, Condition.FAILED, True, True)


def found(done: Result) -> dict[str, tuple[str, str, str | None]]:
    """The findings of a command: how each thing is, what was found, and what to do."""
    return {each["what"]: (each["health"], each["found"], each["to_do"]) for each in json.loads(done.stdout)}


def test_a_vtn_by_its_address(operator: Operator) -> None:
    """With credentials all of it is looked at; a target that nobody holds is named."""
    operator.ask("vens", "add", "home-1", "--target", "group:north")
    operator.ask("event", "create", "--shed", "1kW", "--target", "group:north", "--yes")
    done = operator.run("doctor", operator.url, "--json")
    assert done.exit_code == Exit.OK, done.stdout
    findings = found(done)
    assert {"vtn dns", "vtn tcp", "token", "clock", "programs", "events", "targets"} <= findings.keys()
    assert "write_events" in findings["token"][1]
    assert {health for health, _, _ in findings.values()} == {"ok"}
    operator.ask("event", "create", "--shed", "1kW", "--target", "group:typo", "--yes")
    done = operator.run("doctor")  # the address is in the environment
    assert done.exit_code == Exit.OK
    health, text, to_do = found(done)["targets"]
    assert (health, "group:typo" in text, "oadr vens add" in str(to_do)) == ("warning", True, True)


def test_a_vtn_that_does_not_know_us(operator: Operator) -> None:
    """A wrong secret ends with 1, and without any only the way is looked at."""
    done = operator.run("doctor", operator.url, OADR_BL_CLIENT_SECRET="a wrong secret of a client")
    assert done.exit_code == 1
    assert found(done)["token"][0] == "failed"
    done = CliRunner().invoke(app, ["doctor", operator.url, "--json"])
    assert (done.exit_code, found(done)["token"][0]) == (0, "warning")


@pytest.fixture
def server(tmp_path: Path) -> dict[str, str]:
    """The environment of a VTN with a database of its own and a port where nothing listens."""
    return CHEAP | {"OADR_VTN_DATABASE__URL": f"sqlite:///{tmp_path}/vtn.sqlite3", "OADR_VTN_PORT": str(free_port())}


def test_a_server_on_its_machine(server: dict[str, str], tmp_path: Path) -> None:
    """Step by step: no database, no clients, and then what is left is said as warnings."""
    run = CliRunner(env=server).invoke
    done = run(app, ["doctor", "vtn", "--json"])
    assert done.exit_code == 1
    health, _, to_do = found(done)["database"]
    assert (health, "oadr vtn run" in str(to_do)) == ("failed", True)
    assert not (tmp_path / "vtn.sqlite3").exists()
    assert run(app, ["vtn", "migrate"]).exit_code == 0
    done = run(app, ["doctor", "vtn"])
    assert (done.exit_code, found(done)["clients"][0]) == (1, "failed")
    assert run(app, ["vtn", "client", "add", "utility", "--role", "bl"]).exit_code == 0
    done = run(app, ["doctor"])  # by the environment
    findings = found(done)
    assert done.exit_code == 0, done.stdout
    assert findings["clients"][1] == "1 of business logic, 0 VENs"
    assert findings["console users"][::2] == ("warning", "oadr vtn user add NAME --role admin")
    assert findings["server"][0] == "warning"
    assert findings["database"][0] == findings["disk"][0] == "ok"


def test_broker_certificate_and_channels_of_a_server(server: dict[str, str], pki: Pki, tmp_path: Path) -> None:
    """Each for itself: one that is wrong hides no other."""
    files = pki.server()
    settings = {
        "OADR_VTN_TLS__CERT": str(files.certificate),
        "OADR_VTN_TLS__KEY": str(files.key),
        "OADR_VTN_MQTT__URL": f"mqtt://127.0.0.1:{free_port()}",
        "OADR_VTN_ALARMS__WEBHOOK__URL": "https://127.0.0.1/alarms",
        "OADR_VTN_ALARMS__EMAIL": json.dumps(
            {"host": "127.0.0.1", "port": free_port(), "sender": "a@b.example", "to": ["c@d.example"]}
        ),
    }
    done = CliRunner(env=server | settings).invoke(app, ["doctor", "vtn"])
    findings = found(done)
    assert done.exit_code == 1
    assert (findings["certificate"][0], "tls.cert holds until" in findings["certificate"][1]) == ("ok", True)
    assert findings["broker tcp"][0] == findings["alarms email tcp"][0] == "failed"
    health, text, to_do = findings["alarms webhook"]
    assert (health, "callbacks may not go to" in text, "webhook.allowed" in str(to_do)) == ("failed", True, True)


def test_a_ven_and_a_bridge(tmp_path: Path) -> None:
    """The way to the VTN first, then what their own commands examine."""
    port = free_port()
    ven = {"OADR_VEN_VTN__URL": f"http://127.0.0.1:{port}/openadr3/3.1.0", "OADR_VEN_VEN_NAME": "home"}
    circuits = '[{"id": "ev", "rated_kw": 7, "breaker_amps": 32}]'
    ven |= {"OADR_VEN_STORE": str(tmp_path / "home.sqlite3"), "OADR_VEN_CIRCUITS": circuits}
    done = CliRunner(env=ven).invoke(app, ["doctor", "ven"])
    assert done.exit_code == 1, done.stderr
    findings = found(done)
    assert findings["vtn tcp"][0] == "failed"
    assert findings["store"][0] == "ok"

    bridge = {
        "OADR_BRIDGE_VTN__URL": f"http://127.0.0.1:{port}/openadr3/3.1.0",
        "OADR_BRIDGE_VTN__CLIENT_ID": "bridge",
        "OADR_BRIDGE_VTN__CLIENT_SECRET": "s3cret-of-the-bridge",
        "OADR_BRIDGE_UNREGISTERED": "accept",
        "OADR_BRIDGE_BROKER__URL": f"mqtt://127.0.0.1:{free_port()}",
        "OADR_BRIDGE_DATABASE__URL": f"sqlite:///{tmp_path}/bridge.sqlite3",
    }
    done = CliRunner(env=bridge).invoke(app, ["doctor", "bridge", "--json"])
    assert done.exit_code == 1, done.stderr
    findings = found(done)
    assert findings["vtn tcp"][0] == findings["broker"][0] == "failed"
    assert all(to_do for health, _, to_do in findings.values() if health == "failed")
    assert (findings["database"][0], "does not exist yet" in findings["database"][1]) == ("ok", True)
    assert "s3cret" not in done.stdout
    assert not (tmp_path / "bridge.sqlite3").exists()
    done = CliRunner(env=bridge | {"OADR_BRIDGE_DATABASE__URL": "sqlite:////nowhere/bridge.sqlite3"}).invoke(
        app, ["doctor"]
    )  # by the environment, and each for itself
    assert {"vtn tcp", "database", "broker"} <= found(done).keys()


@pytest.mark.parametrize(("words", "said"), [(["cloud"], "expected vtn, ven, bridge or a URL"), (["a", "b"], "")])
def test_what_cannot_be_examined(words: list[str], said: str) -> None:
    """Is a mistake of usage."""
    done = CliRunner().invoke(app, ["doctor", *words])
    assert (done.exit_code, said in " ".join(done.stderr.replace("│", " ").split())) == (Exit.USAGE, True)
