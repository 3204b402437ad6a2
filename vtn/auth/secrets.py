"""Secrets of clients: made, hashed with argon2id and checked beside the event loop, a bounded number at a time."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from argon2 import PasswordHasher, Type
from argon2.exceptions import VerificationError

from vtn.errors import TooManyRequests
from vtn.settings import Auth

T = TypeVar("T")


class Secrets:
    """Hashes are argon2id (AUTH-033). Checking an unknown client costs what checking a known one does (AUTH-026)."""

    def __init__(self, settings: Auth) -> None:
        cost = settings.argon2
        self._hasher = PasswordHasher(
            time_cost=cost.time_cost, memory_cost=cost.memory_kib, parallelism=cost.parallelism, type=Type.ID
        )
        self._threads = ThreadPoolExecutor(settings.hash_workers, thread_name_prefix="secrets")
        self._room = settings.hash_workers + settings.hash_queue
        self._decoy: str | None = None

    def close(self) -> None:
        """End the threads."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    @staticmethod
    def make() -> str:
        """A new secret of 256 random bits, in letters that need no escaping anywhere."""
        return secrets.token_urlsafe(32)

    async def hash(self, secret: str) -> str:
        """What is stored instead of the secret."""
        return await self._beside(lambda: self._hasher.hash(secret))

    async def matches(self, secret: str, hashed: str | None) -> bool:
        """Whether a secret belongs to the hash; takes as long for no hash at all."""
        return await self._beside(lambda: self._compare(secret, hashed))

    def _compare(self, secret: str, hashed: str | None) -> bool:
        if self._decoy is None:
            self._decoy = self._hasher.hash(self.make())
        try:
            return self._hasher.verify(hashed or self._decoy, secret) and hashed is not None
        except VerificationError:
            return False

    async def _beside(self, work: Callable[[], T]) -> T:
        if self._room == 0:
            raise TooManyRequests("too many secrets are being checked; try again later", retry_after_s=1)
        self._room -= 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._room += 1
