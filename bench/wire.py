"""HTTP/1.1 as bytes: requests rendered once, heads of answers read with as little work as possible."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from bench.errors import Unusable, WrongAnswer

HEAD_END: Final = b"\r\n\r\n"
_WITHOUT_BODY: Final = frozenset({204, 304})


@dataclass(frozen=True, slots=True)
class Address:
    """The address of a server; ``path`` is the part of its URL after the port, without a slash at the end."""

    host: str
    port: int
    path: str = ""
    tls: ssl.SSLContext | None = None

    @staticmethod
    def of(url: str) -> Address:
        """Read an address from ``http://host:port/path``; raises Unusable."""
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query:
            raise Unusable(f"expected a URL such as http://host:8080/openadr3/3.1.0, not {url}")
        secure = parts.scheme == "https"
        context = ssl.create_default_context() if secure else None
        return Address(parts.hostname, parts.port or (443 if secure else 80), parts.path.rstrip("/"), context)

    @property
    def url(self) -> str:
        """Return the same as text."""
        return f"{'https' if self.tls else 'http'}://{self.host}:{self.port}{self.path}"


def request(
    address: Address, method: str, target: str, *, headers: Mapping[str, str] | None = None, body: bytes = b""
) -> bytes:
    """Return a whole request for ``target``, a path below the address with its query."""
    lines = [f"{method} {address.path}{target} HTTP/1.1", f"Host: {address.host}:{address.port}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    if body or method in {"POST", "PUT"}:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode() + HEAD_END + body


@dataclass(frozen=True, slots=True)
class Head:
    """The parts of an answer's head that are needed to find its end. ``length`` of its body; None: chunked."""

    status: int
    length: int | None
    closes: bool


def read_head(raw: bytes) -> Head:
    """Return the head of an answer, without the empty line at its end; raises WrongAnswer if it is none."""
    if not raw.startswith(b"HTTP/1.") or not raw[9:12].isdigit():
        raise WrongAnswer(f"not an HTTP answer: {raw[:80]!r}")
    status = int(raw[9:12])
    lower = raw.lower()
    closes = b"\r\nconnection: close" in lower
    if status in _WITHOUT_BODY:
        return Head(status, 0, closes)
    at = lower.find(b"\r\ncontent-length:")
    if at >= 0:
        end = lower.find(b"\r\n", at + 17)
        return Head(status, int(lower[at + 17 : None if end < 0 else end]), closes)
    if b"\r\ntransfer-encoding: chunked" in lower:
        return Head(status, None, closes)
    raise WrongAnswer("an answer without Content-Length that is not chunked")


def chunked_end(raw: bytes | bytearray) -> int | None:
    """Return the end of a chunked body that starts at 0; None if it is incomplete. Trailers are not expected."""
    at = 0
    while True:
        line = raw.find(b"\r\n", at)
        if line < 0:
            return None
        size = int(bytes(raw[at:line]).partition(b";")[0], 16)
        at = line + 2 + size + 2
        if at > len(raw):
            return None
        if size == 0:
            return at
