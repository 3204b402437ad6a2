"""A small VTN of the suite's own for one VEN: it gives out what the scenario put there, and trouble where planned."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import time
import uuid
from collections import deque
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qs, unquote

from aiohttp import web
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from oadr_conformance.address import ReceiverAddress
from oadr_conformance.http_listener import HttpListener
from oadr_conformance.moments import from_now
from oadr_conformance.session import Credential
from oadr_conformance.ven31.heard import HeardRecord, HeardRequest
from oadr_conformance.ven31.shapes import problems_of
from oadr_conformance.wire import HttpExchange, Obj, Purpose

PREFIX: Final = "/openadr3/3.1.0"
_LARGEST: Final = 1024 * 1024
_PAGE: Final = 50
_MOST_OBJECTS: Final = 2000
_WRITABLE: Final = {"vens", "resources", "reports", "subscriptions"}
_KINDS: Final = {
    "programs": "PROGRAM",
    "events": "EVENT",
    "vens": "VEN",
    "resources": "RESOURCE",
    "reports": "REPORT",
    "subscriptions": "SUBSCRIPTION",
}
_OURS: Final = ("id", "createdDateTime", "clientID", "objectType")
"""Members that a VTN writes."""
_LONGEST_NUMBER: Final = 9
_JSON: Final = "application/json"


@dataclass(frozen=True)
class PlannedTrouble:
    """An answer that the next read of the first page of events gets, or the next report, in place of the right one."""

    name: str
    status: int
    body: str = ""
    content_type: str = "text/html"
    pause_s: int | None = None
    """Value of Retry-After, in seconds; until then the same request gets the same answer."""
    on: str = "GET /events"


@dataclass
class _Answer:
    status: int
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    raw: str | None = None
    fault: str = ""


class LabVtn:
    """Listens for one VEN, and remembers what it asks in a record."""

    def __init__(self, address: ReceiverAddress, credential: Credential, *, token_s: int) -> None:
        """
        Args:
            address: where the VEN finds it, and where it listens.
            credential: client id and secret of the VEN.
            token_s: for how long a token counts, in seconds.
        """
        self.record = HeardRecord()
        self.secrets = [credential.client_secret]
        self.troubles: deque[PlannedTrouble] = deque()
        self.store: dict[str, dict[str, Obj]] = {kind: {} for kind in _KINDS}
        self._address = address
        self._credential = credential
        self._token_s = token_s
        self._tokens: dict[str, float] = {}
        self._revoked: set[str] = set()
        self._pausing: dict[str, tuple[float, PlannedTrouble]] = {}
        self._listener = HttpListener(address, self._serve, who="the VTN", largest=_LARGEST)

    @property
    def url(self) -> str:
        """Return the URL that the VEN is configured with."""
        return self._address.url.rstrip("/") + PREFIX

    async def start(self) -> None:
        """
        Listen.

        Raises:
            Misused: the address cannot be listened at, or the files for TLS are none.
        """
        await self._listener.start()

    async def stop(self) -> None:
        """Listen no more."""
        await self._listener.stop()

    def put(self, kind: str, body: Obj) -> Obj:
        """Store an object as business logic would, and return it."""
        id_ = str(uuid.uuid4())
        now = from_now()
        made = {"id": id_, "createdDateTime": now, "modificationDateTime": now, "objectType": _KINDS[kind], **body}
        self.store[kind][id_] = made
        return made

    def delete(self, kind: str, id_: str) -> None:
        """Delete an object as business logic would."""
        self.store[kind].pop(id_, None)

    def revoke(self) -> None:
        """Refuse every token that was given out so far."""
        self._revoked |= self._tokens.keys()

    async def _serve(self, request: web.Request) -> web.Response:
        try:
            body = await request.read()
        except web.HTTPRequestEntityTooLarge:
            body, too_large = b"", True
        else:
            too_large = False
        at = time.monotonic()
        token = self._judged_token(request.headers.get("Authorization", ""), at)
        path = request.path.removeprefix(PREFIX) if request.path.startswith(PREFIX) else f"?{request.path}"
        answer = _Answer(413) if too_large else self._answer(request, path, body, token, at)
        text = answer.raw if answer.raw is not None else "" if answer.body is None else json.dumps(answer.body)
        headers = {"Content-Type": _JSON, **answer.headers}
        exchange = HttpExchange(
            Purpose.CHECK,
            "the VEN",
            request.method,
            f"{self._address.url.rstrip('/')}{request.raw_path}",
            CIMultiDict(request.headers),
            body,
            answer.status,
            CIMultiDictProxy(CIMultiDict(headers)),
            text.encode(),
        )
        query = dict(URL(exchange.url).query.items())
        self.record.add(HeardRequest(exchange, at, path, query, token, answer.fault))
        return web.Response(status=answer.status, body=text.encode(), headers=headers)

    def _judged_token(self, header: str, at: float) -> str:
        scheme, _, token = header.partition(" ")
        if scheme.lower() != "bearer" or not token:
            return "none"
        if token in self._revoked:
            return "revoked"
        if token not in self._tokens:
            return "unknown"
        return "valid" if at < self._tokens[token] else "expired"

    def _answer(self, request: web.Request, path: str, body: bytes, token: str, at: float) -> _Answer:
        """Give a token, refuse the one that the request bears, make the trouble that is planned, or do as asked."""
        if path.startswith("?"):
            return _problem(404, f"the API is below {PREFIX}")
        match f"{request.method} {path}":
            case "GET /auth/server":
                return _Answer(200, {"tokenURL": f"{self.url}/auth/token"})
            case "POST /auth/token":
                return self._give_token(request, body, at)
        if token != "valid":
            headers = {"WWW-Authenticate": 'Bearer error="invalid_token"'}
            return _Answer(401, _problem(401, f"the token is {token}").body, headers, fault=f"{token} token")
        is_later_page = request.query.get("skip", "0") != "0"
        trouble = None if is_later_page else self._trouble(f"{request.method} {path}", at)
        return trouble or self._done(request, path, body)

    def _done(self, request: web.Request, path: str, body: bytes) -> _Answer:
        kind, _, id_ = path.strip("/").partition("/")
        match request.method:
            case "GET" if path == "/notifiers":
                return _Answer(200, {"WEBHOOK": True, "conformanceNote": "to be ignored"})
            case "GET" if kind in _KINDS:
                return self._read(request, kind, id_)
            case "POST" | "PUT" | "DELETE" if kind in _WRITABLE:
                return self._write(request.method, kind, id_, body)
        return _problem(403, f"a VEN writes no {kind}") if kind in _KINDS else _problem(404, "no such path")

    def _read(self, request: web.Request, kind: str, id_: str) -> _Answer:
        if not id_:
            return self._list(request, kind)
        found = self.store[kind].get(id_)
        return _tagged(request, found) if found else _problem(404, f"no such object in {kind}")

    def _trouble(self, what: str, at: float) -> _Answer | None:
        until, trouble = self._pausing.get(what, (0.0, None))
        if trouble is None or at >= until:
            planned = self.troubles[0] if self.troubles else None
            if planned is None or planned.on != what:
                return None
            trouble = self.troubles.popleft()
            if trouble.pause_s:
                until = at + trouble.pause_s
                self._pausing[what] = (until, trouble)
        headers = {"Content-Type": trouble.content_type}
        if trouble.pause_s:
            headers["Retry-After"] = str(max(1, round(until - at)))
        return _Answer(trouble.status, None, headers, raw=trouble.body, fault=trouble.name)

    def _give_token(self, request: web.Request, body: bytes, at: float) -> _Answer:
        try:
            form = {key: values[0] for key, values in parse_qs(body.decode("ascii"), max_num_fields=20).items()}
        except ValueError:
            return _Answer(400, {"error": "invalid_request"})
        client_id, secret = form.get("client_id", ""), form.get("client_secret", "")
        scheme, _, packed = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "basic":
            try:
                client_id, _, secret = (unquote(part) for part in base64.b64decode(packed).decode().partition(":"))
            except ValueError:
                return _Answer(400, {"error": "invalid_request"})
        expected = self._credential
        given = (client_id.encode(), secret.encode())
        if given != (expected.client_id.encode(), expected.client_secret.encode()):
            return _Answer(401, {"error": "invalid_client", "error_description": "not the id and secret of this run"})
        if form.get("grant_type") != "client_credentials":
            return _Answer(400, {"error": "unsupported_grant_type"})
        token = secrets.token_urlsafe(24)
        self._tokens[token] = at + self._token_s
        self.secrets.append(token)
        told = {
            "access_token": token,
            "token_type": "Bearer",
            "expires_in": self._token_s,
            "conformanceNote": "ignored",
        }
        return _Answer(200, told, {"Cache-Control": "no-store"})

    def _list(self, request: web.Request, kind: str) -> _Answer:
        query = request.query
        texts = {"skip": query.get("skip", "0"), "limit": query.get("limit", str(_PAGE))}
        for name, text in texts.items():
            if not text.isdecimal() or len(text) > _LONGEST_NUMBER:
                return _problem(400, f"{name} is {text!r}; expected a number")
        numbers = {name: int(text) for name, text in texts.items()}
        if numbers["limit"] > _PAGE:
            return _problem(400, f"limit is {numbers['limit']}; expected at most {_PAGE}")
        members = ("programID", "eventID", "venID", "venName", "resourceName", "clientName")
        asked = {name: query[name] for name in members if query.get(name)}
        found = [
            one
            for one in self.store[kind].values()
            if all(one.get(name) == value for name, value in asked.items() if name in one or kind != "programs")
        ]
        end = numbers["skip"] + numbers["limit"]
        pages = self.record.first_pages if not numbers["skip"] else self.record.last_pages
        if (end < len(found)) is not bool(numbers["skip"]):
            pages.add(f"/{kind}")
        return _tagged(request, found[numbers["skip"] : end])

    def _write(self, method: str, kind: str, id_: str, body: bytes) -> _Answer:
        known = self.store[kind].get(id_)
        if method == "DELETE" and known:
            self.delete(kind, id_)
            return _Answer(200, known)
        try:
            given = json.loads(body)
        except (ValueError, RecursionError):
            return _problem(400, "the body is no JSON")
        if wrong := problems_of(kind, given):
            return _problem(400, "; ".join(wrong[:5]))
        given = {name: value for name, value in given.items() if name not in _OURS}
        if method == "PUT" and known:
            kept: Obj = {name: value for name, value in known.items() if name in _OURS}
            self.store[kind][id_] = {**given, **kept, "modificationDateTime": from_now()}
            return _Answer(200, self.store[kind][id_])
        if method == "POST" and not id_:
            return self._create(kind, given)
        return _problem(404, f"nothing to {method}")

    def _create(self, kind: str, given: Obj) -> _Answer:
        if kind in {"vens", "resources"} and any(_same_name(kind, one, given) for one in self.store[kind].values()):
            return _problem(409, "there is one of this name")
        if len(self.store[kind]) >= _MOST_OBJECTS:
            return _problem(403, f"more than {_MOST_OBJECTS} {kind}")
        return _Answer(201, self.put(kind, {**given, "clientID": self._credential.client_id}))


def _same_name(kind: str, one: Obj, other: Obj) -> bool:
    names = ("venName",) if kind == "vens" else ("resourceName", "venID")
    return all(one.get(name) == other.get(name) for name in names)


def _problem(status: int, detail: str) -> _Answer:
    return _Answer(
        status,
        {"type": "about:blank", "status": status, "detail": detail},
        {"Content-Type": "application/problem+json"},
    )


def _tagged(request: web.Request, value: Any) -> _Answer:
    tag = f'"{hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:24]}"'
    known = [part.strip().removeprefix("W/") for part in request.headers.get("If-None-Match", "").split(",")]
    if tag in known:
        return _Answer(304, None, {"ETag": tag})
    return _Answer(200, value, {"ETag": tag})
