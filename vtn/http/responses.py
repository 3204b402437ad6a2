"""Answers that are made once and given many times: their bytes, their tag, and the beginning of what is sent."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from aiohttp import HttpVersion11, hdrs, web
from blake3 import blake3

from vtn.http.aiohttp_internals import FinishedResponse, head_of
from vtn.http.sending import Reservation

_gzip: Any
_zlib: Any
try:
    from isal import igzip as _gzip
    from isal import isal_zlib as _zlib
except ModuleNotFoundError:  # there is none for this processor
    import gzip as _gzip
    import zlib as _zlib

_PACK_LEVEL: Final = 1  # three times as fast as the default, and JSON shrinks nearly as much
_GZIP_BITS: Final = 31
PACKED: Final = "-gzip"
"""Suffix of the ETag of a compressed form."""
_STATUS: Final = {200: "200 OK", 201: "201 Created", 304: "304 Not Modified"}
_FORM_COST: Final = 1200
"""About what a form takes beside its body."""
MEDIA_TYPE: Final = "application/json"
HEADERS: Final = {"Cache-Control": "private, no-cache", "Vary": "Authorization, Accept-Encoding"}
"""Answers depend on the reader: nobody else may keep them, and nobody may use one without asking again (ETAG-001)."""


def digest_of(body: bytes) -> bytes:
    """Return a digest of a body: 128 bits of BLAKE3, so that collisions cannot be made on purpose."""
    return blake3(body).digest(16)


def pack(body: bytes) -> bytes:
    """Compress a body with gzip."""
    packed: bytes = _gzip.compress(body, _PACK_LEVEL, mtime=0)
    return packed


def packer() -> Any:
    """Return an object that compresses a body with gzip piece by piece, as those of zlib do."""
    return _zlib.compressobj(_PACK_LEVEL, _zlib.DEFLATED, _GZIP_BITS)


class Representation:
    """One form of an answer, plain or packed."""

    __slots__ = ("_head", "_headers", "body")

    def __init__(self, body: bytes, tag: str, packed: Mapping[str, str]) -> None:
        self.body = body
        self._headers = HEADERS | {"ETag": tag, **packed, hdrs.CONTENT_TYPE: MEDIA_TYPE}
        self._head = head_of(_STATUS[200], {**self._headers, hdrs.CONTENT_LENGTH: str(len(body))})

    def ok(self, request: web.Request, reserved: Reservation | None = None) -> web.StreamResponse:
        """Return 200 with the bytes; ``reserved`` is released when they are sent."""
        if _is_usual(request):
            return FinishedResponse(200, self._head, self.body, reserved)
        return _Whole(200, self._headers, self.body, reserved)


class CachedResponse:
    """The answer to a GET, as it is or packed, whichever is wanted: nearly every client takes it packed.

    Once it is packed only that is kept; who wants it plain after that makes it keep both.
    """

    __slots__ = ("_packed", "_plain", "_tags", "digest", "resized", "size", "tag")

    def __init__(self, body: bytes) -> None:
        self.size = len(body)
        self.digest = digest_of(body)
        self.tag = self.digest.hex()
        self._tags = f'"{self.tag}"', f'"{self.tag}{PACKED}"'
        self._plain: Representation | None = Representation(body, self._tags[False], {})
        self._packed: Representation | None = None
        self.resized: Callable[[int], None] | None = None
        """Count by how much ``cost`` has changed."""

    @property
    def cost(self) -> int:
        """Return the approximate memory it takes, in bytes."""
        return sum(len(form.body) + _FORM_COST for form in (self._plain, self._packed) if form is not None)

    @property
    def plain(self) -> Representation:
        """Return the uncompressed form."""
        if self._plain is None:
            before = self.cost
            self._plain = Representation(_gzip.decompress(self.packed.body), self._tags[False], {})
            self._changed(before)
        return self._plain

    @property
    def packed(self) -> Representation:
        """Return the form compressed with gzip."""
        if self._packed is None:
            before = self.cost
            self._packed = Representation(pack(self.plain.body), self._tags[True], {hdrs.CONTENT_ENCODING: "gzip"})
            self._plain = None
            self._changed(before)
        return self._packed

    def names(self, tag: str) -> bool:
        """Return True if an ETag, as a header writes it, is this answer's in either form."""
        return tag in self._tags

    def not_modified(self, request: web.Request, *, packed: bool) -> web.StreamResponse:
        """Return 304, as the reader has these bytes; nothing is compressed for it."""
        headers = HEADERS | {"ETag": self._tags[packed]}
        if _is_usual(request):
            return FinishedResponse(304, head_of(_STATUS[304], headers), b"")
        return web.Response(status=304, headers=headers)

    def _changed(self, before: int) -> None:
        if self.resized is not None:
            self.resized(self.cost - before)


class _Whole(web.Response):
    """Go out in the framework's way, and give back the memory that was meant for it."""

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes, reserved: Reservation | None) -> None:
        super().__init__(status=status, headers=headers, body=body)
        self._reserved = reserved

    async def write_eof(self, data: bytes = b"") -> None:
        """Send the body."""
        try:
            await super().write_eof(data)
        finally:
            if self._reserved is not None:
                self._reserved.release()


def sent(
    request: web.Request, status: int, headers: Mapping[str, str], body: bytes, reserved: Reservation | None = None
) -> web.StreamResponse:
    """Return an answer that is not cached; ``reserved`` is released when it is sent."""
    if reserved is not None:
        reserved.shrink(len(body))
    if request.version != HttpVersion11 or not request.keep_alive:
        return _Whole(status, headers, body, reserved)
    return FinishedResponse(
        status, head_of(_STATUS[status], {**headers, hdrs.CONTENT_LENGTH: str(len(body))}), body, reserved
    )


def _is_usual(request: web.Request) -> bool:
    """Return True if the answer needs a body, and no header about the connection."""
    return request.method == hdrs.METH_GET and request.version == HttpVersion11 and request.keep_alive
