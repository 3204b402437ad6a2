"""Connections that are too many or whose peers are too slow, and what every answer carries (GEN-008, TLS-008)."""

from __future__ import annotations

import asyncio
import shutil
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, TypeAlias

import aiohttp
import pytest
import pytest_asyncio
from pydantic import ValidationError

from tests.support.pki import Pki, client_context
from tests.support.waiting import wait_until
from tests.vtn.conftest import StartVtn, settings_for
from tests.vtn.harness import VtnUnderTest
from tests.vtn.test_limits import exchange, problem_of

Connection: TypeAlias = tuple[asyncio.Transport, asyncio.StreamReader]

SIZE = 900_000
TIMES = 32
HSTS = "Strict-Transport-Security"


@pytest.fixture
def kind() -> str:
    """Nothing here depends on the database."""
    return "sqlite"


@pytest_asyncio.fixture(loop_scope="session")
async def vtn(sqlite_template: Path, tmp_path: Path) -> AsyncIterator[VtnUnderTest]:
    """A server that holds what the others, which the tests start, show."""
    vtn = VtnUnderTest(settings_for(f"sqlite:///{shutil.copy(sqlite_template, tmp_path / 'vtn.sqlite3')}"))
    await vtn.start()
    yield vtn
    await vtn.stop()


def tls(pki: Pki, **members: Any) -> dict[str, Any]:
    """The settings of a server with a certificate."""
    files = pki.server()
    return {"cert": str(files.certificate), "key": str(files.key)} | members


@asynccontextmanager
async def connected(vtn: VtnUnderTest, context: ssl.SSLContext | None) -> AsyncIterator[Connection]:
    """A client that reads only what it is told to."""
    reader = asyncio.StreamReader(limit=1)
    transport, _ = await asyncio.get_running_loop().create_connection(
        lambda: asyncio.StreamReaderProtocol(reader),
        "127.0.0.1",
        vtn.server.port,
        ssl=context,
        server_hostname=None if context is None else "localhost",
    )
    try:
        yield transport, reader
    finally:
        transport.abort()


async def requests(vtn: VtnUnderTest) -> bytes:
    """Requests whose answers fill every buffer on the way to a client many times over."""
    program = await vtn.bl.program(attributes=[{"type": "LARGE", "values": ["x" * SIZE]}])
    path, token = f"/openadr3/3.1.0/programs/{program['id']}", vtn.bl.headers["Authorization"]
    return f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\n\r\n".encode() * TIMES


def open_connections(vtn: VtnUnderTest) -> int:
    """Return the number of connections the server has."""
    assert vtn.server._runner is not None
    assert vtn.server._runner.server is not None
    return len(vtn.server._runner.server.connections)


@pytest.mark.parametrize("secure", [False, True])
async def test_who_does_not_read_its_answers_is_let_go(
    vtn: VtnUnderTest, start_vtn: StartVtn, pki: Pki, secure: bool
) -> None:
    """GEN-008: neither memory nor a connection is held for who takes nothing."""
    limits = {"answer_s": 0.3, "idle_s": 3600}
    server = await start_vtn(limits=limits, tls=tls(pki) if secure else None)
    async with connected(server, client_context(pki.ca) if secure else None) as (transport, _):
        transport.pause_reading()
        transport.write(await requests(vtn))

        await wait_until(lambda: open_connections(server) == 1)
        await wait_until(lambda: open_connections(server) == 0)


@pytest.mark.parametrize("secure", [False, True])
async def test_who_reads_slowly_gets_all_of_its_answers(
    vtn: VtnUnderTest, start_vtn: StartVtn, pki: Pki, secure: bool
) -> None:
    """GEN-008: the limit is on taking nothing, not on the whole answer."""
    answer_s = 1.0
    server = await start_vtn(limits={"answer_s": answer_s}, tls=tls(pki) if secure else None)
    async with connected(server, client_context(pki.ca) if secure else None) as (transport, reader):
        transport.write(await requests(vtn))
        loop = asyncio.get_running_loop()
        began, size = loop.time(), 0

        while size < TIMES * SIZE:
            part = await reader.read(200_000)
            assert part, f"cut off after {size} bytes"
            size += len(part)
            if loop.time() - began < 3 * answer_s:
                await asyncio.sleep(0.05)


