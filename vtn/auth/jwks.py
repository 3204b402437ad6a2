"""The keys of an external authorisation server: fetched, kept for a while, and fetched again for a key not seen yet.

Not PyJWT's ``PyJWKClient``: it fetches with urllib and so holds up the event loop, reads a document of any size, asks
for every unknown key without a pause, and does not say when a key is gone and what it signed no longer holds.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import aiohttp
import jwt
import msgspec
import structlog

from vtn.errors import BadCertificate, Unavailable
from vtn.settings import ExternalAuth

_log = structlog.get_logger(__name__)

_BODY_LIMIT: Final = 1024 * 1024
_ASYMMETRIC: Final = frozenset({"RSA", "EC", "OKP"})


class Jwks:
    """Keys by their id (``kid``). Only keys for signatures count, and never one that would be a shared secret."""

    def __init__(self, settings: ExternalAuth, now: Callable[[], datetime]) -> None:
        self._settings = settings
        self._now = now
        self._ssl = client_context(settings.ca_file)
        self._keys: dict[str | None, jwt.PyJWK] | None = None
        self._fetched_at: datetime | None = None
        self._asked_at: datetime | None = None
        self._turn = asyncio.Lock()

    async def refresh(self) -> bool:
        """Fetch the keys if that is due; true if one is gone, and what it signed no longer holds."""
        before = self._keys
        if before is None or not self._is_stale():
            return False
        async with self._turn:
            if self._is_stale() and self._may_ask():
                await self._fetch()
        return self._keys is not None and not before.keys() <= self._keys.keys()

    async def key(self, kid: str | None) -> jwt.PyJWK | None:
        """Return the key of that id; without one, the only key there is. None if the server has no such key.

        Raises Unavailable while the keys cannot be had (AUTH-036).
        """
        found = self._found(kid)
        if found is not None and not self._is_stale():
            return found
        async with self._turn:
            found = self._found(kid)
            if (found is None or self._is_stale()) and self._may_ask():
                await self._fetch()
                found = self._found(kid)
        if found is None and (self._keys is None or self._failed()):
            raise Unavailable("the keys of the authorisation server cannot be had; try again later")
        return found

    def _found(self, kid: str | None) -> jwt.PyJWK | None:
        if self._keys is None:
            return None
        if kid is None:
            return next(iter(self._keys.values())) if len(self._keys) == 1 else None
        return self._keys.get(kid)

    def _is_stale(self) -> bool:
        return self._fetched_at is None or self._now() - self._fetched_at >= timedelta(
            seconds=self._settings.jwks_refresh_s
        )

    def _may_ask(self) -> bool:
        return self._asked_at is None or self._now() - self._asked_at >= timedelta(
            seconds=self._settings.jwks_min_interval_s
        )

    def _failed(self) -> bool:
        """Return True if the last fetch failed: then an unknown key may well exist."""
        return self._asked_at != self._fetched_at

    async def _fetch(self) -> None:
        self._asked_at = asked_at = self._now()
        try:
            keys = _keys(await self._document())
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError, msgspec.DecodeError) as error:
            _log.warning(
                "the keys of the authorisation server cannot be had", url=self._settings.jwks_url, why=str(error)
            )
            return
        self._keys, self._fetched_at = keys, asked_at

    async def _document(self) -> bytes:
        timeout = aiohttp.ClientTimeout(total=self._settings.timeout_s)
        connector = aiohttp.TCPConnector(ssl=self._ssl)
        async with (
            aiohttp.ClientSession(timeout=timeout, connector=connector, raise_for_status=True) as session,
            session.get(self._settings.jwks_url, allow_redirects=False) as response,
        ):
            if response.status != 200:
                raise ValueError(f"status {response.status}")
            body = bytearray()
            async for chunk in response.content.iter_chunked(65536):
                body += chunk
                if len(body) > _BODY_LIMIT:
                    raise ValueError("the document is too long")
            return bytes(body)


def _keys(document: bytes) -> dict[str | None, jwt.PyJWK]:
    """Return the usable keys of a JWKS document; those of a kind that this program does not know are left out."""
    found: dict[str | None, jwt.PyJWK] = {}
    content: Any = msgspec.json.decode(document)
    if not isinstance(content, dict) or not isinstance(content.get("keys"), list):
        raise ValueError("not a JWKS document")
    for one in content["keys"]:
        if not isinstance(one, dict) or one.get("kty") not in _ASYMMETRIC or one.get("use", "sig") != "sig":
            continue
        kid = one.get("kid")
        if kid is not None and not isinstance(kid, str):
            continue
        try:
            key = jwt.PyJWK(one)
        except (jwt.PyJWTError, ValueError, TypeError, KeyError):
            continue
        if not key.algorithm_name.startswith("HS") and key.algorithm_name != "none":
            found[kid] = key
    return found


def client_context(ca_file: Path | None) -> ssl.SSLContext:
    """Return how servers of authorisation are reached, with additional authorities; raises BadCertificate."""
    try:
        context = ssl.create_default_context()
        if ca_file is not None:
            context.load_verify_locations(ca_file)
    except (ssl.SSLError, OSError) as error:
        raise BadCertificate(f"cannot read the authorities in {ca_file}: {error}") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
