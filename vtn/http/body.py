"""Bodies of requests: read within a time, a size and a budget of memory, and not nested deeper than is sensible."""

from __future__ import annotations

import asyncio
import re
import zlib
from collections import defaultdict
from collections.abc import Iterator
from types import TracebackType
from typing import Final

from aiohttp import hdrs, web

from vtn.errors import (
    ClientGone,
    Malformed,
    NotOffered,
    Overloaded,
    TooLarge,
    TooManyRequests,
    TooSlow,
    UnsupportedMediaType,
)

TIMEOUT_S: Final = web.AppKey("body_timeout_s", float)
NESTING: Final = web.AppKey("nesting", int)
TOKEN_FORM_BYTES: Final = 16 * 1024
"""The most that a form for a token has: it is read before anybody is known."""

_BRACKETS: Final = bytes.maketrans(b"{}", b"[]")
_OTHERS: Final = bytes(set(range(256)) - set(b"[]{}"))
_TOKEN: Final = re.compile(rb'"(?:[^"\\]|\\.)*"?|[\[\]{}]', re.DOTALL)

_UNPACKED_AT_ONCE: Final = 64 * 1024
_GZIP_BITS: Final = 31
_ZLIB_BITS: Final = 15
_RAW_DEFLATE_BITS: Final = -15
_ZLIB_METHOD: Final = 8
_UNKNOWN_SHARE: Final = 4
_RETRY_AFTER_S: Final = 2


class Budget:
    """The bytes of all bodies that a process has in hand: at most ``most``, and ``most_per_address`` from one address.

    Callers that have not proved who they are (``known`` is false) share a quarter of it, so that they cannot keep
    everybody else out (GEN-008).
    """

    def __init__(self, *, most: int, most_per_address: int | None) -> None:
        self.held = 0
        self.refused = 0
        self._most = most
        self._most_per_address = most_per_address
        self._unknown = 0
        self._addresses: defaultdict[str, int] = defaultdict(int)

    def take(self, count: int, address: str, *, known: bool) -> None:
        """Count so many bytes more; raises Overloaded or TooManyRequests, and counts nothing, when that is too much."""
        unknown = 0 if known else self._unknown + count
        if self.held + count > self._most or unknown > self._most // _UNKNOWN_SHARE:
            self.refused += 1
            raise Overloaded("the server has as many request bodies in hand as it takes; try again later")
        most = self._most_per_address
        if most is not None and self._addresses.get(address, 0) + count > most:
            self.refused += 1
            raise TooManyRequests(
                "too many request bodies are under way from this address; send fewer at the same time",
                retry_after_s=_RETRY_AFTER_S,
            )
        self.held += count
        self._addresses[address] += count
        if not known:
            self._unknown += count

    def release(self, count: int, address: str, *, known: bool) -> None:
        """Forget so many bytes."""
        self.held -= count
        if not known:
            self._unknown -= count
        self._addresses[address] -= count
        if not self._addresses[address]:
            del self._addresses[address]


BUDGET: Final = web.AppKey("body_budget", Budget)


