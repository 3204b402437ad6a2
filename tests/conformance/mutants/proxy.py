"""A reverse proxy that is transparent, until it is told to break something."""

from __future__ import annotations

import base64
import io
import json
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode

import aiohttp
from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

if TYPE_CHECKING:
    from mutants.republisher import Republisher

_HOP_BY_HOP = {"connection", "transfer-encoding", "content-length", "keep-alive", "date", "upgrade", "te"}
COLLECTIONS = ("programs", "events", "reports", "subscriptions", "vens", "resources")


@dataclass(frozen=True)
class ProxiedRequest:
    """A request on its way to the VTN."""

    method: str
    path: str
    query: tuple[tuple[str, str], ...]
    headers: CIMultiDict[str]
    body: bytes
    prefix: str

    @property
    def below(self) -> str:
        """Return the path below the API prefix."""
        return self.path.removeprefix(self.prefix)

    @property
    def collection(self) -> str:
        """`events` for /events and /events/{id}; empty elsewhere."""
        first = self.below.strip("/").partition("/")[0]
        return first if first in COLLECTIONS else ""

    @property
    def single(self) -> bool:
        """Return whether the path names one object."""
        return bool(self.collection) and self.below.strip("/").count("/") == 1

    def json(self) -> Any:
        """Return the body as JSON, None when it is not."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    def given(self, name: str) -> list[str]:
        """Return the values of a query parameter."""
        return [value for key, value in self.query if key == name]

    def without(self, *names: str) -> ProxiedRequest:
        """Return the request without these query parameters."""
        return replace(self, query=tuple(pair for pair in self.query if pair[0] not in names))

    def with_headers(self, **headers: str | None) -> ProxiedRequest:
        """Return the request with headers replaced, or taken out where None; `_` stands for `-`."""
        changed = CIMultiDict(self.headers)
        for name, value in headers.items():
            changed.popall(name.replace("_", "-"), None)
            if value is not None:
                changed[name.replace("_", "-")] = value
        return replace(self, headers=changed)

    def by(self, token: str) -> ProxiedRequest:
        """Return the request as somebody else sends it."""
        return self.with_headers(Authorization=f"Bearer {token}")

    @property
    def claims(self) -> dict[str, Any]:
        """Return what its token claims, unverified; empty when it carries none that can be read."""
        parts = self.headers.get("Authorization", "").rpartition(" ")[2].split(".")
        if len(parts) != 3:
            return {}
        try:
            return dict(json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4))))
        except ValueError:
            return {}


@dataclass
class ProxiedAnswer:
    """An answer on its way back."""

    status: int
    headers: CIMultiDict[str] = field(default_factory=CIMultiDict)
    body: bytes = b""

    def json(self) -> Any:
        """Return the body as JSON, None when it is not."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    def with_json(self, value: Any, status: int | None = None) -> ProxiedAnswer:
        """Return the answer with another body."""
        headers = CIMultiDict(self.headers)
        headers.popall("Content-Encoding", None)
        headers["Content-Type"] = "application/json"
        return ProxiedAnswer(status or self.status, headers, json.dumps(value, ensure_ascii=False).encode())

    def with_header(self, name: str, value: str | None) -> ProxiedAnswer:
        """Return the answer with one header replaced, or taken out where None."""
        headers = CIMultiDict(self.headers)
        headers.popall(name, None)
        if value is not None:
            headers[name] = value
        return ProxiedAnswer(self.status, headers, self.body)


@dataclass(frozen=True)
class Upstream:
    """The VTN behind the proxy, and valid tokens for it by client id."""

    send: Callable[[ProxiedRequest], Awaitable[ProxiedAnswer]]
    tokens: Mapping[str, str]
    bl: str
    """Client id of business logic."""
    open_door: str = ""
    """URI at which the VTN's broker admits everybody to everything."""

    def as_bl(self, asked: ProxiedRequest) -> ProxiedRequest:
        """Return the request as business logic sends it."""
        return asked.by(self.tokens[self.bl])


Handler = Callable[[ProxiedRequest, Upstream], Awaitable[ProxiedAnswer]]


class Proxy:
    """Listens on 127.0.0.1 and passes everything on; `handler`, if set, has its way with what checks send."""

    def __init__(self, upstream: str, prefix: str, *, plain: bool = True, every_step: bool = False) -> None:
        self.handler: Handler | None = None
        self.callbacks: Proxy | None = None
        """The one between the VTN and the suite's receiver."""
        self.republisher: Republisher | None = None
        """Changes publications, where the VTN has a broker."""
        self.open_door = ""
        self.tokens: dict[str, str] = {}
        self.bl = ""
        self._plain = plain
        """Not plain: the handler has its way with every step, answers are chunked and end their connections."""
        self._every_step = every_step or not plain
        self._upstream = upstream
        self._prefix = prefix
        self._client: aiohttp.ClientSession | None = None
        self._runner: web.AppRunner | None = None

    async def start(self, port: int, tls: ssl.SSLContext | None = None) -> None:
        """Listen."""
        self._client = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=300),
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=("Accept", "Accept-Encoding", "User-Agent", "Content-Type"),
        )
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_route("*", "/{path:.*}", self._serve)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", port, backlog=1024, ssl_context=tls).start()

    async def stop(self) -> None:
        """Close everything."""
        if self._runner is not None:
            await self._runner.cleanup()
        if self._client is not None:
            await self._client.close()

    async def forward(self, asked: ProxiedRequest) -> ProxiedAnswer:
        """Pass a request on, as it is."""
        if self._client is None:
            raise RuntimeError("the proxy is not started")
        url = self._upstream + asked.path + (f"?{urlencode(asked.query)}" if asked.query else "")
        async with self._client.request(
            asked.method,
            URL(url, encoded=True),
            headers=asked.headers,
            data=io.BytesIO(asked.body) if asked.body else None,
            allow_redirects=False,
        ) as response:
            headers = CIMultiDict(pair for pair in response.headers.items() if pair[0].lower() not in _HOP_BY_HOP)
            return ProxiedAnswer(response.status, headers, await response.read())

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        path, _, query = request.raw_path.partition("?")
        asked = ProxiedRequest(
            request.method,
            path,
            tuple(parse_qsl(query, keep_blank_values=True)),
            CIMultiDict(pair for pair in request.headers.items() if pair[0].lower() not in _HOP_BY_HOP),
            await request.read(),
            self._prefix,
        )
        step = asked.headers.get("X-Request-Id", "").partition(".")[2].partition(".")[0]
        if self.handler is not None and (step == "check" or self._every_step):
            told = await self.handler(asked, Upstream(self.forward, self.tokens, self.bl, self.open_door))
        else:
            told = await self.forward(asked)
        if told.status == 0 and request.transport is not None:
            request.transport.abort()
        response = web.Response(status=told.status or 500, headers=told.headers, body=told.body)
        if not self._plain:
            response.force_close()
            response.enable_chunked_encoding()
        return response
