"""A connection to the MQTT broker for publishing: many messages on their way at once, acknowledged in their order.

Nothing of a message is kept here: what is not acknowledged when a connection ends is sent again by whoever sent it.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Final, TypeAlias, cast

import structlog

from vtn.notification_settings import Mqtt
from vtn.notify import mqtt_packets as packets
from vtn.notify.mqtt_packets import MQTT_3_1_1, MQTT_5, Acknowledged, Connected, Dismissed

_log = structlog.get_logger(__name__)

Copy: TypeAlias = Any
"""Name what the sender knows a message by; it is given back with the broker's answer."""
Message: TypeAlias = tuple[bytes | None, bytes, Copy]
"""A topic (None: nothing is sent, it only takes its turn), the content, and what it is known by."""
Taken: TypeAlias = Callable[[Copy, int], None]

_WRITE_BYTES: Final = 256 * 1024
_LONGEST_HEAD: Final = 128
_LEAVE_S: Final = 2.0


class LinkLost(Exception):
    """The broker cannot be reached, refuses this server, or the connection has ended; the text says why."""


async def connected(settings: Mqtt, tls: ssl.SSLContext | None) -> Link:
    """Connect in MQTT 5, or in 3.1.1 to a broker that does not know it (MQTT-037); raises LinkLost."""
    try:
        return await _connected(settings, tls, MQTT_5)
    except _AnotherVersion:
        try:
            return await _connected(settings, tls, MQTT_3_1_1)
        except _AnotherVersion as error:
            raise LinkLost(f"the broker {settings.url} hangs up: {error}") from None


class _AnotherVersion(Exception):
    """The broker may understand an older version."""


async def _connected(settings: Mqtt, tls: ssl.SSLContext | None, version: int) -> Link:
    where = f"the broker {settings.url}"
    host, port = settings.address
    link: Link | None = None
    try:
        async with asyncio.timeout(settings.timeout_s):
            _, link = await asyncio.get_running_loop().create_connection(
                lambda: Link(settings, version), host, port, ssl=tls, server_hostname=host if tls else None
            )
            answer = await link.introduce()
    except TimeoutError:
        problem = LinkLost(f"{where} does not answer in {settings.timeout_s:g} s")
    except ssl.SSLError as error:
        problem = LinkLost(f"no TLS with {where}: {error.reason or error}")
    except (OSError, UnicodeError) as error:
        problem = LinkLost(f"{where} cannot be reached: {error}")
    except LinkLost as error:
        # An old broker may hang up at the first sight of a version that it does not know.
        if link is not None:
            link.abort()
        raise _AnotherVersion(str(error)) from None
    except BaseException:
        if link is not None:
            link.abort()
        raise
    else:
        if answer.reason == packets.ACCEPTED and answer.knows_qos_1:
            _log.info("connected to the MQTT broker", broker=settings.url, version=_name(version))
            return link
        why = packets.reason_text(answer.reason or 0x9B)
        link.abort()
        if answer.wants_another_version:
            raise _AnotherVersion(why)
        who = f" as user {settings.user!r}" if settings.user else ""
        raise LinkLost(f"{where} refuses this server{who}: {why}")
    if link is not None:
        link.abort()
    raise problem


