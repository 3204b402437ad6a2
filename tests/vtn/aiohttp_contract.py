"""Run a small server with the private parts of aiohttp, in whichever version is in the folder that is named.

A program of its own, as a version cannot be exchanged while it is loaded: ``python aiohttp_contract.py FOLDER``.
"""

from __future__ import annotations

import asyncio
import sys
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

ROOT = Path(__file__).parents[2]
sys.path[0:0] = [sys.argv[1], str(ROOT)]

import aiohttp  # noqa: E402 (of that folder)
from aiohttp import web  # noqa: E402

from tests.support.waiting import wait_until  # noqa: E402
from vtn.http import aiohttp_internals as internals  # noqa: E402


class Given:
    """Counts how often memory was released."""

    def __init__(self) -> None:
        self.times = 0

    def release(self) -> None:
        """Count."""
        self.times += 1


class _Connection(internals.Connection):
    seen: ClassVar[list[tuple[bytes, bool]]] = []

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self.seen.append((data[-4:], self.has_request))

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        internals.answer_as_http11(request)
        response = web.Response(status=status, text="not HTTP")
        response.force_close()
        return response


class _Server(internals.Server):
    def __call__(self) -> web.RequestHandler:
        return self.make_connection(_Connection)


class _Runner(internals.BaseRunner):
    entrance: Any

    def wrap(self, plain: web.Server) -> web.Server:
        return _Server(plain, self.entrance)


class _Site(internals.Site):
    @property
    def name(self) -> str:
        return "test"

    async def start(self) -> None:
        await self.listen(host="127.0.0.1", port=0)


def _has_come(before: int) -> bool:
    return len(_Connection.seen) > before


async def ask(port: int, *parts: bytes, answers: int = 1) -> list[tuple[bytes, bytes]]:
    """Send parts of requests one after the other; return the head and body of each answer on this connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    found = []
    try:
        for number, part in enumerate(parts):
            before = len(_Connection.seen)
            writer.write(part)
            if number < len(parts) - 1:
                await wait_until(partial(_has_come, before))
        for _ in range(answers):
            head = await reader.readuntil(b"\r\n\r\n")
            length = next((int(line[15:]) for line in head.split(b"\r\n") if line.startswith(b"Content-Length:")), 0)
            found.append((head, await reader.readexactly(length)))
    finally:
        writer.close()
        await writer.wait_closed()
    return found


async def check() -> None:
    """Raise AssertionError when a private part does something else than the server expects."""
    held, routes = Given(), []
    head = internals.head_of("200 OK", {"Content-Type": "text/plain", "Content-Length": "5"})

    async def finished(request: web.Request) -> web.StreamResponse:
        return internals.FinishedResponse(200, head, b"hello", held)

    async def nothing_new(request: web.Request) -> web.StreamResponse:
        return internals.FinishedResponse(304, internals.head_of("304 Not Modified", {"ETag": '"x"'}), b"", held)

    app = web.Application()
    app.router.add_get("/things/{id}", finished)
    app.router.add_get("/same", nothing_new)
    inner = internals.handler_of(app)

    async def entrance(request: web.Request) -> web.StreamResponse:
        assert internals.route_of(request) == "none"
        try:
            response = await inner(request)
        except web.HTTPNotFound:
            response = web.Response(status=404, text="none")
        routes.append(internals.route_of(request))
        response.headers["X-Entrance"] = "yes"
        return response

    runner = _Runner(app, access_log=None, auto_decompress=False)
    runner.entrance = entrance
    await runner.setup()
    site = _Site(runner)
    await site.start()
    server: Any = site._server
    port = server.sockets[0].getsockname()[1]
    try:
        get = b"GET %b HTTP/1.1\r\nHost: x\r\n\r\n"
        (one, body), (same, none), (other, _) = await ask(
            port, get % b"/things/1" + get % b"/same" + get % b"/nothing", answers=3
        )
        assert one.startswith(b"HTTP/1.1 200 OK\r\n"), one
        assert body == b"hello"
        assert same.startswith(b"HTTP/1.1 304 Not Modified\r\n"), same
        assert none == b""
        assert other.startswith(b"HTTP/1.1 404"), other
        for each in (one, same, other):
            assert each.count(b"X-Entrance: yes\r\n") == 1, each
            assert each.count(b"Date: ") == 1, each
        assert routes == ["/things/{id}", "/same", "none"], routes
        assert held.times == 2

        _Connection.seen.clear()
        await ask(port, b"GET /same HTTP/1.1\r\nHost: x\r\nX-Z: z", b"\r\n\r\n")
        assert _Connection.seen == [(b"Z: z", False), (b"\r\n\r\n", True)], _Connection.seen

        ((refused, _),) = await ask(port, b"this is not HTTP\r\n\r\n")
        assert refused.startswith(b"HTTP/1.1 400"), refused
        assert b"Connection: close" in refused, refused

        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(get % b"/same")
        connections: Any = runner.server
        await wait_until(lambda: connections.connections)
        writer.transport.abort()
        await wait_until(lambda: not connections.connections, what="a client that leaves is let go")
    finally:
        await runner.cleanup()


asyncio.run(check())
print(f"aiohttp {aiohttp.__version__} keeps the contract")  # noqa: T201 (it is a program)
