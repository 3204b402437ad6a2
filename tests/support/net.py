"""Ports for servers that a test starts."""

import random
import socket

_LOWEST, _HIGHEST = 10_000, 30_000


def free_port() -> int:
    """A TCP port on 127.0.0.1 that nothing listens on.

    It lies below the range the kernel hands to outgoing connections: a port from that range could be taken by any
    client between two lives of a server, and a client that retries against it can even connect to itself.
    """
    while True:
        port = random.randint(_LOWEST, _HIGHEST)
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def accepts_connections(host: str, port: int) -> bool:
    """Whether something accepts TCP connections there now."""
    try:
        with socket.create_connection((host, port), timeout=1):
            return True
    except OSError:
        return False
