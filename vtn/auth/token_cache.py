"""Tokens that were verified once and are remembered until they expire."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from vtn.access import Caller
from vtn.auth.clients import Clients
from vtn.errors import Revoked, Unauthenticated
from vtn.lru import LruCache


@dataclass(frozen=True, slots=True)
class Verified:
    """A token that held when it was looked at; ``expires_at`` includes what clocks may differ."""

    caller: Caller
    issued_at: datetime
    expires_at: datetime


class TokenCache:
    """Remember at most so many tokens; forgetting one costs only the signature again."""

    def __init__(self, clients: Clients, now: Callable[[], datetime], *, most: int) -> None:
        self._clients = clients
        self._now = now
        self._verified: LruCache[str, Verified] = LruCache(most)
        self._forgotten = 0

    def __len__(self) -> int:
        return len(self._verified)

    def caller(self, token: str) -> Caller | None:
        """Return who a remembered token was issued to; raises Unauthenticated if it is over or was taken back."""
        verified = self.verified(token)
        return None if verified is None else verified.caller

    def verified(self, token: str) -> Verified | None:
        """Return what is remembered of a token; raises Unauthenticated if it is over or was taken back."""
        verified = self._verified.peek(token)
        return None if verified is None else self._holding(token, verified)

    def remember(self, token: str, verified: Verified) -> Verified:
        """Keep a token that was just verified and return it; raises Unauthenticated as ``caller`` does."""
        self._verified.put(token, self._holding(token, verified))
        return verified

    def forget(self) -> None:
        """Look at every token again, because a key is gone."""
        self._verified.clear()
        self._forgotten += 1

    def holding(self, verified: Verified) -> Callable[[], bool]:
        """Return what tells at any time, without I/O, whether a token that was just verified still holds.

        It does not hold any more when a key is gone: then it has to be shown again.
        """
        forgotten, client_id, issued_at = self._forgotten, verified.caller.client_id, verified.issued_at

        def holds() -> bool:
            return (
                self._now() < verified.expires_at
                and self._forgotten == forgotten
                and self._clients.still_holds(client_id, issued_at)
            )

        return holds

    def _holding(self, token: str, verified: Verified) -> Verified:
        if self._now() >= verified.expires_at:
            self._verified.drop(token)
            raise Unauthenticated("the token has expired", reason="invalid_token")
        if not self._clients.still_holds(verified.caller.client_id, verified.issued_at):
            raise Revoked(verified.caller.client_id)
        return verified
