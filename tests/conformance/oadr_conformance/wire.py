"""Requests and answers as they travel, kept for the report."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
import re
import socket
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Self, TypeAlias
from weakref import WeakSet

import aiohttp
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from oadr_conformance.errors import Mismatch, Misused, Unreachable
from oadr_conformance.moments import same_instant
from oadr_conformance.sockets import closed

Obj: TypeAlias = dict[str, Any]
Query: TypeAlias = Mapping[str, str | int | Sequence[str]] | Sequence[tuple[str, str]]
Headers: TypeAlias = Mapping[str, str] | CIMultiDict[str]

_TIMEOUT = aiohttp.ClientTimeout(total=30, sock_connect=5)
_SHOWN = 20_000
_PATIENCE = 5
_LONGEST_PAUSE_S = 60
_SECRET = "•••"


class Purpose(StrEnum):
    """Purpose of a request; sent in `X-Request-Id`, so that a server's log shows it too."""

    PREPARE = "prepare"
    SEED = "seed"
    CHECK = "check"
    CLEANUP = "cleanup"


@dataclass(slots=True)
class HttpExchange:
    """One request and what came back."""

    step: Purpose
    actor: str
    method: str
    url: str
    request_headers: CIMultiDict[str]
    request_body: bytes
    status: int = 0
    headers: CIMultiDictProxy[str] = field(default_factory=lambda: CIMultiDictProxy(CIMultiDict()))
    body: bytes = b""
    seconds: float = 0.0
    problem: str = ""

    def lines(self) -> tuple[str, str]:
        """Return the request and the answer as text, both as they went over the wire."""
        asked = [f"{self.method} {self.url}", *_header_lines(self.request_headers)]
        if self.request_body:
            asked += ["", _text(self.request_body)]
        if self.problem:
            return "\n".join(asked), self.problem
        told = [f"HTTP {self.status}", *_header_lines(self.headers)]
        if self.body:
            told += ["", _text(decoded(self.headers, self.body))]
        return "\n".join(asked), "\n".join(told)

    def summary(self) -> str:
        """Return one line: who asked what, and the status."""
        return f"{self.actor}: {self.method} {URL(self.url).path_qs} -> {self.problem or self.status}"


class VtnAnswer:
    """An answer of the VTN, with the expectations that checks share; each raises `Mismatch` if it is not met."""

    def __init__(self, exchange: HttpExchange, *, binding: bool = True) -> None:
        self.exchange = exchange
        self.binding = binding
        """True if the catalogue's choice counts also where the standard leaves one."""
        self.read: Callable[[Any], Any] | None = None
        """What reads a body of another version as 3.1 would have it."""

    @property
    def status(self) -> int:
        """HTTP status."""
        return self.exchange.status

    @property
    def headers(self) -> CIMultiDictProxy[str]:
        """Headers as they arrived."""
        return self.exchange.headers

    @property
    def text(self) -> str:
        """Return the body, inflated, as text."""
        return decoded(self.headers, self.exchange.body).decode("utf-8", "replace")

    def fail(self, expected: str, got: object) -> Mismatch:
        """Return the mismatch to raise for this answer."""
        return Mismatch(expected, got if isinstance(got, str) else shown(got), self.exchange)

    def expect(self, *statuses: int, allowed: tuple[int, ...] = ()) -> VtnAnswer:
        """Return the status is one of these; `allowed` are others that the standard leaves to the VTN."""
        if not self.binding:
            statuses = tuple(dict.fromkeys((*statuses, *allowed)))
        if self.status not in statuses:
            raise self.fail("status " + " or ".join(map(str, statuses)), f"status {self.status}")
        return self

    def json(self) -> Any:
        """Return the body as JSON, in the words of 3.1 whatever version was asked."""
        value = self.on_the_wire()
        return value if self.read is None else self.read(value)

    def on_the_wire(self) -> Any:
        """Return the body as JSON, as it is."""
        try:
            return json.loads(self.text)
        except ValueError:
            raise self.fail("a JSON body", self.text[:200] or "an empty body") from None

    def object(self) -> Obj:
        """Return the body is one JSON object."""
        value = self.json()
        if not isinstance(value, dict):
            raise self.fail("one JSON object", value)
        return value

    def array(self) -> list[Obj]:
        """Return the body is a JSON array of objects."""
        value = self.json()
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise self.fail("a JSON array of objects", value)
        return value

    def ids(self) -> list[str]:
        """Return the ids of the objects in an array, in order."""
        return [str(item.get("id")) for item in self.array()]

    def same(self, what: str, got: Any, expected: Any) -> None:
        """`got` is `expected`; where rulings are binding exactly, else in the VTN's own way of writing it."""
        if not (identical if self.binding else alike)(got, expected):
            raise self.fail(f"{what} to be {shown(expected)}", shown(got))

    def has(self, **members: Any) -> Obj:
        """Return the object has these members with exactly these values."""
        value = self.object()
        for name, expected in members.items():
            if name not in value:
                raise self.fail(f"a member {name} = {shown(expected)}", f"no such member in {shown(value)}")
            self.same(name, value[name], expected)
        return value

    def true(self, holds: Any, expected: str, got: Any) -> None:
        """Expect that a fact about this answer holds."""
        if not holds:
            raise self.fail(expected, got)

    def header(self, name: str, expected: str = "") -> str:
        """Return the header is there, and contains `expected` (case does not count)."""
        got = ", ".join(self.headers.getall(name, []))
        if name not in self.headers or expected.lower() not in got.lower():
            raise self.fail(f"header {name}{f' with {expected}' if expected else ''}", got or "no such header")
        return got


