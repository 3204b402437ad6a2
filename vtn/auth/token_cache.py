"""Tokens that were verified once and are remembered until they expire."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from vtn.access import Caller
from vtn.auth.clients import Clients
from vtn.errors import Revoked, Unauthenticated


@dataclass(frozen=True, slots=True)
class Verified:
    """A token that held when it was looked at; ``expires_at`` includes what clocks may differ."""

    reader: Caller
    issued_at: datetime
    expires_at: datetime


class KnownTokens:
    """Remembers at most so many tokens; forgetting one costs only the signature again."""

    def __init__(self, clients: Clients, now: Callable[[], datetime], *, most: int) -> None:
        self._clients = clients
        self._now = now
        self._most = most
        self._seen: OrderedDict[str, Verified] = OrderedDict()

    def __len__(self) -> int:
        return len(self._seen)

    def reader(self, token: str) -> Caller | None:
        """Give who a remembered token was issued to; raises Unauthenticated if it is over or was taken back."""
        verified = self._seen.get(token)
        return None if verified is None else self._holding(token, verified)

    def remember(self, token: str, verified: Verified) -> Caller:
        """Keep a token that was just verified; gives its reader, raises Unauthenticated as ``reader`` does."""
        reader = self._holding(token, verified)
        self._seen[token] = verified
        while len(self._seen) > self._most:
            self._seen.popitem(last=False)
        return reader

    def forget(self) -> None:
        """Look at every token again, because a key is gone."""
        self._seen.clear()

    def _holding(self, token: str, verified: Verified) -> Caller:
        if self._now() >= verified.expires_at:
            self._seen.pop(token, None)
            raise Unauthenticated("the token has expired", reason="invalid_token")
        if not self._clients.still_holds(verified.reader.client_id, verified.issued_at):
            raise Revoked(verified.reader.client_id)
        return verified.reader
