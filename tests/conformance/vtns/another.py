"""Another conformant VTN: ours behind a proxy that does otherwise whatever the standard leaves open.

It has a prefix, ids and an order of its own, shows instants with an offset and whole seconds, members we do not know
and nulls for those without a value. It answers 403 where ours answers 404 or 401, 404 for 405 and 400 for the 409 of a
ven, with bare problem bodies. It takes the Definition at its word that a VEN names targets in its query. Its pages are
small, its tokens short-lived, its answers chunked, each on a connection of its own, never compressed and without
validators; and now and then it asks for patience.
"""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from multidict import CIMultiDict
from mutants.proxy import ProxiedAnswer, ProxiedRequest, Proxy, Upstream
from oadr_conformance import Subject
from oadr_conformance.session import Session
from oadr_conformance.wire import HttpClient
from yarl import URL

from bench.support.net import free_port
from vtns.ours import vtn

PREFIX: Final = "/energy/api"
_PAGE: Final = 7
_TOKEN_LIFE_S: Final = 4.0
_UUID: Final = re.compile(r"\b([0-9a-f]{8})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{12})\b")
_OWN_ID: Final = re.compile(r"\bobj_([0-9a-f]{8})([0-9a-f]{4})([0-9a-f]{4})([0-9a-f]{4})([0-9a-f]{12})\b")
_INSTANT: Final = re.compile(r'"(createdDateTime|modificationDateTime)": "([^".Z]+)(?:\.\d+)?Z"')
_KEPT_HEADERS: Final = {"content-type", "www-authenticate", "location"}
_BUSY: Final[tuple[dict[str, str], ...]] = (
    {"Retry-After": "1"},
    {"Retry-After": "Thu, 01 Jan 2026 00:00:00 GMT"},
    {"Retry-After": "0"},
    {},
)
_UNTARGETED_BY_QUERY: Final = {"programs", "events"}