class HttpClient:
    """One HTTP client for the whole run. It follows no redirect, inflates nothing and adds no header of its own."""

    def __init__(
        self, *, verify_tls: bool = True, ca_file: Path | None = None, identity: tuple[Path, Path] | None = None
    ) -> None:
        """
        Args:
            verify_tls: verify the certificate of the VTN.
            ca_file: authorities to trust too, PEM.
            identity: certificate and key of this client, PEM.

        Raises:
            Misused: a file holds no certificate, or none with this key.
        """
        self._sockets: WeakSet[socket.socket] = WeakSet()
        self._verify_tls = verify_tls
        self._ca_file = ca_file
        self._connector = aiohttp.TCPConnector(limit=250, ssl=self._context(identity), socket_factory=self._socket)
        self._session: aiohttp.ClientSession | None = None
        self.unanswered = 0
        """Requests that may have created something, for all we know."""

    def trust(self) -> ssl.SSLContext:
        """Return a context for TLS with somebody else that the VTN names: it is trusted as the VTN is."""
        if self._ca_file is not None:
            return _trusting(self._ca_file)
        context = ssl.create_default_context()
        if not self._verify_tls:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context

    def _context(self, identity: tuple[Path, Path] | None) -> ssl.SSLContext | bool:
        """Return what the connector verifies with; its usual way where nothing was given."""
        if identity is None:
            return _trusting(self._ca_file) if self._ca_file else self._verify_tls
        context = self.trust()
        try:
            context.load_cert_chain(*identity)
        except OSError as error:  # ssl.SSLError is one
            raise Misused(f"{identity[0]} and {identity[1]} are no certificate and its key: {error}") from error
        return context

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=self._connector,
            timeout=_TIMEOUT,
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=("Accept", "Accept-Encoding", "User-Agent", "Content-Type"),
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()
            await closed(self._sockets)  # with TLS they wait for the goodbye of the server, and the session does not

    def _socket(self, address: Any) -> socket.socket:
        """Return a new socket, and remember it for the end."""
        made = socket.socket(*address[:3])
        self._sockets.add(made)
        return made

    async def send(self, exchange: HttpExchange, *, patient: bool = True) -> VtnAnswer:
        """Send the request of `exchange` and fill in what came back.

        A VTN that asks for patience gets it, unless that is the question: after 429, or 503 with Retry-After, the
        request is sent again.

        Raises:
            Unreachable: no complete answer arrived.
        """
        answer = await self._send(exchange)
        for attempt in range(_PATIENCE if patient else 0):
            pause_s = _pause_s(answer, attempt)
            if pause_s is None:
                break
            await asyncio.sleep(pause_s)
            answer = await self._send(exchange)
        return answer

    async def _send(self, exchange: HttpExchange) -> VtnAnswer:
        if self._session is None:
            raise RuntimeError("the wire is used outside of its 'async with'")
        started = time.perf_counter()
        try:
            async with self._session.request(
                exchange.method,
                URL(exchange.url, encoded=True),
                headers=exchange.request_headers,
                data=io.BytesIO(exchange.request_body) if exchange.request_body else None,
                allow_redirects=False,
            ) as response:
                exchange.headers = response.headers
                exchange.body = await response.read()
                exchange.status = response.status
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            exchange.problem = f"no answer: {_reason(error)}"
            raise Unreachable(f"{exchange.method} {exchange.url}: {exchange.problem}") from error
        finally:
            exchange.seconds = time.perf_counter() - started
            self.unanswered += exchange.method == "POST" and not exchange.status
        return VtnAnswer(exchange)


