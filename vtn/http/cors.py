"""Answers to browsers whose pages come from another origin (Cross-Origin Resource Sharing, Fetch standard)."""

from __future__ import annotations

from typing import Final

from aiohttp import hdrs, web

from vtn.settings import Cors

_METHODS: Final = "GET, POST, PUT, DELETE"
_HEADERS: Final = "Authorization, Content-Type, If-Match, If-None-Match, X-Request-Id"
_SHOWN: Final = "ETag, Location, Retry-After, X-Request-Id"
_ANY: Final = "*"


class CrossOrigin:
    """Cross-origin policy: the origins that may use the API, and the headers their browsers get.

    Tokens are sent in a header that pages set themselves, so credentials of the browser are never allowed.
    """

    def __init__(self, settings: Cors) -> None:
        self._origins = frozenset(settings.origins)
        self._max_age = str(settings.max_age_s)

    def preflight(self, request: web.Request) -> web.Response | None:
        """Answer the question a browser asks before a request; None if this is no such question, or may not be."""
        if request.method != hdrs.METH_OPTIONS or hdrs.ACCESS_CONTROL_REQUEST_METHOD not in request.headers:
            return None
        if self._allowed(request) is None:
            return None
        headers = {
            hdrs.ACCESS_CONTROL_ALLOW_METHODS: _METHODS,
            hdrs.ACCESS_CONTROL_ALLOW_HEADERS: _HEADERS,
            hdrs.ACCESS_CONTROL_MAX_AGE: self._max_age,
        }
        return web.Response(status=204, headers=headers)

    def mark(self, request: web.Request, response: web.StreamResponse) -> None:
        """Add to an answer whether a page may read it; a cache keeps the answers to different origins apart."""
        headers = response.headers
        headers[hdrs.VARY] = f"{headers[hdrs.VARY]}, Origin" if hdrs.VARY in headers else "Origin"
        allowed = self._allowed(request)
        if allowed is not None:
            headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = allowed
            headers[hdrs.ACCESS_CONTROL_EXPOSE_HEADERS] = _SHOWN

    def _allowed(self, request: web.Request) -> str | None:
        origin = request.headers.get(hdrs.ORIGIN)
        if origin is None:
            return None
        if _ANY in self._origins:
            return _ANY
        return origin if origin in self._origins else None
