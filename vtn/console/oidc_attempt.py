"""An attempt to sign in by an OpenID Connect provider, which the browser keeps until it comes back."""

from __future__ import annotations

import base64
import secrets
from dataclasses import dataclass, field
from typing import Final

import msgspec

_LONGEST: Final = 4096


@dataclass(frozen=True, slots=True)
class OidcAttempt:
    """An attempt to sign in, which the browser keeps until it comes back. ``to`` is where its visitor wanted to go."""

    state: str
    nonce: str
    verifier: str = field(repr=False)
    to: str = ""

    @classmethod
    def new(cls, to: str) -> OidcAttempt:
        """Make an attempt of random parts."""
        return cls(secrets.token_urlsafe(24), secrets.token_urlsafe(24), secrets.token_urlsafe(48), to[:1000])

    def packed(self) -> str:
        """Return it as a text for a cookie."""
        return base64.urlsafe_b64encode(msgspec.json.encode(self)).decode()

    @classmethod
    def unpacked(cls, text: str) -> OidcAttempt | None:
        """Return an attempt from its text; None if it is none."""
        try:
            return msgspec.json.decode(base64.urlsafe_b64decode(text[:_LONGEST].encode()), type=cls)
        except (ValueError, msgspec.DecodeError):
            return None
