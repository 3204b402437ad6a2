"""Clients that may get tokens, with their roles, scopes and secrets."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import structlog

from openadr_profiles.v31 import Invalid
from openadr_profiles.v301 import UNASSIGNED
from vtn.access import DEFAULT_SCOPES, ONLY_BL, Role, Scope, scope_named
from vtn.auth.secrets import Secrets
from vtn.store.client import ClientRow, ClientStore
from vtn.store.stamps import Stamps, stamp

_log = structlog.get_logger(__name__)

_LONGEST_ID: Final = 128
_SHORTEST_SECRET: Final = 12
_LONGEST_SECRET: Final = 4096
_LONGEST_LIFETIME: Final = timedelta(days=365)
_LOOK_EVERY_S: Final = 1.0
_LOOKED_AT_MOST: Final = 10_000
_NEVER: Final = datetime.max.replace(tzinfo=UTC)  # tokens of a suspended client, whoever issues them


@dataclass(frozen=True, slots=True)
class Client:
    """A client as it is shown: never with its secret."""

    client_id: str
    role: Role
    scopes: frozenset[Scope]
    token_lifetime_s: int | None
    created_at: datetime
    suspended: bool
    tokens_valid_from: datetime | None
    unknown_scopes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Credentials:
    """A client id and its secret, which nobody can see again."""

    client_id: str
    secret: str = field(repr=False)


class Clients:
    """Adds, lists, suspends and checks clients; remembers whose tokens were taken back."""

    def __init__(self, store: ClientStore, stamps: Stamps, secrets: Secrets) -> None:
        self._store = store
        self._stamps = stamps
        self._secrets = secrets
        self._valid_from: dict[str, datetime] = {}
        self._looked_at: dict[str, float] = {}

    async def add(
        self,
        client_id: str,
        role: Role,
        *,
        scopes: Iterable[Scope] | None = None,
        unknown_scopes: Iterable[str] = (),
        secret: str | None = None,
        weak_secret: bool = False,
        token_lifetime_s: int | None = None,
    ) -> Credentials:
        """Register a client; without ``secret`` one is made. The secret is in the answer and nowhere else.

        ``unknown_scopes`` are words this server has no meaning for: they are kept and grant nothing (COMPAT-015).
        ``weak_secret`` lets a secret be shorter than 12 characters, for labs. Raises Conflict if the client exists,
        Invalid for an id, secret, scope or lifetime that cannot be.
        """
        row, credentials = await self.prepared(
            client_id,
            role,
            scopes=scopes,
            unknown_scopes=unknown_scopes,
            secret=secret,
            weak_secret=weak_secret,
            token_lifetime_s=token_lifetime_s,
        )
        await self._store.add(row)
        return credentials

    async def prepared(
        self,
        client_id: str,
        role: Role,
        *,
        scopes: Iterable[Scope] | None = None,
        unknown_scopes: Iterable[str] = (),
        secret: str | None = None,
        weak_secret: bool = False,
        token_lifetime_s: int | None = None,
    ) -> tuple[ClientRow, Credentials]:
        """Return a new client as ``add`` would store it, for who stores more with it; raises Invalid."""
        chosen = DEFAULT_SCOPES[role] if scopes is None else frozenset(scopes)
        secret = self._secrets.make() if secret is None else _usable(secret, weak=weak_secret)
        _check(client_id, role, chosen, token_lifetime_s)
        row = ClientRow(
            client_id=client_id,
            role=role.value,
            scopes=" ".join((*sorted(chosen), *sorted(unknown_scopes))),
            secret_hash=await self._secrets.hash(secret),
            token_lifetime_s=token_lifetime_s,
            created_at=self._stamps.next(),
        )
        return row, Credentials(client_id, secret)

    async def get(self, client_id: str) -> Client | None:
        """Return a client; None if there is none of this id."""
        row = await self._store.get(client_id)
        return None if row is None else _client(row)

    async def list(self) -> Sequence[Client]:
        """Return all clients by id."""
        return [_client(row) for row in await self._store.all()]

    async def suspend(self, client_id: str) -> None:
        """Refuse new tokens and take back those that are out (AUTH-034); raises NotFound."""
        await self._change(client_id, suspended=True, tokens_valid_from=self._stamps.next())

    async def resume(self, client_id: str) -> None:
        """Give tokens again; those from before stay taken back. Raises NotFound."""
        await self._change(client_id, suspended=False)

    async def rotate(self, client_id: str, *, secret: str | None = None, weak_secret: bool = False) -> Credentials:
        """Put a new secret in the place of the old one and take all tokens back; raises NotFound, Invalid."""
        secret = self._secrets.make() if secret is None else _usable(secret, weak=weak_secret)
        hashed = await self._secrets.hash(secret)
        await self._change(client_id, secret_hash=hashed, tokens_valid_from=self._stamps.next())
        return Credentials(client_id, secret)

    async def remove(self, client_id: str) -> None:
        """Forget a client and take back its tokens; its objects stay. Raises NotFound."""
        at = self._stamps.next()
        removed_at = datetime.fromisoformat(at)
        # Remembered, so that every process refuses what it was given; the longest token holds for a year.
        await self._store.remove(client_id, at=at, forget_before=stamp(removed_at - _LONGEST_LIFETIME))
        self._valid_from[client_id] = removed_at
        _log.info("client removed", client_id=client_id)

    async def authenticated(
        self, client_id: str, secret: str, *, turn: str = "", guessing: bool = False
    ) -> Client | None:
        """Return the client, if that is its secret; it takes as long for a client that does not exist.

        ``turn`` and ``guessing`` say how a secret that was not checked before waits, see ``Secrets.matches``.
        """
        row = await self._store.get(client_id)
        hashed = None if row is None else row.secret_hash
        matches = self._secrets.recalled(client_id, secret, hashed)
        if matches is None:
            matches = await self._secrets.matches(client_id, secret, hashed, turn=turn, guessing=guessing)
        if row is None or not matches:
            return None
        client = _client(row)
        self._note(client)
        return client

    async def resumed(self, client_id: str) -> bool:
        """Look whether a client that this process knows as suspended gets tokens again; at most once a second."""
        if self._valid_from.get(client_id) != _NEVER:
            return False
        at_s = asyncio.get_running_loop().time()
        if at_s < self._looked_at.get(client_id, -math.inf) + _LOOK_EVERY_S:
            return False
        if len(self._looked_at) >= _LOOKED_AT_MOST:
            self._looked_at.clear()
        self._looked_at[client_id] = at_s
        row = await self._store.get(client_id)
        if row is not None:
            self._note(_client(row))
        return self._valid_from.get(client_id) != _NEVER

    def _note(self, client: Client) -> None:
        """Take over that a client is not suspended any more, before the next round of ``read_revocations``."""
        if not client.suspended and client.tokens_valid_from and self._valid_from.get(client.client_id) == _NEVER:
            self._valid_from[client.client_id] = client.tokens_valid_from

    def still_holds(self, client_id: str, issued_at: datetime) -> bool:
        """Return True if a token issued at that time has not been revoked, as far as this process knows."""
        valid_from = self._valid_from.get(client_id)
        return valid_from is None or issued_at >= valid_from

    async def read_revocations(self) -> None:
        """Learn what other processes have taken back."""
        valid_from: dict[str, datetime] = {}
        for revocation in await self._store.revocations():
            client_id = revocation.client_id
            since = _NEVER if revocation.suspended else datetime.fromisoformat(revocation.valid_from)
            valid_from[client_id] = max(since, valid_from.get(client_id, since))
        self._valid_from = valid_from

    async def _change(self, client_id: str, **columns: Any) -> None:
        await self._store.change(client_id, **columns)
        await self.read_revocations()
        if "tokens_valid_from" in columns:
            _log.info("tokens taken back", client_id=client_id)


def _usable(secret: str, *, weak: bool) -> str:
    if not secret.isprintable() or not 1 <= len(secret) <= _LONGEST_SECRET:
        raise Invalid("secret", f"expected 1 to {_LONGEST_SECRET} printable characters")
    if len(secret) < _SHORTEST_SECRET and not weak:
        raise Invalid("secret", f"expected at least {_SHORTEST_SECRET} characters")
    return secret


def _check(client_id: str, role: Role, scopes: frozenset[Scope], lifetime_s: int | None) -> None:
    if not 1 <= len(client_id) <= _LONGEST_ID or not client_id.isprintable():
        raise Invalid("client_id", f"expected 1 to {_LONGEST_ID} printable characters")
    if client_id.startswith(UNASSIGNED):
        raise Invalid("client_id", f"{UNASSIGNED}… stands for no client, so none can be called so")
    if role is Role.VEN and (too_much := scopes & ONLY_BL):
        raise Invalid("scopes", f"a VEN cannot have {', '.join(sorted(too_much))}")
    if lifetime_s is not None and not 120 <= lifetime_s <= _LONGEST_LIFETIME.total_seconds():
        raise Invalid("token_lifetime_s", f"expected 120 to {_LONGEST_LIFETIME.total_seconds():.0f}")


def _client(row: ClientRow) -> Client:
    valid_from, role, words = row.tokens_valid_from, Role(row.role), row.scopes.split()
    return Client(
        client_id=row.client_id,
        role=role,
        scopes=frozenset(scope for word in words if (scope := scope_named(word, role)) is not None),
        token_lifetime_s=row.token_lifetime_s,
        created_at=datetime.fromisoformat(row.created_at),
        suspended=row.suspended,
        tokens_valid_from=None if valid_from is None else datetime.fromisoformat(valid_from),
        unknown_scopes=tuple(word for word in words if scope_named(word, role) is None),
    )