class Link(asyncio.Protocol):
    """One connection, which is never used again once it is lost."""

    def __init__(self, settings: Mqtt, version: int) -> None:
        self._settings = settings
        self._version = version
        self._reader = packets.Reader(version)
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[Connected] = self._loop.create_future()
        self._answer.add_done_callback(_retrieved)
        self._moved = asyncio.Event()
        """Something was acknowledged, the transport takes more, or the connection is lost."""
        self._over = asyncio.Event()
        self._under_way: deque[tuple[int, Copy]] = deque()
        self._unacknowledged = 0
        self._acknowledged: dict[int, int] = {}
        self._taken: Taken = _ignore
        self._writes = True
        self._packet_id = 0
        self._most = settings.inflight
        self._largest = 0
        self._retain = settings.retain
        self._keepalive_s = settings.keepalive_s
        self._timer: asyncio.TimerHandle | None = None
        self._waits_for_life = False
        self._lost: str | None = None

    @property
    def is_lost(self) -> bool:
        """Return True if nothing can be sent any more."""
        return self._lost is not None

    @property
    def _may_send(self) -> bool:
        return self._writes and self._unacknowledged < self._most

    async def introduce(self) -> Connected:
        """Say who we are and return the broker's answer; raises LinkLost."""
        settings = self._settings
        password = settings.password
        self._write(
            packets.connect(
                self._version,
                client_id=settings.client_id,
                keepalive_s=settings.keepalive_s,
                user=settings.user,
                password=None if password is None else password.get_secret_value(),
            )
        )
        answer = await self._answer
        self._most = min(settings.inflight, answer.receive_maximum)
        self._largest = answer.maximum_packet_size
        if self._retain and not answer.keeps_messages:
            _log.warning("the MQTT broker offers no retained messages; they are sent without", broker=settings.url)
            self._retain = False
        self._keepalive_s = answer.keepalive_s or settings.keepalive_s
        self._timer = self._loop.call_later(self._keepalive_s, self._show_life)
        return answer

    async def publish(self, messages: Iterator[Message], taken: Taken) -> None:
        """Send messages and return once all of them are acknowledged; raises LinkLost.

        ``taken`` gets each with its reason code, in the order of ``messages``, which is asked for more only as fast as
        the broker takes them. When this is cancelled, or ``messages`` fails, the connection ends.
        """
        self._taken = taken
        more = True
        try:
            while True:
                self._check()
                more = more and self._send(messages)
                if not more and not self._under_way:
                    return
                if more and self._may_send:
                    await asyncio.sleep(0)  # requests get their turn between two writes
                else:
                    await self._progress()
        except BaseException:
            self.abort()
            raise
        finally:
            self._taken = _ignore

    async def close(self) -> None:
        """Take leave of the broker; returns when the connection is over."""
        transport = self._transport
        if transport is None:
            return
        if not self.is_lost:
            self._write(packets.DISCONNECT)
            self._lose("closed")
        transport.close()
        try:
            async with asyncio.timeout(_LEAVE_S):
                await self._over.wait()
        except TimeoutError:
            transport.abort()

    def abort(self) -> None:
        """End the connection at once."""
        self._lose("closed")
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport; small packets must not wait for others (Nagle)."""
        self._transport = cast(asyncio.Transport, transport)
        tcp = transport.get_extra_info("socket")
        if tcp is not None:
            tcp.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def data_received(self, data: bytes) -> None:
        """Read what the broker answers."""
        try:
            for packet in self._reader.read(data):
                if type(packet) is Acknowledged:
                    self._acknowledged[packet.packet_id] = packet.reason
                elif isinstance(packet, Connected):
                    if not self._answer.done():
                        self._answer.set_result(packet)
                elif isinstance(packet, Dismissed):
                    self._lose(packets.reason_text(packet.reason))
                    self.abort()
                else:
                    self._waits_for_life = False
        except packets.UnreadablePacket as error:
            self._lose(f"it sends {error}")
            self.abort()
        self._settle()

    def pause_writing(self) -> None:
        """Send nothing more for now."""
        self._writes = False

    def resume_writing(self) -> None:
        """Go on."""
        self._writes = True
        self._moved.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever waits."""
        self._lose(str(exc) if exc is not None else "the connection ended")
        self._over.set()

    def _send(self, messages: Iterator[Message]) -> bool:
        """Send messages with one write, as far as they may be under way; return False when there are no more."""
        properties = packets.publish_properties(self._version, expiry_s=self._settings.expiry_s)
        chunks: list[bytes] = []
        size = 0
        content, rest = b"", b""
        while self._may_send and size < _WRITE_BYTES:
            message = next(messages, None)
            if message is None:
                self._write_all(chunks)
                self._settle()
                return False
            topic, body, copy = message
            if topic is None:
                self._under_way.append((0, copy))
                continue
            if body is not content:
                content, rest = body, properties + body
            packet_id = self._next_id()
            if len(rest) + len(topic) + _LONGEST_HEAD > self._largest:
                self._acknowledged[packet_id] = packets.PACKET_TOO_LARGE
            else:
                chunks += packets.publish(topic, packet_id, rest, retain=self._retain)
                size += len(rest) + len(topic)
            self._under_way.append((packet_id, copy))
            self._unacknowledged += 1
        self._write_all(chunks)
        self._settle()
        return True

    def _next_id(self) -> int:
        self._packet_id = self._packet_id % 65535 + 1
        return self._packet_id

    def _settle(self) -> None:
        """Hand over what is acknowledged at the head of the queue."""
        under_way, acknowledged = self._under_way, self._acknowledged
        while under_way:
            packet_id, copy = under_way[0]
            reason = acknowledged.pop(packet_id, None) if packet_id else packets.ACCEPTED
            if reason is None:
                break
            under_way.popleft()
            self._unacknowledged -= packet_id != 0
            self._taken(copy, reason)
            self._moved.set()

    async def _progress(self) -> None:
        try:
            async with asyncio.timeout(self._settings.timeout_s):
                await self._moved.wait()
        except TimeoutError:
            self._lose(f"it acknowledged nothing in {self._settings.timeout_s:g} s")
        self._moved.clear()

    def _check(self) -> None:
        if self._lost is not None:
            raise LinkLost(f"the connection to the broker {self._settings.url} is lost: {self._lost}")

    def _show_life(self) -> None:
        if self._waits_for_life:
            self._lose(f"it showed no life in {self._keepalive_s} s")
            self.abort()
            return
        self._waits_for_life = True
        self._write(packets.PINGREQ)
        self._timer = self._loop.call_later(self._keepalive_s, self._show_life)

    def _lose(self, why: str) -> None:
        if self._lost is None:
            self._lost = why
        if self._timer is not None:
            self._timer.cancel()
        if not self._answer.done():
            self._answer.set_exception(LinkLost(why))
        self._moved.set()

    def _write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    def _write_all(self, chunks: list[bytes]) -> None:
        if chunks:
            self._write(b"".join(chunks))
            chunks.clear()


def _retrieved(answer: asyncio.Future[Connected]) -> None:
    if not answer.cancelled():
        answer.exception()


def _ignore(copy: Copy, reason: int) -> None:
    """Take what nobody waits for any more."""


def _name(version: int) -> str:
    return "5" if version == MQTT_5 else "3.1.1"
