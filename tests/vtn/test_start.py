"""Starting and stopping: addresses, TLS, and clear words when it does not work."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from structlog.testing import capture_logs

from bench.support.net import free_port
from tests.e2e.processes import program
from tests.support.pki import Pki
from tests.vtn.conftest import settings_for
from tests.vtn.harness import VtnUnderTest
from vtn.access import Role
from vtn.app import build, client_registry
from vtn.errors import AddressUnusable, BadCertificate, PortTaken


@pytest.fixture
def url(sqlite_template: Path, tmp_path: Path) -> str:
    """A SQLite database with tables."""
    path = tmp_path / "vtn.sqlite3"
    path.write_bytes(sqlite_template.read_bytes())
    return f"sqlite:///{path}"


async def test_a_taken_port_is_named(url: str) -> None:
    """And once it is free, the server starts there."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(PortTaken, match=f"port {port} on 127.0.0.1"):
            await VtnUnderTest(settings_for(url, port=port)).start()

    vtn = VtnUnderTest(settings_for(url, port=port))
    await vtn.start()
    assert vtn.origin == f"http://127.0.0.1:{port}"
    await vtn.stop()


async def test_a_start_says_at_once_that_it_has_begun(url: str) -> None:
    """Before the database and the port: whoever waits knows what for."""
    with capture_logs() as logs, pytest.raises(AddressUnusable):
        await VtnUnderTest(settings_for(url, host="192.0.2.1", insecure_http=True)).start()
    assert [each["event"] for each in logs][:1] == ["VTN is starting"]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_start_imports_no_library_that_it_does_not_use(url: str, tmp_path: Path, workers: int) -> None:
    """Neither the mapper of SQLAlchemy, nor the other database, nor what only a migration or a scrape needs."""
    port = free_port()
    environment = {"OADR_VTN_DATABASE__URL": url, "PYTHONPROFILEIMPORTTIME": "1"}
    words = ["vtn", "run", "--port", str(port), "--workers", str(workers)]
    server = program("vtn", words, folder=tmp_path, environment=environment, port=port)
    server.start()
    server.stop()
    lines = (tmp_path / "vtn.log").read_text().splitlines()  # of several processes, whose lines may run together
    found = [line.rpartition("|")[2].strip() for line in lines if line.startswith("import time:")]
    assert "vtn.app" in found
    others = {"alembic", "jwt", "prometheus_client", "pydantic_settings", "rich.console", "sqlalchemy.orm", "zeroconf"}
    assert not others & {*found}
    assert not {"asyncpg", "sqlalchemy.dialects.postgresql"} & {*found}


async def test_an_address_that_is_not_ours_is_named(url: str) -> None:
    """An address of somebody else, or a name that does not resolve."""
    for host in ("192.0.2.1", "no-such-host.invalid"):
        with pytest.raises(AddressUnusable, match=host):
            await VtnUnderTest(settings_for(url, host=host, insecure_http=True)).start()


async def test_it_listens_on_ipv6(url: str) -> None:
    """The address is written as URLs want it."""
    vtn = VtnUnderTest(settings_for(url, host="::1"))
    await vtn.start()

    assert vtn.base_url.startswith("http://[::1]:")
    (await vtn.bl.get("/programs")).ok()
    await vtn.stop()


async def test_requests_under_way_are_finished_before_the_end(url: str) -> None:
    """And afterwards nothing listens any more."""
    vtn = VtnUnderTest(settings_for(url))
    await vtn.start()
    event = await vtn.bl.event(await vtn.bl.program())
    home = vtn.home()
    reports = [
        asyncio.create_task(home.post("/reports", {"eventID": event["id"], "clientName": "c", "resources": []}))
        for _ in range(5)
    ]
    await asyncio.sleep(0)
    first = await reports[0]

    await vtn.server.stop()

    for answer in [first, *(await asyncio.gather(*reports[1:], return_exceptions=True))]:
        assert isinstance(answer, aiohttp.ClientError) or answer.status == 201  # type: ignore[union-attr] # one of both
    with pytest.raises(aiohttp.ClientError):
        await home.get("/events")
    await vtn.stop()


async def test_tls_is_served_in_version_1_2_and_newer(url: str, pki: Pki) -> None:
    """TLS-001, TLS-002: a client that only speaks older versions is refused."""
    files = pki.server()
    vtn = VtnUnderTest(settings_for(url, tls={"cert": files.certificate, "key": files.key}))
    await vtn.start()
    assert vtn.base_url.startswith("https://127.0.0.1:")

    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        context = ssl.create_default_context(cafile=str(files.ca))
        context.minimum_version = context.maximum_version = version
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"{vtn.base_url}/auth/server", ssl=context) as response,
        ):
            assert await response.json() == {"tokenURL": f"{vtn.base_url}/auth/token"}

    context = ssl.create_default_context(cafile=str(files.ca))
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1 is deprecated"):
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientError):
            await session.get(f"{vtn.base_url}/auth/server", ssl=context)
    await vtn.stop()


def _missing(_: Pki, folder: Path) -> dict[str, Any]:
    return {"cert": folder / "missing.pem", "key": folder / "missing.key"}


def _garbage(_: Pki, folder: Path) -> dict[str, Any]:
    (folder / "cert.pem").write_text("no certificate")
    return {"cert": folder / "cert.pem", "key": folder / "cert.pem"}


def _mismatch(pki: Pki, _: Path) -> dict[str, Any]:
    return {"cert": pki.server().certificate, "key": pki.server().key}


@pytest.mark.parametrize("files", [_missing, _garbage, _mismatch])
async def test_a_certificate_that_cannot_be_used_is_named(
    url: str, pki: Pki, tmp_path: Path, files: Callable[[Pki, Path], dict[str, Any]]
) -> None:
    """TLS-001: missing, unreadable, or with another's key."""
    tls = files(pki, tmp_path)

    with pytest.raises(BadCertificate, match=str(tls["cert"])):
        await VtnUnderTest(settings_for(url, tls=tls)).start()


async def test_clients_are_managed_without_a_server(url: str) -> None:
    """Clients are managed as by `oadr vtn client`; the server on the same database knows them at once."""
    vtn = VtnUnderTest(settings_for(url))
    await vtn.start()

    async with client_registry(settings_for(url)) as clients:
        made = await clients.add("utility", Role.BL)

    form = {"grant_type": "client_credentials", "client_id": made.client_id, "client_secret": made.secret}
    token = (await vtn.ask("POST", f"{vtn.base_url}/auth/token", form=form)).ok()["access_token"]
    await vtn.with_token(token).program()
    await vtn.stop()


async def test_a_server_takes_its_time_from_the_machine_by_default(url: str) -> None:
    """For real use nothing needs to be passed in."""
    server = build(settings_for(url))
    await server.start()
    assert server.base_url.endswith("/openadr3/3.1.0")
    await server.stop()
