"""Connections that end when their peer is too slow, and refuse in the words of the API what is not HTTP."""

from __future__ import annotations

import asyncio
import uuid
from http import HTTPStatus
from typing import Any, Final, cast

import structlog
from aiohttp import web
from aiohttp.http_exceptions import LineTooLong

from vtn.api import problem
from vtn.api.entrance import Handle
from vtn.settings import Limits

_log = structlog.get_logger(__name__)

_TOO_LARGE: Final = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE


class _Connection(web.RequestHandler):
    """One connection: the time for a header runs from its first byte, or from the beginning."""

    __slots__ = ("_header_timeout_s", "_header_timer")

    def __init__(self, *arguments: Any, header_timeout_s: float, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._header_timeout_s = header_timeout_s
        self._header_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Somebody has connected."""
        super().connection_made(transport)
        self._expect_header()

    def connection_lost(self, exc: BaseException | None) -> None:
        """It is over."""
        self._header_is_here()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Something has come: a whole header, or a part of one."""
        super().data_received(data)
        if self._messages or self._current_request is not None:
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
        """What is not HTTP never reaches the application; it gets a problem body too (PROBLEM-006)."""
        if request.writer.output_size > 0:
            raise ConnectionError("a part of the answer is sent already")
        refusal = problem.UNEXPECTED
        if status < 500:
            too_large = isinstance(exc, LineTooLong)
            refusal = problem.Refusal(
                _TOO_LARGE if too_large else status,
                "Header too large" if too_large else "Invalid request",
                "the request or its header is longer than this server accepts" if too_large else "this is not HTTP",
            )
        reference = str(uuid.uuid4())
        _log.log(40 if status >= 500 else 20, "connection refused", reference=reference, status=refusal.status)
        response = problem.response(refusal, accept="", reference=reference)
        response.force_close()
        return response

    def _expect_header(self) -> None:
        loop = asyncio.get_running_loop()
        self._header_timer = loop.call_later(self._header_timeout_s, self.force_close)

    def _header_is_here(self) -> None:
        if self._header_timer is not None:
            self._header_timer.cancel()
            self._header_timer = None


class _Server(web.Server):
    """Makes connections of our kind."""

    def __init__(self, plain: web.Server, handler: Handle, *, header_timeout_s: float) -> None:
        named = plain._kwargs  # noqa: SLF001 (the framework offers no other way to make connections of an own kind)
        super().__init__(cast(Any, handler), request_factory=plain.request_factory, **named)
        self._header_timeout_s = header_timeout_s

    def __call__(self) -> web.RequestHandler:
        return _Connection(self, loop=self._loop, header_timeout_s=self._header_timeout_s, **self._kwargs)


class Runner(web.AppRunner):
    """Runs an application behind its entrance, with limits on what a connection may send, and how slowly."""

    def __init__(self, app: web.Application, entrance: Handle, limits: Limits, *, shutdown_timeout: float) -> None:
        super().__init__(
            app,
            access_log=None,
            shutdown_timeout=shutdown_timeout,
            max_line_size=limits.header_line_bytes,
            max_field_size=limits.header_line_bytes,
            max_headers=limits.headers,
            keepalive_timeout=limits.idle_s,
            lingering_time=1.0,
        )
        self._entrance = entrance
        self._limits = limits

    async def _make_server(self) -> web.Server:
        return _Server(await super()._make_server(), self._entrance, header_timeout_s=self._limits.header_s)
