"""Sign messages with our certificate, and expect those of VENs to be signed with theirs, once (B-SEC-008 …)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from vtn.store.v20b.nonces import NonceStore


class Signatures:
    """Placeholder until signing is there."""

    def __init__(self, key: Any, nonces: NonceStore, *, window: timedelta, now: Callable[[], datetime]) -> None:
        self._key = key
        self._nonces = nonces
        self._window = window
        self._now = now

    async def verified(self, raw: bytes, fingerprint: str) -> bytes:
        """Return what the signature covers."""
        raise NotImplementedError

    async def signed(self, body: bytes) -> bytes:
        """Return a body with a signature."""
        return await asyncio.to_thread(lambda: body)
