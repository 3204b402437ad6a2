"""Listen at a broker, and make brokers that misbehave."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import urlsplit

import aiomqtt


@dataclass(frozen=True)
class Heard:
    """A message as it came from the broker."""

    topic: str
    raw: bytes
    qos: int
    retained: bool
    properties: Any

    @property
    def body(self) -> Any:
        """The content as JSON."""
        return json.loads(self.raw)


@dataclass
class Ear:
    """Hold what came for one subscription, in the order of arrival."""

    messages: list[Heard] = field(default_factory=list)
    _came: asyncio.Event = field(default_factory=asyncio.Event)

    def hear(self, message: Heard) -> None:
        """Keep a message."""
        self.messages.append(message)
        self._came.set()

    async def until(self, enough: Callable[[list[Heard]], bool], *, within_s: float = 60.0) -> list[Heard]:
        """Wait until enough came."""
        async with asyncio.timeout(within_s):
            while not enough(self.messages):
                self._came.clear()
                await self._came.wait()
        return self.messages

    async def topics(self, count: int) -> list[str]:
        """The topics of so many messages, sorted."""
        return sorted(message.topic for message in await self.until(lambda heard: len(heard) >= count))


@asynccontextmanager
async def listening(
    url: str, *filters: str, tls: ssl.SSLContext | None = None, version: int = aiomqtt.ProtocolVersion.V5
) -> AsyncIterator[Ear]:
    """Subscribe at a broker and keep what comes; what waits for the subscriber is not limited."""
    parts = urlsplit(url)
    ear = Ear()
    client = aiomqtt.Client(
        parts.hostname or "", parts.port or 0, protocol=aiomqtt.ProtocolVersion(version), tls_context=tls
    )
    with suppress(aiomqtt.MqttError):  # the broker may be gone before the subscriber
        async with client:
            for each in filters or ("openadr3/#",):
                await client.subscribe(each, qos=1)

            async def keep() -> None:
                async for message in client.messages:
                    payload = message.payload
                    raw = payload if isinstance(payload, bytes) else str(payload).encode()
                    ear.hear(Heard(str(message.topic), raw, message.qos, bool(message.retain), message.properties))

            keeping = asyncio.create_task(keep())
            try:
                yield ear
            finally:
                keeping.cancel()
                with suppress(asyncio.CancelledError, aiomqtt.MqttError):
                    await keeping
    for outcome in (client._connected, client._disconnected):  # or asyncio complains that nobody asked why it ended
        if outcome.done() and not outcome.cancelled():
            outcome.exception()


class ScriptedBroker:
    """A broker that does what a test says. ``received`` are the first bytes of all packets that came, by connection."""

    def __init__(self, answer: Callable[[ScriptedBroker, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]):
        self._answer = answer
        self._server: asyncio.Server | None = None
        self._writers: list[asyncio.StreamWriter] = []
        self.connections = 0
        self.connected: list[bytes] = []
        """The CONNECT packets that came."""
        self.published: list[bytes] = []
        """The PUBLISH packets that came."""
        self.url = ""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"mqtt://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for writer in self._writers:  # from Python 3.12 on the server waits for its connections
            writer.transport.abort()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.append(writer)
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            self.connected.append(await packet(reader))
            await self._answer(self, reader, writer)
        writer.close()


async def packet(reader: asyncio.StreamReader) -> bytes:
    """The next packet, whole."""
    head = await reader.readexactly(2)
    length, shift = head[1] & 0x7F, 7
    while head[-1] & 0x80:
        head += await reader.readexactly(1)
        length |= (head[-1] & 0x7F) << shift
        shift += 7
    return head + await reader.readexactly(length)


def packet_id(publish: bytes) -> bytes:
    """The packet id in a PUBLISH with a length of at most two bytes."""
    at = 2 if publish[1] < 0x80 else 3
    length = int.from_bytes(publish[at : at + 2])
    return publish[at + 2 + length : at + 4 + length]
