"""Ports for servers that a test or a measurement starts."""

import os
import random
import socket

_LOWEST, _HIGHEST = 10_000, 30_000
_SLICE = 1_250

_chance = random.SystemRandom()  # not the shared one, which Hypothesis sets to the same state in every process


def free_port() -> int:
    """Return a TCP port on 127.0.0.1 that nothing listens on.

    It lies below the range the kernel hands to outgoing connections: a port from that range could be taken by any
    client between two lives of a server, and a client that retries against it can even connect to itself. The workers
    of a run choose from different ranges, so that none takes the port of another's server while that is stopped.
    """
    lowest, highest = _range(os.environ.get("PYTEST_XDIST_WORKER", ""))
    while True:
        port = _chance.randint(lowest, highest)
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def _range(worker: str) -> tuple[int, int]:
    """Return the ports of a worker of pytest-xdist, named like `gw3`; all of them for a run without workers."""
    number = worker.removeprefix("gw")
    if not number.isdecimal():
        return _LOWEST, _HIGHEST
    lowest = _LOWEST + int(number) % ((_HIGHEST - _LOWEST) // _SLICE) * _SLICE
    return lowest, lowest + _SLICE - 1


def accepts_connections(host: str, port: int) -> bool:
    """Return True if TCP connections are accepted at this address now."""
    try:
        with socket.create_connection((host, port), timeout=1):
            return True
    except OSError:
        return False
