"""Access tokens by the client-credentials grant: found, cached, renewed in time and only once at a time."""

from __future__ import annotations

import asyncio
import base64
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final, Protocol
from urllib.parse import quote_plus, urlsplit

import msgspec
import structlog

from openadr_client.clock import Clock
from openadr_client.errors import Refused, TemporarilyUnavailable, Unauthorized, UnexpectedAnswer, Unreachable
from openadr_client.settings import ClientAuthentication
from openadr_client.transport import BaseTransport

_log = structlog.get_logger(__name__)

_ASSUMED_LIFETIME_S: Final = 3600.0
_MARGIN_S: Final = 60.0
_MARGIN_SHARE: Final = 0.1
_RETRY: Final = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class AccessToken:
    """A token to show to others than the VTN, such as its broker. At ``renew_at`` there will be another one."""

    text: str = field(repr=False)
    renew_at: datetime | None


class Tokens(Protocol):
    """A source of bearer tokens for requests."""

    async def current(self) -> str | None:
        """Return the token to send, or None to send none."""

    @property
    def renew_at(self) -> datetime | None:
        """Return when the current token is replaced, or None if it never is."""

    async def renewed(self, refused: str | None) -> str | None:
        """Another token than the one that was just refused, or None if there is none to be had."""


class FixedToken:
    """A token that was given (or None: requests go without one, VENCLIENT-002); it cannot be renewed."""

    def __init__(self, token: str | None) -> None:
        self._token = token

    renew_at: Final = None

    async def current(self) -> str | None:
        """Return the given token."""
        return self._token

    async def renewed(self, refused: str | None) -> None:
        """Return None: there is no other token."""


@dataclass(frozen=True)
class _Token:
    text: str
    renew_at: datetime
    ends_at: datetime


def basic_header(client_id: str, client_secret: str) -> str:
    """Return the Authorization header for an id and a secret, each form-encoded first (RFC 6749 section 2.3.1)."""
    pair = f"{quote_plus(client_id)}:{quote_plus(client_secret)}"
    return "Basic " + base64.b64encode(pair.encode()).decode()


class _TokenAnswer(msgspec.Struct, frozen=True):
    access_token: str
    expires_in: float | None = None


class _ServerInfo(msgspec.Struct, frozen=True):
    token_url: str = msgspec.field(name="tokenURL")


class ClientCredentials:
    """Tokens for a client id and secret (VENCLIENT-003 … VENCLIENT-006).

    The token URL is the given one, else what `GET /auth/server` says, else `/auth/token` below the base URL; a VTN that
    does not name it there (``is_named`` is False) is not asked. A token is renewed 60 s before it ends (a short-lived
    one after nine tenths of its life); while the token service cannot be reached, the old one stays in use as long as
    it lives.

    ``authentication`` says how the id and secret are sent: ``form`` as members of the form, as the standard's own
    ``/auth/token`` takes them, or ``basic`` in the Authorization header, which some servers demand (RFC 6749 section
    2.3.1). ``audience`` is sent as the form member of that name if given.
    """

    def __init__(
        self,
        transport: BaseTransport,
        *,
        base_url: str,
        client_id: str,
        client_secret: str,
        token_url: str | None,
        scope: str | None,
        audience: str | None,
        authentication: ClientAuthentication,
        clock: Clock,
        is_named: bool = True,
    ) -> None:
        self._transport = transport
        self._is_named = is_named
        self._base_url = base_url
        self._client_id = client_id
        self._client_secret = client_secret
        self._token_url = token_url
        self._scope = scope
        self._audience = audience
        self._authentication = authentication
        self._clock = clock
        self._token: _Token | None = None
        self._lock = asyncio.Lock()

    @property
    def renew_at(self) -> datetime | None:
        """Return when `current` gives another token, or None before the first."""
        return None if self._token is None else self._token.renew_at

    async def current(self) -> str:
        """Return a token that is good for a while yet, fetched if need be."""
        seen = self._token
        if seen is not None and self._clock.now() < seen.renew_at:
            return seen.text
        async with self._lock:
            if self._token is None or self._token is seen:
                self._token = await self._renew_if_possible(self._token)
            return self._token.text

    async def renewed(self, refused: str | None) -> str:
        """Return a new token in place of the refused one; callers that were refused the same one share the renewal."""
        async with self._lock:
            if self._token is None or self._token.text == refused:
                self._token = await self._fetch()
            return self._token.text

    async def _renew_if_possible(self, old: _Token | None) -> _Token:
        try:
            return await self._fetch()
        except (Unreachable, TemporarilyUnavailable) as error:
            now = self._clock.now()
            if old is None or now >= old.ends_at:
                raise
            _log.warning("token renewal failed, the old token is still good", problem=str(error))
            return replace(old, renew_at=min(now + _RETRY, old.ends_at))

    async def _fetch(self) -> _Token:
        url = await self._find_token_url()
        form = {"grant_type": "client_credentials"}
        headers = {}
        if self._authentication == "basic":
            headers["Authorization"] = basic_header(self._client_id, self._client_secret)
        else:
            form |= {"client_id": self._client_id, "client_secret": self._client_secret}
        if self._scope:
            form["scope"] = self._scope
        if self._audience:
            form["audience"] = self._audience
        asked_at = self._clock.now()
        try:
            answer = await self._transport.request("POST", url, form=form, headers=headers)
        except (Refused, Unauthorized) as error:
            raise Unauthorized(f"client {self._client_id} got no token: {error}") from error
        try:
            token = msgspec.json.decode(answer.body, type=_TokenAnswer, strict=False)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise UnexpectedAnswer(f"{url} answered with something that is not a token: {error}") from error
        lifetime_s = _ASSUMED_LIFETIME_S if token.expires_in is None else token.expires_in
        return _Token(
            token.access_token,
            renew_at=asked_at + timedelta(seconds=lifetime_s - min(_MARGIN_S, lifetime_s * _MARGIN_SHARE)),
            ends_at=asked_at + timedelta(seconds=lifetime_s),
        )

    async def _find_token_url(self) -> str:
        if self._token_url is None:
            self._token_url = await self._discover()
        return self._token_url

    async def _discover(self) -> str:
        own = f"{self._base_url}/auth/token"
        if not self._is_named:
            return own
        try:
            answer = await self._transport.request("GET", f"{self._base_url}/auth/server")
        except (Refused, Unauthorized, UnexpectedAnswer):
            return own
        try:
            found = msgspec.json.decode(answer.body, type=_ServerInfo).token_url
        except (msgspec.DecodeError, UnicodeDecodeError):
            return own
        parts = urlsplit(found)
        if parts.scheme not in {"http", "https"} or not parts.netloc:
            raise UnexpectedAnswer(f"{self._base_url}/auth/server names {found!r}, which is not an absolute URL")
        if parts.scheme == "http" and self._base_url.startswith("https:"):
            raise UnexpectedAnswer(f"{self._base_url}/auth/server names {found}: the secret is not sent without TLS")
        return found
