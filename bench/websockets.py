"""Many clients of a websocket that take little memory: they read frames, answer pings, and note when a text came."""

from __future__ import annotations

import asyncio
import base64
import os
import resource
import time
from collections.abc import Mapping, Sequence
from typing import Final, cast

from bench.errors import WrongAnswer
from bench.wire import HEAD_END, Address, request

_PATIENCE_S: Final = 60.0
_AT_ONCE: Final = 100
_TEXT, _PING = 0x1, 0x9


class Crowd:
    """Clients of one address. ``times`` says when each text came, since ``forget``."""

    def __init__(self, address: Address, target: str) -> None:
        self.times: list[float] = []
        self._address = address
        self._target = target
        self._clients: list[_Client] = []
        self._wanted = 0
        self._reached: asyncio.Future[None] | None = None

    async def join(self, headers: Sequence[Mapping[str, str]]) -> None:
        """Connect a client for each set of headers; raises WrongAnswer if one is not let in."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft < len(headers) + 1000:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        room = asyncio.Semaphore(_AT_ONCE)

        async def one(each: Mapping[str, str]) -> None:
            async with room:
                self._clients.append(await self._connect(each))

        await asyncio.gather(*map(one, headers))

    async def _connect(self, headers: Mapping[str, str]) -> _Client:
        loop = asyncio.get_running_loop()
        _, client = await loop.create_connection(lambda: _Client(self), self._address.host, self._address.port)
        key = base64.b64encode(os.urandom(16)).decode()
        upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
        asked = {**headers, **upgrade, "Sec-WebSocket-Key": key}
        client.send(request(self._address, "GET", self._target, headers=asked))
        try:
            await asyncio.wait_for(client.joined, _PATIENCE_S)
        except TimeoutError:
            raise WrongAnswer(f"{self._address.url}{self._target} does not answer") from None
        return client

    def forget(self) -> None:
        """Note times from now on."""
        self.times = []

    async def until(self, count: int) -> None:
        """Wait until so many texts came; raises WrongAnswer when they do not."""
        if len(self.times) >= count:
            return
        self._wanted, self._reached = count, asyncio.get_running_loop().create_future()
        try:
            await asyncio.wait_for(self._reached, _PATIENCE_S)
        except TimeoutError:
            raise WrongAnswer(f"{len(self.times):,} of {count:,} texts came within {_PATIENCE_S:g} s") from None

    def took(self) -> None:
        """Note that a text came."""
        self.times.append(time.perf_counter())
        if len(self.times) == self._wanted and self._reached is not None and not self._reached.done():
            self._reached.set_result(None)

    def close(self) -> None:
        """Hang up all."""
        for client in self._clients:
            client.close()
        self._clients.clear()


class _Client(asyncio.Protocol):
    def __init__(self, crowd: Crowd) -> None:
        self.joined: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._crowd = crowd
        self._transport: asyncio.Transport | None = None
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.joined.done():
            self.joined.set_exception(WrongAnswer("the server hung up on a websocket"))

    def send(self, data: bytes) -> None:
        """Write bytes."""
        assert self._transport is not None
        self._transport.write(data)

    def close(self) -> None:
        """Hang up."""
        if self._transport is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        raw = self._rest + data if self._rest else data
        if not self.joined.done():
            end = raw.find(HEAD_END)
            if end < 0:
                self._rest = raw
                return
            if not raw.startswith(b"HTTP/1.1 101"):
                self.joined.set_exception(WrongAnswer(f"no websocket: {raw[:300]!r}"))
                return
            self.joined.set_result(None)
            raw = raw[end + len(HEAD_END) :]
        at = 0  # no masks to take off: servers do not mask
        while (frame := _frame(raw, at)) is not None:
            kind, start, end = frame
            if kind == _TEXT:
                self._crowd.took()
            elif kind == _PING:
                self.send(bytes((0x8A, 0x80 | end - start)) + bytes(4) + raw[start:end])
            at = end
        self._rest = raw[at:]


def _frame(raw: bytes, at: int) -> tuple[int, int, int] | None:
    """Return a frame's kind, and where its content starts and ends; None if it is not all there."""
    if len(raw) < at + 2:
        return None
    kind, length, start = raw[at] & 0x0F, raw[at + 1] & 0x7F, at + 2
    if length >= 126:
        size = 2 if length == 126 else 8
        length, start = int.from_bytes(raw[start : start + size], "big"), start + size
    return (kind, start, start + length) if len(raw) >= start + length else None
