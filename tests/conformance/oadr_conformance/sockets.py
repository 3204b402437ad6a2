"""Sockets of a run that are all closed at its end, whatever the other side of a TLS connection leaves undone."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterable
from contextlib import suppress
from typing import Final
from weakref import WeakSet

_CLOSING_S: Final = 2.0
_BACKLOG: Final = 128


class ListeningSocket(socket.socket):
    """Listens, and remembers the connections it has accepted: those amid a handshake of TLS nobody else knows."""

    accepted: WeakSet[socket.socket]
    calls: int
    """Connections that it has accepted so far."""

    def accept(self) -> tuple[socket.socket, object]:
        """Return the next connection and the address of its other side."""
        connection, address = super().accept()
        self.accepted.add(connection)
        self.calls += 1
        return connection, address


def listening_at(host: str | None, port: int) -> list[ListeningSocket]:
    """Return sockets that listen at all addresses of a host, or of this machine; raises OSError."""
    found: list[ListeningSocket] = []
    addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    try:
        for family, kind, protocol, _, address in dict.fromkeys(addresses):
            made = ListeningSocket(family, kind, protocol)
            made.accepted, made.calls = WeakSet(), 0
            found.append(made)
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            made.bind(address)
            made.listen(_BACKLOG)
            made.setblocking(False)
    except OSError:
        for each in found:
            each.close()
        raise
    return found


async def closed(connections: Iterable[socket.socket]) -> None:
    """End connections that wait for a handshake or a goodbye of TLS, and wait until the event loop has closed them."""
    connections = list(connections)
    for each in connections:
        with suppress(OSError):  # it is closed, or never was connected
            each.shutdown(socket.SHUT_RDWR)
    with suppress(TimeoutError):
        async with asyncio.timeout(_CLOSING_S):
            while any(each.fileno() >= 0 for each in connections):  # noqa: ASYNC110 # sockets have no event
                await asyncio.sleep(0.005)