def _trusting(ca_file: Path) -> ssl.SSLContext:
    """A context that also trusts the authorities of this file."""
    context = ssl.create_default_context()
    try:
        context.load_verify_locations(ca_file)
    except OSError as error:  # ssl.SSLError is one
        raise Misused(f"{ca_file} holds no certificates of authorities: {error.strerror or error}") from error
    return context


def _pause_s(answer: VtnAnswer, attempt: int) -> float | None:
    """Return the wait, in seconds, that an overloaded VTN asks for; None if it asks for none, or for too long."""
    told = answer.headers.get("Retry-After", "").strip()
    if answer.status != 429 and not (answer.status == 503 and told):
        return None
    if told.isdecimal():
        pause_s = float(told)
    elif told:
        try:
            moment = parsedate_to_datetime(told)
        except ValueError:
            return None
        pause_s = max(0.0, (moment - datetime.now(moment.tzinfo or UTC)).total_seconds())
    else:
        pause_s = 2.0**attempt
    return pause_s if pause_s <= _LONGEST_PAUSE_S else None


def _reason(error: Exception) -> str:
    """Return the library's error message, without its internal details."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return f"its certificate is not trusted ({error.certificate_error}); --ca names a file with its authority"
    if isinstance(error, TimeoutError):
        return f"none came in time ({_TIMEOUT.sock_connect:g} s to connect, {_TIMEOUT.total:g} s for the answer)"
    return re.sub(r" ssl:\S+|<ssl\.SSLContext[^>]*>", "", str(error)) or type(error).__name__


def identical(left: object, right: object) -> bool:
    """Equality of JSON values in which `1`, `1.0` and `true` differ."""
    if type(left) is not type(right):
        return False
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(identical(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(identical, left, right))
    return left == right


def alike(left: object, right: object) -> bool:
    """Return True if `left` is equivalent to `right`.

    JSON has one kind of numbers, an instant can be written in several ways, members that have their default may be left
    out or be there, and there may be members that we do not know.
    """
    numbers = (int, float)
    if isinstance(left, numbers) and isinstance(right, numbers):
        return isinstance(left, bool) == isinstance(right, bool) and left == right
    if isinstance(left, str) and isinstance(right, str):
        return left == right or same_instant(left, right)
    if isinstance(left, dict) and isinstance(right, dict):
        return all(alike(left.get(key), value) or (key not in left and value == []) for key, value in right.items())
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(alike, left, right))
    return type(left) is type(right) and left == right


def shown(value: object) -> str:
    """Return a value in a message: JSON, cut where it gets long."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 300 else f"{text[:300]}… ({len(text)} characters)"


def decoded(headers: Mapping[str, str], body: bytes) -> bytes:
    """Return the body without its gzip coding."""
    if headers.get("Content-Encoding", "").lower() != "gzip":
        return body
    try:
        return gzip.decompress(body)
    except (OSError, EOFError):
        return body


def redacted(text: str, secrets: Sequence[str]) -> str:
    """Return the text without any of the secrets."""
    for secret in secrets:
        text = text.replace(secret, _SECRET)
    return text


def _header_lines(headers: Mapping[str, str]) -> list[str]:
    return [f"{name}: {value}" for name, value in headers.items()]


def _text(body: bytes) -> str:
    text = body.decode("utf-8", "replace")
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}… ({len(body)} bytes)"