class Body:
    """The body of one request, as a context: what it takes is counted until the end of the block.

    ``most`` bounds its size in bytes, by default the server's limit for bodies; ``packed`` allows Content-Encoding.
    """

    def __init__(
        self, request: web.Request, *, known: bool = True, packed: bool = True, most: int | None = None
    ) -> None:
        self._request = request
        self._known = known
        self._packed = packed
        self._most = request.client_max_size if most is None else most
        self._budget = request.app[BUDGET]
        self._address = request.remote or ""
        self._held = 0

    async def __aenter__(self) -> bytes:
        """Read the whole body.

        Raises TooLarge, TooSlow (GEN-008), Overloaded or TooManyRequests (over the budget), UnsupportedMediaType
        (a Content-Encoding that is not known), NotOffered (a Transfer-Encoding that is not known), Malformed (it cannot
        be unpacked, or is not what its header says) or ClientGone (the client hung up before it was whole).
        """
        try:
            coding = self._coding()
            declared = self._request.content_length or 0
            if declared > self._most:
                raise self._too_large()
            self._take(declared)
            if self._request.content.is_eof():  # all of it is here already, as most bodies are
                return await self._read(coding)
            try:
                async with asyncio.timeout(self._request.app[TIMEOUT_S]):
                    return await self._read(coding)
            except TimeoutError:
                raise TooSlow("the body did not arrive in time") from None
        except BaseException:
            self._release()
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop counting it."""
        self._release()

    async def _read(self, coding: str) -> bytes:
        unpacker = _Unpacker(coding) if coding else None
        gathered: list[bytes] = []
        size = 0
        try:
            while part := await self._part():
                for piece in (part,) if unpacker is None else unpacker.unpacked(part):
                    size += len(piece)
                    if size > self._most:
                        raise self._too_large()
                    self._take(size - self._held)
                    gathered.append(piece)
            if unpacker is not None:
                unpacker.check_end()
            return gathered[0] if len(gathered) == 1 else b"".join(gathered)
        finally:
            gathered.clear()  # the traceback of an error has this frame in it

    async def _part(self) -> bytes:
        """Return the bytes that have arrived; empty at the end.

        The stream keeps an error that it has raised. With its traceback that error would keep the stream, the request
        and whatever their readers have gathered, until the collector comes by.
        """
        try:
            return await self._request.content.readany()
        except web.RequestPayloadError as error:
            error.__traceback__ = None
            is_gone = False
        except ConnectionError as error:
            error.__traceback__ = None
            is_gone = True
        raise (
            ClientGone("the client hung up before its body was whole")
            if is_gone
            else Malformed("the body cannot be read")
        )

    def _take(self, more: int) -> None:
        if more > 0:
            self._budget.take(more, self._address, known=self._known)
            self._held += more

    def _release(self) -> None:
        if self._held:
            self._budget.release(self._held, self._address, known=self._known)
            self._held = 0

    def _too_large(self) -> TooLarge:
        return TooLarge(f"the body is larger than this server accepts: at most {self._most} bytes, unpacked")

    def _coding(self) -> str:
        headers = self._request.headers
        transfer = ",".join(headers.getall(hdrs.TRANSFER_ENCODING, ())).strip().lower()
        if transfer not in {"", "chunked"}:
            raise NotOffered("Transfer-Encoding: expected chunked alone")
        coding = ",".join(headers.getall(hdrs.CONTENT_ENCODING, ())).strip().lower().removeprefix("x-")
        if coding in {"", "identity"}:
            return ""
        if not self._packed:
            raise UnsupportedMediaType("Content-Encoding: expected none here")
        if coding not in {"gzip", "deflate"}:
            raise UnsupportedMediaType("Content-Encoding: expected gzip or deflate")
        return coding


class _Unpacker:
    """Undoes a Content-Encoding in pieces of a bounded size, however large a small part becomes."""

    def __init__(self, coding: str) -> None:
        self._coding = coding
        self._stream: zlib._Decompress | None = None

    def unpacked(self, part: bytes) -> Iterator[bytes]:
        """Yield the decompressed bytes of a part; raises Malformed if it is not in this coding."""
        is_full = False
        while part or is_full:
            if self._stream is None:
                self._stream = zlib.decompressobj(_bits(self._coding, part[0]))
            try:
                piece = self._stream.decompress(part, _UNPACKED_AT_ONCE)
            except zlib.error:
                raise Malformed(f"the body cannot be unpacked as {self._coding}") from None
            part, is_full = self._stream.unconsumed_tail, len(piece) == _UNPACKED_AT_ONCE
            if self._stream.eof:  # in gzip another member may follow
                part, is_full, self._stream = self._stream.unused_data, False, None
                if part and self._coding != "gzip":
                    raise Malformed("there is more in the body than its packed content")
            yield piece

    def check_end(self) -> None:
        """Raise Malformed unless the packed content is whole."""
        if self._stream is not None:
            raise Malformed(f"the body cannot be unpacked as {self._coding}: its end is missing")


def _bits(coding: str, first: int) -> int:
    """Return the window bits for zlib: many clients send deflate without the header that RFC 1950 requires."""
    if coding == "gzip":
        return _GZIP_BITS
    return _ZLIB_BITS if first & 0x0F == _ZLIB_METHOD else _RAW_DEFLATE_BITS


def too_deep(raw: bytes, most: int) -> bool:
    """Return True if lists and objects are nested deeper than ``most``."""
    # Brackets alone, innermost pairs taken away as often as is allowed: a few passes over a short text.
    brackets = raw.translate(_BRACKETS, _OTHERS)
    for _ in range(most):
        brackets = brackets.replace(b"[]", b"")
        if not brackets:
            return False
    return _depth(raw, most) > most


def _depth(raw: bytes, most: int) -> int:
    """Return the depth of nesting, ignoring brackets inside strings; stops counting once it exceeds ``most``."""
    depth = deepest = 0
    for token in _TOKEN.finditer(raw):
        if token[0] in {b"[", b"{"}:
            depth += 1
            deepest = max(deepest, depth)
            if deepest > most:
                break
        elif token[0] in {b"]", b"}"}:
            depth -= 1
    return deepest
