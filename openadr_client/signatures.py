"""Signatures of webhooks as Standard Webhooks has them: an id, a time and a body, under a secret of both sides.

Our own, since it is fifteen lines: the library `standardwebhooks` brings httpx and four more packages to a device.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256
from typing import Final

_TOLERANCE_S: Final = 300.0
_PREFIX: Final = "whsec_"


def signing_key(secret: str) -> bytes:
    """Return the key in a secret: the bytes after ``whsec_`` in base64, or the text itself without that prefix.

    Raises:
        ValueError: it begins with ``whsec_``, and what follows is not base64; or there is no key in it.
    """
    if not secret.removeprefix(_PREFIX):
        raise ValueError("expected a secret that is not empty")
    if not secret.startswith(_PREFIX):
        return secret.encode()
    try:
        return base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except binascii.Error as error:
        raise ValueError("expected base64 after whsec_") from error


def is_signed(headers: Mapping[str, str], body: bytes, *, key: bytes, now: datetime) -> bool:
    """Return True if a body was signed with this key within five minutes of now.

    ``headers`` are read without regard to capitals by what holds them. One of several signatures is enough: whoever
    changes a secret signs with both.
    """
    id_, timestamp, signatures = (headers.get(f"webhook-{name}", "") for name in ("id", "timestamp", "signature"))
    if not id_ or not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 12):
        return False
    if abs(now.timestamp() - int(timestamp)) > _TOLERANCE_S:
        return False
    expected = base64.b64encode(hmac.digest(key, f"{id_}.{timestamp}.".encode() + body, sha256))
    given = [each.removeprefix("v1,").encode() for each in signatures.split() if each.startswith("v1,")]
    return any([hmac.compare_digest(each, expected) for each in given])  # noqa: C419 # each, so that time tells nothing
