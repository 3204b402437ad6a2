"""The address the server listens on, and room for those who connect."""

from __future__ import annotations

import errno
import resource
import socket
from typing import Final

import structlog

from vtn.errors import AddressUnusable, PortTaken

_log = structlog.get_logger(__name__)

_OTHER_FILES: Final = 500


def bound(host: str, port: int, *, shared: bool = False) -> socket.socket:
    """Return a socket at an address, not listening yet; ``shared`` lets other processes of this user have the same one.

    Raises PortTaken and AddressUnusable.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if shared:
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            listener.bind(address)
            listener.setblocking(False)
        except BaseException:
            listener.close()
            raise
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise PortTaken(f"port {port} on {host} is taken; stop the other program or choose another port") from error
        raise AddressUnusable(f"cannot listen on {host} port {port}: {error.strerror or error}") from error
    return listener


def make_room(connections: int) -> None:
    """Let this process open enough files for so many connections, or say in the log that it may not."""
    wanted = connections + _OTHER_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    if allowed < wanted:
        _log.warning("fewer connections are possible than limits.connections", open_files=hard, wanted=wanted)
