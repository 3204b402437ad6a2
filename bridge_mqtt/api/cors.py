"""Pages of other origins in a browser: which of them may call, and what browsers ask before (CORS)."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Middleware

from bridge_mqtt.api.route import Handler

_HEADERS: Final = "Authorization, Content-Type"
_SHOWN: Final = "Link, Location, Retry-After"
_REMEMBERED_S: Final = "600"


def is_allowed(request: web.Request, origins: Collection[str]) -> bool:
    """Return True if a page of an allowed origin has made the request."""
    return request.headers.get("Origin") in origins


def cors(origins: Collection[str]) -> Middleware:
    """Return what answers preflight requests of these origins, and lets their pages read answers.

    A page of another origin gets the same answers without the headers, so that its browser keeps them from it. Cookies
    are never allowed: who calls shows a token.
    """

    @web.middleware
    async def handle(request: web.Request, handler: Handler) -> web.StreamResponse:
        if not origins:
            return await handler(request)
        if not is_allowed(request, origins):
            answer = await handler(request)
        else:
            methods = _methods_of_preflight(request)
            answer = await handler(request) if methods is None else _preflight(methods)
            answer.headers["Access-Control-Allow-Origin"] = request.headers["Origin"]
            answer.headers["Access-Control-Expose-Headers"] = _SHOWN
        answer.headers["Vary"] = "Origin"
        return answer

    return handle


def _methods_of_preflight(request: web.Request) -> Collection[str] | None:
    """Return the methods of the path if a browser asks for them; None if it does not, or there is no such path."""
    if request.method != "OPTIONS" or "Access-Control-Request-Method" not in request.headers:
        return None
    error = request.match_info.http_exception
    return error.allowed_methods if isinstance(error, web.HTTPMethodNotAllowed) else None


def _preflight(methods: Collection[str]) -> web.Response:
    return web.Response(
        status=204,
        headers={
            "Access-Control-Allow-Methods": ", ".join(sorted(methods)),
            "Access-Control-Allow-Headers": _HEADERS,
            "Access-Control-Max-Age": _REMEMBERED_S,
        },
    )
