"""Secrets of clients: made, hashed with argon2id and checked beside the event loop, a bounded number at a time."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from hashlib import blake2b
from typing import Final, TypeVar

from argon2 import PasswordHasher, Type
from argon2.exceptions import VerificationError

from vtn.auth.fair_queue import FairQueue
from vtn.lru import LruCache
from vtn.settings import Auth

T = TypeVar("T")

_REMEMBERED: Final = 20_000
_REST: Final = 3.0
"""Pause after each check for a client that guesses, as a multiple of the time the check took."""


class Secrets:
    """Hashes are argon2id (AUTH-033). Checking an unknown client costs what checking a known one does (AUTH-026).

    What was checked once is remembered by a keyed digest, under a key of this process only: a client that renews its
    token is recognised at once, whatever else is being checked, and a wrong secret that is sent again costs nothing.
    """

    def __init__(self, settings: Auth) -> None:
        cost = settings.argon2
        self._hasher = PasswordHasher(
            time_cost=cost.time_cost, memory_cost=cost.memory_kib, parallelism=cost.parallelism, type=Type.ID
        )
        # One thread more than there are turns at once: for those who guess.
        self._threads = ThreadPoolExecutor(settings.hash_workers + 1, thread_name_prefix="secrets")
        self._turns = FairQueue(at_once=settings.hash_workers, most=settings.hash_queue)
        self._guesses = FairQueue(at_once=1, most=settings.hash_queue)
        self._decoy: str | None = None
        self._key = secrets.token_bytes(32)
        self._right = LruCache[bytes, bool](_REMEMBERED)
        self._wrong = LruCache[bytes, bool](_REMEMBERED)

    def close(self) -> None:
        """End the threads."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    @staticmethod
    def make() -> str:
        """Make a new secret of 256 random bits, in letters that need no escaping anywhere."""
        return secrets.token_urlsafe(32)

    async def hash(self, secret: str) -> str:
        """Return what is stored instead of the secret."""
        return await self._in_turn(self._turns, "", lambda: self._hasher.hash(secret))

    def recalled(self, client_id: str, secret: str, hashed: str | None) -> bool | None:
        """Return what an earlier check of the same secret against the same hash found; None if there was none."""
        digest = self._digest(client_id, secret, hashed)
        if self._right.get(digest):
            return True
        return False if self._wrong.get(digest) else None

    async def matches(
        self, client_id: str, secret: str, hashed: str | None, *, turn: str = "", guessing: bool = False
    ) -> bool:
        """Check a secret against the client's hash; it takes as long for no hash at all.

        Those who wait take turns by ``turn``. Checks of somebody who is ``guessing`` are done one at a time, beside the
        others and with rests, so that they take a quarter of one processor at most. Raises TooManyRequests when more
        wait than may.
        """
        found = await self._in_turn(
            self._guesses if guessing else self._turns,
            turn,
            lambda: self._compare(secret, hashed),
            lambda: self.recalled(client_id, secret, hashed),
        )
        (self._right if found else self._wrong).put(self._digest(client_id, secret, hashed), True)
        return found

    def _digest(self, client_id: str, secret: str, hashed: str | None) -> bytes:
        # Texts of any kind, each with its length: no two triples give the same bytes.
        texts = [text.encode("utf-8", "surrogatepass") for text in (client_id, secret, hashed or "")]
        return blake2b(b"".join(len(text).to_bytes(4) + text for text in texts), digest_size=16, key=self._key).digest()

    def _compare(self, secret: str, hashed: str | None) -> bool:
        if self._decoy is None:
            self._decoy = self._hasher.hash(self.make())
        try:
            return self._hasher.verify(hashed or self._decoy, secret) and hashed is not None
        except VerificationError:
            return False

    async def _in_turn(
        self, turns: FairQueue, key: str, work: Callable[[], T], known: Callable[[], T | None] = lambda: None
    ) -> T:
        """Do the work in a thread, when it is its turn; ``known`` may have become true while it waited."""
        await turns.take(key)
        found = known()
        if found is not None:
            turns.release()
            return found
        loop = asyncio.get_running_loop()
        started = time.perf_counter()
        try:
            working = loop.run_in_executor(self._threads, work)
        except BaseException:
            turns.release()
            raise

        def done(_: asyncio.Future[T]) -> None:
            if turns is self._guesses:
                loop.call_later(_REST * (time.perf_counter() - started), turns.release)
            else:
                turns.release()

        working.add_done_callback(done)  # also when nobody waits for it any more
        return await working
