"""Sign messages with our certificate, and expect those of VENs to be signed with theirs, once (B-SEC-008 …, -011)."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from openadr_profiles.v20b.errors import BadSignature
from openadr_profiles.v20b.messages import Message
from openadr_profiles.v20b.signing import SigningKey, sign, verify
from vtn.errors import BadCertificate, Forbidden
from vtn.store.v20b.nonces import NonceStore
from vtn.v20b_settings import V20b


class Signatures:
    """Signs, and checks signatures. The work of each is about a millisecond, in a thread."""

    def __init__(
        self, key: SigningKey, nonces: NonceStore, *, window: timedelta, max_bytes: int, now: Callable[[], datetime]
    ) -> None:
        self._key = key
        self._nonces = nonces
        self._window = window
        self._max_bytes = max_bytes
        self._now = now

    @staticmethod
    def of(settings: V20b, nonces: NonceStore, *, now: Callable[[], datetime]) -> Signatures | None:
        """Return them with the key of the listener, the elliptic one if it has both; None if it has no key.

        Raises BadCertificate for a key that cannot be used, and where signatures are asked for without one.
        """
        certificate, key = settings.cert or settings.rsa_cert, settings.key or settings.rsa_key
        if certificate is None or key is None:
            if settings.signatures:
                raise BadCertificate("v20b.signatures: expected cert and key, or rsa_cert and rsa_key, to sign with")
            return None
        return Signatures(
            _loaded(certificate, key),
            nonces,
            window=timedelta(seconds=settings.replay_window_s),
            max_bytes=settings.max_body_bytes,
            now=now,
        )

    async def verified(self, raw: bytes, fingerprint: str) -> Message:
        """Return the message that a signature with this certificate covers (B-SEC-011).

        Raises Forbidden for a signature that is missing, does not hold or came before, besides what reading raises.
        """
        try:
            found = await asyncio.to_thread(
                verify, raw, {fingerprint}, now=self._now(), window=self._window, max_bytes=self._max_bytes
            )
        except BadSignature as error:
            raise Forbidden(f"the signature of the message: {error.reason}") from None
        # The store keeps what is as long for every nonce, and two VENs may use the same one.
        nonce = hashlib.sha256(f"{fingerprint} {found.nonce}".encode()).hexdigest()
        if not await self._nonces.is_new(nonce):
            raise Forbidden("the signature of the message: its nonce was used before")
        return found.received.message

    async def signed(self, body: bytes) -> bytes:
        """Return a body with a signature."""
        return await asyncio.to_thread(sign, body, self._key, now=self._now())


def _loaded(certificate: Path, key: Path) -> SigningKey:
    try:
        return SigningKey(key.read_bytes(), certificate.read_bytes())
    except (OSError, ValueError) as error:
        raise BadCertificate(f"{key} with {certificate} cannot be used to sign: {error}") from None
