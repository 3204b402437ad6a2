"""Signatures of webhooks after Standard Webhooks: a receiver can tell who sent a notification, and when (WEBHOOK-029).

Each client has a secret of its own, made of its id and a key of this server, so that none has to be stored. The library
``standardwebhooks`` signs, too; it brings httpx and four more packages for what is three lines here.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from vtn.errors import SecretsKeyUnusable
from vtn.files import check_private
from vtn.lru import LruCache

_KEY_BYTES: Final = 32
_LARGEST_FILE_BYTES: Final = 64 * 1024
_CLIENTS: Final = 4096
_SETTING: Final = "webhook.signing_key_file"


class WebhookSigner:
    """Signs with every key of a file, the first of which is the current one; raises SecretsKeyUnusable.

    A key is replaced by putting a new one before it; the old one goes when all receivers have their new secrets.
    """

    def __init__(self, file: Path) -> None:
        self._keys = _keys_in(file)
        self._derived: LruCache[str, Sequence[bytes]] = LruCache(_CLIENTS)

    def secret(self, client_id: str) -> str:
        """Return the secret that a client's receivers verify with, ``whsec_…``. It is the client's, as a password."""
        return "whsec_" + base64.b64encode(self._secrets(client_id)[0]).decode()

    def headers(self, client_id: str, *, id_: str, at_s: int, body: bytes) -> dict[str, str]:
        """Return the headers for a body that is sent to a client ``at_s`` seconds after 1970."""
        signed = f"{id_}.{at_s}.".encode() + body
        signatures = [hmac.digest(secret, signed, "sha256") for secret in self._secrets(client_id)]
        return {
            "webhook-id": id_,
            "webhook-timestamp": str(at_s),
            "webhook-signature": " ".join(f"v1,{base64.b64encode(one).decode()}" for one in signatures),
        }

    def _secrets(self, client_id: str) -> Sequence[bytes]:
        found = self._derived.get(client_id)
        if found is None:
            named = f"openadr-fleet webhooks of {client_id}".encode()
            found = tuple(hmac.digest(key, named, "sha256") for key in self._keys)
            self._derived.put(client_id, found)
        return found


def _keys_in(file: Path) -> tuple[bytes, ...]:
    check_private(file, "the key of webhooks' signatures")
    try:
        with file.open("rb") as opened:
            content = opened.read(_LARGEST_FILE_BYTES)
    except OSError as error:
        raise SecretsKeyUnusable(f"{_SETTING}: {file} cannot be read: {error.strerror}") from error
    try:
        lines = [line.strip() for line in content.decode().splitlines() if line.strip() and not line.startswith("#")]
        keys = tuple(base64.b64decode(line, validate=True) for line in lines)
    except ValueError:  # of either, or of text that is not ASCII
        keys = ()
    if not keys or any(len(key) != _KEY_BYTES for key in keys):
        raise SecretsKeyUnusable(
            f"{_SETTING}: {file} is not a key file; expected {_KEY_BYTES} bytes in base64 for each key, in a line of "
            "its own, as `openssl rand -base64 32` makes them"
        )
    return keys
