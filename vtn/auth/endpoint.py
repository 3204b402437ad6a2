"""/auth/server and /auth/token: client credentials for an access token (M31, M32; RFC 6749)."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl, unquote_plus

from aiohttp import hdrs, web

from openadr_profiles.v31 import Invalid, decode, encode
from vtn.access import Scope, scope_named
from vtn.auth.clients import Client, Clients
from vtn.auth.rate_limiter import RateLimiter
from vtn.auth.tokens import OwnTokens
from vtn.auth.wrong_secrets import WrongSecrets
from vtn.errors import NotOffered, TooLarge, TooManyRequests, UnsupportedMediaType
from vtn.http import body
from vtn.http.responses import MEDIA_TYPE
from vtn.settings import Auth

_FORM: Final = "application/x-www-form-urlencoded"
_LONGEST: Final = 4096
_NO_STORE: Final = {"Cache-Control": "no-store", "Pragma": "no-cache"}


class _Declined(Exception):
    """An error of RFC 6749 5.2."""

    def __init__(self, error: str, description: str, *, status: int = 400, basic: bool = False) -> None:
        super().__init__(description)
        self.error = error
        self.status = status
        self.basic = basic


@dataclass(frozen=True, slots=True)
class _Asked:
    """``credentials`` are the readings of what was sent, in the order in which they are tried."""

    credentials: tuple[tuple[str, str], ...]
    scope: str
    basic: bool
    json: bool = False
    """It came as JSON, whose answer has the token under another name too (COMPAT-013)."""


class TokenEndpoint:
    """Gives tokens to clients that prove who they are, at a limited rate (AUTH-018 … AUTH-035)."""

    def __init__(
        self,
        settings: Auth,
        clients: Clients,
        tokens: OwnTokens,
        *,
        token_url: Callable[[web.Request], str],
        per_client: RateLimiter,
        guesses: WrongSecrets,
    ) -> None:
        self._settings = settings
        self._clients = clients
        self._tokens = tokens
        self._token_url = token_url
        self._per_client = per_client
        self._guesses = guesses

    async def server(self, request: web.Request) -> web.Response:
        """Answer with the URL of the token endpoint (AUTH-018)."""
        return _json({"tokenURL": self._token_url(request)})

    async def token(self, request: web.Request, *, json_too: bool = False) -> web.Response:
        """Answer with a token or error; the body satisfies RFC 6749 and the standard's problem at once (AUTH-029).

        ``json_too`` takes requests in JSON as well, as some older clients send them (COMPAT-013).
        """
        if not self._settings.gives_tokens:
            raise NotOffered(f"this server gives no tokens; {self._server_path(request)} says who does")
        try:
            async with body.Body(request, known=False, packed=False, most=body.TOKEN_FORM_BYTES) as raw:
                asked = _asked(request, raw, json_too=json_too)
            return await self._granted(asked, request.remote or "")
        except _Declined as declined:
            headers = {"WWW-Authenticate": 'Basic realm="VTN"'} if declined.basic else {}
            return _error(declined.error, str(declined), declined.status, headers)
        except (TooLarge, UnsupportedMediaType) as error:
            return _error("invalid_request", str(error), 413 if isinstance(error, TooLarge) else 415, {})
        except TooManyRequests as error:
            return _error("temporarily_unavailable", str(error), 429, {"Retry-After": str(error.retry_after_s)})

    @staticmethod
    def _server_path(request: web.Request) -> str:
        return request.path.removesuffix("/token") + "/server"

    async def _granted(self, asked: _Asked, address: str) -> web.Response:
        client = await self._authenticated(asked, address)
        self._per_client.take(client.client_id)  # whoever does not have the secret takes nothing of a client's room
        if client.suspended:
            raise _Declined("unauthorized_client", "this client may not have tokens at present")
        words, scopes = _granted_scopes(asked.scope, client)
        lifetime_s = client.token_lifetime_s or self._settings.token_lifetime_s
        token = self._tokens.issue(client.client_id, client.role, scopes, lifetime_s)
        answer = {"access_token": token, "token_type": "Bearer", "expires_in": lifetime_s, "scope": words}
        return _json(answer | {"token": token} if asked.json else answer)

    async def _authenticated(self, asked: _Asked, address: str) -> Client:
        """Give the client whose secret was sent. A wrong one counts, and too many wrong ones are 429 (AUTH-035)."""
        named = asked.credentials[0][0]
        refusal = self._guesses.refusal(address, named)
        for client_id, secret in asked.credentials:
            client = await self._clients.authenticated(
                client_id, secret, turn=f"{address} {named}", guessing=refusal is not None
            )
            if client is not None:
                return client
        self._guesses.count(address, named)
        raise refusal or _Declined("invalid_client", "unknown client or wrong secret", status=401, basic=asked.basic)


def _asked(request: web.Request, raw: bytes, *, json_too: bool) -> _Asked:
    """Read the form and the credentials, from one place only (AUTH-023, AUTH-024, AUTH-030)."""
    in_json = json_too and request.content_type == MEDIA_TYPE
    if request.content_type != _FORM and not in_json:
        raise _Declined("invalid_request", f"the body is expected to be {_FORM}")
    form = _json_form(raw) if in_json else _form(raw)
    if not form.get("grant_type"):  # RFC 6749 3.1: a parameter without a value is one that was left out
        raise _Declined("invalid_request", "grant_type is missing")
    if form["grant_type"] != "client_credentials":
        raise _Declined("unsupported_grant_type", "grant_type: expected client_credentials")
    scheme, _, encoded = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
    basic = scheme.lower() == "basic"
    credentials = _from_header(encoded, form) if basic else _from_form(form)
    if any(len(text) > _LONGEST for pair in credentials for text in pair):
        raise _Declined("invalid_request", f"client_id and client_secret have at most {_LONGEST} characters")
    return _Asked(credentials, " ".join(form.get("scope", "").split()), basic, in_json)


def _form(raw: bytes) -> dict[str, str]:
    try:
        pairs = parse_qsl(raw.decode(), keep_blank_values=True, strict_parsing=True, max_num_fields=50) if raw else []
    except ValueError:
        raise _Declined("invalid_request", "the form cannot be read") from None
    form = dict(pairs)
    if len(form) != len(pairs):
        raise _Declined("invalid_request", "a parameter is given more than once")
    if "\0" in "".join(form.values()):
        raise _Declined("invalid_request", "the form contains the character NUL")
    return form


def _json_form(raw: bytes) -> dict[str, str]:
    """Read a request in JSON as the form it stands for: the grant goes without saying, and names may be camelCase."""
    try:
        form = decode(raw, dict[str, str])
    except Invalid as error:
        raise _Declined("invalid_request", f"the body cannot be read: {error}") from None
    if "\0" in "".join(form.values()):
        raise _Declined("invalid_request", "the body contains the character NUL")
    named = {{"clientID": "client_id", "clientSecret": "client_secret"}.get(name, name): form[name] for name in form}
    return {"grant_type": "client_credentials", **named}


def _from_form(form: dict[str, str]) -> tuple[tuple[str, str], ...]:
    for name in ("client_id", "client_secret"):
        if not form.get(name):
            raise _Declined("invalid_request", f"{name} is missing")
    return ((form["client_id"], form["client_secret"]),)


def _from_header(encoded: str, form: dict[str, str]) -> tuple[tuple[str, str], ...]:
    """Some clients percent-encode in the header as RFC 6749 2.3.1 asks, others do not: both readings (COMPAT-004)."""
    if "client_id" in form or "client_secret" in form:
        raise _Declined("invalid_request", "credentials are in the header and in the form; send them once")
    try:
        client_id, colon, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        colon = ""
    if not colon or not client_id or not secret:
        raise _Declined("invalid_request", "the Basic header is expected to hold client_id:client_secret in base64")
    readings = ((client_id, secret), (unquote_plus(client_id), unquote_plus(secret)))
    if any("\0" in text for reading in readings for text in reading):
        raise _Declined("invalid_request", "the Basic header contains the character NUL")
    return tuple(dict.fromkeys(readings))


def _granted_scopes(asked: str, client: Client) -> tuple[str, frozenset[Scope]]:
    """Return the requested scopes that the client has, as it wrote them; all of its scopes if it requested none.

    Scopes the client does not have are left out of the answer's ``scope`` (AUTH-027, RFC 6749 3.3); if none is left,
    the error is ``invalid_scope``.
    """
    if not asked:
        return " ".join(sorted(client.scopes)), client.scopes
    granted = {word: scope for word in asked.split() if (scope := scope_named(word, client.role)) in client.scopes}
    if not granted:
        raise _Declined("invalid_scope", "the client has none of the scopes it asks for")
    return " ".join(granted), frozenset(scope for scope in granted.values() if scope is not None)


def _json(value: object) -> web.Response:
    return web.Response(body=encode(value), content_type="application/json", headers=_NO_STORE)


def _error(error: str, description: str, status: int, headers: dict[str, str]) -> web.Response:
    body = {
        "error": error,
        "error_description": description,
        "type": "about:blank",
        "title": "No token",
        "status": status,
        "detail": description,
    }
    headers = {**_NO_STORE, **headers}
    return web.Response(body=encode(body), status=status, content_type="application/json", headers=headers)
