"""The embedded MQTT broker of the demo. Loopback only: it keeps no sessions over a restart and has no access rules."""

from __future__ import annotations

import asyncio
import logging
import random
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final
from weakref import WeakSet

from amqtt.broker import Broker
from amqtt.contexts import BrokerConfig, ListenerConfig

from oadr.errors import Exit, Failure

_LOWEST_PORT: Final = 10_000
_HIGHEST_PORT: Final = 30_000


class _DemoBroker(Broker):  # type: ignore[misc] # amqtt publishes no types
    """amqtt asks clients for a certificate but accepts those that have none; ours insists.

    A connection that is being made while it ends is left open by amqtt; ours closes every one.
    """

    def __init__(self, config: BrokerConfig) -> None:
        super().__init__(config)
        self._writers: WeakSet[asyncio.StreamWriter] = WeakSet()

    async def stream_connected(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, listener_name: str
    ) -> None:
        self._writers.add(writer)
        try:
            await super().stream_connected(reader, writer, listener_name)
        except OSError:  # the client hung up while it was being refused
            writer.transport.abort()
            await asyncio.sleep(0)

    async def shutdown(self) -> None:
        await super().shutdown()
        for writer in list(self._writers):
            writer.transport.abort()
        await asyncio.sleep(0)  # the transports close in the next turn of the loop

    @staticmethod
    def _create_ssl_context(listener: ListenerConfig) -> ssl.SSLContext:
        context: ssl.SSLContext = Broker._create_ssl_context(listener)  # noqa: SLF001 # there is no public hook
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.verify_mode = ssl.CERT_REQUIRED
        return context


@asynccontextmanager
async def broker(*, tls: tuple[Path, Path, Path] | None = None) -> AsyncIterator[int]:
    """Run a broker on a free port of 127.0.0.1, and yield the port.

    ``tls`` is CA, certificate and key, and makes clients show a certificate of that CA.
    """
    for name in ("amqtt", "transitions"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    port = free_port()
    served = _DemoBroker(BrokerConfig.from_dict(_configuration(port, tls)))
    try:
        await served.start()
    except Exception as error:  # amqtt wraps whatever went wrong in errors of its own, without a common base
        raise Failure(f"the embedded MQTT broker cannot listen on port {port}: {error}", Exit.UNREACHABLE) from error
    try:
        yield port
    finally:
        await served.shutdown()


def _configuration(port: int, tls: tuple[Path, Path, Path] | None) -> dict[str, Any]:
    listener: dict[str, Any] = {"type": "tcp", "bind": f"127.0.0.1:{port}", "max_connections": 50}
    if tls is not None:
        ca, certificate, key = tls
        listener |= {"ssl": True, "cafile": str(ca), "certfile": str(certificate), "keyfile": str(key)}
    return {
        "listeners": {"default": listener},
        "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
    }


def free_port() -> int:
    """Return a port below the range that the kernel gives to outgoing connections, where it could be taken."""
    while True:
        port = random.randint(_LOWEST_PORT, _HIGHEST_PORT)  # noqa: S311 # no secret
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
