"""A visit: one request of somebody who is signed in, and what a page can do with it."""

from __future__ import annotations

import base64
import binascii
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar
from urllib.parse import urlencode, urlsplit

from aiohttp import hdrs, web
from multidict import MultiDict, MultiDictProxy

from openadr_pages.headers import PRIVATE, SECURITY
from vtn.access import Caller, UserRole
from vtn.console import csrf
from vtn.console.audit import AuditTrail, Facts
from vtn.console.console import CALLER, Console
from vtn.console.exports import Exports
from vtn.console.refused_sign_ins import RefusedSignIns
from vtn.console.sessions import ConsoleSession, address_of, set_cookie
from vtn.errors import Malformed, NotFound
from vtn.http.responses import pack

if TYPE_CHECKING:
    from vtn.console.pages_made import Pages
    from vtn.console.routes import ConsoleRoute

T = TypeVar("T")

CSV: Final = "text/csv; charset=utf-8"

_SAID: Final = "oadr_console_said"
_SAID_S: Final = 60
_LONGEST_SAID: Final = 600
_PACKED_FROM: Final = 1024
_MOST_PAGES: Final = 200
_LONGEST_PAGE: Final = 3
_SECRET_WORDS: Final = ("password", "secret", "token", csrf.FIELD)


@dataclass(frozen=True, slots=True)
class Visitor:
    """Hold who is visiting: somebody who is signed in."""

    name: str
    role: UserRole

    def may(self, needed: str) -> bool:
        """Return True if the user has at least this role."""
        return self.role.may(UserRole(needed))


@dataclass(frozen=True, slots=True)
class PageShown(Generic[T]):
    """A part of a list: its items, its number, and the addresses of its neighbours if it has any."""

    items: Sequence[T]
    number: int
    earlier_url: str | None
    later_url: str | None


@dataclass(frozen=True, slots=True)
class PageAsked:
    """The part of a list that was asked for. ``limit`` is one more than is shown, which tells whether more follow."""

    number: int
    size: int
    path: str
    query: Sequence[tuple[str, str]]

    @property
    def skip(self) -> int:
        """Return how many items come before it."""
        return (self.number - 1) * self.size

    @property
    def limit(self) -> int:
        """Return how many items to ask the store for."""
        return self.size + 1

    def of(self, items: Sequence[T]) -> PageShown[T]:
        """Return what is shown of the items that ``skip`` and ``limit`` have brought."""
        later = len(items) > self.size and self.number < _MOST_PAGES
        return PageShown(
            items[: self.size],
            self.number,
            self._url(self.number - 1) if self.number > 1 else None,
            self._url(self.number + 1) if later else None,
        )

    def _url(self, number: int) -> str:
        kept = [(name, value) for name, value in self.query if name != "page"]
        return f"{self.path}?{urlencode([*kept, ('page', str(number))])}"


