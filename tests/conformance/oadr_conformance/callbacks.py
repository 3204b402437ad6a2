"""A webhook of the suite's own: callbacks for the VTN to call, each with a behaviour and a memory of its own."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, MutableSequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from aiohttp import web
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from oadr_conformance.address import ReceiverAddress
from oadr_conformance.http_listener import HttpListener
from oadr_conformance.told import Told, ToldInbox
from oadr_conformance.wire import HttpExchange, Purpose

PATH: Final = "/conformance/"
_LARGEST: Final = 4 * 1024 * 1024
_GONE: Final = 410
_NEVER_S: Final = 60.0


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
        self._listener = HttpListener(address, self._serve, who="the receiver", largest=_LARGEST)
        self._made = 0

    async def start(self) -> None:
        """
        Listen.

        Raises:
            Misused: the address cannot be listened at, or the files for TLS are none.
        """
        await self._listener.start()

    async def stop(self) -> None:
        """End every call and listen no more."""
        for callback in self._open.values():
            callback.close()
        await self._listener.stop()

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
