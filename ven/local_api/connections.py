"""Bound the connections of the local API: so many at most, and none that stays silent."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Final, cast

_BODY: Final = json.dumps({"error": "the local API has as many connections as it takes; try again later"}).encode()
_FULL: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nConnection: close\r\n"
    + f"Content-Length: {len(_BODY)}\r\n\r\n".encode()
    + _BODY
)


class Connections:
    """Make the protocol of each new connection with ``make``, while fewer than ``most`` are open.

    One on which no whole request has arrived for ``silent_s`` real seconds is cut.
    """

    def __init__(self, make: Callable[[], asyncio.Protocol], *, most: int, silent_s: float) -> None:
        self._make = make
        self._most = most
        self._silent_s = silent_s
        self._open: dict[asyncio.BaseTransport, asyncio.TimerHandle] = {}

    def __call__(self) -> asyncio.Protocol:
        return _Connection(self)

    def admit(self, transport: asyncio.BaseTransport) -> asyncio.Protocol:
        """Return what speaks on a new connection; if there is no room for it, say so and hang up."""
        connection = cast(asyncio.Transport, transport)
        if len(self._open) >= self._most:
            connection.write(_FULL)
            connection.close()
            return asyncio.Protocol()
        self._open[transport] = asyncio.get_running_loop().call_later(self._silent_s, connection.abort)
        return self._make()

    def asked(self, transport: asyncio.BaseTransport | None) -> None:
        """Leave a connection open from now on: a request has arrived on it."""
        if transport in self._open:
            self._open[transport].cancel()

    def left(self, transport: asyncio.BaseTransport) -> None:
        """Stop counting a connection that has ended."""
        if (timer := self._open.pop(transport, None)) is not None:
            timer.cancel()


class _Connection(asyncio.Protocol):
    """Count one connection, and hand everything on to the protocol that speaks on it."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._speaker = self._connections.admit(transport)
        self._speaker.connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.left(self._transport)
        self._speaker.connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._speaker.data_received(data)

    def eof_received(self) -> bool | None:
        return self._speaker.eof_received()

    def pause_writing(self) -> None:
        self._speaker.pause_writing()

    def resume_writing(self) -> None:
        self._speaker.resume_writing()
