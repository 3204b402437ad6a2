"""A webhook of the suite's own: callbacks for the VTN to call, each with a behaviour and a memory of its own."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable, Mapping, MutableSequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from types import MappingProxyType
from typing import Final

from aiohttp import web
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from oadr_conformance.errors import Misused
from oadr_conformance.sockets import ListeningSocket, closed, listening_at
from oadr_conformance.told import Told, ToldInbox
from oadr_conformance.wire import HttpExchange, Purpose

PATH: Final = "/conformance/"
_LARGEST: Final = 4 * 1024 * 1024
_GONE: Final = 410
_NEVER_S: Final = 60.0


@dataclass(frozen=True)
class ReceiverAddress:
    """Say where the VTN can call the suite, and where the suite listens for that.

    It listens on the port of the URL, unless ``listen`` (`HOST:PORT`) says otherwise: behind an address translation, or
    a proxy that ends TLS. For an https URL it needs a certificate and its key (PEM), or such a proxy.
    """

    url: str
    listen: str = ""
    certificate: Path | None = None
    key: Path | None = None

    def __post_init__(self) -> None:
        """
        Raises:
            Misused: it is no address, or the files for TLS are missing, or are not needed.
        """
        url = URL(self.url)
        if url.scheme not in {"http", "https"} or not url.host or url.path.strip("/") or url.query_string:
            raise Misused(f"the receiver is http:// or https://, a host and a port, without a path: {self.url!r}")
        if self.listen and not self.listen.rpartition(":")[2].isdecimal():
            raise Misused(f"the receiver listens at HOST:PORT, not {self.listen!r}")
        if bool(self.certificate) != bool(self.key):
            raise Misused("the receiver's certificate and its key come together")
        if url.scheme == "https" and not self.certificate and not self.listen:
            raise Misused("a receiver for https needs a certificate and its key, or a proxy in front that ends TLS")
        if url.scheme == "http" and self.certificate:
            raise Misused("a receiver for http needs no certificate")

    @property
    def place(self) -> tuple[str | None, int]:
        """Return host and port to listen at; no host means every address of this machine."""
        if self.listen:
            host, _, port = self.listen.rpartition(":")
            return host.strip("[]") or None, int(port)
        url = URL(self.url)
        try:
            ip_address(url.host or "")
        except ValueError:
            return None, url.port or 443
        return url.host, url.port or 443

    def tls(self) -> ssl.SSLContext | None:
        """Return the TLS context to listen with; None for plain HTTP.

        Raises:
            Misused: the files hold no certificate with its key.
        """
        if self.certificate is None or self.key is None:
            return None
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        try:
            context.load_cert_chain(self.certificate, self.key)
        except OSError as error:  # ssl.SSLError is one
            raise Misused(f"{self.certificate} and {self.key} are no certificate with its key: {error}") from error
        return context


@dataclass(frozen=True)
class Reply:
    """An answer to the VTN."""

    status: int = 200
    body: str = ""
    headers: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


Challenged = Callable[[str], Reply]
"""Gives the answer of a callback to the value of a challenge."""
Notified = Callable[[int], Reply | None]
"""Gives its answer to a notification, given the number of earlier ones; None: nothing, for a minute."""


def echoed(value: str) -> Reply:
    """Return the right answer to a challenge: the value."""
    return Reply(body=value)


class LabCallback:
    """One URL for the VTN to call. It proves that it wants to be called and takes every notification, unless told."""

    def __init__(
        self,
        url: str,
        log: MutableSequence[HttpExchange],
        inbox: ToldInbox,
        *,
        challenged: Challenged = echoed,
        notified: Notified = lambda _earlier: Reply(),
    ) -> None:
        self.url = url
        self.inbox = inbox
        self.challenges: list[HttpExchange] = []
        """Calls with the parameter echo."""
        self.values: list[str] = []
        """Their values."""
        self.answers: list[float] = []
        """When each notification was answered, on the monotonic clock."""
        self._log = log
        self._challenged = challenged
        self._notified = notified
        self._closed = asyncio.Event()

    def close(self) -> None:
        """Let go of calls that wait for an answer."""
        self._closed.set()

    async def take(self, exchange: HttpExchange) -> Reply:
        """Answer a call of the VTN."""
        self._log.append(exchange)
        value = URL(exchange.url).query.get("echo")
        if exchange.method == "GET" and value is not None:
            self.challenges.append(exchange)
            self.values.append(value)
            return self._challenged(value)
        earlier = len(self.inbox.told)
        self.inbox.put(exchange)
        reply = self._notified(earlier)
        if reply is None:
            exchange.problem = "the suite gave no answer"
            try:
                async with asyncio.timeout(_NEVER_S):
                    await self._closed.wait()
            except TimeoutError:
                pass
            return Reply(503)
        self.answers.append(time.monotonic())
        return reply

    async def told(self, object_id: str, operation: str = "") -> Told:
        """Return the notification about this object, and of this operation if one is given; see `ToldInbox.told_of`."""
        return await self.inbox.told_of(object_id, operation)


class CallbackServer:
    """Listens for the VTN and passes each call to the callback that has its path; others are gone (410)."""

    def __init__(self, address: ReceiverAddress) -> None:
        self._address = address
        self._open: dict[str, LabCallback] = {}
        self._runner: web.AppRunner | None = None
        self._sockets: list[ListeningSocket] = []
        self._made = 0

    async def start(self) -> None:
        """
        Listen.

        Raises:
            Misused: the address cannot be listened at, or the files for TLS are none.
        """
        app = web.Application(client_max_size=_LARGEST)
        app.router.add_route("*", "/{path:.*}", self._serve)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await self._runner.setup()
        host, port = self._address.place
        try:
            tls = self._address.tls()
            self._sockets = listening_at(host, port)
            for each in self._sockets:
                await web.SockSite(self._runner, each, ssl_context=tls).start()
        except OSError as error:
            await self.stop()
            raise Misused(f"the receiver cannot listen at {host or '*'}:{port}: {error.strerror or error}") from error

    async def stop(self) -> None:
        """End every call and listen no more."""
        for callback in self._open.values():
            callback.close()
        if self._runner is not None:
            await self._runner.cleanup()
        await closed(connection for each in self._sockets for connection in each.accepted)

    def url(self, tag: str) -> str:
        """Return a new URL below the address of the receiver."""
        self._made += 1
        return f"{self._address.url.rstrip('/')}{PATH}{tag}-{self._made}"

    def open(self, callback: LabCallback) -> None:
        """Let the callback answer from now on."""
        self._open[URL(callback.url).path] = callback

    def close(self, callback: LabCallback) -> None:
        """Answer for the callback that it is gone, so that nothing is tried again."""
        self._open.pop(URL(callback.url).path, None)
        callback.close()

    async def _serve(self, request: web.Request) -> web.Response:
        callback = self._open.get(request.path)
        if callback is None:
            return web.Response(status=_GONE)
        url = f"{self._address.url.rstrip('/')}{request.raw_path}"
        exchange = HttpExchange(
            Purpose.CHECK, "the VTN", request.method, url, CIMultiDict(request.headers), await request.read()
        )
        exchange.status = 200
        reply = await callback.take(exchange)
        exchange.status, exchange.body = reply.status, reply.body.encode()
        exchange.headers = CIMultiDictProxy(CIMultiDict(reply.headers))
        headers = {"Content-Type": "text/plain", **reply.headers}
        return web.Response(status=reply.status, body=reply.body.encode(), headers=headers)
