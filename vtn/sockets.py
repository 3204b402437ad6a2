"""The address the server listens on."""

from __future__ import annotations

import errno
import socket

from vtn.errors import AddressUnusable, PortTaken


def bound(host: str, port: int, *, shared: bool = False) -> socket.socket:
    """A socket at an address, not listening yet; ``shared`` lets other processes of this user have the same one.

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
