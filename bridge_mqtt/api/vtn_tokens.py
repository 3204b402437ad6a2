"""Tokens of the VTN, or of the authorisation server it trusts: business logic may read and, by scope, write here."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from bridge_mqtt.api.jwks import PublishedKeys
from bridge_mqtt.api.route import Right
from bridge_mqtt.errors import ApiUnavailable
from bridge_mqtt.settings import VtnTokens

_SKEW: Final = timedelta(seconds=30)
_SHARED: Final = "HS256"
_LONGEST: Final = 8 * 1024
_BL_ONLY: Final = frozenset({"read_bl", "write_programs", "write_events"})
_VEN_ONLY: Final = frozenset({"read_targets", "read_ven_objects", "write_reports"})
_SCOPE_CLAIMS: Final = ("scope", "scp", "roles")


class TokenJudge:
    """Says what the bearer of a token may do; needs the library for tokens, else raises ApiUnavailable."""

    def __init__(self, settings: VtnTokens, now: Callable[[], datetime]) -> None:
        try:
            import jwt  # noqa: F401, PLC0415 # only who accepts such tokens needs the library
        except ImportError:
            raise ApiUnavailable("api.vtn_tokens needs the library pyjwt: pip install 'pyjwt[crypto]'") from None
        self._settings = settings
        self._now = now
        self._published = None if settings.jwks_url is None else PublishedKeys(settings.jwks_url, settings.ca_file)

    async def rights(self, token: str) -> frozenset[Right]:
        """Return what the token allows: nothing if it does not hold, or is a VEN's, who may not read its neighbours."""
        claims = await self._claims(token) if len(token) <= _LONGEST else None
        if claims is None or not self._holds_now(claims):
            return frozenset()
        words = frozenset(word for name in _SCOPE_CLAIMS for word in _words(claims.get(name)))
        if not _is_business_logic(words, claims.get("role")):
            return frozenset()
        return frozenset({Right.READ, Right.WRITE} if "write_events" in words else {Right.READ})

    async def _claims(self, token: str) -> dict[str, Any] | None:
        import jwt  # noqa: PLC0415

        try:
            header = jwt.get_unverified_header(token)
        except (jwt.InvalidTokenError, ValueError):
            return None
        if header.get("alg") == _SHARED:
            keys: list[Any] = [key.get_secret_value() for key in self._settings.signing_keys]
            algorithm = _SHARED
        else:
            kid = header.get("kid")
            published = self._published
            key = None if published is None else await published.key(kid if isinstance(kid, str) else None, self._now())
            if key is None:
                return None
            keys, algorithm = [key], key.algorithm_name
        for each in keys:
            try:
                claims: dict[str, Any] = jwt.decode(
                    token,
                    each,
                    algorithms=[algorithm],
                    audience=self._settings.audience,
                    issuer=self._settings.issuer,
                    # The moments are ours to compare: they come from the bridge's clock.
                    options={
                        "require": ["exp", "iss", "aud"],
                        "verify_exp": False,
                        "verify_iat": False,
                        "verify_nbf": False,
                    },
                )
            except (jwt.InvalidTokenError, ValueError, TypeError):
                continue
            return claims
        return None

    def _holds_now(self, claims: dict[str, Any]) -> bool:
        now = self._now()
        try:
            over = _moment(claims["exp"])
            begins = max(_moment(claims.get(name) or 0) for name in ("iat", "nbf"))
        except (TypeError, ValueError, OverflowError, OSError):
            return False
        return begins <= now + _SKEW and now < over + _SKEW


def _is_business_logic(words: frozenset[str], role: Any) -> bool:
    """Return True for business logic by the VTN's rule: the role that a token names, else what its scopes are for."""
    named = {word.upper() for word in _words(role)} & {"BL", "VEN"}
    if len(named) == 1:
        return named == {"BL"}
    return bool(words & _BL_ONLY) or ("read_all" in words and not words & _VEN_ONLY)


def _words(value: Any) -> list[str]:
    if isinstance(value, str):
        return value.split()
    return [word for word in value if isinstance(word, str)] if isinstance(value, list) else []


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
