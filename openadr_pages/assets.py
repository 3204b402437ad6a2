"""Files that pages load: each is served under a name with a hash of its content, so that browsers keep it for ever."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
from pathlib import Path
from typing import Final

from aiohttp import hdrs, web

from openadr_pages.headers import FOREVER, SECURITY

STATIC: Final = Path(__file__).parent / "static"
_TYPES: Final = {
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".txt": "text/plain",
    ".webmanifest": "application/manifest+json",
}
_TEXTS: Final = frozenset({".css", ".js", ".svg", ".txt", ".webmanifest"})
_HASH_DIGITS: Final = 12


class Assets:
    """The files of ``openadr_pages/static`` and of further folders; a later folder's file takes an earlier one's place.

    Their bytes are not kept in memory: a browser asks for each of them once.
    """

    def __init__(self, *folders: Path) -> None:
        self._urls: dict[str, str] = {}
        self._files: dict[str, Path] = {}
        found: dict[str, Path] = {}
        for folder in (STATIC, *folders):
            found |= {file.name: file for file in sorted(folder.iterdir()) if file.suffix in _TYPES}
        for name, file in found.items():
            stem, _, ending = name.rpartition(".")
            hashed = f"{stem}.{hashlib.sha256(file.read_bytes()).hexdigest()[:_HASH_DIGITS]}.{ending}"
            self._urls[name] = f"static/{hashed}"
            self._files[hashed] = file

    def url(self, name: str) -> str:
        """Return the address of a file, relative to the pages' prefix; raises KeyError for an unknown name."""
        return self._urls[name]

    async def handler(self, request: web.Request) -> web.Response:
        """Answer GET for the file that the variable ``name`` of the path says; raises HTTPNotFound."""
        file = self._files.get(request.match_info["name"])
        if file is None:
            raise web.HTTPNotFound
        is_packed = file.suffix in _TEXTS and "gzip" in request.headers.get(hdrs.ACCEPT_ENCODING, "")
        body = await asyncio.to_thread(_read, file, packed=is_packed)
        response = web.Response(body=body, content_type=_TYPES[file.suffix], headers=FOREVER | SECURITY)
        if file.suffix in _TEXTS:
            response.charset = "utf-8"
            response.headers[hdrs.VARY] = hdrs.ACCEPT_ENCODING
        if is_packed:
            response.headers[hdrs.CONTENT_ENCODING] = "gzip"
        return response


def _read(file: Path, *, packed: bool) -> bytes:
    body = file.read_bytes()
    return gzip.compress(body, 6, mtime=0) if packed else body
