"""Answers: bytes with a strong ETag, 304 when the reader has them already, gzip when that is welcome and worth it."""

from __future__ import annotations

import gzip
from functools import lru_cache
from hashlib import blake2b
from typing import Final

from aiohttp import ETag, hdrs, web
from multidict import CIMultiDict

from vtn.errors import Stale
from vtn.store.objects import Precondition

_WORTH_PACKING: Final = 1024
_PACK_LEVEL: Final = 1  # three times as fast as the default, and JSON shrinks nearly as much
_SUFFIX: Final = "-gzip"
_ANY: Final = "*"

# Answers depend on the reader, so nobody else may keep them, and nobody may use one without asking again (ETAG-001).
_HEADERS: Final = {"Cache-Control": "private, no-cache", "Vary": "Authorization, Accept-Encoding"}
_MEDIA_TYPE: Final = "application/json"


class Ready:
    """The answer to a GET, made once: its bytes, their tag, the headers, and the packed form when first wanted."""

    __slots__ = ("_headers", "_packed", "_packed_headers", "body", "digest", "tag")

    def __init__(self, body: bytes) -> None:
        self.body = body
        self.digest = blake2b(body, digest_size=16).digest()
        self.tag = self.digest.hex()
        self._headers = _headers_of(f'"{self.tag}"')
        self._packed: bytes | None = None
        self._packed_headers: CIMultiDict[str] | None = None

    @property
    def cost(self) -> int:
        """About the memory it takes, in bytes, with its packed form."""
        return len(self.body) * 5 // 4 + 2000

    def plain(self) -> tuple[bytes, CIMultiDict[str]]:
        """The body and new headers."""
        return self.body, self._headers.copy()

    def packed(self) -> tuple[bytes, CIMultiDict[str]]:
        """The packed body and new headers."""
        if self._packed is None or self._packed_headers is None:
            self._packed = gzip.compress(self.body, _PACK_LEVEL, mtime=0)
            self._packed_headers = _headers_of(f'"{self.tag}{_SUFFIX}"')
            self._packed_headers["Content-Encoding"] = "gzip"
        return self._packed, self._packed_headers.copy()


def read(request: web.Request, ready: Ready) -> web.Response:
    """What a GET gives: the bytes, or 304 if the reader named their tag (ETAG-001, ETAG-002)."""
    given = request.headers
    body, headers = ready.packed() if _packs(request, ready.body) else ready.plain()
    if hdrs.IF_NONE_MATCH in given and (
        given[hdrs.IF_NONE_MATCH] == headers[hdrs.ETAG]
        or any(_names(known, ready.tag) for known in request.if_none_match or ())
    ):
        headers.popall(hdrs.CONTENT_TYPE)
        headers.popall(hdrs.CONTENT_ENCODING, None)
        return web.Response(status=304, headers=headers)
    return web.Response(body=body, headers=headers)


def written(request: web.Request, text: str, *, status: int = 200, location: str | None = None) -> web.Response:
    """What a POST or PUT gives: the whole object, with the tag that a GET of it would carry now."""
    body = text.encode()
    headers = _HEADERS | {"ETag": f'"{_tag(body)}"'}
    if location is not None:
        headers["Location"] = location
    return _response(body, status, headers, packed=_packs(request, body))


def removed(request: web.Request, text: str) -> web.Response:
    """What a DELETE gives: the object as it was (MATRIX-004)."""
    body = text.encode()
    return _response(body, 200, _HEADERS, packed=_packs(request, body))


def precondition(request: web.Request) -> Precondition | None:
    """If-Match as a look at the present object: raises Stale when it is not the one the caller read (ETAG-003)."""
    named = request.if_match
    if hdrs.IF_MATCH not in request.headers:
        return None

    def check(text: str) -> None:
        tag = _tag(text.encode())
        if not any(not known.is_weak and _names(known, tag) for known in named or ()):
            raise Stale("the object has changed since it was read; read it again")

    return check


@lru_cache(maxsize=256)
def accepts_gzip(header: str) -> bool:
    """Whether Accept-Encoding allows gzip (COMP-001, COMP-002)."""
    allowed: dict[str, bool] = {}
    for part in header.lower().split(","):
        coding, _, parameters = part.partition(";")
        quality = parameters.replace(" ", "").removeprefix("q=")
        allowed[coding.strip()] = quality.strip("0.") != "" if quality else True
    return allowed.get("gzip", allowed.get("*", False))


def _response(body: bytes, status: int, headers: dict[str, str], *, packed: bool) -> web.Response:
    if packed:
        headers = headers | {"Content-Encoding": "gzip"}
        body = gzip.compress(body, _PACK_LEVEL, mtime=0)
    return web.Response(body=body, status=status, content_type=_MEDIA_TYPE, headers=headers)


def _headers_of(tag: str) -> CIMultiDict[str]:
    return CIMultiDict({**_HEADERS, "ETag": tag, "Content-Type": _MEDIA_TYPE})


def _packs(request: web.Request, body: bytes) -> bool:
    return len(body) > _WORTH_PACKING and accepts_gzip(request.headers.get(hdrs.ACCEPT_ENCODING, ""))


def _tag(body: bytes) -> str:
    return blake2b(body, digest_size=16).hexdigest()


def _names(known: ETag, tag: str) -> bool:
    """Whether a tag from a header is this one, packed or not: both are the same version."""
    return known.value == _ANY or known.value.removesuffix(_SUFFIX) == tag
