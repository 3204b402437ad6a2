"""Conditional requests (RFC 9110): strong ETags, 304 and 412, and gzip for clients that accept it."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Final

from aiohttp import ETag, hdrs, web

from vtn.errors import Stale
from vtn.http.responses import HEADERS, MEDIA_TYPE, PACKED, CachedResponse, digest_of, pack, sent
from vtn.http.sending import COUNTED_FROM_BYTES, Reservation

_WORTH_PACKING: Final = 1024
_ANY: Final = "*"


def read(request: web.Request, cached: CachedResponse, reserved: Reservation | None = None) -> web.StreamResponse | int:
    """Return the answer to a GET: the bytes, or 304 if If-None-Match names their tag (ETAG-001, ETAG-002).

    If the bytes are so many that they count, and nothing is ``reserved`` for them, returns how many they are instead.
    """
    packed = compresses(request, cached.size)
    known = request.headers.get(hdrs.IF_NONE_MATCH)
    if known is not None and (cached.names(known) or is_known(request, cached.tag)):
        return cached.not_modified(request, packed=packed)
    form = cached.packed if packed else cached.plain
    size = len(form.body)
    if size > COUNTED_FROM_BYTES and reserved is None:
        return size
    return form.ok(request, reserved)


def read_small(request: web.Request, cached: CachedResponse) -> web.StreamResponse:
    """Return the answer to a GET that is small whatever is stored, so that it need not count."""
    response = read(request, cached)
    return cached.plain.ok(request) if isinstance(response, int) else response


def written(
    request: web.Request,
    body: bytes,
    *,
    status: int = 200,
    location: str | None = None,
    reserved: Reservation | None = None,
) -> web.StreamResponse:
    """Return the answer to a POST or PUT: the whole object, with the ETag that a GET of it would carry now.

    ``reserved`` is the memory for it, which is released when it is sent.
    """
    headers = HEADERS | {"ETag": f'"{_tag(body)}"'}
    if location is not None:
        headers["Location"] = location
    return _response(request, body, headers, status=status, reserved=reserved)


def removed(request: web.Request, body: bytes, reserved: Reservation | None) -> web.StreamResponse:
    """Return the answer to a DELETE: the object as it was (MATRIX-004). ``reserved`` is released when it is sent."""
    return _response(request, body, dict(HEADERS), reserved=reserved)


def precondition(request: web.Request) -> Callable[[bytes], None] | None:
    """Return the If-Match check of an object's present bytes; it raises Stale unless the caller read these (ETAG-003).

    None if the request has no If-Match.
    """
    named = request.if_match
    if hdrs.IF_MATCH not in request.headers:
        return None

    def check(body: bytes) -> None:
        tag = _tag(body)
        if not any(not known.is_weak and _names(known, tag) for known in named or ()):
            raise Stale("the object has changed since it was read; read it again")

    return check


@lru_cache(maxsize=256)
def accepts_gzip(header: str) -> bool:
    """Return True if Accept-Encoding allows gzip (COMP-001, COMP-002)."""
    allowed: dict[str, bool] = {}
    for part in header.lower().split(","):
        coding, _, parameters = part.partition(";")
        quality = parameters.replace(" ", "").removeprefix("q=")
        allowed[coding.strip()] = quality.strip("0.") != "" if quality else True
    return allowed.get("gzip", allowed.get("*", False))


def compresses(request: web.Request, size: int) -> bool:
    """Return True if an answer of this size is to be compressed."""
    return size > _WORTH_PACKING and accepts_gzip(request.headers.get(hdrs.ACCEPT_ENCODING, ""))


def is_known(request: web.Request, tag: str) -> bool:
    """Return True if If-None-Match names this tag."""
    return any(_names(each, tag) for each in request.if_none_match or ())


def _response(
    request: web.Request, body: bytes, headers: dict[str, str], *, status: int = 200, reserved: Reservation | None
) -> web.StreamResponse:
    if compresses(request, len(body)):
        headers["Content-Encoding"] = "gzip"
        body = pack(body)
    headers["Content-Type"] = MEDIA_TYPE
    return sent(request, status, headers, body, reserved)


def _tag(body: bytes) -> str:
    return digest_of(body).hex()


def _names(known: ETag, tag: str) -> bool:
    """Return True if an ETag from a header is this one, compressed or not: both are the same version."""
    return known.value == _ANY or known.value.removesuffix(PACKED) == tag
