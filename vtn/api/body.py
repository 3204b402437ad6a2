"""Bodies of requests: read within a time, and not nested deeper than is sensible."""

from __future__ import annotations

import asyncio
import re
from typing import Final

from aiohttp import web

from vtn.errors import TooSlow

TIMEOUT_S: Final = web.AppKey("body_timeout_s", float)
NESTING: Final = web.AppKey("nesting", int)

_BRACKETS: Final = bytes.maketrans(b"{}", b"[]")
_OTHERS: Final = bytes(set(range(256)) - set(b"[]{}"))
_TOKEN: Final = re.compile(rb'"(?:[^"\\]|\\.)*"?|[\[\]{}]', re.DOTALL)


async def read(request: web.Request) -> bytes:
    """The whole body; raises TooSlow when it does not arrive in time, and the framework's error when it is too long."""
    if request.content.is_eof():  # all of it is here already, as most bodies are when the handler begins
        return await request.read()
    try:
        async with asyncio.timeout(request.app[TIMEOUT_S]):
            return await request.read()
    except TimeoutError:
        raise TooSlow("the body did not arrive in time") from None


def too_deep(raw: bytes, most: int) -> bool:
    """Whether lists and objects are nested deeper than ``most``."""
    # Brackets alone, innermost pairs taken away as often as is allowed: a few passes over a short text.
    brackets = raw.translate(_BRACKETS, _OTHERS)
    for _ in range(most):
        brackets = brackets.replace(b"[]", b"")
        if not brackets:
            return False
    return _depth(raw, most) > most


def _depth(raw: bytes, most: int) -> int:
    """The same with brackets inside texts left out; stops as soon as it is known."""
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
