"""Signing in by an OpenID Connect provider: the authorisation code flow with PKCE (RFC 7636), state and nonce.

What comes back is believed when the ID token is signed by a key of the provider, was made for this console, for this
attempt, and is not over. Claims that it leaves out are asked for at the provider's userinfo.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import quote_plus, urlencode, urlsplit

import aiohttp
import jwt
import msgspec
import structlog

from vtn.access import UserRole
from vtn.auth.external import claim_at, words_of
from vtn.auth.jwks import Jwks, client_context
from vtn.console.oidc_attempt import OidcAttempt
from vtn.console_settings import Oidc
from vtn.errors import Forbidden, Unauthenticated, Unavailable
from vtn.settings import ExternalAuth

_log = structlog.get_logger(__name__)

_BODY_LIMIT: Final = 256 * 1024
_KEPT: Final = timedelta(hours=1)
_SKEW: Final = timedelta(seconds=60)
_LONGEST: Final = 4096
_MEMBERS: Final = ("authorization_endpoint", "token_endpoint", "jwks_uri")


@dataclass(frozen=True, slots=True)
class OidcIdentity:
    """Somebody whom the provider knows: ``subject`` is unique, ``name`` is for people, the role is by its claims."""

    subject: str
    name: str
    role: UserRole


class OidcProvider:
    """The provider of the settings. What it publishes about itself is kept for an hour."""

    def __init__(self, settings: Oidc, now: Callable[[], datetime]) -> None:
        self._settings = settings
        self._now = now
        self._ssl = client_context(settings.ca_file)
        self._known: dict[str, Any] = {}
        self._known_at: datetime | None = None
        self._jwks: Jwks | None = None

    async def address(self, attempt: OidcAttempt, callback: str) -> str:
        """Return where the browser goes to sign in, and from there to ``callback``; raises Unavailable."""
        known = await self._discovered()
        digest = hashlib.sha256(attempt.verifier.encode()).digest()
        query = {
            "response_type": "code",
            "client_id": self._settings.client_id,
            "redirect_uri": callback,
            "scope": " ".join(self._settings.scopes),
            "state": attempt.state,
            "nonce": attempt.nonce,
            "code_challenge": base64.urlsafe_b64encode(digest).decode().rstrip("="),
            "code_challenge_method": "S256",
        }
        endpoint: str = known["authorization_endpoint"]
        return f"{endpoint}{'&' if urlsplit(endpoint).query else '?'}{urlencode(query)}"

    async def identity(self, attempt: OidcAttempt, code: str, callback: str) -> OidcIdentity:
        """Return who came back with a code.

        Raises Unauthenticated for an answer that does not hold, Forbidden for somebody without a role here, and
        Unavailable when the provider does not answer.
        """
        known = await self._discovered()
        tokens = await self._tokens(known, attempt, code, callback)
        claims = await self._verified(known, str(tokens.get("id_token", "")), attempt)
        if self._lacks_something(claims) and isinstance(known.get("userinfo_endpoint"), str):
            more = await self._ask(
                "GET", known["userinfo_endpoint"], headers={"Authorization": f"Bearer {tokens.get('access_token', '')}"}
            )
            if more.get("sub") != claims["sub"]:
                raise _not_believed("userinfo is about somebody else")
            claims = more | claims
        name = next((each for claim in self._settings.name_claims if (each := claim_at(claims, claim))), None)
        if not isinstance(name, str):
            raise _not_believed(f"none of the claims {', '.join(self._settings.name_claims)} is there")
        return OidcIdentity(f"{self._settings.issuer} {claims['sub']}", name, self._role(claims, name))

    def _role(self, claims: Mapping[str, Any], name: str) -> UserRole:
        settings = self._settings
        found = claim_at(dict(claims), settings.role_claim)
        words = {name, *words_of(found), *([found] if isinstance(found, str) else ())}
        for role, named in (
            (UserRole.ADMIN, settings.admins),
            (UserRole.OPERATOR, settings.operators),
            (UserRole.VIEWER, settings.viewers),
        ):
            if words & set(named):
                return role
        raise Forbidden(f"{name} is known, and has no role here: the claim {settings.role_claim} names none")

    def _lacks_something(self, claims: Mapping[str, Any]) -> bool:
        has_name = any(claim_at(dict(claims), claim) for claim in self._settings.name_claims if claim != "sub")
        return not has_name or claim_at(dict(claims), self._settings.role_claim) is None

    async def _tokens(self, known: Mapping[str, Any], attempt: OidcAttempt, code: str, callback: str) -> dict[str, Any]:
        settings = self._settings
        form = {
            "grant_type": "authorization_code",
            "code": code[:_LONGEST],
            "redirect_uri": callback,
            "code_verifier": attempt.verifier,
        }
        headers, secret = {}, settings.client_secret
        methods = known.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
        if secret is not None and "client_secret_basic" in methods:
            pair = f"{quote_plus(settings.client_id)}:{quote_plus(secret.get_secret_value())}"
            headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        else:
            form["client_id"] = settings.client_id
            if secret is not None:
                form["client_secret"] = secret.get_secret_value()
        return await self._ask("POST", known["token_endpoint"], form=form, headers=headers)

    async def _verified(self, known: Mapping[str, Any], token: str, attempt: OidcAttempt) -> dict[str, Any]:
        """Return the claims of an ID token (OpenID Connect Core 3.1.3.7)."""
        try:
            kid = jwt.get_unverified_header(token).get("kid")
        except (jwt.InvalidTokenError, ValueError):
            raise _not_believed("there is no ID token in the provider's answer") from None
        if self._jwks is None:
            self._jwks = Jwks(self._as_external(known), self._now)
        key = await self._jwks.key(kid)
        if key is None:
            raise _not_believed("the ID token is signed by a key that the provider does not publish")
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=[key.algorithm_name],
                audience=self._settings.client_id,
                issuer=known["issuer"],
                options={"require": ["exp", "iat", "iss", "aud", "sub"], "verify_exp": False, "verify_iat": False},
            )
            now, expires = self._now(), datetime.fromtimestamp(claims["exp"], UTC)
            issued = datetime.fromtimestamp(claims["iat"], UTC)
        except (jwt.InvalidTokenError, TypeError, ValueError, OverflowError) as error:
            raise _not_believed(f"the ID token does not hold ({error})") from None
        if not issued - _SKEW <= now <= expires + _SKEW:
            raise _not_believed("the ID token is over, or not valid yet; compare the clocks of both servers")
        if not hmac.compare_digest(str(claims.get("nonce", "")).encode(), attempt.nonce.encode()):
            raise _not_believed("the ID token belongs to another attempt")
        if claims.get("azp", self._settings.client_id) != self._settings.client_id:
            raise _not_believed("the ID token was made for another client")
        return claims

    def _as_external(self, known: Mapping[str, Any]) -> ExternalAuth:
        settings = self._settings
        return ExternalAuth(
            issuer=known["issuer"],
            audience=settings.client_id,
            jwks_url=known["jwks_uri"],
            token_url=known["token_endpoint"],
            timeout_s=settings.timeout_s,
            ca_file=settings.ca_file,
        )

    async def _discovered(self) -> dict[str, Any]:
        if self._known_at is None or self._now() - self._known_at > _KEPT:
            issuer = self._settings.issuer
            known = await self._ask("GET", f"{issuer.rstrip('/')}/.well-known/openid-configuration")
            if str(known.get("issuer", "")).rstrip("/") != issuer.rstrip("/"):
                raise _not_believed(f"the provider calls itself {known.get('issuer')!r}, and the settings {issuer!r}")
            for member in _MEMBERS:
                if not str(known.get(member, "")).startswith(("https://", "http://")):
                    raise _not_believed(f"the provider publishes no {member}")
            if self._known.get("jwks_uri") != known["jwks_uri"]:
                self._jwks = None
            self._known, self._known_at = known, self._now()
        return self._known

    async def _ask(
        self, method: str, url: str, *, form: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """Return the JSON object that the provider answers; raises Unavailable, or Unauthenticated for a refusal."""
        try:
            async with (
                aiohttp.ClientSession(
                    timeout=aiohttp.ClientTimeout(total=self._settings.timeout_s),
                    connector=aiohttp.TCPConnector(ssl=self._ssl),
                ) as session,
                session.request(
                    method, url, data=form, headers={"Accept": "application/json"} | dict(headers or {}),
                    allow_redirects=False,
                ) as response,
            ):  # fmt: skip
                body = await response.content.read(_BODY_LIMIT + 1)
                while len(body) <= _BODY_LIMIT and (part := await response.content.read(_BODY_LIMIT)):
                    body += part
                status = response.status
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            _log.warning("the OpenID provider does not answer", host=urlsplit(url).netloc, why=type(error).__name__)
            raise Unavailable("the sign-in service does not answer; try again later") from error
        if len(body) > _BODY_LIMIT:
            raise Unavailable("the sign-in service sends more than this server reads")
        try:
            found = msgspec.json.decode(body)
        except msgspec.DecodeError:
            found = None
        if status in {400, 401, 403}:
            word = found.get("error") if isinstance(found, dict) else None
            raise _not_believed(f"the provider answers {status} {str(word or '')[:80]}".rstrip())
        if status != 200 or not isinstance(found, dict):
            _log.warning("the OpenID provider answers otherwise", host=urlsplit(url).netloc, status=status)
            raise Unavailable(f"the sign-in service answers with status {status}; try again later")
        return found


def _not_believed(why: str) -> Unauthenticated:
    _log.warning("somebody could not sign in by the OpenID provider", why=why)
    return Unauthenticated(f"signing in did not work: {why}")
