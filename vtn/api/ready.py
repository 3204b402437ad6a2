"""Answers that are made once and given many times: their bytes, their tag, and the beginning of what is sent."""

from __future__ import annotations

import gzip
import time
from collections.abc import Mapping
from email.utils import formatdate
from hashlib import sha256
from typing import Final

from aiohttp import HttpVersion11, hdrs, web
from aiohttp.abc import AbstractStreamWriter

PACK_LEVEL: Final = 1  # three times as fast as the default, and JSON shrinks nearly as much
PACKED: Final = "-gzip"
"""What the tag of a packed form ends with."""
_STATUS: Final = {200: "200 OK", 201: "201 Created", 304: "304 Not Modified"}
MEDIA_TYPE: Final = "application/json"
HEADERS: Final = {"Cache-Control": "private, no-cache", "Vary": "Authorization, Accept-Encoding"}
"""Answers depend on the reader: nobody else may keep them, and nobody may use one without asking again (ETAG-001)."""


def digest_of(body: bytes) -> bytes:
    """What tells one body from another: 128 bits of a hash that processors compute by themselves."""
    return sha256(body).digest()[:16]


class Form:
    """One form of an answer, plain or packed."""

    __slots__ = ("_found", "_packed", "_same", "body", "headers", "tag")

    def __init__(self, body: bytes, tag: str, packed: Mapping[str, str]) -> None:
        self.body = body
        self.tag = f'"{tag}"'
        self.headers = HEADERS | {"ETag": self.tag}
        self._same = _head(_STATUS[304], self.headers)
        self._found = _head(
            _STATUS[200],
            {**self.headers, **packed, hdrs.CONTENT_TYPE: MEDIA_TYPE, hdrs.CONTENT_LENGTH: str(len(body))},
        )
        self._packed = packed

    def found(self, request: web.Request) -> web.StreamResponse:
        """200 with the bytes."""
        if _is_usual(request):
            return _Sent(200, self._found, self.body)
        return web.Response(body=self.body, headers={**self.headers, **self._packed, hdrs.CONTENT_TYPE: MEDIA_TYPE})

    def same(self, request: web.Request) -> web.StreamResponse:
        """304: the reader has these bytes."""
        return _Sent(304, self._same, b"") if _is_usual(request) else web.Response(status=304, headers=self.headers)


class Ready:
    """The answer to a GET: as it is, and packed when that is first wanted."""

    __slots__ = ("_packed", "digest", "plain", "tag")

    def __init__(self, body: bytes) -> None:
        self.digest = digest_of(body)
        self.tag = self.digest.hex()
        self.plain = Form(body, self.tag, {})
        self._packed: Form | None = None

    @property
    def cost(self) -> int:
        """About the memory it takes, in bytes, with its packed form."""
        return len(self.plain.body) * 5 // 4 + 2500

    @property
    def packed(self) -> Form:
        """The same, packed."""
        if self._packed is None:
            body = gzip.compress(self.plain.body, PACK_LEVEL, mtime=0)
            self._packed = Form(body, self.tag + PACKED, {hdrs.CONTENT_ENCODING: "gzip"})
        return self._packed


class _Sent(web.StreamResponse):
    """Goes out as it stands, with the headers that were set for this request; nothing else is put together for it."""

    def __init__(self, status: int, head: bytes, body: bytes) -> None:
        super().__init__(status=status)
        self._keep_alive = True
        self._parts = head, body

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Nothing is sent before the end."""
        self._payload_writer = request.writer
        return self._payload_writer

    async def write_eof(self, data: bytes = b"") -> None:
        """Send everything at once."""
        writer, self._payload_writer = self._payload_writer, None
        if writer is None:
            return
        head, body = self._parts
        own = "".join([f"{name}: {value}\r\n" for name, value in self.headers.items()])
        await writer.write_eof(b"%bDate: %b\r\n%b\r\n%b" % (head, _date(), own.encode(), body))
        self._eof_sent = True


def sent(request: web.Request, status: int, headers: Mapping[str, str], body: bytes) -> web.StreamResponse:
    """An answer that is given once."""
    if request.version != HttpVersion11 or not request.keep_alive:
        return web.Response(status=status, body=body, headers=headers)
    return _Sent(status, _head(_STATUS[status], {**headers, hdrs.CONTENT_LENGTH: str(len(body))}), body)


def _is_usual(request: web.Request) -> bool:
    """Whether the answer needs a body and nothing about the connection."""
    return request.method == hdrs.METH_GET and request.version == HttpVersion11 and request.keep_alive


def _head(status: str, headers: Mapping[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in headers.items()), ""]
    return "\r\n".join(lines).encode()


_second = 0
_formatted = b""


def _date() -> bytes:
    """The present second as a header says it; by the machine's clock, like everything about a connection."""
    global _second, _formatted
    now = int(time.time())
    if now != _second:
        _second, _formatted = now, formatdate(now, usegmt=True).encode()
    return _formatted
