"""Tell who may ask the local API and its page: programs of this machine, whoever has the token, and signed-in browsers.

On loopback a Host header of this machine is demanded. Beyond it a request shows the token, or the cookie of a browser
that has shown the token or the PIN. Pages of other sites are kept out everywhere.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections import OrderedDict
from datetime import datetime, timedelta
from typing import Final

from aiohttp import web

from openadr_client import Clock
from ven.local_api.token import is_loopback

COOKIE: Final = "oadr_ven"
SESSION_S: Final = 30 * 86_400
"""A browser is signed in for so long: a tablet on a wall has nobody who types a PIN every day."""
_LONGEST_COOKIE: Final = 256
_OWN_SITES: Final = frozenset({"none", "same-origin"})
"""Hold what browsers say in Sec-Fetch-Site of requests that no page of another site has made."""
_FREE_TRIES: Final = 5
_FIRST_WAIT_S: Final = 60.0
_LONGEST_WAIT_S: Final = 3600.0
_FREE_TRIES_OF_ALL: Final = 60
"""Wrong PINs of all addresses together in a day, before they make the right one wait, too."""
_DAY_S: Final = 86_400.0
_ADDRESSES: Final = 256


class WrongSecret(Exception):
    """Say that what somebody has given is neither the token nor the PIN."""


class TriedTooOften(Exception):
    """PINs are not looked at for a while; ``wait_s`` are the seconds until then."""

    def __init__(self, wait_s: float) -> None:
        super().__init__(
            f"too many wrong PINs: the next is looked at in {wait_s:.0f} s; the token is taken at any time"
        )
        self.wait_s = wait_s


class _WrongPins:
    """Counts wrong PINs of one address, or of all."""

    def __init__(self, free: int) -> None:
        self._free = free
        self._count = 0
        self._closed_until_s = 0.0

    def wait_s(self, now_s: float) -> float:
        """Return the seconds until the next is looked at; nothing or less if it is now."""
        return self._closed_until_s - now_s

    def count(self, now_s: float) -> None:
        """Count a wrong one: more than are free have to wait, twice as long each time."""
        self._count += 1
        if (over := self._count - self._free) >= 0:
            self._closed_until_s = now_s + min(_FIRST_WAIT_S * 2 ** min(over, 16), _LONGEST_WAIT_S)


class LocalAdmission:
    """Decide about each request. Without ``token`` everybody on this machine may ask; ``pin`` signs browsers in.

    Cookies are signed with the token and the PIN, so that they hold over a restart, and not after either has changed.
    """

    def __init__(self, token: str | None, pin: str | None, clock: Clock) -> None:
        self._token = token
        self._pin = pin
        self._clock = clock
        self._key = hashlib.sha256(f"{token}\n{pin}".encode()).digest() if token else secrets.token_bytes(32)
        self._wrong: OrderedDict[str, _WrongPins] = OrderedDict()
        self._of_all = _WrongPins(_FREE_TRIES_OF_ALL)
        self._day_began_s = clock.monotonic_s()

    @property
    def asks_for_login(self) -> bool:
        """Return True if a browser has to sign in."""
        return self._token is not None

    @property
    def has_pin(self) -> bool:
        """Return True if a PIN signs in as well."""
        return self._pin is not None

    def must_come_from_here(self, request: web.Request) -> None:
        """Keep web pages of other sites out (DNS rebinding, forged requests)."""
        origin = request.headers.get("Origin")
        if request.headers.get("Sec-Fetch-Site", "none") not in _OWN_SITES or (
            origin is not None and origin.partition("://")[2] != request.host
        ):
            raise web.HTTPForbidden(text="Origin: expected no page of another site")
        if self._token is None:
            host = request.host.rpartition(":")[0] if not request.host.endswith("]") else request.host
            if not is_loopback(host or request.host):
                raise web.HTTPMisdirectedRequest(text="Host: expected an address of this machine, as 127.0.0.1")

    def is_welcome(self, request: web.Request) -> bool:
        """Return True if no token is needed, or the request shows it or a cookie of ours."""
        if self._token is None:
            return True
        given = request.headers.get("Authorization", "")
        if hmac.compare_digest(given.encode("utf-8", "replace"), f"Bearer {self._token}".encode()):
            return True
        return self._holds(request.cookies.get(COOKIE, ""))

    def sign_in(self, secret: str, address: str) -> str:
        """Return the cookie for a browser that has shown the token or the PIN.

        Wrong PINs are counted by the address that they come from: after five the next is looked at after a minute, then
        after twice as long, up to an hour. After 60 of a day from all addresses, all have to wait like this.

        Raises:
            WrongSecret: it is neither.
            TriedTooOften: it is not the token, and PINs are not looked at now.
        """
        given = secret.encode("utf-8", "replace")
        if self._token is not None and hmac.compare_digest(given, self._token.encode()):
            return self._cookie()
        now_s = self._clock.monotonic_s()
        if now_s - self._day_began_s > _DAY_S:
            self._of_all, self._day_began_s = _WrongPins(_FREE_TRIES_OF_ALL), now_s
        its = self._wrong.get(address) or _WrongPins(_FREE_TRIES)
        if (wait_s := max(its.wait_s(now_s), self._of_all.wait_s(now_s))) > 0:
            raise TriedTooOften(wait_s)
        if self._pin is not None and hmac.compare_digest(given, self._pin.encode()):
            self._wrong.pop(address, None)
            return self._cookie()
        self._wrong[address] = its
        self._wrong.move_to_end(address)
        if len(self._wrong) > _ADDRESSES:
            self._wrong.popitem(last=False)
        its.count(now_s)
        self._of_all.count(now_s)
        raise WrongSecret

    def form_token(self, request: web.Request) -> str:
        """Return what a form of our page has to send back, for the browser that asks for it."""
        return self._signed(f"form {request.cookies.get(COOKIE, '') if self._token else ''}")

    def must_be_our_form(self, request: web.Request, given: str) -> None:
        """Refuse a form that our page has not made for this browser."""
        if not hmac.compare_digest(given.encode("utf-8", "replace"), self.form_token(request).encode()):
            raise web.HTTPForbidden(text="csrf: the form is too old or not from this page; load the page again")

    def _cookie(self) -> str:
        until = int((self._clock.now() + timedelta(seconds=SESSION_S)).timestamp())
        told = f"{until}.{secrets.token_urlsafe(12)}"
        return f"{told}.{self._signed(told)}"

    def _holds(self, cookie: str) -> bool:
        told, _, signature = cookie.rpartition(".")
        until = told.partition(".")[0]
        if len(cookie) > _LONGEST_COOKIE or not (until.isascii() and until.isdigit() and len(until) < 12):
            return False
        if not hmac.compare_digest(signature.encode("utf-8", "replace"), self._signed(told).encode()):
            return False
        return self._clock.now() < datetime.fromtimestamp(int(until), self._clock.now().tzinfo)

    def _signed(self, text: str) -> str:
        return hmac.new(self._key, text.encode("utf-8", "replace"), hashlib.sha256).hexdigest()
