"""`VtnClient`: a client of OpenADR 3.1 and 3.0.1 for VENs and for business logic.

    async with VtnClient(base_url="https://vtn.example/openadr3/3.1.0", client_id="home-1", client_secret="…") as vtn:
        for event in await vtn.events.search(active=True):
            ...

The six kinds of objects of the standard, and resource groups, are collections with `search`, `poll`, `get`, `create`,
`replace`, `delete`.
`openadr_client.errors` lists what a call may raise.
"""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from importlib.metadata import version
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Final, Self

import structlog
from pydantic import SecretStr

from openadr_client.backoff import Attempts, Retry
from openadr_client.clock import Clock, SystemClock
from openadr_client.contacts import Contacts
from openadr_client.errors import Forbidden, NotFound, Unauthorized, UnexpectedAnswer
from openadr_client.faces import face_of
from openadr_client.objects import NOT_MODIFIED, Broken, Found, NotModified
from openadr_client.performance import PerformanceResults
from openadr_client.pooled_transport import PooledTransport
from openadr_client.settings import ApiVersion, ClientAuthentication
from openadr_client.subscription_health import SubscriptionHealths
from openadr_client.tls import vtn_context
from openadr_client.tokens import AccessToken, ClientCredentials, FixedToken, Tokens
from openadr_client.topics import Topics
from openadr_client.transport import Answer, BaseTransport
from openadr_client.vens_20b import Vens20b
from openadr_profiles.v31 import Invalid, Notifiers, decode

__all__ = ["NOT_MODIFIED", "Broken", "Found", "NotModified", "VtnClient"]

_log = structlog.get_logger(__name__)

DEFAULT_RETRY: Final = Retry()

_USER_AGENT: Final = f"openadr-fleet/{version('openadr-fleet')}"


