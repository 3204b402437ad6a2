"""A connection of a simulated panel to its broker: MQTT 3.1.1 with so little memory that thousands fit into a process.

It has what the panel programs use (clean session, QoS 0 and 1, a last will) and one object a connection instead of a
client library's queues and tasks.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Iterable
from typing import Final

from bridge_mqtt.settings import Broker

_CONNECT, _CONNACK, _PUBLISH, _PUBACK, _SUBSCRIBE, _SUBACK, _PINGREQ, _PINGRESP, _DISCONNECT = (
    0x10,
    0x20,
    0x30,
    0x40,
    0x82,
    0x90,
    0xC0,
    0xD0,
    0xE0,
)
_LARGEST_PACKET: Final = 1 << 20
_LONGEST_LENGTH: Final = 4
_REFUSED: Final = 0x80
_LARGEST_ID: Final = 0xFFFF
_LETS_GO_S: Final = 1.0
_MOST_UNCONFIRMED: Final = 1000
_REASONS: Final = {
    1: "it does not speak MQTT 3.1.1",
    2: "it does not accept the client id",
    3: "it is not available",
    4: "user name or password is wrong",
    5: "the client is not allowed",
}

OnMessage = Callable[[str, bytes], None]


class PanelConnection(asyncio.Protocol):
    """One connection; ``on_message`` is called with topic and payload of whatever comes, before it is confirmed.

    Topics are given and told without the ``prefix`` that they have at the broker, unless they begin with ``$``.
    """

    def __init__(self, on_message: OnMessage, *, keepalive_s: float, prefix: str) -> None:
        loop = asyncio.get_running_loop()
        self.lost: asyncio.Future[None] = loop.create_future()
        """Done when the connection is gone."""
        self.unconfirmed = 0
        """QoS 1 messages that the broker has not confirmed yet."""
        self.was_aborted = False
        """True if it was dropped here."""
        self._on_message = on_message
        self._prefix = f"{prefix}/" if prefix else ""
        self._keepalive_s = keepalive_s
        self._transport: asyncio.Transport | None = None
        self._gone = asyncio.Event()
        self._buffer = bytearray()
        self._expected: dict[int, asyncio.Future[bytes]] = {}
        self._last_id = 0
        self._is_full = False
        self._last_written_s = loop.time()
        self._pinging: asyncio.TimerHandle | None = None
        self._unanswered_pings = 0

    async def greet(self, broker: Broker, client_id: str, will: tuple[str, bytes] | None) -> None:
        """Say who we are; raises ConnectionError if the broker refuses us."""
        last_words = None if will is None else (self._on_wire(will[0]), will[1])
        answer = await self._ask(_CONNACK, _connect_packet(broker, client_id, last_words))
        code = answer[1]
        if code:
            reason = _REASONS.get(code, f"code {code}")
            raise ConnectionRefusedError(f"the broker {broker.url} refuses {client_id!r}: {reason}")
        self._keep_alive()

    async def subscribe(self, filters: Iterable[tuple[str, int]]) -> list[str]:
        """Subscribe to topics, each with its QoS, and return those that the broker refuses."""
        wanted = list(filters)
        body = b"".join(_text(self._on_wire(topic)) + bytes([qos]) for topic, qos in wanted)
        answer = await self._ask(_SUBACK, _packet(_SUBSCRIBE, self._next_id().to_bytes(2) + body))
        return [topic for (topic, _), code in zip(wanted, answer[2:], strict=False) if code >= _REFUSED]

    def publish(self, topic: str, payload: bytes, *, qos: int = 1) -> bool:
        """Send a message, not retained; False if it is left out, because the broker does not take what is sent."""
        if self._is_full or self.lost.done() or self.unconfirmed >= _MOST_UNCONFIRMED:
            return False
        self.unconfirmed += qos
        number = self._next_id().to_bytes(2) if qos else b""
        self._write(_packet(_PUBLISH | qos << 1, _text(self._on_wire(topic)) + number + payload))
        return True

    def close(self) -> None:
        """Leave in order: the last will is not sent."""
        self._write(_packet(_DISCONNECT, b""))
        if self._transport is not None:
            self._transport.close()

    async def wait_closed(self) -> None:
        """Wait until the connection is gone; a broker that does not let go of it within a second is left."""
        try:
            async with asyncio.timeout(_LETS_GO_S):
                await self._gone.wait()
        except TimeoutError:
            self._hang_up()
            await asyncio.sleep(0)

    def abort(self) -> None:
        """Drop the connection as a crash does: the broker sends the last will."""
        self.was_aborted = True
        self._hang_up()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember the transport."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 # of a stream connection
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever waits."""
        self._gone.set()
        if self._pinging is not None:
            self._pinging.cancel()
        problem = exc or ConnectionResetError("the broker closed the connection")
        for waiting in self._expected.values():
            if not waiting.done():
                waiting.set_exception(problem)
        if not self.lost.done():
            self.lost.set_result(None)

    def pause_writing(self) -> None:
        """Send no further samples while the broker does not read."""
        self._is_full = True

    def resume_writing(self) -> None:
        """Send again."""
        self._is_full = False

    def data_received(self, data: bytes) -> None:
        """Take the packets that are complete."""
        self._buffer += data
        try:
            while (found := _next_packet(self._buffer)) is not None:
                kind, start, end = found
                body = bytes(self._buffer[start:end])
                del self._buffer[:end]
                self._take(kind, body)
        except (ValueError, IndexError):
            self._hang_up()  # not MQTT: such a connection cannot be used any more

    def _take(self, kind: int, body: bytes) -> None:
        match kind & 0xF0:
            case 0x30:
                self._take_message(kind, body)
            case 0x40:
                self.unconfirmed = max(0, self.unconfirmed - 1)
            case 0xD0:
                self._unanswered_pings = 0
            case answer if (waiting := self._expected.pop(answer, None)) is not None and not waiting.done():
                waiting.set_result(body)

    def _take_message(self, kind: int, body: bytes) -> None:
        qos = kind >> 1 & 3
        start = 2 + int.from_bytes(body[:2])
        topic = body[2:start].decode(errors="replace")
        end = start + 2 if qos else start
        self._on_message(topic.removeprefix(self._prefix), body[end:])
        if qos:
            self._write(_packet(_PUBACK, body[start:end]))

    def _on_wire(self, topic: str) -> str:
        return topic if topic.startswith("$") else self._prefix + topic

    async def _ask(self, answer: int, packet: bytes) -> bytes:
        """Send a packet and return the body of the answer to it."""
        waiting: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._expected[answer] = waiting
        self._write(packet)
        return await waiting

    def _hang_up(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def _write(self, packet: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(packet)
            self._last_written_s = asyncio.get_running_loop().time()

    def _next_id(self) -> int:
        self._last_id = self._last_id % _LARGEST_ID + 1
        return self._last_id

    def _keep_alive(self) -> None:
        """Ping when nothing was sent for long; whoever does not answer twice is gone."""
        loop = asyncio.get_running_loop()
        if self.lost.done():
            return
        if self._unanswered_pings > 1:
            self._hang_up()
            return
        rest_s = self._last_written_s + self._keepalive_s / 2 - loop.time()
        if rest_s <= 0:
            self._unanswered_pings += 1
            self._write(_packet(_PINGREQ, b""))
            rest_s = self._keepalive_s / 2
        self._pinging = loop.call_later(rest_s, self._keep_alive)


async def connect(
    broker: Broker,
    *,
    tls: ssl.SSLContext | None,
    client_id: str,
    on_message: OnMessage,
    will: tuple[str, bytes] | None = None,
) -> PanelConnection:
    """Connect to the broker as ``client_id``; ``will`` is the topic and payload of the last will.

    Raises OSError (unreachable, refused, wrong certificate; TimeoutError after ``broker.timeout_s``).
    """
    async with asyncio.timeout(broker.timeout_s):
        _, connection = await asyncio.get_running_loop().create_connection(
            lambda: PanelConnection(on_message, keepalive_s=broker.keepalive_s, prefix=broker.topic_prefix),
            broker.host,
            broker.port,
            ssl=tls,
            server_hostname=(broker.server_name or broker.host) if tls is not None else None,
        )
        try:
            await connection.greet(broker, client_id, will)
        except BaseException:
            connection.close()
            raise
    return connection


def _connect_packet(broker: Broker, client_id: str, will: tuple[str, bytes] | None) -> bytes:
    flags = 0x02  # a clean session, as all panel programs have it
    body = _text(client_id)
    if will is not None:
        flags |= 0x04 | 1 << 3  # QoS 1, not retained
        body += _text(will[0]) + len(will[1]).to_bytes(2) + will[1]
    if broker.username is not None:
        flags |= 0x80
        body += _text(broker.username)
    if broker.password is not None:
        flags |= 0x40
        body += _text(broker.password.get_secret_value())
    return _packet(_CONNECT, _text("MQTT") + bytes([4, flags]) + broker.keepalive_s.to_bytes(2) + body)


def _text(text: str) -> bytes:
    raw = text.encode()
    return len(raw).to_bytes(2) + raw


def _packet(kind: int, body: bytes) -> bytes:
    length, rest = bytearray(), len(body)
    while True:
        rest, digit = rest >> 7, rest & 0x7F
        length.append(digit | 0x80 if rest else digit)
        if not rest:
            return bytes([kind, *length]) + body


def _next_packet(buffer: bytearray) -> tuple[int, int, int] | None:
    """Return kind, start and end of the body of the first packet, None if it is not complete yet.

    Raises ValueError for a length that no broker has reason to send.
    """
    length = 0
    for place in range(1, min(len(buffer), _LONGEST_LENGTH + 1)):
        length |= (buffer[place] & 0x7F) << 7 * (place - 1)
        if not buffer[place] & 0x80:
            if length > _LARGEST_PACKET:
                raise ValueError(f"a packet of {length} bytes; at most {_LARGEST_PACKET} are read")
            end = place + 1 + length
            return (buffer[0], place + 1, end) if len(buffer) >= end else None
    if len(buffer) > _LONGEST_LENGTH:
        raise ValueError("a length of more than four bytes")
    return None
