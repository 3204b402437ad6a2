"""MQTT 3.1.1 as bytes: a subscriber and a publisher that do as little as possible, and a broker for both.

What they take from the machine is taken from what is measured, so there is no library between them and the socket.
"""

from __future__ import annotations

import asyncio
import getpass
import os
import time
from abc import ABC, abstractmethod
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, cast

from bench.errors import WrongAnswer
from bench.support.net import accepts_connections, free_port
from bench.support.processes import ServerProcess, find_program

_CONNECT: Final = b"\x00\x04MQTT\x04\x02\x00\x00"
_PUBLISH_QOS1: Final = 0x32
_KINDS: Final = {"CONNACK": 2, "PUBLISH": 3, "PUBACK": 4, "SUBACK": 9}
_PATIENCE_S: Final = 60.0
_MOST_IDS: Final = 65_535

_BROKER: Final = """
listener {port} 127.0.0.1
allow_anonymous true
persistence false
set_tcp_nodelay true
max_queued_messages 0
max_inflight_messages 0
user {user}
log_type error
"""


class BenchBroker:
    """Mosquitto on a port of 127.0.0.1 that keeps nothing on disk and forgets no message for being slow."""

    def __init__(self, folder: Path, cores: frozenset[int]) -> None:
        self.port = free_port()
        self._cores = cores
        configuration = folder / "mosquitto.conf"
        configuration.write_text(_BROKER.format(port=self.port, user=getpass.getuser()))
        self._process = ServerProcess(
            [find_program("mosquitto", debian_package="mosquitto"), "-c", str(configuration)],
            log=folder / "mosquitto.log",
            ready=lambda: accepts_connections("127.0.0.1", self.port),
        )

    @property
    def url(self) -> str:
        """Return its address as the VTN takes it."""
        return f"mqtt://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it on its cores, and return once it accepts connections."""
        self._process.start()
        if self._process.pid is not None:
            os.sched_setaffinity(self._process.pid, self._cores)

    def stop(self) -> None:
        """End it."""
        self._process.stop()


@contextmanager
def broker(folder: Path, cores: frozenset[int]) -> Iterator[BenchBroker]:
    """Yield a broker that runs for the time of the block."""
    made = BenchBroker(folder, cores)
    made.start()
    try:
        yield made
    finally:
        made.stop()