class VtnClient:
    """A connection to one VTN as one client. Use as an async context manager.

    Args:
        base_url: the API's root including the version, such as ``https://vtn.example/openadr3/3.1.0``.
        client_id, client_secret: credentials for tokens; both or neither.
        token: a ready bearer token instead of credentials. Without either, requests carry no token (VENCLIENT-002).
        version: the version of OpenADR 3 that the VTN speaks, ``3.1`` or ``3.0.1``; default: what the URL names.
        token_url: where to fetch tokens; default: asked from the VTN.
        scope: scopes to ask for, separated by blanks; default: all the client has.
        audience: the form member ``audience`` of token requests, which some token servers demand.
        client_authentication: ``form`` sends id and secret in the form, ``basic`` in the Authorization header.
        ca_file: CA certificates (PEM) to trust besides those of the system.
        client_certificate, client_key: PEM files with which to identify ourselves by TLS.
        verify: False accepts any server certificate; logged loudly (TLS-005).
        timeout_s: real seconds for one request, from connecting to the last byte.
        retry: how often calls are repeated that failed for a passing reason; ``NO_RETRY`` for a program that waits
            itself. A POST is repeated only where that cannot make a second object (`openadr_client.backoff`).
        clock: what waits and the lifetime of tokens are measured with.
        connections_of: an open client of the same VTN whose connections and TLS settings are used instead of own ones.
        transport: what sends requests; ``short_transport.ShortTransport`` for a program that sends a few and ends.
    """

    def __init__(
        self,
        *,
        base_url: str,
        version: ApiVersion | None = None,
        client_id: str | None = None,
        client_secret: SecretStr | str | None = None,
        token: SecretStr | str | None = None,
        token_url: str | None = None,
        scope: str | None = None,
        audience: str | None = None,
        client_authentication: ClientAuthentication = "form",
        ca_file: Path | None = None,
        client_certificate: Path | None = None,
        client_key: Path | None = None,
        verify: bool = True,
        timeout_s: float = 30.0,
        retry: Retry = DEFAULT_RETRY,
        clock: Clock | None = None,
        connections_of: VtnClient | None = None,
        transport: type[BaseTransport] = PooledTransport,
    ) -> None:
        if (client_id is None) != (client_secret is None):
            raise ValueError("client_id and client_secret belong together: give both or neither")
        if client_id is not None and token is not None:
            raise ValueError("give either client_id and client_secret, or token")
        if not base_url.startswith(("http://", "https://")):
            raise ValueError(f"base_url must begin with http:// or https://, not {base_url!r}")
        self.base_url = base_url.rstrip("/")
        self.face = face_of(self.base_url, version)
        self.client_id = client_id
        self.clock = clock = clock or SystemClock()
        self._retry = retry
        self._chance = Random()  # noqa: S311 # spreads attempts in time, keeps no secret
        if not verify:
            _log.warning("the VTN's certificate is NOT verified: anybody can pose as the VTN", base_url=self.base_url)
        self._owns_connections = connections_of is None
        self._transport: BaseTransport
        if connections_of is not None:
            self._transport = connections_of._transport  # noqa: SLF001 - of our own class
        else:
            is_plain = verify and not (ca_file or client_certificate) and self.base_url.startswith("http:")
            tls = (
                None
                if is_plain
                else vtn_context(ca_file=ca_file, certificate=client_certificate, key=client_key, verify=verify)
            )
            self._transport = transport(tls=tls, timeout_s=timeout_s, user_agent=_USER_AGENT, clock=clock)
        self._tokens: Tokens
        if client_id is not None and client_secret is not None:
            self._tokens = ClientCredentials(
                self._transport,
                base_url=self.base_url,
                client_id=client_id,
                client_secret=_revealed(client_secret),
                token_url=token_url,
                scope=scope,
                audience=audience,
                authentication=client_authentication,
                clock=clock,
                is_named=self.face.names_token_server,
            )
        else:
            self._tokens = FixedToken(None if token is None else _revealed(token))
        objects = self.face.objects(self._send, clock)
        self.programs = objects.programs
        self.events = objects.events
        self.reports = objects.reports
        self.vens = objects.vens
        self.resources = objects.resources
        self.subscriptions = objects.subscriptions
        self.resource_groups = objects.resource_groups
        self.contacts = Contacts(self._send)
        self.subscription_health = SubscriptionHealths(self._send)
        self.vens_20b = Vens20b(self._send)
        self.performance = PerformanceResults(self._send)
        self.topics = Topics(self._send)

    def __repr__(self) -> str:
        return f"VtnClient(base_url={self.base_url!r}, client_id={self.client_id!r})"

    async def __aenter__(self) -> Self:
        if self._owns_connections:
            self._transport.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._owns_connections:
            await self._transport.close()

    async def notifiers(self) -> Notifiers | None:
        """Ask how this VTN can tell of changes; None if it has no ``/notifiers``, which leaves polling and webhooks."""
        if not self.face.names_notifiers:
            return None
        try:
            answer = await self._send("GET", "/notifiers")
        except NotFound:
            return None
        try:
            return decode(answer.body, Notifiers)
        except Invalid as error:
            raise UnexpectedAnswer(f"GET /notifiers is not a list of notifiers: {error}") from error

    async def server_time(self) -> datetime | None:
        """Return what time it is for the VTN, to the second it counts; None if its answers do not say."""
        answer = await self._send("GET", "/programs", query=[("skip", "0"), ("limit", "1")])
        try:
            found = parsedate_to_datetime(answer.headers.get("Date") or "")
        except ValueError:
            return None
        return found if found.tzinfo is not None else found.replace(tzinfo=UTC)

    async def access_token(self) -> AccessToken | None:
        """Return the token that requests carry now, for a broker or a websocket of the VTN; None without any.

        Raises:
            Unauthorized, Unreachable, TemporarilyUnavailable, UnexpectedAnswer: no token can be had.
        """
        text = await self._tokens.current()
        return None if text is None else AccessToken(text, self._tokens.renew_at)

    def tls_context(self) -> ssl.SSLContext | None:
        """Return the TLS context of connections to the VTN; None for one whose address is not https."""
        return self._transport.context if self.base_url.startswith("https:") else None

    async def _send(
        self,
        method: str,
        path: str,
        *,
        query: Sequence[tuple[str, str]] = (),
        body: bytes | None = None,
        etag: str | None = None,
    ) -> Answer:
        """Send with a token; a refused token is renewed once and the request repeated once (VENCLIENT-005).

        What fails for a passing reason is repeated within the limits of `Retry`; fetching a token changes nothing and
        is repeated like a GET.
        """
        attempts = Attempts(self._retry, self.clock, self._chance)
        token = await attempts.of("GET", self._tokens.current)

        def send() -> Awaitable[Answer]:
            return self._send_once(method, path, query, body, etag, token)

        try:
            return await attempts.of(method, send)
        except (Unauthorized, Forbidden):
            refused = token
            token = await attempts.of("GET", lambda: self._tokens.renewed(refused))
            if token is None:
                raise
            return await attempts.of(method, send)
        except NotFound as error:
            if method == "DELETE" and attempts.unclear:
                hint = f"{error} (an earlier attempt, whose answer was lost, may have deleted it)"
                raise NotFound(hint, problem=error.problem) from error
            raise

    async def _send_once(
        self,
        method: str,
        path: str,
        query: Sequence[tuple[str, str]],
        body: bytes | None,
        etag: str | None,
        token: str | None,
    ) -> Answer:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        if etag is not None:
            headers["If-None-Match"] = etag
        return await self._transport.request(method, self.base_url + path, query=query, headers=headers, body=body)


def _revealed(secret: SecretStr | str) -> str:
    return secret.get_secret_value() if isinstance(secret, SecretStr) else secret
