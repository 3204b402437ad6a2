"""The load generator against a real server: it counts right answers, and does not measure wrong ones."""

import asyncio
import gc
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from bench.errors import Unusable, WrongAnswer
from bench.load import _undisturbed, load
from bench.support.net import free_port
from bench.wire import Address, Head, chunked_end, read_head, request


@asynccontextmanager
async def server(answer: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> AsyncIterator[Address]:
    """A server that answers every request so."""
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield Address("127.0.0.1", port)
    finally:
        await runner.cleanup()


async def test_every_request_is_sent_once_and_its_answer_counted() -> None:
    seen: Counter[str] = Counter()

    async def answer(asked: web.Request) -> web.Response:
        seen[asked.path_qs] += 1
        assert asked.headers["Authorization"] == "Bearer x"
        return web.Response(body=b"y" * 1_000_000)

    async with server(answer) as address:
        headers = {"Authorization": "Bearer x"}
        requests = (request(address, "GET", f"/events?skip={number}", headers=headers) for number in range(40))
        sample = await load(address, requests.__next__, connections=4, seconds=30, expect=200)

    assert len(sample.latencies_s) == 40
    assert seen == {f"/events?skip={number}": 1 for number in range(40)}
    assert sample.bytes_received > 40_000_000
    assert 0 < sample.seconds < 30


async def test_bodies_are_sent_and_empty_answers_are_answers() -> None:
    bodies: list[bytes] = []

    async def answer(asked: web.Request) -> web.Response:
        bodies.append(await asked.read())
        return web.Response(status=304)

    async with server(answer) as address:
        requests = (request(address, "POST", "/reports", body=body) for body in (b"one", b""))
        await load(address, requests.__next__, connections=1, seconds=30, expect=304)

    assert bodies == [b"one", b""]


async def test_chunked_answers_are_read_to_their_end() -> None:
    async def answer(asked: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        response.enable_chunked_encoding()
        await response.prepare(asked)
        for _ in range(20):
            await response.write(b"z" * 5000)
        await response.write_eof()
        return response

    async with server(answer) as address:
        requests = (request(address, "GET", "/events") for _ in range(10))
        sample = await load(address, requests.__next__, connections=2, seconds=30, expect=200)

    assert len(sample.latencies_s) == 10


async def test_another_status_than_expected_ends_the_measurement_with_the_answer() -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=403, text="not you")

    async with server(answer) as address:
        with pytest.raises(WrongAnswer, match=r"status 403 instead of 200: b'not you'"):
            await load(address, lambda: request(address, "GET", "/"), connections=2, seconds=30, expect=200)


async def test_server_that_closes_connections_is_not_measured() -> None:
    async def answer(_: web.Request) -> web.Response:
        response = web.Response()
        response.force_close()
        return response

    async with server(answer) as address:
        with pytest.raises(WrongAnswer, match="keep-alive"):
            await load(address, lambda: request(address, "GET", "/"), connections=1, seconds=30, expect=200)


async def test_nobody_listening_is_said_with_the_address() -> None:
    address = Address("127.0.0.1", free_port())

    with pytest.raises(WrongAnswer, match=f"cannot connect to http://127.0.0.1:{address.port}"):
        await load(address, lambda: request(address, "GET", "/"), connections=1, seconds=1, expect=200)


async def test_paced_load_sends_no_more_than_asked_for() -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response()

    async with server(answer) as address:
        sample = await load(
            address, lambda: request(address, "GET", "/"), connections=1, seconds=0.35, expect=200, per_second=10
        )

    assert 1 <= len(sample.latencies_s) <= 4


@pytest.mark.parametrize(
    ("raw", "head"),
    [
        (b"HTTP/1.1 200 OK\r\ncontent-length: 12\r\nServer: x", Head(200, 12, closes=False)),
        (b"HTTP/1.1 201 Created\r\nContent-Length:0", Head(201, 0, closes=False)),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 12", Head(304, 0, closes=False)),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked", Head(200, None, closes=False)),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\nConnection: close", Head(200, 1, closes=True)),
    ],
)
def test_head_tells_where_its_answer_ends(raw: bytes, head: Head) -> None:
    assert read_head(raw) == head


@pytest.mark.parametrize("raw", [b"", b"SSH-2.0-x", b"HTTP/1.1 abc", b"HTTP/1.1 200 OK\r\nServer: x"])
def test_head_that_does_not_tell_is_refused(raw: bytes) -> None:
    with pytest.raises(WrongAnswer):
        read_head(raw)


def test_chunked_body_ends_where_its_last_chunk_does() -> None:
    whole = b"4;name=value\r\nwiki\r\n10\r\n" + b"0" * 16 + b"\r\n0\r\n\r\n"

    assert [chunked_end(whole[:size]) for size in range(len(whole))] == [None] * len(whole)
    assert chunked_end(whole + b"HTTP/1.1 200") == len(whole)


def test_address_keeps_the_path_of_its_url() -> None:
    address = Address.of("http://vtn.example/openadr3/3.1.0/")

    assert (address.host, address.port, address.path, address.tls) == ("vtn.example", 80, "/openadr3/3.1.0", None)
    assert request(address, "GET", "/events").startswith(b"GET /openadr3/3.1.0/events HTTP/1.1\r\nHost: vtn.example:80")
    assert Address.of("https://vtn.example:8443").tls is not None


@pytest.mark.parametrize("url", ["vtn.example", "ftp://vtn.example", "http://", "http://vtn.example/?a=b"])
def test_address_that_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(Unusable, match="expected a URL"):
        Address.of(url)


async def test_load_can_be_run_beside_other_load() -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response()

    async with server(answer) as address:
        requests = [request(address, "GET", "/")] * 20
        one, other = iter(requests), iter(requests)
        samples = await asyncio.gather(
            load(address, one.__next__, connections=2, seconds=30, expect=200),
            load(address, other.__next__, connections=1, seconds=30, expect=200),
        )

    assert [len(sample.latencies_s) for sample in samples] == [20, 20]


def test_a_load_beside_another_leaves_the_collector_off() -> None:
    """A probe runs beside the load that it watches: to collect as that begins would look like a pause of the server."""
    with _undisturbed():
        with _undisturbed():
            pass
        assert not gc.isenabled()
    assert gc.isenabled()