class RawConnection(asyncio.Protocol, ABC):
    """A connection to a broker that hands over packets: their first byte and what is behind their length."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one without saying so
        self.send(_packet(0x10, _CONNECT + _text(f"bench-{free_port()}")))

    def data_received(self, data: bytes) -> None:
        raw = self._rest + data if self._rest else data
        at, size = 0, len(raw)
        self.batch_begins()
        while size - at >= 2:
            length, body = _length(raw, at + 1)
            if body < 0 or body + length > size:
                break
            self.packet(raw[at], raw, body, body + length)
            at = body + length
        self._rest = raw[at:]
        self.batch_ends()

    def send(self, data: bytes) -> None:
        """Write bytes."""
        assert self._transport is not None
        self._transport.write(data)

    def close(self) -> None:
        """Hang up."""
        if self._transport is not None:
            self._transport.abort()

    def batch_begins(self) -> None:
        """Hear that packets which came together are about to be handed over."""

    @abstractmethod
    def packet(self, head: int, raw: bytes, start: int, end: int) -> None:
        """Take a packet, whose content is ``raw[start:end]``."""

    def batch_ends(self) -> None:
        """Hear that they were."""


class RawListener(RawConnection):
    """Notes when each message came, and when the first and the last whose topic is one of ``watched``."""

    def __init__(self, filter_: str, watched: Callable[[bytes], bool]) -> None:
        super().__init__()
        self.times = array("d")
        self.first_at = self.last_at = 0.0
        self.kept: list[tuple[bytes, bytes]] | None = None
        """Topics and payloads, while it is a list."""
        self.subscribed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._filter = filter_
        self._watched = watched
        self._acks = bytearray()
        self._now = 0.0
        self._wanted = 0
        self._reached: asyncio.Future[None] | None = None

    def forget(self) -> None:
        """Note times from now on."""
        self.times = array("d")
        self.first_at = self.last_at = 0.0

    async def until(self, count: int) -> None:
        """Wait until so many messages came since ``forget``; raises WrongAnswer when they do not."""
        if len(self.times) >= count:
            return
        self._wanted = count
        self._reached = asyncio.get_running_loop().create_future()
        try:
            await asyncio.wait_for(self._reached, _PATIENCE_S)
        except TimeoutError:
            raise WrongAnswer(f"{len(self.times):,} of {count:,} messages came within {_PATIENCE_S:g} s") from None

    def connection_lost(self, exc: Exception | None) -> None:
        if self._reached is not None and not self._reached.done():
            self._reached.set_exception(WrongAnswer("the broker hung up"))

    def batch_begins(self) -> None:
        self._now = time.perf_counter()

    def packet(self, head: int, raw: bytes, start: int, end: int) -> None:
        kind = head >> 4
        if kind == _KINDS["PUBLISH"]:
            topic_end = start + 2 + (raw[start] << 8 | raw[start + 1])
            topic = raw[start + 2 : topic_end]
            self.times.append(self._now)
            if self._watched(topic):
                self.first_at, self.last_at = self.first_at or self._now, self._now
            if self.kept is not None:
                self.kept.append((topic, raw[topic_end + (2 if head & 0x06 else 0) : end]))
            if head & 0x06:
                self._acks += b"\x40\x02" + raw[topic_end : topic_end + 2]
        elif kind == _KINDS["CONNACK"]:
            self.send(subscribe_packet(self._filter))
        elif kind == _KINDS["SUBACK"] and not self.subscribed.done():
            self.subscribed.set_result(None)

    def batch_ends(self) -> None:
        if self._acks:
            self.send(bytes(self._acks))
            self._acks.clear()
        if self._reached is not None and not self._reached.done() and len(self.times) >= self._wanted:
            self._reached.set_result(None)


class RawPublisher(RawConnection):
    """Publishes ready packets with QoS 1, at most ``inflight`` of them on their way."""

    def __init__(self, inflight: int) -> None:
        super().__init__()
        self.connected: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._inflight = inflight
        self._packets: Sequence[bytes] = ()
        self._sent = self._acknowledged = 0
        self._done: asyncio.Future[None] | None = None

    async def publish(self, packets: Sequence[bytes]) -> None:
        """Publish all, and return once the broker has confirmed them."""
        self._packets, self._sent, self._acknowledged = packets, 0, 0
        self._done = asyncio.get_running_loop().create_future()
        self._send_more()
        await asyncio.wait_for(self._done, _PATIENCE_S)

    def packet(self, head: int, raw: bytes, start: int, end: int) -> None:
        kind = head >> 4
        if kind == _KINDS["PUBACK"]:
            self._acknowledged += 1
        elif kind == _KINDS["CONNACK"] and not self.connected.done():
            self.connected.set_result(None)

    def batch_ends(self) -> None:
        if self._done is None or self._done.done():
            return
        if self._acknowledged == len(self._packets):
            self._done.set_result(None)
        else:
            self._send_more()

    def _send_more(self) -> None:
        end = min(len(self._packets), self._acknowledged + self._inflight)
        if end > self._sent:
            self.send(b"".join(self._packets[self._sent : end]))
            self._sent = end


async def listen(port: int, filter_: str, watched: Callable[[bytes], bool]) -> RawListener:
    """Return a subscriber to a filter, once the broker has taken the subscription."""
    loop = asyncio.get_running_loop()
    _, listener = await loop.create_connection(lambda: RawListener(filter_, watched), "127.0.0.1", port)
    await asyncio.wait_for(listener.subscribed, _PATIENCE_S)
    return listener


async def connect(port: int, inflight: int) -> RawPublisher:
    """Return a publisher that is connected."""
    loop = asyncio.get_running_loop()
    _, publisher = await loop.create_connection(lambda: RawPublisher(inflight), "127.0.0.1", port)
    await asyncio.wait_for(publisher.connected, _PATIENCE_S)
    return publisher


def publish_packet(topic: str, payload: bytes, number: int) -> bytes:
    """Return a PUBLISH of QoS 1; ``number`` becomes its packet id."""
    identifier = (number % _MOST_IDS + 1).to_bytes(2, "big")
    return _packet(_PUBLISH_QOS1, _text(topic) + identifier + payload)


def subscribe_packet(filter_: str) -> bytes:
    """Return a SUBSCRIBE to one filter with QoS 1."""
    return _packet(0x82, b"\x00\x01" + _text(filter_) + b"\x01")


def _packet(head: int, content: bytes) -> bytes:
    length, size = bytearray(), len(content)
    while True:
        size, part = divmod(size, 128)
        length.append(part | 0x80 if size else part)
        if not size:
            return bytes((head,)) + bytes(length) + content


def _length(raw: bytes, at: int) -> tuple[int, int]:
    """Return the length of a packet and where its content starts; -1 if it is not all there yet."""
    length = shift = 0
    for place in range(at, min(at + 4, len(raw))):
        length |= (raw[place] & 0x7F) << shift
        if not raw[place] & 0x80:
            return length, place + 1
        shift += 7
    return 0, -1


def _text(text: str) -> bytes:
    raw = text.encode()
    return len(raw).to_bytes(2, "big") + raw
