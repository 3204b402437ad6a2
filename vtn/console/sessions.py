"""Sessions of people: begun with a secret that only the browser has, and ended by time, by their owner or an admin."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from uuid import uuid4

from aiohttp import web

from vtn.access import UserRole
from vtn.console.console import Console
from vtn.store.console.sessions import SessionRow, SessionStore

COOKIE: Final = "oadr_console"
_TOKEN_BYTES: Final = 32
_LONGEST_TOKEN: Final = 128
_NOTED_EVERY: Final = timedelta(minutes=1)
_OF_ONE_USER: Final = 20
_LONGEST_BROWSER: Final = 200


@dataclass(frozen=True, slots=True)
class ConsoleSession:
    """A session: its id, its user, and the token that the browser sent."""

    id: str
    user_name: str
    role: UserRole
    token: str = field(repr=False)
    ends_at: datetime


class ConsoleSessions:
    """Begins, finds and ends sessions."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._store = SessionStore(console.database)

    async def begin(self, request: web.Request, user_name: str) -> str:
        """Begin a session and return the token for its cookie."""
        token = secrets.token_urlsafe(_TOKEN_BYTES)
        stamps = self._console.stamps
        now = stamps.now
        row = SessionRow(
            id=uuid4().hex,
            user_name=user_name,
            role="",
            began_at=now,
            seen_at=now,
            ends_at=stamps.ago(-self._length),
            address=address_of(request, self._console),
            browser=_readable(request.headers.get("User-Agent", "")[:_LONGEST_BROWSER]),
        )
        await self._store.forget(before=now)
        await self._store.add(token, row, at_most=_OF_ONE_USER)
        return token

    async def of(self, request: web.Request, *, is_use: bool = True) -> ConsoleSession | None:
        """Return the session that a request belongs to; None if there is none, or it is over.

        With ``is_use`` it is noted, to the minute, that it was used.
        """
        token = request.cookies.get(COOKIE, "")
        if not token or len(token) > _LONGEST_TOKEN:
            return None
        now = self._console.stamps.now
        row = await self._store.of(token, now=now)
        if row is None:
            return None
        if is_use and datetime.fromisoformat(now) - datetime.fromisoformat(row.seen_at) >= _NOTED_EVERY:
            await self._store.seen(row.id, at=now)
        return ConsoleSession(row.id, row.user_name, UserRole(row.role), token, datetime.fromisoformat(row.ends_at))

    async def open(self, user_name: str | None = None) -> list[SessionRow]:
        """Return the sessions that are not over, of one user or all."""
        return list(await self._store.open(now=self._console.stamps.now, user_name=user_name))

    async def end(self, session_id: str, *, user_name: str | None = None) -> SessionRow | None:
        """End a session, of this user only if one is given; None if there is no such session."""
        return await self._store.end(session_id, user_name=user_name)

    async def end_of(self, user_name: str) -> int:
        """End all sessions of a user; gives their number."""
        return await self._store.end_of(user_name)

    def give(self, response: web.StreamResponse, token: str) -> None:
        """Put the cookie of a session into an answer."""
        set_cookie(response, self._console, COOKIE, token, max_age_s=int(self._length.total_seconds()))

    def take_back(self, response: web.StreamResponse) -> None:
        """Have the browser forget the cookie."""
        response.del_cookie(COOKIE, path=self._console.base)

    @property
    def _length(self) -> timedelta:
        return timedelta(hours=self._console.settings.console.session_hours)


def set_cookie(response: web.StreamResponse, console: Console, name: str, value: str, *, max_age_s: int) -> None:
    """Set a cookie that scripts do not see, other sites do not send, and that goes over TLS where there is TLS."""
    response.set_cookie(
        name,
        value,
        max_age=max_age_s,
        path=console.base,
        httponly=True,
        samesite="Lax",
        secure=console.is_encrypted,
    )


def address_of(request: web.Request, console: Console) -> str:
    """Return the address somebody came from: behind a proxy the one that the proxy adds to ``X-Forwarded-For``."""
    if console.settings.behind_proxy:
        forwarded = request.headers.get("X-Forwarded-For", "").rpartition(",")[2].strip()
        if forwarded:
            return _readable(forwarded[:64])
    return request.remote or ""


def _readable(header: str) -> str:
    """Return the text of a header with a mark for each byte that is no UTF-8: no database would take it."""
    return header.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
