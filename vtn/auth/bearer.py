"""Authentication by the Authorization header (AUTH-001 … AUTH-005)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from aiohttp import hdrs, web

from openadr_profiles.v301 import UNASSIGNED
from vtn.access import NOBODY_KNOWN, Caller
from vtn.auth.clients import Clients
from vtn.auth.token_cache import Verified
from vtn.auth.tokens import OwnTokens
from vtn.errors import Revoked, Unauthenticated

if TYPE_CHECKING:
    from vtn.auth.external import ExternalTokens


class Bearer:
    """Knows whose tokens are accepted: our own, those of an external authorisation server, or both."""

    def __init__(self, own: OwnTokens | None, external: ExternalTokens | None, clients: Clients) -> None:
        self._own = own
        self._external = external
        self._clients = clients

    async def refresh_keys(self) -> None:
        """Learn which keys have come and gone elsewhere."""
        for tokens in (self._own, self._external):
            if tokens is not None:
                await tokens.refresh_keys()

    async def caller_of(self, request: web.Request) -> Caller:
        """Say who is asking; raises Unauthenticated. Only a single header counts, never the address of the request."""
        token = _token(request)
        try:
            return await self._caller_of(token)
        except Revoked as revoked:
            # It may have been resumed by another process, and have got its token there.
            if not await self._clients.resumed(revoked.client_id):
                raise
        return await self._caller_of(token)

    async def verified(self, token: str) -> Verified:
        """Return what a token says that came in another way than a header; raises Unauthenticated."""
        try:
            return await self._verified(token)
        except Revoked as revoked:
            if not await self._clients.resumed(revoked.client_id):
                raise
        return await self._verified(token)

    async def holding(self, request: web.Request) -> Callable[[], bool]:
        """Return what tells at any time, without I/O, whether the token of a request still holds (AUTH-034).

        For connections that outlast their request, whose caller is known. Raises Unauthenticated.
        """
        token = _token(request)
        issuer = self._issuer_of(token)
        return issuer.cache.holding(await issuer.verified(token))

    async def _caller_of(self, token: str) -> Caller:
        return _somebody(await self._issuer_of(token).caller(token))

    async def _verified(self, token: str) -> Verified:
        found = await self._issuer_of(token).verified(token)
        _somebody(found.caller)
        return found

    def _issuer_of(self, token: str) -> OwnTokens | ExternalTokens:
        if self._external is not None and (self._own is None or not self._own.claims(token)):
            return self._external
        if self._own is None:
            raise Unauthenticated("no tokens are accepted", reason="invalid_token", unverifiable=True)
        return self._own


def _somebody(caller: Caller) -> Caller:
    """Return a caller; raises Unauthenticated for the name of a ven that is nobody's (V301-026)."""
    if caller.client_id.startswith(UNASSIGNED):
        raise Unauthenticated("no client may have a name that stands for none", reason="invalid_token")
    return caller


def _token(request: web.Request) -> str:
    headers = request.headers.getall(hdrs.AUTHORIZATION, [])
    if len(headers) != 1:
        raise Unauthenticated("send one Authorization header with a bearer token" if headers else NOBODY_KNOWN)
    scheme, _, token = headers[0].partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token:
        raise Unauthenticated("a bearer token is needed")
    return token
