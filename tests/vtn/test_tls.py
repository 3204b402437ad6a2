"""TLS that the server terminates itself: renewed certificates, and certificates of clients."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, TypeAlias

import aiohttp
import pytest
import pytest_asyncio

from tests.support.pki import Pki, TlsFiles, client_context
from tests.support.waiting import wait_until
from tests.vtn.conftest import StartVtn
from tests.vtn.harness import Session, VtnUnderTest
from vtn.access import Role
from vtn.settings import Settings

Files: TypeAlias = Callable[[TlsFiles], dict[str, Any]]


@pytest.fixture
def kind() -> str:
    """Nothing here depends on the database."""
    return "sqlite"


@pytest.fixture(scope="module")
def shared_url(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A database for the tests of this file."""
    return f"sqlite:///{shutil.copy(sqlite_template, tmp_path_factory.mktemp('tls') / 'vtn.sqlite3')}"


@pytest_asyncio.fixture(loop_scope="session")
async def vtn(shared_url: str) -> AsyncIterator[VtnUnderTest]:
    """Only its settings are used."""
    yield VtnUnderTest(Settings.model_validate({"port": 0, "database": {"url": shared_url}}))


def paths(files: TlsFiles) -> dict[str, Any]:
    """The settings for a server's files."""
    return {"cert": str(files.certificate), "key": str(files.key)}


async def status(vtn: VtnUnderTest, caller: Session, context: ssl.SSLContext, path: str = "/events") -> int:
    """Return the status a caller gets over a new connection."""
    async with (
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context)) as session,
        session.get(f"https://127.0.0.1:{vtn.server.port}/openadr3/3.1.0{path}", headers=caller.headers) as response,
    ):
        await response.read()
        return response.status


async def served(vtn: VtnUnderTest, ca: Path) -> bytes:
    """The certificate that a new connection shows."""
    _, writer = await asyncio.open_connection(
        "127.0.0.1", vtn.server.port, ssl=client_context(ca), server_hostname="localhost"
    )
    certificate = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    await writer.wait_closed()
    assert isinstance(certificate, bytes)
    return certificate


def put(files: TlsFiles, folder: Path) -> dict[str, Any]:
    """Copy a server's files to where they are renewed."""
    for source, name in ((files.certificate, "cert.pem"), (files.key, "key.pem")):
        shutil.copy(source, folder / f"{name}.new")
        (folder / f"{name}.new").replace(folder / name)
    return {"cert": str(folder / "cert.pem"), "key": str(folder / "key.pem")}


@pytest.mark.parametrize("by", ["file", "signal"])
async def test_a_renewed_certificate_is_used_without_a_restart(
    start_vtn: StartVtn, pki: Pki, tmp_path: Path, by: str
) -> None:
    """TLS-006: when the files change, or when told; connections that are open stay."""
    watch_s = 0.05 if by == "file" else 600
    vtn = await start_vtn(tls=put(pki.server(), tmp_path) | {"watch_s": watch_s})
    before = await served(vtn, pki.ca)
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", vtn.server.port, ssl=client_context(pki.ca), server_hostname="localhost"
    )

    put(pki.server(), tmp_path)
    if by == "signal":
        vtn.server.renew_certificate()

    async def renewed() -> bool:
        return await served(vtn, pki.ca) != before

    await wait_until(renewed)
    writer.write(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (await reader.readline()).startswith(b"HTTP/1.1 200")
    writer.close()
    await writer.wait_closed()


async def test_a_certificate_that_cannot_be_used_changes_nothing(start_vtn: StartVtn, pki: Pki, tmp_path: Path) -> None:
    """TLS-006: half a renewal is none."""
    vtn = await start_vtn(tls=put(pki.server(), tmp_path) | {"watch_s": 600})
    before = await served(vtn, pki.ca)

    shutil.copy(pki.server().key, tmp_path / "key.pem")
    vtn.server.renew_certificate()
    assert await served(vtn, pki.ca) == before
    (tmp_path / "cert.pem").unlink()
    vtn.server.renew_certificate()
    assert await served(vtn, pki.ca) == before


async def test_only_who_has_a_certificate_gets_in(start_vtn: StartVtn, pki: Pki, tmp_path: Path) -> None:
    """The gate: before anything is read of a request; an authority that is taken out is trusted no more."""
    authorities = tmp_path / "ca.pem"
    authorities.write_bytes(pki.ca.read_bytes())
    tls = paths(pki.server()) | {"client_ca": str(authorities), "watch_s": 600}
    vtn = await start_vtn(tls=tls)
    stranger = Pki(tmp_path / "other", now=pki.authority._now, name="another authority").client("home")
    caller = vtn.home()

    assert await status(vtn, caller, client_context(pki.ca, pki.client("home"))) == 200
    for context in (client_context(pki.ca), client_context(pki.ca, stranger)):
        with pytest.raises(aiohttp.ClientError):
            await status(vtn, caller, context)
    authorities.write_bytes(stranger.ca.read_bytes())
    vtn.server.renew_certificate()
    assert await status(vtn, caller, client_context(pki.ca, stranger)) == 200
    with pytest.raises(aiohttp.ClientError):
        await status(vtn, caller, client_context(pki.ca, pki.client("home")))


@pytest.mark.parametrize("name", ["CN", "fingerprint", "fingerprint with colons"])
async def test_a_client_and_its_certificate_belong_together(start_vtn: StartVtn, pki: Pki, name: str) -> None:
    """The mapping: a stolen token is worth nothing elsewhere, and a certificate only for its own client."""
    own, other = pki.client("house-7"), pki.client("somebody")
    digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(own.certificate.read_text())).hexdigest()
    colons = ":".join(digest[at : at + 2] for at in range(0, 64, 2)).upper()
    key = {"CN": "CN=house-7", "fingerprint": f"sha256:{digest}", "fingerprint with colons": f"SHA256:{colons}"}[name]
    vtn = await start_vtn(tls=paths(pki.server()) | {"client_ca": str(pki.ca), "clients": {key: "seven"}})
    seven, free = vtn.caller(Role.VEN, client_id="seven"), vtn.caller(Role.VEN, client_id="free")

    assert await status(vtn, seven, client_context(pki.ca, own)) == 200
    assert await status(vtn, seven, client_context(pki.ca, other)) == 403
    assert await status(vtn, free, client_context(pki.ca, own)) == 403
    assert await status(vtn, free, client_context(pki.ca, other)) == 200