@dataclass(frozen=True)
class Visit:
    """One request, who makes it, and when. ``said`` is what the page before had to say."""

    request: web.Request
    route: ConsoleRoute
    user: Visitor
    now: datetime
    console: Console
    pages: Pages
    trail: AuditTrail
    session: ConsoleSession | None
    posted: MultiDictProxy[str] = field(repr=False)

    @property
    def zone(self) -> tzinfo:
        """Return the time zone of the times that are shown and typed."""
        return self.console.zone

    @property
    def caller(self) -> Caller:
        """Return who the stores see: business logic with every scope."""
        return CALLER

    def url(self, name: str, **params: object) -> str:
        """Return the address of a page by its name; parameters that its path does not have go into the query."""
        return self.pages.url(name, **params)

    def path(self, name: str) -> str:
        """Return a variable of the path; raises NotFound for one with a zero character, which nothing is called by."""
        text = self.request.match_info[name]
        if "\0" in text:
            raise NotFound
        return text

    def query(self, name: str, default: str = "") -> str:
        """Return a parameter of the query, without blanks around it and zero characters, which no database takes."""
        value: str = self.request.query.get(name, default)
        return value.replace("\0", "").strip()

    def page_asked(self, default_size: int = 50) -> PageAsked:
        """Return the part of a list that is asked for; raises Malformed for a number that is none, or too large."""
        text = self.query("page", "1")
        if not (text.isascii() and text.isdigit() and len(text) <= _LONGEST_PAGE and 1 <= int(text) <= _MOST_PAGES):
            raise Malformed(f"page: expected a number from 1 to {_MOST_PAGES}; narrow the list by its search instead")
        kept = [(name, value) for name, value in self.request.query.items() if value]
        return PageAsked(int(text), default_size, self.pages.base + self._own_path, kept)

    async def form(self) -> MultiDictProxy[str]:
        """Return what was posted; its size is bounded by the route."""
        return self.posted

    def callback(self, url: str) -> str:
        """Return a callback URL as this user may see it: its path may be a secret, so whole for an admin only."""
        return url if self.user.may("admin") else host_of(url)

    async def refused_sign_in(self, user_name: str, why: str) -> None:
        """Note a refused sign-in in the audit trail; of a long series of one address only some, with their number."""
        address = address_of(self.request, self.console)
        number = self.console.kept(RefusedSignIns, RefusedSignIns).counted(address, self.now)
        if number is not None:
            count = "" if number == 1 else f"; number {number:,} from this address"
            await self.trail.note(self.request, user_name, "sign-in refused", f"{why}{count}")

    async def audit(self, act: str, what: str, before: Facts = None, after: Facts = None) -> None:
        """Note an act in the audit trail: who did what, and what was there before and after. Give it no secrets."""
        await self.trail.note(self.request, self.user.name, act, what, before=before, after=after)

    def render(
        self, template: str, *, status: int = 200, headers: Mapping[str, str] | None = None, **values: Any
    ) -> web.Response:
        """Return a page, or of it the block that a script asks for by the id of the element it will replace.

        Block and element have one name, with ``_`` in the block for ``-``. Templates see the values, ``visit``,
        ``user``, ``now``, ``zone``, ``url``, ``asset``, ``csrf_token``, ``ui`` (the macros), ``refusal``, ``typed``.
        """
        said = self._said()
        context = {
            "visit": self,
            "user": self.user,
            "now": self.now,
            "zone": self.zone,
            "url": self.url,
            "asset": self.pages.asset,
            "nav": self.pages.navigation(self),
            "said": said,
            "title": self.route.title or self.route.nav or "Console",
            "system": self.console.settings.console.title,
            "csrf_token": "" if self.session is None else csrf.token_for(self.session.token),
            "refusal": None,
            "stream_url": None if self.session is None else self.url("stream"),
            "typed": self.typed,
        }
        block = None
        if self.request.headers.get("HX-Request") == "true":
            block = self.request.headers.get("HX-Target", "").replace("-", "_") or None
        text = self.pages.render(template, context | values, block=block)
        response = _answer(self.request, text, status, headers)
        if said is not None and block is None:
            response.del_cookie(_SAID, path=self.console.base)
        return response

    async def send_file(self, name: str, kind: str, pieces: AsyncGenerator[bytes, None]) -> web.StreamResponse:
        """Send a file to be stored by this name, in pieces, while they are made; raises TooManyRequests."""
        disposition = f'attachment; filename="{name}"'
        headers = {**SECURITY, **PRIVATE, hdrs.CONTENT_TYPE: kind, hdrs.CONTENT_DISPOSITION: disposition}
        return await self.console.kept(Exports, Exports).send(self.request, self.user.name, headers, pieces)

    def redirect(self, name: str, said: str | None = None, **params: object) -> web.Response:
        """Send the browser to another page, which shows ``said`` at its top."""
        return self.redirect_to(self.url(name, **params), said)

    def redirect_to(self, address: str, said: str | None = None) -> web.Response:
        """Send the browser to an address of ours; for a request of a script the whole page goes there."""
        response = web.Response(status=303, headers={hdrs.LOCATION: address} | SECURITY | PRIVATE)
        if self.request.headers.get("HX-Request") == "true":
            response = web.Response(status=204, headers={"HX-Redirect": address} | SECURITY | PRIVATE)
        if said:
            packed = base64.urlsafe_b64encode(said[:_LONGEST_SAID].encode()).decode()
            set_cookie(response, self.console, _SAID, packed, max_age_s=_SAID_S)
        return response

    def refuse(self, message: str, template: str = "refused.html", **values: Any) -> web.Response:
        """Return a page with the message and what was typed: ``template`` finds both as ``refusal`` and ``typed``."""
        return self.render(template, status=422, refusal=message, **values)

    @property
    def typed(self) -> dict[str, str]:
        """Return what was typed into the form, by field, without secrets."""
        return {
            name: value
            for name, value in MultiDict(self.posted).items()
            if not any(word in name.lower() for word in _SECRET_WORDS)
        }

    @property
    def _own_path(self) -> str:
        return self.request.path.removeprefix("/console")

    def _said(self) -> str | None:
        raw = self.request.cookies.get(_SAID)
        if not raw:
            return None
        try:
            return base64.urlsafe_b64decode(raw.encode()).decode()[:_LONGEST_SAID]
        except (binascii.Error, ValueError):
            return None


def host_of(url: str) -> str:
    """Return the scheme and the host of a URL, without what may be a secret."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname or ''}/…"


def _answer(request: web.Request, text: str, status: int, headers: Mapping[str, str] | None) -> web.Response:
    body = text.encode()
    sent = {**SECURITY, **PRIVATE, hdrs.VARY: "Accept-Encoding, HX-Request, HX-Target", **(headers or {})}
    if len(body) >= _PACKED_FROM and "gzip" in request.headers.get(hdrs.ACCEPT_ENCODING, ""):
        body = pack(body)
        sent[hdrs.CONTENT_ENCODING] = "gzip"
    return web.Response(body=body, status=status, content_type="text/html", charset="utf-8", headers=sent)
