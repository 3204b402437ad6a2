"""Tokens of an external authorisation server: verified by its published keys, read into a role and scopes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import jwt

from vtn.access import Caller, Role, known_scopes
from vtn.auth.clients import Clients
from vtn.auth.jwks import Jwks
from vtn.auth.token_cache import TokenCache, Verified
from vtn.errors import Unauthenticated
from vtn.settings import ExternalAuth

_BL_ONLY: Final = frozenset({"read_bl", "write_programs", "write_events"})
_VEN_ONLY: Final = frozenset({"read_targets", "read_ven_objects", "write_reports"})
_SUFFIXED: Final = ("write_vens", "write_subscriptions")
_BEGINNING: Final = datetime.min.replace(tzinfo=UTC)
_LONGEST_ID: Final = 128


class ExternalTokens:
    """Verifies tokens: issuer, audience, times, and a signature whose algorithm the key decides (AUTH-008)."""

    def __init__(
        self, settings: ExternalAuth, now: Callable[[], datetime], clients: Clients, *, token_cache: int
    ) -> None:
        self._settings = settings
        self._now = now
        self._jwks = Jwks(settings, now)
        self._skew = timedelta(seconds=settings.clock_skew_s)
        self.cache = TokenCache(clients, now, most=token_cache)

    async def caller(self, token: str) -> Caller:
        """Return the client a token was issued to; raises Unauthenticated, or Unavailable while there are no keys."""
        return self.cache.caller(token) or (await self.verified(token)).caller

    async def verified(self, token: str) -> Verified:
        """Return what a token says, with the times of its life; raises as ``caller`` does."""
        return self.cache.verified(token) or self.cache.remember(token, await self._verified(token))

    async def refresh_keys(self) -> None:
        """Learn of keys that are gone; tokens that are remembered are not asked about otherwise."""
        if await self._jwks.refresh():
            self.cache.forget()

    async def _verified(self, token: str) -> Verified:
        try:
            kid = jwt.get_unverified_header(token).get("kid")
        except (jwt.InvalidTokenError, ValueError) as error:
            raise _not_valid() from error
        key = await self._jwks.key(kid)
        if key is None:
            raise _not_valid()
        try:
            claims = jwt.decode(
                token,
                key,
                algorithms=[key.algorithm_name],
                audience=self._settings.audience,
                issuer=self._settings.issuer,
                # The moments are ours to compare: they come from the server's clock.
                options={
                    "require": ["exp", "iss", "aud"],
                    "verify_exp": False,
                    "verify_iat": False,
                    "verify_nbf": False,
                },
            )
            return self._read(claims)
        except (jwt.InvalidTokenError, KeyError, TypeError, ValueError, OverflowError) as error:
            raise _not_valid() from error

    def _read(self, claims: dict[str, Any]) -> Verified:
        latest = self._now() + self._skew
        moments = {name: _moment(claims[name]) for name in ("exp", "iat", "nbf") if claims.get(name) is not None}
        if any(moments.get(name, _BEGINNING) > latest for name in ("iat", "nbf")):
            raise Unauthenticated("the token is not valid yet", reason="invalid_token")
        words = frozenset(word for name in self._settings.scope_claims for word in words_of(claim_at(claims, name)))
        role = role_of(
            words,
            words_of(claim_at(claims, self._settings.role_claim)),
            read_all_implies_bl=self._settings.read_all_implies_bl,
        )
        caller = Caller(self._client_id(claims), role, known_scopes(words, role))
        return Verified(caller, moments.get("iat", _BEGINNING), moments["exp"] + self._skew)

    def _client_id(self, claims: dict[str, Any]) -> str:
        """Return the first claim that is there; it must be one that an object can carry (AUTH-009)."""
        for name in self._settings.client_id_claims:
            found = claim_at(claims, name)
            if found is not None:
                if not isinstance(found, str) or not 1 <= len(found) <= _LONGEST_ID or not found.isprintable():
                    raise ValueError(name)
                return found
        raise KeyError("client_id")


def role_of(words: frozenset[str], named: Iterable[str], *, read_all_implies_bl: bool) -> Role:
    """Return the role of a token (AUTH-010, AUTH-040): the one it names, else the one its scopes are for, else VEN."""
    explicit = {role for role in Role if role.value in {word.upper() for word in named}}
    if len(explicit) != 1:
        explicit = {role for role in Role if any(f"{scope}_{role.lower()}" in words for scope in _SUFFIXED)}
    if len(explicit) == 1:
        return explicit.pop()
    if words & _BL_ONLY or (read_all_implies_bl and "read_all" in words and not words & _VEN_ONLY):
        return Role.BL
    return Role.VEN


def claim_at(claims: dict[str, Any], path: str) -> Any:
    """Return a claim, or one inside another: ``realm_access.roles``."""
    if path in claims:
        return claims[path]
    found: Any = claims
    for name in path.split("."):
        found = found.get(name) if isinstance(found, dict) else None
    return found


def words_of(value: Any) -> list[str]:
    """Return the words of a claim that is a text, or the texts of one that is a list; of anything else none."""
    if isinstance(value, str):
        return value.split()
    return [word for word in value if isinstance(word, str)] if isinstance(value, list) else []


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _not_valid() -> Unauthenticated:
    return Unauthenticated("the token is not valid", reason="invalid_token", unverifiable=True)