@dataclass
class AnotherVtn:
    """The handler, and how often each of its ways was met."""

    real_prefix: str
    origin: str
    met: Counter[str] = field(default_factory=Counter)
    _issued: dict[str, float] = field(default_factory=dict)

    async def __call__(self, asked: ProxiedRequest, upstream: Upstream) -> ProxiedAnswer:
        """Answer a request in this VTN's way."""
        self.met["request"] += 1
        if self.met["request"] % 400 == 0:
            busy = _BUSY[self.met["asked for patience"] % len(_BUSY)]
            self.met["asked for patience"] += 1
            return ProxiedAnswer(429, CIMultiDict(busy))
        if asked.below == "/auth/token":
            return await self._token(self._translated(asked), upstream)
        token = asked.headers.get("Authorization", "").rpartition(" ")[2]
        if time.monotonic() > self._issued.get(token, float("inf")):
            self.met["refused an expired token"] += 1
            return _problem(401)
        real = self._translated(asked)
        if asked.method == "GET" and asked.collection and not asked.single:
            told = await self._search(real, upstream)
        else:
            told = await self._other(real, upstream)
        return self._worded(told, asked)

    def _translated(self, asked: ProxiedRequest) -> ProxiedRequest:
        """The request as our VTN understands it."""
        path = self.real_prefix + asked.path.removeprefix(PREFIX) if asked.path.startswith(PREFIX) else asked.path
        query = tuple((key, _real_id(value)) for key, value in asked.query)
        body = _real_id(asked.body.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")
        headers = CIMultiDict(asked.headers)
        headers["Accept-Encoding"] = "identity"
        return replace(asked, path=_real_id(path), query=query, body=body, prefix=self.real_prefix, headers=headers)

    async def _token(self, asked: ProxiedRequest, upstream: Upstream) -> ProxiedAnswer:
        told = await upstream.send(asked)
        if told.status != 200:
            return ProxiedAnswer(
                400 if told.json().get("error") == "invalid_client" else told.status, told.headers, told.body
            )
        body = told.json()
        self._issued[body["access_token"]] = time.monotonic() + _TOKEN_LIFE_S
        self.met["issued a token"] += 1
        changed = {"token_type": "bearer", "expires_in": int(_TOKEN_LIFE_S), "issued_for": "the laboratory"}
        return told.with_json({"access_token": body["access_token"]} | changed)

    async def _search(self, asked: ProxiedRequest, upstream: Upstream) -> ProxiedAnswer:
        """Oldest first, in small pages; a VEN sees targeted programs and events by targets it asks for."""
        found: list[Any] = []
        bare = asked.without("skip", "limit")
        while True:
            paging = (("skip", str(len(found))), ("limit", "50"))
            told = await upstream.send(replace(bare, query=(*bare.query, *paging)))
            items = told.json()
            if told.status != 200 or not items:
                break
            found += items
        if told.status != 200:
            return told
        if self._hides_targeted(asked) and not asked.given("targets"):
            self.met["hid what was not asked for"] += 1
            found = [obj for obj in found if not obj.get("targets")]
        found.reverse()
        skip = int((asked.given("skip") or ["0"])[0])
        limit = int((asked.given("limit") or [str(_PAGE)])[0])
        return ProxiedAnswer(200, told.headers).with_json(found[skip : skip + min(limit, _PAGE)])

    async def _other(self, asked: ProxiedRequest, upstream: Upstream) -> ProxiedAnswer:
        told = await upstream.send(asked)
        ven = asked.claims.get("role") == "VEN"
        if asked.single and ven and told.status == 404:
            there = await upstream.send(upstream.as_bl(replace(asked, method="GET", body=b"")))
            if there.status == 200:
                self.met["403 for 404"] += 1
                return _problem(403)
        if asked.single and asked.method == "GET" and told.status == 200 and self._hides_targeted(asked):
            self.met["hid what was not asked for"] += 1
            return _problem(403) if told.json().get("targets") else told
        if told.status == 409 and asked.collection == "vens":
            self.met["400 for 409"] += 1
            return _problem(400)
        return told

    def _hides_targeted(self, asked: ProxiedRequest) -> bool:
        return asked.claims.get("role") == "VEN" and asked.collection in _UNTARGETED_BY_QUERY

    def _worded(self, told: ProxiedAnswer, asked: ProxiedRequest) -> ProxiedAnswer:
        headers = CIMultiDict(pair for pair in told.headers.items() if pair[0].lower() in _KEPT_HEADERS)
        headers.update({"Server": "Another-VTN/7.1", "X-Frame-Options": "DENY", "Set-Cookie": "lb=3; Path=/"})
        if told.status >= 400:
            status = {401: 403, 405: 404}.get(told.status, told.status) if asked.below != "/auth/token" else told.status
            self.met[f"{status}"] += 1
            problem = _problem(status)
            headers["Content-Type"] = "application/problem+json"
            return ProxiedAnswer(status, headers, problem.body)
        value = told.json()
        if value is None:
            return ProxiedAnswer(told.status, headers, told.body)
        text = json.dumps(_own_way(value), ensure_ascii=False)
        text = _UUID.sub(lambda match: "obj_" + "".join(match.groups()), text)
        text = _INSTANT.sub(lambda match: f'"{match[1]}": "{match[2]}+00:00"', text)
        text = text.replace(f"{self.origin}{self.real_prefix}", f"{self.origin}{PREFIX}")
        headers["Content-Type"] = "application/json;charset=UTF-8"
        return ProxiedAnswer(told.status, headers, text.encode())


def _real_id(text: str) -> str:
    return _OWN_ID.sub(lambda match: "-".join(match.groups()), text)


def _problem(status: int) -> ProxiedAnswer:
    return ProxiedAnswer(
        status, CIMultiDict({"Content-Type": "application/json"}), json.dumps({"status": status}).encode()
    )


def _own_way(value: Any) -> Any:
    """With members that nobody knows, nulls for what has no value, words of requests as objectType, whole numbers."""
    if isinstance(value, list):
        return [_own_way(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if not isinstance(value, dict):
        return value
    told = {key: _own_way(item) for key, item in value.items()}
    if "createdDateTime" in told:
        told |= {"revision": 3, "links": {"self": "somewhere"}}
        told = {"attributes": None, "intervalPeriod": None, "programID": None} | told
        if told.get("targets") == []:
            del told["targets"]
    if "payloads" in told:
        told = {"intervalPeriod": None} | told
    if told.get("objectType") in {"VEN", "RESOURCE"}:
        told["objectType"] = f"BL_{told['objectType']}_REQUEST"
    return told


@asynccontextmanager
async def another_vtn(directory: Path) -> AsyncIterator[tuple[Subject, AnotherVtn]]:
    """Hold what the suite knows of this VTN while it runs, and the questions asked."""
    port = free_port()
    origin = f"http://127.0.0.1:{port}"
    with vtn(f"sqlite:///{directory / 'vtn.sqlite3'}", directory, "--public-url", origin) as subject:
        proxy = Proxy(str(URL(subject.base).origin()), PREFIX, plain=False)
        handler = AnotherVtn(URL(subject.base).path, origin)
        proxy.handler = handler
        await proxy.start(port)
        try:
            # Notifications come from the VTN behind, with its own ids, so nobody is told of anything here.
            profile = replace(subject.profile, rulings=False, notifiers=False)
            proxy.bl = subject.bl.client_id
            proxy.tokens[proxy.bl] = await _token(subject)
            yield (
                replace(
                    subject, url=f"{origin}{PREFIX}/", profile=profile, product="", expired_token="", receiver=None
                ),
                handler,
            )
        finally:
            await proxy.stop()


async def _token(subject: Subject) -> str:
    async with HttpClient() as wire:
        return await Session(subject, wire).token(subject.bl)
