"""Large answers, sent object by object: how much memory one takes depends neither on the page nor on its reader.

One object at a time is read, and forgotten as soon as its reader does not take it: it is read again when there is room
on the connection. Nothing can be said any more when an object has changed before its turn, or the database is gone:
then the connection is reset, so that nobody takes the beginning for the whole.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import Any, Final, Protocol

import structlog
from aiohttp import hdrs, web

from vtn.errors import ChangedMeanwhile, Unavailable
from vtn.http.conditional import compresses, is_known
from vtn.http.responses import HEADERS, MEDIA_TYPE, PACKED, digest_of, packer
from vtn.http.sending import Reservation, SendBudget

_log = structlog.get_logger(__name__)

_PIECE_BYTES: Final = 64 * 1024
_STREAM_BYTES: Final = 512 * 1024
"""About what an answer takes beside the text of an object: pieces on their way, and the state of compression."""
_TAKEN_S: Final = 0.25
_LONG_S: Final = 1.0
_SLOW_S: Final = 5.0
_STALLED_S: Final = 60.0
"""A reader that takes less than a buffer (48 KiB) in this time, or in ``_SLOW_S`` while others wait, is cut off."""
_RESET: Final = struct.pack("ii", 1, 0)


class LargeBody(Protocol):
    """One object, or a list of them, too large to be in memory together; each is read when it is sent."""

    @property
    def is_list(self) -> bool: ...
    @property
    def size_bytes(self) -> int:
        """Return about how many bytes all objects have."""

    def __len__(self) -> int: ...
    def size(self, number: int) -> int:
        """Return about how many bytes an object has."""

    async def text(self, number: int) -> bytes:
        """Return an object as it is sent; raises ChangedMeanwhile, or Unavailable."""

    def digest(self) -> bytes:
        """Return 128 bits for the ETag of a list, which differ whenever its bytes would differ; nothing is read."""


async def streamed(request: web.Request, large: LargeBody, sending: SendBudget, *, owner: str) -> web.StreamResponse:
    """Return the answer to a GET, or 304 if If-None-Match names its tag (ETAG-001, ETAG-002).

    The tag of one object is that of its text, as after a PUT. That of a page is made of the versions of its objects,
    so that nothing is read for a 304. Raises ChangedMeanwhile, Overloaded or Unavailable before anything is sent.
    """
    if large.is_list:
        tag = large.digest().hex()
    else:
        with await sending.texts.take(owner, large.size(0)):
            tag = digest_of(await large.text(0)).hex()
    packed = compresses(request, large.size_bytes)
    headers = HEADERS | {"ETag": f'"{tag}{PACKED if packed else ""}"'}
    if is_known(request, tag):
        return web.Response(status=304, headers=headers)
    headers[hdrs.CONTENT_TYPE] = MEDIA_TYPE
    if packed:
        headers[hdrs.CONTENT_ENCODING] = "gzip"
    if request.method == hdrs.METH_HEAD:
        return web.StreamResponse(headers=headers)
    return _Streamed(
        large, headers, packed=packed, sending=sending, reserved=await sending.flight.take(owner, _STREAM_BYTES)
    )


class _Streamed(web.StreamResponse):
    """Sends a large answer. Its memory is ``reserved`` for it until the end."""

    def __init__(
        self, large: LargeBody, headers: dict[str, str], *, packed: bool, sending: SendBudget, reserved: Reservation
    ) -> None:
        super().__init__(headers=headers)
        self._large = large
        self._packer = packer() if packed else None
        self._sending = sending
        self._reserved = reserved
        self._request: web.BaseRequest | None = None
        self._writer: Any = None
        self._draining: asyncio.Task[None] | None = None

    async def prepare(self, request: web.BaseRequest) -> Any:
        """Send the header."""
        self._request = request
        self._writer = await super().prepare(request)
        return self._writer

    async def write_eof(self, data: bytes = b"") -> None:
        """Send everything, or reset the connection."""
        try:
            with self._reserved:
                await self._send_all()
                await super().write_eof()
        except ConnectionError:
            raise
        except Exception as error:  # there is no other way to tell the reader, whatever it is
            self._cut(error)
            raise ConnectionResetError("the answer could not be finished") from None
        finally:
            self._packer = None
            if self._draining is not None:
                self._draining.cancel()

    async def _send_all(self) -> None:
        large = self._large
        for number in range(len(large)):
            if large.is_list:
                await self._put(b"," if number else b"[")
            await self._send_object(number)
        if large.is_list:
            await self._put(b"]")
        if self._packer is not None:
            await self._write(self._packer.flush())
        await self._until_taken()

    async def _send_object(self, number: int) -> None:
        """Send an object. Its text is read once for a reader that takes it at once, else for as much as it takes."""
        at: int | None = 0
        while at is not None:
            with await self._sending.texts.take("", self._large.size(number)):
                at = await self._send_while_taken(await self._large.text(number), at)
            await self._until_taken()

    async def _send_while_taken(self, text: bytes, at: int) -> int | None:
        """Send a text from a place on, until its reader does not take it or others wait; return where that was.

        Return None at the end.
        """
        until = asyncio.get_running_loop().time() + _LONG_S
        while True:
            await self._put(text[at : at + _PIECE_BYTES])
            at += _PIECE_BYTES
            if at >= len(text):
                return None
            if not await self._is_taken(within_s=_TAKEN_S):
                return at
            if self._sending.texts.is_waited_for and asyncio.get_running_loop().time() > until:
                return at
            await asyncio.sleep(0)  # others have their turn, too

    async def _until_taken(self) -> None:
        """Wait until there is room on the connection; raises TimeoutError for a reader that keeps others waiting."""
        waited_s = 0.0
        while not await self._is_taken(within_s=_SLOW_S):
            waited_s += _SLOW_S
            if self._sending.flight.is_waited_for or waited_s >= _STALLED_S:
                raise TimeoutError

    async def _is_taken(self, *, within_s: float) -> bool:
        """Wait until there is room on the connection; return False if there is none in time."""
        if self._draining is None:
            if self._request is not None and not self._request.protocol.writing_paused:
                return True
            self._draining = asyncio.ensure_future(self._writer.drain())  # which cannot be cancelled and go on
        await asyncio.wait({self._draining}, timeout=within_s)
        if not self._draining.done():
            return False
        drained, self._draining = self._draining, None
        drained.result()
        return True

    async def _put(self, piece: bytes) -> None:
        await self._write(piece if self._packer is None else self._packer.compress(piece))

    async def _write(self, piece: bytes) -> None:
        if piece:
            await self._writer.write(piece, drain=False)

    def _cut(self, error: Exception) -> None:
        self._sending.cut += 1
        if isinstance(error, ChangedMeanwhile):
            _log.info("a large answer ended early: an object in it was changed while it was sent")
        elif isinstance(error, TimeoutError):
            _log.info("a large answer ended early: its reader was too slow")
        elif isinstance(error, Unavailable):
            _log.error("a large answer ended early: no database", cause=str(error.__cause__))
        else:
            _log.error("a large answer ended early", exc_info=error)
        transport = None if self._request is None else self._request.transport
        if transport is not None:
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            transport.abort()
