"""Tokens: signed by us (JWT, HS256), verified once and then remembered until they expire."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import jwt
from sqlalchemy import insert, select

from vtn.access import Reader, Role, Scope, scope_named
from vtn.auth.clients import Clients
from vtn.errors import Unauthenticated
from vtn.settings import Auth
from vtn.store.database import Database
from vtn.store.stamps import Stamps
from vtn.store.tables import signing_keys

_ALGORITHM: Final = "HS256"
_FROM_SETTINGS: Final = "settings"
_REQUIRED: Final = ["exp", "iat", "iss", "aud", "sub", "role", "scope"]


@dataclass(frozen=True, slots=True)
class Verified:
    """A token that held when it was looked at."""

    reader: Reader
    issued_at: datetime
    expires_at: datetime


class Tokens:
    """Issues and verifies access tokens.

    The algorithm is fixed (AUTH-008). A token names its key, so that adding one does not end what older ones signed.
    """

    def __init__(self, settings: Auth, now: Callable[[], datetime], clients: Clients) -> None:
        self._settings = settings
        self._now = now
        self._clients = clients
        self._keys: dict[str, str] = {}
        self._signing_key_id = ""
        self._seen: OrderedDict[str, Verified] = OrderedDict()

    async def load_keys(self, database: Database, stamps: Stamps) -> None:
        """Read the keys, and make one if there is none; processes that start together end up with the same."""
        given = self._settings.signing_key
        if given is not None:
            self._keys, self._signing_key_id = {_FROM_SETTINGS: given.get_secret_value()}, _FROM_SETTINGS
            return
        async with database.write() as connection:
            found = (await connection.execute(select(signing_keys).order_by(signing_keys.c.created_at))).all()
            if not found:
                row = {"kid": secrets.token_hex(8), "secret": secrets.token_hex(32), "created_at": stamps.next()}
                await connection.execute(insert(signing_keys).values(row))
                found = (await connection.execute(select(signing_keys))).all()
        self._keys = {row.kid: row.secret for row in found}
        self._signing_key_id = found[-1].kid

    def issue(self, client_id: str, role: Role, scopes: frozenset[Scope], lifetime_s: int) -> str:
        """A token for a client; the scopes may be fewer than the client has."""
        issued_at = self._now()
        claims = {
            "iss": self._settings.issuer,
            "aud": self._settings.audience,
            "sub": client_id,
            "client_id": client_id,
            "role": role.value,
            "scope": " ".join(sorted(scopes)),
            "iat": issued_at.timestamp(),
            "exp": int((issued_at + timedelta(seconds=lifetime_s)).timestamp()),
        }
        key_id = self._signing_key_id
        return jwt.encode(claims, self._keys[key_id], algorithm=_ALGORITHM, headers={"kid": key_id})

    def reader(self, token: str) -> Reader:
        """Who a token was issued to; raises Unauthenticated if it does not hold, is over or was taken back."""
        verified = self._seen.get(token)
        if verified is None:
            verified = self._verified(token)
            if self._now() < verified.expires_at:
                self._remember(token, verified)
        if self._now() >= verified.expires_at:
            self._seen.pop(token, None)
            raise Unauthenticated("the token has expired", reason="invalid_token")
        if not self._clients.still_holds(verified.reader.client_id, verified.issued_at):
            raise Unauthenticated("the token was revoked", reason="invalid_token")
        return verified.reader

    def _verified(self, token: str) -> Verified:
        try:
            key = self._keys[jwt.get_unverified_header(token)["kid"]]
            # The moments are ours to compare: they come from the server's clock, which need not be the machine's.
            options: Any = {"require": _REQUIRED, "verify_exp": False, "verify_iat": False, "verify_nbf": False}
            claims = jwt.decode(
                token,
                key,
                algorithms=[_ALGORITHM],
                audience=self._settings.audience,
                issuer=self._settings.issuer,
                options=options,
            )
            role = Role(claims["role"])
            scopes = frozenset(scope for word in claims["scope"].split() if (scope := scope_named(word, role)))
            reader = Reader(claims["sub"], role, scopes)
            return Verified(reader, _moment(claims["iat"]), _moment(claims["exp"]))
        except (jwt.InvalidTokenError, KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise Unauthenticated("the token is not valid", reason="invalid_token", unverifiable=True) from error

    def _remember(self, token: str, verified: Verified) -> None:
        self._seen[token] = verified
        while len(self._seen) > self._settings.token_cache:
            self._seen.popitem(last=False)


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
