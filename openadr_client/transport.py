"""The base of both ways to send a request: limits, and the mapping of every failure to our own errors.

`PooledTransport` keeps its connections, `ShortTransport` opens one for each request.
"""

from __future__ import annotations

import email.utils
import errno
import ssl
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Protocol

import msgspec
import structlog

from openadr_client.clock import Clock
from openadr_client.errors import (
    REFUSALS,
    InvalidRequest,
    TemporarilyUnavailable,
    Unauthorized,
    UnexpectedAnswer,
    Unreachable,
)
from openadr_client.tls import vtn_context
from openadr_profiles.v31 import Problem

Query = Iterable[tuple[str, str]]

_log = structlog.get_logger(__name__)

_CLOCKS_AGREE_S: Final = 5.0
MAX_BODY: Final = 32 * 1024 * 1024
"""Bytes of the longest answer that is read."""
ACCEPTED: Final = "application/json, application/problem+json"


class Headers(Protocol):
    """Headers of an answer; capitals in names do not count."""

    def get(self, name: str, /) -> str | None:
        """Return the first header of a name."""


@dataclass(frozen=True)
class Answer:
    """Status, headers and complete body of an answer that is not an error (2xx or 304)."""

    status: int
    headers: Headers
    body: bytes

    @property
    def etag(self) -> str | None:
        """Return the entity tag, for a later conditional read."""
        return self.headers.get("ETag")


class BaseTransport(ABC):
    """Sends single requests. Does not retry and knows nothing of tokens or objects.

    Without ``tls`` the usual context is made when it is first needed: reading the system's authorities takes 50 ms.
    """

    def __init__(self, *, tls: ssl.SSLContext | None, timeout_s: float, user_agent: str, clock: Clock) -> None:
        self._tls = tls
        self._timeout_s = timeout_s
        self._user_agent = user_agent
        self._clock = clock
        self._clocks_differ = False

    @abstractmethod
    def open(self) -> None:
        """Make connections possible; call inside the running event loop."""

    @abstractmethod
    async def close(self) -> None:
        """Close all connections."""

    @abstractmethod
    async def _send(
        self,
        method: str,
        url: str,
        query: Query,
        headers: Mapping[str, str],
        body: bytes | None,
        form: Mapping[str, str] | None,
    ) -> Answer:
        """Send one request and return its answer, whatever its status; raises Unreachable, UntrustedServer."""

    async def request(
        self,
        method: str,
        url: str,
        *,
        query: Query = (),
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        form: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send one request and read the whole answer; `body` is JSON, `form` is form-encoded.

        Raises:
            Unreachable, UntrustedServer: no complete answer.
            TemporarilyUnavailable: 429 or 5xx.
            Unauthorized: 401.
            Forbidden, NotFound, Conflict, InvalidRequest: other 4xx.
            UnexpectedAnswer: a redirect, or a body beyond all measure.
        """
        sent = dict(headers or {})
        # A VTN can tell its operator of a clock that is wrong: events begin and end by it.
        sent["Date"] = email.utils.format_datetime(self._clock.now().astimezone(UTC), usegmt=True)
        if body is not None:
            sent["Content-Type"] = "application/json"
        answer = await self._send(method, url, query, sent, body, form)
        self._compare_clocks(url, answer)
        if answer.status >= 300 and answer.status != 304:
            raise self._failure(method, url, answer)
        return answer

    @property
    def context(self) -> ssl.SSLContext:
        """Return the TLS context of connections; made when it is first asked for."""
        if self._tls is None:
            self._tls = vtn_context()
        return self._tls

    def _compare_clocks(self, url: str, answer: Answer) -> None:
        """Warn once when the server's clock is not ours (TIME-038)."""
        if not self._clock.is_real or (said := answer.headers.get("Date")) is None:
            return
        try:
            difference_s = (email.utils.parsedate_to_datetime(said) - self._clock.now()).total_seconds()
        except (ValueError, TypeError):
            return
        differ = abs(difference_s) > _CLOCKS_AGREE_S
        if differ and not self._clocks_differ:
            _log.warning("clocks differ", server=origin(url), server_ahead_s=round(difference_s, 1))
        self._clocks_differ = differ

    def _failure(self, method: str, url: str, answer: Answer) -> Exception:
        problem = read_problem(answer)
        what = f"{method} {url}: {answer.status} {problem.detail or problem.title}".rstrip()
        if answer.status == 429 or answer.status >= 500:
            retry_after_s = _retry_after_s(answer.headers.get("Retry-After"), self._clock.now())
            return TemporarilyUnavailable(what, status=answer.status, retry_after_s=retry_after_s)
        if answer.status == 401:
            return Unauthorized(what)
        if answer.status < 400:
            return UnexpectedAnswer(f"{what} (redirect to {answer.headers.get('Location') or 'nowhere'}, not followed)")
        return REFUSALS.get(answer.status, InvalidRequest)(what, problem=problem)


class _OAuthError(msgspec.Struct, frozen=True):
    """The error body of a token endpoint (RFC 6749 section 5.2)."""

    error: str
    error_description: str = ""


def read_problem(answer: Answer) -> Problem:
    """Read the error in a body: a problem, an OAuth error, or the start of any other text (VENCLIENT-027)."""
    try:
        problem = msgspec.json.decode(answer.body, type=Problem)
        if problem.detail or problem.title:
            return msgspec.structs.replace(problem, status=answer.status)
    except (msgspec.DecodeError, UnicodeDecodeError):
        pass
    try:
        oauth = msgspec.json.decode(answer.body, type=_OAuthError)
        return Problem(
            title=oauth.error, status=answer.status, detail=f"{oauth.error} {oauth.error_description}".strip()
        )
    except (msgspec.DecodeError, UnicodeDecodeError):
        text = " ".join(answer.body[:200].decode(errors="replace").split())
        return Problem(status=answer.status, detail=text)


def _retry_after_s(header: str | None, now: datetime) -> float | None:
    """Seconds to wait by a Retry-After header in either of its forms (RFC 9110 section 10.2.3)."""
    if header is None:
        return None
    text = header.strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        return max((email.utils.parsedate_to_datetime(header) - now).total_seconds(), 0.0)
    except (ValueError, TypeError):
        return None


def unreachable(url: str, error: Exception, *, was_sent: bool) -> Unreachable:
    """Return the error for a server that cannot be reached, in the words of an operator."""
    if isinstance(error, ConnectionRefusedError) or getattr(error, "errno", None) == errno.ECONNREFUSED:
        why = "nothing answers there; is the VTN running (oadr vtn run)?"
    else:
        why = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return Unreachable(f"cannot reach {origin(url)}: {why}", was_sent=was_sent)


def origin(url: str) -> str:
    """Return scheme, host and port of a URL, for messages; a password in it is left out."""
    scheme, separator, rest = url.partition("://")
    return scheme + separator + rest.split("/", 1)[0].rpartition("@")[2]
