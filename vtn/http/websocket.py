"""Websockets that only tell: text frames made once for many clients, and written without waiting for any of them."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeAlias

from aiohttp import WSCloseCode, WSMsgType, web
from aiohttp.base_protocol import BaseProtocol

from vtn.errors import UpgradeNeeded

_CLOSE_S: Final = 2.0
"""Time in which a client answers that the connection ends."""
_LAST_S: Final = 5.0
"""Time in which a slow client may still take what waits for it, before the connection is cut."""
_LONGEST_MESSAGE: Final = 1024
_TEXT: Final = 0x81
_CLOSE: Final = 0x88
_SHORT: Final = 125
_MEDIUM: Final = 0xFFFF
_LONGEST_REASON: Final = 123

TOO_SLOW: Final = 4408
"""The client does not read what it is told; it has to come back and read again (codes are like those of HTTP)."""
TOKEN_OVER: Final = 4401
"""The token has expired or was revoked; come back with another one."""


def frame_of(text: bytes) -> bytes:
    """Return the frame of a text message, not masked, as a server sends it (RFC 6455 section 5.2)."""
    return _frame(_TEXT, text)


def _frame(kind: int, body: bytes) -> bytes:
    size = len(body)
    if size <= _SHORT:
        head = bytes((kind, size))
    elif size <= _MEDIUM:
        head = struct.pack("!BBH", kind, 126, size)
    else:
        head = struct.pack("!BBQ", kind, 127, size)
    return head + body


class OpenSocket(web.WebSocketResponse):
    """Answer a request by an open websocket, which ``talk`` has until it returns.

    Its header goes out when the request has been answered as far as the log and the numbers are concerned, and what
    goes on afterwards is no request under way. Nothing is compressed: a frame is the same for everybody, and the state
    of a compression would be larger than all the rest of a connection.
    """

    def __init__(self, talk: Talk) -> None:
        super().__init__(compress=False, max_msg_size=_LONGEST_MESSAGE, timeout=_CLOSE_S)
        self._talk = talk
        self._transport: asyncio.Transport | None = None
        self._protocol: BaseProtocol | None = None
        self._drain: Callable[[], Awaitable[None]] | None = None
        self._ending: asyncio.Task[bool] | None = None

    def check(self, request: web.Request) -> None:
        """Raise UpgradeNeeded unless a request asks for a websocket in a way that is understood."""
        if not self.can_prepare(request):
            raise UpgradeNeeded("this address is a websocket: open it with the header `Upgrade: websocket`, version 13")

    async def prepare(self, request: web.BaseRequest) -> Any:
        """Send the header, and have the connection from now on."""
        writer = await super().prepare(request)
        self._transport, self._protocol, self._drain = request.transport, request.protocol, writer.drain
        return writer

    async def write_eof(self, data: bytes = b"") -> None:
        """Talk, and close the connection."""
        try:
            await self._talk(self)
        finally:
            if self._ending is not None:
                await asyncio.wait({self._ending})
        await super().write_eof()

    @property
    def waiting_bytes(self) -> int:
        """Return the number of bytes that the client has not taken, beyond those in the kernel."""
        transport = self._transport
        return 0 if transport is None or transport.is_closing() else transport.get_write_buffer_size()

    def put(self, frame: bytes) -> None:
        """Write a frame, now or when the client takes it; nothing happens if it is gone."""
        transport = self._transport
        if transport is not None and self._ending is None and not transport.is_closing():
            transport.write(frame)

    async def taken(self) -> None:
        """Wait until there is room on the connection; raises ConnectionError when it is gone."""
        if self._drain is None or self._transport is None or self._transport.is_closing():
            raise ConnectionResetError("the client has hung up")
        await self._drain()

    def end(self, code: int, reason: str) -> None:
        """Say why the connection ends, and end it within seconds, without waiting for that here."""
        if self._ending is None and not self.closed:
            self._ending = asyncio.create_task(self.close(code=code, message=reason.encode()[:_LONGEST_REASON]))
            self._abort_after(_CLOSE_S + _LAST_S)  # to close properly waits for a client that does not read

    def cut(self, code: int, reason: str) -> None:
        """End the connection of a client that does not read: what waits and the reason go out in seconds or never."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        transport.write(_frame(_CLOSE, struct.pack("!H", code) + reason.encode()[:_LONGEST_REASON]))
        transport.close()
        self._abort_after(_LAST_S)

    def _abort_after(self, delay_s: float) -> None:
        """End the connection after some time unless it has ended by then."""
        asyncio.get_running_loop().call_later(delay_s, self._abort)

    def _abort(self) -> None:
        if self._transport is not None and self._protocol is not None and self._protocol.connected:
            self._transport.abort()  # not when it has ended: a transport of asyncio fails then

    async def until_closed(self) -> None:
        """Wait until the client hangs up or the connection has ended; a client that says anything is shut out."""
        while True:
            message = await self.receive()
            if message.type in {WSMsgType.TEXT, WSMsgType.BINARY}:
                self.end(WSCloseCode.UNSUPPORTED_DATA, "there is nothing to say here: listen")
            elif message.type in {WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED, WSMsgType.ERROR}:
                return


Talk: TypeAlias = Callable[[OpenSocket], Awaitable[None]]
