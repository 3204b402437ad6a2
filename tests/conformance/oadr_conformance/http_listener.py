"""An HTTP server of a run, at an address of the suite: it listens, and leaves no connection open at its end."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable
from typing import Protocol

from aiohttp import web

from oadr_conformance.errors import Misused
from oadr_conformance.sockets import ListeningSocket, closed, listening_at


class ListeningPlace(Protocol):
    """Say where to listen, and with which certificate."""

    @property
    def place(self) -> tuple[str | None, int]:
        """Return host and port; no host means every address of this machine, port 0 a free one."""

    def tls(self) -> ssl.SSLContext | None:
        """Return the TLS context to listen with; None for plain HTTP. Raises Misused."""


class HttpListener:
    """Hand every request at an address to ``serve``; ``who`` is the name of the server in errors."""

    def __init__(
        self,
        address: ListeningPlace,
        serve: Callable[[web.Request], Awaitable[web.StreamResponse]],
        *,
        who: str,
        largest: int,
    ) -> None:
        """
        Args:
            address: where it is found, and where it listens.
            serve: answers each request.
            who: the server's name in errors, such as "the receiver".
            largest: bytes of a body at most.
        """
        self._address = address
        self._serve = serve
        self._who = who
        self._largest = largest
        self._runner: web.AppRunner | None = None
        self._sockets: list[ListeningSocket] = []

    @property
    def port(self) -> int:
        """Return the port that it listens at; 0 before it does."""
        return int(self._sockets[0].getsockname()[1]) if self._sockets else 0

    @property
    def calls(self) -> int:
        """Return how many connections came, also those without a request."""
        return sum(each.calls for each in self._sockets)

    async def start(self) -> None:
        """
        Listen.

        Raises:
            Misused: the address cannot be listened at, or the files for TLS are none.
        """
        app = web.Application(client_max_size=self._largest)
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
            raise Misused(f"{self._who} cannot listen at {host or '*'}:{port}: {error.strerror or error}") from error

    async def stop(self) -> None:
        """Listen no more."""
        if self._runner is not None:
            await self._runner.cleanup()
        await closed(connection for each in self._sockets for connection in each.accepted)
