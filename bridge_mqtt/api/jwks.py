"""The keys that sign the VTN's tokens: fetched from a URL, kept, and fetched again for a key that is not known yet."""

from __future__ import annotations

import asyncio
import ssl
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import aiohttp
import msgspec
import structlog

from bridge_mqtt.errors import ApiUnavailable

if TYPE_CHECKING:
    import jwt

_log = structlog.get_logger(__name__)

_LONGEST: Final = 1024 * 1024
_ASYMMETRIC: Final = frozenset({"RSA", "EC", "OKP"})
_KEPT: Final = timedelta(hours=1)
_NOT_SOONER: Final = timedelta(seconds=30)
_TIMEOUT_S: Final = 5.0


class PublishedKeys:
    """Keys by their id. Only keys for signatures count, and never one that would be a shared secret."""

    def __init__(self, url: str, ca_file: Path | None) -> None:
        self._url = url
        self._tls = _context(ca_file)
        self._keys: dict[str | None, jwt.PyJWK] = {}
        self._fetched_at: datetime | None = None
        self._asked_at: datetime | None = None
        self._turn = asyncio.Lock()

    async def key(self, kid: str | None, now: datetime) -> jwt.PyJWK | None:
        """Return the key of that id, without an id the only one there is; None if there is none.

        Unknown ids make the keys be fetched again, but not more often than twice a minute.
        """
        async with self._turn:
            stale = self._fetched_at is None or now - self._fetched_at >= _KEPT
            if (stale or self._found(kid) is None) and (self._asked_at is None or now - self._asked_at >= _NOT_SOONER):
                await self._fetch(now)
        return self._found(kid)

    def _found(self, kid: str | None) -> jwt.PyJWK | None:
        if kid is None:
            return next(iter(self._keys.values())) if len(self._keys) == 1 else None
        return self._keys.get(kid)

    async def _fetch(self, now: datetime) -> None:
        self._asked_at = now
        try:
            self._keys = _usable(await self._document())
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            _log.warning("the keys of the VTN's tokens cannot be had", url=self._url, problem=str(error))
        else:
            self._fetched_at = now

    async def _document(self) -> bytes:
        timeout = aiohttp.ClientTimeout(total=_TIMEOUT_S)
        async with (
            aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(ssl=self._tls)) as session,
            session.get(self._url, allow_redirects=False) as answer,
        ):
            if answer.status != 200:
                raise ValueError(f"status {answer.status}")
            body = bytearray()
            async for chunk in answer.content.iter_chunked(65_536):
                body += chunk
                if len(body) > _LONGEST:
                    raise ValueError(f"more than {_LONGEST} bytes")
            return bytes(body)


def _usable(document: bytes) -> dict[str | None, jwt.PyJWK]:
    """Return the usable keys of a document (RFC 7517); raises ValueError if it is none."""
    import jwt  # noqa: PLC0415 # only who accepts such tokens needs the library

    content: Any = msgspec.json.decode(document)
    keys = content.get("keys") if isinstance(content, dict) else None
    if not isinstance(keys, list):
        raise ValueError("expected a document with keys")
    found: dict[str | None, jwt.PyJWK] = {}
    for one in keys:
        if not isinstance(one, dict) or one.get("kty") not in _ASYMMETRIC or one.get("use", "sig") != "sig":
            continue
        kid = one.get("kid")
        try:
            key = jwt.PyJWK(one)
        except (jwt.PyJWTError, ValueError, TypeError, KeyError):
            continue
        if kid is None or isinstance(kid, str):
            found[kid] = key
    return found


def _context(ca_file: Path | None) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context()
        if ca_file is not None:
            context.load_verify_locations(ca_file)
    except (ssl.SSLError, OSError) as error:
        raise ApiUnavailable(f"api.vtn_tokens.ca_file: cannot read the authorities in {ca_file}: {error}") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
