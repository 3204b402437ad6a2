"""Connections that end when their peer is too slow, and refuse in the words of the API what is not HTTP."""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
import uuid
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from http import HTTPStatus
from typing import Any, Final, TypeAlias

import structlog
from aiohttp import web
from aiohttp.http_exceptions import BadHttpMethod, LineTooLong

from vtn.http import aiohttp_internals, problem
from vtn.http.entrance import REQUEST_ID, Handle
from vtn.metrics import CONNECTIONS, REFUSED, Metrics
from vtn.settings import Limits

_log = structlog.get_logger(__name__)

_TOO_LARGE: Final = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
_FULL: Final = problem.Refusal(
    503,
    "Temporarily unavailable",
    "this server has as many connections as it takes; try again later",
    {"Retry-After": "2"},
)
_BACKLOG: Final = 1024
_UNKNOWN_METHOD: Final = re.compile(r"b'[!#$%&*+.^_`|~0-9A-Za-z-]+ (?P<path>/[^ ?#]*)[^ ]* HTTP/1\.[01]'")
"""The first line of a request, as the parser quotes it."""

Methods: TypeAlias = Callable[[str], AbstractSet[str]]
"""The methods of a path; none if there is no such path."""


class _Connection(aiohttp_internals.Connection):
    """One connection: the time for a header runs from its first byte, or from the beginning."""

    __slots__ = ("_admitted", "_header_timer", "_server")

    def __init__(self, server: _Server, **named: Any) -> None:
        super().__init__(server, **named)
        self._server = server
        self._admitted = False
        self._header_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Handle a new connection."""
        super().connection_made(transport)
        self._admitted = self._server.admit()
        if self._admitted:
            self._expect_header()
        else:
            self._turn_away()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Handle the end of the connection."""
        self._header_is_here()
        if self._admitted:
            self._server.leave()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Handle received bytes: a whole header, or a part of one."""
        super().data_received(data)
        if self.has_request:
            self._header_is_here()
        elif self._header_timer is None:
            self._expect_header()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer bytes that are not HTTP with a problem body (PROBLEM-006); they never reach the application."""
        if request.writer.output_size > 0:
            raise ConnectionError("a part of the answer is sent already")
        refusal = problem.UNEXPECTED if status >= 500 else self._server.refusal(status, exc)
        request_id = str(uuid.uuid4())
        reference = problem.instance_of(request_id)
        _log.log(40 if status >= 500 else 20, "connection refused", reference=reference, status=refusal.status)
        response = problem.response(refusal, accept="", reference=reference)
        response.headers.update({**self._server.headers, REQUEST_ID: request_id})
        response.force_close()
        aiohttp_internals.answer_as_http11(request)
        return response

    def _turn_away(self) -> None:
        """Say that there is no room, without waiting for a request (GEN-008)."""
        request_id = str(uuid.uuid4())
        reference = problem.instance_of(request_id)
        _log.info("connection refused", reference=reference, status=_FULL.status)
        body = problem.document(_FULL, reference=reference)
        fixed = {"Content-Type": "application/json", "Content-Length": str(len(body)), "Connection": "close"}
        headers = {**self._server.headers, REQUEST_ID: request_id, **_FULL.headers, **fixed}
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        if self.transport is not None:
            self.transport.write(f"HTTP/1.1 {_FULL.status} {_FULL.title}\r\n{lines}\r\n".encode() + body)
        self.force_close()

    def _expect_header(self) -> None:
        loop = asyncio.get_running_loop()
        self._header_timer = loop.call_later(self._server.limits.header_s, self.force_close)

    def _header_is_here(self) -> None:
        if self._header_timer is not None:
            self._header_timer.cancel()
            self._header_timer = None


