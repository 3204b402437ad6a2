"""Browsers that are signed in: each stands for the token that it has shown once, for reading only."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from aiohttp import web

COOKIE: Final = "oadr_bridge"
_LASTS: Final = timedelta(hours=12)
_MOST: Final = 256
_LONGEST_TOKEN: Final = 8 * 1024
_FREE_TRIES: Final = 10
_WAIT: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class _Session:
    token: str
    ends_at: datetime


class BrowserSessions:
    """Hold the sessions in memory, 256 at most: the oldest makes room. They end with the process, or after 12 hours.

    The token is looked at again at each request, so that a session is over when its token is.
    """

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._sessions: dict[str, _Session] = {}
        self._wrong: list[datetime] = []

    def token_of(self, request: web.Request) -> str | None:
        """Return the token that the browser has shown; None if it is not signed in."""
        session = self._sessions.get(request.cookies.get(COOKIE, ""))
        return session.token if session is not None and self._now() < session.ends_at else None

    def begin(self, token: str) -> str:
        """Return the cookie of a new session."""
        now = self._now()
        self._sessions = {id_: each for id_, each in self._sessions.items() if now < each.ends_at}
        while len(self._sessions) >= _MOST:
            del self._sessions[next(iter(self._sessions))]
        cookie = secrets.token_urlsafe(32)
        self._sessions[cookie] = _Session(token, now + _LASTS)
        return cookie

    def end(self, request: web.Request) -> None:
        """End the session of a browser."""
        self._sessions.pop(request.cookies.get(COOKIE, ""), None)

    def give(self, answer: web.StreamResponse, cookie: str, *, secure: bool) -> None:
        """Put a cookie into an answer that scripts do not see and other sites do not send."""
        answer.set_cookie(
            COOKIE,
            cookie,
            max_age=int(_LASTS.total_seconds()),
            httponly=True,
            samesite="Strict",
            secure=secure,
            path="/",
        )

    def is_open(self) -> bool:
        """Return False while too many wrong tokens were shown in the last minute."""
        now = self._now()
        self._wrong = [at for at in self._wrong if now - _WAIT < at <= now]
        return len(self._wrong) < _FREE_TRIES

    def note_wrong(self) -> None:
        """Remember that a wrong token was shown."""
        self._wrong.append(self._now())
