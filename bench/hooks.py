"""Receivers of webhooks that take a POST over TLS with as little work as possible, and some that are dead."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from array import array
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, cast

from bench.errors import WrongAnswer
from bench.support.net import free_port
from bench.wire import HEAD_END
from certs import Authority

_TAKEN: Final = b"HTTP/1.1 204 No Content\r\n\r\n"
_PATIENCE_S: Final = 120.0


class Receivers:
    """Living and dead HTTPS endpoints on ports of their own. ``ca``: the file of the authority they are certified by.

    Half of the dead ones refuse connections; the others accept them and never say a word.
    """

    def __init__(self, folder: Path) -> None:
        authority = Authority.create("bench CA", now=lambda: datetime.now(UTC))
        folder.mkdir(exist_ok=True)
        self.ca = authority.save(folder).certificate
        pair = authority.issue_server("localhost", alternative_names=("127.0.0.1",)).save(folder / "server")
        self._tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._tls.load_cert_chain(pair.certificate, pair.key)
        self.times = array("d")
        """When each POST came, since ``forget``."""
        self._servers: list[asyncio.Server] = []
        self._silent: list[socket.socket] = []
        self._wanted = 0
        self._reached: asyncio.Future[None] | None = None

    async def living(self, number: int) -> list[str]:
        """Return the URLs of so many endpoints that answer every POST at once."""
        loop = asyncio.get_running_loop()
        urls = []
        for _ in range(number):
            server = await loop.create_server(lambda: _Hook(self), "127.0.0.1", 0, ssl=self._tls)
            self._servers.append(server)
            urls.append(_url(server.sockets[0].getsockname()[1]))
        return urls

    def dead(self, number: int) -> list[str]:
        """Return the URLs of so many endpoints that never answer."""
        urls = [_url(free_port()) for _ in range(number // 2)]
        for _ in range(number - len(urls)):
            silent = socket.create_server(("127.0.0.1", 0), backlog=1024)
            self._silent.append(silent)
            urls.append(_url(silent.getsockname()[1]))
        return urls

    def forget(self) -> None:
        """Note times from now on."""
        self.times = array("d")

    async def until(self, count: int) -> None:
        """Wait until so many POSTs came since ``forget``; raises WrongAnswer when they do not."""
        if len(self.times) >= count:
            return
        self._wanted, self._reached = count, asyncio.get_running_loop().create_future()
        try:
            await asyncio.wait_for(self._reached, _PATIENCE_S)
        except TimeoutError:
            raise WrongAnswer(f"{len(self.times):,} of {count:,} deliveries came within {_PATIENCE_S:g} s") from None

    def took(self) -> None:
        """Note one more."""
        self.times.append(time.perf_counter())
        if len(self.times) == self._wanted and self._reached is not None and not self._reached.done():
            self._reached.set_result(None)

    async def close(self) -> None:
        """Close all ports."""
        for server in self._servers:
            server.close()
        for silent in self._silent:
            silent.close()


class _Hook(asyncio.Protocol):
    """A connection of a sender: every request is a POST with a Content-Length."""

    def __init__(self, receivers: Receivers) -> None:
        self._receivers = receivers
        self._transport: asyncio.Transport | None = None
        self._read = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._read += data
        while (head := self._read.find(HEAD_END)) >= 0:
            lower = bytes(self._read[:head]).lower()
            at = lower.find(b"content-length:")
            length = int(lower[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            end = head + len(HEAD_END) + length
            if len(self._read) < end:
                return
            del self._read[:end]
            self._receivers.took()
            if self._transport is not None:
                self._transport.write(_TAKEN)


def _url(port: int) -> str:
    return f"https://127.0.0.1:{port}/hook"
