"""One request and its answer: TLS, size and time limits, and the mapping of every failure to our own errors."""

from __future__ import annotations

import email.utils
import errno
import ssl
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

import msgspec
import structlog

from openadr_client.clock import Clock
from openadr_client.errors import (
    REFUSALS,
    AnswerTooLarge,
    BadCertificateFile,
    InvalidRequest,
    TemporarilyUnavailable,
    Unauthorized,
    UnexpectedAnswer,
    Unreachable,
    UntrustedServer,
)
from openadr_profiles.v31 import Problem

if TYPE_CHECKING:
    import aiohttp

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
        """The entity tag, for a later conditional read."""
        return self.headers.get("ETag")


def tls_context(
    *,
    ca_file: Path | None = None,
    certificate: Path | None = None,
    key: Path | None = None,
    verify: bool = True,
) -> ssl.SSLContext:
    """TLS 1.2 or newer; authorities of the system and of `ca_file`, our own certificate if given (TLS-002, TLS-005).

    Raises:
        BadCertificateFile: a file is missing or is not what it should be.
    """
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca_file is not None:
        try:
            context.load_verify_locations(cafile=ca_file)
        except (OSError, ssl.SSLError) as error:
            raise BadCertificateFile(f"{ca_file} is not a readable file of CA certificates (PEM): {error}") from error
    if certificate is not None:
        try:
            context.load_cert_chain(certificate, key)
        except (OSError, ssl.SSLError) as error:
            pair = f"{certificate} and {key}" if key else f"{certificate}"
            raise BadCertificateFile(f"{pair}: not a certificate with its private key (PEM): {error}") from error
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


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
        if body is not None:
            sent["Content-Type"] = "application/json"
        answer = await self._send(method, url, query, sent, body, form)
        self._compare_clocks(url, answer)
        if answer.status >= 300 and answer.status != 304:
            raise self._failure(method, url, answer)
        return answer

    def _context(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = tls_context()
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


class Transport(BaseTransport):
    """Sends requests on connections that are kept: for programs that go on running."""

    _session: aiohttp.ClientSession | None = None

    def open(self) -> None:
        """Make connections possible; call inside the running event loop."""
        import aiohttp  # noqa: PLC0415 (a command with few requests uses ShortTransport)

        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=self._timeout_s),
                headers={"User-Agent": self._user_agent, "Accept": ACCEPTED},
                cookie_jar=aiohttp.DummyCookieJar(),
            )

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _send(
        self,
        method: str,
        url: str,
        query: Query,
        headers: Mapping[str, str],
        body: bytes | None,
        form: Mapping[str, str] | None,
    ) -> Answer:
        import aiohttp  # noqa: PLC0415 (see above)

        if self._session is None:
            raise RuntimeError("the client is not open: use it as `async with`")
        try:
            async with self._session.request(
                method,
                url,
                params=list(query),
                headers=headers,
                data=form if body is None else body,
                allow_redirects=False,
                ssl=self._context() if url.lower().startswith("https:") else True,
            ) as response:
                return Answer(response.status, response.headers, await _whole_body(response))
        except (aiohttp.ClientConnectorCertificateError, aiohttp.ClientSSLError) as error:
            raise UntrustedServer(f"no trusted TLS connection to {origin(url)}: {error}") from error
        except aiohttp.InvalidURL as error:
            raise Unreachable(f"{url} is not a usable URL") from error
        except TimeoutError as error:
            raise Unreachable(f"no answer from {origin(url)} within {self._timeout_s:g} s") from error
        except aiohttp.ClientConnectorError as error:
            raise unreachable(url, error.os_error) from error
        except (aiohttp.ClientError, OSError) as error:
            raise Unreachable(f"cannot reach {origin(url)}: {error or type(error).__name__}") from error


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


async def _whole_body(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_chunked(65536):
        body += chunk
        if len(body) > MAX_BODY:
            raise AnswerTooLarge(f"{origin(str(response.url))} sent more than {MAX_BODY} bytes in one answer")
    return bytes(body)


def _retry_after_s(header: str | None, now: datetime) -> float | None:
    """Seconds to wait by a Retry-After header in either of its forms (RFC 9110 section 10.2.3)."""
    if header is None:
        return None
    if header.strip().isdigit():
        return float(header)
    try:
        return max((email.utils.parsedate_to_datetime(header) - now).total_seconds(), 0.0)
    except (ValueError, TypeError):
        return None


def unreachable(url: str, error: Exception) -> Unreachable:
    """Return the error for a server that cannot be reached, in the words of an operator."""
    if isinstance(error, ConnectionRefusedError) or getattr(error, "errno", None) == errno.ECONNREFUSED:
        why = "nothing answers there; is the VTN running (oadr vtn run)?"
    else:
        why = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return Unreachable(f"cannot reach {origin(url)}: {why}")


def origin(url: str) -> str:
    """Return scheme, host and port of a URL, for messages."""
    return "/".join(url.split("/", 3)[:3])
