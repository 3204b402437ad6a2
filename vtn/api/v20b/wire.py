"""Messages as they go over the wire: read within limits, written, checked and signed; large ones in a thread."""

from __future__ import annotations

import asyncio
from hashlib import blake2b
from typing import Final

import structlog

from openadr_profiles.v20b import reading, writing
from openadr_profiles.v20b.messages import Message, Poll
from vtn.api.v20b.counts import Counts20b
from vtn.api.v20b.signatures import Signatures
from vtn.errors import Forbidden
from vtn.lru import LruCache
from vtn.store.v20b.vens import Ven20b
from vtn.v20b_settings import V20b

_log = structlog.get_logger(__name__)

_LARGE: Final = 32 * 1024
_THREADS: Final = 2
_REMEMBERED: Final = 50_000


class MessageWire:
    """Reads and writes messages. ``signatures`` is None where there is no key to sign with."""

    def __init__(self, settings: V20b, signatures: Signatures | None, counts: Counts20b) -> None:
        self._settings = settings
        self._signatures = signatures
        self._threads = asyncio.Semaphore(_THREADS)
        self._counts = counts
        self._polls: LruCache[bytes, Poll] = LruCache(_REMEMBERED)

    def signs_for(self, ven: Ven20b) -> bool:
        """Return True if messages from and to a VEN are signed."""
        return self._settings.signatures or ven.signs

    async def read(self, raw: bytes, fingerprint: str, ven: Ven20b | None) -> Message:
        """Return the message in a body.

        Raises NotAMessage (nothing that could be read), Refused (a message, and wrong), or Forbidden (its signature is
        missing or does not hold).
        """
        if self._settings.signatures or (ven is not None and ven.signs):
            if self._signatures is None:  # B-SEC-009: what is to be signed is not taken without looking at it
                raise Forbidden("signed messages are expected, and this VTN has no v20b.cert and key to sign with")
            async with self._threads:  # or a few VENs would take the threads that all of the server shares
                return await self._signatures.verified(raw, fingerprint)
        most = self._settings.max_body_bytes
        if len(raw) < _LARGE:
            return self._read_small(raw, most)
        async with self._threads:
            return (await asyncio.to_thread(reading.read, raw, max_bytes=most)).message

    def _read_small(self, raw: bytes, most: int) -> Message:
        """Read a message; a poll that came before, byte for byte, says what it said then."""
        digest = blake2b(raw, digest_size=32).digest()
        known = self._polls.get(digest)
        if known is not None:
            return known
        message = reading.read(raw, max_bytes=most).message
        if isinstance(message, Poll):
            self._polls.put(digest, message)
        return message

    async def written(self, message: Message | bytes, *, signed: bool) -> bytes:
        """Return the whole body of a message, signed if it is to be."""
        body = message if isinstance(message, bytes) else writing.write(message)
        if self._settings.check_sent:
            self._check(body)
        if signed and self._signatures is not None:
            async with self._threads:
                return await self._signatures.signed(body)
        return body

    def _check(self, body: bytes) -> None:
        """Say in the log if a message of ours is not valid (B-GEN-013); it goes out all the same."""
        try:
            reading.read(body, max_bytes=2**31)
        except ValueError as error:
            self._counts.invalid_message()
            _log.error("a message to a VEN is not valid", why=str(error)[:500])
