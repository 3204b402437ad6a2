"""Prove that a form came from a page of ours, and not from another site in the same browser."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from typing import Final
from urllib.parse import urlsplit

from aiohttp import web

FIELD: Final = "csrf"
HEADER: Final = "X-CSRF-Token"
_BYTES: Final = 32
_LETTERS: Final = 86
"""Of base64 for twice 32 bytes."""


def token_for(session_token: str) -> str:
    """Return a token for the forms of a session; another text each time, so that packed pages do not give it away."""
    mask = secrets.token_bytes(_BYTES)
    return base64.urlsafe_b64encode(mask + _mixed(mask, _digest(session_token))).decode().rstrip("=")


def is_valid(token: str, session_token: str) -> bool:
    """Return True if a token was made for this session."""
    if len(token) != _LETTERS:
        return False
    try:
        raw = base64.urlsafe_b64decode(token + "==")
    except (binascii.Error, ValueError):
        return False
    return hmac.compare_digest(_mixed(raw[:_BYTES], raw[_BYTES:]), _digest(session_token))


def is_from_here(request: web.Request, origin: str) -> bool:
    """Return True unless the browser says that another site sends the request.

    ``origin`` is the address of this server as browsers see it. Programs that are no browsers say nothing.
    """
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site in {"same-origin", "none"}
    sent = request.headers.get("Origin")
    if sent is None:
        return True
    return urlsplit(sent).netloc in {urlsplit(origin).netloc, request.host}


def _digest(session_token: str) -> bytes:
    return hmac.digest(session_token.encode("utf-8", "surrogatepass"), b"forms of the console", hashlib.sha256)


def _mixed(mask: bytes, value: bytes) -> bytes:
    return bytes(one ^ other for one, other in zip(mask, value, strict=True))
