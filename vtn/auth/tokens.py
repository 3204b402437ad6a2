"""Our own tokens: signed by us (JWT, HS256).

PyJWT is imported with the first token: it takes a twelfth of a start, 6 MB and 94 modules, most of them algorithms of
cryptography that are not used here.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from vtn.access import Caller, Role, Scope, known_scopes
from vtn.auth.clients import Clients
from vtn.auth.keys import SigningKeys
from vtn.auth.token_cache import TokenCache, Verified
from vtn.errors import Unauthenticated
from vtn.settings import Auth

_ALGORITHM: Final = "HS256"
_EXACTLY: Final = "iat_us"
"""``iat`` in microseconds: a token of the same second as a revocation was issued before or after it (AUTH-034)."""
_SKEW: Final = timedelta(seconds=30)
"""Allowed clock difference between hosts that sign with the same key."""
_REQUIRED: Final = ["exp", "iat", "iss", "aud", "sub", "role", "scope"]


class OwnTokens:
    """Issues and verifies access tokens.

    The algorithm is fixed (AUTH-008). A token names its key, so that a new one does not end what older ones signed.
    """

    def __init__(self, settings: Auth, now: Callable[[], datetime], clients: Clients, keys: SigningKeys) -> None:
        self._settings = settings
        self._now = now
        self._keys = keys
        self.cache = TokenCache(clients, now, most=settings.token_cache)

    async def load_keys(self) -> None:
        """Read the keys, and make one if there is none; processes that start together end up with the same."""
        await self._keys.load()

    async def refresh_keys(self) -> None:
        """Learn what other processes have changed."""
        if await self._keys.refresh():
            self.cache.forget()

    def issue(self, client_id: str, role: Role, scopes: frozenset[Scope], lifetime_s: int) -> str:
        """Make a token for a client; the scopes may be fewer than the client has."""
        issued_at = self._now()
        claims = {
            "iss": self._settings.issuer,
            "aud": self._settings.audience,
            "sub": client_id,
            "client_id": client_id,
            "role": role.value,
            "scope": " ".join(sorted(scopes)),
            "iat": int(issued_at.timestamp()),
            _EXACTLY: round(issued_at.timestamp() * 1e6),
            "exp": int((issued_at + timedelta(seconds=lifetime_s)).timestamp()),
        }
        import jwt  # noqa: PLC0415 (see the head)

        key_id, secret = self._keys.newest
        return jwt.encode(claims, secret, algorithm=_ALGORITHM, headers={"kid": key_id})

    def claims(self, token: str) -> bool:
        """Say whether a token looks like one of ours; nothing is verified."""
        return bool(_header(token).get("alg") == _ALGORITHM)

    async def caller(self, token: str) -> Caller:
        """Give who a token was issued to; raises Unauthenticated if it does not hold, is over or was taken back."""
        caller = self.cache.caller(token)
        return caller if caller is not None else (await self.verified(token)).caller

    async def verified(self, token: str) -> Verified:
        """Return what a token says, with the times of its life; raises Unauthenticated as ``caller`` does."""
        verified = self.cache.verified(token)
        if verified is not None:
            return verified
        await self._keys.refresh_for(_header(token).get("kid"))
        return self.cache.remember(token, self._verified(token))

    def _verified(self, token: str) -> Verified:
        for secret in self._keys.named(_header(token).get("kid")):
            verified = self._signed_with(secret, token)
            if verified is not None:
                return verified
        raise Unauthenticated("the token is not valid", reason="invalid_token", unverifiable=True)

    def _signed_with(self, secret: str, token: str) -> Verified | None:
        import jwt  # noqa: PLC0415 (see the head)

        # The moments are ours to compare: they come from the server's clock, which need not be the machine's.
        options: Any = {"require": _REQUIRED, "verify_exp": False, "verify_iat": False, "verify_nbf": False}
        try:
            claims = jwt.decode(
                token,
                secret,
                algorithms=[_ALGORITHM],
                audience=self._settings.audience,
                issuer=self._settings.issuer,
                options=options,
            )
            role = Role(claims["role"])
            scopes = known_scopes(frozenset(claims["scope"].split()), role)
            issued_at = _moment(claims[_EXACTLY] / 1e6) if _EXACTLY in claims else _moment(claims["iat"])
            begins = max(issued_at, _moment(claims["iat"]), _moment(claims.get("nbf") or 0))
            verified = Verified(Caller(claims["sub"], role, scopes), issued_at, _moment(claims["exp"]))
        except (jwt.InvalidTokenError, KeyError, TypeError, ValueError, AttributeError, OverflowError):
            return None
        if begins > self._now() + _SKEW:
            raise Unauthenticated("the token is not valid yet", reason="invalid_token")
        return verified


def _header(token: str) -> dict[str, Any]:
    import jwt  # noqa: PLC0415 (see the head)

    try:
        return dict(jwt.get_unverified_header(token))
    except (jwt.InvalidTokenError, ValueError):
        return {}


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
