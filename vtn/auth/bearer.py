"""From the Authorization header to the reader (AUTH-001 … AUTH-005)."""

from __future__ import annotations

from aiohttp import hdrs, web

from vtn.access import Reader
from vtn.auth.tokens import Tokens
from vtn.errors import Unauthenticated


def reader_of(request: web.Request, tokens: Tokens) -> Reader:
    """Who is asking; raises Unauthenticated. Only a single header counts, never the address of the request."""
    headers = request.headers.getall(hdrs.AUTHORIZATION, [])
    if len(headers) != 1:
        raise Unauthenticated("send one Authorization header with a bearer token" if headers else "a token is needed")
    scheme, _, token = headers[0].partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token:
        raise Unauthenticated("a bearer token is needed")
    return tokens.reader(token)
