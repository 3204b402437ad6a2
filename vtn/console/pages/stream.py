"""Keep open pages up to date by a stream of server-sent events."""

from __future__ import annotations

import asyncio

from aiohttp import web

from openadr_pages.headers import SECURITY
from vtn.console.routes import ConsoleRoute
from vtn.console.sessions import ConsoleSessions
from vtn.console.visit import Visit

_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}  # a proxy must not collect it
_OVER = b"event: over\ndata:\n\n"


async def show(visit: Visit) -> web.StreamResponse:
    """Tell of topics that have changed, until the session or the server ends."""
    streams = visit.console.streams
    with streams.opened(visit.user.name) as stream:
        response = web.StreamResponse(headers=SECURITY | _HEADERS)
        response.content_type = "text/event-stream"
        response.charset = "utf-8"
        await response.prepare(visit.request)
        await response.write(b"retry: 3000\n\n")
        clock, looked_s = asyncio.get_running_loop().time, 0.0
        try:
            while True:
                topics = await stream.changed(within_s=streams.heartbeat_s)
                if stream.is_over:
                    break
                if not topics or clock() - looked_s >= streams.heartbeat_s:  # there may be news without a pause
                    if await ConsoleSessions(visit.console).of(visit.request, is_use=False) is None:
                        await response.write(_OVER)
                        break
                    looked_s = clock()
                topics = topics or streams.unannounced
                await response.write(
                    f"event: changed\ndata: {' '.join(sorted(topics))}\n\n".encode() if topics else b":\n\n"
                )
            await response.write_eof()
        except ConnectionError:
            pass  # the page was closed
    return response


ROUTES = (ConsoleRoute("GET", "/stream", show, name="stream"),)