class _Server(aiohttp_internals.Server):
    """Makes connections of our kind, and counts them."""

    def __init__(
        self,
        plain: web.Server,
        entrance: Handle,
        limits: Limits,
        headers: Mapping[str, str],
        metrics: Metrics | None,
        methods: Methods,
    ) -> None:
        super().__init__(plain, entrance)
        self.limits = limits
        self.headers = headers
        self._metrics = metrics
        self._methods = methods
        self._open = 0

    def refusal(self, status: int, error: BaseException | None) -> problem.Refusal:
        """Say what is wrong with bytes that are no request: too long, a method that nobody knows (GEN-006), or else."""
        if isinstance(error, LineTooLong):
            return problem.Refusal(
                _TOO_LARGE, "Header too large", "the request or its header is longer than this server accepts"
            )
        line = _UNKNOWN_METHOD.search(str(error)) if isinstance(error, BadHttpMethod) else None
        if line is None:
            return problem.Refusal(status, "Invalid request", "this is not HTTP")
        methods = self._methods(line["path"])
        if not methods:
            return problem.refusal_of_status(404)
        return problem.refusal_of_status(405, {"Allow": ",".join(sorted(methods))})

    def admit(self) -> bool:
        """Count a connection, if there is room for it."""
        if self._open >= self.limits.connections:
            self._count(REFUSED, 1)
            return False
        self._open += 1
        self._count(CONNECTIONS, 1)
        return True

    def leave(self) -> None:
        """Stop counting a connection that has ended."""
        self._open -= 1
        self._count(CONNECTIONS, -1)

    def hang_up(self) -> None:
        """Close all connections, each once what it asked for is answered."""
        for connection in self.connections:
            if isinstance(connection, _Connection) and connection.has_request:
                connection.close()
            else:
                connection.force_close()

    def _count(self, number: int, more: int) -> None:
        if self._metrics is not None:
            self._metrics.add(number, more)

    def __call__(self) -> web.RequestHandler:
        return self.make_connection(_Connection)


class Runner(aiohttp_internals.BaseRunner):
    """Runs an application behind its entrance, with limits on what a connection may send, and how slowly.

    ``headers`` are those of every answer, for the ones that the application does not give.
    """

    def __init__(
        self,
        app: web.Application,
        entrance: Handle,
        limits: Limits,
        *,
        headers: Mapping[str, str],
        metrics: Metrics | None,
        shutdown_timeout: float,
    ) -> None:
        super().__init__(
            app,
            access_log=None,
            shutdown_timeout=shutdown_timeout,
            max_line_size=limits.header_line_bytes,
            max_field_size=limits.header_line_bytes,
            max_headers=limits.headers,
            keepalive_timeout=limits.idle_s,
            lingering_time=1.0,
            auto_decompress=False,  # bodies are unpacked within their budget
        )
        self._entrance = entrance
        self._limits = limits
        self._headers = headers
        self._metrics = metrics

    async def listen(self, listener: socket.socket, context: ssl.SSLContext | None) -> None:
        """Take connections from a socket, with TLS if there is a context."""
        await _Site(self, listener, context, self._limits).start()

    def hang_up(self) -> None:
        """Close the connections that are open, each once what it asked for is answered."""
        if isinstance(self.server, _Server):
            self.server.hang_up()

    def wrap(self, plain: web.Server) -> web.Server:
        """Return the server with our connections and limits."""
        return _Server(plain, self._entrance, self._limits, self._headers, self._metrics, self._methods)

    def _methods(self, path: str) -> AbstractSet[str]:
        return {
            route.method for resource in self.app.router.resources() if _leads_to(resource, path) for route in resource
        }


def _leads_to(resource: web.AbstractResource, path: str) -> bool:
    info = resource.get_info()
    pattern = info.get("pattern")
    return info.get("path") == path if pattern is None else pattern.fullmatch(path) is not None


class _Site(aiohttp_internals.Site):
    """A listening socket: its handshakes end in time, and its answers do not wait for ever for who does not read."""

    __slots__ = ("_handshake_s", "_limits", "_listener")

    def __init__(self, runner: Runner, listener: socket.socket, context: ssl.SSLContext | None, limits: Limits) -> None:
        super().__init__(runner, ssl_context=context, backlog=_BACKLOG)
        self._listener = listener
        self._limits = limits
        self._handshake_s = None if context is None else limits.handshake_s

    @property
    def name(self) -> str:
        """Return the address it listens on."""
        return str(self._listener.getsockname())

    async def start(self) -> None:
        """Begin to listen.

        How long a peer may take nothing is counted by the kernel, which alone knows what has arrived there; whoever
        connects gets the option from the socket that listens.
        """
        patience_ms = round(self._limits.answer_s * 1000)
        self._listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, patience_ms)
        await self.listen(sock=self._listener, ssl_handshake_timeout=self._handshake_s)
