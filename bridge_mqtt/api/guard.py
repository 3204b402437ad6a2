"""Tell who may ask: whoever has a token, and on this machine, if no token is set, everybody to read.

A browser that is signed in may read: it stands for the token that it has shown.
"""

from __future__ import annotations

import hmac
from collections.abc import Collection
from ipaddress import ip_address

from aiohttp import web
from pydantic import SecretStr

from bridge_mqtt.api.browser_sessions import BrowserSessions
from bridge_mqtt.api.cors import is_allowed
from bridge_mqtt.api.refusals import NotAllowed, NoToken, WrongHost
from bridge_mqtt.api.route import Right
from bridge_mqtt.api.vtn_tokens import TokenJudge
from bridge_mqtt.settings import ApiSettings

_OWN_SITES = frozenset({"none", "same-origin", "same-site"})
"""Tell what browsers say in Sec-Fetch-Site of requests that no page of another site has made."""


class Guard:
    """Decides about each request before its handler runs."""

    def __init__(self, settings: ApiSettings, judge: TokenJudge | None, sessions: BrowserSessions) -> None:
        self._settings = settings
        self._judge = judge
        self.sessions = sessions

    @property
    def needs_token(self) -> bool:
        """Return True if nobody may read without a token."""
        return self._settings.token is not None or self._judge is not None

    async def admit(self, request: web.Request, right: Right) -> None:
        """Let a request pass; raises NoToken, NotAllowed or WrongHost."""
        given = _bearer(request)
        if given is None and right is Right.READ:  # a form of another site cannot write with it
            given = self.sessions.token_of(request)
        await self._admit(request, right, given)

    async def admit_token(self, request: web.Request, token: str) -> None:
        """Let whoever shows a token read; raises NoToken or NotAllowed."""
        if not token.isascii():
            raise NoToken("expected a token of ASCII characters")
        await self._admit(request, Right.READ, token)

    async def _admit(self, request: web.Request, right: Right, given: str | None) -> None:
        if right is Right.OPEN:
            return
        settings = self._settings
        if given is not None and _same(given, settings.write_token):
            return
        if given is not None and _same(given, settings.token):
            if right is Right.WRITE:
                raise NotAllowed("api.token is for reading; writing needs api.write_token")
            return
        allowed = frozenset() if given is None or self._judge is None else await self._judge.rights(given)
        if right in allowed:
            return
        if allowed:
            raise NotAllowed("the token is for reading; writing needs the scope write_events")
        if right is Right.WRITE and settings.write_token is None and self._judge is None:
            raise NotAllowed("nobody may write here: set api.write_token, or api.vtn_tokens for tokens of the VTN")
        if right is Right.READ and not self.needs_token:
            _must_be_of_this_machine(request, settings.allowed_origins)
            return
        raise NoToken("a bearer token is needed" if given is None else "the bearer token is not valid")


def _bearer(request: web.Request) -> str | None:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    token = token.strip()
    if scheme.lower() == "bearer" and not token.isascii():
        raise NoToken("Authorization: expected a bearer token of ASCII characters")
    return token if scheme.lower() == "bearer" and token else None


def _same(given: str, token: SecretStr | None) -> bool:
    return token is not None and hmac.compare_digest(given.encode(), token.get_secret_value().encode())


def _must_be_of_this_machine(request: web.Request, origins: Collection[str]) -> None:
    """Keep pages of other sites out while nobody needs a token (DNS rebinding)."""
    if request.headers.get("Sec-Fetch-Site", "none") not in _OWN_SITES and not is_allowed(request, origins):
        raise NotAllowed(
            "Origin: expected no page of another site; set api.allowed_origins for pages that may ask, or api.token"
        )
    host = request.host.rpartition(":")[0] if not request.host.endswith("]") else request.host
    if not _is_loopback(host or request.host):
        raise WrongHost("Host: expected an address of this machine, as 127.0.0.1; for others set api.token")


def _is_loopback(host: str) -> bool:
    name = host.strip("[]").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False
