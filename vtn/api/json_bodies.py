"""Check bodies of requests before they are decoded: that they are JSON of a depth and with texts that can be stored."""

from __future__ import annotations

import re
from typing import Final

from aiohttp import hdrs, web

from openadr_profiles.v31 import Invalid
from vtn.errors import UnsupportedMediaType
from vtn.http import body

_NUL: Final = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
_SMALL_NESTING: Final = 4


def check_json(request: web.Request, raw: bytes, *, nesting: int) -> None:
    """Check the type, the depth and the texts of a body; raises UnsupportedMediaType or Invalid."""
    declared = request.headers.get(hdrs.CONTENT_TYPE, "application/json")
    if declared.partition(";")[0].strip().lower() != "application/json":
        raise UnsupportedMediaType("the body is expected to be application/json")
    if body.too_deep(raw, nesting):
        raise Invalid("", f"nested deeper than {nesting} lists and objects")
    if b"\\u0000" in raw and _NUL.search(raw):
        raise Invalid("", "texts cannot contain the character NUL")


async def small_json(request: web.Request, *, most: int) -> bytes:
    """Return the body of an extension's request, of ``most`` bytes and 4 levels; raises as `check_json` does."""
    async with body.Body(request, most=most) as raw:
        check_json(request, raw, nesting=_SMALL_NESTING)
        return bytes(raw)
