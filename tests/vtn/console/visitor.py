"""A visitor of the console: keeps cookies, posts forms with their proof, and reads pages as trees."""

from __future__ import annotations

import re
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, cast
from urllib.parse import urlencode, urlsplit

import aiohttp
from lxml import html
from multidict import CIMultiDictProxy

from tests.support import canaries
from tests.vtn.harness import VtnUnderTest, unique
from vtn.access import UserRole
from vtn.console.console import Console
from vtn.console.sessions import COOKIE, ConsoleSessions
from vtn.store.console.users import UserRow, UserStore

_TOKEN = re.compile(r'"X-CSRF-Token": "([^"]+)"')


@dataclass(frozen=True)
class Page:
    """An answer of the console."""

    status: int
    headers: CIMultiDictProxy[str]
    text: str

    @property
    def tree(self) -> Any:
        """The page as a tree of lxml."""
        return html.fromstring(self.text)

    @property
    def words(self) -> str:
        """The text that somebody reads, with single blanks."""
        return " ".join(self.tree.text_content().split())

    @property
    def leads_to(self) -> str:
        """The path that the answer sends the browser to, with its query."""
        return self.headers.get("Location", "")

    def ok(self, status: int = 200) -> Page:
        """This page, after making sure of its status."""
        assert self.status == status, f"expected {status}, got {self.status}: {self.text[:3000]}"
        return self


class ConsoleUnderTest:
    """Somebody at the console of a running VTN. Paths are below ``/console``; ``/`` is its first page."""

    def __init__(self, vtn: VtnUnderTest, base: str = "") -> None:
        self.vtn = vtn
        self.name = ""
        self._base = base or f"http://127.0.0.1:{vtn.server.port}/console"
        self._session = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())
        self._others: list[ConsoleUnderTest] = []
        self.cookies: dict[str, str] = {}

    @classmethod
    async def signed_in(cls, vtn: VtnUnderTest, role: str) -> ConsoleUnderTest:
        """Somebody new with this role, with a session that was begun without a password."""
        visitor = cls(vtn)
        visitor.name = unique(role)
        row = UserRow(name=visitor.name, role=UserRole(role).value, created_at=vtn.server._stamps.now)
        await UserStore(vtn.server._database).add(row)
        request = cast(Any, SimpleNamespace(headers={"User-Agent": "a browser"}, remote="127.0.0.1"))
        visitor.cookies[COOKIE] = await ConsoleSessions(console_of(vtn)).begin(request, visitor.name)
        return visitor

    async def as_role(self, role: str) -> ConsoleUnderTest:
        """Somebody else, with this role."""
        other = await self.signed_in(self.vtn, role)
        self._others.append(other)
        return other

    def stranger(self) -> ConsoleUnderTest:
        """Somebody who is not signed in."""
        other = ConsoleUnderTest(self.vtn)
        self._others.append(other)
        return other

    async def close(self) -> None:
        """End the connections."""
        for other in self._others:
            await other.close()
        await self._session.close()

    async def get(self, path: str, *, headers: dict[str, str] | None = None, **query: Any) -> Page:
        """GET of a page; keyword arguments are its query."""
        return await self._ask("GET", path, query=query, headers=headers)

    async def page(self, path: str, **query: Any) -> Any:
        """The tree of a page that must be there."""
        return (await self._ask("GET", path, query=query)).ok().tree

    async def block(self, path: str, element_id: str, **query: Any) -> Page:
        """The part of a page that a script asks for: the element with this id."""
        return await self.get(path, headers={"HX-Request": "true", "HX-Target": element_id}, **query)

    async def post(self, path: str, *, headers: dict[str, str] | None = None, **fields: Any) -> Page:
        """POST of a form from a page of ours; fields that are given several times are lists."""
        token = _TOKEN.search((await self.get("/account")).text)
        proof = {"X-CSRF-Token": token[1]} if token else {}
        return await self._ask("POST", path, form=fields, headers=proof | (headers or {}))

    async def json(self, path: str, **query: str) -> Any:
        """The JSON at a path, as charts read it."""
        async with self._session.get(self._url(path, query), headers=self._sent()) as response:
            assert response.status == 200, await response.text()
            return await response.json()

    async def _ask(
        self,
        method: str,
        path: str,
        *,
        query: dict[str, str] | None = None,
        form: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
    ) -> Page:
        sent = self._sent() | (headers or {})
        body = None if form is None else urlencode(form, doseq=True).encode()
        if form is not None:
            sent.setdefault("Content-Type", "application/x-www-form-urlencoded")
        async with self._session.request(
            method, self._url(path, query or {}), data=body, headers=sent, allow_redirects=False
        ) as response:
            for name, cookie in response.cookies.items():
                self.cookies[name] = cookie.value
            answer = Page(response.status, response.headers, (await response.read()).decode())
        if answer.status >= 400:
            canaries.look(f"page {answer.status} of {method} {urlsplit(path).path}", answer.text)
        return answer

    def _sent(self) -> dict[str, str]:
        cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items() if value)
        return {"Cookie": cookies} if cookies else {}

    def _url(self, path: str, query: dict[str, str]) -> str:
        address = f"{self._base}{'' if path == '/' else path}"
        return f"{address}?{urlencode(query)}" if query else address


def console_of(vtn: VtnUnderTest) -> Console:
    """Return what the pages of a server have in common, for tests that prepare something beside them."""
    server = vtn.server
    assert server.stores is not None
    return Console(
        settings=server.settings,
        database=server._database,
        stores=server.stores,
        stamps=server._stamps,
        contacts=server._contacts,
        clients=server.clients,
        secrets=server._secrets,
        addresses=server._addresses,
        services=server.services,
        guesses=server._rate_limits.wrong_passwords(),
        evaluations=server._evaluating(server.stores),
        streams=server._console_streams,
        now=vtn.now,
    )
