"""The embedded MQTT broker of the demo. Loopback only: it keeps no sessions over a restart and has no access rules."""

from __future__ import annotations

import logging
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from amqtt.broker import Broker
from amqtt.contexts import BrokerConfig, ListenerConfig

from oadr.errors import Exit, Failure


class _MutualTlsBroker(Broker):  # type: ignore[misc] # amqtt publishes no types
    """amqtt asks clients for a certificate but accepts those that have none; ours insists."""

    @staticmethod
    def _create_ssl_context(listener: ListenerConfig) -> ssl.SSLContext:
        context: ssl.SSLContext = Broker._create_ssl_context(listener)  # noqa: SLF001 # there is no public hook
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.verify_mode = ssl.CERT_REQUIRED
        return context


@asynccontextmanager
async def broker(port: int, *, tls: tuple[Path, Path, Path] | None = None) -> AsyncIterator[None]:
    """A broker on 127.0.0.1; ``tls`` is CA, certificate and key, and makes clients show a certificate of that CA."""
    logging.getLogger("amqtt").setLevel(logging.CRITICAL)
    logging.getLogger("transitions").setLevel(logging.CRITICAL)
    listener: dict[str, Any] = {"type": "tcp", "bind": f"127.0.0.1:{port}", "max_connections": 50}
    if tls is not None:
        ca, certificate, key = tls
        listener |= {"ssl": True, "cafile": str(ca), "certfile": str(certificate), "keyfile": str(key)}
    config = BrokerConfig.from_dict(
        {
            "listeners": {"default": listener},
            "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
        }
    )
    served = _MutualTlsBroker(config)
    try:
        await served.start()
    except Exception as error:  # amqtt wraps whatever went wrong in errors of its own, without a common base
        raise Failure(f"the embedded MQTT broker cannot listen on port {port}: {error}", Exit.UNREACHABLE) from error
    try:
        yield
    finally:
        await served.shutdown()
