"""A receiver of callbacks, over real sockets, that answers the echo challenge as a test wishes."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from aiohttp import web

Answering: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]


async def echoing(request: web.Request) -> web.Response:
    """Answer as a correct receiver does: with the value to echo."""
    return web.Response(text=request.query["echo"])


class Receiver:
    """Records what it is asked; ``url`` is where."""

    def __init__(self) -> None:
        self.requests: list[web.Request] = []
        self.answering: Answering = echoing
        self.url = ""
        self._runner: web.AppRunner | None = None

    async def start(self, *, tls: ssl.SSLContext | None = None) -> None:
        """Listen on a free port of 127.0.0.1."""
        app = web.Application()
        app.router.add_route("*", "/{tail:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=tls)
        await site.start()
        port = self._runner.addresses[0][1]
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{port}/hook"

    async def stop(self) -> None:
        """Close the port."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        return await self.answering(request)
