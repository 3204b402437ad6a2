"""TLS in front of a broker without TLS, as strict as a cloud's: client certificate, name (SNI) and protocol (ALPN)."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from tests.support.pki import TlsFiles, server_context


@dataclass
class Front:
    """Hold what clients asked for, newest last."""

    port: int = 0
    names: list[str | None] = field(default_factory=list)
    protocols: list[str | None] = field(default_factory=list)


@asynccontextmanager
async def tls_front(host: str, port: int, *, files: TlsFiles, alpn: str) -> AsyncIterator[Front]:
    """Listen on a port of 127.0.0.1; who does not offer the protocol `alpn` is cut off after the handshake."""
    front = Front()
    context = server_context(files, client_certificate_required=True)
    context.set_alpn_protocols([alpn])
    context.sni_callback = lambda _socket, name, _context: front.names.append(name)
    connections: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        connections.add(task)
        try:
            spoken = writer.get_extra_info("ssl_object").selected_alpn_protocol()
            front.protocols.append(spoken)
            if spoken == alpn:
                upstream_reader, upstream_writer = await asyncio.open_connection(host, port)
                await asyncio.gather(_copy(reader, upstream_writer), _copy(upstream_reader, writer))
        finally:
            writer.close()
            connections.discard(task)

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    front.port = server.sockets[0].getsockname()[1]
    try:
        yield front
    finally:
        server.close()
        for task in list(connections):
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError, ssl.SSLError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    with suppress(OSError, ssl.SSLError):
        writer.close()
