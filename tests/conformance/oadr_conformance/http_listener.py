"""An HTTP server of a run, at an address of the suite: it listens, and leaves no connection open at its end."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web

from oadr_conformance.address import ReceiverAddress
from oadr_conformance.errors import Misused
from oadr_conformance.sockets import ListeningSocket, closed, listening_at


class HttpListener:
    """Hand every request at an address to ``serve``; ``who`` is the name of the server in errors."""

    def __init__(
        self,
        address: ReceiverAddress,
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