@pytest.mark.parametrize("said", [b"", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"])
async def test_a_handshake_must_end_in_time(start_vtn: StartVtn, pki: Pki, said: bytes) -> None:
    """GEN-008: nothing at all, or the beginning of a hello."""
    vtn = await start_vtn(tls=tls(pki), limits={"handshake_s": 0.2, "header_s": 600, "idle_s": 3600})

    assert await exchange(vtn, said) == b""
    _, writer = await asyncio.open_connection(
        "127.0.0.1", vtn.server.port, ssl=client_context(pki.ca), server_hostname="localhost"
    )
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize("secure", [False, True])
async def test_more_connections_than_the_limit_are_refused(start_vtn: StartVtn, pki: Pki, secure: bool) -> None:
    """GEN-008: in the words of the API, and only while the others are there."""
    vtn = await start_vtn(limits={"connections": 3}, tls=tls(pki) if secure else None, hsts_s=9 if secure else None)
    context = client_context(pki.ca) if secure else None
    async with AsyncExitStack() as stack:
        held = [await stack.enter_async_context(connected(vtn, context)) for _ in range(3)]
        await wait_until(lambda: open_connections(vtn) == 3)

        async with connected(vtn, context) as (_, reader):
            answer = await asyncio.wait_for(reader.read(), timeout=15)
        transport, reader = held[0]
        transport.write(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        told = await asyncio.wait_for(reader.read(), timeout=15)
        assert b"\noadr_vtn_connections 3.0\n" in told
        assert b"\noadr_vtn_connections_refused_total 1.0\n" in told
        await wait_until(lambda: open_connections(vtn) == 2)
        async with connected(vtn, context) as (transport, reader):
            transport.write(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
            assert (await reader.readexactly(13)) == b"HTTP/1.1 200 "

    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"\r\nRetry-After: 2\r\n" in answer
    assert b"\r\nServer: openadr-fleet\r\n" in answer
    assert (b"\r\nStrict-Transport-Security: max-age=9\r\n" in answer) == secure
    assert problem_of(answer)["status"] == 503


@pytest.mark.parametrize("by", ["tls", "proxy"])
async def test_browsers_are_told_to_stay_with_https(start_vtn: StartVtn, pki: Pki, by: str) -> None:
    """TLS-008: with every answer, also with those the framework gives."""
    members = {"tls": tls(pki)} if by == "tls" else {"behind_proxy": True, "public_url": "https://vtn.example"}
    vtn = await start_vtn(hsts_s=31536000, **members)
    secure = by == "tls"
    origin = f"{'https' if secure else 'http'}://127.0.0.1:{vtn.server.port}"
    connector = aiohttp.TCPConnector(ssl=client_context(pki.ca) if secure else True)
    async with aiohttp.ClientSession(connector=connector) as session:
        for path, status in (("/health", 200), ("/docs", 200), ("/openadr3/3.1.0/events", 401), ("/nowhere", 404)):
            async with session.get(origin + path) as response:
                assert (response.status, response.headers[HSTS]) == (status, "max-age=31536000"), path
    async with connected(vtn, client_context(pki.ca) if secure else None) as (transport, reader):
        transport.write(b"HELLO\r\n\r\n")
        answer = await asyncio.wait_for(reader.read(), timeout=15)
    assert problem_of(answer)["status"] == 400
    assert f"\r\n{HSTS}: max-age=31536000\r\n".encode() in answer


async def test_by_default_browsers_are_told_nothing(vtn: VtnUnderTest) -> None:
    """TLS-008: it binds the whole host name, which is not ours to decide about."""
    answer = await vtn.ask("GET", f"{vtn.origin}/health")
    assert HSTS not in answer.headers
    assert answer.headers["Server"] == "openadr-fleet"


def test_browsers_are_not_told_to_stay_with_what_is_not_there() -> None:
    """TLS-008: a setting without effect is a mistake."""
    for members in ({}, {"behind_proxy": True, "public_url": "http://vtn.example"}):
        with pytest.raises(ValidationError, match="hsts_s needs tls"):
            settings_for("sqlite:///x", hsts_s=1, **members)


async def test_only_the_ciphers_of_the_settings_are_taken(start_vtn: StartVtn, pki: Pki) -> None:
    """TLS-008: with TLS 1.2; 1.3 goes on as it is (TLS-002)."""
    vtn = await start_vtn(tls=tls(pki, ciphers="ECDHE+AESGCM+AES128:!aNULL"))

    async def negotiated(newest: ssl.TLSVersion, ciphers: str) -> Any:
        context = client_context(pki.ca)
        context.maximum_version = newest
        context.set_ciphers(ciphers)
        async with connected(vtn, context) as (transport, _):
            return transport.get_extra_info("cipher")

    name, version, _ = await negotiated(ssl.TLSVersion.TLSv1_2, "ECDHE+AESGCM+AES256:ECDHE+AESGCM+AES128")
    assert name.endswith("-AES128-GCM-SHA256")
    assert version == "TLSv1.2"
    for other in ("ECDHE+CHACHA20", "ECDHE+AESGCM+AES256"):
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await negotiated(ssl.TLSVersion.TLSv1_2, other)
    assert (await negotiated(ssl.TLSVersion.TLSv1_3, "ECDHE+CHACHA20"))[1] == "TLSv1.3"


@pytest.mark.parametrize(
    ("ciphers", "wrong"),
    [
        ("ECDHE+AESGCM:ECDHE+CHACHA2O", "ECDHE+CHACHA2O"),
        ("TLS_AES_256_GCM_SHA384", "TLS_AES_256_GCM_SHA384"),
        ("ECDHE+AESGCM:!ECDHE", "ECDHE+AESGCM:!ECDHE"),
        ("", ""),
    ],
)
def test_a_cipher_that_does_not_exist_is_named(pki: Pki, ciphers: str, wrong: str) -> None:
    """TLS-008: OpenSSL alone would say nothing while another word fits."""
    with pytest.raises(ValidationError, match="OpenSSL knows no cipher") as caught:
        settings_for("sqlite:///x", tls=tls(pki, ciphers=ciphers))
    assert repr(wrong) in str(caught.value)


def test_ciphers_may_be_excluded_and_sorted(pki: Pki) -> None:
    """TLS-008: OpenSSL's whole language, also words for what it no longer has."""
    for ciphers in ("HIGH:!aNULL:!RC4:!EXPORT:@STRENGTH", "ECDHE+AESGCM:+AES256:@SECLEVEL=2", "DEFAULT"):
        settings_for("sqlite:///x", tls=tls(pki, ciphers=ciphers))


async def test_a_server_lets_itself_open_as_many_files_as_it_has_connections(start_vtn: StartVtn) -> None:
    """GEN-008: the limit of connections is reached before the limit of files, where that is allowed."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 1024), hard))
        await start_vtn(limits={"connections": 1500})
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (2000, hard)
        await start_vtn(limits={"connections": 100})
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (2000, hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
