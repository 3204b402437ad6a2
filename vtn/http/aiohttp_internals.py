"""Use the private parts of aiohttp: every one that this server needs is in this file, each with its reason.

``tests/vtn/test_aiohttp_internals.py`` runs it against the oldest and the newest aiohttp that ``pyproject.toml``
allows. Figures are processor time on one core of a busy small server, CPython 3.11 with uvloop, aiohttp 3.14.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from email.utils import formatdate
from typing import Any, Final, Protocol, cast

from aiohttp import HttpVersion11, web
from aiohttp.abc import AbstractStreamWriter

_WRITELINES_PAUSES: Final = not ((3, 12) <= sys.version_info < (3, 12, 9) or (3, 13) <= sys.version_info < (3, 13, 2))
"""In these versions ``writelines`` never makes the writer wait for a client that does not read (CVE-2024-12254)."""


def handler_of(app: web.Application) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """Return what answers a request in an application, routing included.

    A runner calls it itself; the entrance stands before it, as a middleware cannot: it would run after the router,
    not at all for what the router refuses, and not around the errors of other middlewares.
    """
    return cast(Callable[[web.Request], Awaitable[web.StreamResponse]], app._handle)  # noqa: SLF001


def route_of(request: web.Request) -> str:
    """Return the path with its variables, the same for all objects; ``none`` if no route was found or looked for.

    ``match_info`` fails for a request that never came to the router.
    """
    if request._match_info is None:  # noqa: SLF001
        return "none"
    resource = request.match_info.route.resource
    return "none" if resource is None else resource.canonical


def answer_as_http11(request: web.BaseRequest) -> None:
    """Have what cannot be read be answered as HTTP/1.1, for which the framework takes HTTP/1.0."""
    request._version = HttpVersion11  # noqa: SLF001


class Connection(web.RequestHandler):
    """Hold one connection, which can tell whether the header of a request is here: slow ones are closed (GEN-008)."""

    __slots__ = ()

    @property
    def has_request(self) -> bool:
        """Return True if a whole header has arrived, its request is being answered, or this is a websocket now."""
        return bool(self._messages) or self._current_request is not None or self._payload_parser is not None


class Server(web.Server):
    """Make connections of an own kind, which the framework offers no way to do, as a plain server would make them."""

    def __init__(self, plain: web.Server, handler: Callable[..., Awaitable[web.StreamResponse]]) -> None:
        super().__init__(cast(Any, handler), request_factory=plain.request_factory, **plain._kwargs)  # noqa: SLF001

    def make_connection(self, kind: type[Connection]) -> Connection:
        """Return a new connection of a kind."""
        return kind(self, loop=self._loop, **self._kwargs)


class BaseRunner(web.AppRunner):
    """Run an application with the server that ``wrap`` makes of the plain one."""

    def wrap(self, plain: web.Server) -> web.Server:
        """Return the server that makes the connections."""
        return plain

    async def _make_server(self) -> web.Server:
        return self.wrap(await super()._make_server())


class Site(web.BaseSite):
    """A site whose socket a subclass listens on."""

    __slots__ = ()

    async def listen(self, **options: Any) -> None:
        """Begin to listen, with options of ``loop.create_server``."""
        await super().start()
        server = self._runner.server
        if server is None:
            raise RuntimeError("the runner is set up before it listens")
        self._server = await asyncio.get_running_loop().create_server(
            server, ssl=self._ssl_context, backlog=self._backlog, **options
        )


class Memory(Protocol):
    """Memory that is released when an answer is sent."""

    def release(self) -> None:
        """Release it; may be called again."""


class FinishedResponse(web.StreamResponse):
    """Go out as it stands, with the headers that were set for this request; nothing else is put together for it.

    A request and its answer of 1 KB take 134 microseconds with it and 189 with ``web.Response``, on both sides of the
    connection together.
    """

    def __init__(self, status: int, head: bytes, body: bytes, reserved: Memory | None = None) -> None:
        super().__init__(status=status)
        self._keep_alive = True
        self._parts = head, body
        self._reserved = reserved
        self._transport: asyncio.Transport | None = None

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Send nothing yet: everything is sent at the end."""
        self._payload_writer = request.writer
        self._transport = request.transport
        return self._payload_writer

    async def write_eof(self, data: bytes = b"") -> None:
        """Send everything at once, without putting the two parts together."""
        writer, self._payload_writer = self._payload_writer, None
        transport, self._transport = self._transport, None
        if writer is None:
            return
        try:
            if transport is None or transport.is_closing():
                raise ConnectionResetError("the client has hung up")
            head, body = self._parts
            own = "".join([f"{name}: {value}\r\n" for name, value in self.headers.items()])
            _send(transport, b"%bDate: %b\r\n%b\r\n" % (head, _date(), own.encode()), body)
            self._eof_sent = True
            await writer.drain()
        finally:
            if self._reserved is not None:
                self._reserved.release()


def head_of(status: str, headers: Mapping[str, str]) -> bytes:
    """Return the beginning of an answer: its first line and some of its headers."""
    lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in headers.items()), ""]
    return "\r\n".join(lines).encode()


def _send(transport: asyncio.Transport, head: bytes, body: bytes) -> None:
    """Write an answer to the socket.

    No empty part is handed to ``writelines``: asyncio's own loop never drops one from Python 3.12 on, tries for ever to
    send it, and does not close the connection when the client leaves.
    """
    if body and _WRITELINES_PAUSES:
        transport.writelines((head, body))
    else:
        transport.write(head + body)


_second = 0
_formatted = b""


def _date() -> bytes:
    """Return the present second in the form of a header, by the machine's clock, like everything about a connection."""
    global _second, _formatted
    now = int(time.time())
    if now != _second:
        _second, _formatted = now, formatdate(now, usegmt=True).encode()
    return _formatted
